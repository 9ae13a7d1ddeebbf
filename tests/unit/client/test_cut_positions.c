/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first connection of a client ends at each byte of it in turn: of what the client sends, of what the
 * server sends, in order and with a reset. Whatever a write's caller is told has to be true.
 */
#include "support/fake_client.h"
#include "support/fake_env.h"

#include "runtime/loop.h"

#include <stdio.h>
#include <stdlib.h>

enum { LIMIT_MS = 20000, POSITIONS_MAX = 4000 };

struct world {
    struct fake_env *env;
    struct fake_etcd *fake;
    etcd_loop *loop;
    etcd_client *client;
    etcd_error err;
};

struct cut {
    bool answers, reset;
    const char *text;
};

static const struct cut cuts[] = {
    {false, false, "request, end"},
    {false, true, "request, reset"},
    {true, false, "answer, end"},
    {true, true, "answer, reset"},
};

static void open_world(struct world *world, const struct cut *cut, size_t position)
{
    memset(world, 0, sizeof(*world));
    world->env = fake_env_new(position + 1);
    world->fake = fake_etcd_attach(world->env, "192.0.2.1", 2379);
    fake_etcd_cut_at(world->fake, cut->answers ? SIZE_MAX : position, cut->answers ? position : SIZE_MAX,
                     cut->reset);
    assert_status(etcd__loop_new_env(fake_env_table(world->env), &world->loop, &world->err), ETCD_OK,
                  &world->err);
    assert_status(
        etcd_client_open(ETCD_CLIENT_OPTS(.loop = world->loop, .endpoints = ETCD_LIST("192.0.2.1:2379")),
                         &world->client, &world->err),
        ETCD_OK, &world->err);
}

static void close_world(struct world *world)
{
    etcd_client_free(world->client);
    etcd_loop_free(world->loop);
    fake_etcd_free(world->fake);
    assert_int_equal(fake_open_sockets(world->env), 0);
    assert_int_equal(fake_misuses(world->env), 0);
    fake_env_free(world->env);
}

/* ---- the writes ------------------------------------------------------------------------------------ */

static etcd_status put(struct world *world, bool idempotent)
{
    return etcd_put(world->client, etcd_cstr("key"), etcd_cstr("value"),
                    ETCD_PUT_OPTS(.timeout_ms = LIMIT_MS, .idempotent = idempotent), NULL, &world->err);
}

static etcd_status delete (struct world *world, bool idempotent)
{
    return etcd_delete(world->client, etcd_cstr("key"),
                       ETCD_DELETE_OPTS(.timeout_ms = LIMIT_MS, .idempotent = idempotent), NULL, &world->err);
}

static etcd_status commit(struct world *world, bool idempotent)
{
    etcd_txn *txn = etcd_txn_new();
    etcd_status st;

    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("key"), etcd_cstr("value"), NULL);
    st = etcd_txn_commit(world->client, txn, ETCD_TXN_OPTS(.timeout_ms = LIMIT_MS, .idempotent = idempotent),
                         NULL, &world->err);
    etcd_txn_free(txn);
    return st;
}

struct write {
    const char *method;
    etcd_status (*run)(struct world *world, bool idempotent);
};

static const struct write writes[] = {{"Put", put}, {"DeleteRange", delete}, {"Txn", commit}};

/* ---- what has to be true --------------------------------------------------------------------------- */

/* How often each outcome came: a test that sees one of them never has looked at nothing. */
struct outcomes {
    size_t repeated, lost_before, lost_after;
};

static void check(const struct world *world, etcd_status st, size_t done, struct outcomes *outcomes)
{
    uint32_t flags = world->err.flags;

    assert_true(done <= 1);
    if (st == ETCD_OK) {
        assert_int_equal(done, 1);
        outcomes->repeated += fake_etcd_connections(world->fake) > 1 ? 1 : 0;
        return;
    }
    assert_int_equal(st, ETCD_E_UNAVAILABLE);
    /* Everything that was never sent is sent again: within this time a failure is always in doubt. */
    assert_int_equal(flags & (ETCD_ERROR_MAYBE_APPLIED | ETCD_ERROR_RETRYABLE), ETCD_ERROR_MAYBE_APPLIED);
    assert_has_text(world->err.message, "may have been applied");
    outcomes->lost_before += done == 0 ? 1 : 0;
    outcomes->lost_after += done == 1 ? 1 : 0;
}

/* False: the connection was not cut, the position lies behind its end. */
static bool cut_at(const struct write *write, const struct cut *cut, size_t position,
                   struct outcomes *outcomes)
{
    struct world world;
    etcd_status st;
    bool was_cut;

    open_world(&world, cut, position);
    st = write->run(&world, false);
    check(&world, st, fake_etcd_done(world.fake, write->method), outcomes);
    /* The client lives on, on a connection of its own making. */
    assert_status(fake_get(world.client, LIMIT_MS, &world.err), ETCD_OK, &world.err);
    was_cut = fake_etcd_connections(world.fake) > 1;
    close_world(&world);
    return was_cut;
}

static void cut_everywhere(const struct write *write)
{
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        struct outcomes outcomes = {0, 0, 0};
        size_t position = 1;

        while (position < POSITIONS_MAX && cut_at(write, &cuts[i], position, &outcomes))
            position++;
        print_message("%s, %s: %zu positions, %zu repeated, %zu lost before and %zu after\n", write->method,
                      cuts[i].text, position - 1, outcomes.repeated, outcomes.lost_before,
                      outcomes.lost_after);
        assert_in_range(position, 100, POSITIONS_MAX - 1);
        /* The server's first bytes come before it has read any, so a request is on its way by then. */
        assert_true(cuts[i].answers ? outcomes.repeated > 0 : outcomes.lost_before > 0);
        assert_true(!cuts[i].answers || outcomes.lost_after > 0);
    }
}

static void test_a_put(void **state)
{
    (void)state;
    cut_everywhere(&writes[0]);
}

static void test_a_delete(void **state)
{
    (void)state;
    cut_everywhere(&writes[1]);
}

static void test_a_transaction(void **state)
{
    (void)state;
    cut_everywhere(&writes[2]);
}

/* One that may be repeated succeeds at every position, and is done once or twice. */
static void test_one_that_may_be_repeated(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        bool was_cut = true;
        size_t twice = 0;

        for (size_t position = 1; was_cut && position < POSITIONS_MAX; position++) {
            struct world world;
            size_t done;

            open_world(&world, &cuts[i], position);
            assert_status(put(&world, true), ETCD_OK, &world.err);
            done = fake_etcd_done(world.fake, "Put");
            assert_in_range(done, 1, 2);
            twice += done == 2 ? 1 : 0;
            assert_status(fake_get(world.client, LIMIT_MS, &world.err), ETCD_OK, &world.err);
            was_cut = fake_etcd_connections(world.fake) > 1;
            close_world(&world);
        }
        assert_false(was_cut);
        assert_true(cuts[i].answers ? twice > 0 : true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_put),
        cmocka_unit_test(test_a_delete),
        cmocka_unit_test(test_a_transaction),
        cmocka_unit_test(test_one_that_may_be_repeated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
