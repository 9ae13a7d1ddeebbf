/* SPDX-License-Identifier: Apache-2.0 */
/* Readers that are slow, answers that are too large, tokens that expire, memory that is short. */
#include "support/alloc_fail.h"
#include "support/test.h"
#include "support/watch_world.h"

#include <stdio.h>

static struct watch_world world;

static int tear_down(void **state)
{
    (void)state;
    ww_close(&world);
    return 0;
}

static etcd_watch *open_watch(const char *key, const etcd_watch_opts *opts)
{
    etcd_watch *watch = NULL;
    etcd_error err;

    if (etcd_watch_open(world.client, etcd_cstr(key), opts, &watch, &err) != ETCD_OK)
        fail_msg("%s", err.message);
    return watch;
}

/*
 * Takes what is there; every revision from *expected on has to come once. Returns the status that ended it.
 */
static etcd_status take_all(etcd_watch *watch, int64_t *expected)
{
    etcd_events *events = NULL;
    etcd_status st;

    while ((st = etcd_watch_next(watch, 0, &events, NULL)) == ETCD_OK) {
        for (size_t i = 0; i < etcd_events_count(events); i++)
            assert_int_equal(etcd_events_at(events, i)->kv.mod_revision, (*expected)++);
        etcd_events_free(events);
    }
    return st;
}

/* ---- slow readers ---------------------------------------------------------------------------------- */

static void test_a_slow_watch_leaves_the_shared_stream(void **state)
{
    etcd_watch *slow, *other;
    struct ww_stream *shared, *own;
    int64_t expected = 1, other_expected = 1;

    (void)state;
    ww_open(&world, NULL);
    world.automatic = true;
    slow = open_watch("slow", ETCD_WATCH_OPTS(.start_revision = 1, .max_events = 10));
    other = open_watch("other", ETCD_WATCH_OPTS(.start_revision = 1));
    ww_run(&world, 10);
    shared = ww_stream(&world);
    ww_events(&world, shared, shared->creates[0].id, 1, 5);
    ww_events(&world, shared, shared->creates[0].id, 6, 11);  /* above */
    ww_events(&world, shared, shared->creates[0].id, 12, 13); /* on its way already: dropped, comes again */
    ww_events(&world, shared, shared->creates[1].id, 1, 9);
    ww_run(&world, 10);
    assert_int_equal(shared->cancel_count, 1);
    assert_int_equal(shared->cancels[0], shared->creates[0].id);
    assert_int_equal(world.stream_count, 1); /* parked */
    assert_int_equal(take_all(other, &other_expected), ETCD_E_DEADLINE);
    assert_int_equal(other_expected, 10);
    assert_int_equal(take_all(slow, &expected), ETCD_E_DEADLINE);
    assert_int_equal(expected, 12);
    ww_run(&world, 10);
    assert_int_equal(world.stream_count, 2);
    own = ww_stream(&world);
    assert_int_equal(own->create_count, 1);
    assert_int_equal(own->creates[0].start_revision, 12);
    ww_events(&world, own, own->creates[0].id, 12, 40);
    ww_run(&world, 10);
    assert_int_equal(take_all(slow, &expected), ETCD_E_DEADLINE);
    assert_int_equal(expected, 41);
    etcd_watch_close(slow);
    ww_run(&world, 10);
    assert_int_equal(ww_open_streams(&world), 1);
    etcd_watch_close(other);
}

