/* SPDX-License-Identifier: Apache-2.0 */
/* What is tried again, what never is, and what the error says about it. */
#include "support/fake_client.h"

#include <stdio.h>
#include <stdlib.h>

enum { CODE_CANCELLED = 1, CODE_DEADLINE_EXCEEDED = 4, CODE_FAILED_PRECONDITION = 9, CODE_UNAVAILABLE = 14 };
enum { H2_INTERNAL_ERROR = 2, H2_CANCEL = 8 };

struct world {
    struct fake_etcd *fake;
    etcd_client *client;
    etcd_error err;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    world->fake = fake_etcd_start();
    world->client = test_client_open(fake_etcd_endpoint(world->fake), NULL);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    etcd_client_free(world->client);
    fake_etcd_free(world->fake);
    free(world);
    return 0;
}

static void next(struct world *world, const char *method, struct fake_step step)
{
    fake_etcd_next(world->fake, method, &step);
}

/* ---- reads ----------------------------------------------------------------------------------------- */

static void test_a_read_is_repeated(void **state)
{
    static const struct fake_step steps[] = {
        {.what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: request timed out"},
        {.what = STEP_STATUS_LATE, .code = CODE_UNAVAILABLE, .message = "etcdserver: leader changed"},
        {.what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: no leader"},
        {.what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: server stopped"},
        {.what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "something a proxy says"},
        {.what = STEP_STATUS, .code = CODE_CANCELLED, .message = "context canceled"},
        {.what = STEP_STATUS, .code = CODE_DEADLINE_EXCEEDED, .message = "context deadline exceeded"},
        {.what = STEP_CUT},
        {.what = STEP_DO_AND_CUT},
        {.what = STEP_REFUSE},
        {.what = STEP_RESET, .code = H2_CANCEL},
        {.what = STEP_RESET, .code = H2_INTERNAL_ERROR},
        {.what = STEP_GOAWAY},
        {.what = STEP_NOISE},
        {.what = STEP_HTTP, .code = 503},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        size_t before = fake_etcd_calls(world->fake, "Range");

        next(world, "Range", steps[i]);
        print_message("step %zu\n", i);
        assert_status(fake_get(world->client, 10000, &world->err), ETCD_OK, &world->err);
        assert_int_equal(fake_etcd_calls(world->fake, "Range"), before + 2);
    }
}

static void test_a_definite_answer_is_not_repeated(void **state)
{
    struct world *world = *state;

    next(world, "Range",
         (struct fake_step){.what = STEP_STATUS, .code = CODE_FAILED_PRECONDITION, .message = "no"});
    assert_status(fake_get(world->client, 10000, &world->err), ETCD_E_PRECONDITION, &world->err);
    assert_int_equal(fake_etcd_calls(world->fake, "Range"), 1);
    assert_int_equal(world->err.flags & ETCD_ERROR_RETRYABLE, 0);
    assert_int_equal(world->err.flags & ETCD_ERROR_FROM_SERVER, ETCD_ERROR_FROM_SERVER);
}

static void test_attempts_are_spaced(void **state)
{
    struct world *world = *state;

    fake_etcd_always(world->fake, "Range",
                     &(struct fake_step){
                         .what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: no leader"});
    assert_status(fake_get(world->client, 1000, &world->err), ETCD_E_DEADLINE, &world->err);
    assert_has_text(world->err.message, "no leader");
    assert_int_equal(world->err.flags & ETCD_ERROR_RETRYABLE, ETCD_ERROR_RETRYABLE);
    assert_in_range(fake_etcd_calls(world->fake, "Range"), 3, 12);
}

/* ---- writes ---------------------------------------------------------------------------------------- */

static void test_a_write_is_not_repeated_when_it_may_have_been_done(void **state)
{
    static const struct {
        struct fake_step step;
        etcd_status status;
        size_t done;
    } cases[] = {
        {{.what = STEP_CUT}, ETCD_E_UNAVAILABLE, 0},
        {{.what = STEP_DO_AND_CUT}, ETCD_E_UNAVAILABLE, 1},
        {{.what = STEP_RESET, .code = H2_CANCEL}, ETCD_E_UNAVAILABLE, 0},
        {{.what = STEP_DO_AND_RESET, .code = H2_INTERNAL_ERROR}, ETCD_E_PROTOCOL, 1},
        {{.what = STEP_NOISE}, ETCD_E_UNAVAILABLE, 0},
        {{.what = STEP_HTTP, .code = 503}, ETCD_E_UNAVAILABLE, 0},
        {{.what = STEP_STATUS, .code = CODE_CANCELLED, .message = "context canceled"}, ETCD_E_UNAVAILABLE, 0},
        {{.what = STEP_STATUS, .code = CODE_DEADLINE_EXCEEDED, .message = "context deadline exceeded"},
         ETCD_E_DEADLINE,
         0},
        {{.what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: leader changed"},
         ETCD_E_NO_LEADER,
         0},
        {{.what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: request timed out"},
         ETCD_E_UNAVAILABLE,
         0},
        {{.what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: server stopped"},
         ETCD_E_UNAVAILABLE,
         0},
        {{.what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "something a proxy says"},
         ETCD_E_UNAVAILABLE,
         0},
        {{.what = STEP_GARBAGE}, ETCD_E_PROTOCOL, 0},
        {{.what = STEP_COMPRESSED}, ETCD_E_PROTOCOL, 1},
        {{.what = STEP_HALF}, ETCD_E_PROTOCOL, 1},
        {{.what = STEP_TWICE}, ETCD_E_PROTOCOL, 1},
        {{.what = STEP_NO_TRAILERS}, ETCD_E_PROTOCOL, 1},
        {{.what = STEP_EMPTY}, ETCD_E_PROTOCOL, 0},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t before = fake_etcd_calls(world->fake, "Put"), done = fake_etcd_done(world->fake, "Put");

        next(world, "Put", cases[i].step);
        print_message("case %zu\n", i);
        assert_status(fake_put(world->client, 10000, &world->err), cases[i].status, &world->err);
        assert_int_equal(fake_etcd_calls(world->fake, "Put"), before + 1);
        assert_int_equal(fake_etcd_done(world->fake, "Put"), done + cases[i].done);
        assert_int_equal(world->err.flags & ETCD_ERROR_MAYBE_APPLIED, ETCD_ERROR_MAYBE_APPLIED);
        assert_int_equal(world->err.flags & ETCD_ERROR_RETRYABLE, 0);
        assert_has_text(world->err.message, "may have been applied");
    }
}

static void test_a_write_is_repeated_when_it_was_refused_unprocessed(void **state)
{
    static const struct fake_step steps[] = {
        {.what = STEP_REFUSE},
        {.what = STEP_GOAWAY},
        {.what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: no leader"},
        {.what = STEP_STATUS,
         .code = CODE_FAILED_PRECONDITION,
         .message = "etcdserver: rpc not supported for learner"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        size_t before = fake_etcd_calls(world->fake, "Put");

        next(world, "Put", steps[i]);
        print_message("step %zu\n", i);
        assert_status(fake_put(world->client, 10000, &world->err), ETCD_OK, &world->err);
        assert_int_equal(fake_etcd_calls(world->fake, "Put"), before + 2);
        assert_int_equal(fake_etcd_done(world->fake, "Put"), i + 1);
    }
}

static void test_a_write_waits_for_a_connection(void **state)
{
    struct world *world = *state;

    assert_status(fake_put(world->client, 10000, &world->err), ETCD_OK, &world->err);
    fake_etcd_cut(world->fake);
    test_pump(world->client, 100);
    /* Never sent where there is no connection, so it may go out on the next one. */
    assert_status(fake_put(world->client, 10000, &world->err), ETCD_OK, &world->err);
    assert_int_equal(fake_etcd_done(world->fake, "Put"), 2);
    assert_int_equal(fake_etcd_connections(world->fake), 2);
}

static void test_an_answer_before_goaway_counts(void **state)
{
    struct world *world = *state;

    next(world, "Put", (struct fake_step){.what = STEP_DO_AND_GOAWAY});
    assert_status(fake_put(world->client, 10000, &world->err), ETCD_OK, &world->err);
    assert_status(fake_put(world->client, 10000, &world->err), ETCD_OK, &world->err);
    assert_int_equal(fake_etcd_done(world->fake, "Put"), 2);
    assert_int_equal(fake_etcd_connections(world->fake), 2);
}

static void test_other_writes_are_treated_alike(void **state)
{
    struct world *world = *state;
    etcd_txn *txn = etcd_txn_new();

    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("k"), etcd_cstr("v"), NULL);
    next(world, "Txn", (struct fake_step){.what = STEP_DO_AND_CUT});
    assert_status(etcd_txn_commit(world->client, txn, NULL, NULL, &world->err), ETCD_E_UNAVAILABLE,
                  &world->err);
    assert_true((world->err.flags & ETCD_ERROR_MAYBE_APPLIED) != 0);
    assert_int_equal(fake_etcd_calls(world->fake, "Txn"), 1);
    next(world, "DeleteRange", (struct fake_step){.what = STEP_CUT});
    assert_status(etcd_delete(world->client, etcd_cstr("k"), NULL, NULL, &world->err), ETCD_E_UNAVAILABLE,
                  &world->err);
    assert_true((world->err.flags & ETCD_ERROR_MAYBE_APPLIED) != 0);
    assert_int_equal(fake_etcd_calls(world->fake, "DeleteRange"), 1);
    next(world, "Compact", (struct fake_step){.what = STEP_CUT});
    assert_status(etcd_compact(world->client, 1, NULL, &world->err), ETCD_E_UNAVAILABLE, &world->err);
    assert_true((world->err.flags & ETCD_ERROR_MAYBE_APPLIED) != 0);
    assert_int_equal(fake_etcd_calls(world->fake, "Compact"), 1);
    etcd_txn_free(txn);
}

static void test_a_transaction_that_only_reads_is_repeated(void **state)
{
    struct world *world = *state;
    etcd_txn *txn = etcd_txn_new();

    etcd_txn_if_exists(txn, etcd_cstr("k"));
    next(world, "Txn", (struct fake_step){.what = STEP_CUT});
    assert_status(etcd_txn_commit(world->client, txn, NULL, NULL, &world->err), ETCD_OK, &world->err);
    assert_int_equal(fake_etcd_calls(world->fake, "Txn"), 2);
    etcd_txn_free(txn);
}

static void test_fail_fast_does_not_wait(void **state)
{
    struct world *world = *state;
    int64_t begin = test_now_ms();

    fake_etcd_listen(world->fake, false);
    assert_status(etcd_put(world->client, etcd_cstr("k"), etcd_cstr("v"),
                           ETCD_PUT_OPTS(.fail_fast = true, .timeout_ms = 20000), NULL, &world->err),
                  ETCD_E_UNAVAILABLE, &world->err);
    assert_true(test_now_ms() - begin < 10000);
    assert_has_text(world->err.message, "refused");
    assert_int_equal(world->err.flags & (ETCD_ERROR_RETRYABLE | ETCD_ERROR_MAYBE_APPLIED),
                     ETCD_ERROR_RETRYABLE);
}

/* ---- several endpoints ----------------------------------------------------------------------------- */

struct pair {
    struct fake_etcd *a, *b;
    etcd_client *client;
    etcd_error err;
};

static int set_up_pair(void **state)
{
    struct pair *pair = calloc(1, sizeof(*pair));
    char endpoints[64];

    pair->a = fake_etcd_start();
    pair->b = fake_etcd_start();
    (void)snprintf(endpoints, sizeof(endpoints), "%s,%s", fake_etcd_endpoint(pair->a),
                   fake_etcd_endpoint(pair->b));
    pair->client = test_client_open(endpoints, NULL);
    *state = pair;
    return 0;
}

static int tear_down_pair(void **state)
{
    struct pair *pair = *state;

    etcd_client_free(pair->client);
    fake_etcd_free(pair->a);
    fake_etcd_free(pair->b);
    free(pair);
    return 0;
}

/* Until both are connected, so that there is a choice. */
static void connect_both(struct pair *pair)
{
    int64_t give_up_ms = test_now_ms() + 10000;

    while (test_now_ms() < give_up_ms &&
           (fake_etcd_calls(pair->a, NULL) == 0 || fake_etcd_calls(pair->b, NULL) == 0))
        assert_status(fake_get(pair->client, 10000, &pair->err), ETCD_OK, &pair->err);
    assert_true(fake_etcd_calls(pair->a, NULL) > 0);
    assert_true(fake_etcd_calls(pair->b, NULL) > 0);
}

static void test_a_read_goes_elsewhere(void **state)
{
    struct pair *pair = *state;
    const struct fake_step no_leader = {
        .what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: no leader"};
    size_t refused;

    connect_both(pair);
    fake_etcd_always(pair->a, "Range", &no_leader);
    refused = fake_etcd_calls(pair->a, "Range");
    for (int i = 0; i < 20; i++)
        assert_status(fake_get(pair->client, 10000, &pair->err), ETCD_OK, &pair->err);
    /* Set aside after the first refusal; asked again only when that time is over. */
    assert_in_range(fake_etcd_calls(pair->a, "Range") - refused, 1, 3);
}

static void test_a_write_without_a_leader_goes_elsewhere(void **state)
{
    struct pair *pair = *state;
    const struct fake_step no_leader = {
        .what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: no leader"};

    connect_both(pair);
    fake_etcd_always(pair->a, "Put", &no_leader);
    for (int i = 0; i < 20; i++)
        assert_status(fake_put(pair->client, 10000, &pair->err), ETCD_OK, &pair->err);
    assert_int_equal(fake_etcd_done(pair->b, "Put"), 20);
}

static void test_a_silent_member_is_gone_around(void **state)
{
    struct pair *pair = *state;
    int64_t begin = test_now_ms();

    connect_both(pair);
    fake_etcd_always(pair->a, "Range", &(struct fake_step){.what = STEP_SILENT});
    for (int i = 0; i < 4; i++)
        assert_status(fake_get(pair->client, 10000, &pair->err), ETCD_OK, &pair->err);
    assert_true(fake_etcd_calls(pair->a, "Range") > 0);
    assert_true(test_now_ms() - begin < 10000);
}

/* The other one refuses at first; the read must not hang on the silent one. */
static void test_a_silent_member_and_a_refusing_one(void **state)
{
    struct pair *pair = *state;
    const struct fake_step no_leader = {
        .what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: no leader"};

    connect_both(pair);
    fake_etcd_always(pair->a, "Range", &(struct fake_step){.what = STEP_SILENT});
    for (int i = 0; i < 2; i++)
        fake_etcd_next(pair->b, "Range", &no_leader);
    for (int i = 0; i < 2; i++)
        assert_status(fake_get(pair->client, 8000, &pair->err), ETCD_OK, &pair->err);
}

static void test_a_frozen_member_is_gone_around(void **state)
{
    struct pair *pair = *state;

    connect_both(pair);
    fake_etcd_freeze(pair->a, true);
    for (int i = 0; i < 10; i++)
        assert_status(fake_get(pair->client, 10000, &pair->err), ETCD_OK, &pair->err);
    fake_etcd_freeze(pair->a, false);
}

static void test_a_write_is_done_once_with_two_endpoints(void **state)
{
    struct pair *pair = *state;
    size_t failed = 0;

    connect_both(pair);
    fake_etcd_always(pair->a, "Put", &(struct fake_step){.what = STEP_DO_AND_CUT});
    for (int i = 0; i < 10; i++) {
        etcd_status st = fake_put(pair->client, 10000, &pair->err);

        if (st == ETCD_OK)
            continue;
        failed++;
        assert_status(st, ETCD_E_UNAVAILABLE, &pair->err);
        assert_true((pair->err.flags & ETCD_ERROR_MAYBE_APPLIED) != 0);
    }
    assert_int_equal(fake_etcd_done(pair->a, "Put") + fake_etcd_done(pair->b, "Put"), 10);
    assert_int_equal(fake_etcd_done(pair->a, "Put"), failed);
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define TWO(test) cmocka_unit_test_setup_teardown(test, set_up_pair, tear_down_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(test_a_read_is_repeated),
        ONE(test_a_definite_answer_is_not_repeated),
        ONE(test_attempts_are_spaced),
        ONE(test_a_write_is_not_repeated_when_it_may_have_been_done),
        ONE(test_a_write_is_repeated_when_it_was_refused_unprocessed),
        ONE(test_a_write_waits_for_a_connection),
        ONE(test_an_answer_before_goaway_counts),
        ONE(test_other_writes_are_treated_alike),
        ONE(test_a_transaction_that_only_reads_is_repeated),
        ONE(test_fail_fast_does_not_wait),
        TWO(test_a_read_goes_elsewhere),
        TWO(test_a_write_without_a_leader_goes_elsewhere),
        TWO(test_a_silent_member_is_gone_around),
        TWO(test_a_silent_member_and_a_refusing_one),
        TWO(test_a_frozen_member_is_gone_around),
        TWO(test_a_write_is_done_once_with_two_endpoints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
