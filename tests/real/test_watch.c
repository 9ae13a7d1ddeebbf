/* SPDX-License-Identifier: Apache-2.0 */
/* What a watch delivers, and how it ends. */
#include "support/client.h"
#include "support/test.h"
#include "support/watching.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- events ---------------------------------------------------------------------------------------- */

static void assert_text(etcd_bytes bytes, const char *text)
{
    assert_int_equal(bytes.len, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.len);
    assert_int_equal(((const char *)bytes.data)[bytes.len], 0);
}

enum { KEYS = 10, WRITES = 1000 };

struct model {
    char value[KEYS][16];
    int64_t version[KEYS]; /* 0: the key does not exist */
};

/*
 * The n-th write of a fixed script: mostly puts, now and then a delete of what exists. Returns its
 * revision.
 */
static int64_t write_one(etcd_client *client, struct model *model, int n)
{
    int key = n * 7 % KEYS;
    char name[32], value[16];

    snprintf(name, sizeof(name), "mixed/%d", key);
    if (model->version[key] > 0 && n % 5 == 0) {
        model->version[key] = 0;
        model->value[key][0] = '\0';
        return watch_delete(client, name);
    }
    snprintf(value, sizeof(value), "v%d", n);
    snprintf(model->value[key], sizeof(model->value[key]), "%s", value);
    model->version[key]++;
    return watch_put(client, name, value);
}

static void check_one(const etcd_event *event, struct model *model, int n)
{
    int key = n * 7 % KEYS;
    char name[32], value[16];

    snprintf(name, sizeof(name), "mixed/%d", key);
    assert_text(event->kv.key, name);
    if (model->version[key] > 0) {
        assert_non_null(event->prev_kv);
        assert_text(event->prev_kv->value, model->value[key]);
        assert_int_equal(event->prev_kv->version, model->version[key]);
    } else {
        assert_null(event->prev_kv);
    }
    if (model->version[key] > 0 && n % 5 == 0) {
        model->version[key] = 0;
        assert_int_equal(event->type, ETCD_EVENT_DELETE);
        assert_int_equal(event->kv.value.len, 0);
        assert_int_equal(event->kv.create_revision, 0);
        return;
    }
    snprintf(value, sizeof(value), "v%d", n);
    snprintf(model->value[key], sizeof(model->value[key]), "%s", value);
    model->version[key]++;
    assert_int_equal(event->type, ETCD_EVENT_PUT);
    assert_text(event->kv.value, value);
    assert_int_equal(event->kv.version, model->version[key]);
    assert_int_equal(etcd_event_is_create(event), model->version[key] == 1);
}

static void test_mixed_writes_in_order(void **state)
{
    etcd_client *client = watching_client(state);
    static struct model writer, reader;
    static int64_t revisions[WRITES];
    etcd_watch *watch = watch_open(
        client, "mixed/",
        ETCD_WATCH_OPTS(.prefix = true, .prev_kv = true, .start_revision = watch_revision(client) + 1));
    int seen = 0;

    memset(&writer, 0, sizeof(writer));
    memset(&reader, 0, sizeof(reader));
    for (int n = 0; n < WRITES; n++)
        revisions[n] = write_one(client, &writer, n);
    while (seen < WRITES) {
        etcd_events *events = watch_next(watch);

        assert_true(etcd_events_header(events)->revision >= revisions[seen]);
        for (size_t i = 0; i < etcd_events_count(events); i++) {
            assert_in_range(seen, 0, WRITES - 1);
            assert_int_equal(etcd_events_at(events, i)->kv.mod_revision, revisions[seen]);
            check_one(etcd_events_at(events, i), &reader, seen++);
        }
        assert_null(etcd_events_at(events, etcd_events_count(events)));
        etcd_events_free(events);
    }
    etcd_watch_close(watch);
}

