/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/transport.h"

#include "base/str.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

enum {
    WRITE_SIZE = 64 << 10,  /* collected before a write */
    KEPT_OUTPUT = 16 << 10, /* of the output buffer between turns */
    /*
     * Between answers to pings. A server that measures the way to us pings again with the next message after
     * each answer: under load that would be a packet both ways, and a wake-up here and there, for every call.
     */
    PING_ANSWER_MS = 20,
};

static struct etcd__reactor *reactor_of(const struct etcd__transport *transport)
{
    return transport->config.channel->reactor;
}

/* --- The end --- */

/* Best effort: tells the peer that nothing more will come. */
static void say_goodbye(struct etcd__transport *transport)
{
    bool more = false;

    if (transport->h2 == NULL || transport->cut || etcd__conn_blocked(transport->conn))
        return;
    etcd__h2_goaway(transport->h2);
    if (etcd__h2_drain(transport->h2, &transport->out, WRITE_SIZE, &more, NULL) == ETCD_OK && !more)
        (void)etcd__conn_write(transport->conn, etcd__buf_front(&transport->out),
                               etcd__buf_len(&transport->out));
}

static void dispose(struct etcd__transport *transport, enum etcd__grpc_code code, const char *message)
{
    transport->closing = true;
    transport->end_code = code;
    transport->end_message = message;
    etcd__task_cancel(&transport->flush);
    etcd__task_cancel(&transport->reap);
    etcd__timer_disarm(reactor_of(transport), &transport->ping_answer);
    etcd__conn_close(transport->conn);
    etcd__h2_free(transport->h2); /* ends the calls */
    assert(etcd__list_empty(&transport->calls));
    etcd__health_deinit(&transport->health);
    etcd__buf_deinit(&transport->out);
    transport->config.events->on_gone(transport->config.subchannel, transport);
    etcd__free(transport);
}

void etcd__transport_close(struct etcd__transport *transport, enum etcd__grpc_code code, const char *message)
{
    assert(!transport->closing);
    transport->closing = true;
    /* Reset one by one before the goodbye is written, or that would still send the requests that wait. */
    while (!etcd__list_empty(&transport->calls))
        etcd__call_end_now(ETCD__CONTAINER(etcd__list_first(&transport->calls), struct etcd__call, active),
                           code, message);
    say_goodbye(transport);
    dispose(transport, code, message);
}

void etcd__transport_fail(struct etcd__transport *transport, const etcd_error *err)
{
    etcd_error named = *err;

    assert(!transport->closing);
    if (strstr(named.message, transport->config.endpoint->text) == NULL)
        etcd__error_prefix(&named, "%s", transport->config.endpoint->text);
    transport->closing = true; /* from here on nobody may bring it new calls */
    transport->config.events->on_lost(transport->config.subchannel, transport, &named);
    dispose(transport, ETCD__GRPC_UNAVAILABLE, named.message);
}

static void run_reap(struct etcd__task *task)
{
    struct etcd__transport *transport = ETCD__CONTAINER(task, struct etcd__transport, reap);

    if (transport->draining && etcd__list_empty(&transport->calls))
        etcd__transport_close(transport, ETCD__GRPC_UNAVAILABLE, "");
}

void etcd__transport_drain(struct etcd__transport *transport)
{
    transport->draining = true;
    if (!transport->closing && etcd__list_empty(&transport->calls))
        etcd__task_post(reactor_of(transport), &transport->reap);
}

void etcd__transport_retire(struct etcd__transport *transport, const char *message)
{
    if (transport->closing)
        return;
    ETCD__LIST_FOREACH_SAFE(node, &transport->calls)
    {
        struct etcd__call *call = ETCD__CONTAINER(node, struct etcd__call, active);

        if (call->config.method->streaming && call->config.only == NULL)
            etcd__call_end_later(call, ETCD__GRPC_UNAVAILABLE, message);
    }
    etcd__transport_drain(transport);
}

/* --- Output --- */

void etcd__transport_kick(struct etcd__transport *transport)
{
    if (transport->h2 != NULL && !transport->closing && !transport->cut)
        etcd__task_post(reactor_of(transport), &transport->flush);
}

static void run_flush(struct etcd__task *task)
{
    struct etcd__transport *transport = ETCD__CONTAINER(task, struct etcd__transport, flush);
    etcd_status status = ETCD_OK;
    etcd_error err;
    bool more = true;

    while (more && status == ETCD_OK && !etcd__conn_blocked(transport->conn)) {
        status = etcd__h2_drain(transport->h2, &transport->out, WRITE_SIZE, &more, &err);

        size_t len = etcd__buf_len(&transport->out);

        if (transport->config.channel->sent != NULL)
            etcd__count(transport->config.channel->sent, len);
        if (len > 0 && !etcd__conn_write(transport->conn, etcd__buf_front(&transport->out), len)) {
            transport->cut = true; /* the connection reports its end by itself */
            return;
        }
        etcd__buf_consume(&transport->out, len);
    }
    if (status != ETCD_OK)
        etcd__transport_fail(transport, &err);
    else
        etcd__buf_trim(&transport->out, KEPT_OUTPUT);
}

