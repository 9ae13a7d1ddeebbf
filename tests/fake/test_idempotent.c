/* SPDX-License-Identifier: Apache-2.0 */
/* Writes that their caller calls repeatable: tried again like reads, and honest about it all the same. */
#include "support/fake_client.h"

#include <stdio.h>
#include <stdlib.h>

enum { CODE_PERMISSION_DENIED = 7, CODE_EXHAUSTED = 8, CODE_UNAVAILABLE = 14, CODE_UNAUTHENTICATED = 16 };
enum { BOTH = ETCD_ERROR_RETRYABLE | ETCD_ERROR_MAYBE_APPLIED };

struct world {
    struct fake_etcd *a, *b; /* b: only where a test wants two */
    etcd_client *client;
    etcd_txn *txn;
    etcd_error err;
};

static void set_up_with(struct world *world, bool two)
{
    char endpoints[64];

    world->a = fake_etcd_start();
    world->b = two ? fake_etcd_start() : NULL;
    (void)snprintf(endpoints, sizeof(endpoints), "%s%s%s", fake_etcd_endpoint(world->a), two ? "," : "",
                   two ? fake_etcd_endpoint(world->b) : "");
    world->client = test_client_open(endpoints, NULL);
    world->txn = etcd_txn_new();
    etcd_txn_put(world->txn, ETCD_TXN_THEN, etcd_cstr("k"), etcd_cstr("v"), NULL);
}

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct world));
    set_up_with(*state, false);
    return 0;
}

static int set_up_two(void **state)
{
    *state = calloc(1, sizeof(struct world));
    set_up_with(*state, true);
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    etcd_txn_free(world->txn);
    etcd_client_free(world->client);
    fake_etcd_free(world->a);
    fake_etcd_free(world->b);
    free(world);
    return 0;
}

static etcd_status put(struct world *world, int64_t timeout_ms)
{
    return etcd_put(world->client, etcd_cstr("k"), etcd_cstr("v"),
                    ETCD_PUT_OPTS(.idempotent = true, .timeout_ms = timeout_ms), NULL, &world->err);
}

static etcd_status delete (struct world *world, int64_t timeout_ms)
{
    return etcd_delete(world->client, etcd_cstr("k"),
                       ETCD_DELETE_OPTS(.idempotent = true, .timeout_ms = timeout_ms), NULL, &world->err);
}

static etcd_status commit(struct world *world, int64_t timeout_ms)
{
    return etcd_txn_commit(world->client, world->txn,
                           ETCD_TXN_OPTS(.idempotent = true, .timeout_ms = timeout_ms), NULL, &world->err);
}

static const struct {
    const char *method;
    etcd_status (*run)(struct world *world, int64_t timeout_ms);
} writes[] = {{"Put", put}, {"DeleteRange", delete}, {"Txn", commit}};

