/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notes on nghttp2 that shape this file:
 * - A request's HEADERS wait in nghttp2's queue until they are serialised; RST_STREAM for such a stream
 *   cancels the queued frame instead of being sent, so nothing of it reaches the wire.
 * - nghttp2 may hold a stream for a while after we have given it up. Its user data is NULL from then
 *   on, and every callback looks the stream up by that and never through a pointer of its own.
 * - A connection error makes nghttp2 queue a GOAWAY and ignore all further input. The error is therefore
 *   reported when that GOAWAY has been drained.
 * - nghttp2 keeps copies of what it sends - header fields, HPACK's table, frames - and gives them back as
 * they are. Tokens and passwords are among them, so all of its memory is wiped when it is given back.
 * - Failing to queue a frame for lack of memory leaves nghttp2 in order but us without the frame; `no_memory`
 *   keeps that until the next feed or drain can report it.
 */
#include "h2/h2.h"

#include "base/mem.h"
#include "base/str.h"

#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    DEFAULT_STREAM_WINDOW = 4 << 20,
    DEFAULT_CONNECTION_WINDOW = 16 << 20,
    DEFAULT_MAX_HEADER_LIST = 64 << 10,
    /* nghttp2 serialises header blocks up to 64 KiB; HPACK may add to what we count. */
    MAX_REQUEST_HEADERS = 60 << 10,
    FIELD_OVERHEAD = 32, /* per field, as HTTP/2 counts the size of a header list */
    LAST_STREAM_ID = 1 << 30,
    REASON_SIZE = 160,
};

struct etcd__h2 {
    nghttp2_session *ng;
    const struct etcd__h2_ops *ops;
    void *user;
    struct etcd__h2_stream *first, *last; /* open streams */
    struct etcd__h2_stream *cursor;       /* the next one of a sweep over them */
    size_t open_streams;
    struct etcd__h2_stream *current; /* whose header block is arriving; NULL: nobody's */
    size_t header_bytes;             /* of that block */
    uint32_t max_header_list;
    bool informational; /* that block is a 1xx answer */
    bool ready;
    bool going_away; /* GOAWAY was received */
    bool broken;     /* GOAWAY with an error was sent: the peer broke the protocol */
    bool no_memory;  /* a frame could not be queued */
    bool flooded;    /* the peer asks and does not read the answers */
    bool starved;    /* an allocation of nghttp2 failed */
    bool busy;       /* inside nghttp2 */
    bool freeing;
    bool pinged; /* by the peer, which waits for an answer to this */
    uint8_t ping[8];
    char reason[REASON_SIZE]; /* what nghttp2 said last about the peer's mistakes */
};

/*
 * nghttp2 takes a failed allocation for a mistake of the peer at times; `starved` remembers what it really
 * was.
 */
static void *check(struct etcd__h2 *session, void *ptr)
{
    session->starved = session->starved || ptr == NULL;
    return ptr;
}

/* In front of each block of nghttp2's: how much there is to wipe. */
union block_head {
    size_t size;
    max_align_t align;
};

static void *mem_malloc(size_t size, void *user)
{
    union block_head *head = NULL;

    if (size <= SIZE_MAX - sizeof *head)
        head = check(user, etcd__malloc(sizeof *head + size));
    if (head == NULL)
        return NULL;
    head->size = size;
    return head + 1;
}

static void mem_free(void *ptr, void *user)
{
    union block_head *head = ptr;

    (void)user;
    if (head == NULL)
        return;
    head--;
    etcd__wipe(head + 1, head->size);
    etcd__free(head);
}

static void *mem_calloc(size_t count, size_t size, void *user)
{
    void *ptr = size != 0 && count > SIZE_MAX / size ? check(user, NULL) : mem_malloc(count * size, user);

    if (ptr != NULL)
        memset(ptr, 0, count * size);
    return ptr;
}

static void *mem_realloc(void *ptr, size_t size, void *user)
{
    const union block_head *head = ptr;
    void *copy = mem_malloc(size, user);

    if (copy == NULL || ptr == NULL)
        return copy;
    memcpy(copy, ptr, head[-1].size < size ? head[-1].size : size);
    mem_free(ptr, user);
    return copy;
}

/* Notes the result of a call that can only fail for lack of memory, or because the stream is gone already. */
static void note(struct etcd__h2 *session, int rv)
{
    if (rv == NGHTTP2_ERR_NOMEM)
        session->no_memory = true;
    else if (rv == NGHTTP2_ERR_FLOODED)
        session->flooded = true;
}

