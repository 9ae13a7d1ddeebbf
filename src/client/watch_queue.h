/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What waits between the engine and the reader of a watch: batches, and at last the end. The only part of a
 * watch that several threads touch, so it has a lock; nothing is called while it is held but
 * etcd__loop_post().
 */
#ifndef ETCD__CLIENT_WATCH_QUEUE_H
#define ETCD__CLIENT_WATCH_QUEUE_H

#include "client/watch_events.h"

#include <pthread.h>

struct etcd__watch_queue {
    pthread_mutex_t mutex;
    pthread_cond_t *waiter;    /* of the thread in etcd_watch_next(), on its stack */
    struct etcd__list batches; /* struct etcd_events */
    size_t events, bytes;      /* in `batches` */
    size_t max_events, max_bytes;
    etcd_error *error;  /* details of the end; NULL: the status says it all */
    int64_t revision;   /* ETCD_E_COMPACTED: what is left */
    etcd_status status; /* valid once ended */
    bool ended;
    bool low_wanted; /* the engine wants to know when half of it is drained */
};

/* What a reader finds. */
enum etcd__watch_found {
    ETCD__WATCH_FOUND_NOTHING,
    ETCD__WATCH_FOUND_EVENTS,
    ETCD__WATCH_FOUND_END, /* only when no batch is left */
};

void etcd__watch_queue_init(struct etcd__watch_queue *queue, size_t max_events, size_t max_bytes);
/* Frees what is in it. No other thread may know the queue any more. */
void etcd__watch_queue_deinit(struct etcd__watch_queue *queue);

/*
 * Takes the batch over and wakes the reader. Returns etcd__watch_queue_full(): from above the limits until
 * below half.
 */
bool etcd__watch_queue_push(struct etcd__watch_queue *queue, struct etcd_events *events);
/* Whether the engine still waits to hear that the queue was drained. */
bool etcd__watch_queue_full(struct etcd__watch_queue *queue);
/* The end, unless there was one before. `err` may be NULL. True when this was the first. */
bool etcd__watch_queue_end(struct etcd__watch_queue *queue, etcd_status status, const etcd_error *err);

/*
 * Takes the first batch. *ret_low: the engine has to be told that the queue was drained; tell it under the
 * lock.
 */
enum etcd__watch_found etcd__watch_queue_take_locked(struct etcd__watch_queue *queue,
                                                     struct etcd_events **ret_events, bool *ret_low);
/* How many batches there are. */
size_t etcd__watch_queue_count(struct etcd__watch_queue *queue);
/*
 * Waits until there is a batch or the end, at most until then on the clock of etcd__clock_ms(); INT64_MAX:
 * no limit. False when another thread is waiting.
 */
bool etcd__watch_queue_wait(struct etcd__watch_queue *queue, int64_t until_ms);

#endif
