/* SPDX-License-Identifier: Apache-2.0 */
/* Watches against a server that the test plays: creating, answers, ends of streams. */
#include "support/test.h"
#include "support/watch_world.h"

/* ---- answers to creates ---------------------------------------------------------------------------- */

static void test_refusals_go_by_order(void **state)
{
    etcd_watch *watches[5];
    struct ww_stream *stream;

    (void)state;
    for (int i = 0; i < 5; i++)
        watches[i] = ww_watch("k", 10 + i);
    ww_run(&ww, 100);
    stream = ww_stream(&ww);
    assert_int_equal(stream->create_count, 5); /* none waits for another's answer */
    ww_created(&ww, stream, stream->creates[0].id);
    ww_refused(&ww, stream, "rpc error: code = PermissionDenied desc = etcdserver: permission denied");
    ww_created(&ww, stream, stream->creates[2].id);
    ww_refused(&ww, stream, "mvcc: watcher range is empty");
    ww_created(&ww, stream, stream->creates[4].id);
    for (int i = 0; i < 5; i += 2)
        ww_events(&ww, stream, stream->creates[i].id, 10 + i, 10 + i);
    ww_run(&ww, 100);
    ww_expect_end(watches[1], ETCD_E_DENIED, "permission denied");
    ww_expect_end(watches[3], ETCD_E_PRECONDITION, "range is empty");
    for (int i = 0; i < 5; i++) {
        if (i % 2 == 0)
            ww_expect_batch(watches[i], 10 + i, 10 + i);
        etcd_watch_close(watches[i]);
    }
    ww_run(&ww, 10);
    /* Refused ones need no cancel. With the last watch the stream goes, so its cancel may not be seen. */
    assert_in_range(stream->cancel_count, 2, 3);
}

static etcd_watch *delayed_watch(int64_t start_revision)
{
    etcd_watch *watch = NULL;
    etcd_error err;

    if (etcd_watch_open(ww.client, etcd_cstr("k"),
                        ETCD_WATCH_OPTS(.start_revision = start_revision, .delay_ms = 100), &watch,
                        &err) != ETCD_OK)
        fail_msg("%s", err.message);
    return watch;
}

/* One that is closed before its time is never heard of; the other begins where it was told to. */
static void test_a_delayed_watch(void **state)
{
    etcd_watch *brief = delayed_watch(5), *watch = delayed_watch(7);
    struct ww_stream *stream;

    (void)state;
    ww_run(&ww, 50);
    assert_int_equal(ww.stream_count, 0);
    etcd_watch_close(brief);
    ww_run(&ww, 100);
    stream = ww_stream(&ww);
    assert_int_equal(stream->create_count, 1);
    assert_int_equal(stream->creates[0].start_revision, 7);
    ww_created(&ww, stream, stream->creates[0].id);
    ww_events(&ww, stream, stream->creates[0].id, 7, 8);
    ww_run(&ww, 10);
    ww_expect_batch(watch, 7, 8);
    etcd_watch_close(watch);
}

static void test_a_watch_that_left_keeps_its_place(void **state)
{
    etcd_watch *first = ww_watch("k", 5), *second = ww_watch("k", 5);
    struct ww_stream *stream;

    (void)state;
    ww_run(&ww, 10);
    stream = ww_stream(&ww);
    etcd_watch_close(first);
    ww_run(&ww, 10);
    assert_int_equal(stream->cancel_count, 1);
    assert_int_equal(stream->cancels[0], stream->creates[0].id);
    ww_refused(&ww, stream, "etcdserver: permission denied"); /* of the first */
    ww_created(&ww, stream, stream->creates[1].id);
    ww_events(&ww, stream, stream->creates[1].id, 5, 7);
    ww_run(&ww, 10);
    ww_expect_batch(second, 5, 7);
    etcd_watch_close(second);
}