static void test_begins_after_now(void **state)
{
    etcd_client *client = watching_client(state);
    etcd_watch *watch;
    etcd_events *events;
    int64_t revision;

    watch_put(client, "now", "before");
    watch = watch_open(client, "now", NULL);
    /* Nothing tells when the watch has begun, so writes go on until one is seen; what was before never is. */
    do {
        revision = watch_put(client, "now", "after");
        events = NULL;
        (void)!etcd_watch_next(watch, 100, &events, NULL);
    } while (events == NULL);
    assert_text(etcd_events_at(events, 0)->kv.value, "after");
    assert_true(etcd_events_at(events, 0)->kv.mod_revision <= revision);
    etcd_events_free(events);
    etcd_watch_close(watch);
}

static void test_start_revision(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t first = watch_put(client, "start/a", "1");
    int64_t last = first;
    etcd_watch *watch;

    for (int i = 0; i < 20; i++)
        last = watch_put(client, "start/a", "x");
    assert_int_equal(last, first + 20);
    watch = watch_open(client, "start/", ETCD_WATCH_OPTS(.prefix = true, .start_revision = first + 5));
    watch_expect_each(watch, first + 5, last);
    etcd_watch_close(watch);
}

static void test_a_future_revision(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t now = watch_revision(client);
    etcd_watch *watch = watch_open(client, "future", ETCD_WATCH_OPTS(.start_revision = now + 3));

    for (int i = 0; i < 4; i++)
        watch_put(client, "future", "x");
    watch_expect_each(watch, now + 3, now + 4);
    etcd_watch_close(watch);
}

static void expect_types(etcd_client *client, const etcd_watch_opts *opts, etcd_event_type type, size_t count)
{
    etcd_watch *watch = watch_open(client, "filter/", opts);
    size_t seen = 0;

    while (seen < count) {
        etcd_events *events = watch_next(watch);

        for (size_t i = 0; i < etcd_events_count(events); i++)
            assert_int_equal(etcd_events_at(events, i)->type, type);
        seen += etcd_events_count(events);
        etcd_events_free(events);
    }
    assert_int_equal(seen, count);
    etcd_watch_close(watch);
}

static void test_filters(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t first = watch_put(client, "filter/a", "1");

    watch_put(client, "filter/b", "1");
    watch_delete(client, "filter/a");
    watch_put(client, "filter/a", "2");
    watch_delete(client, "filter/b");
    expect_types(client, ETCD_WATCH_OPTS(.prefix = true, .start_revision = first, .no_put = true),
                 ETCD_EVENT_DELETE, 2);
    expect_types(client, ETCD_WATCH_OPTS(.prefix = true, .start_revision = first, .no_delete = true),
                 ETCD_EVENT_PUT, 3);
}

static void test_ranges(void **state)
{
    static const char *const keys[] = {"r/a", "r/b", "r/c", "r/d"};
    static const struct {
        const char *key, *end;
        bool prefix, from_key;
        const char *first;
        size_t count;
    } rows[] = {
        {"r/b", NULL, false, false, "r/b", 1}, {"r/", NULL, true, false, "r/a", 4},
        {"", NULL, true, false, "r/a", 4},     {"r/c", NULL, false, true, "r/c", 2},
        {"", NULL, false, true, "r/a", 4},     {"r/a", "r/c", false, false, "r/a", 2},
    };
    etcd_client *client = watching_client(state);
    int64_t start = watch_revision(client) + 1;

    for (size_t i = 0; i < 4; i++)
        watch_put(client, keys[i], "x");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        etcd_watch *watch =
            watch_open(client, rows[i].key,
                       ETCD_WATCH_OPTS(.start_revision = start, .range_end = etcd_cstr(rows[i].end),
                                       .prefix = rows[i].prefix, .from_key = rows[i].from_key));
        etcd_events *events = watch_next(watch);

        assert_text(etcd_events_at(events, 0)->kv.key, rows[i].first);
        assert_int_equal(etcd_events_count(events), rows[i].count);
        etcd_events_free(events);
        etcd_watch_close(watch);
    }
}

