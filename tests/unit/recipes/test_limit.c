/* SPDX-License-Identifier: Apache-2.0 */
#include "recipes/limit.h"

#include "base/mem.h"
#include "support/test.h"

static etcd_client *client;

static int set_up(void **state)
{
    (void)state;
    return etcd_client_open(NULL, &client, NULL) == ETCD_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    etcd_client_free(client);
    return 0;
}

static struct etcd__limit limit_of(int64_t timeout_ms)
{
    struct etcd__limit limit;

    assert_int_equal(etcd__limit_start(&limit, client, timeout_ms, NULL), ETCD_OK);
    return limit;
}

static etcd_error failure(etcd_status status, uint32_t flags)
{
    return (etcd_error){.status = status, .grpc_code = -1, .flags = flags};
}

static void what_is_left(void **state)
{
    struct etcd__limit limit = limit_of(60000), none = limit_of(ETCD_TIMEOUT_NONE);
    etcd_error err;
    int64_t left;

    (void)state;
    assert_int_equal(etcd__limit_left(&limit, &left, &err), ETCD_OK);
    assert_true(left > 0 && left <= 60000);
    assert_int_equal(etcd__limit_left(&none, &left, &err), ETCD_OK);
    assert_true(left == ETCD_TIMEOUT_NONE);
    limit.end_ms = 1; /* long ago */
    assert_int_equal(etcd__limit_left(&limit, &left, &err), ETCD_E_DEADLINE);
    assert_int_equal(etcd__limit_start(&limit, client, -1, &err), ETCD_E_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "-1"));
}

static void tries_get_longer(void **state)
{
    struct etcd__limit none = limit_of(ETCD_TIMEOUT_NONE), brief = limit_of(100);
    etcd_error err = failure(ETCD_E_DEADLINE, ETCD_ERROR_MAYBE_APPLIED);
    int64_t first, second;

    (void)state;
    assert_int_equal(etcd__limit_try(&none, &first, NULL), ETCD_OK);
    assert_true(etcd__limit_repeat(&none, &err));
    assert_int_equal(etcd__limit_try(&none, &second, NULL), ETCD_OK);
    assert_true(second == 2 * first);
    assert_int_equal(etcd__limit_try(&brief, &first, NULL), ETCD_OK);
    assert_true(first <= 100);
}

static void what_is_repeated(void **state)
{
    static const struct {
        etcd_status status;
        uint32_t flags;
        bool repeated;
    } cases[] = {
        {ETCD_E_UNAVAILABLE, ETCD_ERROR_RETRYABLE, true},
        {ETCD_E_DEADLINE, ETCD_ERROR_MAYBE_APPLIED, true},
        {ETCD_E_NO_LEADER, ETCD_ERROR_RETRYABLE | ETCD_ERROR_FROM_SERVER, true},
        {ETCD_E_DENIED, ETCD_ERROR_FROM_SERVER, false},
        {ETCD_E_INVALID_ARGUMENT, 0, false},
        {ETCD_E_CANCELLED, ETCD_ERROR_MAYBE_APPLIED, false},
        {ETCD_E_CLOSED, ETCD_ERROR_MAYBE_APPLIED, false},
    };

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(cases); i++) {
        struct etcd__limit limit = limit_of(60000);
        etcd_error err = failure(cases[i].status, cases[i].flags);

        assert_int_equal(etcd__limit_repeat(&limit, &err), cases[i].repeated);
    }
}

static void nothing_is_repeated_when_the_time_is_up(void **state)
{
    struct etcd__limit limit = limit_of(1);
    etcd_error err = failure(ETCD_E_UNAVAILABLE, ETCD_ERROR_RETRYABLE);

    (void)state;
    assert_false(etcd__limit_repeat(&limit, &err)); /* there is no time for a pause and a try */
}

/* Pauses are times on the client's loop: under caller drive it is driven meanwhile, and leases are renewed.
 */
static void pauses_drive_the_loop(void **state)
{
    etcd_error err = failure(ETCD_E_UNAVAILABLE, ETCD_ERROR_RETRYABLE);
    etcd_client *driven = NULL;
    etcd_loop *loop = NULL;
    struct etcd__limit limit;
    etcd_op *op = NULL;

    (void)state;
    assert_int_equal(etcd_loop_new(ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER), &loop, NULL), ETCD_OK);
    assert_int_equal(etcd_client_open(ETCD_CLIENT_OPTS(.loop = loop), &driven, NULL), ETCD_OK);
    assert_int_equal(etcd_client_delay_async(driven, 1, NULL, NULL, &op, NULL), ETCD_OK);
    assert_int_equal(etcd__limit_start(&limit, driven, 60000, NULL), ETCD_OK);
    assert_true(etcd__limit_repeat(&limit, &err));
    assert_true(etcd_op_done(op));
    etcd_op_free(op);
    assert_int_equal(etcd_client_close(driven, NULL), ETCD_OK);
    assert_false(
        etcd__limit_repeat(&limit, &err)); /* nor is anything repeated that could not be paused for */
    etcd_client_free(driven);
    etcd_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left),          cmocka_unit_test(tries_get_longer),
        cmocka_unit_test(what_is_repeated),      cmocka_unit_test(nothing_is_repeated_when_the_time_is_up),
        cmocka_unit_test(pauses_drive_the_loop),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