/* On its own stream flow control holds the server back: what it may still send is bounded. */
static void test_flow_control_on_its_own_stream(void **state)
{
    enum { MESSAGES = 400, EACH = 100 };
    etcd_watch *slow, *other;
    struct ww_stream *own;
    int64_t expected = 1, other_expected = 1;
    etcd_events *events = NULL;

    (void)state;
    ww_open(&world, NULL);
    world.automatic = true;
    slow = open_watch("slow", ETCD_WATCH_OPTS(.start_revision = 1, .max_events = 10));
    other = open_watch("other", ETCD_WATCH_OPTS(.start_revision = 1));
    ww_run(&world, 10);
    ww_events(&world, ww_stream(&world), ww_stream(&world)->creates[0].id, 1, 11);
    ww_run(&world, 10);
    assert_int_equal(take_all(slow, &expected), ETCD_E_DEADLINE);
    ww_run(&world, 10);
    own = ww_stream(&world);
    for (int i = 0; i < MESSAGES; i++) {
        ww_events(&world, own, own->creates[0].id, expected + i * EACH, expected + i * EACH + EACH - 1);
        ww_run(&world, 1);
    }
    /* The other one, on the same connection, is not in its way. */
    ww_events(&world, world.streams[0], world.streams[0]->creates[1].id, 1, 3);
    ww_run(&world, 10);
    assert_int_equal(take_all(other, &other_expected), ETCD_E_DEADLINE);
    assert_int_equal(other_expected, 4);
    /* Each look lets more through; every one of them comes, in order. */
    for (int i = 0; i < MESSAGES * 2 && expected < 12 + MESSAGES * EACH; i++) {
        assert_int_not_equal(take_all(slow, &expected), ETCD_E_CANCELLED);
        ww_run(&world, 1);
    }
    assert_int_equal(expected, 12 + MESSAGES * EACH);
    assert_int_equal(world.stream_count, 2);
    assert_int_equal(etcd_watch_next(slow, 0, &events, NULL), ETCD_E_DEADLINE);
    etcd_watch_close(slow);
    etcd_watch_close(other);
}

static void test_a_parked_watch_can_be_closed_and_broken(void **state)
{
    etcd_watch *parked, *paused, *kept;
    int64_t expected = 1;

    (void)state;
    ww_open(&world, NULL);
    world.automatic = true;
    parked = open_watch("a", ETCD_WATCH_OPTS(.start_revision = 1, .max_events = 2));
    paused = open_watch("b", ETCD_WATCH_OPTS(.start_revision = 1, .max_events = 2));
    kept = open_watch("c", ETCD_WATCH_OPTS(.start_revision = 1, .max_events = 2));
    ww_run(&world, 10);
    for (int i = 0; i < 3; i++)
        ww_events(&world, world.streams[0], world.streams[0]->creates[i].id, 1, 3);
    ww_run(&world, 10);
    assert_int_equal(take_all(paused, &expected), ETCD_E_DEADLINE);
    ww_run(&world, 10);
    ww_events(&world, ww_stream(&world), ww_stream(&world)->creates[0].id, 4, 9);
    ww_run(&world, 10);
    ww_cut(&world); /* the paused one is parked now: it is not created again before it was read */
    ww_run(&world, 5000);
    assert_int_equal(ww_open_streams(&world), 0);
    etcd_watch_close(parked);
    assert_int_equal(take_all(paused, &expected), ETCD_E_DEADLINE);
    ww_run(&world, 10);
    assert_int_equal(ww_open_streams(&world), 1);
    assert_int_equal(ww_stream(&world)->creates[0].start_revision, 10);
    etcd_watch_close(paused);
    etcd_client_cancel_waits(world.client);
    expected = 1;
    assert_int_equal(take_all(kept, &expected), ETCD_E_CANCELLED); /* after what is there */
    assert_int_equal(expected, 4);
    etcd_watch_close(kept);
}

/* ---- answers above the limit ----------------------------------------------------------------------- */

static void send_large_to(const char *key)
{
    for (size_t i = 0; i < world.stream_count; i++) {
        struct ww_stream *stream = world.streams[i];

        for (size_t j = 0; j < stream->create_count && stream->h2 != NULL; j++) {
            if (strcmp(stream->creates[j].key, key) == 0)
                ww_large(&world, stream, stream->creates[j].id, 1, 8192);
        }
    }
}

