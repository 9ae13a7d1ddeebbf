/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/frame.h"

#include "support/alloc_fail.h"
#include "support/test.h"

#include <stdlib.h>

/* Collects what the deframer delivers, as one text: messages in brackets. */
struct sink {
    char text[256];
    size_t stop_after; /* messages; 0: never */
    size_t count;
    struct etcd__deframer *destroy; /* deinit it inside the callback */
};

static bool take(void *user, const uint8_t *data, size_t len)
{
    struct sink *sink = user;
    size_t used = strlen(sink->text);

    if (sink->destroy != NULL)
        etcd__deframer_deinit(sink->destroy);
    assert_true(used + len + 3 < sizeof sink->text);
    sink->text[used++] = '[';
    memcpy(sink->text + used, data, len); /* also when the deframer was just destroyed */
    used += len;
    sink->text[used++] = ']';
    sink->text[used] = '\0';
    return ++sink->count != sink->stop_after;
}

#define STREAM "\0\0\0\0\5hello\0\0\0\0\0\0\0\0\0\1!\0\0\0\0\3end"
#define STREAM_LEN (sizeof(STREAM) - 1)

static const uint8_t *bytes(const char *text)
{
    return (const uint8_t *)text;
}

static void messages_come_out_of_any_pieces(void **state)
{
    (void)state;
    for (size_t piece = 1; piece <= STREAM_LEN; piece++) {
        struct etcd__deframer deframer;
        struct sink sink = {0};

        etcd__deframer_init(&deframer, 100);
        for (size_t at = 0; at < STREAM_LEN; at += piece) {
            size_t len = STREAM_LEN - at < piece ? STREAM_LEN - at : piece;

            assert_int_equal(etcd__deframer_feed(&deframer, bytes(STREAM) + at, len, take, &sink),
                             ETCD__FRAME_OK);
        }
        assert_string_equal(sink.text, "[hello][][!][end]");
        assert_false(etcd__deframer_partial(&deframer));
        etcd__deframer_deinit(&deframer);
    }
}

static void split_at_every_offset(void **state)
{
    (void)state;
    for (size_t cut = 0; cut <= STREAM_LEN; cut++) {
        struct etcd__deframer deframer;
        struct sink sink = {0};

        etcd__deframer_init(&deframer, 5);
        assert_int_equal(etcd__deframer_feed(&deframer, bytes(STREAM), cut, take, &sink), ETCD__FRAME_OK);
        assert_int_equal(etcd__deframer_feed(&deframer, bytes(STREAM) + cut, STREAM_LEN - cut, take, &sink),
                         ETCD__FRAME_OK);
        assert_string_equal(sink.text, "[hello][][!][end]");
        etcd__deframer_deinit(&deframer);
    }
}

static void a_whole_message_is_not_copied(void **state)
{
    struct etcd__deframer deframer;
    struct sink sink = {0};

    (void)state;
    etcd__deframer_init(&deframer, 100);
    alloc_fail_at(1);
    assert_int_equal(etcd__deframer_feed(&deframer, bytes(STREAM), STREAM_LEN, take, &sink), ETCD__FRAME_OK);
    assert_int_equal(alloc_count(), 0);
    alloc_fail_at(0);
    etcd__deframer_deinit(&deframer);
}

static void partial_is_known(void **state)
{
    struct etcd__deframer deframer;
    struct sink sink = {0};

    (void)state;
    etcd__deframer_init(&deframer, 100);
    assert_false(etcd__deframer_partial(&deframer));
    for (size_t cut = 1; cut < 10; cut++) {
        assert_int_equal(etcd__deframer_feed(&deframer, bytes(STREAM), cut, take, &sink), ETCD__FRAME_OK);
        assert_true(etcd__deframer_partial(&deframer));
        assert_int_equal(etcd__deframer_feed(&deframer, bytes(STREAM) + cut, 10 - cut, take, &sink),
                         ETCD__FRAME_OK);
        assert_false(etcd__deframer_partial(&deframer));
    }
    etcd__deframer_deinit(&deframer);
}

