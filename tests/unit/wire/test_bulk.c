/* SPDX-License-Identifier: Apache-2.0 */
/* What is read by hand must be what protobuf-c reads: for whole, cut, damaged and merged messages. */
#include "wire/bulk.h"

#include "support/alloc_fail.h"
#include "support/test.h"
#include "support/wire_fill.h"
#include "wire/codec.h"
#include "wire/convert.h"

static void same_bytes(etcd_bytes got, ProtobufCBinaryData expected)
{
    assert_int_equal(got.len, expected.len);
    if (expected.len > 0)
        assert_memory_equal(got.data, expected.data, expected.len);
    assert_non_null(got.data);
    assert_int_equal(((const char *)got.data)[got.len], '\0');
}

static void same_kv(const etcd_kv *got, const Etcd__Pb__KeyValue *expected)
{
    static const Etcd__Pb__KeyValue absent = ETCD__PB__KEY_VALUE__INIT;

    if (expected == NULL)
        expected = &absent;
    same_bytes(got->key, expected->key);
    same_bytes(got->value, expected->value);
    assert_true(got->create_revision == expected->create_revision);
    assert_true(got->mod_revision == expected->mod_revision);
    assert_true(got->version == expected->version);
    assert_true(got->lease_id == expected->lease);
}

/* A header that occurs twice is merged; protobuf-c 1.4 lets absent numbers overwrite present ones then. */
static bool header_is_merged;

static void same_header(const etcd_header *got, const Etcd__Pb__ResponseHeader *expected)
{
    etcd_header header = etcd__wire_header(expected);

    if (!header_is_merged)
        assert_memory_equal(got, &header, sizeof(header));
}

static void same_range(const struct etcd__wire_range *got, const Etcd__Pb__RangeResponse *expected)
{
    same_header(&got->header, expected->header);
    assert_int_equal(got->kv_count, expected->n_kvs);
    for (size_t i = 0; i < got->kv_count; i++)
        same_kv(&got->kvs[i], expected->kvs[i]);
    assert_int_equal(got->more, expected->more);
    assert_true(got->count == expected->count);
}

static void same_event(const etcd_event *got, const Etcd__Pb__Event *expected)
{
    assert_int_equal(got->type, expected->type);
    same_kv(&got->kv, expected->kv);
    assert_int_equal(got->prev_kv != NULL, expected->prev_kv != NULL);
    if (got->prev_kv != NULL)
        same_kv(got->prev_kv, expected->prev_kv);
}

static void same_watch(const struct etcd__wire_watch *got, const Etcd__Pb__WatchResponse *expected)
{
    same_header(&got->header, expected->header);
    assert_true(got->watch_id == expected->watch_id);
    assert_true(got->compact_revision == expected->compact_revision);
    assert_int_equal(got->created, expected->created);
    assert_int_equal(got->canceled, expected->canceled);
    assert_int_equal(got->fragment, expected->fragment);
    assert_string_equal(got->cancel_reason, expected->cancel_reason);
    assert_int_equal(got->event_count, expected->n_events);
    for (size_t i = 0; i < got->event_count; i++)
        same_event(&got->events[i], expected->events[i]);
}

/* The readers under test as one. */
struct reader {
    const ProtobufCMessageDescriptor *type;
    void (*compare)(const uint8_t *data, size_t len);
};

/*
 * The status must be that of protobuf-c, and the content too. protobuf-c takes a tag with field
 * number 0 for an unknown field, which no encoder writes and which is refused here.
 */
static void check_status(etcd_status got, etcd_status expected)
{
    if (got != expected)
        assert_int_equal(got, ETCD_E_PROTOCOL);
}

static void compare_range(const uint8_t *data, size_t len)
{
    struct etcd__arena arena = {0}, other = {0};
    struct etcd__wire_range range;
    etcd_status expected, got = etcd__wire_read_range(&arena, data, len, &range);
    const void *message = etcd__wire_unpack(&etcd__pb__range_response__descriptor, &other, data, len,
                                            &expected);

    check_status(got, expected);
    if (got == ETCD_OK)
        same_range(&range, message);
    etcd__arena_deinit(&arena);
    etcd__arena_deinit(&other);
}

static etcd_status read_in_place(struct etcd__arena *arena, const uint8_t *data, size_t len,
                                 struct etcd__wire_range *ret)
{
    uint8_t *own = etcd__memdup(data, len);

    if (own == NULL)
        return ETCD_E_NO_MEMORY;
    etcd__arena_adopt(arena, own);
    return etcd__wire_read_range_in_place(arena, own, len, ret);
}

static void compare_in_place(const uint8_t *data, size_t len)
{
    struct etcd__arena arena = {0}, other = {0};
    struct etcd__wire_range range;
    etcd_status expected, got = read_in_place(&arena, data, len, &range);
    const void *message = etcd__wire_unpack(&etcd__pb__range_response__descriptor, &other, data, len,
                                            &expected);

    check_status(got, expected);
    if (got == ETCD_OK)
        same_range(&range, message);
    etcd__arena_deinit(&arena);
    etcd__arena_deinit(&other);
}

