/* SPDX-License-Identifier: Apache-2.0 */
/* Watches that share a stream: what happens to one is not told of another, and none waits for another. */
#include "support/test.h"
#include "support/watch_world.h"

enum { WATCHES = 5, INTERNAL = 13, UNAVAILABLE = 14 };

/* The server's refusal of one is not what those say that end later. */
static void a_refusal_says_nothing_about_others(void **state)
{
    etcd_watch *refused = ww_watch("k", 10), *cancelled = ww_watch("k", 10), *closed = ww_watch("k", 10);
    struct ww_stream *stream;

    (void)state;
    ww_run(&ww, 10);
    stream = ww_stream(&ww);
    ww_refused(&ww, stream, "etcdserver: permission denied");
    ww_created(&ww, stream, stream->creates[1].id);
    ww_created(&ww, stream, stream->creates[2].id);
    ww_run(&ww, 10);
    etcd_watch_cancel(cancelled);
    ww_run(&ww, 10);
    assert_int_equal(etcd_client_close(ww.client, NULL), ETCD_OK);
    ww_expect_end(refused, ETCD_E_DENIED, "permission denied");
    ww_expect_end(cancelled, ETCD_E_CANCELLED, "");
    ww_expect_end(closed, ETCD_E_CLOSED, "");
    etcd_watch_close(refused);
    etcd_watch_close(cancelled);
    etcd_watch_close(closed);
}

/* The server that they resume at answers none of them: each was asked for all the same. */
static void all_resume_at_once(void **state)
{
    etcd_watch *watches[WATCHES];
    struct ww_stream *stream;

    (void)state;
    ww.automatic = true;
    for (int i = 0; i < WATCHES; i++)
        watches[i] = ww_watch("k", 10 + i);
    ww_run(&ww, 10);
    ww.automatic = false;
    ww_cut(&ww);
    ww_run(&ww, 1000);
    stream = ww_stream(&ww);
    assert_int_equal(stream->create_count, WATCHES);
    for (int i = WATCHES; i > 0; i--) {
        assert_int_equal(stream->creates[i - 1].start_revision, 9 + i);
        etcd_watch_close(watches[i - 1]);
    }
}

static void end_streams(int times, int code)
{
    for (int i = 0; i < times; i++) {
        ww_run(&ww, 100);
        if (ww_open_streams(&ww) > 0)
            ww_status(&ww, ww_stream(&ww), code, "x");
    }
}

/* Whatever the error is, there are pauses between the streams; after one that served they are short again. */
static void pauses_are_for_what_fails_now(void **state)
{
    etcd_watch *watch = ww_watch("k", 10);
    size_t before;

    (void)state;
    ww.automatic = true;
    end_streams(300, INTERNAL);
    ww_expect_nothing(watch);
    assert_in_range(ww.stream_count, 12, 35); /* 30 s: 2 s apart after the first few */
    ww_run(&ww, 30000);
    before = ww.stream_count;
    ww_status(&ww, ww_stream(&ww), UNAVAILABLE, "x");
    ww_run(&ww, 150);
    assert_int_equal(ww.stream_count, before + 1);
    assert_int_equal(ww_open_streams(&ww), 1);
    etcd_watch_close(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_refusal_says_nothing_about_others, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(all_resume_at_once, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(pauses_are_for_what_fails_now, ww_set_up, ww_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