/* One revision with several events stays together. */
static void test_a_transaction_is_one_revision(void **state)
{
    etcd_client *client = watching_client(state);
    etcd_watch *watch = watch_open(
        client, "txn/", ETCD_WATCH_OPTS(.prefix = true, .start_revision = watch_revision(client) + 1));
    etcd_txn *txn = etcd_txn_new();
    etcd_events *events;
    etcd_error err;

    assert_non_null(txn);
    for (int i = 0; i < 5; i++) {
        char key[16];

        snprintf(key, sizeof(key), "txn/%d", i);
        etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr(key), etcd_cstr("x"), NULL);
    }
    watch_ok(etcd_txn_commit(client, txn, NULL, NULL, &err), &err);
    etcd_txn_free(txn);
    events = watch_next(watch);
    assert_int_equal(etcd_events_count(events), 5);
    etcd_events_free(events);
    etcd_watch_close(watch);
}

static void test_large_values_come_in_fragments(void **state)
{
    enum { SIZE = 1024 * 1024, COUNT = 10 };
    etcd_client *client = watching_client(state);
    int64_t first = watch_revision(client) + 1;
    char *value = malloc(SIZE + 1);
    etcd_watch *watch;

    assert_non_null(value);
    memset(value, 'x', SIZE);
    value[SIZE] = '\0';
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(watch_put(client, "large", value), first + i);
    watch = watch_open(client, "large", ETCD_WATCH_OPTS(.start_revision = first));
    watch_expect_each(watch, first, first + COUNT - 1);
    etcd_watch_close(watch);
    free(value);
}

/* ---- ends ------------------------------------------------------------------------------------------ */

static void test_compaction_ends_it(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t first = watch_put(client, "compact", "1");
    int64_t last = first;
    etcd_events *events = NULL;
    etcd_error err;
    etcd_watch *watch;

    for (int i = 0; i < 5; i++)
        last = watch_put(client, "compact", "2");
    watch_ok(etcd_compact(client, last, NULL, &err), &err);
    watch = watch_open(client, "compact", ETCD_WATCH_OPTS(.start_revision = first));
    assert_int_equal(watch_end(watch, &err), ETCD_E_COMPACTED);
    assert_int_equal(err.revision, last);
    assert_int_equal(err.status, ETCD_E_COMPACTED);
    /* For ever. */
    assert_int_equal(etcd_watch_next(watch, 0, &events, &err), ETCD_E_COMPACTED);
    assert_int_equal(err.revision, last);
    etcd_watch_cancel(watch);
    assert_int_equal(etcd_watch_next(watch, 1000, &events, NULL), ETCD_E_COMPACTED);
    etcd_watch_close(watch);
}

static void test_cancel_leaves_what_was_queued(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t first = watch_revision(client) + 1;
    etcd_watch *watch = watch_open(client, "queued", ETCD_WATCH_OPTS(.start_revision = first));
    etcd_events *events;
    etcd_error err;

    watch_put(client, "queued", "1");
    watch_expect_each(watch, first, first);
    watch_put(client, "queued", "2");
    test_pump(client, 300);
    etcd_watch_cancel(watch);
    etcd_watch_cancel(watch);
    watch_put(client, "queued", "3");
    events = watch_next(watch);
    assert_text(etcd_events_at(events, 0)->kv.value, "2");
    etcd_events_free(events);
    events = NULL;
    assert_int_equal(etcd_watch_next(watch, 1000, &events, &err), ETCD_E_CANCELLED);
    assert_null(events);
    etcd_watch_close(watch);
}

