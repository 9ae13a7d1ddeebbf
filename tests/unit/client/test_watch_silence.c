/* SPDX-License-Identifier: Apache-2.0 */
/* A server that takes creates and does not answer them, on a connection that is in order. */
#include "support/fake_client.h"
#include "support/test.h"
#include "support/watch_world.h"

#include "runtime/loop.h"

enum { SILENCE_MS = 5000, ANSWER_MS = 30000, MORE_MS = 200 };

static void test_the_call_is_given_up(void **state)
{
    etcd_watch *watch = ww_watch("k", 5);
    struct ww_stream *stream;

    (void)state;
    ww_run(&ww, SILENCE_MS - MORE_MS);
    assert_int_equal(ww.stream_count, 1);
    ww_run(&ww, 2 * MORE_MS);
    assert_int_equal(ww.stream_count, 2);
    assert_int_equal(ww_open_streams(&ww), 1);
    assert_int_equal(ww.line_count, 1); /* the connection lives on */
    /* The next one has twice the time. */
    ww_run(&ww, 2 * SILENCE_MS - 3 * MORE_MS);
    assert_int_equal(ww.stream_count, 2);
    stream = ww_stream(&ww);
    assert_int_equal(stream->creates[0].start_revision, 5);
    ww_created(&ww, stream, stream->creates[0].id);
    ww_events(&ww, stream, stream->creates[0].id, 5, 6);
    ww_run(&ww, 10);
    ww_expect_batch(watch, 5, 6);
    ww_run(&ww, 20 * SILENCE_MS); /* nothing is waited for any more */
    assert_int_equal(ww.stream_count, 2);
    etcd_watch_close(watch);
}

/* What else comes on the stream gives the answer more time, but not for ever; what was delivered stays so. */
static void test_beside_others(void **state)
{
    etcd_watch *served = ww_watch("k", 5), *waiting;
    struct ww_stream *stream;
    int64_t id, passed_ms = 0, revision = 5;

    (void)state;
    ww_run(&ww, 10);
    stream = ww_stream(&ww);
    id = stream->creates[0].id;
    ww_created(&ww, stream, id);
    waiting = ww_watch("w", 5);
    while (passed_ms < ANSWER_MS - 2 * 1000) {
        ww_events(&ww, stream, id, revision, revision);
        ww_run(&ww, 1000);
        passed_ms += 1000;
        ww_expect_batch(served, revision, revision);
        revision++;
        assert_int_equal(ww.stream_count, 1);
    }
    for (int i = 0; i < 4 && ww.stream_count == 1; i++) {
        ww_events(&ww, stream, id, revision, revision);
        ww_run(&ww, 1000);
        ww_expect_batch(served, revision, revision);
        revision++;
    }
    assert_int_equal(ww.stream_count, 2);
    stream = ww_stream(&ww);
    assert_int_equal(stream->create_count, 2);
    assert_int_equal(stream->creates[0].start_revision, revision);
    assert_string_equal(stream->creates[1].key, "w");
    for (size_t i = 0; i < 2; i++)
        ww_created(&ww, stream, stream->creates[i].id);
    ww_events(&ww, stream, stream->creates[1].id, 7, 7);
    ww_run(&ww, 10);
    ww_expect_batch(waiting, 7, 7);
    etcd_watch_close(served);
    etcd_watch_close(waiting);
}

static void test_another_endpoint_is_asked(void **state)
{
    struct fake_env *env = fake_env_new(7);
    struct fake_etcd *fakes[2] = {fake_etcd_attach(env, "192.0.2.1", 2379),
                                  fake_etcd_attach(env, "192.0.2.2", 2379)};
    etcd_loop *loop = NULL;
    etcd_client *client = NULL;
    etcd_watch *watch = NULL;
    etcd_events *none = NULL;
    etcd_error err;

    (void)state;
    for (size_t i = 0; i < 2; i++)
        fake_etcd_always(fakes[i], "Watch", &(struct fake_step){.what = STEP_HEADERS});
    assert_status(etcd__loop_new_env(fake_env_table(env), &loop, &err), ETCD_OK, &err);
    assert_status(
        etcd_client_open(
            ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("192.0.2.1:2379", "192.0.2.2:2379"), .loop = loop),
            &client, &err),
        ETCD_OK, &err);
    assert_status(etcd_watch_open(client, etcd_cstr("k"), ETCD_WATCH_OPTS(.start_revision = 5), &watch, &err),
                  ETCD_OK, &err);
    assert_status(etcd_watch_next(watch, SILENCE_MS - MORE_MS, &none, &err), ETCD_E_DEADLINE, &err);
    assert_int_equal(fake_etcd_calls(fakes[0], "Watch") + fake_etcd_calls(fakes[1], "Watch"), 1);
    assert_status(etcd_watch_next(watch, 2 * MORE_MS, &none, &err), ETCD_E_DEADLINE, &err);
    assert_int_equal(fake_etcd_calls(fakes[0], "Watch"), 1);
    assert_int_equal(fake_etcd_calls(fakes[1], "Watch"), 1);
    /* Always the other one; and neither of them is overrun. */
    assert_status(etcd_watch_next(watch, 100 * SILENCE_MS, &none, &err), ETCD_E_DEADLINE, &err);
    assert_in_range(fake_etcd_calls(fakes[0], "Watch"), 4, 6);
    assert_in_range(fake_etcd_calls(fakes[1], "Watch"), 4, 6);
    etcd_watch_close(watch);
    etcd_client_free(client);
    etcd_loop_free(loop);
    for (size_t i = 0; i < 2; i++)
        fake_etcd_free(fakes[i]);
    fake_env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_call_is_given_up, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_beside_others, ww_set_up, ww_tear_down),
        cmocka_unit_test(test_another_endpoint_is_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