static void faults_are_found_in_any_pieces(void **state)
{
    static const struct {
        const char *data;
        size_t len;
        size_t max;
        enum etcd__frame_result result;
        const char *before;
    } rows[] = {
        {"\0\0\0\0\6hello!", 11, 5, ETCD__FRAME_TOO_LARGE, ""},
        {"\0\xff\xff\xff\xff", 5, 1000, ETCD__FRAME_TOO_LARGE, ""},
        {"\0\0\0\0\1a\0\0\0\0\6hello!", 17, 5, ETCD__FRAME_TOO_LARGE, "[a]"},
        {"\1\0\0\0\1a", 6, 5, ETCD__FRAME_COMPRESSED, ""},
        {"\0\0\0\0\1a\2\0\0\0\0", 11, 5, ETCD__FRAME_COMPRESSED, "[a]"},
    };

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(rows); i++) {
        for (size_t piece = 1; piece <= rows[i].len; piece++) {
            enum etcd__frame_result result = ETCD__FRAME_OK;
            struct etcd__deframer deframer;
            struct sink sink = {0};

            etcd__deframer_init(&deframer, rows[i].max);
            for (size_t at = 0; at < rows[i].len && result == ETCD__FRAME_OK; at += piece) {
                size_t len = rows[i].len - at < piece ? rows[i].len - at : piece;

                result = etcd__deframer_feed(&deframer, bytes(rows[i].data) + at, len, take, &sink);
            }
            assert_int_equal(result, rows[i].result);
            assert_string_equal(sink.text, rows[i].before);
            etcd__deframer_deinit(&deframer);
        }
    }
}

/* The receiver stops, or destroys the deframer while it still reads the message. */
static void the_receiver_may_stop(void **state)
{
    (void)state;
    for (int destroy = 0; destroy <= 1; destroy++) {
        for (size_t cut = 0; cut <= 10; cut++) {
            struct etcd__deframer deframer;
            struct sink sink = {.stop_after = 1};
            enum etcd__frame_result result;

            sink.destroy = destroy ? &deframer : NULL;
            etcd__deframer_init(&deframer, 100);
            result = etcd__deframer_feed(&deframer, bytes(STREAM), cut, take, &sink);
            if (result == ETCD__FRAME_OK)
                result = etcd__deframer_feed(&deframer, bytes(STREAM) + cut, STREAM_LEN - cut, take, &sink);
            assert_int_equal(result, ETCD__FRAME_STOPPED);
            assert_string_equal(sink.text, "[hello]");
            if (!destroy)
                etcd__deframer_deinit(&deframer);
        }
    }
}

static bool check_large(void *user, const uint8_t *data, size_t len)
{
    assert_int_equal(len, *(size_t *)user);
    for (size_t i = 0; i < len; i += 4099)
        assert_int_equal(data[i], (uint8_t)(i % 251));
    return true;
}

static void large_messages_pass(void **state)
{
    static const size_t sizes[] = {1 << 10, 9 << 10, 1 << 20, (1 << 20) + 1, 3 << 20};

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(sizes); i++) {
        size_t size = sizes[i];
        uint8_t *data = test_malloc(ETCD__FRAME_HEADER + size);
        struct etcd__deframer deframer;

        etcd__frame_header(data, size);
        for (size_t j = 0; j < size; j++)
            data[ETCD__FRAME_HEADER + j] = (uint8_t)(j % 251);
        etcd__deframer_init(&deframer, size);
        for (size_t round = 0; round < 2; round++) {
            for (size_t at = 0; at < ETCD__FRAME_HEADER + size; at += 16384) {
                size_t left = ETCD__FRAME_HEADER + size - at;

                assert_int_equal(etcd__deframer_feed(&deframer, data + at, left < 16384 ? left : 16384,
                                                     check_large, &size),
                                 ETCD__FRAME_OK);
            }
            assert_false(etcd__deframer_partial(&deframer));
        }
        assert_true(deframer.partial.capacity <= 16 << 10);
        etcd__deframer_deinit(&deframer);
        test_free(data);
    }
}

/* Takes the memory of what it is given, and looks at it when the next message has come. */
struct taker {
    struct etcd__deframer *deframer;
    struct etcd__buf taken[2];
    size_t count;
    bool stop;
};

