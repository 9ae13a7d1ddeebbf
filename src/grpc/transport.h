/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to an endpoint: the byte stream, its HTTP/2 session, the output collected during a turn,
 * the open calls. A subchannel makes it, and may turn to a newer one while this one finishes its calls (it
 * is "draining" then and closes itself after the last). It is freed from top-level events of the reactor
 * only, never inside a callback of HTTP/2.
 */
#ifndef ETCD__GRPC_TRANSPORT_H
#define ETCD__GRPC_TRANSPORT_H

#include "grpc/channel.h"
#include "grpc/health.h"

struct etcd__transport;

struct etcd__transport_events {
    /* The peer's settings arrived: calls can be opened. */
    void (*on_ready)(struct etcd__subchannel *subchannel, struct etcd__transport *transport);
    void (*on_bytes)(struct etcd__subchannel *subchannel);
    /* No new calls from here on (GOAWAY, stream ids used up). */
    void (*on_draining)(struct etcd__subchannel *subchannel, struct etcd__transport *transport,
                        bool too_many_pings);
    /* The connection failed. Its calls end after this. */
    void (*on_lost)(struct etcd__subchannel *subchannel, struct etcd__transport *transport,
                    const etcd_error *err);
    /* Always the last: the memory is about to be freed. */
    void (*on_gone)(struct etcd__subchannel *subchannel, struct etcd__transport *transport);
};

struct etcd__transport_config {
    const struct etcd__channel_config *channel;
    struct etcd__subchannel *subchannel;
    const struct etcd__endpoint *endpoint;
    struct etcd__tls *tls; /* NULL: in clear */
    unsigned patience;     /* see health.h */
    const struct etcd__transport_events *events;
};

struct etcd__transport {
    struct etcd__node node; /* the subchannel's list */
    struct etcd__transport_config config;
    struct etcd__conn *conn;
    struct etcd__h2 *h2; /* NULL until the byte stream is open */
    struct etcd__buf out;
    struct etcd__list calls;
    struct etcd__task flush;        /* writes what the turn has collected */
    struct etcd__task reap;         /* closes a draining connection without calls */
    struct etcd__timer ping_answer; /* when the next one may go out */
    int64_t ping_answered_ms;       /* when the last one did */
    struct etcd__health health;
    int64_t dialed_ms, ready_ms;
    bool ready;
    bool answered; /* some call got an answer: the endpoint is good for something */
    bool draining;
    bool cut;     /* a write failed; the end is being reported */
    bool closing; /* calls end with what follows */
    enum etcd__grpc_code end_code;
    const char *end_message;
};

/* Starts to connect. */
etcd_status etcd__transport_new(const struct etcd__transport_config *config,
                                struct etcd__transport **ret_transport, etcd_error *reterr);
/* Closes and frees at once; open calls end with this. From top-level events only. */
void etcd__transport_close(struct etcd__transport *transport, enum etcd__grpc_code code, const char *message);
/* As when the connection had failed: on_lost, the calls end with UNAVAILABLE. From top-level events only. */
void etcd__transport_fail(struct etcd__transport *transport, const etcd_error *err);
/* Takes no new calls and closes after the last one. */
void etcd__transport_drain(struct etcd__transport *transport);
/* Drains, and ends the streaming calls with UNAVAILABLE from a later task. */
void etcd__transport_retire(struct etcd__transport *transport, const char *message);
/* What it waits for while it is not ready, for people. */
const char *etcd__transport_phase(const struct etcd__transport *transport);

/* Opens the call's stream. After a failure the call is as before. */
etcd_status etcd__transport_open(struct etcd__transport *transport, struct etcd__call *call,
                                 const char *token, etcd_error *reterr);
/* The call's stream is closed. */
void etcd__transport_detach(struct etcd__transport *transport, struct etcd__call *call);
/* Something wants to be written in this turn. */
void etcd__transport_kick(struct etcd__transport *transport);

#endif