/* --- Events of HTTP/2 --- */

static void on_ready(void *user)
{
    struct etcd__transport *transport = user;

    transport->ready = true;
    transport->ready_ms = reactor_of(transport)->now_ms;
    transport->config.events->on_ready(transport->config.subchannel, transport);
}

static void on_ping_ack(void *user)
{
    (void)user; /* the bytes it came in were counted already */
}

static void answer_ping(struct etcd__timer *timer)
{
    struct etcd__transport *transport = ETCD__CONTAINER(timer, struct etcd__transport, ping_answer);

    transport->ping_answered_ms = reactor_of(transport)->now_ms;
    etcd__h2_answer_ping(transport->h2);
    etcd__transport_kick(transport);
}

static void on_ping(void *user)
{
    struct etcd__transport *transport = user;
    int64_t due_ms = transport->ping_answered_ms + PING_ANSWER_MS;

    if (reactor_of(transport)->now_ms >= due_ms)
        answer_ping(&transport->ping_answer);
    else if (!etcd__timer_armed(&transport->ping_answer))
        etcd__timer_arm(reactor_of(transport), &transport->ping_answer, due_ms);
}

static void start_draining(struct etcd__transport *transport, bool too_many_pings)
{
    if (transport->draining)
        return;
    etcd__transport_drain(transport);
    transport->config.events->on_draining(transport->config.subchannel, transport, too_many_pings);
}

static void on_goaway(void *user, uint32_t error, const uint8_t *debug, size_t debug_len)
{
    static const char too_many[] = "too_many_pings";
    struct etcd__transport *transport = user;
    bool calm = error == ETCD__H2_ENHANCE_YOUR_CALM && debug_len == sizeof too_many - 1 &&
                memcmp(debug, too_many, debug_len) == 0;
    char text[64];

    etcd__log_endpoint(&transport->config.channel->log, ETCD_LOG_DEBUG, "connect",
                       transport->config.endpoint->text, "%s: GOAWAY, error %u, \"%s\"",
                       transport->config.endpoint->text, (unsigned)error,
                       etcd__escape(text, sizeof text, debug, debug_len));
    start_draining(transport, calm);
}

static const struct etcd__h2_ops h2_ops = {
    .on_ready = on_ready,
    .on_ping_ack = on_ping_ack,
    .on_ping = on_ping,
    .on_goaway = on_goaway,
};

/* --- Events of the byte stream --- */

/* A certificate that was replaced by a bad one works until the old one expires, unless somebody is told. */
static void warn_of_files(const struct etcd__transport *transport)
{
    etcd_error err;

    if (transport->config.tls != NULL && etcd__tls_take_trouble(transport->config.tls, &err))
        etcd__log_endpoint(
            &transport->config.channel->log, ETCD_LOG_WARN, "connect", transport->config.endpoint->text,
            "%s: the TLS files have changed and cannot be loaded, the previous ones stay in use: %s",
            transport->config.endpoint->text, err.message);
}

static void on_open(void *user)
{
    struct etcd__transport *transport = user;
    const struct etcd__h2_config config = {.ops = &h2_ops, .user = transport};
    etcd_error err;

    warn_of_files(transport);
    if (etcd__h2_new(&config, &transport->h2, &err) != ETCD_OK)
        etcd__transport_fail(transport, &err);
    else
        etcd__transport_kick(transport);
}

static void on_data(void *user, const uint8_t *data, size_t len)
{
    struct etcd__transport *transport = user;
    etcd_error err;

    etcd__health_received(&transport->health);
    if (transport->config.channel->received != NULL)
        etcd__count(transport->config.channel->received, len);
    transport->config.events->on_bytes(transport->config.subchannel);
    if (etcd__h2_feed(transport->h2, data, len, &err) != ETCD_OK)
        etcd__transport_fail(transport, &err);
    else if (etcd__h2_wants_write(transport->h2))
        etcd__transport_kick(transport);
}

static void on_drained(void *user)
{
    etcd__transport_kick(user);
}

static void on_closed(void *user, const etcd_error *err)
{
    warn_of_files(user);
    etcd__transport_fail(user, err);
}

static const struct etcd__conn_handler conn_handler = {
    .on_open = on_open,
    .on_data = on_data,
    .on_drained = on_drained,
    .on_closed = on_closed,
};

/* --- Health --- */

static void send_ping(void *user)
{
    struct etcd__transport *transport = user;

    if (transport->h2 == NULL)
        return;
    etcd__h2_ping(transport->h2);
    etcd__transport_kick(transport);
}

static void found_dead(void *user)
{
    struct etcd__transport *transport = user;
    etcd_error err;

    etcd__fail(&err, ETCD_E_UNAVAILABLE, "no answer to a keepalive ping within %lld ms",
               (long long)transport->health.timeout_ms);
    etcd__transport_fail(transport, &err);
}

static const struct etcd__health_ops health_ops = {.ping = send_ping, .dead = found_dead};

/* --- Life --- */

