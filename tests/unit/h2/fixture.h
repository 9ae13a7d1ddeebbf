/* SPDX-License-Identifier: Apache-2.0 */
/* A client session and a server session that pass each other's bytes by hand, and streams that record what
 * happens. */
#ifndef TESTS_UNIT_H2_FIXTURE_H
#define TESTS_UNIT_H2_FIXTURE_H

#include "h2/h2.h"

#include "base/mem.h"
#include "support/alloc_fail.h"
#include "support/h2_server.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

/* A client session and a server session that pass each other's bytes by hand. */
struct pair {
    struct etcd__h2 *client;
    struct h2_server *server;
    struct etcd__buf out;
    size_t piece; /* bytes fed to the client at once */
    unsigned readies, acks, pings, goaways;
    uint32_t goaway_error;
    char goaway_debug[32];
    etcd_status status; /* of the client's last feed or drain */
    etcd_error err;
};

/*
 * A stream that records its events as a text: "h" headers, "H" headers with the end, "d" data, "w" written.
 */
struct stream {
    struct etcd__h2_stream h2;
    char trace[256];
    char fields[512];
    char data[64];
    size_t data_total;
    const char *body; /* NULL: nothing yet */
    bool body_ends;
    uint32_t error;
    bool unprocessed;
    unsigned closes;
    struct stream *resets; /* in on_headers, on_data, on_close: reset this one */
    char resets_in;
};

static inline void trace(struct stream *stream, char letter)
{
    size_t len = strlen(stream->trace);

    if (len + 1 < sizeof stream->trace) {
        stream->trace[len] = letter;
        stream->trace[len + 1] = '\0';
    }
    if (stream->resets != NULL && stream->resets_in == letter)
        etcd__h2_stream_reset(&stream->resets->h2, ETCD__H2_CANCEL);
}

static inline struct stream *stream_of(struct etcd__h2_stream *h2)
{
    return ETCD__CONTAINER(h2, struct stream, h2);
}

static inline void on_field(struct etcd__h2_stream *h2, const struct etcd__h2_field *field)
{
    struct stream *stream = stream_of(h2);
    size_t len = strlen(stream->fields);

    snprintf(stream->fields + len, sizeof stream->fields - len, "%.*s=%.*s;", (int)field->name_len,
             field->name, (int)field->value_len, field->value);
}

static inline void on_headers(struct etcd__h2_stream *h2, bool end)
{
    trace(stream_of(h2), end ? 'H' : 'h');
}

static inline void on_data(struct etcd__h2_stream *h2, const uint8_t *data, size_t len)
{
    struct stream *stream = stream_of(h2);
    size_t used = strlen(stream->data);
    size_t room = sizeof stream->data - 1 - used;

    stream->data_total += len;
    memcpy(stream->data + used, data, len < room ? len : room);
    if (stream->trace[0] == '\0' || stream->trace[strlen(stream->trace) - 1] != 'd')
        trace(stream, 'd');
}

static inline size_t read_body(struct etcd__h2_stream *h2, uint8_t *dst, size_t size, bool *ret_end)
{
    struct stream *stream = stream_of(h2);
    size_t len = stream->body == NULL ? 0 : strlen(stream->body);

    len = len < size ? len : size;
    if (len > 0) {
        memcpy(dst, stream->body, len);
        stream->body += len;
    }
    *ret_end = stream->body_ends && (stream->body == NULL || *stream->body == '\0');
    return len;
}

static inline void on_written(struct etcd__h2_stream *h2)
{
    assert_true(h2->written);
    trace(stream_of(h2), 'w');
}

static inline void on_close(struct etcd__h2_stream *h2, uint32_t error, bool unprocessed)
{
    struct stream *stream = stream_of(h2);

    assert_null(h2->session);
    stream->error = error;
    stream->unprocessed = unprocessed;
    stream->closes++;
    trace(stream, 'c');
}

