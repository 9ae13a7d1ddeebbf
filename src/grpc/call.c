/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner may cancel, restart or free a call inside any of its callbacks. So each function that calls the
 * owner does it last, or (on_message) keeps a flag on its stack that the cancel sets.
 */
#include "grpc/call.h"

#include "base/str.h"
#include "grpc/channel.h"
#include "grpc/transport.h"

#include <assert.h>
#include <string.h>

static struct etcd__call *call_of(struct etcd__h2_stream *stream)
{
    return ETCD__CONTAINER(stream, struct etcd__call, stream);
}

static bool is_unary(const struct etcd__call *call)
{
    return !call->config.method->streaming;
}

static enum etcd__sent sent_so_far(const struct etcd__call *call)
{
    if (call->state == ETCD__CALL_ENDING)
        return call->end.sent;
    return call->state == ETCD__CALL_ACTIVE && call->stream.written ? ETCD__MAYBE_SENT : ETCD__NOT_SENT;
}

/* --- Leaving --- */

/* Takes the call out of wherever it is, without a word to the owner. Its subchannel and message stay. */
static void leave(struct etcd__call *call)
{
    struct etcd__transport *transport = call->transport;

    if (call->stream.session != NULL) {
        etcd__h2_stream_reset(&call->stream, ETCD__H2_CANCEL);
        etcd__transport_kick(transport);
    }
    if (transport != NULL)
        etcd__transport_detach(transport, call);
    etcd__node_unlink(&call->waiting);
    etcd__channel_unbind(call);
    etcd__task_cancel(&call->failed);
    etcd__deframer_deinit(&call->deframer);
    if (call->gone != NULL)
        *call->gone = true;
    call->gone = NULL;
}

static void release_outgoing(struct etcd__call *call)
{
    struct etcd__list queue;

    etcd__list_init(&queue);
    etcd__list_splice(&queue, &call->outgoing);

    for (struct etcd__node *node = etcd__list_pop(&queue); node != NULL; node = etcd__list_pop(&queue)) {
        struct etcd__outgoing *outgoing = ETCD__CONTAINER(node, struct etcd__outgoing, node);

        if (outgoing->release != NULL)
            outgoing->release(outgoing);
    }
}

/* The one place that tells the owner. Nothing of the call is touched after it. */
static void finish(struct etcd__call *call, const struct etcd__call_end *end)
{
    struct etcd__call_end copy = *end;
    char *message = call->message;

    copy.endpoint = call->subchannel != NULL ? etcd__subchannel_endpoint(call->subchannel) : "";
    if (copy.message == NULL)
        copy.message = "";
    leave(call);
    call->message = NULL;
    call->state = ETCD__CALL_IDLE;
    release_outgoing(call);
    call->config.ops->on_end(call, &copy);
    etcd__free(message);
}

/* An end that was found here, in a turn. */
static void fail(struct etcd__call *call, enum etcd__grpc_code code, const char *message)
{
    const struct etcd__call_end end = {.code = code, .message = message, .sent = sent_so_far(call)};

    finish(call, &end);
}

static void fail_malformed(struct etcd__call *call, enum etcd__grpc_code code, const char *message)
{
    const struct etcd__call_end end = {
        .code = code,
        .message = message,
        .sent = sent_so_far(call),
        .malformed = true,
    };

    finish(call, &end);
}

static void fail_no_memory(struct etcd__call *call)
{
    const struct etcd__call_end end = {
        .code = ETCD__GRPC_RESOURCE_EXHAUSTED,
        .message = "out of memory",
        .sent = sent_so_far(call),
        .no_memory = true,
    };

    finish(call, &end);
}

static void run_failed(struct etcd__task *task)
{
    struct etcd__call *call = ETCD__CONTAINER(task, struct etcd__call, failed);

    finish(call, &call->end);
}

void etcd__call_end_later(struct etcd__call *call, enum etcd__grpc_code code, const char *message)
{
    assert(call->state != ETCD__CALL_ENDING);

    const struct etcd__call_end end = {.code = code, .message = message, .sent = sent_so_far(call)};

    leave(call);
    call->end = end;
    call->state = ETCD__CALL_ENDING;
    etcd__channel_post_end(call->channel, call);
}

