/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a prefix in pages that are all of the revision of the first, so that neither the answer nor the
 * server's work for it is ever large. Says what to ask for and takes the answers; how it is asked, blocking
 * or not, is the caller's.
 */
#ifndef ETCD__RECIPES_LOAD_H
#define ETCD__RECIPES_LOAD_H

#include "etcdc/kv.h"
#include "recipes/snapshot.h"

struct etcd__load {
    etcd_bytes prefix, range_end; /* borrowed */
    struct etcd__pairs pairs;     /* what has been read */
    char *next_key;               /* of the next page; NULL for the first */
    size_t next_len;
    int64_t revision;  /* of the first page; 0 before */
    int64_t page_size; /* pairs to ask for */
};

/* `prefix` and its range end must outlive the load. */
void etcd__load_init(struct etcd__load *load, etcd_bytes prefix, etcd_bytes range_end);
void etcd__load_deinit(struct etcd__load *load);

/* What the next page takes: a key and options, valid until the load is changed. */
etcd_bytes etcd__load_key(const struct etcd__load *load);
etcd_get_opts etcd__load_opts(const struct etcd__load *load, int64_t timeout_ms);
/* Takes a page in; tells whether there is another one. NO_MEMORY, PROTOCOL. */
etcd_status etcd__load_add(struct etcd__load *load, const etcd_get_result *page, bool *ret_more,
                           etcd_error *reterr);
/* After a page that failed: whether to go on all the same - with smaller pages, or from the start. */
bool etcd__load_recover(struct etcd__load *load, etcd_status status);

#endif
