/* SPDX-License-Identifier: Apache-2.0 */
/* Events by callback: where it runs, how it ends, who may close the watch and when. */
#include "support/client.h"
#include "support/matrix.h"
#include "support/process.h"
#include "support/test.h"
#include "support/watching.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

/* What a callback saw. */
struct seen {
    atomic_int batches, events, ends, after_end;
    atomic_int status;
    atomic_int close_at; /* close the watch inside the call with this number, from 1; 0: never */
    atomic_bool closed, cancel_instead, linger;
    atomic_bool running;
};

static void on_events(etcd_watch *watch, const etcd_events *events, etcd_status status, const etcd_error *err,
                      void *user_data)
{
    struct seen *seen = user_data;
    etcd_events *none = NULL;

    atomic_store(&seen->running, true);
    if (atomic_load(&seen->ends) > 0 || atomic_load(&seen->closed))
        (void)atomic_fetch_add(&seen->after_end, 1);
    if (events == NULL) {
        atomic_store(&seen->status, (int)status);
        if (err == NULL || err->status != status || err->message[0] == '\0')
            atomic_store(&seen->status, -1);
        (void)atomic_fetch_add(&seen->ends, 1);
        atomic_store(&seen->running, false);
        return;
    }
    (void)atomic_fetch_add(&seen->events, (int)etcd_events_count(events));
    if (atomic_load(&seen->linger))
        (void)usleep(50000);
    if (atomic_fetch_add(&seen->batches, 1) + 1 == atomic_load(&seen->close_at)) {
        if (atomic_load(&seen->cancel_instead)) {
            etcd_watch_cancel(watch);
        } else {
            /* It pushes: it cannot be read as well, here or anywhere. */
            if (etcd_watch_next(watch, 0, &none, NULL) != ETCD_E_INVALID_ARGUMENT)
                (void)atomic_fetch_add(&seen->after_end, 1);
            atomic_store(&seen->closed, true);
            etcd_watch_close(watch);
        }
        /* The batch that is being delivered stays valid. */
        if (etcd_events_count(events) == 0 || etcd_events_at(events, 0)->kv.key.len == 0)
            (void)atomic_fetch_add(&seen->after_end, 1);
    }
    atomic_store(&seen->running, false);
}

static void wait_until_above(etcd_client *client, atomic_int *value, int wanted)
{
    int64_t deadline = test_deadline_ms(20000);

    while (atomic_load(value) < wanted && test_now_ms() < deadline)
        test_pump(client, 10);
    assert_true(atomic_load(value) >= wanted);
}

/* The call that closed the watch has returned: nothing of ours is used any more. */
static void wait_until_returned(etcd_client *client, struct seen *seen)
{
    int64_t deadline = test_deadline_ms(20000);

    while ((!atomic_load(&seen->closed) || atomic_load(&seen->running)) && test_now_ms() < deadline)
        test_pump(client, 5);
    assert_false(atomic_load(&seen->running));
}

static etcd_watch *push(etcd_client *client, struct seen *seen)
{
    return watch_open(client, "push",
                      ETCD_WATCH_OPTS(.start_revision = watch_revision(client) + 1, .on_events = on_events,
                                      .user_data = seen));
}

static void test_final_call_comes_before_close_returns(void **state)
{
    etcd_client *client = watching_client(state);
    struct seen seen = {0};
    etcd_watch *watch = push(client, &seen);

    for (int i = 0; i < 10; i++)
        watch_put(client, "push", "x");
    wait_until_above(client, &seen.events, 10);
    assert_int_equal(atomic_load(&seen.ends), 0);
    etcd_watch_close(watch);
    assert_int_equal(atomic_load(&seen.ends), 1);
    assert_int_equal(atomic_load(&seen.status), ETCD_E_CANCELLED);
    watch_put(client, "push", "x");
    test_pump(client, 50);
    assert_int_equal(atomic_load(&seen.ends), 1);
    assert_int_equal(atomic_load(&seen.events), 10);
    assert_int_equal(atomic_load(&seen.after_end), 0);
}

static void test_close_inside_the_callback(void **state)
{
    etcd_client *client = watching_client(state);

    for (int round = 1; round <= 5; round++) {
        struct seen seen = {.close_at = round};

        (void)push(client, &seen);
        for (int i = 0; i < 10; i++)
            watch_put(client, "push", "x");
        test_pump(client, 20);
        wait_until_above(client, &seen.batches, 1);
        for (int i = 0; i < 10 && !atomic_load(&seen.closed); i++)
            watch_put(client, "push", "y");
        if (!atomic_load(&seen.closed))
            wait_until_above(client, &seen.batches, round);
        wait_until_returned(client, &seen);
        test_pump(client, 20); /* for a call that must not come */
        assert_true(atomic_load(&seen.closed));
        assert_int_equal(atomic_load(&seen.ends), 0); /* the running call was the last */
        assert_int_equal(atomic_load(&seen.after_end), 0);
    }
    watch_wait_metric(*state, "watcher", 0);
}