static void test_too_large_finds_the_culprit(void **state)
{
    enum { COUNT = 100, CULPRIT = 37 };
    etcd_watch *watches[COUNT];
    int64_t expected = 0;
    int rounds = 0;
    char key[16];

    (void)state;
    ww_open(&world, ETCD_CLIENT_OPTS(.max_send_bytes = 4096, .max_recv_bytes = 4096));
    world.automatic = true;
    for (int i = 0; i < COUNT; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        watches[i] = open_watch(key, ETCD_WATCH_OPTS(.start_revision = 1));
    }
    ww_run(&world, 10);
    assert_int_equal(world.stream_count, 1);
    snprintf(key, sizeof(key), "k%d", CULPRIT);
    while (rounds++ < 20 && take_all(watches[CULPRIT], &expected) == ETCD_E_DEADLINE) {
        send_large_to(key);
        ww_run(&world, 3000);
    }
    assert_int_equal(take_all(watches[CULPRIT], &expected), ETCD_E_TOO_LARGE);
    assert_in_range(rounds, 2, 6);
    for (size_t i = 0; i < world.stream_count; i++) {
        struct ww_stream *stream = world.streams[i];

        for (size_t j = 0; j < stream->create_count && stream->h2 != NULL; j++)
            ww_events(&world, stream, stream->creates[j].id, 1, 2);
    }
    ww_run(&world, 10);
    for (int i = 0; i < COUNT; i++) {
        expected = 1;
        if (i != CULPRIT) {
            assert_int_equal(take_all(watches[i], &expected), ETCD_E_DEADLINE);
            assert_int_equal(expected, 3);
        }
        etcd_watch_close(watches[i]);
    }
    ww_run(&world, 10);
    assert_int_equal(ww_open_streams(&world), 0);
}

/* ---- tokens ---------------------------------------------------------------------------------------- */

static const char *token_of(const struct ww_stream *stream)
{
    return h2_server_field(stream->h2, "token");
}

static void test_an_expired_token_moves_the_newcomer(void **state)
{
    etcd_watch *old, *newcomer;
    struct ww_stream *first, *second;
    int64_t expected = 1, old_expected = 1;

    (void)state;
    ww_open(&world, ETCD_CLIENT_OPTS(.username = "me", .password = ETCD_SECRET_TEXT("secret")));
    old = open_watch("old", ETCD_WATCH_OPTS(.start_revision = 1));
    ww_run(&world, 10);
    first = ww_stream(&world);
    assert_string_equal(token_of(first), "token-1");
    ww_created(&world, first, first->creates[0].id);
    newcomer = open_watch("new", ETCD_WATCH_OPTS(.start_revision = 1));
    ww_run(&world, 10);
    ww_refused(&world, first, "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token");
    ww_run(&world, 100);
    second = ww_stream(&world);
    assert_ptr_not_equal(first, second);
    assert_string_equal(token_of(second), "token-2");
    assert_int_equal(world.logins, 2);
    assert_int_equal(ww_open_streams(&world), 2); /* what was created stays where it is */
    ww_created(&world, second, second->creates[0].id);
    ww_events(&world, second, second->creates[0].id, 1, 2);
    ww_events(&world, first, first->creates[0].id, 1, 3);
    ww_run(&world, 10);
    assert_int_equal(take_all(newcomer, &expected), ETCD_E_DEADLINE);
    assert_int_equal(take_all(old, &old_expected), ETCD_E_DEADLINE);
    assert_int_equal(expected, 3);
    assert_int_equal(old_expected, 4);
    etcd_watch_close(old);
    etcd_watch_close(newcomer);
}