static bool take_memory(void *user, const uint8_t *data, size_t len)
{
    struct taker *taker = user;
    struct etcd__buf *taken = &taker->taken[taker->count];

    if (!etcd__deframer_take(taker->deframer, taken))
        return true;
    assert_ptr_equal(etcd__buf_front(taken), data);
    assert_int_equal(etcd__buf_len(taken), len);
    taken->data[taken->end] = 1; /* may be written */
    assert_false(etcd__deframer_take(taker->deframer, taken));
    taker->count++;
    if (taker->stop)
        etcd__deframer_deinit(taker->deframer);
    return !taker->stop;
}

static void feed_in_pieces(struct taker *taker, const uint8_t *data, size_t len)
{
    enum etcd__frame_result result = ETCD__FRAME_OK;

    for (size_t at = 0; at < len && result == ETCD__FRAME_OK; at += 1000)
        result = etcd__deframer_feed(taker->deframer, data + at, len - at < 1000 ? len - at : 1000,
                                     take_memory, taker);
    assert_int_equal(result, taker->stop ? ETCD__FRAME_STOPPED : ETCD__FRAME_OK);
}

static void a_large_message_can_be_taken(void **state)
{
    enum { LARGE = (1 << 20) + 100, SMALL = 2000, SIZE = LARGE + 2 * ETCD__FRAME_HEADER + SMALL };
    uint8_t *data = test_malloc(SIZE);

    (void)state;
    memset(data, 'x', SIZE);
    etcd__frame_header(data, LARGE);
    etcd__frame_header(data + ETCD__FRAME_HEADER + LARGE, SMALL);
    for (int stop = 0; stop < 2; stop++) {
        struct etcd__deframer deframer;
        struct taker taker = {.deframer = &deframer, .stop = stop};

        etcd__deframer_init(&deframer, LARGE);
        for (int round = 0; round < 2 - stop; round++)
            feed_in_pieces(&taker, data, SIZE);
        etcd__deframer_deinit(&deframer);
        assert_int_equal(taker.count, 2 - stop); /* the large ones */
        for (size_t i = 0; i < taker.count; i++) {
            assert_int_equal(etcd__buf_len(&taker.taken[i]), LARGE);
            assert_int_equal(taker.taken[i].capacity, ETCD__FRAME_HEADER + LARGE); /* and not a byte more */
            assert_memory_equal(etcd__buf_front(&taker.taken[i]), data + ETCD__FRAME_HEADER, LARGE);
            etcd__buf_deinit(&taker.taken[i]);
        }
    }
    test_free(data);
    assert_int_equal(alloc_live(), 0);
}

static void out_of_memory(size_t n, void *user)
{
    struct etcd__deframer deframer;
    struct sink sink = {0};
    enum etcd__frame_result result = ETCD__FRAME_OK;

    (void)user;
    etcd__deframer_init(&deframer, 100);
    for (size_t at = 0; at < STREAM_LEN && result == ETCD__FRAME_OK; at++)
        result = etcd__deframer_feed(&deframer, bytes(STREAM) + at, 1, take, &sink);
    if (alloc_count() < n) {
        assert_int_equal(result, ETCD__FRAME_OK);
        assert_string_equal(sink.text, "[hello][][!][end]");
    } else {
        assert_int_equal(result, ETCD__FRAME_NO_MEMORY);
    }
    etcd__deframer_deinit(&deframer);
}

static void memory_may_run_out(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(out_of_memory, NULL) > 0);
    assert_int_equal(alloc_live(), 0);
}

static void header_has_the_length(void **state)
{
    uint8_t header[ETCD__FRAME_HEADER];

    (void)state;
    etcd__frame_header(header, 0x01020304);
    assert_memory_equal(header, "\0\1\2\3\4", 5);
    etcd__frame_header(header, UINT32_MAX);
    assert_memory_equal(header, "\0\xff\xff\xff\xff", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_out_of_any_pieces),
        cmocka_unit_test(split_at_every_offset),
        cmocka_unit_test(a_whole_message_is_not_copied),
        cmocka_unit_test(partial_is_known),
        cmocka_unit_test(faults_are_found_in_any_pieces),
        cmocka_unit_test(the_receiver_may_stop),
        cmocka_unit_test(large_messages_pass),
        cmocka_unit_test(a_large_message_can_be_taken),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(header_has_the_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
