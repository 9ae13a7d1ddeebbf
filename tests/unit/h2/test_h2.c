/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

/* --- The connection --- */

static void settings_make_it_ready(void **state)
{
    struct pair pair;

    (void)state;
    assert_true(pair_open(&pair, NULL, NULL));
    assert_true(etcd__h2_wants_write(pair.client));
    assert_int_equal(pair.readies, 0);
    pump(&pair);
    assert_int_equal(pair.status, ETCD_OK);
    assert_int_equal(pair.readies, 1);
    assert_false(etcd__h2_wants_write(pair.client));
    assert_false(etcd__h2_finished(pair.client));
    h2_server_send_settings(pair.server);
    pump(&pair);
    assert_int_equal(pair.readies, 1);
    pair_close(&pair);
}

static void the_limit_of_a_drain_is_kept(void **state)
{
    struct pair pair;
    struct stream streams[50];
    bool more = false;
    unsigned drains = 0;

    (void)state;
    assert_true(pair_open(&pair, NULL, NULL));
    pump(&pair);
    for (size_t i = 0; i < ETCD__COUNT(streams); i++)
        open_stream(&pair, &streams[i], "body", true);
    do {
        assert_int_equal(etcd__h2_drain(pair.client, &pair.out, 200, &more, NULL), ETCD_OK);
        assert_true(etcd__buf_len(&pair.out) < 300);
        assert_true(h2_server_feed(pair.server, etcd__buf_front(&pair.out), etcd__buf_len(&pair.out)));
        etcd__buf_consume(&pair.out, etcd__buf_len(&pair.out));
        drains++;
    } while (more);
    assert_true(drains > 3);
    assert_int_equal(h2_server_requests(pair.server), 50);
    pair_close(&pair);
}

static void pings_are_answered(void **state)
{
    struct pair pair;

    (void)state;
    assert_true(pair_open(&pair, NULL, NULL));
    pump(&pair);
    etcd__h2_ping(pair.client);
    assert_true(etcd__h2_wants_write(pair.client));
    pump(&pair);
    assert_int_equal(pair.acks, 1);
    pair_close(&pair);
}

/* The owner says when; a question that comes before that has the one before it answered. */
static void pings_of_the_peer_wait_for_the_owner(void **state)
{
    static const uint8_t first[8] = "first..", second[8] = "second.";
    struct pair pair;

    (void)state;
    assert_true(pair_open(&pair, NULL, NULL));
    pump(&pair);
    etcd__h2_answer_ping(pair.client);
    assert_false(etcd__h2_wants_write(pair.client));
    h2_server_ping(pair.server, first);
    pump(&pair);
    assert_int_equal(pair.pings, 1);
    assert_int_equal(h2_server_ping_answers(pair.server), 0);
    h2_server_ping(pair.server, second);
    pump(&pair);
    assert_int_equal(pair.pings, 2);
    assert_int_equal(h2_server_ping_answers(pair.server), 1);
    assert_memory_equal(h2_server_last_answer(pair.server), first, sizeof first);
    etcd__h2_answer_ping(pair.client);
    pump(&pair);
    assert_int_equal(h2_server_ping_answers(pair.server), 2);
    assert_memory_equal(h2_server_last_answer(pair.server), second, sizeof second);
    pair_close(&pair);
}

static void nonsense_is_named(void **state)
{
    static const char *const texts[] = {"HTTP/1.1 400 Bad Request\r\n\r\n",
                                        "SSH-2.0-OpenSSH_9.2p1 Debian\r\n", "\0\0\4\1\0\0\0\0\1...."};

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(texts); i++) {
        struct pair pair;
        size_t len = i == 2 ? 13 : strlen(texts[i]);

        assert_true(pair_open(&pair, NULL, NULL));
        feed(&pair, (const uint8_t *)texts[i], len);
        if (pair.status == ETCD_OK) {
            bool more = false;

            pair.status = etcd__h2_drain(pair.client, &pair.out, 1000, &more, &pair.err);
            assert_true(etcd__buf_len(&pair.out) > 0); /* the GOAWAY */
        }
        assert_int_equal(pair.status, ETCD_E_PROTOCOL);
        assert_non_null(strstr(pair.err.message, "HTTP/2"));
        pair_close(&pair);
    }
}

static void goaway_is_told(void **state)
{
    struct pair pair;
    struct stream stream;

    (void)state;
    assert_true(pair_open(&pair, NULL, NULL));
    pump(&pair);
    h2_server_goaway(pair.server, -1, ETCD__H2_ENHANCE_YOUR_CALM, "too_many_pings");
    pump(&pair);
    assert_int_equal(pair.goaways, 1);
    assert_int_equal(pair.goaway_error, ETCD__H2_ENHANCE_YOUR_CALM);
    assert_string_equal(pair.goaway_debug, "too_many_pings");
    assert_true(etcd__h2_finished(pair.client));
    memset(&stream, 0, sizeof stream);
    stream.h2.ops = &stream_ops;
    assert_int_equal(etcd__h2_open(pair.client, &stream.h2, request, ETCD__COUNT(request), NULL),
                     ETCD_E_UNAVAILABLE);
    pair_close(&pair);
}