static void test_ids_of_a_proxy(void **state)
{
    etcd_watch *watches[3];
    struct ww_stream *stream;

    (void)state;
    for (int i = 0; i < 3; i++)
        watches[i] = ww_watch("k", 5);
    ww_run(&ww, 10);
    ww_created(&ww, ww_stream(&ww), 0);
    for (int i = 0; i < 3; i++) {
        ww_run(&ww, 200);
        stream = ww_stream(&ww);
        assert_int_equal(stream->create_count, i + 1); /* one at a time now */
        ww_created(&ww, stream, 40 + i);
    }
    assert_int_equal(ww.stream_count, 2);
    ww_run(&ww, 10);
    for (int i = 0; i < 3; i++)
        ww_events(&ww, stream, 40 + i, 5 + i, 5 + i);
    ww_run(&ww, 10);
    for (int i = 0; i < 3; i++)
        ww_expect_batch(watches[i], 5 + i, 5 + i);
    etcd_watch_close(watches[1]);
    ww_run(&ww, 10);
    assert_int_equal(stream->cancels[0], 41);
    etcd_watch_close(watches[0]);
    etcd_watch_close(watches[2]);
}

static void test_leaving_a_proxy_before_the_answer(void **state)
{
    etcd_watch *first = ww_watch("k", 5), *second;
    struct ww_stream *stream;

    (void)state;
    ww_run(&ww, 10);
    ww_created(&ww, ww_stream(&ww), 0);
    ww_run(&ww, 10);
    second = ww_watch("k", 5);
    etcd_watch_close(first);
    ww_run(&ww, 10);
    stream = ww_stream(&ww);
    assert_int_equal(stream->cancel_count, 0);
    ww_created(&ww, stream, 77);
    ww_run(&ww, 10);
    assert_int_equal(stream->cancels[0], 77);
    assert_int_equal(stream->create_count, 2);
    etcd_watch_close(second);
}

/* ---- events ---------------------------------------------------------------------------------------- */

static struct ww_stream *created(etcd_watch *watch)
{
    (void)watch;
    ww_run(&ww, 10);
    ww_created(&ww, ww_stream(&ww), ww_stream(&ww)->creates[0].id);
    return ww_stream(&ww);
}

static void test_repeated_events_are_dropped(void **state)
{
    etcd_watch *watch = ww_watch("k", 10);
    struct ww_stream *stream = created(watch);
    int64_t id = stream->creates[0].id;

    (void)state;
    ww_events(&ww, stream, id, 8, 12);
    ww_events(&ww, stream, id, 8, 12);
    ww_events(&ww, stream, id, 11, 14);
    ww_events(&ww, stream, id + 1, 15, 16); /* nobody's */
    ww_events(&ww, stream, -1, 15, 16);
    ww_run(&ww, 10);
    ww_expect_batch(watch, 10, 12);
    ww_expect_batch(watch, 13, 14);
    ww_expect_nothing(watch);
    etcd_watch_close(watch);
}

static void test_fragments(void **state)
{
    etcd_watch *watch = ww_watch("k", 10);
    struct ww_stream *stream = created(watch);
    int64_t id = stream->creates[0].id;
    etcd_events *events;
    etcd_error err;

    (void)state;
    ww_fragment(&ww, stream, id, 10, 2, true);
    ww_run(&ww, 10);
    ww_expect_nothing(watch); /* revision 10 may go on */
    ww_fragment(&ww, stream, id, 10, 3, true);
    ww_fragment(&ww, stream, id, 11, 1, true);
    ww_run(&ww, 10);
    assert_int_equal(ww_look(watch, &events, &err), ETCD_OK);
    assert_int_equal(etcd_events_count(events), 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(etcd_events_at(events, i)->kv.mod_revision, 10);
        assert_memory_equal(etcd_events_at(events, i)->kv.key.data, "k", 2);
    }
    etcd_events_free(events);
    ww_expect_nothing(watch);
    ww_fragment(&ww, stream, id, 11, 1, false);
    ww_run(&ww, 10);
    assert_int_equal(ww_look(watch, &events, &err), ETCD_OK);
    assert_int_equal(etcd_events_count(events), 2);
    etcd_events_free(events);
    etcd_watch_close(watch);
}

static void test_half_a_revision_is_not_delivered_twice(void **state)
{
    etcd_watch *watch = ww_watch("k", 10);
    struct ww_stream *stream = created(watch);
    etcd_events *events;
    etcd_error err;

    (void)state;
    ww_fragment(&ww, stream, stream->creates[0].id, 10, 2, true);
    ww_run(&ww, 10);
    ww_cut(&ww);
    ww_run(&ww, 1000);
    stream = ww_stream(&ww);
    assert_int_equal(stream->creates[0].start_revision, 10);
    ww_created(&ww, stream, stream->creates[0].id);
    ww_fragment(&ww, stream, stream->creates[0].id, 10, 5, false);
    ww_run(&ww, 10);
    assert_int_equal(ww_look(watch, &events, &err), ETCD_OK);
    assert_int_equal(etcd_events_count(events), 5);
    etcd_events_free(events);
    etcd_watch_close(watch);
}

