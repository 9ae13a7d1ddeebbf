/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One watch, and what the parts of the watch code say to each other.
 *
 *   NEW -> LEARNING -> QUEUED -> CREATING -> ACTIVE      (with a start revision, LEARNING is left out)
 *              QUEUED, CREATING, ACTIVE -> QUEUED        the stream broke: again from next_revision
 *              CREATING, ACTIVE -> RESTING -> QUEUED     refused or ended in passing
 *              ACTIVE -> LAGGING -> QUEUED               its reader is slow: later on a stream of its own
 *              any -> ENDED
 *
 * What was delivered is everything before next_revision, always whole revisions; the carry holds a revision
 * that is not whole yet and is thrown away when the stream breaks. References: the user's, and one for
 * posted work.
 */
#ifndef ETCD__CLIENT_WATCH_CORE_H
#define ETCD__CLIENT_WATCH_CORE_H

#include "client/client.h"
#include "client/errors.h"
#include "client/rpc.h"
#include "client/watch_queue.h"

enum etcd__watch_state {
    ETCD__WATCH_NEW,
    ETCD__WATCH_LEARNING,
    ETCD__WATCH_QUEUED,
    ETCD__WATCH_CREATING,
    ETCD__WATCH_ACTIVE,
    ETCD__WATCH_RESTING,
    ETCD__WATCH_LAGGING,
    ETCD__WATCH_ENDED,
};

struct etcd__watch_read;
struct etcd__watch_stream;

struct etcd_watch {
    struct etcd_client *client; /* referenced */
    struct etcd__watch_queue queue;
    struct etcd__callback callback; /* push */
    struct etcd__work work;
    atomic_uint asked; /* what the work is to do: ASKED_... in watch.c */
    atomic_int refs;
    etcd_watch_fn *on_events;
    void *user_data;
    bool *gone;    /* while on_events runs: set when the watch is closed inside */
    bool told_end; /* on_events had its final call */
    bool quiet_close;
    atomic_bool closing; /* and nothing is to be told of it */

    /* Constant. */
    bool prev_kv, no_put, no_delete, progress, no_fragment;
    bool created;              /* to be told that it was created */
    etcd_bytes key, range_end; /* whole, with the namespace; behind this struct */

    /* Engine. */
    uint8_t state;        /* enum etcd__watch_state */
    uint8_t failures;     /* in a row, for the pause */
    uint8_t logins;       /* creates in a row that were told to log in */
    uint8_t too_large;    /* answers in a row that were too large */
    bool created_once;    /* by a server */
    bool progress_wanted; /* the program has asked how far it is */
    bool proven;          /* next_revision - 1 is a revision that a server had */
    uint8_t suspect;      /* see watch_verify.c */
    struct etcd__node in_hub;
    struct etcd__node place; /* in the list of a read, a stream or the resting */
    union {
        int64_t delay_ms;                  /* NEW */
        struct etcd__watch_read *read;     /* LEARNING; NULL: a newcomer */
        struct etcd__watch_stream *stream; /* QUEUED, CREATING, ACTIVE */
        int64_t due_ms;                    /* RESTING */
    } at;
    uint64_t cluster_id;   /* of the first server that created it; 0: none yet */
    int64_t id;            /* on the stream */
    int64_t next_revision; /* nothing before it will be delivered (again); 0: to be learned */
    struct etcd_events *carry;
};

/* ---- watch_state.c: what happens to a watch -------------------------------------------------------- */

void etcd__watch_start(struct etcd_watch *watch);
/* A server had this revision after the watch was opened. */
void etcd__watch_learned(struct etcd_watch *watch, int64_t revision);
void etcd__watch_created(struct etcd_watch *watch, const etcd_header *header);
/*
 * The server refused to create the watch, or ended it. It is off the stream already. `generation`: of the
 * token that the stream went out with.
 */
void etcd__watch_refused(struct etcd_watch *watch, const char *reason, const struct etcd__verdict *verdict,
                         uint64_t generation);
/*
 * The next revision is compacted; `revision` is the oldest that is left. The watch is off the stream
 * already.
 */
void etcd__watch_compacted(struct etcd_watch *watch, int64_t revision);
/* Events, or how far the watch is. Takes the batch over. */
void etcd__watch_received(struct etcd_watch *watch, const struct etcd__wire_watch *head,
                          struct etcd_events *events);
/* The program wants to know how far the watch is. */
void etcd__watch_want_progress(struct etcd_watch *watch);
/* Everything up to the revision of this header was received, for all watches of its stream. */
void etcd__watch_progressed(struct etcd_watch *watch, const etcd_header *header);
/*
 * The stream broke; the watch is still on it. Returns false when the watch does not want to be created
 * again now.
 */
bool etcd__watch_broken(struct etcd_watch *watch);
/* The reader has caught up. */
void etcd__watch_drained(struct etcd_watch *watch);
/* Ends it, wherever it is; once. `err` may be NULL. */
void etcd__watch_end(struct etcd_watch *watch, etcd_status status, const etcd_error *err);

/* ---- watch_learn.c --------------------------------------------------------------------------------- */

void etcd__watch_learn(struct etcd_watch *watch);
/* Takes a LEARNING watch out. */
void etcd__watch_unlearn(struct etcd_watch *watch);
void etcd__watch_learn_init(struct etcd__watch_hub *hub);
/*
 * A linearizable read of the key of this watch; the result is an int64_t, the revision, from
 * etcd__malloc().
 */
etcd_status etcd__watch_read_revision(const struct etcd_watch *watch, etcd__rpc_done_fn *done, void *user,
                                      struct etcd__rpc **ret_rpc, etcd_error *reterr);

/* ---- watch_verify.c -------------------------------------------------------------------------------- */

void etcd__watch_verify_init(struct etcd__watch_hub *hub);
/*
 * The server that created the watch is behind what the watch has seen: find out whether the store went
 * back.
 */
void etcd__watch_verify(struct etcd_watch *watch);
/* Stops. */
void etcd__watch_verify_close(struct etcd__watch_hub *hub);

/* ---- watch_hub.c ----------------------------------------------------------------------------------- */

/* It is one of the hub's, or no longer. */
void etcd__watch_count(struct etcd_watch *watch);
void etcd__watch_uncount(struct etcd_watch *watch);
/* Queues the watch on the shared stream, or on one of its own. Ends it when there is no memory. */
void etcd__watch_place(struct etcd_watch *watch);
void etcd__watch_place_alone(struct etcd_watch *watch);
/* Places it after a pause that grows with its failures, or after so long. */
void etcd__watch_rest(struct etcd_watch *watch);
void etcd__watch_rest_for(struct etcd_watch *watch, int64_t pause_ms);
/* 0, then 50 ms growing by 1.6 up to 2 s, with 20 % chance. */
int64_t etcd__watch_pause_ms(struct etcd__reactor *reactor, unsigned failures);
/* The failure is the cluster's state and passes by itself. */
bool etcd__watch_passing(etcd_status status);

/* Fills the error with the watch's key in front of the text. */
etcd_status etcd__watch_fail(etcd_error *reterr, const struct etcd_watch *watch, etcd_status status,
                             const char *text);

#endif