static void test_tokens_that_are_never_right(void **state)
{
    etcd_watch *watch;
    int64_t expected = 1;
    int rounds = 0;

    (void)state;
    ww_open(&world, ETCD_CLIENT_OPTS(.username = "me", .password = ETCD_SECRET_TEXT("secret")));
    watch = open_watch("k", ETCD_WATCH_OPTS(.start_revision = 1));
    while (rounds++ < 50 && take_all(watch, &expected) == ETCD_E_DEADLINE) {
        ww_run(&world, 3000);
        if (ww_open_streams(&world) > 0)
            ww_refused(&world, ww_stream(&world), "etcdserver: invalid auth token");
        ww_run(&world, 10);
    }
    assert_int_equal(take_all(watch, &expected), ETCD_E_AUTH);
    assert_in_range(rounds, 3, 12);
    etcd_watch_close(watch);
}

/* ---- memory ---------------------------------------------------------------------------------------- */

/* A watch that fails for want of memory says so; one that does not delivers everything. */
static void check_watch(etcd_watch *watch, int64_t first, int64_t last, bool closed)
{
    int64_t expected = first;
    etcd_status st;

    if (watch == NULL)
        return;
    st = take_all(watch, &expected);
    if (st != ETCD_E_NO_MEMORY) {
        assert_int_equal(st, closed ? ETCD_E_CLOSED : ETCD_E_DEADLINE);
        assert_int_equal(expected, last + 1);
    }
    etcd_watch_close(watch);
}

static etcd_watch *try_open(const char *key, int64_t start_revision)
{
    etcd_watch *watch = NULL;
    etcd_status st = etcd_watch_open(world.client, etcd_cstr(key),
                                     ETCD_WATCH_OPTS(.start_revision = start_revision, .prefix = true),
                                     &watch, NULL);

    assert_true(st == ETCD_OK || st == ETCD_E_NO_MEMORY);
    return watch;
}

static void send_everywhere(int64_t first, int64_t last)
{
    world.revision = last;
    for (size_t i = 0; i < world.stream_count; i++) {
        struct ww_stream *stream = world.streams[i];

        for (size_t j = 0; j < stream->create_count && stream->h2 != NULL; j++) {
            if (stream->creates[j].start_revision <= last)
                ww_events(&world, stream, stream->creates[j].id, first, last);
        }
    }
}

static void live_through(size_t n)
{
    etcd_watch *learned, *started;

    ww_open(&world, NULL);
    world.automatic = true;
    alloc_fail_at(n);
    learned = try_open("a", 0);
    started = try_open("b", 101);
    ww_run(&world, 10000);
    send_everywhere(101, 110);
    ww_run(&world, 10000);
    send_everywhere(101, 110); /* to those that had to start again */
    ww_run(&world, 10000);
    ww_cut(&world);
    ww_run(&world, 10000);
    send_everywhere(111, 112);
    ww_run(&world, 10000);
    send_everywhere(101, 112);
    ww_run(&world, 10000);
    check_watch(learned, 101, 112, false);
    check_watch(started, 101, 112, false);
}

static void test_every_allocation_fails_once(void **state)
{
    size_t before = alloc_live(), made = 0;
    bool reached = true;

    (void)state;
    for (size_t n = 1; reached; n++) {
        live_through(n);
        reached = alloc_count() >= n;
        alloc_fail_at(0);
        ww_close(&world);
        assert_int_equal(alloc_live(), before);
        assert_true(n < 2000);
        made = n;
    }
    assert_true(made > 100);
    ww_open(&world, NULL); /* for the tear-down */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_slow_watch_leaves_the_shared_stream, tear_down),
        cmocka_unit_test_teardown(test_flow_control_on_its_own_stream, tear_down),
        cmocka_unit_test_teardown(test_a_parked_watch_can_be_closed_and_broken, tear_down),
        cmocka_unit_test_teardown(test_too_large_finds_the_culprit, tear_down),
        cmocka_unit_test_teardown(test_an_expired_token_moves_the_newcomer, tear_down),
        cmocka_unit_test_teardown(test_tokens_that_are_never_right, tear_down),
        cmocka_unit_test_teardown(test_every_allocation_fails_once, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