static void test_progress_moves_the_resume_point(void **state)
{
    etcd_watch *watch = ww_watch("k", 10), *wants = NULL;
    struct ww_stream *stream;
    etcd_events *events;
    etcd_error err;

    (void)state;
    assert_int_equal(etcd_watch_open(ww.client, etcd_cstr("k"),
                                     ETCD_WATCH_OPTS(.start_revision = 10, .progress = true), &wants, NULL),
                     ETCD_OK);
    ww.automatic = true;
    ww_run(&ww, 10);
    stream = ww_stream(&ww);
    ww_progress(&ww, stream, stream->creates[0].id, 50);
    ww_progress(&ww, stream, stream->creates[1].id, 60);
    ww_progress(&ww, stream, -1, 1000); /* not asked for: can run ahead of events */
    ww_run(&ww, 10);
    ww_expect_nothing(watch);
    assert_int_equal(ww_look(wants, &events, &err), ETCD_OK);
    assert_int_equal(etcd_events_count(events), 0);
    assert_int_equal(etcd_events_header(events)->revision, 60);
    etcd_events_free(events);
    ww_expect_nothing(wants);
    ww_cut(&ww);
    ww_run(&ww, 1000);
    stream = ww_stream(&ww);
    assert_int_equal(stream->creates[0].start_revision, 51);
    assert_int_equal(stream->creates[1].start_revision, 61);
    etcd_watch_close(watch);
    etcd_watch_close(wants);
}

/* ---- breaks ---------------------------------------------------------------------------------------- */

static void test_resume_after_the_last_delivered(void **state)
{
    etcd_watch *fresh = ww_watch("fresh", 10), *old = ww_watch("old", 10);
    struct ww_stream *stream;

    (void)state;
    ww.automatic = true;
    ww_run(&ww, 10);
    stream = ww_stream(&ww);
    ww_events(&ww, stream, stream->creates[1].id, 10, 19);
    ww_run(&ww, 10);
    for (int i = 0; i < 3; i++) {
        if (i == 0)
            ww_cut(&ww);
        else if (i == 1)
            ww_status(&ww, ww_stream(&ww), 14, "etcdserver: no leader");
        else
            ww_status(&ww, ww_stream(&ww), 0, NULL);
        ww_run(&ww, 5000);
        stream = ww_stream(&ww);
        assert_int_equal(stream->create_count, 2);
        assert_string_equal(stream->creates[0].key, "fresh");
        assert_int_equal(stream->creates[0].start_revision, 10);
        assert_int_equal(stream->creates[1].start_revision, 20);
    }
    ww_expect_batch(old, 10, 19);
    ww_expect_nothing(old);
    etcd_watch_close(fresh);
    etcd_watch_close(old);
}

static void test_a_stream_that_never_lasts_is_not_hammered(void **state)
{
    etcd_watch *watch = ww_watch("k", 10);

    (void)state;
    ww.automatic = true;
    for (int i = 0; i < 600; i++) {
        ww_run(&ww, 100);
        if (ww_open_streams(&ww) > 0)
            ww_status(&ww, ww_stream(&ww), 14, "etcdserver: no leader");
    }
    /* A minute: 2 s apart after the first few. */
    assert_in_range(ww.stream_count, 25, 60);
    ww_expect_nothing(watch);
    etcd_watch_close(watch);
}

static void test_ends_that_are_final(void **state)
{
    static const struct {
        int code;
        const char *message;
        etcd_status status;
    } rows[] = {
        {12, "unknown service etcdserverpb.Watch", ETCD_E_UNSUPPORTED},
        {7, "etcdserver: permission denied", ETCD_E_DENIED},
        {16, "etcdserver: invalid auth token", ETCD_E_AUTH}, /* and nothing to log in with */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        etcd_watch *watch = ww_watch("k", 10);

        ww_run(&ww, 10);
        ww_status(&ww, ww_stream(&ww), rows[i].code, rows[i].message);
        ww_run(&ww, 10);
        ww_expect_end(watch, rows[i].status, "watch");
        etcd_watch_close(watch);
        ww_run(&ww, 10);
        assert_int_equal(ww_open_streams(&ww), 0);
    }
}

