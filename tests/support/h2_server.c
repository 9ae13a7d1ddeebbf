/* SPDX-License-Identifier: Apache-2.0 */
#include "support/h2_server.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { END_OPEN, END_STREAM, END_TRAILERS };
enum { MAX_HELD_PINGS = 16, FRAME_HEADER = 5, MAX_REPLY_FIELDS = 32 };

struct h2_server {
    nghttp2_session *ng;
    struct h2_server_config config;
    const struct h2_server_ops *ops;
    void *user;
    struct h2_server_stream *streams;
    uint8_t *out; /* output that was not taken yet */
    size_t out_pos, out_len;
    size_t resets, requests, pings, ping_answers;
    uint8_t last_answer[8];
    uint8_t held_pings[MAX_HELD_PINGS][8];
    size_t held_count;
};

static void *must(void *ptr)
{
    if (ptr == NULL)
        abort();
    return ptr;
}

static char *copy_text(const void *data, size_t len)
{
    char *text = must(malloc(len + 1));

    memcpy(text, data, len);
    text[len] = '\0';
    return text;
}

static size_t capacity_of(size_t len)
{
    size_t capacity = 64;

    while (capacity < len)
        capacity *= 2;
    return capacity;
}

/* The memory of `len` bytes is always the next power of two, so it need not be remembered. */
static void append(uint8_t **buf, size_t *len, const void *data, size_t add)
{
    if (*buf == NULL || capacity_of(*len + add) != capacity_of(*len))
        *buf = must(realloc(*buf, capacity_of(*len + add)));
    if (add > 0)
        memcpy(*buf + *len, data, add);
    *len += add;
}

/* --- Streams --- */

static struct h2_server_stream *stream_new(struct h2_server *server, int32_t id)
{
    struct h2_server_stream *stream = must(calloc(1, sizeof *stream));
    struct h2_server_stream **last = &server->streams;

    stream->server = server;
    stream->id = id;
    while (*last != NULL)
        last = &(*last)->next;
    *last = stream;
    server->requests++;
    return stream;
}

static void free_fields(struct h2_server_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(fields[i].name);
        free(fields[i].value);
    }
}

static void stream_free(struct h2_server_stream *stream)
{
    struct h2_server_stream **place = &stream->server->streams;

    while (*place != stream)
        place = &(*place)->next;
    *place = stream->next;
    free_fields(stream->fields, stream->field_count);
    free_fields(stream->trailers, stream->trailer_count);
    free(stream->in);
    free(stream->out);
    free(stream);
}

static struct h2_server_stream *find(nghttp2_session *ng, int32_t id)
{
    return nghttp2_session_get_stream_user_data(ng, id);
}

/* --- What the client sends --- */

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        nghttp2_session_set_stream_user_data(ng, frame->hd.stream_id, stream_new(user, frame->hd.stream_id));
    return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
    struct h2_server_stream *stream = find(ng, frame->hd.stream_id);

    (void)flags;
    (void)user;
    if (stream != NULL && stream->field_count < H2_SERVER_MAX_FIELDS) {
        struct h2_server_field *field = &stream->fields[stream->field_count++];

        field->name = copy_text(name, name_len);
        field->value = copy_text(value, value_len);
    }
    return 0;
}

static size_t message_length(const uint8_t *header)
{
    return (size_t)header[1] << 24 | (size_t)header[2] << 16 | (size_t)header[3] << 8 | (size_t)header[4];
}

static void take_messages(struct h2_server_stream *stream)
{
    struct h2_server *server = stream->server;
    int32_t id = stream->id;

    while (stream->in_len >= FRAME_HEADER) {
        size_t len = FRAME_HEADER + message_length(stream->in);

        if (stream->in_len < len)
            return;

        uint8_t *message = stream->in;

        stream->in = NULL;
        stream->in_len -= len;
        stream->in = must(malloc(capacity_of(stream->in_len)));
        memcpy(stream->in, message + len, stream->in_len);
        stream->messages++;
        if (server->ops->on_message != NULL)
            server->ops->on_message(stream, message + FRAME_HEADER, len - FRAME_HEADER);
        free(message);
        stream = find(server->ng, id);
        if (stream == NULL)
            return;
    }
}

