/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of message sizes, both ways. */
#include "support/fake_client.h"

#include <stdlib.h>

enum { LIMIT = 10000 };

static etcd_status put_bytes(etcd_client *client, size_t len, etcd_error *err)
{
    char *value = calloc(1, len + 1);
    etcd_status st;

    assert_non_null(value);
    st = etcd_put(client, etcd_cstr("k"), etcd_bytes_of(value, len), NULL, NULL, err);
    free(value);
    return st;
}

static void test_requests(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake),
                                           ETCD_CLIENT_OPTS(.max_send_bytes = LIMIT));
    /* One key byte with its tag and length, the value with a tag and a length of two bytes. */
    const size_t largest = LIMIT - 3 - 3;
    etcd_op *op = NULL;
    char *value = calloc(1, LIMIT);
    etcd_error err;

    (void)state;
    assert_status(put_bytes(client, largest + 1, &err), ETCD_E_TOO_LARGE, &err);
    assert_has_text(err.message, "10001 bytes");
    assert_has_text(err.message, "max_send_bytes is 10000");
    assert_int_equal(err.flags, 0);
    /* Not a byte has left. */
    assert_int_equal(fake_etcd_connections(fake), 0);
    assert_status(
        etcd_put_async(client, etcd_cstr("k"), etcd_bytes_of(value, LIMIT), NULL, NULL, NULL, &op, &err),
        ETCD_E_TOO_LARGE, &err);
    assert_null(op);
    assert_status(put_bytes(client, largest, &err), ETCD_OK, &err);
    assert_int_equal(fake_etcd_done(fake, "Put"), 1);
    etcd_client_free(client);
    fake_etcd_free(fake);
    free(value);
}

static void test_the_default_for_requests(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    etcd_error err;

    (void)state;
    assert_status(put_bytes(client, 2 * 1024 * 1024, &err), ETCD_E_TOO_LARGE, &err);
    assert_has_text(err.message, "max_send_bytes is 2097152");
    assert_status(put_bytes(client, 2 * 1024 * 1024 - 100, &err), ETCD_OK, &err);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_answers(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake),
                                           ETCD_CLIENT_OPTS(.max_recv_bytes = LIMIT));
    etcd_get_result *result = NULL;
    etcd_error err;

    (void)state;
    fake_etcd_next(fake, "Range", &(struct fake_step){.what = STEP_HUGE, .size = LIMIT});
    assert_status(fake_get(client, 5000, &err), ETCD_E_TOO_LARGE, &err);
    assert_has_text(err.message, "receive limit of 10000 bytes");
    assert_int_equal(err.flags, 0);
    fake_etcd_next(fake, "Range", &(struct fake_step){.what = STEP_HUGE, .size = 8 << 20});
    assert_status(fake_get(client, 5000, &err), ETCD_E_TOO_LARGE, &err);
    /* The connection is still good, also for what just fits. */
    fake_etcd_next(fake, "Range", &(struct fake_step){.what = STEP_HUGE, .size = LIMIT - 100});
    assert_status(etcd_get(client, etcd_cstr("k"), NULL, &result, &err), ETCD_OK, &err);
    assert_int_equal(etcd_get_result_kv(result, 0)->value.len, LIMIT - 100);
    etcd_get_result_free(result);
    assert_int_equal(fake_etcd_connections(fake), 1);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

/* The write was done; only its answer does not fit. */
static void test_the_answer_to_a_write(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(
        fake_etcd_endpoint(fake), ETCD_CLIENT_OPTS(.max_send_bytes = LIMIT, .max_recv_bytes = LIMIT));
    etcd_put_opts opts = ETCD_PUT_OPTS_INIT;
    etcd_error err;

    (void)state;
    assert_status(put_bytes(client, LIMIT - 20, &err), ETCD_OK, &err);
    opts.prev_kv = true;
    assert_status(etcd_put(client, etcd_cstr("k"), etcd_cstr("v"), &opts, NULL, &err), ETCD_E_TOO_LARGE,
                  &err);
    assert_int_equal(err.flags, ETCD_ERROR_MAYBE_APPLIED);
    assert_int_equal(fake_etcd_done(fake, "Put"), 2);
    assert_status(etcd_put(client, etcd_cstr("k"), etcd_cstr("v"), &opts, NULL, &err), ETCD_OK, &err);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_a_large_answer(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    etcd_get_result *result = NULL;
    etcd_error err;

    (void)state;
    fake_etcd_next(fake, "Range", &(struct fake_step){.what = STEP_HUGE, .size = 24 << 20});
    assert_status(etcd_get(client, etcd_cstr("k"), ETCD_GET_OPTS(.timeout_ms = 60000), &result, &err),
                  ETCD_OK, &err);
    assert_int_equal(etcd_get_result_kv(result, 0)->value.len, 24 << 20);
    etcd_get_result_free(result);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),       cmocka_unit_test(test_the_default_for_requests),
        cmocka_unit_test(test_answers),        cmocka_unit_test(test_the_answer_to_a_write),
        cmocka_unit_test(test_a_large_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
