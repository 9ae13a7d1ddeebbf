/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: reading, joining, cutting; each on memory of its own. */
#include "client/watch_events.h"
#include "support/alloc_fail.h"
#include "support/test.h"
#include "wire/codec.h"
#include "wire/messages.h"

enum { EVENTS_MAX = 8 };

/* An answer with these revisions; each event has "key" = "value" and "key" = "before" before it. */
static struct etcd_events *make(const int64_t *revisions, size_t count)
{
    Etcd__Pb__WatchResponse response = ETCD__PB__WATCH_RESPONSE__INIT;
    Etcd__Pb__Event events[EVENTS_MAX], *list[EVENTS_MAX];
    Etcd__Pb__KeyValue kvs[EVENTS_MAX], prevs[EVENTS_MAX];
    uint8_t key[] = "key", value[] = "value", before[] = "before", *data = NULL;
    struct etcd_events *batch = NULL;
    struct etcd__wire_watch head;
    size_t len = 0;

    assert_true(count <= EVENTS_MAX);
    for (size_t i = 0; i < count; i++) {
        etcd__pb__event__init(&events[i]);
        etcd__pb__key_value__init(&kvs[i]);
        etcd__pb__key_value__init(&prevs[i]);
        kvs[i].key = prevs[i].key = (ProtobufCBinaryData){.len = 3, .data = key};
        kvs[i].value = (ProtobufCBinaryData){.len = 5, .data = value};
        prevs[i].value = (ProtobufCBinaryData){.len = 6, .data = before};
        kvs[i].mod_revision = revisions[i];
        events[i].kv = &kvs[i];
        events[i].prev_kv = &prevs[i];
        list[i] = &events[i];
    }
    response.n_events = count;
    response.events = list;
    assert_int_equal(etcd__wire_pack(&response.base, 0, &data, &len), ETCD_OK);
    assert_int_equal(etcd__events_read(data, len, &batch, &head), ETCD_OK);
    etcd__free(data);
    assert_int_equal(etcd_events_count(batch), count);
    return batch;
}

static void check(const struct etcd_events *batch, const int64_t *revisions, size_t count)
{
    assert_int_equal(etcd_events_count(batch), count);
    for (size_t i = 0; i < count; i++) {
        const etcd_event *event = etcd_events_at(batch, i);

        assert_int_equal(event->kv.mod_revision, revisions[i]);
        assert_string_equal(event->kv.key.data, "key");
        assert_string_equal(event->kv.value.data, "value");
        assert_string_equal(event->prev_kv->value.data, "before");
    }
    assert_null(etcd_events_at(batch, count));
}

static void test_drop_before(void **state)
{
    static const int64_t revisions[] = {3, 3, 4, 7};
    static const struct {
        int64_t before;
        size_t left;
    } rows[] = {{0, 4}, {3, 4}, {4, 2}, {5, 1}, {7, 1}, {8, 0}, {INT64_MAX, 0}};

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(rows); i++) {
        struct etcd_events *batch = make(revisions, 4);

        etcd__events_drop_before(batch, rows[i].before);
        check(batch, revisions + 4 - rows[i].left, rows[i].left);
        etcd_events_free(batch);
    }
}

static void test_join(void **state)
{
    static const int64_t revisions[] = {5, 5, 5, 5, 5, 6, 7};
    struct etcd_events *batch = make(revisions, 2);

    (void)state;
    assert_true(etcd__events_join(batch, make(revisions + 2, 0)));
    for (size_t i = 2; i < ETCD__COUNT(revisions); i++)
        assert_true(etcd__events_join(batch, make(revisions + i, 1)));
    check(batch, revisions, ETCD__COUNT(revisions));
    assert_int_equal(etcd__events_last_revision(batch), 7);
    etcd_events_free(batch);
}

/* Whichever half goes first, the other stands. */
static void test_cut(void **state)
{
    static const int64_t revisions[] = {5, 6, 7, 7, 7};

    (void)state;
    for (int order = 0; order < 2; order++) {
        struct etcd_events *batch = make(revisions, 5), *whole = NULL, *rest = NULL;

        assert_true(etcd__events_cut_last(batch, &whole, &rest));
        assert_ptr_equal(whole, batch);
        etcd_events_free(order == 0 ? whole : NULL);
        check(rest, revisions + 2, 3);
        etcd_events_free(order == 0 ? NULL : rest);
        if (order != 0)
            check(whole, revisions, 2);
        etcd_events_free(order == 0 ? rest : whole);
    }
}

static void test_cut_of_one_revision(void **state)
{
    static const int64_t revisions[] = {7, 7};
    struct etcd_events *batch = make(revisions, 2), *whole = batch, *rest = NULL;

    (void)state;
    assert_true(etcd__events_cut_last(batch, &whole, &rest));
    assert_null(whole);
    assert_ptr_equal(rest, batch);
    check(rest, revisions, 2);
    etcd_events_free(batch);
    batch = make(revisions, 0);
    assert_true(etcd__events_cut_last(batch, &whole, &rest));
    assert_null(whole);
    assert_ptr_equal(rest, batch);
    etcd_events_free(batch);
}

/* What could not be cut or joined is as it was. */
static void test_without_memory(void **state)
{
    static const int64_t revisions[] = {5, 6, 7, 7, 7};
    size_t live = alloc_live();
    bool done = false;

    (void)state;
    for (size_t n = 1; !done; n++) {
        struct etcd_events *batch = make(revisions, 3), *more = make(revisions + 3, 2);
        struct etcd_events *whole = NULL, *rest = NULL;
        bool joined;

        alloc_fail_at(n);
        joined = etcd__events_join(batch, more);
        done = joined && etcd__events_cut_last(batch, &whole, &rest);
        alloc_fail_at(0);
        check(batch, revisions, done ? 2 : joined ? 5 : 3);
        if (!joined)
            etcd_events_free(more);
        etcd_events_free(rest);
        etcd_events_free(batch);
        assert_int_equal(alloc_live(), live);
        assert_true(n < 50);
    }
}

static void test_malformed(void **state)
{
    static const uint8_t bytes[] = {0x5a, 0x05, 0x12};
    struct etcd_events *batch = NULL;
    struct etcd__wire_watch head;

    (void)state;
    assert_int_equal(etcd__events_read(bytes, sizeof(bytes), &batch, &head), ETCD_E_PROTOCOL);
    assert_null(batch);
    assert_null(etcd_events_at(NULL, 0));
    assert_int_equal(etcd_events_count(NULL), 0);
    assert_null(etcd_events_header(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drop_before),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_cut_of_one_revision),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