static int callback_result(const struct etcd__h2 *session)
{
    return session->no_memory || session->flooded ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static struct etcd__h2_stream *find(struct etcd__h2 *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session->ng, id);
}

/* --- The list of open streams --- */

static void link_stream(struct etcd__h2 *session, struct etcd__h2_stream *stream)
{
    stream->session = session;
    stream->next = NULL;
    stream->prev = session->last;
    if (session->last != NULL)
        session->last->next = stream;
    else
        session->first = stream;
    session->last = stream;
    session->open_streams++;
}

static void unlink_stream(struct etcd__h2 *session, struct etcd__h2_stream *stream)
{
    if (stream->prev != NULL)
        stream->prev->next = stream->next;
    else
        session->first = stream->next;
    if (stream->next != NULL)
        stream->next->prev = stream->prev;
    else
        session->last = stream->prev;
    if (session->cursor == stream)
        session->cursor = stream->next;
    if (session->current == stream)
        session->current = NULL;
    stream->prev = stream->next = NULL;
    stream->session = NULL;
    session->open_streams--;
}

/* Gives the stream up: nghttp2 sends RST_STREAM, or drops the request if it was never serialised. */
static void abandon(struct etcd__h2 *session, struct etcd__h2_stream *stream, uint32_t error)
{
    int32_t id = stream->id;

    unlink_stream(session, stream);
    if (session->freeing)
        return;
    (void)nghttp2_session_set_stream_user_data(session->ng, id, NULL);
    note(session, nghttp2_submit_rst_stream(session->ng, NGHTTP2_FLAG_NONE, id, error));
}

/* --- Receiving --- */

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct etcd__h2 *session = user;

    (void)ng;
    session->current = find(session, frame->hd.stream_id);
    session->header_bytes = 0;
    session->informational = false;
    if (session->current != NULL)
        session->current->answered = true;
    return 0;
}

static bool is_informational(const uint8_t *name, size_t name_len, const uint8_t *value, size_t value_len)
{
    return name_len == 7 && name[0] == ':' && value_len == 3 && value[0] == '1' &&
           memcmp(name, ":status", 7) == 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
    struct etcd__h2 *session = user;
    struct etcd__h2_stream *stream = session->current;

    (void)ng;
    (void)frame;
    (void)flags;
    if (stream == NULL || session->informational)
        return 0;
    if (is_informational(name, name_len, value, value_len)) {
        session->informational = true;
        return 0;
    }
    session->header_bytes += name_len + value_len + FIELD_OVERHEAD;
    if (session->header_bytes > session->max_header_list) {
        abandon(session, stream, NGHTTP2_ENHANCE_YOUR_CALM);
        stream->ops->on_close(stream, NGHTTP2_ENHANCE_YOUR_CALM, false);
        return callback_result(session);
    }

    const struct etcd__h2_field field = {
        .name = (const char *)name,
        .name_len = name_len,
        .value = (const char *)value,
        .value_len = value_len,
    };
    stream->ops->on_field(stream, &field);
    return callback_result(session);
}

static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
                         void *user)
{
    struct etcd__h2 *session = user;
    struct etcd__h2_stream *stream = find(session, id);

    (void)flags;
    note(session, nghttp2_session_consume_connection(ng, len));
    if (stream != NULL) {
        if (stream->recv_paused)
            stream->unconsumed += len;
        else
            note(session, nghttp2_session_consume_stream(ng, id, len));
        stream->ops->on_data(stream, data, len);
    }
    return callback_result(session);
}

/* END_STREAM came. When our side is closed too, nghttp2 closes the stream next; otherwise nobody would. */
static void peer_ended(struct etcd__h2 *session, int32_t id)
{
    struct etcd__h2_stream *stream = find(session, id);

    if (stream == NULL || nghttp2_session_get_stream_local_close(session->ng, id) == 1)
        return;
    abandon(session, stream, NGHTTP2_NO_ERROR);
    stream->ops->on_close(stream, NGHTTP2_NO_ERROR, false);
}

static void headers_complete(struct etcd__h2 *session, const nghttp2_frame *frame)
{
    struct etcd__h2_stream *stream = session->current;
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    session->current = NULL;
    if (stream == NULL || session->informational)
        return;
    stream->ops->on_headers(stream, end);
    if (end)
        peer_ended(session, frame->hd.stream_id);
}

