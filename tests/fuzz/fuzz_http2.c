/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes from a peer, into an HTTP/2 session with four requests. The first byte says how the bytes are
 * cut and which streams are paused or reset in an event; the second how rarely the session may write. Each
 * stream ends exactly once, a session that failed is never used again, and what it wants to write does not
 * grow beyond its bound.
 */
#include "h2/h2.h"

#include <stdlib.h>
#include <string.h>

enum { STREAMS = 4, BODY = 1000, OUT_MAX = 256 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct stream {
    struct etcd__h2_stream h2;
    bool open, resets;
    size_t body_left;
    unsigned closes;
};

static void touch(const void *data, size_t len)
{
    volatile uint8_t sum = 0;

    for (size_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)data)[i]);
}

static struct stream *stream_of(struct etcd__h2_stream *h2)
{
    struct stream *stream = ETCD__CONTAINER(h2, struct stream, h2);

    if (!stream->open)
        abort(); /* an event behind the last one */
    return stream;
}

static void on_field(struct etcd__h2_stream *h2, const struct etcd__h2_field *field)
{
    (void)stream_of(h2);
    touch(field->name, field->name_len);
    touch(field->value, field->value_len);
}

static void reset(struct stream *stream)
{
    etcd__h2_stream_reset(&stream->h2, ETCD__H2_CANCEL);
    stream->open = false;
}

static void on_headers(struct etcd__h2_stream *h2, bool end)
{
    struct stream *stream = stream_of(h2);

    if (end && stream->resets)
        reset(stream);
}

static void on_data(struct etcd__h2_stream *h2, const uint8_t *data, size_t len)
{
    struct stream *stream = stream_of(h2);

    touch(data, len);
    if (stream->resets)
        reset(stream);
}

static size_t read_body(struct etcd__h2_stream *h2, uint8_t *dst, size_t size, bool *ret_end)
{
    struct stream *stream = stream_of(h2);
    size_t len = size < stream->body_left ? size : stream->body_left;

    memset(dst, 'x', len);
    stream->body_left -= len;
    *ret_end = stream->resets && stream->body_left == 0;
    return len;
}

static void on_close(struct etcd__h2_stream *h2, uint32_t error, bool unprocessed)
{
    struct stream *stream = stream_of(h2);

    (void)error;
    (void)unprocessed;
    stream->closes++;
    stream->open = false;
}

static const struct etcd__h2_stream_ops stream_ops = {
    .on_field = on_field,
    .on_headers = on_headers,
    .on_data = on_data,
    .read_body = read_body,
    .on_close = on_close,
};

static void on_event(void *user)
{
    (void)user;
}

static void on_goaway(void *user, uint32_t error, const uint8_t *debug, size_t len)
{
    (void)user;
    (void)error;
    touch(debug, len);
}

static const struct etcd__h2_ops session_ops = {
    .on_ready = on_event, .on_ping_ack = on_event, .on_ping = on_event, .on_goaway = on_goaway};

#define FIELD(n, v)                                                     \
    {                                                                   \
        .field = {n, sizeof(n) - 1, v, sizeof(v) - 1}, .constant = true \
    }

static const struct etcd__h2_request_field request[] = {
    FIELD(":method", "POST"),   FIELD(":scheme", "http"), FIELD(":path", "/a.B/C"),
    FIELD(":authority", "x:1"), FIELD("te", "trailers"),
};

static bool drain(struct etcd__h2 *session, bool fully)
{
    struct etcd__buf out;
    bool more = false, ok;

    etcd__buf_init(&out, 0);
    ok = etcd__h2_drain(session, &out, fully ? OUT_MAX : 1, &more, NULL) == ETCD_OK;
    if (ok && fully && more)
        abort();
    etcd__buf_deinit(&out);
    return ok;
}

static bool feed(struct etcd__h2 *session, const uint8_t *data, size_t size, size_t piece, unsigned rarely)
{
    size_t pieces = 0;

    for (size_t at = 0; at < size; at += piece) {
        if (etcd__h2_feed(session, data + at, size - at < piece ? size - at : piece, NULL) != ETCD_OK)
            return false;
        if (pieces++ % (rarely + 1) == 0 && !drain(session, pieces % 2 == 0))
            return false;
    }
    return drain(session, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t pieces[] = {1 << 20, 1, 7, 100};
    const struct etcd__h2_config config = {.ops = &session_ops};
    struct stream streams[STREAMS];
    struct etcd__h2 *session;

    if (size < 2 || etcd__h2_new(&config, &session, NULL) != ETCD_OK)
        return 0;
    memset(streams, 0, sizeof(streams));
    for (size_t i = 0; i < STREAMS; i++) {
        streams[i].h2.ops = &stream_ops;
        streams[i].body_left = BODY;
        streams[i].open = etcd__h2_open(session, &streams[i].h2, request, ETCD__COUNT(request), NULL) ==
                          ETCD_OK;
        streams[i].resets = (data[0] >> (2 + i)) % 2 != 0;
        etcd__h2_stream_pause(&streams[i].h2, i == 1);
    }
    if (drain(session, true)) /* the preface and the requests, which the peer has seen */
        (void)feed(session, data + 2, size - 2, pieces[data[0] % 4], data[1]);
    etcd__h2_free(session);
    for (size_t i = 0; i < STREAMS; i++) {
        if (streams[i].open || streams[i].closes > 1)
            abort();
    }
    return 0;
}
