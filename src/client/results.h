/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers as the user gets them. A result lies in its own arena, with everything it points to; the entries
 * of a transaction's result lie in the arena of the whole and have none of their own.
 */
#ifndef ETCD__CLIENT_RESULTS_H
#define ETCD__CLIENT_RESULTS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "etcdc/kv.h"
#include "etcdc/txn.h"

struct etcd_put_result {
    struct etcd__arena arena;
    etcd_header header;
    etcd_kv prev_kv;
    bool has_prev_kv;
};

struct etcd_get_result {
    struct etcd__arena arena;
    etcd_header header;
    etcd_kv *kvs;
    size_t count;
    int64_t total;
    bool more;
};

struct etcd_delete_result {
    struct etcd__arena arena;
    etcd_header header;
    int64_t deleted;
    etcd_kv *prev_kvs;
    size_t prev_count;
};

struct etcd__txn_entry {
    etcd_txn_kind kind;
    union {
        struct etcd_put_result put;
        struct etcd_get_result get;
        struct etcd_delete_result del;
        struct etcd_txn_result *txn;
    } as;
};

struct etcd_txn_result {
    struct etcd__arena arena;
    etcd_header header;
    bool succeeded;
    struct etcd__txn_entry *entries;
    size_t count;
};

/* For struct etcd__rpc_kind: they make and free the results above. */
etcd_status etcd__put_decode(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr);
etcd_status etcd__get_decode(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr);
/* Takes the answer's memory over. */
etcd_status etcd__get_decode_large(struct etcd__buf *answer, void **ret_result, etcd_error *reterr);
/* A part of a range that came as a stream. */
etcd_status etcd__get_part_decode(const uint8_t *data, size_t len, struct etcd_get_result **ret_result,
                                  etcd_error *reterr);
etcd_status etcd__delete_decode(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr);
etcd_status etcd__txn_decode(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr);
void etcd__put_result_release(void *result);
void etcd__get_result_release(void *result);
void etcd__delete_result_release(void *result);
void etcd__txn_result_release(void *result);

/* For calls whose answer says nothing but "done". */
etcd_status etcd__done_decode(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr);

/* The status of a failed etcd__wire_unpack() as an error. */
etcd_status etcd__fail_decode(etcd_error *reterr, etcd_status status);

#endif
