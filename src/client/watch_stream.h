/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One gRPC Watch stream with the watches on it. It outlives the call beneath it: when that breaks, its
 * watches are queued again and a new call is started after a pause.
 *
 * Ids are ours and count up, and the server answers creates in the order of sending; so the answer to
 * come is always that of `expect_id`, whatever the answer calls itself: refusals carry the id -1. A
 * grpc-proxy hands out ids of its own: then (foreign) one watch is created at a time.
 */
#ifndef ETCD__CLIENT_WATCH_STREAM_H
#define ETCD__CLIENT_WATCH_STREAM_H

#include "base/map.h"
#include "client/watch_core.h"

enum etcd__watch_stream_state {
    ETCD__WATCH_STREAM_IDLE,
    ETCD__WATCH_STREAM_LOGIN,   /* waits for a token */
    ETCD__WATCH_STREAM_OPEN,    /* the call is alive */
    ETCD__WATCH_STREAM_RESTING, /* until the timer */
};

struct etcd__watch_stream {
    struct etcd__watch_hub *hub;
    struct etcd__node node; /* hub->streams */
    enum etcd__watch_stream_state state;
    struct etcd__list queued; /* watches to be created */
    struct etcd__list sent;   /* CREATING and ACTIVE */
    size_t count;             /* in both */
    struct etcd__call call;
    uint64_t generation; /* of the token of the call */
    int64_t next_id, expect_id;
    struct etcd__map ids; /* the watches of `sent` */
    bool foreign;
    bool answered; /* a watch was created on this call */
    bool reading_paused;
    unsigned failures, strikes, logins; /* in a row: ends, ends that look final, ends that ask for a login */
    const struct etcd__subchannel *avoid;
    struct etcd__timer timer;
    struct etcd__auth_waiter login;
    struct etcd__task idle; /* frees the stream when nobody came until the end of the turn */
};

/* NULL when out of memory. It takes no newcomers unless it is made hub->shared. */
struct etcd__watch_stream *etcd__watch_stream_new(struct etcd__watch_hub *hub);
/* The watches are told nothing. */
void etcd__watch_stream_free(struct etcd__watch_stream *stream);
/* Adds a watch that is on no stream. It is created in the same turn when the stream is open. */
void etcd__watch_stream_add(struct etcd__watch_stream *stream, struct etcd_watch *watch);
/* Takes a watch off; `tell`: the server still has it. */
void etcd__watch_stream_remove(struct etcd_watch *watch, bool tell);
/* Takes no newcomers any more; watches that were not sent yet go elsewhere. */
void etcd__watch_stream_retire(struct etcd__watch_stream *stream);
/* The one watch on it has it for itself. */
bool etcd__watch_stream_alone(const struct etcd__watch_stream *stream);
void etcd__watch_stream_pause(struct etcd__watch_stream *stream, bool paused);
/* Sends creates as far as they may be under way together. */
void etcd__watch_stream_create(struct etcd__watch_stream *stream);
/* Tells the server that nobody wants this id. */
void etcd__watch_stream_cancel_id(struct etcd__watch_stream *stream, int64_t id);
/* Queues all watches again and goes on after a pause. */
void etcd__watch_stream_break(struct etcd__watch_stream *stream);
/* Breaks the stream because of what came on it; ends its watches when that happens again and again. */
void etcd__watch_stream_reject(struct etcd__watch_stream *stream, etcd_status status, const char *text);

/* watch_answers.c: one answer. */
void etcd__watch_answer(struct etcd__watch_stream *stream, const uint8_t *data, size_t len);

/* watch_ends.c: how the call ended. */
void etcd__watch_stream_ended(struct etcd__watch_stream *stream, const struct etcd__call_end *end);

#endif