static unsigned goodbyes;

static void count_goodbye(struct h2_server *server)
{
    (void)server;
    goodbyes++;
}

static void our_goaway_reaches_the_peer(void **state)
{
    static const struct h2_server_ops ops = {.on_goaway = count_goodbye};
    struct pair pair;

    (void)state;
    assert_true(pair_open(&pair, NULL, &ops));
    pump(&pair);
    goodbyes = 0;
    etcd__h2_goaway(pair.client);
    pump(&pair);
    assert_int_equal(pair.status, ETCD_OK);
    assert_int_equal(goodbyes, 1);
    pair_close(&pair);
}

/* --- Streams --- */

static void echo(struct h2_server_stream *stream, const uint8_t *data, size_t len)
{
    h2_reply_message(stream, data, len);
}

static const struct h2_server_ops echo_server = {.on_message = echo, .on_half_close = end_well};

/*
 * One message of the frame "\0\0\0\0\5hello" would hold NULs; the body here is any text, so the server sees
 * no message.
 */
static void a_request_is_answered_in_any_pieces(void **state)
{
    static const size_t pieces[] = {SIZE_MAX, 1, 2, 5, 9, 64};

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(pieces); i++) {
        struct pair pair;
        struct stream stream;

        assert_true(pair_open(&pair, NULL, &echo_server));
        pair.piece = pieces[i];
        open_stream(&pair, &stream, "", true);
        assert_int_equal(etcd__h2_open_streams(pair.client), 1);
        pump(&pair);
        assert_string_equal(stream.trace, "whHc");
        assert_string_equal(stream.fields,
                            ":status=200;content-type=application/grpc;grpc-status=0;grpc-message=fine;");
        assert_int_equal(stream.error, 0);
        assert_false(stream.unprocessed);
        assert_int_equal(etcd__h2_open_streams(pair.client), 0);
        pair_close(&pair);
    }
}

static void say_more(struct h2_server_stream *stream)
{
    h2_reply_data(stream, "abc", 3, false);
    h2_reply_data(stream, "def", 3, true);
}

static void data_may_be_the_end(void **state)
{
    static const struct h2_server_ops ops = {.on_half_close = say_more};
    struct pair pair;
    struct stream stream;

    (void)state;
    assert_true(pair_open(&pair, NULL, &ops));
    open_stream(&pair, &stream, "body", true);
    pump(&pair);
    assert_string_equal(stream.trace, "whdc");
    assert_string_equal(stream.data, "abcdef");
    pair_close(&pair);
}

/* The peer ends its side first: with data or with trailers. Ours is given up, and the peer told. */
static void the_peers_end_closes_the_stream(void **state)
{
    static const struct h2_server_ops by_data = {.on_request = say_more};
    static const struct h2_server_ops by_trailers = {.on_request = end_well};

    (void)state;
    for (int i = 0; i <= 1; i++) {
        struct pair pair;
        struct stream stream;

        assert_true(pair_open(&pair, NULL, i == 0 ? &by_data : &by_trailers));
        open_stream(&pair, &stream, NULL, false);
        pump(&pair);
        assert_string_equal(stream.trace, i == 0 ? "whdc" : "whHc");
        assert_int_equal(stream.error, 0);
        assert_int_equal(h2_server_resets(pair.server), 1);
        assert_null(h2_server_streams(pair.server));
        pair_close(&pair);
    }
}

static void informational_answers_are_skipped(void **state)
{
    static const char *const hints[] = {":status", "103", "link", "x", NULL};
    struct pair pair;
    struct stream stream;

    (void)state;
    assert_true(pair_open(&pair, NULL, NULL));
    open_stream(&pair, &stream, NULL, false);
    pump(&pair);
    /* The server's session sends 1xx as any other headers. */
    h2_reply_raw_headers(h2_server_streams(pair.server), false, hints);
    pump(&pair);
    assert_string_equal(stream.trace, "w");
    assert_string_equal(stream.fields, "");
    pair_close(&pair);
}

