/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the generated structs and the public ones. Everything here is a view:
 * bytes are not copied, and what comes out lives as long as what went in.
 */
#ifndef ETCD__WIRE_CONVERT_H
#define ETCD__WIRE_CONVERT_H

#include "base/arena.h"
#include "etcdc/error.h"
#include "etcdc/types.h"
#include "wire/messages.h"

/* Of a decoded message; followed by a NUL even when empty. */
static inline etcd_bytes etcd__wire_bytes(ProtobufCBinaryData from)
{
    return (etcd_bytes){.data = from.len == 0 ? "" : (const void *)from.data, .len = from.len};
}

/* For a message that is going to be encoded, which only reads it. */
static inline ProtobufCBinaryData etcd__wire_data(etcd_bytes from)
{
    union {
        const void *in;
        uint8_t *out;
    } data = {.in = from.data};

    return (ProtobufCBinaryData){.len = from.len, .data = data.out};
}

static inline char *etcd__wire_text(const char *from)
{
    union {
        const char *in;
        char *out;
    } text = {.in = from};

    return text.out;
}

/* The raft term in the header of an answer, whatever the rest of it is; 0: none. */
uint64_t etcd__wire_raft_term(const uint8_t *data, size_t len);
/* An absent header gives zeroes. */
static inline etcd_header etcd__wire_header(const Etcd__Pb__ResponseHeader *from)
{
    if (from == NULL)
        return (etcd_header){0};
    return (etcd_header){
        .cluster_id = from->cluster_id,
        .member_id = from->member_id,
        .revision = from->revision,
        .raft_term = from->raft_term,
    };
}

/* An absent pair gives empty bytes and zeroes. */
etcd_kv etcd__wire_kv(const Etcd__Pb__KeyValue *from);

/*
 * The pairs as an array in the arena (the list that protobuf-c makes holds pointers). *ret_kvs is
 * NULL for none. ETCD_OK or ETCD_E_NO_MEMORY.
 */
etcd_status etcd__wire_kvs(struct etcd__arena *arena, Etcd__Pb__KeyValue *const *from, size_t count,
                           etcd_kv **ret_kvs);

/*
 * A list of texts as a NULL-terminated array in the arena; the texts themselves are not copied. NULL: no
 * memory.
 */
const char *const *etcd__wire_texts(struct etcd__arena *arena, char *const *from, size_t count);

#endif
