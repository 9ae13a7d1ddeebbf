/* SPDX-License-Identifier: Apache-2.0 */
/* How far is a watch, and when is it there: notices on request, of the creation, and of too many watches. */
#include "support/alloc_fail.h"
#include "support/test.h"
#include "support/watch_world.h"

enum { ALL = -1 };

static void request(etcd_watch *watch)
{
    etcd_error err;

    if (etcd_watch_request_progress(watch, &err) != ETCD_OK)
        fail_msg("%s", err.message);
}

static void expect_notice(etcd_watch *watch, int64_t revision)
{
    etcd_events *events;
    etcd_error err;

    if (ww_look(watch, &events, &err) != ETCD_OK)
        fail_msg("%s", err.message);
    assert_int_equal(etcd_events_count(events), 0);
    assert_int_equal(etcd_events_header(events)->revision, revision);
    etcd_events_free(events);
}

/* ---- on request ------------------------------------------------------------------------------------ */

static void test_all_of_a_stream_are_answered(void **state)
{
    etcd_watch *asks = ww_watch("k", 101), *also = ww_watch("k", 101), *other = ww_watch("k", 101);

    (void)state;
    ww.automatic = true;
    ww.version = "3.5.8";
    request(asks); /* before a server has it */
    ww_run(&ww, 10);
    request(also);
    ww_run(&ww, 10);
    assert_int_equal(ww.statuses, 1);
    assert_int_equal(ww_stream(&ww)->progress_count, 1);
    ww.revision = 140;
    ww_progress(&ww, ww_stream(&ww), ALL, 140);
    ww_run(&ww, 1000);
    expect_notice(asks, 140);
    expect_notice(also, 140);
    ww_expect_nothing(asks);
    ww_expect_nothing(other);
    assert_int_equal(ww_stream(&ww)->progress_count, 1);
    /* All three have moved on. */
    ww_cut(&ww);
    ww_run(&ww, 1000);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ww_stream(&ww)->creates[i].start_revision, 141);
    etcd_watch_close(asks);
    etcd_watch_close(also);
    etcd_watch_close(other);
}

/* A server that is still sending drops the request; and a stream may break before the answer. */
static void test_asked_until_answered(void **state)
{
    etcd_watch *watch = ww_watch("k", 101);
    size_t asked;

    (void)state;
    ww.automatic = true;
    ww.version = "3.4.25";
    request(watch);
    ww_run(&ww, 1000);
    asked = ww_stream(&ww)->progress_count;
    assert_in_range(asked, 3, 6);
    ww_run(&ww, 20000);
    assert_in_range(ww_stream(&ww)->progress_count, asked + 8, asked + 11); /* every 2 s then */
    ww_cut(&ww);
    ww_run(&ww, 1000);
    assert_int_equal(ww.statuses, 2); /* it may be another member now */
    assert_in_range(ww_stream(&ww)->progress_count, 1, 6);
    ww_progress(&ww, ww_stream(&ww), ALL, 120);
    asked = ww_stream(&ww)->progress_count;
    ww_run(&ww, 10000);
    assert_int_equal(ww_stream(&ww)->progress_count, asked);
    expect_notice(watch, 120);
    etcd_watch_close(watch);
}

/* Their answer may come before events of a lower revision: it is not even asked for, and not believed. */
static void test_servers_that_cannot_say(void **state)
{
    static const char *const versions[] = {"3.4.24", "3.5.7", "3.3.0", "new", "", NULL};

    (void)state;
    ww.automatic = true;
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        etcd_watch *watch = ww_watch("k", 101);

        ww.version = versions[i];
        ww_run(&ww, 10);
        request(watch);
        ww_run(&ww, 1000);
        assert_int_equal(ww_stream(&ww)->progress_count, 0);
        ww_progress(&ww, ww_stream(&ww), ALL, 140);
        ww_run(&ww, 10);
        ww_expect_nothing(watch);
        ww_cut(&ww);
        ww_run(&ww, 1000);
        assert_int_equal(ww_stream(&ww)->creates[0].start_revision, 101);
        /* The periodic one is certain everywhere. */
        ww_progress(&ww, ww_stream(&ww), ww_stream(&ww)->creates[0].id, 150);
        ww_run(&ww, 10);
        expect_notice(watch, 150);
        etcd_watch_close(watch);
        ww_run(&ww, 10);
    }
}

static void test_the_version_is_that_of_the_right_member(void **state)
{
    etcd_watch *watch = ww_watch("k", 101);

    (void)state;
    ww.automatic = true;
    ww.version = "3.6.0";
    ww.elsewhere = 2;
    request(watch);
    ww_run(&ww, 150);
    assert_int_equal(ww_stream(&ww)->progress_count, 0);
    ww_run(&ww, 100);
    assert_int_equal(ww.statuses, 3);
    assert_in_range(ww_stream(&ww)->progress_count, 1, 2);
    etcd_watch_close(watch); /* while it waits */
    ww_run(&ww, 10000);
    assert_int_equal(ww_open_streams(&ww), 0);
}