static void a_paused_body_waits_for_its_wake(void **state)
{
    struct pair pair;
    struct stream stream;

    (void)state;
    assert_true(pair_open(&pair, NULL, NULL));
    open_stream(&pair, &stream, NULL, false);
    etcd__h2_stream_wake(&stream.h2); /* nobody has asked yet */
    pump(&pair);
    assert_true(stream.h2.body_paused);
    assert_false(etcd__h2_wants_write(pair.client));
    for (size_t i = 1; i <= 3; i++) {
        stream.body = "\x01more data than a header";
        etcd__h2_stream_wake(&stream.h2);
        etcd__h2_stream_wake(&stream.h2);
        assert_true(etcd__h2_wants_write(pair.client));
        pump(&pair);
        assert_int_equal(h2_server_streams(pair.server)->in_len, 24 * i);
    }
    stream.body_ends = true;
    etcd__h2_stream_wake(&stream.h2);
    pump(&pair);
    assert_true(h2_server_streams(pair.server)->half_closed);
    pair_close(&pair);
    assert_string_equal(stream.trace, "wc");
    assert_int_equal(stream.error, ETCD__H2_CANCEL);
    assert_false(stream.unprocessed);
}

static void flood(struct h2_server_stream *stream)
{
    static const uint8_t block[10000];

    for (int i = 0; i < 3000; i++) /* 30 MB: more than the connection's window */
        h2_reply_data(stream, block, sizeof block, i == 2999);
}

static void windows_are_given_back(void **state)
{
    static const struct h2_server_ops ops = {.on_request = flood};
    struct pair pair;
    struct stream stream;
    struct stream other;

    (void)state;
    assert_true(pair_open(&pair, NULL, &ops));
    open_stream(&pair, &stream, "", true);
    pump(&pair);
    assert_int_equal(stream.data_total, 30000000);
    assert_int_equal(stream.closes, 1);

    /* A paused stream gets one window; it does not hold another one back. */
    open_stream(&pair, &stream, "", true);
    etcd__h2_stream_pause(&stream.h2, true);
    pump(&pair);
    assert_int_equal(stream.data_total, 4 << 20);
    open_stream(&pair, &other, "", true);
    pump(&pair);
    assert_int_equal(other.closes, 1);
    assert_int_equal(other.data_total, 30000000);
    etcd__h2_stream_pause(&stream.h2, false);
    pump(&pair);
    assert_int_equal(stream.data_total, 30000000);
    assert_int_equal(stream.closes, 1);
    pair_close(&pair);
}

static void a_reset_stream_does_not_eat_the_window(void **state)
{
    static const struct h2_server_ops ops = {.on_request = flood};
    struct pair pair;
    struct stream streams[6];

    (void)state;
    assert_true(pair_open(&pair, NULL, &ops));
    for (size_t i = 0; i < ETCD__COUNT(streams); i++) {
        open_stream(&pair, &streams[i], "", true);
        streams[i].resets = &streams[i];
        streams[i].resets_in = 'd';
        etcd__h2_stream_pause(&streams[i].h2, true);
        pump(&pair);
        assert_string_equal(streams[i].trace, "whd");
    }
    open_stream(&pair, &streams[0], "", true);
    pump(&pair);
    assert_int_equal(streams[0].data_total, 30000000);
    pair_close(&pair);
}

/* --- Reset --- */

static void an_unwritten_stream_leaves_no_trace(void **state)
{
    struct pair pair;
    struct stream streams[3];
    bool more = false;

    (void)state;
    assert_true(pair_open(&pair, NULL, NULL));
    pump(&pair);
    for (size_t i = 0; i < 3; i++)
        open_stream(&pair, &streams[i], "x", true);
    for (size_t i = 0; i < 3; i++)
        etcd__h2_stream_reset(&streams[i].h2, ETCD__H2_CANCEL);
    assert_int_equal(etcd__h2_open_streams(pair.client), 0);
    assert_int_equal(etcd__h2_drain(pair.client, &pair.out, 1000, &more, NULL), ETCD_OK);
    assert_int_equal(etcd__buf_len(&pair.out), 0);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(streams[i].trace, "");
    etcd__h2_stream_reset(&streams[0].h2, ETCD__H2_CANCEL); /* not open: fine */
    pair_close(&pair);
}

static void a_written_stream_is_reset_at_the_peer(void **state)
{
    struct pair pair;
    struct stream stream;
    struct stream again;

    (void)state;
    assert_true(pair_open(&pair, NULL, NULL));
    open_stream(&pair, &stream, NULL, false);
    pump(&pair);
    etcd__h2_stream_reset(&stream.h2, ETCD__H2_CANCEL);
    memset(&stream, 0xee, sizeof stream); /* forgotten at once */
    pump(&pair);
    assert_int_equal(h2_server_resets(pair.server), 1);
    assert_null(h2_server_streams(pair.server));
    open_stream(&pair, &again, NULL, false);
    pump(&pair);
    assert_non_null(h2_server_streams(pair.server));
    pair_close(&pair);
}