static void test_a_lost_answer_is_asked_for_again(void **state)
{
    static const struct fake_step steps[] = {
        {.what = STEP_CUT},
        {.what = STEP_DO_AND_CUT},
        {.what = STEP_RESET, .code = 8},
        {.what = STEP_NOISE},
        {.what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: leader changed"},
        {.what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: request timed out"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
        for (size_t j = 0; j < (i == 0 ? sizeof(steps) / sizeof(steps[0]) : 2); j++) {
            size_t before = fake_etcd_calls(world->a, writes[i].method);

            print_message("%s, step %zu\n", writes[i].method, j);
            fake_etcd_next(world->a, writes[i].method, &steps[j]);
            assert_status(writes[i].run(world, 10000), ETCD_OK, &world->err);
            assert_int_equal(fake_etcd_calls(world->a, writes[i].method), before + 2);
        }
    }
}

/* What is final stays final; and what may have happened before it is told. */
static void test_a_refusal_after_a_lost_answer(void **state)
{
    static const struct fake_step denied = {
        .what = STEP_STATUS, .code = CODE_PERMISSION_DENIED, .message = "etcdserver: permission denied"};
    struct world *world = *state;

    for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
        const char *method = writes[i].method;

        fake_etcd_next(world->a, method, &denied);
        assert_status(writes[i].run(world, 10000), ETCD_E_DENIED, &world->err);
        assert_int_equal(world->err.flags & BOTH, 0);
        fake_etcd_next(world->a, method, &(struct fake_step){.what = STEP_DO_AND_CUT});
        fake_etcd_next(world->a, method, &denied);
        assert_status(writes[i].run(world, 10000), ETCD_E_DENIED, &world->err);
        assert_int_equal(world->err.flags & BOTH, ETCD_ERROR_MAYBE_APPLIED);
        assert_has_text(world->err.message, "may have been applied");
        assert_int_equal(fake_etcd_calls(world->a, method), 3);
    }
}

/* The answer is lost, the next attempt needs a new token, and the login is refused. */
static void test_a_refused_login_after_a_lost_answer(void **state)
{
    struct world *world = *state;
    etcd_client *client;

    fake_etcd_set_auth(world->a, "alice", "secret");
    client = test_client_open(fake_etcd_endpoint(world->a),
                              ETCD_CLIENT_OPTS(.username = "alice", .password = ETCD_SECRET_TEXT("secret")));
    assert_status(fake_put(client, 5000, &world->err), ETCD_OK, &world->err);
    fake_etcd_next(world->a, "Put", &(struct fake_step){.what = STEP_DO_AND_CUT});
    fake_etcd_next(world->a, "Put",
                   &(struct fake_step){.what = STEP_STATUS,
                                       .code = CODE_UNAUTHENTICATED,
                                       .message = "etcdserver: invalid auth token"});
    fake_etcd_next(world->a, "Authenticate",
                   &(struct fake_step){.what = STEP_STATUS,
                                       .code = CODE_EXHAUSTED,
                                       .message = "etcdserver: too many requests"});
    assert_status(etcd_put(client, etcd_cstr("k"), etcd_cstr("v"),
                           ETCD_PUT_OPTS(.idempotent = true, .timeout_ms = 5000), NULL, &world->err),
                  ETCD_E_BUSY, &world->err);
    assert_int_equal(world->err.flags, BOTH | ETCD_ERROR_FROM_SERVER);
    assert_has_text(world->err.message, "the write may have been applied");
    etcd_client_free(client);
}

static void test_out_of_time_it_may_be_applied_and_may_be_repeated(void **state)
{
    static const struct fake_step timed_out = {
        .what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: request timed out"};
    struct world *world = *state;

    for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
        fake_etcd_always(world->a, writes[i].method, &(struct fake_step){.what = STEP_SILENT});
        assert_status(writes[i].run(world, 100), ETCD_E_DEADLINE, &world->err);
        assert_int_equal(world->err.flags & BOTH, BOTH);
        fake_etcd_always(world->a, writes[i].method, &timed_out);
        assert_status(writes[i].run(world, 400), ETCD_E_DEADLINE, &world->err);
        assert_int_equal(world->err.flags & BOTH, BOTH);
        assert_in_range(fake_etcd_calls(world->a, writes[i].method), 2, 10);
    }
    /* Never sent: nothing can have happened. */
    fake_etcd_listen(world->a, false);
    fake_etcd_cut(world->a);
    test_pump(world->client, 100);
    assert_status(put(world, 200), ETCD_E_UNAVAILABLE, &world->err);
    assert_int_equal(world->err.flags & BOTH, ETCD_ERROR_RETRYABLE);
}

static void test_a_cancelled_one_may_be_applied(void **state)
{
    struct world *world = *state;
    etcd_op *op;

    fake_etcd_next(world->a, "Put", &(struct fake_step){.what = STEP_SILENT});
    assert_status(etcd_put_async(world->client, etcd_cstr("k"), etcd_cstr("v"),
                                 ETCD_PUT_OPTS(.idempotent = true), NULL, NULL, &op, &world->err),
                  ETCD_OK, &world->err);
    fake_await_calls(world->client, world->a, "Put", 1);
    etcd_op_cancel(op);
    fake_await_op(world->client, op);
    assert_status(etcd_op_status(op, &world->err), ETCD_E_CANCELLED, &world->err);
    assert_int_equal(world->err.flags & BOTH, ETCD_ERROR_MAYBE_APPLIED);
    etcd_op_free(op);
}

/* One that stays unanswered is asked for elsewhere as well, like a read; other writes are not. */
static void test_a_silent_member_is_gone_around(void **state)
{
    struct world *world = *state;
    int64_t give_up_ms = test_now_ms() + 10000;

    while (test_now_ms() < give_up_ms &&
           (fake_etcd_calls(world->a, NULL) == 0 || fake_etcd_calls(world->b, NULL) == 0))
        assert_status(fake_get(world->client, 10000, &world->err), ETCD_OK, &world->err);
    fake_etcd_always(world->a, "Put", &(struct fake_step){.what = STEP_SILENT});
    fake_etcd_always(world->b, "Put", &(struct fake_step){.what = STEP_SILENT});
    assert_status(fake_put(world->client, 1500, &world->err), ETCD_E_DEADLINE, &world->err);
    assert_int_equal(fake_etcd_calls(world->a, "Put") + fake_etcd_calls(world->b, "Put"), 1);
    fake_etcd_always(world->b, "Put", NULL);
    for (int i = 0; i < 3; i++)
        assert_status(put(world, 10000), ETCD_OK, &world->err);
    assert_int_equal(fake_etcd_done(world->a, "Put"), 0);
    assert_int_equal(fake_etcd_done(world->b, "Put"), 3);
}

/* In a transaction the word is the commit's; that of an operation in it is not looked at. */
static void test_an_operation_in_a_transaction_does_not_decide(void **state)
{
    struct world *world = *state;
    etcd_txn *txn = etcd_txn_new();

    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("k"), etcd_cstr("v"),
                 ETCD_PUT_OPTS(.idempotent = true, .timeout_ms = 1, .fail_fast = true));
    etcd_txn_delete(txn, ETCD_TXN_THEN, etcd_cstr("l"),
                    ETCD_DELETE_OPTS(.idempotent = true, .timeout_ms = 1, .fail_fast = true));
    fake_etcd_next(world->a, "Txn", &(struct fake_step){.what = STEP_ANSWER, .delay_ms = 50});
    assert_status(etcd_txn_commit(world->client, txn, NULL, NULL, &world->err), ETCD_OK, &world->err);
    fake_etcd_next(world->a, "Txn", &(struct fake_step){.what = STEP_DO_AND_CUT});
    assert_status(etcd_txn_commit(world->client, txn, NULL, NULL, &world->err), ETCD_E_UNAVAILABLE,
                  &world->err);
    assert_int_equal(world->err.flags & BOTH, ETCD_ERROR_MAYBE_APPLIED);
    assert_int_equal(fake_etcd_calls(world->a, "Txn"), 2);
    etcd_txn_free(txn);
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define TWO(test) cmocka_unit_test_setup_teardown(test, set_up_two, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(test_a_lost_answer_is_asked_for_again),
        ONE(test_a_refusal_after_a_lost_answer),
        ONE(test_a_refused_login_after_a_lost_answer),
        ONE(test_out_of_time_it_may_be_applied_and_may_be_repeated),
        ONE(test_a_cancelled_one_may_be_applied),
        TWO(test_a_silent_member_is_gone_around),
        ONE(test_an_operation_in_a_transaction_does_not_decide),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
