/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer that does not keep to HTTP/2, frame by frame, whole and in single bytes: what is the whole
 * connection's fault ends it and is named, what is one request's ends that one, and the other goes on.
 */
#include "fixture.h"

enum {
    DATA,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    PUSH_PROMISE,
    PING,
    GOAWAY,
    WINDOW_UPDATE,
    CONTINUATION
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };

/* Bytes that the peer says. */
struct speech {
    uint8_t *data;
    size_t len, size;
};

static void say(struct speech *speech, const void *data, size_t len)
{
    if (speech->len + len > speech->size) {
        speech->size = (speech->len + len) * 2;
        speech->data = realloc(speech->data, speech->size);
        assert_non_null(speech->data);
    }
    memcpy(speech->data + speech->len, data, len);
    speech->len += len;
}

static void say_frame(struct speech *speech, int type, int flags, uint32_t id, const void *payload,
                      size_t len)
{
    const uint8_t header[] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
                              (uint8_t)type,        (uint8_t)flags,      (uint8_t)(id >> 24),
                              (uint8_t)(id >> 16),  (uint8_t)(id >> 8),  (uint8_t)id};

    say(speech, header, sizeof header);
    if (len > 0)
        say(speech, payload, len);
}
#define SAY(speech, type, flags, id, literal) \
    say_frame((speech), (type), (flags), (id), (literal), sizeof(literal) - 1)

/* ":status 200" and fields as HPACK literals that need no state. */
#define OK_FIELDS "\x88"
#define GRPC       \
    "\x00\x0c"     \
    "content-type" \
    "\x10"         \
    "application/grpc"
#define GRPC_OK   \
    "\x00\x0b"    \
    "grpc-status" \
    "\x01"        \
    "0"

enum outcome {
    IGNORED, /* as if it had not been said */
    STREAM,  /* ends the first request; the second goes on */
    DEAD,    /* ends the connection */
};

struct mistake {
    const char *what;
    enum outcome outcome;
    int type, flags;
    uint32_t id;
    const char *payload;
    size_t len;
};
#define MISTAKE(what, outcome, type, flags, id, payload)             \
    {                                                                \
        what, outcome, type, flags, id, payload, sizeof(payload) - 1 \
    }

