/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

/* --- What was not processed --- */

static void refuse(struct h2_server_stream *stream)
{
    h2_reply_reset(stream, ETCD__H2_REFUSED_STREAM);
}

static void cancel(struct h2_server_stream *stream)
{
    h2_reply_reset(stream, ETCD__H2_CANCEL);
}

static void a_reset_tells_what_was_processed(void **state)
{
    static const struct {
        struct h2_server_ops ops;
        uint32_t error;
        bool unprocessed;
    } rows[] = {
        {{.on_request = refuse}, ETCD__H2_REFUSED_STREAM, true},
        {{.on_request = cancel}, ETCD__H2_CANCEL, false},
    };

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(rows); i++) {
        struct pair pair;
        struct stream stream;

        assert_true(pair_open(&pair, NULL, &rows[i].ops));
        open_stream(&pair, &stream, "", true);
        pump(&pair);
        assert_string_equal(stream.trace, "wc");
        assert_int_equal(stream.error, rows[i].error);
        assert_int_equal(stream.unprocessed, rows[i].unprocessed);
        pair_close(&pair);
    }
}

static void goaway_tells_what_was_processed(void **state)
{
    const struct h2_server_config config = {.max_concurrent = 3};
    struct pair pair;
    struct stream streams[5];

    (void)state;
    assert_true(pair_open(&pair, &config, NULL));
    pump(&pair);
    for (size_t i = 0; i < 5; i++)
        open_stream(&pair, &streams[i], "", true);
    pump(&pair);
    streams[3].resets = &streams[4]; /* two that wait, one resets the other while they are swept out */
    streams[3].resets_in = 'c';
    h2_server_goaway(pair.server, streams[0].h2.id, 0, NULL);
    pump(&pair);
    assert_int_equal(streams[0].closes, 0);
    for (size_t i = 1; i < 4; i++) {
        assert_int_equal(streams[i].closes, 1);
        assert_true(streams[i].unprocessed);
    }
    assert_int_equal(streams[4].closes, 0);
    assert_int_equal(etcd__h2_open_streams(pair.client), 1);
    end_well(h2_server_streams(pair.server));
    pump(&pair);
    assert_int_equal(streams[0].closes, 1);
    assert_int_equal(streams[0].error, 0);
    assert_true(etcd__h2_finished(pair.client));
    pair_close(&pair);
}

static void freeing_closes_every_stream(void **state)
{
    struct pair pair;
    struct stream written;
    struct stream unwritten;
    struct stream third;

    (void)state;
    assert_true(pair_open(&pair, NULL, NULL));
    open_stream(&pair, &written, "", true);
    pump(&pair);
    open_stream(&pair, &unwritten, "", true);
    open_stream(&pair, &third, "", true);
    unwritten.resets = &third;
    unwritten.resets_in = 'c';
    pair_close(&pair);
    assert_int_equal(written.closes, 1);
    assert_false(written.unprocessed);
    assert_int_equal(unwritten.closes, 1);
    assert_true(unwritten.unprocessed);
    assert_int_equal(third.closes, 0);
}

static void headers_have_a_limit(void **state)
{
    struct pair pair;
    struct stream stream;
    struct etcd__h2_request_field fields[2] = {request[0], request[1]};
    char *value = test_calloc(1, 70000);

    (void)state;
    memset(value, 'v', 69999);
    fields[1].field.value = value;
    fields[1].field.value_len = 69999;
    assert_true(pair_open(&pair, NULL, NULL));
    memset(&stream, 0, sizeof stream);
    stream.h2.ops = &stream_ops;
    assert_int_equal(etcd__h2_open(pair.client, &stream.h2, fields, 2, NULL), ETCD_E_TOO_LARGE);
    assert_null(stream.h2.session);
    pair_close(&pair);
    test_free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reset_tells_what_was_processed),
        cmocka_unit_test(goaway_tells_what_was_processed),
        cmocka_unit_test(freeing_closes_every_stream),
        cmocka_unit_test(headers_have_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
