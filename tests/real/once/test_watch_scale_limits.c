/* SPDX-License-Identifier: Apache-2.0 */
/* Many watches: how long they take to begin, how late their events come, and what is left of them. */
#include "support/client.h"
#include "support/process.h"
#include "support/test.h"
#include "support/watching.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TEN_THOUSAND = 10000,
    A_THOUSAND = 1000,
    LATE_MS = 500 * ETCDC_TIME_SCALE, /* an event; it takes about a millisecond */
    BEGIN_MS = 10000 *
               ETCDC_TIME_SCALE, /* ten thousand; one after the other would take as many round trips */
};

static etcd_watch *watches[TEN_THOUSAND];

static void open_all(etcd_client *client, int count, const etcd_watch_opts *opts)
{
    char key[32];

    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof(key), "scale/%d", i);
        watches[i] = watch_open(client, key, opts);
    }
}

static void close_all(struct watching *watching, int count)
{
    for (int i = 0; i < count; i++)
        etcd_watch_close(watches[i]);
    watch_wait_metric(watching, "watcher", 0);
    watch_wait_metric(watching, "watch_stream", 0);
}

static void test_ten_thousand_at_once(void **state)
{
    int64_t begun_ms = test_now_ms();

    open_all(watching_client(state), TEN_THOUSAND, ETCD_WATCH_OPTS(.created = true));
    for (int i = 0; i < TEN_THOUSAND; i++)
        etcd_events_free(watch_next(watches[i])); /* the server has it */
    print_message("%d watches in %lld ms\n", TEN_THOUSAND, (long long)(test_now_ms() - begun_ms));
    assert_true(test_now_ms() - begun_ms < BEGIN_MS);
    assert_int_equal(watch_metric(watching_server(state), "watcher"), TEN_THOUSAND);
    assert_int_equal(watch_metric(watching_server(state), "watch_stream"), 1);
    close_all(*state, TEN_THOUSAND);
}

static void test_events_of_a_thousand_are_not_late(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t worst_ms = 0, sum_ms = 0;
    char key[32];

    open_all(client, A_THOUSAND, ETCD_WATCH_OPTS(.created = true));
    for (int i = 0; i < A_THOUSAND; i++)
        etcd_events_free(watch_next(watches[i]));
    for (int i = 0; i < A_THOUSAND; i += 10) {
        int64_t revision, written_ms, late_ms;

        snprintf(key, sizeof(key), "scale/%d", i);
        revision = watch_put(client, key, "x");
        written_ms = test_now_ms();
        watch_expect_each(watches[i], revision, revision);
        late_ms = test_now_ms() - written_ms;
        worst_ms = late_ms > worst_ms ? late_ms : worst_ms;
        sum_ms += late_ms;
    }
    print_message("behind the answer to the put: %lld ms at worst, %lld ms for all %d\n", (long long)worst_ms,
                  (long long)sum_ms, A_THOUSAND / 10);
    assert_true(worst_ms < LATE_MS);
    close_all(*state, A_THOUSAND);
}

/* Connections break under two thousand watches while some are closed; then the client goes. */
static void test_broken_and_closed_meanwhile(void **state)
{
    struct watching *watching = *state;
    etcd_client *client = test_client_open(etcd_server_endpoints(watching->server), NULL);
    int64_t begun_ms;
    etcd_error err;

    open_all(client, 2 * A_THOUSAND, ETCD_WATCH_OPTS(.start_revision = 1));
    assert_true(etcd_server_kill(watching->server, 0));
    for (int i = 0; i < A_THOUSAND; i++)
        etcd_watch_close(watches[i]);
    assert_true(etcd_server_restart(watching->server, 0));
    assert_true(etcd_server_wait(watching->server, 0));
    for (int i = A_THOUSAND; i < A_THOUSAND + 500; i++)
        etcd_watch_cancel(watches[i]);
    begun_ms = test_now_ms();
    assert_int_equal(etcd_client_close(client, NULL), ETCD_OK);
    assert_true(test_now_ms() - begun_ms < 1000 * ETCDC_TIME_SCALE);
    for (int i = A_THOUSAND; i < 2 * A_THOUSAND; i++) {
        etcd_status st = watch_end(watches[i], &err);

        assert_int_equal(st, i < A_THOUSAND + 500 ? ETCD_E_CANCELLED : ETCD_E_CLOSED);
        etcd_watch_close(watches[i]);
    }
    etcd_client_free(client);
    watch_wait_metric(watching, "watcher", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ten_thousand_at_once),
        cmocka_unit_test(test_events_of_a_thousand_are_not_late),
        cmocka_unit_test(test_broken_and_closed_meanwhile),
    };

    return cmocka_run_group_tests(tests, watching_set_up, watching_tear_down);
}
