/* SPDX-License-Identifier: Apache-2.0 */
/* Watches whose server goes away and comes back: every event once, in order. */
#include "support/client.h"
#include "support/matrix.h"
#include "support/process.h"
#include "support/test.h"
#include "support/watching.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { WRITES = 1000, ROUND = 20 };

/* ---- writing through it ---------------------------------------------------------------------------- */

/* Starts a round of writes and leaves them under way: some of them are when the server is killed. */
static void start_round(etcd_client *client, etcd_op *ops[ROUND])
{
    etcd_error err;

    for (int i = 0; i < ROUND; i++)
        watch_ok(etcd_put_async(client, etcd_cstr("resume"), etcd_cstr("x"),
                                ETCD_PUT_OPTS(.timeout_ms = 60000), NULL, NULL, &ops[i], &err),
                 &err);
}

/* Whether one that was interrupted was carried out does not matter: the revisions tell. */
static void finish_round(etcd_op *ops[ROUND])
{
    etcd_error err;

    for (int i = 0; i < ROUND; i++) {
        watch_ok(etcd_op_wait(ops[i], 120000, &err), &err);
        etcd_op_free(ops[i]);
    }
}

static void write_with_two_crashes(void **state)
{
    etcd_op *ops[ROUND];

    for (int written = 0; written < WRITES; written += ROUND) {
        start_round(watching_client(state), ops);
        if (written == WRITES / 3 / ROUND * ROUND || written == WRITES * 2 / 3 / ROUND * ROUND) {
            test_pump(watching_client(state), 1);
            assert_true(etcd_server_kill(watching_server(state), 0));
            test_pump(watching_client(state), 200);
            assert_true(etcd_server_restart(watching_server(state), 0));
        }
        finish_round(ops);
    }
}

static void test_two_crashes_during_writes(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t first = watch_revision(client) + 1, last;
    etcd_watch *watch = watch_open(client, "resume", ETCD_WATCH_OPTS(.start_revision = first));
    etcd_watch *small = watch_open(client, "resume",
                                   ETCD_WATCH_OPTS(.start_revision = first, .max_events = 50));

    write_with_two_crashes(state);
    last = watch_revision(client);
    assert_true(last - first + 1 >= WRITES / 2);
    watch_expect_each(watch, first, last);
    watch_expect_each(small, first, last);
    etcd_watch_close(watch);
    etcd_watch_close(small);
}

struct pushed {
    atomic_llong expected;
    atomic_int wrong;
};

static void on_pushed(etcd_watch *watch, const etcd_events *events, etcd_status status, const etcd_error *err,
                      void *user_data)
{
    struct pushed *pushed = user_data;

    (void)watch;
    (void)status;
    (void)err;
    for (size_t i = 0; events != NULL && i < etcd_events_count(events); i++)
        pushed->wrong += etcd_events_at(events, i)->kv.mod_revision != atomic_fetch_add(&pushed->expected, 1);
}

static void test_two_crashes_pushed(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t first = watch_revision(client) + 1, last, deadline;
    struct pushed pushed = {0};
    etcd_watch *watch;

    atomic_store(&pushed.expected, first);
    watch =
        watch_open(client, "resume",
                   ETCD_WATCH_OPTS(.start_revision = first, .on_events = on_pushed, .user_data = &pushed));
    write_with_two_crashes(state);
    last = watch_revision(client);
    deadline = test_deadline_ms(30000);
    while (atomic_load(&pushed.expected) <= last && test_now_ms() < deadline)
        test_pump(client, 10);
    etcd_watch_close(watch);
    assert_int_equal(atomic_load(&pushed.expected), last + 1);
    assert_int_equal(atomic_load(&pushed.wrong), 0);
}

/* ---- away ------------------------------------------------------------------------------------------ */

/* A watch that has begun, seen or not, misses nothing; one that has not, begins when there is a server. */
static void test_opened_while_the_server_is_away(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t now = watch_revision(client);
    etcd_watch *watch, *learns;
    etcd_events *events = NULL;

    assert_true(etcd_server_kill(watching_server(state), 0));
    watch = watch_open(client, "away", ETCD_WATCH_OPTS(.start_revision = now + 1));
    learns = watch_open(client, "away", NULL);
    assert_int_equal(etcd_watch_next(watch, 300, &events, NULL), ETCD_E_DEADLINE);
    assert_int_equal(etcd_watch_next(learns, 300, &events, NULL), ETCD_E_DEADLINE);
    assert_true(etcd_server_restart(watching_server(state), 0));
    assert_true(etcd_server_wait(watching_server(state), 0));
    watch_put(client, "away", "x");
    watch_expect_each(watch, now + 1, now + 1);
    watch_wait_metric(*state, "watcher", 2);
    events = NULL;
    /* Whether it began before or after that write nobody can say; it does see the next. */
    watch_put(client, "away", "y");
    do {
        etcd_events_free(events);
        events = watch_next(learns);
    } while (etcd_events_at(events, etcd_events_count(events) - 1)->kv.mod_revision < now + 2);
    etcd_events_free(events);
    etcd_watch_close(watch);
    etcd_watch_close(learns);
}

