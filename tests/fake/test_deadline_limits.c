/* SPDX-License-Identifier: Apache-2.0 */
/* Every blocking call is finite, whatever the server does, and says what it was waiting for. */
#include "support/fake_client.h"

#include "support/matrix.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LIMIT_MS = 300, CODE_UNAVAILABLE = 14 };

static void sleep_ms(int64_t ms)
{
    struct timespec pause = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000L};

    (void)nanosleep(&pause, NULL);
}

/* ---- all functions --------------------------------------------------------------------------------- */

static etcd_status do_get(etcd_client *client, int64_t limit_ms, etcd_error *err)
{
    return fake_get(client, limit_ms, err);
}

static etcd_status do_put(etcd_client *client, int64_t limit_ms, etcd_error *err)
{
    return fake_put(client, limit_ms, err);
}

static etcd_status do_delete(etcd_client *client, int64_t limit_ms, etcd_error *err)
{
    return etcd_delete(client, etcd_cstr("k"), ETCD_DELETE_OPTS(.timeout_ms = limit_ms), NULL, err);
}

static etcd_status do_txn(etcd_client *client, int64_t limit_ms, etcd_error *err)
{
    etcd_txn *txn = etcd_txn_new();
    etcd_status st;

    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("k"), etcd_cstr("v"), NULL);
    st = etcd_txn_commit(client, txn, ETCD_TXN_OPTS(.timeout_ms = limit_ms), NULL, err);
    etcd_txn_free(txn);
    return st;
}

static etcd_status do_compact(etcd_client *client, int64_t limit_ms, etcd_error *err)
{
    return etcd_compact(client, 1, ETCD_COMPACT_OPTS(.timeout_ms = limit_ms), err);
}

static etcd_status do_sync(etcd_client *client, int64_t limit_ms, etcd_error *err)
{
    return etcd_client_sync(client, limit_ms, err);
}

static etcd_status do_grant(etcd_client *client, int64_t limit_ms, etcd_error *err)
{
    etcd_lease lease;

    return etcd_lease_grant(client, 60, ETCD_LEASE_OPTS(.timeout_ms = limit_ms), &lease, err);
}

static etcd_status do_revoke(etcd_client *client, int64_t limit_ms, etcd_error *err)
{
    return etcd_lease_revoke(client, 1, ETCD_LEASE_OPTS(.timeout_ms = limit_ms), err);
}

static etcd_status do_ready(etcd_client *client, int64_t limit_ms, etcd_error *err)
{
    return etcd_client_wait_ready(client, limit_ms, err);
}

static const struct function {
    const char *method;
    etcd_status (*run)(etcd_client *client, int64_t limit_ms, etcd_error *err);
    const char *name; /* in messages */
    bool writes;
} functions[] = {
    {"Range", do_get, "get", false},
    {"Put", do_put, "put", true},
    {"DeleteRange", do_delete, "delete", true},
    {"Txn", do_txn, "txn", true},
    {"Compact", do_compact, "compact", true},
    {"MemberList", do_sync, "sync", false},
    {"LeaseGrant", do_grant, "", true},
    {"LeaseRevoke", do_revoke, "", true},
    {"Authenticate", do_ready, "wait_ready", false},
};
enum { FUNCTIONS = sizeof(functions) / sizeof(functions[0]) };

static void assert_in_time(int64_t begin_ms, int64_t limit_ms)
{
    int64_t took_ms = test_now_ms() - begin_ms;

    assert_in_range(took_ms, limit_ms - 5, limit_ms + fake_slack_ms());
}