/* Every callback may reset its own stream and others, whole and in single bytes. */
static void callbacks_may_reset(void **state)
{
    static const struct h2_server_ops ops = {.on_request = say_more};
    static const char letters[] = "whdc";

    (void)state;
    for (size_t l = 0; l < strlen(letters); l++) {
        for (int bytewise = 0; bytewise <= 1; bytewise++) {
            for (int own = 0; own <= 1; own++) {
                struct pair pair;
                struct stream a;
                struct stream b;

                assert_true(pair_open(&pair, NULL, &ops));
                pump(&pair);
                pair.piece = bytewise ? 1 : SIZE_MAX;
                open_stream(&pair, &a, "x", true);
                open_stream(&pair, &b, "x", true);
                a.resets = own ? &a : &b;
                a.resets_in = letters[l];
                pump(&pair);
                assert_int_equal(pair.status, ETCD_OK);
                assert_int_equal(etcd__h2_open_streams(pair.client), 0);
                if (own && letters[l] != 'c')
                    assert_int_equal(a.trace[strlen(a.trace) - 1], letters[l]);
                if (own)
                    assert_string_equal(b.trace, "whdc");
                else
                    assert_string_equal(a.trace, "whdc");
                pair_close(&pair);
                assert_int_equal(a.closes, own && letters[l] != 'c' ? 0 : 1);
            }
        }
    }
}

static void streams_above_the_peers_limit_wait(void **state)
{
    const struct h2_server_config config = {.max_concurrent = 2};
    struct pair pair;
    struct stream streams[4];

    (void)state;
    assert_true(pair_open(&pair, &config, NULL));
    pump(&pair);
    for (size_t i = 0; i < 4; i++)
        open_stream(&pair, &streams[i], "", true);
    pump(&pair);
    assert_int_equal(h2_server_requests(pair.server), 2);
    assert_false(streams[2].h2.written);
    etcd__h2_stream_reset(&streams[2].h2, ETCD__H2_CANCEL);
    end_well(h2_server_streams(pair.server));
    pump(&pair);
    assert_string_equal(streams[0].trace, "whHc");
    assert_int_equal(h2_server_requests(pair.server), 3);
    assert_true(streams[3].h2.written);
    assert_int_equal(h2_server_resets(pair.server), 0);
    pair_close(&pair);
}

/* --- Out of memory --- */

static void scenario(size_t n, void *user)
{
    static const struct h2_server_ops ops = {.on_request = say_more};
    struct pair pair;
    struct stream streams[3];
    size_t opened = 0;

    (void)user;
    if (pair_open(&pair, NULL, &ops)) {
        for (size_t i = 0; i < 3; i++) {
            memset(&streams[i], 0, sizeof streams[i]);
            streams[i].h2.ops = &stream_ops;
            streams[i].body = "xyz";
            streams[i].body_ends = true;
            if (etcd__h2_open(pair.client, &streams[i].h2, request, ETCD__COUNT(request), NULL) != ETCD_OK)
                continue;
            opened++;
            if (i == 0) {
                etcd__h2_stream_reset(&streams[i].h2, ETCD__H2_CANCEL);
                opened--;
            }
        }
        etcd__h2_ping(pair.client);
        pump(&pair);
        if (alloc_count() < n) {
            assert_int_equal(pair.status, ETCD_OK);
            assert_string_equal(streams[1].data, "abcdef");
        } else {
            assert_true(pair.status == ETCD_OK || pair.status == ETCD_E_NO_MEMORY);
        }
        etcd__h2_free(pair.client);
        pair.client = NULL;
        assert_int_equal(streams[1].closes + streams[2].closes, opened);
    }
    pair_close(&pair);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(scenario, NULL) > 20);
    assert_int_equal(alloc_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_make_it_ready),
        cmocka_unit_test(the_limit_of_a_drain_is_kept),
        cmocka_unit_test(pings_are_answered),
        cmocka_unit_test(pings_of_the_peer_wait_for_the_owner),
        cmocka_unit_test(nonsense_is_named),
        cmocka_unit_test(goaway_is_told),
        cmocka_unit_test(our_goaway_reaches_the_peer),
        cmocka_unit_test(a_request_is_answered_in_any_pieces),
        cmocka_unit_test(data_may_be_the_end),
        cmocka_unit_test(the_peers_end_closes_the_stream),
        cmocka_unit_test(informational_answers_are_skipped),
        cmocka_unit_test(a_paused_body_waits_for_its_wake),
        cmocka_unit_test(windows_are_given_back),
        cmocka_unit_test(a_reset_stream_does_not_eat_the_window),
        cmocka_unit_test(an_unwritten_stream_leaves_no_trace),
        cmocka_unit_test(a_written_stream_is_reset_at_the_peer),
        cmocka_unit_test(callbacks_may_reset),
        cmocka_unit_test(streams_above_the_peers_limit_wait),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