void etcd__call_end_later_no_memory(struct etcd__call *call)
{
    etcd__call_end_later(call, ETCD__GRPC_RESOURCE_EXHAUSTED, "out of memory");
    call->end.no_memory = true;
}

void etcd__call_end_now(struct etcd__call *call, enum etcd__grpc_code code, const char *message)
{
    assert(etcd__call_alive(call));
    fail(call, code, message);
}

/* --- Fields --- */

/* Compared by length first: nearly every field of an answer is none of ours. */
static bool name_is(const struct etcd__h2_field *field, const char *name, size_t len)
{
    return field->name_len == len && memcmp(field->name, name, len) == 0;
}
#define NAME_IS(field, literal) name_is((field), (literal), sizeof(literal) - 1)

static int small_number(const struct etcd__h2_field *field, int if_bad)
{
    int number = 0;

    if (field->value_len == 0 || field->value_len > 3)
        return if_bad;
    for (size_t i = 0; i < field->value_len; i++) {
        if (field->value[i] < '0' || field->value[i] > '9')
            return if_bad;
        number = number * 10 + (field->value[i] - '0');
    }
    return number;
}

static void take_status(struct etcd__call *call, const struct etcd__h2_field *field)
{
    int code = small_number(field, ETCD__GRPC_UNKNOWN);

    call->got_status = true;
    call->grpc_status = code <= ETCD__GRPC_UNAUTHENTICATED ? (enum etcd__grpc_code)code : ETCD__GRPC_UNKNOWN;
}

static void take_message(struct etcd__call *call, const struct etcd__h2_field *field)
{
    char *message = etcd__malloc(field->value_len + 1);

    /* Callers tell errors apart by this text, so going on without it would misreport the error. */
    if (message == NULL) {
        fail_no_memory(call);
        return;
    }
    etcd__free(call->message);
    call->message = etcd__grpc_message_decode(message, field->value_len + 1, field->value, field->value_len);
}

static void take_content_type(struct etcd__call *call, const struct etcd__h2_field *field)
{
    static const char grpc[] = "application/grpc";
    size_t len = sizeof grpc - 1;

    call->is_grpc = field->value_len >= len && memcmp(field->value, grpc, len) == 0 &&
                    (field->value_len == len || field->value[len] == '+' || field->value[len] == ';');
}

static void on_field(struct etcd__h2_stream *stream, const struct etcd__h2_field *field)
{
    struct etcd__call *call = call_of(stream);

    switch (field->name_len) {
    case 7:
        if (NAME_IS(field, ":status"))
            call->http_status = small_number(field, 0);
        break;
    case 11:
        if (NAME_IS(field, "grpc-status"))
            take_status(call, field);
        break;
    case 12:
        if (!call->got_headers && NAME_IS(field, "content-type"))
            take_content_type(call, field);
        else if (NAME_IS(field, "grpc-message"))
            take_message(call, field);
        break;
    default:
        break;
    }
}

static void fail_http(struct etcd__call *call)
{
    char message[64];

    etcd__format(message, sizeof message, "the answer is not gRPC (HTTP status %d)", call->http_status);

    const struct etcd__call_end end = {
        .code = etcd__grpc_code_of_http(call->http_status),
        .message = message,
        .sent = sent_so_far(call),
        .malformed = call->http_status == 200,
    };

    finish(call, &end);
}

static void on_headers(struct etcd__h2_stream *stream, bool end)
{
    struct etcd__call *call = call_of(stream);

    call->transport->answered = true;
    if (end)
        return; /* trailers, or an answer of trailers only: judged when the stream closes */
    if (call->http_status != 200 || !call->is_grpc) {
        fail_http(call);
        return;
    }
    if (call->got_headers)
        return;
    call->got_headers = true;
    call->got_status = false; /* belongs into the trailers */
    if (call->config.ops->on_headers != NULL)
        call->config.ops->on_headers(call);
}