static void test_nonsense_again_and_again(void **state)
{
    etcd_watch *watch = ww_watch("k", 10);
    int rounds = 0;

    (void)state;
    for (; rounds < 10 && (rounds == 0 || ww_open_streams(&ww) > 0); rounds++) {
        ww_run(&ww, 1000);
        ww_garbage(&ww, ww_stream(&ww));
        ww_run(&ww, 3000);
    }
    assert_int_equal(rounds, 3);
    ww_expect_end(watch, ETCD_E_PROTOCOL, "malformed");
    etcd_watch_close(watch);
}

/* Nothing of it reaches the program: another stream tells it again, from where the watch is. */
static void test_revisions_that_go_back(void **state)
{
    etcd_watch *watch = ww_watch("k", 10);
    struct ww_stream *stream;

    (void)state;
    ww.automatic = true;
    ww_run(&ww, 10);
    stream = ww_stream(&ww);
    ww_fragment(&ww, stream, stream->creates[0].id, 20, 2, true);
    ww_fragment(&ww, stream, stream->creates[0].id, 15, 2, false);
    ww_run(&ww, 1000);
    ww_expect_nothing(watch);
    assert_int_equal(ww.stream_count, 2);
    stream = ww_stream(&ww);
    assert_int_equal(stream->creates[0].start_revision, 10);
    ww_events(&ww, stream, stream->creates[0].id, 10, 20);
    ww_run(&ww, 10);
    ww_expect_batch(watch, 10, 20);
    etcd_watch_close(watch);
}

static void test_compaction(void **state)
{
    etcd_watch *watch = ww_watch("k", 10), *other = ww_watch("k", 10);
    struct ww_stream *stream;
    etcd_events *events;
    etcd_error err;

    (void)state;
    ww.automatic = true;
    ww_run(&ww, 10);
    stream = ww_stream(&ww);
    ww_events(&ww, stream, stream->creates[0].id, 10, 12);
    ww_canceled(&ww, stream, stream->creates[0].id, "", 400);
    ww_run(&ww, 10);
    ww_expect_batch(watch, 10, 12); /* what came before comes first */
    assert_int_equal(ww_look(watch, &events, &err), ETCD_E_COMPACTED);
    assert_int_equal(err.revision, 400);
    assert_true((err.flags & ETCD_ERROR_FROM_SERVER) != 0);
    ww_expect_nothing(other);
    assert_int_equal(stream->cancel_count, 0);
    etcd_watch_close(watch);
    etcd_watch_close(other);
}

static void test_cancelled_by_the_server_without_a_reason(void **state)
{
    etcd_watch *watch = ww_watch("k", 10);
    struct ww_stream *stream;
    size_t creates;

    (void)state;
    ww.automatic = true;
    ww_run(&ww, 10);
    for (int i = 0; i < 20; i++) {
        stream = ww_stream(&ww);
        ww_canceled(&ww, stream, stream->creates[stream->create_count - 1].id, "", 0);
        ww_run(&ww, 3000);
    }
    stream = ww_stream(&ww);
    creates = stream->create_count;
    assert_true(creates >= 1);
    ww_events(&ww, stream, stream->creates[creates - 1].id, 10, 11);
    ww_run(&ww, 10);
    ww_expect_batch(watch, 10, 11);
    etcd_watch_close(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refusals_go_by_order, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_a_delayed_watch, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_a_watch_that_left_keeps_its_place, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_ids_of_a_proxy, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_leaving_a_proxy_before_the_answer, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_repeated_events_are_dropped, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_fragments, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_half_a_revision_is_not_delivered_twice, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_progress_moves_the_resume_point, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_resume_after_the_last_delivered, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_a_stream_that_never_lasts_is_not_hammered, ww_set_up,
                                        ww_tear_down),
        cmocka_unit_test_setup_teardown(test_ends_that_are_final, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_nonsense_again_and_again, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_revisions_that_go_back, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_compaction, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_cancelled_by_the_server_without_a_reason, ww_set_up,
                                        ww_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