static void test_cancel_inside_the_callback(void **state)
{
    etcd_client *client = watching_client(state);
    struct seen seen = {.close_at = 1, .cancel_instead = true};
    etcd_watch *watch = push(client, &seen);

    watch_put(client, "push", "x");
    wait_until_above(client, &seen.ends, 1);
    assert_int_equal(atomic_load(&seen.status), ETCD_E_CANCELLED);
    etcd_watch_close(watch);
    assert_int_equal(atomic_load(&seen.ends), 1);
    assert_int_equal(atomic_load(&seen.after_end), 0);
}

static void test_close_waits_for_the_running_call(void **state)
{
    etcd_client *client = watching_client(state);

    for (int round = 0; round < 5; round++) {
        struct seen seen = {.linger = true};
        etcd_watch *watch = push(client, &seen);

        watch_put(client, "push", "x");
        test_pump(client, 10 + round * 5);
        etcd_watch_close(watch);
        assert_false(atomic_load(&seen.running));
        assert_int_equal(atomic_load(&seen.ends), 1);
        test_pump(client, 60);
        assert_int_equal(atomic_load(&seen.after_end), 0);
    }
}

static void test_a_quiet_close_tells_nothing(void **state)
{
    etcd_client *client = watching_client(state);

    for (int round = 0; round < 5; round++) {
        struct seen seen = {.linger = true};
        etcd_watch *watch = watch_open(client, "push",
                                       ETCD_WATCH_OPTS(.start_revision = watch_revision(client) + 1,
                                                       .on_events = on_events, .user_data = &seen,
                                                       .quiet_close = true));

        watch_put(client, "push", "x");
        test_pump(client, round * 10);
        etcd_watch_close(watch);
        assert_false(atomic_load(&seen.running));
        atomic_store(&seen.closed, true);
        watch_put(client, "push", "x");
        test_pump(client, 60);
        assert_int_equal(atomic_load(&seen.ends), 0);
        assert_int_equal(atomic_load(&seen.after_end), 0);
    }
    watch_wait_metric(*state, "watcher", 0);
}

/* An end of another kind is told, however the watch is to be closed. */
static void test_a_quiet_watch_tells_of_its_end(void **state)
{
    etcd_client *client = watching_client(state);
    struct seen seen = {0};
    etcd_watch *watch = watch_open(client, "push",
                                   ETCD_WATCH_OPTS(.start_revision = 1, .on_events = on_events,
                                                   .user_data = &seen, .quiet_close = true));

    etcd_watch_cancel(watch);
    wait_until_above(client, &seen.ends, 1);
    etcd_watch_close(watch);
    test_pump(client, 20);
    assert_int_equal(atomic_load(&seen.ends), 1);
    assert_int_equal(atomic_load(&seen.after_end), 0);
}

static void test_the_client_ends_first(void **state)
{
    etcd_client *client = test_client_open(etcd_server_endpoints(watching_server(state)), NULL);
    struct seen first = {0}, second = {0};
    etcd_watch *cancelled = push(client, &first);
    etcd_watch *closed;

    etcd_client_cancel_waits(client);
    wait_until_above(client, &first.ends, 1);
    assert_int_equal(atomic_load(&first.status), ETCD_E_CANCELLED);
    etcd_watch_close(cancelled);
    etcd_client_free(client);

    client = test_client_open(etcd_server_endpoints(watching_server(state)), NULL);
    closed = push(client, &second);
    etcd_client_free(client);
    etcd_watch_close(closed);
    assert_int_equal(atomic_load(&second.ends), 1);
    assert_int_equal(atomic_load(&second.status), ETCD_E_CLOSED);
    assert_int_equal(atomic_load(&first.ends), 1);
}

/* ---- callbacks on the program's thread ------------------------------------------------------------- */

struct dispatched {
    struct seen seen;
    pthread_t thread;
    atomic_int elsewhere;
};

static void on_dispatched(etcd_watch *watch, const etcd_events *events, etcd_status status,
                          const etcd_error *err, void *user_data)
{
    struct dispatched *dispatched = user_data;

    if (pthread_equal(pthread_self(), dispatched->thread) == 0)
        (void)atomic_fetch_add(&dispatched->elsewhere, 1);
    on_events(watch, events, status, err, &dispatched->seen);
}