static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
                         void *user)
{
    struct h2_server *server = user;
    struct h2_server_stream *stream = find(ng, id);

    (void)flags;
    if (!server->config.hold_windows)
        nghttp2_session_consume(ng, id, len);
    if (stream != NULL) {
        append(&stream->in, &stream->in_len, data, len);
        take_messages(stream);
    }
    return 0;
}

static void half_closed(struct h2_server *server, int32_t id)
{
    struct h2_server_stream *stream = find(server->ng, id);

    if (stream == NULL)
        return;
    stream->half_closed = true;
    if (server->ops->on_half_close != NULL)
        server->ops->on_half_close(stream);
}

static void ping_received(struct h2_server *server, const nghttp2_frame *frame)
{
    if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
        server->ping_answers++;
        memcpy(server->last_answer, frame->ping.opaque_data, sizeof(server->last_answer));
        return;
    }
    server->pings++;
    if (!server->config.mute_pings)
        nghttp2_submit_ping(server->ng, NGHTTP2_FLAG_ACK, frame->ping.opaque_data);
    else if (server->held_count < MAX_HELD_PINGS)
        memcpy(server->held_pings[server->held_count++], frame->ping.opaque_data, 8);
    if (server->ops->on_ping != NULL)
        server->ops->on_ping(server);
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_server *server = user;
    struct h2_server_stream *stream;
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        stream = find(ng, frame->hd.stream_id);
        if (stream != NULL && server->ops->on_request != NULL)
            server->ops->on_request(stream);
        if (end)
            half_closed(server, frame->hd.stream_id);
        break;
    case NGHTTP2_DATA:
        if (end)
            half_closed(server, frame->hd.stream_id);
        break;
    case NGHTTP2_RST_STREAM:
        server->resets++;
        break;
    case NGHTTP2_PING:
        ping_received(server, frame);
        break;
    case NGHTTP2_GOAWAY:
        if (server->ops->on_goaway != NULL)
            server->ops->on_goaway(server);
        break;
    default:
        break;
    }
    return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t error, void *user)
{
    struct h2_server *server = user;
    struct h2_server_stream *stream = find(ng, id);

    if (stream == NULL)
        return 0;
    nghttp2_session_set_stream_user_data(ng, id, NULL);
    if (server->ops->on_close != NULL)
        server->ops->on_close(stream, error);
    stream_free(stream);
    return 0;
}

/* --- Answers --- */

static size_t make_fields(nghttp2_nv *nv, const char *const *names_and_values)
{
    size_t n = 0;

    for (; n < MAX_REPLY_FIELDS && names_and_values[2 * n] != NULL; n++) {
        const char *name = names_and_values[2 * n];
        const char *value = names_and_values[2 * n + 1];

        nv[n] = (nghttp2_nv){
            .name = (uint8_t *)(uintptr_t)name,
            .namelen = strlen(name),
            .value = (uint8_t *)(uintptr_t)value,
            .valuelen = strlen(value),
        };
    }
    return n;
}

static void submit_trailers(struct h2_server_stream *stream)
{
    const char *fields[2 * H2_SERVER_MAX_TRAILERS + 1] = {NULL};
    nghttp2_nv nv[MAX_REPLY_FIELDS];

    for (size_t i = 0; i < stream->trailer_count; i++) {
        fields[2 * i] = stream->trailers[i].name;
        fields[2 * i + 1] = stream->trailers[i].value;
    }
    nghttp2_submit_trailer(stream->server->ng, stream->id, nv, make_fields(nv, fields));
}

