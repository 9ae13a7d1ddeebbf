/* SPDX-License-Identifier: Apache-2.0 */
/* A blocked reader comes back at once, whoever ends its wait. */
#include "support/client.h"
#include "support/matrix.h"
#include "support/process.h"
#include "support/test.h"
#include "support/watching.h"

#include <pthread.h>
#include <unistd.h>

enum { BACK_MS = 100 };

struct ender {
    etcd_watch *watch;
    etcd_client *client;
    void (*end)(struct ender *ender);
    int64_t ended_ms;
};

static void cancel_watch(struct ender *ender)
{
    etcd_watch_cancel(ender->watch);
}

static void cancel_waits(struct ender *ender)
{
    etcd_client_cancel_waits(ender->client);
}

static void close_client(struct ender *ender)
{
    (void)etcd_client_close(ender->client, NULL);
}

static void *end_later(void *arg)
{
    struct ender *ender = arg;

    (void)usleep(200000);
    ender->ended_ms = test_now_ms();
    ender->end(ender);
    return NULL;
}

static void check(void **state, void (*end)(struct ender *ender), etcd_status wanted, bool server_away)
{
    etcd_client *client = test_client_open(etcd_server_endpoints(watching_server(state)), NULL);
    struct ender ender = {.client = client, .end = end};
    etcd_events *events = NULL;
    pthread_t thread;
    etcd_error err;
    int64_t late_ms;

    if (server_away)
        assert_true(etcd_server_pause(watching_server(state), 0));
    ender.watch = watch_open(client, "limit", NULL);
    assert_int_equal(pthread_create(&thread, NULL, end_later, &ender), 0);
    assert_int_equal(etcd_watch_next(ender.watch, ETCD_TIMEOUT_NONE, &events, &err), wanted);
    late_ms = test_now_ms();
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(late_ms - ender.ended_ms <= test_deadline_ms(BACK_MS) - test_now_ms());
    if (server_away)
        assert_true(etcd_server_resume(watching_server(state), 0));
    etcd_watch_close(ender.watch);
    etcd_client_free(client);
}

static void test_cancel(void **state)
{
    check(state, cancel_watch, ETCD_E_CANCELLED, false);
    check(state, cancel_watch, ETCD_E_CANCELLED, true);
}

static void test_cancel_waits(void **state)
{
    check(state, cancel_waits, ETCD_E_CANCELLED, false);
    check(state, cancel_waits, ETCD_E_CANCELLED, true);
}

static void test_close(void **state)
{
    check(state, close_client, ETCD_E_CLOSED, false);
    check(state, close_client, ETCD_E_CLOSED, true);
}

static void test_time_limit(void **state)
{
    etcd_watch *watch = watch_open(watching_client(state), "limit", NULL);
    etcd_events *events = NULL;
    int64_t before = test_now_ms();
    etcd_error err;

    assert_int_equal(etcd_watch_next(watch, 300, &events, &err), ETCD_E_DEADLINE);
    assert_in_range(test_now_ms() - before, 295, test_deadline_ms(400) - test_now_ms());
    before = test_now_ms();
    assert_int_equal(etcd_watch_next(watch, 0, &events, &err), ETCD_E_DEADLINE);
    assert_true(test_now_ms() - before <= test_deadline_ms(50) - test_now_ms());
    before = test_now_ms();
    etcd_watch_close(watch);
    assert_true(test_now_ms() - before <= test_deadline_ms(BACK_MS) - test_now_ms());
}

/* Under caller drive a client belongs to one thread. */
static const char *const need_threads[] = {
    "test_cancel_waits",
    "test_close",
    NULL,
};

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_waits),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_time_limit),
    };

    return test_run_group(tests, sizeof(tests) / sizeof(tests[0]), need_threads, watching_set_up,
                          watching_tear_down);
}