static const struct mistake mistakes[] = {
    MISTAKE("DATA on no stream", DEAD, DATA, 0, 0, "x"),
    MISTAKE("DATA on a stream that was not opened", DEAD, DATA, 0, 99, "x"),
    MISTAKE("DATA before HEADERS", DEAD, DATA, 0, 1, "x"),
    MISTAKE("padding beyond the frame", DEAD, DATA, PADDED, 1, "\x09xx"),
    MISTAKE("HEADERS on no stream", DEAD, HEADERS, END_HEADERS, 0, OK_FIELDS),
    MISTAKE("HEADERS on a stream of the server's", DEAD, HEADERS, END_HEADERS, 2, OK_FIELDS),
    MISTAKE("HEADERS on a stream that was not opened", DEAD, HEADERS, END_HEADERS, 99, OK_FIELDS),
    MISTAKE("an index that HPACK does not have", DEAD, HEADERS, END_HEADERS, 1, "\xfe\xff"),
    MISTAKE("HPACK that ends too early", DEAD, HEADERS, END_HEADERS, 1,
            "\x88\x00\x0c"
            "cont"),
    MISTAKE("Huffman code that is none", DEAD, HEADERS, END_HEADERS, 1,
            "\x88\x00\x84\xff\xff\xff\xff\x01"
            "a"),
    MISTAKE("a table larger than was allowed", DEAD, HEADERS, END_HEADERS, 1, "\x3f\xff\xff\x03\x88"),
    MISTAKE("no :status", STREAM, HEADERS, END_HEADERS, 1, GRPC),
    MISTAKE(":status twice", STREAM, HEADERS, END_HEADERS, 1, "\x88\x88"),
    MISTAKE(":status behind a field", STREAM, HEADERS, END_HEADERS, 1, GRPC OK_FIELDS),
    MISTAKE("a pseudo field of requests", STREAM, HEADERS, END_HEADERS, 1, OK_FIELDS "\x83"),
    MISTAKE("an upper-case name", STREAM, HEADERS, END_HEADERS, 1,
            OK_FIELDS "\x00\x01"
                      "A"
                      "\x01"
                      "b"),
    MISTAKE("a field of HTTP/1", STREAM, HEADERS, END_HEADERS, 1,
            OK_FIELDS "\x00\x0a"
                      "connection"
                      "\x05"
                      "close"),
    MISTAKE("RST_STREAM of a stream that was not opened", DEAD, RST_STREAM, 0, 99, "\0\0\0\0"),
    MISTAKE("RST_STREAM of a wrong size", DEAD, RST_STREAM, 0, 1, "\0\0\0"),
    MISTAKE("RST_STREAM on no stream", DEAD, RST_STREAM, 0, 0, "\0\0\0\0"),
    MISTAKE("SETTINGS on a stream", DEAD, SETTINGS, 0, 1, ""),
    MISTAKE("SETTINGS of a wrong size", DEAD, SETTINGS, 0, 0, "\0\3\0\0\0"),
    MISTAKE("an acknowledgement with content", DEAD, SETTINGS, ACK, 0, "\0\3\0\0\0\1"),
    MISTAKE("SETTINGS: push from a server", DEAD, SETTINGS, 0, 0, "\0\2\0\0\0\1"),
    MISTAKE("SETTINGS: a window above 2^31-1", DEAD, SETTINGS, 0, 0, "\0\4\xff\xff\xff\xff"),
    MISTAKE("SETTINGS: frames smaller than 16 KiB", DEAD, SETTINGS, 0, 0, "\0\5\0\0\0\1"),
    MISTAKE("SETTINGS that nobody knows", IGNORED, SETTINGS, 0, 0, "\xff\xff\0\0\0\1"),
    MISTAKE("PUSH_PROMISE", DEAD, PUSH_PROMISE, END_HEADERS, 1, "\0\0\0\2\x82"),
    MISTAKE("PING on a stream", DEAD, PING, 0, 1, "12345678"),
    MISTAKE("PING of a wrong size", DEAD, PING, 0, 0, "1234567"),
    MISTAKE("an answer to no PING", IGNORED, PING, ACK, 0, "12345678"),
    MISTAKE("GOAWAY on a stream", DEAD, GOAWAY, 0, 1, "\0\0\0\0\0\0\0\0"),
    MISTAKE("GOAWAY of a wrong size", DEAD, GOAWAY, 0, 0, "\0\0\0\0"),
    MISTAKE("WINDOW_UPDATE by 0", DEAD, WINDOW_UPDATE, 0, 0, "\0\0\0\0"),
    MISTAKE("WINDOW_UPDATE beyond 2^31-1", DEAD, WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff"),
    MISTAKE("WINDOW_UPDATE of a wrong size", DEAD, WINDOW_UPDATE, 0, 0, "\0\0\1"),
    MISTAKE("a stream's WINDOW_UPDATE beyond 2^31-1", STREAM, WINDOW_UPDATE, 0, 1, "\x7f\xff\xff\xff"),
    MISTAKE("CONTINUATION of nothing", DEAD, CONTINUATION, END_HEADERS, 1, OK_FIELDS),
    MISTAKE("PRIORITY", IGNORED, PRIORITY, 0, 1, "\0\0\0\0\x10"),
    MISTAKE("a frame that nobody knows", IGNORED, 0xfa, 0xff, 1, "whatever"),
};

/* A client with two requests that were sent; the peer has said hello. */
struct scene {
    struct pair pair;
    struct stream first, second;
    struct speech speech;
};

static void drain(struct pair *pair)
{
    bool more = true;

    while (more && pair->status == ETCD_OK)
        pair->status = etcd__h2_drain(pair->client, &pair->out, SIZE_MAX, &more, &pair->err);
}

static void scene_open(struct scene *scene, size_t piece)
{
    memset(scene, 0, sizeof *scene);
    assert_true(pair_open(&scene->pair, NULL, NULL));
    scene->pair.piece = piece;
    open_stream(&scene->pair, &scene->first, "x", true);
    open_stream(&scene->pair, &scene->second, "x", true);
    drain(&scene->pair);
    SAY(&scene->speech, SETTINGS, 0, 0, "");
    SAY(&scene->speech, SETTINGS, ACK, 0, "");
}

/* The peer's words reach the client, which answers. */
static void scene_play(struct scene *scene)
{
    feed(&scene->pair, scene->speech.data, scene->speech.len);
    scene->speech.len = 0;
    if (scene->pair.status == ETCD_OK)
        drain(&scene->pair);
    etcd__buf_consume(&scene->pair.out, etcd__buf_len(&scene->pair.out));
}

static void scene_close(struct scene *scene)
{
    pair_close(&scene->pair);
    free(scene->speech.data);
    assert_true(scene->first.closes <= 1 && scene->second.closes == 1);
}

static void answer(struct scene *scene, uint32_t id)
{
    SAY(&scene->speech, HEADERS, END_HEADERS, id, OK_FIELDS GRPC);
    SAY(&scene->speech, DATA, 0, id, "\0\0\0\0\0");
    SAY(&scene->speech, HEADERS, END_HEADERS | END_STREAM, id, GRPC_OK);
}

static void check_second(struct scene *scene)
{
    answer(scene, 3);
    scene_play(scene);
    assert_int_equal(scene->pair.status, ETCD_OK);
    assert_string_equal(scene->second.trace, "whdHc");
    assert_int_equal(scene->second.error, 0);
}

static void check_outcome(struct scene *scene, const char *what, enum outcome outcome)
{
    enum outcome seen = scene->pair.status != ETCD_OK ? DEAD : scene->first.closes > 0 ? STREAM : IGNORED;

    if (seen != outcome)
        fail_msg("%s: outcome %d, %s", what, seen, scene->pair.err.message);
    if (outcome == DEAD) {
        assert_int_equal(scene->pair.status, ETCD_E_PROTOCOL);
        assert_non_null(strstr(scene->pair.err.message, "the peer broke HTTP/2: "));
        assert_int_equal(scene->second.closes, 0); /* ends with the session */
        return;
    }
    if (outcome == STREAM) {
        assert_int_not_equal(scene->first.error, 0);
        assert_false(scene->first.unprocessed);
    }
    check_second(scene);
}

static void mistakes_end_what_they_spoil(void **state)
{
    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(mistakes); i++) {
        for (int bytewise = 0; bytewise <= 1; bytewise++) {
            const struct mistake *mistake = &mistakes[i];
            struct scene scene;

            scene_open(&scene, bytewise ? 1 : SIZE_MAX);
            say_frame(&scene.speech, mistake->type, mistake->flags, mistake->id, mistake->payload,
                      mistake->len);
            scene_play(&scene);
            check_outcome(&scene, mistake->what, mistake->outcome);
            scene_close(&scene);
        }
    }
    assert_int_equal(alloc_live(), 0);
}