static ssize_t read_body(nghttp2_session *ng, int32_t id, uint8_t *dst, size_t size, uint32_t *flags,
                         nghttp2_data_source *source, void *user)
{
    struct h2_server_stream *stream = source->ptr;
    size_t len = stream->out_len - stream->out_pos;

    (void)ng;
    (void)id;
    (void)user;
    len = len < size ? len : size;
    if (len > 0)
        memcpy(dst, stream->out + stream->out_pos, len);
    stream->out_pos += len;
    if (stream->out_pos == stream->out_len) {
        stream->out_pos = stream->out_len = 0;
        if (stream->end == END_OPEN)
            return len > 0 ? (ssize_t)len : NGHTTP2_ERR_DEFERRED;
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (stream->end == END_TRAILERS) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            submit_trailers(stream);
        }
    }
    return (ssize_t)len;
}

void h2_reply_raw_headers(struct h2_server_stream *stream, bool end, const char *const *names_and_values)
{
    const nghttp2_data_provider body = {.source = {.ptr = stream}, .read_callback = read_body};
    nghttp2_nv nv[MAX_REPLY_FIELDS];
    size_t count = make_fields(nv, names_and_values);

    stream->replied = true;
    nghttp2_submit_response(stream->server->ng, stream->id, nv, count, end ? NULL : &body);
}

void h2_reply_headers(struct h2_server_stream *stream)
{
    static const char *const fields[] = {":status", "200", "content-type", "application/grpc", NULL};

    if (!stream->replied)
        h2_reply_raw_headers(stream, false, fields);
}

static void resume(struct h2_server_stream *stream)
{
    nghttp2_session_resume_data(stream->server->ng, stream->id);
}

void h2_reply_data(struct h2_server_stream *stream, const void *data, size_t len, bool end)
{
    h2_reply_headers(stream);
    append(&stream->out, &stream->out_len, data, len);
    if (end)
        stream->end = END_STREAM;
    resume(stream);
}

void h2_reply_message(struct h2_server_stream *stream, const void *data, size_t len)
{
    const uint8_t header[FRAME_HEADER] = {0, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                                          (uint8_t)len};

    h2_reply_data(stream, header, sizeof header, false);
    h2_reply_data(stream, data, len, false);
}

void h2_reply_status(struct h2_server_stream *stream, int grpc_status, const char *message)
{
    char code[16];
    const char *fields[] = {":status",
                            "200",
                            "content-type",
                            "application/grpc",
                            "grpc-status",
                            code,
                            message != NULL ? "grpc-message" : NULL,
                            message,
                            NULL};

    snprintf(code, sizeof code, "%d", grpc_status);
    if (!stream->replied) {
        h2_reply_raw_headers(stream, true, fields);
        return;
    }
    h2_reply_raw_trailers(stream, fields + 4);
}

void h2_reply_raw_trailers(struct h2_server_stream *stream, const char *const *names_and_values)
{
    h2_reply_headers(stream);
    for (; *names_and_values != NULL && stream->trailer_count < H2_SERVER_MAX_TRAILERS;
         names_and_values += 2) {
        struct h2_server_field *field = &stream->trailers[stream->trailer_count++];

        field->name = copy_text(names_and_values[0], strlen(names_and_values[0]));
        field->value = copy_text(names_and_values[1], strlen(names_and_values[1]));
    }
    stream->end = END_TRAILERS;
    resume(stream);
}

void h2_reply_reset(struct h2_server_stream *stream, uint32_t error)
{
    nghttp2_submit_rst_stream(stream->server->ng, NGHTTP2_FLAG_NONE, stream->id, error);
}

/* --- The connection --- */

void h2_server_goaway(struct h2_server *server, int32_t last_id, uint32_t error, const char *debug)
{
    if (last_id == INT32_MAX) {
        /* nghttp2 would ignore what comes after a GOAWAY of its own, whatever that says. */
        nghttp2_submit_shutdown_notice(server->ng);
        return;
    }
    if (last_id < 0)
        last_id = nghttp2_session_get_last_proc_stream_id(server->ng);
    nghttp2_submit_goaway(server->ng, NGHTTP2_FLAG_NONE, last_id, error, (const uint8_t *)debug,
                          debug == NULL ? 0 : strlen(debug));
}

