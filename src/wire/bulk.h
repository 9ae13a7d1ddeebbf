/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the two answers that carry many pairs, ranges and watch events, straight into
 * the public structs. With protobuf-c a pair costs a struct, two copies and the
 * bookkeeping for unknown fields; here the message is copied once and keys and values are
 * views of that copy. And those about leases, of which many come.
 *
 * Everything that comes out lives in the arena, if there is one. ETCD_OK, ETCD_E_PROTOCOL (malformed) or
 * ETCD_E_NO_MEMORY; on failure *ret is not valid.
 */
#ifndef ETCD__WIRE_BULK_H
#define ETCD__WIRE_BULK_H

#include "base/arena.h"
#include "etcdc/error.h"
#include "etcdc/types.h"
#include "etcdc/watch.h"

struct etcd__wire_range {
    etcd_header header;
    etcd_kv *kvs;
    size_t kv_count;
    int64_t count; /* all keys of the range, whatever the limit was */
    bool more;
};

struct etcd__wire_watch {
    etcd_header header;
    int64_t watch_id;
    int64_t compact_revision;
    const char *cancel_reason; /* "" without one */
    etcd_event *events;
    size_t event_count;
    bool created, canceled, fragment;
};

struct etcd__wire_lease {
    etcd_header header;
    int64_t id, ttl_s;
};

/* A RangeResponse. */
etcd_status etcd__wire_read_range(struct etcd__arena *arena, const uint8_t *data, size_t len,
                                  struct etcd__wire_range *ret);
/*
 * The same without the copy: the message lies in memory that the arena has or will get, and so does a byte
 * behind it that may be written.
 */
etcd_status etcd__wire_read_range_in_place(struct etcd__arena *arena, uint8_t *data, size_t len,
                                           struct etcd__wire_range *ret);
/* A RangeStreamResponse; one without a range in it is an empty range. */
etcd_status etcd__wire_read_range_part(struct etcd__arena *arena, const uint8_t *data, size_t len,
                                       struct etcd__wire_range *ret);
/* A WatchResponse. */
etcd_status etcd__wire_read_watch(struct etcd__arena *arena, const uint8_t *data, size_t len,
                                  struct etcd__wire_watch *ret);
/* A LeaseGrantResponse or a LeaseKeepAliveResponse. */
etcd_status etcd__wire_read_lease(const uint8_t *data, size_t len, struct etcd__wire_lease *ret);

#endif