static void test_deferred_dispatch(void **state)
{
    const char *endpoint = etcd_server_endpoint(watching_server(state), 0);
    struct dispatched dispatched = {.thread = pthread_self()};
    etcd_loop *loop = NULL;
    etcd_client *client = NULL;
    etcd_watch *watch;
    etcd_error err;

    watch_ok(etcd_loop_new(ETCD_LOOP_OPTS(.dispatch = ETCD_DISPATCH_PROCESS), &loop, &err), &err);
    watch_ok(
        etcd_client_open(ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST(endpoint), .loop = loop), &client, &err),
        &err);
    watch = watch_open(client, "push",
                       ETCD_WATCH_OPTS(.start_revision = watch_revision(client) + 1,
                                       .on_events = on_dispatched, .user_data = &dispatched));
    for (int i = 0; i < 20; i++)
        watch_put(client, "push", "x");
    assert_int_equal(atomic_load(&dispatched.seen.events), 0);
    for (int i = 0; i < 400 && atomic_load(&dispatched.seen.events) < 20; i++)
        watch_ok(etcd_loop_wait(loop, 50, &err), &err);
    assert_int_equal(atomic_load(&dispatched.seen.events), 20);
    for (int i = 0; i < 20; i++)
        watch_put(client, "push", "x");
    etcd_watch_close(watch);
    assert_int_equal(atomic_load(&dispatched.seen.ends), 1);
    assert_int_equal(atomic_load(&dispatched.elsewhere), 0);
    assert_int_equal(atomic_load(&dispatched.seen.after_end), 0);
    etcd_client_free(client);
    etcd_loop_free(loop);
}

/* ---- many threads ---------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 60 };

/* Reads what there is, now and then after it was cancelled. */
static void pull(etcd_watch *watch, bool cancel)
{
    etcd_events *events = NULL;

    if (cancel)
        etcd_watch_cancel(watch);
    (void)!etcd_watch_next(watch, 20, &events, NULL);
    etcd_events_free(events);
}

static void *open_and_close(void *arg)
{
    etcd_client *client = arg;

    for (int i = 0; i < ROUNDS; i++) {
        struct seen seen = {.close_at = i % 3 == 0 ? 1 : 0};
        bool quiet = i % 4 == 0;
        etcd_watch *watch = NULL;
        etcd_put_result *put = NULL;

        if (etcd_watch_open(client, etcd_cstr("push"),
                            ETCD_WATCH_OPTS(.start_revision = 1, .on_events = i % 2 == 0 ? on_events : NULL,
                                            .user_data = &seen, .quiet_close = quiet),
                            &watch, NULL) != ETCD_OK)
            return arg;
        if (etcd_put(client, etcd_cstr("push"), etcd_cstr("x"), NULL, &put, NULL) != ETCD_OK)
            return arg;
        etcd_put_result_free(put);
        if (i % 2 != 0)
            pull(watch, i % 4 == 1);
        if (i % 6 == 0) { /* closes itself */
            while (!atomic_load(&seen.closed) || atomic_load(&seen.running))
                (void)usleep(1000);
        } else {
            etcd_watch_close(watch);
            if (i % 2 == 0 && atomic_load(&seen.ends) != !quiet)
                return arg;
        }
        if (atomic_load(&seen.after_end) != 0)
            return arg;
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    etcd_client *client = watching_client(state);
    pthread_t threads[THREADS];

    watch_put(client, "push", "x");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_close, client), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed = NULL;

        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    watch_wait_metric(*state, "watcher", 0);
}

/* Under caller drive a client belongs to one thread. */
static const char *const need_threads[] = {
    "test_many_threads",
    NULL,
};

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_final_call_comes_before_close_returns),
        cmocka_unit_test(test_close_inside_the_callback),
        cmocka_unit_test(test_cancel_inside_the_callback),
        cmocka_unit_test(test_close_waits_for_the_running_call),
        cmocka_unit_test(test_a_quiet_close_tells_nothing),
        cmocka_unit_test(test_a_quiet_watch_tells_of_its_end),
        cmocka_unit_test(test_the_client_ends_first),
        cmocka_unit_test(test_deferred_dispatch),
        cmocka_unit_test(test_many_threads),
    };

    return test_run_group(tests, sizeof(tests) / sizeof(tests[0]), need_threads, watching_set_up,
                          watching_tear_down);
}