static int user_timeout(const struct etcd__channel_config *config)
{
    if (config->keepalive_time_ms <= 0)
        return 0;
    return config->keepalive_timeout_ms > INT_MAX ? INT_MAX : (int)config->keepalive_timeout_ms;
}

etcd_status etcd__transport_new(const struct etcd__transport_config *config,
                                struct etcd__transport **ret_transport, etcd_error *reterr)
{
    struct etcd__transport *transport = ETCD__NEW(struct etcd__transport);
    const struct etcd__channel_config *channel = config->channel;

    if (transport == NULL)
        return etcd__fail_memory(reterr);
    transport->config = *config;
    transport->dialed_ms = channel->reactor->now_ms;
    transport->flush.run = run_flush;
    transport->reap.run = run_reap;
    transport->out.secret = true; /* tokens and passwords go through it */
    transport->ping_answer.on_expire = answer_ping;
    transport->ping_answered_ms = channel->reactor->now_ms - PING_ANSWER_MS;
    etcd__list_init(&transport->calls);
    etcd__health_init(&transport->health, channel->reactor, channel->keepalive_time_ms,
                      channel->keepalive_timeout_ms, config->patience, &health_ops, transport);

    const struct etcd__conn_config conn_config = {
        .reactor = channel->reactor,
        .resolver = channel->resolver,
        .endpoint = config->endpoint,
        .tls = config->tls,
        .user_timeout_ms = user_timeout(channel),
        .handler = &conn_handler,
        .user = transport,
    };
    etcd_status status = etcd__conn_open(&conn_config, &transport->conn, reterr);

    if (status != ETCD_OK) {
        etcd__free(transport);
        return status;
    }
    *ret_transport = transport;
    return ETCD_OK;
}

const char *etcd__transport_phase(const struct etcd__transport *transport)
{
    return transport->h2 == NULL ? etcd__conn_phase(transport->conn)
                                 : "waiting for the server's HTTP/2 settings";
}

/* --- Calls --- */

#define CONSTANT(n, v) ((struct etcd__h2_request_field){{(n), sizeof(n) - 1, (v), sizeof(v) - 1}, true})

static struct etcd__h2_request_field text_field(const char *name, const char *value, bool constant)
{
    return (struct etcd__h2_request_field){{name, strlen(name), value, strlen(value)}, constant};
}

/* In grpc-go's order, so that the server's HPACK decoder and its logs see what they know. */
static size_t make_headers(const struct etcd__transport *transport, const struct etcd__call *call,
                           const char *token, char timeout[16], struct etcd__h2_request_field *fields)
{
    const struct etcd__call_config *config = &call->config;
    size_t n = 0;

    fields[n++] = CONSTANT(":method", "POST");
    fields[n++] = transport->config.tls != NULL ? CONSTANT(":scheme", "https") : CONSTANT(":scheme", "http");
    fields[n++] = text_field(":path", config->method->path, true);
    fields[n++] = text_field(":authority", transport->config.endpoint->authority, true);
    fields[n++] = CONSTANT("content-type", "application/grpc");
    fields[n++] = text_field("user-agent", transport->config.channel->user_agent, true);
    fields[n++] = CONSTANT("te", "trailers");
    if (config->deadline_ms != INT64_MAX) {
        etcd__grpc_timeout_format(timeout, config->deadline_ms - reactor_of(transport)->now_ms);
        fields[n++] = text_field("grpc-timeout", timeout, false);
    }
    if (config->require_leader)
        fields[n++] = CONSTANT("hasleader", "true");
    if (token[0] != '\0' && !config->no_token)
        fields[n++] = text_field("token", token, false);
    /* The server counts its clients by this; it does not change what it does. */
    fields[n++] = CONSTANT("client-api-version", "3.5");
    assert(n <= ETCD__H2_MAX_REQUEST_FIELDS);
    return n;
}

etcd_status etcd__transport_open(struct etcd__transport *transport, struct etcd__call *call,
                                 const char *token, etcd_error *reterr)
{
    struct etcd__h2_request_field fields[ETCD__H2_MAX_REQUEST_FIELDS];
    char timeout[16];
    size_t count = make_headers(transport, call, token, timeout, fields);

    assert(transport->ready && !transport->draining && !transport->closing);

    etcd_status status = etcd__h2_open(transport->h2, &call->stream, fields, count, reterr);

    if (status != ETCD_OK)
        return status;
    call->transport = transport;
    call->subchannel = transport->config.subchannel;
    call->state = ETCD__CALL_ACTIVE;
    if (call->recv_paused)
        etcd__h2_stream_pause(&call->stream, true);
    etcd__list_push(&transport->calls, &call->active);
    etcd__health_call_started(&transport->health, !call->config.method->streaming);
    etcd__transport_kick(transport);
    if (etcd__h2_exhausted(transport->h2))
        start_draining(transport, false);
    return ETCD_OK;
}

void etcd__transport_detach(struct etcd__transport *transport, struct etcd__call *call)
{
    etcd__node_unlink(&call->active);
    call->transport = NULL;
    etcd__health_call_ended(&transport->health, !call->config.method->streaming);
    if (transport->draining)
        etcd__transport_drain(transport);
}
