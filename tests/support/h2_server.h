/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's side of one HTTP/2 connection with gRPC on it, without I/O: bytes in, events by callback,
 * answers by function, bytes out. Every function may be called inside every callback, or any time later.
 *
 * struct h2_server *server = h2_server_new(NULL, &ops, user); h2_server_feed(server, bytes, len);
 * // on_request, on_message, on_half_close ... h2_reply_message(stream, "\x0a\x00", 2);
 * h2_reply_status(stream, 0, NULL);
 * len = h2_server_take(server, buf, sizeof buf);  // any piece size: one byte at a time is fine
 *
 * Its memory comes from malloc, so alloc_fail.h does not see it; it aborts when there is none.
 */
#ifndef TESTS_SUPPORT_H2_SERVER_H
#define TESTS_SUPPORT_H2_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct h2_server;

enum { H2_SERVER_MAX_FIELDS = 24, H2_SERVER_MAX_TRAILERS = 6 };

struct h2_server_field {
    char *name;
    char *value;
};

/* One request. Lives until on_close has returned. */
struct h2_server_stream {
    struct h2_server *server;
    int32_t id;
    struct h2_server_field fields[H2_SERVER_MAX_FIELDS]; /* of the request, in order */
    size_t field_count;
    bool half_closed; /* the client has sent all it will */
    size_t messages;  /* of the client, so far */
    void *user;
    struct h2_server_stream *next; /* all open ones of the connection, the oldest first */

    /* private */
    uint8_t *in, *out;
    size_t in_len, out_pos, out_len;
    bool replied;
    int end; /* of the answer's body; see h2_server.c */
    struct h2_server_field trailers[H2_SERVER_MAX_TRAILERS];
    size_t trailer_count;
};

/* Any may be NULL. */
struct h2_server_ops {
    void (*on_request)(struct h2_server_stream *stream);
    void (*on_message)(struct h2_server_stream *stream, const uint8_t *data, size_t len);
    void (*on_half_close)(struct h2_server_stream *stream);
    /* `error`: the HTTP/2 error; 0 for a regular end. */
    void (*on_close)(struct h2_server_stream *stream, uint32_t error);
    void (*on_ping)(struct h2_server *server);
    void (*on_goaway)(struct h2_server *server);
};

/* Zeroed: an ordinary server. */
struct h2_server_config {
    uint32_t max_concurrent; /* streams; 0: not limited */
    uint32_t window;         /* of a stream, for what the client sends; 0: 64 KiB */
    bool hold_settings;      /* say nothing at all until h2_server_send_settings() */
    bool mute_pings;         /* do not answer pings until h2_server_answer_pings() */
    bool hold_windows;       /* do not give flow-control windows back */
};

struct h2_server *h2_server_new(const struct h2_server_config *config, const struct h2_server_ops *ops,
                                void *user);
/* Open streams get on_close(CANCEL). */
void h2_server_free(struct h2_server *server);
void *h2_server_user(const struct h2_server *server);
/* False: the client broke HTTP/2. */
bool h2_server_feed(struct h2_server *server, const void *data, size_t len);
/* Moves up to `size` bytes of output; 0 when there is none now. */
size_t h2_server_take(struct h2_server *server, void *dst, size_t size);
struct h2_server_stream *h2_server_streams(const struct h2_server *server);
/* RST_STREAM frames received for streams that the client opened. */
size_t h2_server_resets(const struct h2_server *server);
/* Requests seen in the whole life of the connection. */
size_t h2_server_requests(const struct h2_server *server);
size_t h2_server_pings(const struct h2_server *server);

/* The value of a request's field; NULL: there is none of this name. */
const char *h2_server_field(const struct h2_server_stream *stream, const char *name);

/* :status 200, content-type application/grpc. Sent by itself with the first data; not needed before. */
void h2_reply_headers(struct h2_server_stream *stream);
/* Any headers: name, value, name, value ..., NULL. `end`: nothing follows. */
void h2_reply_raw_headers(struct h2_server_stream *stream, bool end, const char *const *names_and_values);
/* Any bytes as body. `end`: ends the stream without trailers. */
void h2_reply_data(struct h2_server_stream *stream, const void *data, size_t len, bool end);
/* A message with its frame. */
void h2_reply_message(struct h2_server_stream *stream, const void *data, size_t len);
/*
 * The trailers; an answer of trailers only when nothing was sent before. `message` goes out as it is; NULL:
 * none.
 */
void h2_reply_status(struct h2_server_stream *stream, int grpc_status, const char *message);
void h2_reply_raw_trailers(struct h2_server_stream *stream, const char *const *names_and_values);
void h2_reply_reset(struct h2_server_stream *stream, uint32_t error);

/* `last_id` -1: the highest that was seen; INT32_MAX: announces the end only. */
void h2_server_goaway(struct h2_server *server, int32_t last_id, uint32_t error, const char *debug);
void h2_server_send_settings(struct h2_server *server);
void h2_server_answer_pings(struct h2_server *server);
/* A ping of the server's own, and what came of them: how many answers, and the bytes of the last. */
void h2_server_ping(struct h2_server *server, const uint8_t data[8]);
size_t h2_server_ping_answers(const struct h2_server *server);
const uint8_t *h2_server_last_answer(const struct h2_server *server);

#endif
