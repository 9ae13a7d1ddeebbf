/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel: one connection per endpoint, round robin over those that are ready unless a call wants a certain
 * one (pick.h).
 *
 * Each endpoint is a subchannel: IDLE -> CONNECTING -> READY -> (lost) BACKOFF -> CONNECTING ... It is
 * connected when the channel is first used and reconnected by itself. Back-off: 50 ms x 1.6 +- 20 % up to 5
 * s, never above 1 s while calls wait, reset by success. One attempt (names, TCP, TLS, SETTINGS) is bounded
 * by the dial timeout.
 *
 * A call can be bound to one endpoint, which need not be in the list: it takes the list's connection to it,
 * or one that is made for such calls and closed when the last of them has ended. The list's changes do not
 * end it.
 *
 * Calls wait in a queue until some endpoint is ready. A subchannel that does not answer is set aside: when
 * nothing came for 1 s while a unary call is outstanding it is pinged, and when the ping is not answered
 * within 1 s no new call goes there (unless there is no other) until bytes arrive again. A ping goes out
 * every keepalive interval while a call is open; without an answer within the keepalive timeout the
 * connection is closed and its calls end with UNAVAILABLE. GOAWAY and exhausted stream ids: a new
 * connection is made, the old one finishes its streams. Engine thread only.
 */
#ifndef ETCD__GRPC_CHANNEL_H
#define ETCD__GRPC_CHANNEL_H

#include "base/counter.h"
#include "base/log.h"
#include "grpc/call.h"
#include "net/conn.h"

enum etcd__channel_state {
    ETCD__CHANNEL_IDLE, /* nothing has used it yet */
    ETCD__CHANNEL_CONNECTING,
    ETCD__CHANNEL_READY, /* some endpoint is connected */
};

enum etcd__endpoint_event {
    ETCD__ENDPOINT_CONNECTED,
    ETCD__ENDPOINT_RECONNECTED, /* it was connected before */
    ETCD__ENDPOINT_LOST,        /* a connection that was in use */
    ETCD__ENDPOINT_UNREACHABLE, /* an attempt to connect failed */
};

struct etcd__channel_config {
    struct etcd__reactor *reactor;
    struct etcd__resolver *resolver;
    struct etcd__tls *tls; /* for endpoints that want TLS; NULL when the client has no TLS options */
    struct etcd__log log;
    const char *user_agent; /* constant */
    int64_t dial_timeout_ms;
    int64_t keepalive_time_ms; /* 0: off */
    int64_t keepalive_timeout_ms;
    /* What became of an endpoint; `err` says why it was lost or cannot be reached. May be NULL. */
    void (*on_endpoint)(void *user, const struct etcd__endpoint *endpoint, enum etcd__endpoint_event event,
                        const etcd_error *err);
    /*
     * The state changed; not for the end. `err`: why the last connection is gone, when READY is over; else
     * NULL. May come inside calls of the owner, and must not call the channel. May be NULL.
     */
    void (*on_state)(void *user, enum etcd__channel_state state, const etcd_error *err);
    void *user;
    etcd__counter *sent, *received; /* bytes of HTTP/2; NULL: not wanted */
};

etcd_status etcd__channel_new(const struct etcd__channel_config *config, struct etcd__channel **ret_channel,
                              etcd_error *reterr);
/*
 * Ends every call with on_end (CANCELLED, not from the server), closes every connection, frees. `on_end`
 * must not start calls on this channel. Not from inside a callback of one of its calls or of on_endpoint:
 * post a task. NULL is fine.
 */
void etcd__channel_free(struct etcd__channel *channel);
/*
 * Replaces the list (copied). Endpoints that stay keep their connection; removed ones take no new calls;
 * their unary calls finish, their streaming calls end with UNAVAILABLE so that they move. All or nothing
 * when out of memory.
 */
etcd_status etcd__channel_set_endpoints(struct etcd__channel *channel, const struct etcd__endpoint *endpoints,
                                        size_t count, etcd_error *reterr);