/* ---- more than one frame ---------------------------------------------------------------------------- */

static void large_frame(struct speech *speech)
{
    static const uint8_t block[16385];

    SAY(speech, HEADERS, END_HEADERS, 1, OK_FIELDS GRPC);
    say_frame(speech, DATA, 0, 1, block, sizeof block);
}

static void headers_in_between(struct speech *speech)
{
    SAY(speech, HEADERS, 0, 1, OK_FIELDS);
    SAY(speech, DATA, 0, 3, "x");
}

static void continuation_of_another(struct speech *speech)
{
    SAY(speech, HEADERS, 0, 1, OK_FIELDS);
    SAY(speech, CONTINUATION, END_HEADERS, 3, GRPC);
}

static void headers_again(struct speech *speech)
{
    SAY(speech, HEADERS, END_HEADERS, 1, OK_FIELDS GRPC);
    SAY(speech, HEADERS, END_HEADERS, 1, GRPC_OK);
}

static void status_in_trailers(struct speech *speech)
{
    SAY(speech, HEADERS, END_HEADERS, 1, OK_FIELDS GRPC);
    SAY(speech, HEADERS, END_HEADERS | END_STREAM, 1, OK_FIELDS GRPC_OK);
}

static void less_than_announced(struct speech *speech)
{
    SAY(speech, HEADERS, END_HEADERS, 1,
        OK_FIELDS "\x00\x0e"
                  "content-length"
                  "\x02"
                  "10");
    SAY(speech, DATA, END_STREAM, 1, "abc");
}

