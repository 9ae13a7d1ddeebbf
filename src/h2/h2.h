/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/2 client session without I/O: bytes in, bytes out, events by callback.
 * h2.c is the only file that includes nghttp2.h. One thread at a time.
 */
#ifndef ETCD__H2_H2_H
#define ETCD__H2_H2_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

enum {
    ETCD__H2_NO_ERROR = 0,
    ETCD__H2_REFUSED_STREAM = 7,
    ETCD__H2_CANCEL = 8,
    ETCD__H2_ENHANCE_YOUR_CALM = 11,
};

struct etcd__h2;
struct etcd__h2_stream;

/* One header field, borrowed. Names are lower case. */
struct etcd__h2_field {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};

/*
 * Events of one stream. Each may reset any stream, this one too, and may free what it has reset; on_close
 * may free the stream. None may free the session. The peer's end is the end: when it has said END_STREAM
 * while we still had something to send, our side is given up with RST_STREAM(NO_ERROR).
 */
struct etcd__h2_stream_ops {
    /* A field of the headers or, after on_headers, of the trailers. Values may hold any byte. */
    void (*on_field)(struct etcd__h2_stream *stream, const struct etcd__h2_field *field);
    /* The header block is complete. `end`: nothing follows it. Called again for trailers with end = true. */
    void (*on_headers)(struct etcd__h2_stream *stream, bool end);
    void (*on_data)(struct etcd__h2_stream *stream, const uint8_t *data, size_t len);
    /*
     * The session asks for body: writes up to `size` bytes and returns how many. 0 with *ret_end false
     * pauses until etcd__h2_stream_wake(). *ret_end true closes our side.
     */
    size_t (*read_body)(struct etcd__h2_stream *stream, uint8_t *dst, size_t size, bool *ret_end);
    /* The request's headers were serialised. May be NULL. */
    void (*on_written)(struct etcd__h2_stream *stream);
    /*
     * The last event: the stream is forgotten. `error` is the HTTP/2 error code, 0 for a regular end;
     * `unprocessed`: the peer certainly did nothing with it (never serialised, REFUSED_STREAM, above
     * GOAWAY's last stream id).
     */
    void (*on_close)(struct etcd__h2_stream *stream, uint32_t error, bool unprocessed);
};

/* Embedded in its owner; the owner sets ops before opening it. */
struct etcd__h2_stream {
    const struct etcd__h2_stream_ops *ops;
    struct etcd__h2 *session; /* NULL: not open */
    int32_t id;
    bool written;      /* its HEADERS were serialised: from here on the peer may have seen it */
    bool answered;     /* the peer sent something on it */
    bool body_paused;  /* read_body said "nothing now" */
    bool recv_paused;  /* see etcd__h2_stream_pause() */
    size_t unconsumed; /* bytes received while paused, not yet given back to the stream window */
    struct etcd__h2_stream *prev, *next; /* all open streams of the session */
};

struct etcd__h2_ops {
    /* The peer's first SETTINGS arrived: the connection is usable. */
    void (*on_ready)(void *user);
    void (*on_ping_ack)(void *user);
    /* The peer waits for etcd__h2_answer_ping(). Asking once more before that answers the question before. */
    void (*on_ping)(void *user);
    /*
     * No new streams from here on; those above last_stream_id close as unprocessed by themselves. `debug`
     * is borrowed.
     */
    void (*on_goaway)(void *user, uint32_t error, const uint8_t *debug, size_t debug_len);
};

struct etcd__h2_config {
    const struct etcd__h2_ops *ops;
    void *user;
    uint32_t stream_window;     /* bytes; 0: 4 MiB */
    uint32_t connection_window; /* bytes; 0: 16 MiB */
    uint32_t max_header_list;   /* bytes; 0: 64 KiB */
};

etcd_status etcd__h2_new(const struct etcd__h2_config *config, struct etcd__h2 **ret_session,
                         etcd_error *reterr);
/*
 * Every open stream gets on_close first (ETCD__H2_CANCEL; unprocessed if it was never written). Not from
 * inside a callback. NULL is fine.
 */
void etcd__h2_free(struct etcd__h2 *session);

/*
 * Bytes from the peer. ETCD_E_PROTOCOL or ETCD_E_NO_MEMORY: the session is dead, free it. Where HTTP/2 lets
 * us tell the peer what it did wrong, the failure comes from etcd__h2_drain() instead, after the GOAWAY was
 * appended.
 */
etcd_status etcd__h2_feed(struct etcd__h2 *session, const uint8_t *data, size_t len, etcd_error *reterr);
/*
 * Appends frames that want to go out to `out` until it holds `limit` bytes or nothing is left.
 * *ret_more: there is more. Fails as etcd__h2_feed().
 */
etcd_status etcd__h2_drain(struct etcd__h2 *session, struct etcd__buf *out, size_t limit, bool *ret_more,
                           etcd_error *reterr);
/* Something waits to be drained. */
bool etcd__h2_wants_write(const struct etcd__h2 *session);
/* Both sides are done with the connection (after GOAWAY and its last stream, or a fatal error). */
bool etcd__h2_finished(const struct etcd__h2 *session);

/*
 * Opens a request stream: `fields` (pseudo headers first) are copied unless they live in constant memory -
 * set `constant` for those. Streams above the peer's MAX_CONCURRENT_STREAMS wait inside.
 */
struct etcd__h2_request_field {
    struct etcd__h2_field field;
    bool constant;
};
enum { ETCD__H2_MAX_REQUEST_FIELDS = 16 };
/*
 * ETCD_E_NO_MEMORY, ETCD_E_TOO_LARGE (the header block), or ETCD_E_UNAVAILABLE (GOAWAY came, or stream ids
 * are used up). After a failure the session goes on and the stream is not open.
 */
etcd_status etcd__h2_open(struct etcd__h2 *session, struct etcd__h2_stream *stream,
                          const struct etcd__h2_request_field *fields, size_t count, etcd_error *reterr);
/* The body has something to send again. */
void etcd__h2_stream_wake(struct etcd__h2_stream *stream);
/*
 * Resets the stream and forgets it at once, without on_close. Fine on a stream that is not open, and from
 * inside any of its callbacks. One that was never written leaves no trace on the wire.
 */
void etcd__h2_stream_reset(struct etcd__h2_stream *stream, uint32_t error);
/*
 * Stops, or goes on, giving the stream window back: the peer may send one window more, then waits. The
 * connection's window is not held.
 */
void etcd__h2_stream_pause(struct etcd__h2_stream *stream, bool paused);

void etcd__h2_ping(struct etcd__h2 *session);
/* Nothing, when no ping waits for it. */
void etcd__h2_answer_ping(struct etcd__h2 *session);
/* Sends GOAWAY; drain once more and close. */
void etcd__h2_goaway(struct etcd__h2 *session);
size_t etcd__h2_open_streams(const struct etcd__h2 *session);
/* Stream ids are nearly used up: open new streams on another connection. */
bool etcd__h2_exhausted(const struct etcd__h2 *session);

#endif