void h2_server_send_settings(struct h2_server *server)
{
    nghttp2_settings_entry settings[2];
    size_t count = 0;

    if (server->config.max_concurrent != 0)
        settings[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
                                                     server->config.max_concurrent};
    if (server->config.window != 0)
        settings[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
                                                     server->config.window};
    server->config.hold_settings = false;
    nghttp2_submit_settings(server->ng, NGHTTP2_FLAG_NONE, settings, count);
}

void h2_server_answer_pings(struct h2_server *server)
{
    server->config.mute_pings = false;
    for (size_t i = 0; i < server->held_count; i++)
        nghttp2_submit_ping(server->ng, NGHTTP2_FLAG_ACK, server->held_pings[i]);
    server->held_count = 0;
}

struct h2_server *h2_server_new(const struct h2_server_config *config, const struct h2_server_ops *ops,
                                void *user)
{
    struct h2_server *server = must(calloc(1, sizeof *server));
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;

    if (config != NULL)
        server->config = *config;
    server->ops = ops;
    server->user = user;
    if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0)
        abort();
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_auto_ping_ack(option, 1);
    nghttp2_option_set_max_send_header_block_length(option, 1 << 20);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    if (nghttp2_session_server_new2(&server->ng, callbacks, server, option) != 0)
        abort();
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    if (!server->config.hold_settings)
        h2_server_send_settings(server);
    return server;
}

void h2_server_free(struct h2_server *server)
{
    if (server == NULL)
        return;
    while (server->streams != NULL) {
        if (server->ops->on_close != NULL)
            server->ops->on_close(server->streams, NGHTTP2_CANCEL);
        stream_free(server->streams);
    }
    nghttp2_session_del(server->ng);
    free(server->out);
    free(server);
}

void *h2_server_user(const struct h2_server *server)
{
    return server->user;
}

bool h2_server_feed(struct h2_server *server, const void *data, size_t len)
{
    return nghttp2_session_mem_recv(server->ng, data, len) == (ssize_t)len;
}

size_t h2_server_take(struct h2_server *server, void *dst, size_t size)
{
    /* Nothing may come before SETTINGS, not even their acknowledgement. */
    if (server->config.hold_settings)
        return 0;
    while (server->out_len - server->out_pos < size) {
        const uint8_t *data = NULL;
        ssize_t len = nghttp2_session_mem_send(server->ng, &data);

        if (len < 0)
            abort();
        if (len == 0)
            break;
        append(&server->out, &server->out_len, data, (size_t)len);
    }

    size_t len = server->out_len - server->out_pos;

    len = len < size ? len : size;
    if (len > 0)
        memcpy(dst, server->out + server->out_pos, len);
    server->out_pos += len;
    if (server->out_pos == server->out_len)
        server->out_pos = server->out_len = 0;
    return len;
}

struct h2_server_stream *h2_server_streams(const struct h2_server *server)
{
    return server->streams;
}

size_t h2_server_resets(const struct h2_server *server)
{
    return server->resets;
}

size_t h2_server_requests(const struct h2_server *server)
{
    return server->requests;
}

size_t h2_server_pings(const struct h2_server *server)
{
    return server->pings;
}

void h2_server_ping(struct h2_server *server, const uint8_t data[8])
{
    nghttp2_submit_ping(server->ng, NGHTTP2_FLAG_NONE, data);
}

size_t h2_server_ping_answers(const struct h2_server *server)
{
    return server->ping_answers;
}

const uint8_t *h2_server_last_answer(const struct h2_server *server)
{
    return server->last_answer;
}

const char *h2_server_field(const struct h2_server_stream *stream, const char *name)
{
    for (size_t i = 0; i < stream->field_count; i++) {
        if (strcmp(stream->fields[i].name, name) == 0)
            return stream->fields[i].value;
    }
    return NULL;
}
