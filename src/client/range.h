/* SPDX-License-Identifier: Apache-2.0 */
/* A range that is being read: what its two ways of reading share. range.c has the pages, range_stream.c the
 * stream. */
#ifndef ETCD__CLIENT_RANGE_H
#define ETCD__CLIENT_RANGE_H

#include "client/feed.h"
#include "client/requests.h"
#include "client/results.h"
#include "client/rpc.h"
#include "etcdc/range.h"

struct etcd_range {
    struct etcd__feed feed;
    etcd_range_opts opts;
    struct etcd__range bounds; /* of the whole, with the namespace; `key` lies in `key_copy` */
    void *key_copy, *end_copy;
    int64_t deadline_ms;       /* of all pages */
    _Atomic(int64_t) revision; /* that of all pages; 0: not known yet */

    /* Engine. */
    bool begun;         /* the first page came */
    etcd_header header; /* of the first page */
    int64_t total;      /* likewise */
    int64_t left;       /* of the limit; INT64_MAX: there is none */
    char *next_key;     /* where the next page begins; NULL: at the beginning */
    size_t next_len;
    int64_t page_size;       /* pairs to ask for */
    int64_t wanted_until_ms; /* deadline of the step that waits */
    struct etcd__rpc *rpc;   /* the page that is asked for */
    struct etcd__range_stream {
        struct etcd__call call;
        struct etcd__outgoing outgoing;
        struct etcd__auth_waiter login;
        bool broken; /* pages from here on */
    } stream;
};

/* The request for what is left. */
void etcd__range_request(const struct etcd_range *range, Etcd__Pb__RangeRequest *request);
/* Takes pairs over and says where to go on. False: out of memory, nothing has changed. */
bool etcd__range_advance(struct etcd_range *range, const struct etcd_get_result *page);
/* Asks for the next page. */
void etcd__range_ask(struct etcd_range *range);

/* Whether the rest can be had as a stream, and whether one is under way. */
bool etcd__range_can_stream(const struct etcd_range *range);
bool etcd__range_streams(const struct etcd_range *range);
void etcd__range_stream_start(struct etcd_range *range);
/* The program wants more of it. */
void etcd__range_stream_resume(struct etcd_range *range);
void etcd__range_stream_stop(struct etcd_range *range);

#endif