static void more_than_announced(struct speech *speech)
{
    SAY(speech, HEADERS, END_HEADERS, 1,
        OK_FIELDS "\x00\x0e"
                  "content-length"
                  "\x01"
                  "1");
    SAY(speech, DATA, 0, 1, "abc");
}

static void one_hundred_and_one(struct speech *speech)
{
    SAY(speech, HEADERS, END_HEADERS, 1,
        "\x08\x03"
        "101");
}

static void informational_end(struct speech *speech)
{
    SAY(speech, HEADERS, END_HEADERS | END_STREAM, 1,
        "\x08\x03"
        "103");
}

static void window_is_ignored(struct speech *speech)
{
    static const uint8_t block[16384];

    SAY(speech, HEADERS, END_HEADERS, 1, OK_FIELDS GRPC);
    for (size_t sent = 0; sent <= (4 << 20); sent += sizeof block)
        say_frame(speech, DATA, 0, 1, block, sizeof block);
}

static const struct {
    const char *what;
    void (*say)(struct speech *speech);
    enum outcome outcome;
    bool paused;
} speeches[] = {
    {"a frame above 16 KiB", large_frame, DEAD, false},
    {"DATA within a header block", headers_in_between, DEAD, false},
    {"CONTINUATION of another stream", continuation_of_another, DEAD, false},
    {"headers twice", headers_again, STREAM, false},
    {":status in trailers", status_in_trailers, STREAM, false},
    {"less than content-length", less_than_announced, STREAM, false},
    {"more than content-length", more_than_announced, STREAM, false},
    {"status 101", one_hundred_and_one, STREAM, false},
    {"1xx as the end", informational_end, STREAM, false},
    {"more than the stream's window", window_is_ignored, STREAM, true},
};

static void speeches_end_what_they_spoil(void **state)
{
    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(speeches); i++) {
        for (int bytewise = 0; bytewise <= 1; bytewise++) {
            struct scene scene;

            scene_open(&scene, bytewise ? 1 : SIZE_MAX);
            etcd__h2_stream_pause(&scene.first.h2, speeches[i].paused);
            speeches[i].say(&scene.speech);
            scene_play(&scene);
            check_outcome(&scene, speeches[i].what, speeches[i].outcome);
            scene_close(&scene);
        }
    }
    assert_int_equal(alloc_live(), 0);
}

/* Nobody waits for a stream that is over. */
static void words_after_the_end_are_ignored(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, SIZE_MAX);
    answer(&scene, 1);
    SAY(&scene.speech, RST_STREAM, 0, 1, "\0\0\0\0");
    SAY(&scene.speech, WINDOW_UPDATE, 0, 1, "\0\0\0\1");
    scene_play(&scene);
    assert_string_equal(scene.first.trace, "whdHc");
    assert_int_equal(scene.first.error, 0);
    check_second(&scene);
    scene_close(&scene);
}

/* ---- floods ----------------------------------------------------------------------------------------- */

enum { FLOOD = 20000 };

