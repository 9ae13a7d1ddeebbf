/* SPDX-License-Identifier: Apache-2.0 */
/* Many watches on one stream, slow ones on their own, and what the server is left with. */
#include "support/client.h"
#include "support/process.h"
#include "support/test.h"
#include "support/watching.h"

#include <stdatomic.h>
#include <stdio.h>

enum { MANY = 1000 };

static void test_a_thousand_on_one_stream(void **state)
{
    static etcd_watch *watches[MANY];
    etcd_client *client = watching_client(state);
    int64_t revision;
    char key[32];

    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof(key), "many/%d", i);
        watches[i] = watch_open(client, key, NULL);
    }
    watch_wait_metric(*state, "watcher", MANY);
    assert_int_equal(watch_metric(watching_server(state), "watch_stream"), 1);
    for (int i = 0; i < MANY; i += 100) {
        snprintf(key, sizeof(key), "many/%d", i);
        revision = watch_put(client, key, "x");
        watch_expect_each(watches[i], revision, revision);
    }
    /* Half of them go: the server is told. */
    for (int i = 0; i < MANY; i += 2)
        etcd_watch_close(watches[i]);
    watch_wait_metric(*state, "watcher", MANY / 2);
    assert_int_equal(watch_metric(watching_server(state), "watch_stream"), 1);
    for (int i = 1; i < MANY; i += 2)
        etcd_watch_close(watches[i]);
    watch_wait_metric(*state, "watcher", 0);
    watch_wait_metric(*state, "watch_stream", 0);
}

static void test_open_and_close_at_once(void **state)
{
    etcd_client *client = watching_client(state);
    etcd_watch *watches[100];

    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 100; i++)
            watches[i] = watch_open(client, "flash", ETCD_WATCH_OPTS(.start_revision = i % 2));
        if (round % 2 == 1)
            test_pump(client, round);
        for (int i = 0; i < 100; i++)
            etcd_watch_close(watches[i]);
    }
    watch_wait_metric(*state, "watcher", 0);
    watch_wait_metric(*state, "watch_stream", 0);
}

/* ---- slow readers ---------------------------------------------------------------------------------- */

enum { WRITES = 3000, LIMIT = 100 };

/* Counts as fast as it can. */
struct fast {
    atomic_llong expected;
    atomic_int wrong;
};

static void on_fast(etcd_watch *watch, const etcd_events *events, etcd_status status, const etcd_error *err,
                    void *user_data)
{
    struct fast *fast = user_data;

    (void)watch;
    (void)status;
    (void)err;
    for (size_t i = 0; events != NULL && i < etcd_events_count(events); i++)
        fast->wrong += etcd_events_at(events, i)->kv.mod_revision != atomic_fetch_add(&fast->expected, 1);
}

static void wait_fast(etcd_client *client, struct fast *fast, int64_t expected)
{
    int64_t deadline = test_deadline_ms(20000);

    while (atomic_load(&fast->expected) != expected && test_now_ms() < deadline)
        test_pump(client, 10);
}

static int64_t write_burst(etcd_client *client)
{
    etcd_op *ops[WRITES];
    etcd_error err;

    for (int i = 0; i < WRITES; i++)
        watch_ok(etcd_put_async(client, etcd_cstr("burst"), etcd_cstr("a value of some length"), NULL, NULL,
                                NULL, &ops[i], &err),
                 &err);
    for (int i = 0; i < WRITES; i++) {
        watch_ok(etcd_op_wait(ops[i], 60000, &err), &err);
        etcd_op_free(ops[i]);
    }
    return watch_revision(client);
}

static void test_a_slow_reader_holds_nobody_up(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t first = watch_revision(client) + 1, last;
    struct fast fast = {0};
    etcd_watch *slow, *quick;

    atomic_store(&fast.expected, first);
    slow = watch_open(client, "burst", ETCD_WATCH_OPTS(.start_revision = first, .max_events = LIMIT));
    quick = watch_open(client, "burst",
                       ETCD_WATCH_OPTS(.start_revision = first, .on_events = on_fast, .user_data = &fast));
    last = write_burst(client);
    wait_fast(client, &fast, last + 1);
    watch_expect_each(slow, first, last);
    /* It goes on where it is. */
    first = last + 1;
    last = write_burst(client);
    watch_expect_each(slow, first, last);
    wait_fast(client, &fast, last + 1);
    etcd_watch_close(quick);
    assert_int_equal(fast.wrong, 0);
    assert_int_equal(fast.expected, last + 1);
    etcd_watch_close(slow);
    watch_wait_metric(*state, "watcher", 0);
    watch_wait_metric(*state, "watch_stream", 0);
}

/* Limits below one event still let one through at a time. */
static void test_the_smallest_queue(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t first = watch_revision(client) + 1, last;
    etcd_watch *watch = watch_open(client, "burst",
                                   ETCD_WATCH_OPTS(.start_revision = first, .max_events = 1, .max_bytes = 1));

    last = write_burst(client);
    watch_expect_each(watch, first, last);
    etcd_watch_close(watch);
}

static void test_a_slow_callback(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t first = watch_revision(client) + 1, last;
    struct fast fast = {0};
    etcd_watch *watch;

    atomic_store(&fast.expected, first);
    watch = watch_open(
        client, "burst",
        ETCD_WATCH_OPTS(.start_revision = first, .max_events = 1, .on_events = on_fast, .user_data = &fast));
    last = write_burst(client);
    wait_fast(client, &fast, last + 1);
    etcd_watch_close(watch);
    assert_int_equal(fast.wrong, 0);
    assert_int_equal(fast.expected, last + 1);
}

/* A closed slow watch, paused on its own stream, leaves nothing at the server. */
static void test_closing_a_slow_watch(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t first = watch_revision(client) + 1;
    etcd_watch *watch = watch_open(client, "burst",
                                   ETCD_WATCH_OPTS(.start_revision = first, .max_events = LIMIT));

    (void)write_burst(client);
    for (int i = 0; i < 3; i++)
        etcd_events_free(watch_next(watch));
    test_pump(client, 200);
    etcd_watch_close(watch);
    watch_wait_metric(*state, "watcher", 0);
    watch_wait_metric(*state, "watch_stream", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_thousand_on_one_stream),
        cmocka_unit_test(test_open_and_close_at_once),
        cmocka_unit_test(test_a_slow_reader_holds_nobody_up),
        cmocka_unit_test(test_the_smallest_queue),
        cmocka_unit_test(test_a_slow_callback),
        cmocka_unit_test(test_closing_a_slow_watch),
    };

    return cmocka_run_group_tests(tests, watching_set_up, watching_tear_down);
}