/* --- Messages --- */

static bool on_message(void *user, const uint8_t *data, size_t len)
{
    struct etcd__call *call = user;
    bool *gone = call->gone;

    if (is_unary(call) && call->got_message) {
        fail_malformed(call, ETCD__GRPC_INTERNAL, "two answers to one request");
        return false;
    }
    call->got_message = true;
    call->config.ops->on_message(call, data, len);
    return !*gone;
}

static void fail_too_large(struct etcd__call *call)
{
    char message[80];

    etcd__format(message, sizeof message, "the answer is larger than the receive limit of %zu bytes",
                 call->config.max_recv);

    const struct etcd__call_end end = {
        .code = ETCD__GRPC_RESOURCE_EXHAUSTED,
        .message = message,
        .sent = sent_so_far(call),
        .too_large = true,
    };

    finish(call, &end);
}

static void on_data(struct etcd__h2_stream *stream, const uint8_t *data, size_t len)
{
    struct etcd__call *call = call_of(stream);
    bool gone = false;

    call->gone = &gone;

    enum etcd__frame_result result = etcd__deframer_feed(&call->deframer, data, len, on_message, call);

    if (gone)
        return;
    call->gone = NULL;
    switch (result) {
    case ETCD__FRAME_TOO_LARGE:
        fail_too_large(call);
        break;
    case ETCD__FRAME_COMPRESSED:
        fail_malformed(call, ETCD__GRPC_INTERNAL, "a compressed message, which was not asked for");
        break;
    case ETCD__FRAME_NO_MEMORY:
        fail_no_memory(call);
        break;
    case ETCD__FRAME_OK:
    case ETCD__FRAME_STOPPED:
        break;
    }
}

/* --- Sending --- */

static size_t read_body(struct etcd__h2_stream *stream, uint8_t *dst, size_t size, bool *ret_end)
{
    struct etcd__call *call = call_of(stream);
    size_t done = 0;

    while (done < size) {
        struct etcd__node *node = etcd__list_first(&call->outgoing);

        if (node == NULL)
            break;

        struct etcd__outgoing *outgoing = ETCD__CONTAINER(node, struct etcd__outgoing, node);
        size_t left = outgoing->len - outgoing->pos;
        size_t len = left < size - done ? left : size - done;

        memcpy(dst + done, outgoing->data + outgoing->pos, len);
        done += len;
        outgoing->pos += len;
        if (outgoing->pos < outgoing->len)
            break;
        etcd__node_unlink(node);
        if (outgoing->release != NULL)
            outgoing->release(outgoing);
    }
    *ret_end = call->half_closed && etcd__list_empty(&call->outgoing);
    return done;
}

static void on_written(struct etcd__h2_stream *stream)
{
    struct etcd__call *call = call_of(stream);

    call->sent_ms = call->transport->config.channel->reactor->now_ms;
    if (call->config.ops->on_sent != NULL)
        call->config.ops->on_sent(call);
}

/* --- The end of the stream --- */

/* The server closed the stream in order: its trailers say how the call ended. */
static void judge(struct etcd__call *call)
{
    bool ok = call->grpc_status == ETCD__GRPC_OK;

    if (call->http_status != 200 || !call->is_grpc) {
        fail_http(call);
    } else if (!call->got_status) {
        fail_malformed(call, etcd__grpc_code_of_http(call->http_status), "the answer ended without a status");
    } else if (ok && etcd__deframer_partial(&call->deframer)) {
        fail_malformed(call, ETCD__GRPC_INTERNAL, "the answer ended within a message");
    } else if (ok && is_unary(call) && !call->got_message) {
        fail_malformed(call, ETCD__GRPC_INTERNAL, "success without an answer");
    } else {
        const struct etcd__call_end end = {
            .code = call->grpc_status,
            .message = call->message,
            .sent = ETCD__MAYBE_SENT,
            .from_server = true,
        };

        finish(call, &end);
    }
}