static void goaway_received(struct etcd__h2 *session, const nghttp2_goaway *goaway)
{
    session->going_away = true;
    session->ops->on_goaway(session->user, goaway->error_code, goaway->opaque_data, goaway->opaque_data_len);
    /* nghttp2 closes what is above the last stream id; what still waits in its queue would stay there. */
    session->cursor = session->first;
    while (session->cursor != NULL) {
        struct etcd__h2_stream *stream = session->cursor;

        session->cursor = stream->next;
        if (stream->written)
            continue;
        abandon(session, stream, NGHTTP2_CANCEL);
        stream->ops->on_close(stream, NGHTTP2_REFUSED_STREAM, true);
    }
}

static void settings_received(struct etcd__h2 *session, const nghttp2_frame *frame)
{
    if (session->ready || (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
        return;
    session->ready = true;
    session->ops->on_ready(session->user);
}

static void ping_received(struct etcd__h2 *session, const nghttp2_ping *ping)
{
    if ((ping->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
        session->ops->on_ping_ack(session->user);
        return;
    }
    etcd__h2_answer_ping(session); /* the one before */
    memcpy(session->ping, ping->opaque_data, sizeof(session->ping));
    session->pinged = true;
    session->ops->on_ping(session->user);
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct etcd__h2 *session = user;

    (void)ng;
    switch (frame->hd.type) {
    case NGHTTP2_DATA:
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
            peer_ended(session, frame->hd.stream_id);
        break;
    case NGHTTP2_HEADERS:
        headers_complete(session, frame);
        break;
    case NGHTTP2_SETTINGS:
        settings_received(session, frame);
        break;
    case NGHTTP2_PING:
        ping_received(session, &frame->ping);
        break;
    case NGHTTP2_GOAWAY:
        goaway_received(session, &frame->goaway);
        break;
    default:
        break;
    }
    return callback_result(session);
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t error, void *user)
{
    struct etcd__h2 *session = user;
    struct etcd__h2_stream *stream = find(session, id);

    (void)ng;
    if (stream == NULL)
        return 0;
    /* A peer that answered has processed the request, whatever it says afterwards. */
    bool unprocessed = !stream->written || (error == NGHTTP2_REFUSED_STREAM && !stream->answered);

    unlink_stream(session, stream);
    stream->ops->on_close(stream, error, unprocessed);
    return callback_result(session);
}

static int on_error(nghttp2_session *ng, int code, const char *text, size_t len, void *user)
{
    struct etcd__h2 *session = user;

    (void)ng;
    (void)code;
    etcd__escape(session->reason, sizeof session->reason, text, len);
    return 0;
}

static int on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *frame, int code, void *user)
{
    struct etcd__h2 *session = user;

    (void)ng;
    if (session->reason[0] == '\0')
        etcd__format(session->reason, sizeof session->reason, "invalid frame of type %d: %s", frame->hd.type,
                     nghttp2_strerror(code));
    return 0;
}

/* --- Sending --- */

static ssize_t on_read_body(nghttp2_session *ng, int32_t id, uint8_t *dst, size_t size, uint32_t *flags,
                            nghttp2_data_source *source, void *user)
{
    struct etcd__h2 *session = user;
    struct etcd__h2_stream *stream = find(session, id);
    bool end = false;

    (void)ng;
    (void)source;
    if (stream == NULL)
        return NGHTTP2_ERR_DEFERRED; /* its RST_STREAM is queued */

    size_t len = stream->ops->read_body(stream, dst, size, &end);

    assert(len <= size);
    if (session->no_memory)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (end) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        return (ssize_t)len;
    }
    if (len > 0)
        return (ssize_t)len;
    stream = find(session, id); /* it may have been reset */
    if (stream != NULL)
        stream->body_paused = true;
    return NGHTTP2_ERR_DEFERRED;
}

static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct etcd__h2 *session = user;

    (void)ng;
    if (frame->hd.type == NGHTTP2_HEADERS) {
        struct etcd__h2_stream *stream = find(session, frame->hd.stream_id);

        if (stream != NULL) {
            stream->written = true;
            if (stream->ops->on_written != NULL)
                stream->ops->on_written(stream);
        }
    } else if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
        session->broken = true;
    }
    return callback_result(session);
}

/* --- Life --- */

static int new_session(struct etcd__h2 *session)
{
    nghttp2_mem mem = {session, mem_malloc, mem_free, mem_calloc, mem_realloc};
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int rv = nghttp2_session_callbacks_new(&callbacks);

    if (rv != 0)
        goto out;
    rv = nghttp2_option_new(&option);
    if (rv != 0)
        goto out;
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_auto_ping_ack(option, 1);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_error_callback2(callbacks, on_error);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    rv = nghttp2_session_client_new3(&session->ng, callbacks, session, option, &mem);
out:
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return rv;
}

