/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The streams that carry renewals, and what they know of a lease. Internal to the keep-alive: keepalive.c
 * decides when a lease is renewed and what an answer means for it, keepalive_stream.c gets renewals to a
 * server and answers back.
 *
 * A stream:  IDLE -> (LOGIN ->) OPENING -> OPEN -> (broken) PAUSING -> OPENING ...
 *
 * A server renews the leases of a stream one after the other and answers in that order. One that it refuses
 * (other than by an answer without TTL) ends the whole stream, so the first unanswered lease is under
 * suspicion then: it goes on alone, on a stream of its own, and ends when that is refused too. The others
 * are sent again, one first, then two, four ...: with many refused leases the effort stays proportional to
 * their number.
 */
#ifndef ETCD__CLIENT_KEEPALIVE_STREAM_H
#define ETCD__CLIENT_KEEPALIVE_STREAM_H

#include "client/auth.h"
#include "client/keepalive.h"
#include "grpc/call.h"

enum {
    ETCD__LEASE_STREAMS_MAX = 4,     /* shared ones; a lease under suspicion has one more */
    ETCD__LEASE_STREAM_CROWDED = 25, /* leases from which on another stream is opened, if it may be */
    ETCD__LEASE_FRAME_SIZE = ETCD__FRAME_HEADER + 11, /* a request: a tag and a varint */
};

enum etcd__lease_state {
    ETCD__LEASE_RESTING, /* until the next renewal is due */
    ETCD__LEASE_READY,   /* to be renewed, as soon as its stream can */
    ETCD__LEASE_SENT,    /* a renewal is under way */
};

struct etcd__lease {
    struct etcd__list
        users; /* of struct etcd_keepalive; empty: only an answer is waited for, see `disowned` */
    struct etcd__lease_stream *stream;
    struct etcd__node queue; /* stream->ready or stream->sent */
    struct etcd__heap_node due;
    int64_t id;
    int64_t ttl_ms;   /* as last answered */
    int64_t sent_ms;  /* of the renewal under way */
    int64_t renew_ms; /* when the next one is due */
    int64_t expires_ms;
    enum etcd__lease_state state;
    /*
     * Everybody who wanted the lease went while a renewal was under way. The entry stays until the answer,
     * so that this answer can never be taken for that of a later renewal of the same id.
     */
    bool disowned;
    struct etcd__outgoing outgoing;
    uint8_t frame[ETCD__LEASE_FRAME_SIZE];
};

enum etcd__lease_stream_state {
    ETCD__LEASE_STREAM_IDLE,
    ETCD__LEASE_STREAM_LOGIN,
    ETCD__LEASE_STREAM_OPENING, /* the call has not been written to a connection */
    ETCD__LEASE_STREAM_OPEN,
    ETCD__LEASE_STREAM_PAUSING,
};

struct etcd__lease_stream {
    struct etcd__lessor *lessor;
    struct etcd__node node; /* lessor->streams */
    struct etcd__call call;
    enum etcd__lease_stream_state state;
    struct etcd__list ready, sent; /* of struct etcd__lease, in order */
    size_t leases;                 /* that somebody wants */
    size_t sent_count;
    size_t window;            /* how many may be under way */
    struct etcd__timer timer; /* the pause; or, while opening, a look at how far that got */
    struct etcd__auth_waiter login;
    uint64_t generation; /* of the token it was opened with */
    unsigned failures;   /* in a row, without an answer between them */
    unsigned stalls;     /* the same, of renewals that were not answered in time */
    unsigned patience;   /* with the next answer, beyond the usual: so many times that */
    bool isolated;       /* it has one lease, which is under suspicion */
    int64_t answered_ms; /* the newest sign of life */
    etcd_error last;     /* why it broke last; status ETCD_OK: it never did */
};

/* ---- keepalive_stream.c ---------------------------------------------------------------------------- */

/* Gives a lease its stream. False when out of memory. */
bool etcd__lease_join_stream(struct etcd__lessor *lessor, struct etcd__lease *lease);
/*
 * Nobody wants the lease any more: frees it, at once or when its answer has come. Frees the stream with its
 * last lease. The lease is in the map and not in the heap.
 */
void etcd__lease_abandon(struct etcd__lease *lease);
/* Renews the lease, which rests, as soon as possible. */
void etcd__lease_renew(struct etcd__lease *lease);
/* When the renewal under way is overdue. */
int64_t etcd__lease_overdue_ms(const struct etcd__lease *lease);
/* It is: opens the stream anew, elsewhere if possible, and sends again what was not answered. */
void etcd__lease_stream_stalled(struct etcd__lease_stream *stream);

/* ---- keepalive.c ----------------------------------------------------------------------------------- */

/* The time now, not that of the turn: much may have passed since that began to wait. */
int64_t etcd__lessor_now(const struct etcd__lessor *lessor);
/* Something about the lease changed: when to look at it next. */
void etcd__lease_schedule(struct etcd__lease *lease);
/* The renewal of sent_ms was answered; the lease rests. It may be gone afterwards, and its stream too. */
void etcd__lease_answered(struct etcd__lease *lease, int64_t ttl_s);
/* Ends it for all who keep it alive. It is gone afterwards, and its stream may be. */
void etcd__lease_end(struct etcd__lease *lease, etcd_status status, const etcd_error *err);

#endif
