/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation fails once, then every one for a while, while watches are opened, hear events, lose their
 * connection and resume: each watch has all events once and in order, or ends for want of memory.
 */
#include "support/alloc_fail.h"
#include "support/test.h"
#include "support/watch_world.h"

enum { WATCHES = 3, FIRST = 101, CUT_AFTER = 103, LAST = 106 };

struct watched {
    etcd_watch *watch;
    int64_t next; /* revision; 0: the first that comes, of a watch that begins now */
    bool ended;
};

static void open_watches(struct watched *watched)
{
    static const char *const keys[WATCHES] = {"k", "k", "other"};
    etcd_error err;

    for (int i = 0; i < WATCHES; i++) {
        etcd_status st = etcd_watch_open(ww.client, etcd_cstr(keys[i]),
                                         ETCD_WATCH_OPTS(.start_revision = i == 2 ? 0 : FIRST),
                                         &watched[i].watch, &err);

        watched[i].next = i == 2 ? 0 : FIRST;
        watched[i].ended = st != ETCD_OK;
        if (st != ETCD_OK)
            assert_int_equal(st, ETCD_E_NO_MEMORY);
    }
}

static void read_all(struct watched *watched)
{
    etcd_events *events = NULL;
    etcd_status st = ETCD_OK;

    while (!watched->ended && (st = etcd_watch_next(watched->watch, 0, &events, NULL)) == ETCD_OK) {
        for (size_t i = 0; i < etcd_events_count(events); i++) {
            int64_t revision = etcd_events_at(events, i)->kv.mod_revision;

            if (watched->next != 0)
                assert_int_equal(revision, watched->next);
            watched->next = revision + 1;
        }
        etcd_events_free(events);
    }
    if (watched->ended || st == ETCD_E_DEADLINE)
        return;
    assert_int_equal(st, ETCD_E_NO_MEMORY);
    watched->ended = true;
}

/* The server tells every watch of its streams what it has not told it there yet. */
static void tell(int64_t revision)
{
    ww.revision = revision;
    for (size_t i = 0; i < ww.stream_count; i++) {
        struct ww_stream *stream = ww.streams[i];

        for (size_t j = 0; stream->h2 != NULL && j < stream->create_count; j++) {
            struct ww_create *create = &stream->creates[j];

            if (create->start_revision > revision)
                continue;
            ww_events(&ww, stream, create->id, create->start_revision, revision);
            create->start_revision = revision + 1;
        }
    }
}

static void settle(struct watched *watched, int64_t ms)
{
    ww_run(&ww, ms);
    for (int i = 0; i < WATCHES; i++)
        read_all(&watched[i]);
}

static void scenario(struct watched *watched)
{
    open_watches(watched);
    settle(watched, 5);
    for (int64_t revision = FIRST; revision < LAST; revision++) {
        tell(revision);
        settle(watched, 5);
        if (revision == CUT_AFTER)
            ww_cut(&ww);
    }
}

/* How many allocations it took. `last` 0: as many as there are. */
static size_t run(size_t first, size_t last)
{
    struct watched watched[WATCHES] = {{0}};
    size_t count;

    ww_open(&ww, NULL);
    ww.automatic = true;
    if (last == first)
        alloc_fail_at(first);
    else
        alloc_fail_from(first);
    scenario(watched);
    count = alloc_count();
    alloc_fail_at(0);
    /* Now that there is memory again, whatever was put off happens. */
    for (int i = 0; i < 4; i++) {
        settle(watched, 3000);
        tell(LAST);
    }
    settle(watched, 10);
    for (int i = 0; i < WATCHES; i++) {
        if (!watched[i].ended && watched[i].next != 0 && watched[i].next != LAST + 1)
            fail_msg("allocation %zu: watch %d has got to revision %d", first, i, (int)watched[i].next);
        etcd_watch_close(watched[i].watch);
    }
    ww_close(&ww);
    return count;
}

static void one_failure(void **state)
{
    size_t before = alloc_live(), all = run(0, 0);

    (void)state;
    for (size_t n = 1; n <= all; n++) {
        (void)run(n, n);
        if (alloc_live() != before)
            fail_msg("allocation %zu: %zu blocks leaked", n, alloc_live() - before);
    }
    print_message("%zu allocations\n", all);
    assert_true(all > 50);
}

static void no_memory_from_some_time_on(void **state)
{
    size_t before = alloc_live(), all = run(0, 0);

    (void)state;
    for (size_t n = 1; n <= all; n++) {
        (void)run(n, 0);
        if (alloc_live() != before)
            fail_msg("from allocation %zu: %zu blocks leaked", n, alloc_live() - before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_failure),
        cmocka_unit_test(no_memory_from_some_time_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