/* The token that calls carry from now on; "" for none. False when out of memory. */
bool etcd__channel_set_token(struct etcd__channel *channel, const char *token);
/* Starts to connect, without a call. */
void etcd__channel_connect(struct etcd__channel *channel);
/*
 * The owner looks for endpoints while there are none: calls wait, also those that should fail fast. `on`
 * false: no longer; `err`, NULL when it has found some, is then why the list stayed empty.
 */
void etcd__channel_seek(struct etcd__channel *channel, bool on, const etcd_error *err);
/* The endpoint that calls for the leader go to; NULL: not known. Forgotten when its connection ends. */
void etcd__channel_set_leader(struct etcd__channel *channel, struct etcd__subchannel *subchannel);
bool etcd__channel_has_leader(const struct etcd__channel *channel);
/* Calls fn for every endpoint. It must not change the list. */
void etcd__channel_each(struct etcd__channel *channel,
                        void (*fn)(void *user, const struct etcd__endpoint *endpoint), void *user);
/* The same for those that are connected. */
void etcd__channel_each_ready(struct etcd__channel *channel,
                              void (*fn)(void *user, const struct etcd__endpoint *endpoint), void *user);
/* How many endpoints there are. */
size_t etcd__channel_count(const struct etcd__channel *channel);
/* How many endpoints are ready and not set aside. */
size_t etcd__channel_ready(const struct etcd__channel *channel);
/* Whether any endpoint is connected, set aside or not. */
bool etcd__channel_connected(const struct etcd__channel *channel);
/* There is a ready endpoint other than this one that is not set aside. */
bool etcd__channel_has_other(const struct etcd__channel *channel, const struct etcd__subchannel *subchannel);
/*
 * There may soon be one, beside those: an endpoint other than this one is being tried, and has not failed
 * yet.
 */
bool etcd__channel_has_hope(const struct etcd__channel *channel, const struct etcd__subchannel *subchannel);
/* The newest reason why an endpoint could not be reached; status ETCD_OK when there was none. */
const etcd_error *etcd__channel_last_error(const struct etcd__channel *channel);
/*
 * The owner saw the endpoint fail above HTTP/2 (no leader, stopped server, no answer): no new calls there for
 * a while, unless there is no other. Longer each time when it fails again soon after.
 */
void etcd__channel_set_aside(struct etcd__channel *channel, struct etcd__subchannel *subchannel,
                             int64_t for_ms);
/* It served what it was set aside for: no longer. While a call is active there. */
void etcd__subchannel_served(struct etcd__subchannel *subchannel);
/* Another endpoint that is ready, and from which something comes: good enough to ask as well. */
bool etcd__channel_has_second(const struct etcd__channel *channel, const struct etcd__subchannel *subchannel);
/* Whether every endpoint has failed since the last time one was ready. */
bool etcd__channel_all_failed(const struct etcd__channel *channel);
/* A call of route NEAREST took so long there, from being written to its answer. */
void etcd__channel_took(struct etcd__channel *channel, struct etcd__subchannel *subchannel, int64_t ms);
const char *etcd__subchannel_endpoint(const struct etcd__subchannel *subchannel);
bool etcd__subchannel_ready(const struct etcd__subchannel *subchannel);
/* The newest reason why it could not be reached; status ETCD_OK when it is connected or was not tried. */
const etcd_error *etcd__subchannel_error(const struct etcd__subchannel *subchannel);
/* Milliseconds since bytes last came from this endpoint. */
int64_t etcd__subchannel_silence_ms(const struct etcd__subchannel *subchannel);

/* For call.c. */
void etcd__channel_start_call(struct etcd__channel *channel, struct etcd__call *call);
/* The call leaves the endpoint that it is bound to, if it is. */
void etcd__channel_unbind(struct etcd__call *call);
/* Runs call->failed later, or etcd__call_end_now() when the channel is freed before. */
void etcd__channel_post_end(struct etcd__channel *channel, struct etcd__call *call);

#endif