static const struct etcd__h2_stream_ops stream_ops = {
    .on_field = on_field,
    .on_headers = on_headers,
    .on_data = on_data,
    .read_body = read_body,
    .on_written = on_written,
    .on_close = on_close,
};

static inline void on_ready(void *user)
{
    ((struct pair *)user)->readies++;
}

static inline void on_ping_ack(void *user)
{
    ((struct pair *)user)->acks++;
}

static inline void on_ping(void *user)
{
    ((struct pair *)user)->pings++;
}

static inline void on_goaway(void *user, uint32_t error, const uint8_t *debug, size_t len)
{
    struct pair *pair = user;

    pair->goaways++;
    pair->goaway_error = error;
    snprintf(pair->goaway_debug, sizeof pair->goaway_debug, "%.*s", (int)len, (const char *)debug);
}

static const struct etcd__h2_ops h2_ops = {
    .on_ready = on_ready, .on_ping_ack = on_ping_ack, .on_ping = on_ping, .on_goaway = on_goaway};

static const struct h2_server_ops silent_server;

static inline bool pair_open(struct pair *pair, const struct h2_server_config *config,
                             const struct h2_server_ops *ops)
{
    const struct etcd__h2_config client = {.ops = &h2_ops, .user = pair};

    memset(pair, 0, sizeof *pair);
    pair->piece = SIZE_MAX;
    pair->server = h2_server_new(config, ops != NULL ? ops : &silent_server, pair);
    etcd__buf_init(&pair->out, 0);
    return etcd__h2_new(&client, &pair->client, NULL) == ETCD_OK;
}

static inline void pair_close(struct pair *pair)
{
    etcd__h2_free(pair->client);
    h2_server_free(pair->server);
    etcd__buf_deinit(&pair->out);
}

static inline bool feed(struct pair *pair, const uint8_t *data, size_t len)
{
    for (size_t at = 0; at < len && pair->status == ETCD_OK;) {
        size_t part = len - at < pair->piece ? len - at : pair->piece;

        pair->status = etcd__h2_feed(pair->client, data + at, part, &pair->err);
        at += part;
    }
    return len > 0;
}

static inline bool client_to_server(struct pair *pair)
{
    bool more = false;

    pair->status = etcd__h2_drain(pair->client, &pair->out, 1000, &more, &pair->err);

    size_t len = etcd__buf_len(&pair->out);

    if (len > 0)
        assert_true(h2_server_feed(pair->server, etcd__buf_front(&pair->out), len));
    etcd__buf_consume(&pair->out, len);
    return len > 0;
}

static inline bool server_to_client(struct pair *pair)
{
    uint8_t buf[3000];

    return feed(pair, buf, h2_server_take(pair->server, buf, sizeof buf));
}

/* Until both have nothing to say, or the client has failed. */
static inline void pump(struct pair *pair)
{
    bool moved = true;

    while (moved && pair->status == ETCD_OK) {
        moved = client_to_server(pair);
        moved = (pair->status == ETCD_OK && server_to_client(pair)) || moved;
    }
}

#define FIELD(n, v, c)                                                 \
    {                                                                  \
        .field = {n, sizeof(n) - 1, v, sizeof(v) - 1}, .constant = (c) \
    }

static const struct etcd__h2_request_field request[] = {
    FIELD(":method", "POST", true),
    FIELD(":scheme", "http", true),
    FIELD(":path", "/a.B/C", true),
    FIELD(":authority", "x:1", false),
    FIELD("content-type", "application/grpc", true),
};

static inline void open_stream(struct pair *pair, struct stream *stream, const char *body, bool ends)
{
    memset(stream, 0, sizeof *stream);
    stream->h2.ops = &stream_ops;
    stream->body = body;
    stream->body_ends = ends;
    assert_int_equal(etcd__h2_open(pair->client, &stream->h2, request, ETCD__COUNT(request), NULL), ETCD_OK);
}

static inline void end_well(struct h2_server_stream *stream)
{
    h2_reply_headers(stream);
    h2_reply_status(stream, 0, "fine");
}

#endif