static void test_closed_while_the_server_is_away(void **state)
{
    etcd_client *client = watching_client(state);
    etcd_watch *watches[20];

    for (int i = 0; i < 20; i++)
        watches[i] = watch_open(client, "away", i % 2 == 0 ? NULL : ETCD_WATCH_OPTS(.start_revision = 1));
    test_pump(client, 200);
    assert_true(etcd_server_kill(watching_server(state), 0));
    for (int i = 0; i < 10; i++) {
        test_pump(client, 20);
        etcd_watch_close(watches[i]);
    }
    assert_true(etcd_server_restart(watching_server(state), 0));
    assert_true(etcd_server_wait(watching_server(state), 0));
    for (int i = 10; i < 20; i++)
        etcd_watch_close(watches[i]);
    watch_wait_metric(*state, "watcher", 0);
}

/* What it has not delivered is compacted away while it is cut off. */
static void test_compacted_while_away(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t first = watch_revision(client) + 1, last = first;
    etcd_watch *watch = watch_open(client, "gone", ETCD_WATCH_OPTS(.start_revision = first, .max_events = 1));
    etcd_error err;

    for (int i = 0; i < 50; i++)
        last = watch_put(client, "gone", "x");
    watch_ok(etcd_compact(client, last, ETCD_COMPACT_OPTS(.physical = true), &err), &err);
    assert_int_equal(watch_end(watch, &err), ETCD_E_COMPACTED);
    assert_int_equal(err.revision, last);
    etcd_watch_close(watch);
}

/* The same address, the same ids, another store: what the watch waits for will never mean the same again. */
static void test_an_emptied_server(void **state)
{
    struct etcd_server *server = etcd_server_start(&(struct etcd_server_options){.version = test_version()});
    etcd_client *client;
    etcd_watch *watch;
    etcd_error err;

    (void)state;
    assert_non_null(server);
    client = test_client_open(etcd_server_endpoints(server), NULL);
    for (int i = 0; i < 10; i++)
        watch_put(client, "emptied", "x");
    watch = watch_open(client, "emptied", NULL);
    watch_wait_metric(&(struct watching){server, client}, "watcher", 1);
    assert_true(etcd_server_kill(server, 0));
    assert_true(etcd_server_restart_empty(server, 0));
    assert_int_equal(watch_end(watch, &err), ETCD_E_CLUSTER_CHANGED);
    etcd_watch_close(watch);
    etcd_client_free(client);
    etcd_server_free(server);
}

/* ---- three members --------------------------------------------------------------------------------- */

static void test_another_member(void **state)
{
    struct etcd_server *server =
        etcd_server_start(&(struct etcd_server_options){.version = test_version(), .members = 3});
    etcd_client *client;
    int64_t first, last;
    etcd_watch *watches[10];

    (void)state;
    assert_non_null(server);
    client = test_client_open(etcd_server_endpoints(server), NULL);
    first = last = watch_revision(client) + 1;
    for (int i = 0; i < 10; i++)
        watches[i] = watch_open(client, "member", ETCD_WATCH_OPTS(.start_revision = first));
    for (size_t down = 0; down < 3; down++) {
        for (int i = 0; i < 30; i++)
            last = watch_put(client, "member", "x");
        assert_true(etcd_server_kill(server, down));
        for (int i = 0; i < 30; i++) {
            etcd_op *op = NULL;
            etcd_error err;

            watch_ok(etcd_put_async(client, etcd_cstr("member"), etcd_cstr("x"),
                                    ETCD_PUT_OPTS(.timeout_ms = 30000), NULL, NULL, &op, &err),
                     &err);
            watch_ok(etcd_op_wait(op, 60000, &err), &err);
            etcd_op_free(op);
        }
        assert_true(etcd_server_restart(server, down));
        assert_true(etcd_server_wait(server, down));
    }
    last = watch_revision(client);
    for (int i = 0; i < 10; i++) {
        watch_expect_each(watches[i], first, last);
        etcd_watch_close(watches[i]);
    }
    etcd_client_free(client);
    etcd_server_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_crashes_during_writes),
        cmocka_unit_test(test_two_crashes_pushed),
        cmocka_unit_test(test_opened_while_the_server_is_away),
        cmocka_unit_test(test_closed_while_the_server_is_away),
        cmocka_unit_test(test_compacted_while_away),
        cmocka_unit_test(test_an_emptied_server),
        cmocka_unit_test(test_another_member),
    };

    return cmocka_run_group_tests(tests, watching_set_up, watching_tear_down);
}