static void test_a_proxy_is_not_asked(void **state)
{
    etcd_watch *watch = ww_watch("k", 101);

    (void)state;
    ww.version = "3.5.30";
    request(watch);
    ww_run(&ww, 10);
    ww_created(&ww, ww_stream(&ww), 0);
    ww_run(&ww, 200);
    ww_created(&ww, ww_stream(&ww), 0);
    ww_run(&ww, 5000);
    assert_int_equal(ww.statuses, 0);
    assert_int_equal(ww_stream(&ww)->progress_count, 0);
    etcd_watch_close(watch);
}

static void test_an_ended_watch_says_so(void **state)
{
    etcd_watch *watch = ww_watch("k", 101);
    etcd_error err;

    (void)state;
    etcd_watch_cancel(watch);
    assert_int_equal(etcd_watch_request_progress(watch, &err), ETCD_E_CANCELLED);
    assert_int_equal(etcd_watch_request_progress(NULL, &err), ETCD_E_INVALID_ARGUMENT);
    etcd_watch_close(watch);
}

/* ---- created --------------------------------------------------------------------------------------- */

static void test_created_is_told_once(void **state)
{
    etcd_watch *watch = NULL;
    etcd_error err;

    (void)state;
    assert_int_equal(
        etcd_watch_open(ww.client, etcd_cstr("k"), ETCD_WATCH_OPTS(.created = true), &watch, &err), ETCD_OK);
    ww_run(&ww, 100);
    ww_expect_nothing(watch);
    ww.revision = 130; /* much happens until the server has it; the watch begins behind 100 all the same */
    ww_created(&ww, ww_stream(&ww), ww_stream(&ww)->creates[0].id);
    ww_run(&ww, 10);
    ww_events(&ww, ww_stream(&ww), ww_stream(&ww)->creates[0].id, 101, 103);
    ww_run(&ww, 10);
    expect_notice(watch, 100);
    ww_expect_batch(watch, 101, 103);
    ww.automatic = true;
    ww_cut(&ww);
    ww_run(&ww, 1000);
    assert_int_equal(ww.stream_count, 2);
    ww_expect_nothing(watch);
    etcd_watch_close(watch);
}

/* ---- memory ---------------------------------------------------------------------------------------- */

static void without_memory(size_t n)
{
    etcd_watch *watch = NULL;
    etcd_status st;

    ww_open(&ww, NULL);
    ww.automatic = true;
    ww.version = "3.5.8";
    alloc_fail_at(n);
    st = etcd_watch_open(ww.client, etcd_cstr("k"), ETCD_WATCH_OPTS(.start_revision = 101, .created = true),
                         &watch, NULL);
    if (st == ETCD_OK)
        st = etcd_watch_request_progress(watch, NULL);
    ww_run(&ww, 5000);
    ww.revision = 140;
    for (int i = 0; i < 3 && ww_open_streams(&ww) > 0; i++) {
        ww_progress(&ww, ww_stream(&ww), ALL, 140);
        ww_run(&ww, 5000);
    }
    while (st == ETCD_OK) {
        etcd_events *events = NULL;

        st = etcd_watch_next(watch, 0, &events, NULL);
        assert_int_equal(etcd_events_count(events), 0);
        etcd_events_free(events);
    }
    assert_true(st == ETCD_E_NO_MEMORY || st == ETCD_E_DEADLINE);
    etcd_watch_close(watch);
}

static void test_every_allocation_fails_once(void **state)
{
    size_t before = alloc_live(), n = 1;
    bool reached = true;

    (void)state;
    for (; reached; n++) {
        without_memory(n);
        reached = alloc_count() >= n;
        alloc_fail_at(0);
        ww_close(&ww);
        assert_int_equal(alloc_live(), before);
    }
    assert_in_range(n, 50, 2000);
}

/* ---- too many -------------------------------------------------------------------------------------- */

static size_t warnings;

static void on_line(void *user_data, etcd_log_level level, const char *component, const char *message)
{
    (void)user_data;
    if (level == ETCD_LOG_WARN && strcmp(component, "watch") == 0) {
        assert_non_null(strstr(message, "more than 5 watches"));
        warnings++;
    }
}

static int set_up_logged(void **state)
{
    (void)state;
    warnings = 0;
    ww_open(&ww, ETCD_CLIENT_OPTS(.log_fn = on_line, .warn_watches = 5));
    return 0;
}

static void test_one_line_when_there_are_many(void **state)
{
    etcd_watch *watches[8];

    (void)state;
    ww.automatic = true;
    for (size_t round = 1; round <= 2; round++) {
        for (int i = 0; i < 8; i++) {
            watches[i] = ww_watch("k", 0);
            ww_run(&ww, 10);
            assert_int_equal(warnings, i < 5 ? round - 1 : round);
        }
        for (int i = 0; i < 8; i++)
            etcd_watch_close(watches[i]);
        ww_run(&ww, 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_of_a_stream_are_answered, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_asked_until_answered, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_servers_that_cannot_say, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_the_version_is_that_of_the_right_member, ww_set_up,
                                        ww_tear_down),
        cmocka_unit_test_setup_teardown(test_a_proxy_is_not_asked, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_an_ended_watch_says_so, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_created_is_told_once, ww_set_up, ww_tear_down),
        cmocka_unit_test(test_every_allocation_fails_once),
        cmocka_unit_test_setup_teardown(test_one_line_when_there_are_many, set_up_logged, ww_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
