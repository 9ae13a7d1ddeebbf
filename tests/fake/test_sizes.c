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

/* ---- what may be under way ------------------------------------------------------------------------- */

static etcd_status start_put(etcd_client *client, size_t message_len, etcd_op **ret_op, etcd_error *err)
{
    static char value[LIMIT];

    /* A key of one byte; tags and lengths of 3 and of 3 bytes. */
    return etcd_put_async(client, etcd_cstr("k"), etcd_bytes_of(value, message_len - 6),
                          ETCD_PUT_OPTS(.timeout_ms = 20000), NULL, NULL, ret_op, err);
}

/* Exactly `len` bytes are free. */
static void assert_room(etcd_client *client, size_t len)
{
    etcd_op *op = NULL;
    etcd_error err;

    if (len < LIMIT) {
        assert_status(start_put(client, len + 1, &op, &err), ETCD_E_BUSY, &err);
        assert_null(op);
        assert_int_equal(err.flags, ETCD_ERROR_RETRYABLE);
        assert_has_text(err.message, "limit of 10000 bytes");
    }
    assert_status(start_put(client, len, &op, &err), ETCD_OK, &err);
    assert_status(fake_put(client, 1000, &err), ETCD_E_BUSY, &err);
    etcd_op_cancel(op);
    fake_await_op(client, op);
    etcd_op_free(op);
}

static void test_bytes_under_way(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(
        fake_etcd_endpoint(fake), ETCD_CLIENT_OPTS(.max_send_bytes = LIMIT, .max_outstanding_bytes = LIMIT));
    etcd_op *ops[2] = {NULL};
    etcd_error err;

    (void)state;
    fake_etcd_always(fake, "Put", &(struct fake_step){.what = STEP_SILENT});
    assert_room(client, LIMIT);
    for (int i = 0; i < 2; i++)
        assert_status(start_put(client, 3000, &ops[i], &err), ETCD_OK, &err);
    assert_room(client, LIMIT - 6000);
    /* However a call ends, its bytes are free then. */
    etcd_op_cancel(ops[0]);
    fake_await_op(client, ops[0]);
    assert_room(client, LIMIT - 3000);
    assert_status(fake_put(client, 200, &err), ETCD_E_DEADLINE, &err);
    assert_room(client, LIMIT - 3000);
    fake_etcd_cut(fake);
    fake_await_op(client, ops[1]);
    assert_status(etcd_op_status(ops[1], &err), ETCD_E_UNAVAILABLE, &err);
    fake_etcd_always(fake, "Put", NULL);
    assert_status(fake_put(client, 10000, &err), ETCD_OK, &err);
    fake_etcd_next(fake, "Put", &(struct fake_step){.what = STEP_GARBAGE});
    assert_status(fake_put(client, 10000, &err), ETCD_E_PROTOCOL, &err);
    fake_etcd_always(fake, "Put", &(struct fake_step){.what = STEP_SILENT});
    assert_room(client, LIMIT);
    for (int i = 0; i < 2; i++)
        etcd_op_free(ops[i]);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

/* Calls that are refused for their number take no bytes, and the other way round. */
static void test_both_limits(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(
        fake_etcd_endpoint(fake),
        ETCD_CLIENT_OPTS(.max_send_bytes = LIMIT, .max_outstanding_bytes = LIMIT, .max_outstanding = 2));
    etcd_op *ops[2] = {NULL}, *extra = NULL;
    etcd_error err;

    (void)state;
    fake_etcd_always(fake, "Put", &(struct fake_step){.what = STEP_SILENT});
    for (int i = 0; i < 2; i++)
        assert_status(start_put(client, 3000, &ops[i], &err), ETCD_OK, &err);
    for (int i = 0; i < 5; i++) {
        assert_status(start_put(client, 3000, &extra, &err), ETCD_E_BUSY, &err);
        assert_has_text(err.message, "2 calls under way");
    }
    etcd_op_cancel(ops[0]);
    fake_await_op(client, ops[0]);
    for (int i = 0; i < 5; i++)
        assert_status(start_put(client, 7001, &extra, &err), ETCD_E_BUSY, &err);
    assert_room(client, LIMIT - 3000);
    assert_null(extra);
    for (int i = 0; i < 2; i++)
        etcd_op_free(ops[i]);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),       cmocka_unit_test(test_the_default_for_requests),
        cmocka_unit_test(test_answers),        cmocka_unit_test(test_the_answer_to_a_write),
        cmocka_unit_test(test_a_large_answer), cmocka_unit_test(test_bytes_under_way),
        cmocka_unit_test(test_both_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
