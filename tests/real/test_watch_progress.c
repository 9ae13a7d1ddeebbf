/* SPDX-License-Identifier: Apache-2.0 */
/* How far is a watch: a notice may not run ahead of events, whatever the server's version. */
#include "support/client.h"
#include "support/process.h"
#include "support/test.h"
#include "support/watching.h"

enum { WRITES = 2000, WRITES_AT_ONCE = 100 };

static void request(etcd_watch *watch)
{
    etcd_error err;

    watch_ok(etcd_watch_request_progress(watch, &err), &err);
}

/* Writes one chunk; the revision of the last one. */
static int64_t write_chunk(etcd_client *client)
{
    etcd_op *ops[WRITES_AT_ONCE];
    etcd_error err;

    for (int i = 0; i < WRITES_AT_ONCE; i++)
        watch_ok(etcd_put_async(client, etcd_cstr("far"), etcd_cstr("x"), NULL, NULL, NULL, &ops[i], &err),
                 &err);
    for (int i = 0; i < WRITES_AT_ONCE; i++) {
        watch_ok(etcd_op_wait(ops[i], 60000, &err), &err);
        etcd_op_free(ops[i]);
    }
    return watch_revision(client);
}

/* Takes what is there: events have to come one after the other, notices not before what they cover. */
static void take(etcd_watch *watch, int64_t *next, int64_t *noticed, int64_t wait_ms)
{
    etcd_events *events = NULL;
    etcd_error err;
    etcd_status st;

    while ((st = etcd_watch_next(watch, wait_ms, &events, &err)) == ETCD_OK) {
        for (size_t i = 0; i < etcd_events_count(events); i++)
            assert_int_equal(etcd_events_at(events, i)->kv.mod_revision, (*next)++);
        if (etcd_events_count(events) == 0) {
            *noticed = etcd_events_header(events)->revision;
            assert_true(*noticed < *next);
        }
        etcd_events_free(events);
        wait_ms = 0;
    }
    assert_int_equal(st, ETCD_E_DEADLINE);
}

static void test_a_notice_never_runs_ahead(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t first = watch_revision(client) + 1, next = first, last = first, noticed = 0;
    bool certain = etcd_server_at_least(watching_server(state), 3, 5, 8);
    etcd_watch *watch = watch_open(client, "far", ETCD_WATCH_OPTS(.start_revision = first));
    int64_t deadline = test_deadline_ms(20000);

    for (int i = 0; i < WRITES; i += WRITES_AT_ONCE) {
        request(watch);
        last = write_chunk(client);
        take(watch, &next, &noticed, 0);
    }
    while (next <= last)
        take(watch, &next, &noticed, 1000);
    request(watch);
    if (!certain) {
        take(watch, &next, &noticed, 500);
        assert_int_equal(noticed, 0);
    }
    while (certain && noticed < last && test_poll_again(deadline))
        take(watch, &next, &noticed, 100);
    assert_int_equal(noticed, certain ? last : 0);
    assert_int_equal(next, last + 1);
    etcd_watch_close(watch);
}

/* Other keys move the store on; what the notice says outlives a compaction and a broken connection. */
static void test_a_notice_moves_the_resume_point(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t first = watch_revision(client) + 1, next, noticed = 0, last;
    etcd_watch *watch = watch_open(client, "quiet", ETCD_WATCH_OPTS(.start_revision = first));
    int64_t deadline = test_deadline_ms(20000);
    etcd_error err;

    if (!etcd_server_at_least(watching_server(state), 3, 5, 8)) {
        etcd_watch_close(watch);
        return;
    }
    last = write_chunk(client);
    next = last + 1;
    request(watch);
    while (noticed < last && test_poll_again(deadline))
        take(watch, &next, &noticed, 100);
    assert_int_equal(noticed, last);
    watch_ok(etcd_compact(client, last, NULL, &err), &err);
    assert_true(etcd_server_kill(watching_server(state), 0));
    assert_true(etcd_server_restart(watching_server(state), 0));
    assert_true(etcd_server_wait(watching_server(state), 0));
    last = watch_put(client, "quiet", "x");
    watch_expect_each(watch, last, last);
    etcd_watch_close(watch);
}

static void test_created_comes_first(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t before = watch_revision(client), revision;
    etcd_watch *watch = watch_open(client, "made", ETCD_WATCH_OPTS(.created = true));
    etcd_events *events = watch_next(watch);

    assert_int_equal(etcd_events_count(events), 0);
    assert_int_equal(etcd_events_header(events)->revision, before);
    etcd_events_free(events);
    revision = watch_put(client, "made", "x");
    watch_expect_each(watch, revision, revision);
    assert_true(etcd_server_kill(watching_server(state), 0));
    assert_true(etcd_server_restart(watching_server(state), 0));
    assert_true(etcd_server_wait(watching_server(state), 0));
    revision = watch_put(client, "made", "y");
    events = watch_next(watch); /* no second notice */
    assert_int_equal(etcd_events_count(events), 1);
    assert_int_equal(etcd_events_at(events, 0)->kv.mod_revision, revision);
    etcd_events_free(events);
    etcd_watch_close(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_notice_never_runs_ahead),
        cmocka_unit_test(test_a_notice_moves_the_resume_point),
        cmocka_unit_test(test_created_comes_first),
    };

    return cmocka_run_group_tests(tests, watching_set_up, watching_tear_down);
}