/* Feeds the frame again and again to a client that cannot write; how often until it gave up. */
static size_t flood(struct scene *scene, int type, int flags, uint32_t id, const char *payload, size_t len)
{
    size_t live, count = 0;

    scene_open(scene, SIZE_MAX);
    scene_play(scene);
    live = alloc_live();
    say_frame(&scene->speech, type, flags, id, payload, len);
    while (count < FLOOD && scene->pair.status == ETCD_OK) {
        feed(&scene->pair, scene->speech.data, scene->speech.len);
        count++;
    }
    /* Whatever waits to be written, it is bounded. */
    assert_true(alloc_live() - live < 5000);
    scene->speech.len = 0;
    return count;
}

static void what_wants_an_answer_is_not_queued_for_ever(void **state)
{
    static const struct {
        int type, flags;
        const char *payload;
        size_t len;
    } rows[] = {{PING, 0, "12345678", 8}, {SETTINGS, 0, "\0\3\0\0\0\x64", 6}};

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(rows); i++) {
        struct scene scene;

        assert_in_range(flood(&scene, rows[i].type, rows[i].flags, 0, rows[i].payload, rows[i].len), 100,
                        FLOOD - 1);
        assert_int_equal(scene.pair.status, ETCD_E_PROTOCOL);
        scene_close(&scene);
    }
}

static void what_wants_no_answer_costs_no_memory(void **state)
{
    static const struct {
        int type;
        uint32_t id;
        const char *payload;
        size_t len;
    } rows[] = {
        {DATA, 1, "", 0},
        {DATA, 3, "", 0},
        {WINDOW_UPDATE, 1, "\0\0\0\1", 4},
        {0xfa, 1, "x", 1},
        {PING | ACK << 8, 0, "12345678", 8},
        {PRIORITY, 1, "\0\0\0\0\1", 5},
    };

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(rows); i++) {
        struct scene scene;
        size_t live;

        scene_open(&scene, SIZE_MAX);
        SAY(&scene.speech, HEADERS, END_HEADERS, 1, OK_FIELDS GRPC);
        SAY(&scene.speech, HEADERS, END_HEADERS, 3, OK_FIELDS GRPC);
        scene_play(&scene);
        live = alloc_live();
        say_frame(&scene.speech, rows[i].type & 0xff, rows[i].type >> 8, rows[i].id, rows[i].payload,
                  rows[i].len);
        for (size_t n = 0; n < FLOOD; n++)
            feed(&scene.pair, scene.speech.data, scene.speech.len);
        assert_int_equal(scene.pair.status, ETCD_OK);
        assert_int_equal(alloc_live(), live);
        drain(&scene.pair);
        assert_true(etcd__buf_len(&scene.pair.out) < 100);
        scene_close(&scene);
    }
}

/* A header block without an end: in any number of frames, it is not kept. */
static void a_header_block_has_an_end(void **state)
{
    struct scene scene;
    size_t count = 0;

    (void)state;
    scene_open(&scene, SIZE_MAX);
    SAY(&scene.speech, HEADERS, 0, 1, OK_FIELDS);
    scene_play(&scene);
    SAY(&scene.speech, CONTINUATION, 0, 1,
        "\x00\x01"
        "a"
        "\x01"
        "b");
    while (count < FLOOD && scene.pair.status == ETCD_OK && scene.first.closes == 0) {
        feed(&scene.pair, scene.speech.data, scene.speech.len);
        if (scene.pair.status == ETCD_OK)
            drain(&scene.pair);
        count++;
    }
    assert_in_range(count, 1, 4000);
    assert_true(strlen(scene.first.fields) < sizeof scene.first.fields);
    scene.speech.len = 0;
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_end_what_they_spoil),
        cmocka_unit_test(speeches_end_what_they_spoil),
        cmocka_unit_test(words_after_the_end_are_ignored),
        cmocka_unit_test(what_wants_an_answer_is_not_queued_for_ever),
        cmocka_unit_test(what_wants_no_answer_costs_no_memory),
        cmocka_unit_test(a_header_block_has_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