static void on_close(struct etcd__h2_stream *stream, uint32_t error, bool unprocessed)
{
    enum { PROTOCOL_ERROR = 1 };
    struct etcd__call *call = call_of(stream);
    const struct etcd__transport *transport = call->transport;
    struct etcd__call_end end = {.sent = unprocessed ? ETCD__NOT_SENT : ETCD__MAYBE_SENT};
    char message[64];

    if (transport->closing) {
        end.code = transport->end_code;
        end.message = transport->end_message;
    } else if (unprocessed) {
        end.code = ETCD__GRPC_UNAVAILABLE;
        end.message = "the server refused the request unprocessed";
    } else if (error != ETCD__H2_NO_ERROR) {
        end.code = etcd__grpc_code_of_h2(error);
        etcd__format(message, sizeof message, "the stream was reset with HTTP/2 error %u", (unsigned)error);
        end.message = message;
        end.malformed = error == PROTOCOL_ERROR;
    } else {
        judge(call);
        return;
    }
    finish(call, &end);
}

static const struct etcd__h2_stream_ops stream_ops = {
    .on_field = on_field,
    .on_headers = on_headers,
    .on_data = on_data,
    .read_body = read_body,
    .on_written = on_written,
    .on_close = on_close,
};

/* --- The owner's side --- */

void etcd__call_start(struct etcd__call *call, struct etcd__channel *channel,
                      const struct etcd__call_config *config)
{
    assert(call->state == ETCD__CALL_IDLE && call->stream.session == NULL);
    call->stream.ops = &stream_ops;
    call->stream.written = false;
    call->config = *config;
    call->channel = channel;
    call->subchannel = call->target = NULL;
    call->half_closed = call->recv_paused = false;
    call->got_headers = call->got_status = call->got_message = call->is_grpc = false;
    call->http_status = 0;
    call->grpc_status = ETCD__GRPC_UNKNOWN;
    call->sent_ms = 0;
    call->failed.run = run_failed;
    etcd__list_init(&call->outgoing);
    etcd__deframer_init(&call->deframer, config->max_recv);
    call->deframer.partial.secret = config->secret;
    etcd__channel_start_call(channel, call);
    assert(etcd__call_alive(call));
}

static void wake(struct etcd__call *call)
{
    if (call->state != ETCD__CALL_ACTIVE || !call->stream.body_paused)
        return; /* not asked for yet, or being read right now */
    etcd__h2_stream_wake(&call->stream);
    etcd__transport_kick(call->transport);
}

void etcd__call_send(struct etcd__call *call, struct etcd__outgoing *outgoing)
{
    assert(etcd__call_alive(call) && !call->half_closed && outgoing->len >= ETCD__FRAME_HEADER);
    etcd__frame_header(outgoing->data, outgoing->len - ETCD__FRAME_HEADER);
    outgoing->pos = 0;
    etcd__list_push(&call->outgoing, &outgoing->node);
    if (is_unary(call))
        call->half_closed = true;
    wake(call);
}

void etcd__call_half_close(struct etcd__call *call)
{
    assert(etcd__call_alive(call));
    call->half_closed = true;
    wake(call);
}

enum etcd__sent etcd__call_cancel(struct etcd__call *call)
{
    if (!etcd__call_alive(call))
        return ETCD__NOT_SENT;

    enum etcd__sent sent = sent_so_far(call);

    leave(call);
    etcd__free(call->message);
    call->message = NULL;
    call->subchannel = NULL;
    call->state = ETCD__CALL_IDLE;
    release_outgoing(call);
    return sent;
}

int64_t etcd__call_dialed_ms(const struct etcd__call *call)
{
    assert(call->state == ETCD__CALL_ACTIVE);
    return call->transport->dialed_ms;
}

void etcd__call_pause(struct etcd__call *call, bool paused)
{
    assert(etcd__call_alive(call));
    call->recv_paused = paused;
    if (call->state != ETCD__CALL_ACTIVE)
        return;
    etcd__h2_stream_pause(&call->stream, paused);
    etcd__transport_kick(call->transport);
}
