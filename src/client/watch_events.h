/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one answer of the server brought to one watch, and the surgery that fragments and repeated
 * events make necessary. A batch owns its memory and belongs to one thread at a time.
 */
#ifndef ETCD__CLIENT_WATCH_EVENTS_H
#define ETCD__CLIENT_WATCH_EVENTS_H

#include "base/arena.h"
#include "base/list.h"
#include "etcdc/watch.h"
#include "wire/bulk.h"

struct etcd_events {
    struct etcd__node node; /* in a watch's queue */
    etcd_header header;
    etcd_event *events;
    size_t count, capacity;
    size_t bytes;             /* what the batch counts for in a queue; set when it is queued */
    struct etcd_events *part; /* another one whose memory these events use as well */
    struct etcd__arena arena;
};

/* Reads an answer; *ret_head refers to the batch. ETCD_E_PROTOCOL or ETCD_E_NO_MEMORY. */
etcd_status etcd__events_read(const uint8_t *data, size_t len, struct etcd_events **ret_events,
                              struct etcd__wire_watch *ret_head);
/*
 * Whether their revisions never go back, nor behind the last of `before` (which may be NULL): a server that
 * says otherwise would make the program see the same revision twice, or miss one.
 */
bool etcd__events_in_order(const struct etcd_events *events, const struct etcd_events *before);
/* Drops the events at the front that are older than this revision. */
void etcd__events_drop_before(struct etcd_events *events, int64_t revision);
/* The revision of the last event; there is one. */
int64_t etcd__events_last_revision(const struct etcd_events *events);
/* The memory that the batch takes, all of it. */
size_t etcd__events_footprint(const struct etcd_events *events);
/* Puts `more` behind `events`, which owns it from then on. False when out of memory: nothing has changed. */
bool etcd__events_join(struct etcd_events *events, struct etcd_events *more);
/*
 * Cuts the events of the last revision off, into a batch of their own. When there are no others, *ret_rest
 * is `events` itself and *ret_whole is NULL. False when out of memory: nothing has changed.
 */
bool etcd__events_cut_last(struct etcd_events *events, struct etcd_events **ret_whole,
                           struct etcd_events **ret_rest);

#endif