static int submit_preface(struct etcd__h2 *session, const struct etcd__h2_config *config)
{
    uint32_t stream_window = config->stream_window != 0 ? config->stream_window : DEFAULT_STREAM_WINDOW;
    uint32_t window = config->connection_window != 0 ? config->connection_window : DEFAULT_CONNECTION_WINDOW;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, session->max_header_list},
    };
    int rv = nghttp2_submit_settings(session->ng, NGHTTP2_FLAG_NONE, settings, ETCD__COUNT(settings));

    if (rv != 0)
        return rv;
    return nghttp2_session_set_local_window_size(session->ng, NGHTTP2_FLAG_NONE, 0, (int32_t)window);
}

etcd_status etcd__h2_new(const struct etcd__h2_config *config, struct etcd__h2 **ret_session,
                         etcd_error *reterr)
{
    assert(config->stream_window <= INT32_MAX && config->connection_window <= INT32_MAX);

    struct etcd__h2 *session = ETCD__NEW(struct etcd__h2);

    if (session == NULL)
        return etcd__fail_memory(reterr);
    session->ops = config->ops;
    session->user = config->user;
    session->max_header_list = config->max_header_list != 0 ? config->max_header_list
                                                            : DEFAULT_MAX_HEADER_LIST;

    int rv = new_session(session);

    if (rv == 0)
        rv = submit_preface(session, config);
    if (rv != 0) {
        etcd__h2_free(session);
        if (rv == NGHTTP2_ERR_NOMEM)
            return etcd__fail_memory(reterr);
        return etcd__fail(reterr, ETCD_E_INTERNAL, "cannot make an HTTP/2 session: %s", nghttp2_strerror(rv));
    }
    *ret_session = session;
    return ETCD_OK;
}

void etcd__h2_free(struct etcd__h2 *session)
{
    if (session == NULL)
        return;
    assert(!session->busy && !session->freeing);
    session->freeing = true;
    while (session->first != NULL) {
        struct etcd__h2_stream *stream = session->first;

        unlink_stream(session, stream);
        stream->ops->on_close(stream, NGHTTP2_CANCEL, !stream->written);
    }
    nghttp2_session_del(session->ng);
    etcd__free(session);
}

static etcd_status failed(const struct etcd__h2 *session, int rv, etcd_error *reterr)
{
    if (rv == NGHTTP2_ERR_NOMEM || session->no_memory || session->starved)
        return etcd__fail_memory(reterr);
    if (session->flooded)
        rv = NGHTTP2_ERR_FLOODED;
    return etcd__fail(reterr, ETCD_E_PROTOCOL, "the peer broke HTTP/2: %s",
                      session->reason[0] != '\0' ? session->reason : nghttp2_strerror(rv));
}

etcd_status etcd__h2_feed(struct etcd__h2 *session, const uint8_t *data, size_t len, etcd_error *reterr)
{
    assert(!session->busy && !session->freeing);
    session->busy = true;

    ssize_t rv = nghttp2_session_mem_recv(session->ng, data, len);

    session->busy = false;
    if (rv < 0 || session->no_memory || session->flooded)
        return failed(session, (int)rv, reterr);
    return ETCD_OK;
}

/* Moves frames to `out`. 0, or nghttp2's error. */
static int drain_frames(struct etcd__h2 *session, struct etcd__buf *out, size_t limit, bool *ret_more)
{
    *ret_more = true;
    while (etcd__buf_len(out) < limit) {
        const uint8_t *data = NULL;
        ssize_t len = nghttp2_session_mem_send(session->ng, &data);

        if (len < 0)
            return (int)len;
        if (len == 0) {
            *ret_more = false;
            break;
        }
        if (!etcd__buf_append(out, data, (size_t)len))
            return NGHTTP2_ERR_NOMEM;
    }
    return 0;
}

etcd_status etcd__h2_drain(struct etcd__h2 *session, struct etcd__buf *out, size_t limit, bool *ret_more,
                           etcd_error *reterr)
{
    assert(!session->busy && !session->freeing);
    session->busy = true;

    int rv = drain_frames(session, out, limit, ret_more);

    session->busy = false;
    if (rv != 0 || session->no_memory || session->flooded)
        return failed(session, rv, reterr);
    if (session->broken)
        return failed(session, NGHTTP2_ERR_PROTO, reterr);
    return ETCD_OK;
}

