/* SPDX-License-Identifier: Apache-2.0 */
/* What a client counts, and the text that shows it. */
#include "support/fake_client.h"

#include <stdio.h>

static etcd_metrics metrics_of(const etcd_client *client)
{
    etcd_metrics metrics = ETCD_METRICS_INIT;
    etcd_error err;

    assert_status(etcd_client_metrics(client, &metrics, &err), ETCD_OK, &err);
    return metrics;
}

static bool until(etcd_client *client, const uint64_t *number, uint64_t wanted, etcd_metrics *metrics)
{
    for (int i = 0; i < 500 && *number < wanted; i++) {
        test_pump(client, 10);
        *metrics = metrics_of(client);
    }
    return *number == wanted;
}

static void test_calls_are_counted(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    etcd_metrics metrics;
    etcd_error err;

    (void)state;
    metrics = metrics_of(client);
    assert_int_equal(metrics.calls + metrics.connects + metrics.bytes_sent, 0);
    for (int i = 0; i < 3; i++)
        assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    fake_etcd_next(fake, "Range", &(struct fake_step){.what = STEP_STATUS, .code = 14, .message = "no"});
    assert_status(fake_get(client, 5000, &err), ETCD_OK, &err);
    fake_etcd_next(fake, "Put", &(struct fake_step){.what = STEP_STATUS, .code = 7, .message = "no"});
    assert_status(fake_put(client, 5000, &err), ETCD_E_DENIED, &err);
    metrics = metrics_of(client);
    assert_int_equal(metrics.calls, 5);
    assert_int_equal(metrics.failures, 1);
    assert_int_equal(metrics.retries, 1);
    assert_int_equal(metrics.hedges, 0);
    assert_int_equal(metrics.connects, 1);
    assert_int_equal(metrics.losses, 0);
    assert_int_equal(metrics.outstanding, 0);
    assert_int_equal(metrics.logins, 0);
    assert_in_range(metrics.bytes_sent, 200, 5000);
    assert_in_range(metrics.bytes_received, 200, 5000);
    fake_etcd_cut(fake);
    assert_true(until(client, &metrics.losses, 1, &metrics));
    assert_status(fake_get(client, 5000, &err), ETCD_OK, &err);
    assert_int_equal(metrics_of(client).connects, 2);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_calls_under_way_are_counted(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    etcd_op *op = NULL;
    etcd_error err;

    (void)state;
    fake_etcd_next(fake, "Put", &(struct fake_step){.what = STEP_SILENT});
    assert_status(etcd_put_async(client, etcd_cstr("k"), etcd_cstr("v"), NULL, NULL, NULL, &op, &err),
                  ETCD_OK, &err);
    fake_await_calls(client, fake, "Put", 1);
    assert_int_equal(metrics_of(client).outstanding, 1);
    assert_status(etcd_client_close(client, &err), ETCD_OK, &err);
    assert_int_equal(metrics_of(client).outstanding, 0);
    assert_int_equal(metrics_of(client).failures, 1);
    etcd_op_free(op);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_logins_are_counted(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client;
    etcd_error err;

    (void)state;
    fake_etcd_set_auth(fake, "user", "secret");
    client = test_client_open(fake_etcd_endpoint(fake),
                              ETCD_CLIENT_OPTS(.username = "user", .password = ETCD_SECRET_TEXT("secret")));
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    fake_etcd_expire_tokens(fake);
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    assert_int_equal(metrics_of(client).logins, 2);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_the_text(void **state)
{
    etcd_client *clients[2] = {test_client_open("127.0.0.1:1", ETCD_CLIENT_OPTS(.name = "one")),
                               test_client_open("127.0.0.1:1", ETCD_CLIENT_OPTS(.name = "t\"w\\o\n"))};
    const etcd_client *const listed[2] = {clients[0], clients[1]};
    char text[8192], part[40];
    size_t len;

    (void)state;
    len = etcd_metrics_text(listed, 2, text, sizeof(text));
    assert_in_range(len, 1000, sizeof(text) - 1);
    assert_int_equal(len, strlen(text));
    assert_has_text(text, "# HELP etcd_client_calls_total Calls begun.\n"
                          "# TYPE etcd_client_calls_total counter\n"
                          "etcd_client_calls_total{client=\"one\"} 0\n"
                          "etcd_client_calls_total{client=\"t\\\"w\\\\o\\n\"} 0\n");
    assert_has_text(text, "# TYPE etcd_client_watches gauge\netcd_client_watches{client=\"one\"} 0\n");
    assert_int_equal(etcd_metrics_text(listed, 2, part, sizeof(part)), len);
    assert_int_equal(strlen(part), sizeof(part) - 1);
    assert_memory_equal(part, text, sizeof(part) - 1);
    assert_int_equal(etcd_metrics_text(listed, 2, NULL, 0), len);
    assert_true(etcd_metrics_text(listed, 0, text, sizeof(text)) > 0); /* families without samples */
    etcd_client_free(clients[0]);
    etcd_client_free(clients[1]);
}

static void test_sizes_and_bad_arguments(void **state)
{
    etcd_client *client = test_client_open("127.0.0.1:1", NULL);
    struct {
        etcd_metrics metrics;
        uint64_t future;
    } longer = {.metrics = {.size = sizeof(longer)}, .future = 7};
    etcd_metrics shorter = {.size = 2 * sizeof(uint64_t), .failures = 9}, none = {.size = 3};
    etcd_error err;

    (void)state;
    assert_status(etcd_client_metrics(client, &longer.metrics, &err), ETCD_OK, &err);
    assert_int_equal(longer.future, 0);
    assert_int_equal(longer.metrics.size, sizeof(longer));
    assert_status(etcd_client_metrics(client, &shorter, &err), ETCD_OK, &err);
    assert_int_equal(shorter.failures, 9); /* beyond what the caller knows: untouched */
    assert_status(etcd_client_metrics(client, &none, &err), ETCD_E_INVALID_ARGUMENT, &err);
    assert_status(etcd_client_metrics(client, NULL, &err), ETCD_E_INVALID_ARGUMENT, &err);
    assert_status(etcd_client_metrics(NULL, &shorter, NULL), ETCD_E_INVALID_ARGUMENT, NULL);
    etcd_client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_are_counted),       cmocka_unit_test(test_calls_under_way_are_counted),
        cmocka_unit_test(test_logins_are_counted),      cmocka_unit_test(test_the_text),
        cmocka_unit_test(test_sizes_and_bad_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
