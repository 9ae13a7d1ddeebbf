/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All watches of a client and the streams that they share. Engine only, but for the functions of
 * etcdc/watch.h.
 *
 *   watch.c          etcdc/watch.h
 *   watch_queue.c    what waits between the engine and the reader
 *   watch_state.c    the life of one watch: one function per event
 *   watch_learn.c    finds out at which revision to start
 *   watch_verify.c   finds out whether the store went back
 *   watch_stream.c   one gRPC stream: login, back-off, ids
 *   watch_answers.c  what comes back on it
 *   watch_progress.c how far is it, on request
 *   watch_ends.c     how it ended
 *   watch_hub.c      who goes to which stream, and when
 */
#ifndef ETCD__CLIENT_WATCH_H
#define ETCD__CLIENT_WATCH_H

#include "base/list.h"
#include "base/reactor.h"
#include "etcdc/error.h"

struct etcd_client;
struct etcd__rpc;
struct etcd__watch_stream;

struct etcd__watch_hub {
    struct etcd_client *client;
    struct etcd__list watches; /* every watch that the engine knows and that has not ended */
    size_t count;              /* in `watches` */
    bool warned;               /* there are more of them than the program wants without a word */
    struct etcd__list streams;
    struct etcd__watch_stream *shared; /* the one that takes newcomers, or NULL */
    bool foreign_ids;                  /* the server does not take our ids: create one watch at a time */
    struct etcd__list newcomers;       /* have no revision yet and are in no read */
    struct etcd__list reads;           /* struct etcd__watch_read */
    struct etcd__task read_task;       /* starts the read for the newcomers of this turn */
    struct etcd__list resting;
    struct etcd__timer rest_timer;
    struct etcd__rpc *verify; /* the read that tells whether the store went back, or NULL */
    struct etcd__timer verify_timer;
    unsigned verify_failures;
};

void etcd__watch_hub_init(struct etcd__watch_hub *hub, struct etcd_client *client);
/*
 * Ends every watch with this status (ETCD_E_CLOSED, ETCD_E_CANCELLED for cancelled waits, ETCD_E_IO);
 * buffered events stay. Nothing of the hub runs afterwards, and no call of it is left, until a watch is
 * opened.
 */
void etcd__watch_hub_end_all(struct etcd__watch_hub *hub, etcd_status status);

#endif