static void test_a_silent_server(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    etcd_error err;

    (void)state;
    assert_status(fake_get(client, 10000, &err), ETCD_OK, &err);
    for (size_t i = 0; i + 1 < FUNCTIONS; i++) {
        int64_t begin_ms = test_now_ms();

        print_message("%s\n", functions[i].method);
        fake_etcd_always(fake, functions[i].method,
                         &(struct fake_step){.what = i % 2 == 0 ? STEP_SILENT : STEP_HEADERS});
        assert_status(functions[i].run(client, LIMIT_MS, &err), ETCD_E_DEADLINE, &err);
        assert_in_time(begin_ms, LIMIT_MS);
        assert_int_equal((err.flags & ETCD_ERROR_MAYBE_APPLIED) != 0, functions[i].writes);
        assert_int_equal((err.flags & ETCD_ERROR_RETRYABLE) != 0, !functions[i].writes);
        assert_has_text(err.message, functions[i].name);
        assert_has_text(err.message, "client 'etcd'");
        assert_has_text(err.message, fake_etcd_endpoint(fake));
        assert_int_equal(err.grpc_code, -1);
    }
    /* The connection has come to no harm. */
    fake_etcd_always(fake, "Put", NULL);
    assert_status(fake_put(client, 10000, &err), ETCD_OK, &err);
    assert_int_equal(fake_etcd_connections(fake), 1);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_a_silent_login(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(
        fake_etcd_endpoint(fake), ETCD_CLIENT_OPTS(.username = "u", .password = ETCD_SECRET_TEXT("p")));
    etcd_error err;

    (void)state;
    fake_etcd_set_auth(fake, "u", "p");
    fake_etcd_always(fake, "Authenticate", &(struct fake_step){.what = STEP_SILENT});
    for (size_t i = 0; i < FUNCTIONS; i++) {
        int64_t begin_ms = test_now_ms();

        assert_status(functions[i].run(client, LIMIT_MS, &err), ETCD_E_DEADLINE, &err);
        assert_in_time(begin_ms, LIMIT_MS);
        /* Nothing went out but the login. */
        assert_int_equal(err.flags & ETCD_ERROR_MAYBE_APPLIED, 0);
    }
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void assert_unreached(etcd_client *client, const char *endpoint, const char *cause)
{
    etcd_error err;

    for (size_t i = 0; i < FUNCTIONS; i++) {
        int64_t begin_ms = test_now_ms();

        assert_status(functions[i].run(client, LIMIT_MS, &err), ETCD_E_UNAVAILABLE, &err);
        assert_in_time(begin_ms, LIMIT_MS);
        assert_int_equal(err.flags & (ETCD_ERROR_MAYBE_APPLIED | ETCD_ERROR_RETRYABLE), ETCD_ERROR_RETRYABLE);
        if (i == 0)
            continue; /* its time may have ended before the first attempt to connect did */
        assert_has_text(err.message, endpoint);
        assert_has_text(err.message, cause);
    }
}

static void test_a_refused_connection(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);

    (void)state;
    fake_etcd_listen(fake, false);
    assert_unreached(client, fake_etcd_endpoint(fake), "refused");
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_a_black_hole(void **state)
{
    struct black_hole hole;
    etcd_client *client;
    etcd_error err;
    int64_t begin_ms;

    (void)state;
    black_hole_open(&hole);
    client = test_client_open(hole.endpoint, ETCD_CLIENT_OPTS(.dial_timeout_ms = LIMIT_MS));
    begin_ms = test_now_ms();
    assert_status(etcd_client_wait_ready(client, 0, &err), ETCD_E_UNAVAILABLE, &err);
    assert_in_time(begin_ms, LIMIT_MS);
    assert_unreached(client, hole.endpoint, "");
    etcd_client_free(client);
    black_hole_close(&hole);
}

/* The kernel takes the connection, nobody speaks HTTP/2. */
static void test_a_frozen_server(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client;

    (void)state;
    fake_etcd_freeze(fake, true);
    client = test_client_open(fake_etcd_endpoint(fake), ETCD_CLIENT_OPTS(.dial_timeout_ms = 200));
    assert_unreached(client, fake_etcd_endpoint(fake), "");
    etcd_client_free(client);
    fake_etcd_freeze(fake, false);
    fake_etcd_free(fake);
}

/* ---- where limits come from ------------------------------------------------------------------------ */

static void test_the_clients_default(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake),
                                           ETCD_CLIENT_OPTS(.timeout_ms = LIMIT_MS));
    etcd_error err;
    int64_t begin_ms;

    (void)state;
    fake_etcd_always(fake, "Range", &(struct fake_step){.what = STEP_SILENT});
    assert_status(fake_put(client, 0, &err), ETCD_OK, &err);
    begin_ms = test_now_ms();
    assert_status(fake_get(client, 0, &err), ETCD_E_DEADLINE, &err);
    assert_in_time(begin_ms, LIMIT_MS);
    assert_status(fake_get(client, -1, &err), ETCD_E_INVALID_ARGUMENT, &err);
    assert_has_text(err.message, "timeout_ms is -1");
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_no_limit_must_be_asked_for(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake),
                                           ETCD_CLIENT_OPTS(.timeout_ms = LIMIT_MS));
    char value[32];
    etcd_error err;

    (void)state;
    fake_etcd_next(fake, "Range", &(struct fake_step){.delay_ms = 3 * LIMIT_MS});
    assert_status(fake_get(client, ETCD_TIMEOUT_NONE, &err), ETCD_OK, &err);
    assert_false(fake_etcd_field(fake, "Range", "grpc-timeout", value, sizeof(value)));
    etcd_client_free(client);
    fake_etcd_free(fake);
}