static void test_client_ends_first(void **state)
{
    etcd_client *client = test_client_open(etcd_server_endpoints(watching_server(state)), NULL);
    etcd_watch *watch = watch_open(client, "key", NULL);
    etcd_watch *late = NULL;
    etcd_events *events = NULL;
    etcd_error err;

    assert_int_equal(etcd_watch_next(watch, 0, &events, &err), ETCD_E_DEADLINE);
    etcd_client_cancel_waits(client);
    late = watch_open(client, "key", NULL);
    assert_int_equal(watch_end(watch, &err), ETCD_E_CANCELLED);
    assert_int_equal(watch_end(late, &err), ETCD_E_CANCELLED);
    etcd_watch_close(late);
    watch_ok(etcd_client_close(client, &err), &err);
    assert_int_equal(etcd_watch_open(client, etcd_cstr("key"), NULL, &late, &err), ETCD_E_CLOSED);
    etcd_client_free(client);
    assert_int_equal(etcd_watch_next(watch, 0, &events, &err), ETCD_E_CANCELLED);
    etcd_watch_close(watch);
}

static void test_closed_client(void **state)
{
    etcd_client *client = test_client_open(etcd_server_endpoints(watching_server(state)), NULL);
    etcd_watch *watch = watch_open(client, "key", NULL);
    etcd_error err;

    test_pump(client, 100);
    etcd_client_free(client);
    assert_int_equal(watch_end(watch, &err), ETCD_E_CLOSED);
    etcd_watch_close(watch);
}

/* ---- bad input ------------------------------------------------------------------------------------- */

static void test_bad_arguments(void **state)
{
    static const struct {
        const char *key;
        etcd_watch_opts opts;
        const char *named;
    } rows[] = {
        {"", {.size = sizeof(etcd_watch_opts)}, "key"},
        {"k", {.size = sizeof(etcd_watch_opts), .start_revision = -7}, "-7"},
        {"k", {.size = sizeof(etcd_watch_opts), .delay_ms = -2, .start_revision = 1}, "delay_ms is -2"},
        {"k", {.size = sizeof(etcd_watch_opts), .delay_ms = 10}, "start_revision"},
        {"k", {.size = sizeof(etcd_watch_opts), .prefix = true, .from_key = true}, "prefix"},
        {"k", {.size = sizeof(etcd_watch_opts), .prefix = true, .range_end = {"z", 1}}, "range_end"},
        {"k", {.size = sizeof(etcd_watch_opts), .range_end = {"a", 1}}, "range_end"},
        {"k", {.size = sizeof(etcd_watch_opts), .range_end = {NULL, 3}}, "range_end"},
        {"k", {.size = sizeof(etcd_watch_opts), .no_put = true, .no_delete = true}, "no_delete"},
        {"k", {.size = 0}, "initialised"},
    };
    etcd_client *client = watching_client(state);
    etcd_watch *watch = NULL;
    etcd_events *events = NULL;
    etcd_error err;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(etcd_watch_open(client, etcd_cstr(rows[i].key), &rows[i].opts, &watch, &err),
                         ETCD_E_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, rows[i].named));
        assert_null(watch);
    }
    assert_int_equal(etcd_watch_open(client, etcd_cstr("k"), NULL, NULL, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_watch_open(NULL, etcd_cstr("k"), NULL, &watch, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_watch_next(NULL, 0, &events, &err), ETCD_E_INVALID_ARGUMENT);
    watch = watch_open(client, "k", NULL);
    assert_int_equal(etcd_watch_next(watch, -1, &events, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_watch_next(watch, 0, NULL, &err), ETCD_E_INVALID_ARGUMENT);
    etcd_watch_close(watch);
    etcd_watch_close(NULL);
    etcd_watch_cancel(NULL);
    etcd_events_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixed_writes_in_order),
        cmocka_unit_test(test_begins_after_now),
        cmocka_unit_test(test_start_revision),
        cmocka_unit_test(test_a_future_revision),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_a_transaction_is_one_revision),
        cmocka_unit_test(test_large_values_come_in_fragments),
        cmocka_unit_test(test_compaction_ends_it),
        cmocka_unit_test(test_cancel_leaves_what_was_queued),
        cmocka_unit_test(test_client_ends_first),
        cmocka_unit_test(test_closed_client),
        cmocka_unit_test(test_bad_arguments),
    };

    return cmocka_run_group_tests(tests, watching_set_up, watching_tear_down);
}