bool etcd__h2_wants_write(const struct etcd__h2 *session)
{
    return nghttp2_session_want_write(session->ng) != 0;
}

bool etcd__h2_finished(const struct etcd__h2 *session)
{
    return nghttp2_session_want_read(session->ng) == 0 && nghttp2_session_want_write(session->ng) == 0;
}

/* --- Streams --- */

/* Translates the fields; returns the size of the header list. */
static size_t make_fields(nghttp2_nv *nv, const struct etcd__h2_request_field *fields, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        const struct etcd__h2_field *field = &fields[i].field;

        /* nghttp2's struct has no const, but it only reads. */
        nv[i].name = (uint8_t *)(uintptr_t)field->name;
        nv[i].namelen = field->name_len;
        nv[i].value = (uint8_t *)(uintptr_t)field->value;
        nv[i].valuelen = field->value_len;
        nv[i].flags = fields[i].constant ? NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE
                                         : NGHTTP2_NV_FLAG_NONE;
        size += field->name_len + field->value_len + FIELD_OVERHEAD;
    }
    return size;
}

etcd_status etcd__h2_open(struct etcd__h2 *session, struct etcd__h2_stream *stream,
                          const struct etcd__h2_request_field *fields, size_t count, etcd_error *reterr)
{
    const nghttp2_data_provider body = {.read_callback = on_read_body};
    nghttp2_nv nv[ETCD__H2_MAX_REQUEST_FIELDS];

    assert(stream->session == NULL && count <= ETCD__COUNT(nv));
    if (session->freeing || session->going_away || session->broken)
        return etcd__fail(reterr, ETCD_E_UNAVAILABLE, "the connection takes no new streams");
    if (make_fields(nv, fields, count) > MAX_REQUEST_HEADERS)
        return etcd__fail(reterr, ETCD_E_TOO_LARGE, "the request's headers are larger than %d bytes",
                          MAX_REQUEST_HEADERS);

    int32_t id = nghttp2_submit_request(session->ng, NULL, nv, count, &body, stream);

    if (id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE)
        return etcd__fail(reterr, ETCD_E_UNAVAILABLE, "the connection has no stream ids left");
    if (id == NGHTTP2_ERR_NOMEM)
        return etcd__fail_memory(reterr);
    if (id < 0)
        return etcd__fail(reterr, ETCD_E_INTERNAL, "cannot open an HTTP/2 stream: %s", nghttp2_strerror(id));
    stream->id = id;
    stream->written = false;
    stream->answered = false;
    stream->body_paused = false;
    stream->recv_paused = false;
    stream->unconsumed = 0;
    link_stream(session, stream);
    return ETCD_OK;
}

void etcd__h2_stream_wake(struct etcd__h2_stream *stream)
{
    struct etcd__h2 *session = stream->session;

    if (session == NULL || session->freeing || !stream->body_paused)
        return;
    stream->body_paused = false;
    note(session, nghttp2_session_resume_data(session->ng, stream->id));
}

void etcd__h2_stream_reset(struct etcd__h2_stream *stream, uint32_t error)
{
    if (stream->session != NULL)
        abandon(stream->session, stream, error);
}

void etcd__h2_stream_pause(struct etcd__h2_stream *stream, bool paused)
{
    struct etcd__h2 *session = stream->session;

    if (session == NULL || session->freeing || stream->recv_paused == paused)
        return;
    stream->recv_paused = paused;
    if (paused || stream->unconsumed == 0)
        return;
    note(session, nghttp2_session_consume_stream(session->ng, stream->id, stream->unconsumed));
    stream->unconsumed = 0;
}

/* --- The connection --- */

void etcd__h2_ping(struct etcd__h2 *session)
{
    note(session, nghttp2_submit_ping(session->ng, NGHTTP2_FLAG_NONE, NULL));
}

void etcd__h2_answer_ping(struct etcd__h2 *session)
{
    if (!session->pinged)
        return;
    session->pinged = false;
    note(session, nghttp2_submit_ping(session->ng, NGHTTP2_FLAG_ACK, session->ping));
}

void etcd__h2_goaway(struct etcd__h2 *session)
{
    note(session, nghttp2_submit_goaway(session->ng, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0));
}

size_t etcd__h2_open_streams(const struct etcd__h2 *session)
{
    return session->open_streams;
}

bool etcd__h2_exhausted(const struct etcd__h2 *session)
{
    return nghttp2_session_get_next_stream_id(session->ng) >= LAST_STREAM_ID;
}