static void compare_part(const uint8_t *data, size_t len)
{
    struct etcd__arena arena = {0}, other = {0};
    struct etcd__wire_range range;
    etcd_status expected, got = etcd__wire_read_range_part(&arena, data, len, &range);
    const Etcd__Pb__RangeStreamResponse *message =
        etcd__wire_unpack(&etcd__pb__range_stream_response__descriptor, &other, data, len, &expected);

    check_status(got, expected);
    if (got == ETCD_OK && message->range_response != NULL)
        same_range(&range, message->range_response);
    if (got == ETCD_OK && message->range_response == NULL)
        assert_int_equal(range.kv_count, 0);
    etcd__arena_deinit(&arena);
    etcd__arena_deinit(&other);
}

static void compare_watch(const uint8_t *data, size_t len)
{
    struct etcd__arena arena = {0}, other = {0};
    struct etcd__wire_watch watch;
    etcd_status expected, got = etcd__wire_read_watch(&arena, data, len, &watch);
    const void *message = etcd__wire_unpack(&etcd__pb__watch_response__descriptor, &other, data, len,
                                            &expected);

    check_status(got, expected);
    if (got == ETCD_OK)
        same_watch(&watch, message);
    etcd__arena_deinit(&arena);
    etcd__arena_deinit(&other);
}

/* A grant is the same but for a field that nobody sets. */
static void compare_lease(const uint8_t *data, size_t len)
{
    struct etcd__arena other = {0};
    struct etcd__wire_lease lease;
    etcd_status expected, got = etcd__wire_read_lease(data, len, &lease);
    const Etcd__Pb__LeaseKeepAliveResponse *message =
        etcd__wire_unpack(&etcd__pb__lease_keep_alive_response__descriptor, &other, data, len, &expected);

    check_status(got, expected);
    if (got == ETCD_OK) {
        same_header(&lease.header, message->header);
        assert_true(lease.id == message->id);
        assert_true(lease.ttl_s == message->ttl);
    }
    etcd__arena_deinit(&other);
}

static const struct reader readers[] = {
    {&etcd__pb__range_response__descriptor, compare_range},
    {&etcd__pb__range_response__descriptor, compare_in_place},
    {&etcd__pb__range_stream_response__descriptor, compare_part},
    {&etcd__pb__watch_response__descriptor, compare_watch},
    {&etcd__pb__lease_keep_alive_response__descriptor, compare_lease},
    {&etcd__pb__lease_grant_response__descriptor, compare_lease},
};

static uint8_t *make_sample(const ProtobufCMessageDescriptor *type, uint32_t seed, size_t *ret_len)
{
    struct etcd__arena arena = {0};
    uint8_t *data;

    assert_int_equal(etcd__wire_pack(wire_fill(&arena, type, 4, &seed), 0, &data, ret_len), ETCD_OK);
    etcd__arena_deinit(&arena);
    return data;
}

/* From an allocation of exactly that size, so that a sanitizer sees a read beyond it. */
static void compare_exact(const struct reader *reader, const uint8_t *data, size_t len)
{
    uint8_t *exact = test_malloc(len + (len == 0));

    memcpy(exact, data, len);
    reader->compare(exact, len);
    test_free(exact);
}

static etcd_status read_as(const struct reader *reader, const uint8_t *data, size_t len)
{
    struct etcd__arena arena = {0};
    struct etcd__wire_range range;
    struct etcd__wire_lease lease;
    struct etcd__wire_watch watch;
    etcd_status status;

    if (reader->compare == compare_lease)
        status = etcd__wire_read_lease(data, len, &lease);
    else if (reader->compare == compare_watch)
        status = etcd__wire_read_watch(&arena, data, len, &watch);
    else if (reader->compare == compare_part)
        status = etcd__wire_read_range_part(&arena, data, len, &range);
    else if (reader->compare == compare_in_place)
        status = read_in_place(&arena, data, len, &range);
    else
        status = etcd__wire_read_range(&arena, data, len, &range);
    etcd__arena_deinit(&arena);
    return status;
}

static void whole_and_cut_messages(void **state)
{
    (void)state;
    for (size_t r = 0; r < ETCD__COUNT(readers); r++) {
        for (uint32_t seed = 0; seed < 100; seed++) {
            size_t len;
            uint8_t *data = make_sample(readers[r].type, seed, &len);

            assert_int_equal(read_as(&readers[r], data, len), ETCD_OK);
            compare_exact(&readers[r], data, len);
            for (size_t cut = 0; seed < 10 && cut < len; cut++)
                compare_exact(&readers[r], data, cut);
            etcd__free(data);
        }
    }
    assert_int_equal(alloc_live(), 0);
}

static void damaged_messages(void **state)
{
    uint32_t chance = 3;

    (void)state;
    for (size_t r = 0; r < ETCD__COUNT(readers); r++) {
        for (uint32_t seed = 0; seed < 3000; seed++) {
            size_t len;
            uint8_t *data = make_sample(readers[r].type, seed % 20, &len);

            for (uint32_t changes = 0; changes <= seed % 3; changes++) {
                chance = chance * 1664525 + 1013904223;
                data[(chance >> 8) % len] = (uint8_t)(chance >> 24);
            }
            compare_exact(&readers[r], data, len);
            etcd__free(data);
        }
    }
}