/* "400m" and the like; steps of 100 ms, rounded up. */
static int64_t grpc_timeout_ms(struct fake_etcd *fake, const char *method)
{
    char value[32] = "", *unit;
    long number;

    assert_true(fake_etcd_field(fake, method, "grpc-timeout", value, sizeof(value)));
    number = strtol(value, &unit, 10);
    assert_string_equal(unit, "m");
    return number;
}

static void test_the_server_is_told(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    char value[32];
    etcd_error err;

    (void)state;
    assert_status(fake_get(client, 2000, &err), ETCD_OK, &err);
    assert_in_range(grpc_timeout_ms(fake, "Range"), 100, 2000);
    assert_status(fake_get(client, 0, &err), ETCD_OK, &err);
    assert_in_range(grpc_timeout_ms(fake, "Range"), 2100, 5000);
    assert_false(fake_etcd_field(fake, "Range", "token", value, sizeof(value)));
    assert_true(fake_etcd_field(fake, "Range", "te", value, sizeof(value)));
    assert_true(fake_etcd_field(fake, "Range", ":authority", value, sizeof(value)));
    assert_string_equal(value, fake_etcd_endpoint(fake));
    etcd_client_free(client);
    fake_etcd_free(fake);
}

/* Under caller drive nobody looks at the clock between the calls. */
static void test_limits_count_from_the_call(void **state)
{
    struct fake_etcd *a = fake_etcd_start(), *b = fake_etcd_start();
    char endpoints[64];
    etcd_client *client;
    etcd_error err;
    size_t before;

    (void)state;
    (void)snprintf(endpoints, sizeof(endpoints), "%s,%s", fake_etcd_endpoint(a), fake_etcd_endpoint(b));
    client = test_client_open(endpoints, ETCD_CLIENT_OPTS(.dial_timeout_ms = 500, .username = "u",
                                                          .password = ETCD_SECRET_TEXT("p")));
    sleep_ms(1200);
    assert_status(fake_get(client, 2000, &err), ETCD_OK, &err);
    assert_int_equal(fake_etcd_calls(a, "Authenticate") + fake_etcd_calls(b, "Authenticate"), 1);
    for (int i = 0; i < 20; i++)
        assert_status(fake_get(client, 2000, &err), ETCD_OK, &err);
    sleep_ms(1200);
    before = fake_etcd_calls(a, "Range") + fake_etcd_calls(b, "Range");
    assert_status(fake_get(client, 2000, &err), ETCD_OK, &err);
    assert_int_equal(fake_etcd_calls(a, "Range") + fake_etcd_calls(b, "Range"), before + 1);
    assert_in_range(grpc_timeout_ms(fake_etcd_calls(a, "Range") > 0 ? a : b, "Range"), 100, 2000);
    etcd_client_free(client);
    fake_etcd_free(a);
    fake_etcd_free(b);
}

/* ---- a loop whose thread is held up ---------------------------------------------------------------- */

static void hold_up(etcd_op *op, void *user_data)
{
    (void)op;
    __atomic_store_n((bool *)user_data, true, __ATOMIC_RELEASE);
    sleep_ms(3 * LIMIT_MS + 2 * fake_slack_ms() * 3);
}

