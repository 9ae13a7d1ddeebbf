/* SPDX-License-Identifier: Apache-2.0 */
/* At which revision a watch begins: reads against a server that the test plays. */
#include "support/test.h"
#include "support/watch_world.h"

static void test_one_read_for_watches_opened_together(void **state)
{
    etcd_watch *watches[50];
    struct ww_stream *stream;

    (void)state;
    ww.automatic = true;
    for (int i = 0; i < 50; i++)
        watches[i] = ww_watch("k", 0);
    ww_run(&ww, 100);
    stream = ww_stream(&ww);
    assert_int_equal(ww.reads, 1);
    assert_int_equal(ww.stream_count, 1);
    assert_true(stream->has_leader);
    assert_int_equal(stream->create_count, 50);
    for (size_t i = 0; i < 50; i++) {
        assert_int_equal(stream->creates[i].start_revision, 101);
        assert_true(stream->creates[i].fragment);
        assert_true(stream->creates[i].progress_notify);
        assert_int_equal(stream->creates[i].id, stream->creates[0].id + (int64_t)i);
    }
    for (int i = 0; i < 50; i++)
        etcd_watch_close(watches[i]);
    ww_run(&ww, 100);
    assert_int_equal(ww_open_streams(&ww), 0);
}

static void test_a_denied_key_ends_only_its_watch(void **state)
{
    etcd_watch *denied = ww_watch("secret", 0), *others[3];

    (void)state;
    ww.automatic = true;
    ww.denied_key = "secret";
    for (int i = 0; i < 3; i++)
        others[i] = ww_watch("k", 0);
    ww_run(&ww, 100);
    ww_expect_end(denied, ETCD_E_DENIED, "permission denied");
    assert_int_equal(ww_stream(&ww)->create_count, 3);
    for (int i = 0; i < 3; i++) {
        ww_expect_nothing(others[i]);
        etcd_watch_close(others[i]);
    }
    etcd_watch_close(denied);
}

static void test_reads_are_repeated_until_they_succeed(void **state)
{
    etcd_watch *watch = ww_watch("k", 0), *left = ww_watch("k", 0);

    (void)state;
    ww.automatic = true;
    ww.read_code = 14;
    ww.read_message = "etcdserver: no leader";
    ww_run(&ww, 60000);
    ww_expect_nothing(watch);
    assert_true(ww.reads > 10);
    assert_true(ww.reads < 1000);
    etcd_watch_close(left);
    ww.read_code = 0;
    ww_run(&ww, 5000);
    assert_int_equal(ww_stream(&ww)->create_count, 1);
    etcd_watch_close(watch);
}

static void test_closing_while_learning(void **state)
{
    etcd_watch *first = ww_watch("k", 0), *second = ww_watch("k", 0);

    (void)state;
    ww.host->delay_ms = 50;
    etcd_watch_close(first); /* before the engine knows it */
    ww_run(&ww, 1);
    etcd_watch_close(second);
    ww_run(&ww, 100);
    assert_int_equal(ww.stream_count, 0);
}

/* The read is given up then and asked again; what had come of it belongs to nobody, and the tear-down looks.
 */
static void test_an_answer_without_an_end(void **state)
{
    etcd_watch *watch = ww_watch("k", 0);

    (void)state;
    ww.automatic = true;
    ww.reads_go_on = true;
    ww_run(&ww, 60000);
    ww_expect_nothing(watch);
    assert_true(ww.reads > 1);
    ww.reads_go_on = false;
    ww_run(&ww, 20000);
    assert_int_equal(ww_stream(&ww)->create_count, 1);
    etcd_watch_close(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_read_for_watches_opened_together, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_a_denied_key_ends_only_its_watch, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_reads_are_repeated_until_they_succeed, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_closing_while_learning, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_an_answer_without_an_end, ww_set_up, ww_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