/* Fields in any order, and twice, are legal: the elements of both halves, the later single values. */
static void merged_messages(void **state)
{
    (void)state;
    for (size_t r = 0; r < ETCD__COUNT(readers); r++) {
        for (uint32_t seed = 0; seed < 20; seed++) {
            size_t first_len, second_len;
            uint8_t *first = make_sample(readers[r].type, seed, &first_len);
            uint8_t *second = make_sample(readers[r].type, seed + 1000, &second_len);
            uint8_t *both = test_malloc(first_len + second_len);

            memcpy(both, second, second_len);
            memcpy(both + second_len, first, first_len);
            if (readers[r].compare == compare_part)
                assert_int_equal(read_as(&readers[r], both, first_len + second_len), ETCD_E_PROTOCOL);
            else
                assert_int_equal(read_as(&readers[r], both, first_len + second_len), ETCD_OK);
            header_is_merged = true;
            compare_exact(&readers[r], both, first_len + second_len);
            header_is_merged = false;
            test_free(both);
            etcd__free(first);
            etcd__free(second);
        }
    }
}

static void an_event_in_two_pieces(void **state)
{
    /* Events whose kv and prev_kv occur twice: the second adds to the first. */
    static const uint8_t data[] = {0x5a, 20,   0x12, 3,    0x0a, 1,    'k', 0x1a, 3, 0x0a, 1,
                                   'p',  0x12, 2,    0x18, 9,    0x1a, 4,   0x2a, 2, 'v',  'w'};
    struct etcd__arena arena = {0};
    struct etcd__wire_watch watch;

    (void)state;
    compare_exact(&readers[3], data, sizeof(data));
    assert_int_equal(etcd__wire_read_watch(&arena, data, sizeof(data), &watch), ETCD_OK);
    assert_string_equal(watch.events[0].kv.key.data, "k");
    assert_int_equal(watch.events[0].kv.mod_revision, 9);
    assert_string_equal(watch.events[0].prev_kv->key.data, "p");
    assert_string_equal(watch.events[0].prev_kv->value.data, "vw");
    etcd__arena_deinit(&arena);
}

static void empty_messages(void **state)
{
    struct etcd__arena arena = {0};
    struct etcd__wire_range range;
    struct etcd__wire_watch watch;

    (void)state;
    assert_int_equal(etcd__wire_read_range(&arena, NULL, 0, &range), ETCD_OK);
    assert_int_equal(range.kv_count, 0);
    assert_int_equal(etcd__wire_read_range_part(&arena, NULL, 0, &range), ETCD_OK);
    assert_int_equal(range.kv_count, 0);
    assert_int_equal(etcd__wire_read_watch(&arena, NULL, 0, &watch), ETCD_OK);
    assert_int_equal(watch.event_count, 0);
    assert_string_equal(watch.cancel_reason, "");
    etcd__arena_deinit(&arena);
}

struct bytes {
    const struct reader *reader;
    uint8_t *data;
    size_t len;
};

static void read_once(size_t n, void *user)
{
    const struct bytes *bytes = user;
    etcd_status status = read_as(bytes->reader, bytes->data, bytes->len);

    assert_int_equal(status, alloc_count() >= n ? ETCD_E_NO_MEMORY : ETCD_OK);
}

static void survives_out_of_memory(void **state)
{
    enum { EVENTS = 3000 };
    static Etcd__Pb__Event events[EVENTS], *list[EVENTS];
    static uint8_t name[40];
    Etcd__Pb__KeyValue kv = ETCD__PB__KEY_VALUE__INIT;
    Etcd__Pb__WatchResponse watch = ETCD__PB__WATCH_RESPONSE__INIT;
    struct bytes bytes = {.reader = &readers[3]};

    (void)state;
    kv.key = (ProtobufCBinaryData){.data = name, .len = sizeof(name)};
    for (size_t i = 0; i < EVENTS; i++) {
        etcd__pb__event__init(&events[i]);
        events[i].kv = events[i].prev_kv = &kv;
        list[i] = &events[i];
    }
    watch.events = list;
    watch.n_events = EVENTS;
    watch.cancel_reason = (char[]){"reason"};
    assert_int_equal(etcd__wire_pack(&watch.base, 0, &bytes.data, &bytes.len), ETCD_OK);
    assert_true(alloc_fail_each(read_once, &bytes) >= 3);
    etcd__free(bytes.data);
    for (size_t r = 0; r < 2; r++) {
        bytes.reader = &readers[r];
        bytes.data = make_sample(readers[r].type, 1, &bytes.len);
        assert_true(alloc_fail_each(read_once, &bytes) >= 1);
        etcd__free(bytes.data);
    }
    assert_int_equal(alloc_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_and_cut_messages), cmocka_unit_test(damaged_messages),
        cmocka_unit_test(merged_messages),        cmocka_unit_test(an_event_in_two_pieces),
        cmocka_unit_test(empty_messages),         cmocka_unit_test(survives_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