static void test_a_callback_that_does_not_return(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client;
    bool held_up = false;
    etcd_error err;
    int64_t begin_ms;

    (void)state;
    client = test_client_open(fake_etcd_endpoint(fake), NULL);
    assert_status(etcd_get_async(client, etcd_cstr("k"), NULL, hold_up, &held_up, NULL, &err), ETCD_OK, &err);
    while (!__atomic_load_n(&held_up, __ATOMIC_ACQUIRE))
        sleep_ms(1);
    begin_ms = test_now_ms();
    assert_status(fake_put(client, LIMIT_MS, &err), ETCD_E_DEADLINE, &err);
    assert_in_time(begin_ms, LIMIT_MS);
    assert_has_text(err.message, "put");
    begin_ms = test_now_ms();
    assert_status(etcd_client_wait_ready(client, LIMIT_MS, &err), ETCD_E_DEADLINE, &err);
    assert_in_time(begin_ms, LIMIT_MS);
    etcd_client_free(client);
    /* The put had not begun when its caller left. */
    assert_int_equal(fake_etcd_done(fake, "Put"), 0);
    fake_etcd_free(fake);
}

/* ---- waiting for an operation, and until ready ----------------------------------------------------------
 */

static void test_waiting_does_not_end_an_operation(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    etcd_op *op = NULL;
    etcd_error err;

    (void)state;
    fake_etcd_next(fake, "Put", &(struct fake_step){.delay_ms = 400});
    assert_status(etcd_put_async(client, etcd_cstr("k"), etcd_cstr("v"), NULL, NULL, NULL, &op, &err),
                  ETCD_OK, &err);
    assert_status(etcd_op_wait(op, 0, &err), ETCD_E_BUSY, &err);
    assert_status(etcd_op_wait(op, 50, &err), ETCD_E_BUSY, &err);
    assert_status(etcd_op_status(op, &err), ETCD_E_BUSY, &err);
    assert_status(etcd_put_take(op, NULL, &err), ETCD_E_BUSY, &err);
    assert_status(etcd_op_wait(op, -1, &err), ETCD_E_INVALID_ARGUMENT, &err);
    assert_status(etcd_op_wait(op, ETCD_TIMEOUT_NONE, &err), ETCD_OK, &err);
    assert_status(etcd_put_take(op, NULL, &err), ETCD_OK, &err);
    etcd_op_free(op);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_ready_although_set_aside(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    etcd_error err;

    (void)state;
    assert_status(etcd_client_wait_ready(client, 5000, &err), ETCD_OK, &err);
    fake_etcd_next(fake, "Put",
                   &(struct fake_step){.what = STEP_STATUS,
                                       .code = CODE_UNAVAILABLE,
                                       .message = "etcdserver: request timed out"});
    assert_status(fake_put(client, 5000, &err), ETCD_E_UNAVAILABLE, &err);
    assert_status(etcd_client_wait_ready(client, 500, &err), ETCD_OK, &err);
    assert_status(etcd_client_wait_ready(client, -5, &err), ETCD_E_INVALID_ARGUMENT, &err);
    assert_has_text(err.message, "timeout_ms is -5");
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_ready_once_the_server_is_there(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    etcd_op *op = NULL;
    etcd_error err;

    (void)state;
    fake_etcd_listen(fake, false);
    assert_status(etcd_client_wait_ready_async(client, 20000, NULL, NULL, &op, &err), ETCD_OK, &err);
    test_pump(client, 200);
    assert_false(etcd_op_done(op));
    fake_etcd_listen(fake, true);
    fake_await_op(client, op);
    assert_status(etcd_op_status(op, &err), ETCD_OK, &err);
    etcd_op_free(op);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

/* Under caller drive a client belongs to one thread. */
static const char *const need_threads[] = {
    "test_a_callback_that_does_not_return",
    NULL,
};

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_silent_server),
        cmocka_unit_test(test_a_silent_login),
        cmocka_unit_test(test_a_refused_connection),
        cmocka_unit_test(test_a_black_hole),
        cmocka_unit_test(test_a_frozen_server),
        cmocka_unit_test(test_the_clients_default),
        cmocka_unit_test(test_no_limit_must_be_asked_for),
        cmocka_unit_test(test_the_server_is_told),
        cmocka_unit_test(test_limits_count_from_the_call),
        cmocka_unit_test(test_a_callback_that_does_not_return),
        cmocka_unit_test(test_waiting_does_not_end_an_operation),
        cmocka_unit_test(test_ready_although_set_aside),
        cmocka_unit_test(test_ready_once_the_server_is_there),
    };

    return test_run_group(tests, sizeof(tests) / sizeof(tests[0]), need_threads, NULL, NULL);
}
