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

/* What an answer to a request for progress is worth: see watch_progress.c. */
enum etcd__watch_trust {
    ETCD__WATCH_PROGRESS_UNKNOWN,
    ETCD__WATCH_PROGRESS_CERTAIN,
    ETCD__WATCH_PROGRESS_UNCERTAIN,
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
    struct etcd__timer timer; /* the pause; or, with creates that are not answered, a look at them */
    int64_t asked_ms;         /* since when the answer to the first of those is waited for */
    int64_t heard_ms;         /* the newest message of any kind */
    unsigned stalls;          /* calls in a row that were given up for lack of such an answer */
    struct etcd__auth_waiter login;
    uint64_t member_id; /* that serves it, once a watch was created */
    struct {
        enum etcd__watch_trust trust;
        struct etcd__rpc *rpc;    /* asks for the member's version */
        struct etcd__timer timer; /* until the next request, of either kind */
        int64_t pause_ms;         /* before the request for progress is repeated */
        unsigned asks;            /* for the version */
    } progress;
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
/* The answer to a create came; the next one is waited for from now on. */
void etcd__watch_stream_answered(struct etcd__watch_stream *stream);
/* Tells the server that nobody wants this id. */
void etcd__watch_stream_cancel_id(struct etcd__watch_stream *stream, int64_t id);
/* Queues all watches again and goes on after a pause. */
void etcd__watch_stream_break(struct etcd__watch_stream *stream);
/* Breaks the stream because of what came on it; ends its watches when that happens again and again. */
void etcd__watch_stream_reject(struct etcd__watch_stream *stream, etcd_status status, const char *text);

/* Asks the server how far it is. False when out of memory. */
bool etcd__watch_stream_send_progress(struct etcd__watch_stream *stream);

/* ---- watch_progress.c ------------------------------------------------------------------------------ */

void etcd__watch_stream_progress_init(struct etcd__watch_stream *stream);
/* The call is over, and with it what was asked for; another member may serve the next. */
void etcd__watch_stream_progress_reset(struct etcd__watch_stream *stream);
/* Asks how far the server is, if a watch on the stream wants to know and the answer is worth anything. */
void etcd__watch_stream_ask_progress(struct etcd__watch_stream *stream);
/* An answer about the whole stream. */
void etcd__watch_stream_progressed(struct etcd__watch_stream *stream, const etcd_header *header);

/* watch_answers.c: one answer. */
void etcd__watch_answer(struct etcd__watch_stream *stream, const uint8_t *data, size_t len);

/* watch_ends.c: how the call ended. */
void etcd__watch_stream_ended(struct etcd__watch_stream *stream, const struct etcd__call_end *end);

#endif
