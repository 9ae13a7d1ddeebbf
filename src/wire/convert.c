/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/convert.h"

#include "wire/reader.h"

etcd_kv etcd__wire_kv(const Etcd__Pb__KeyValue *from)
{
    if (from == NULL)
        return (etcd_kv){.key = {.data = "", .len = 0}, .value = {.data = "", .len = 0}};
    return (etcd_kv){
        .key = etcd__wire_bytes(from->key),
        .value = etcd__wire_bytes(from->value),
        .create_revision = from->create_revision,
        .mod_revision = from->mod_revision,
        .version = from->version,
        .lease_id = from->lease,
    };
}

etcd_status etcd__wire_kvs(struct etcd__arena *arena, Etcd__Pb__KeyValue *const *from, size_t count,
                           etcd_kv **ret_kvs)
{
    etcd_kv *kvs = NULL;

    if (count > SIZE_MAX / sizeof(*kvs))
        return ETCD_E_NO_MEMORY;
    if (count > 0) {
        kvs = etcd__arena_alloc(arena, count * sizeof(*kvs));
        if (kvs == NULL)
            return ETCD_E_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++)
        kvs[i] = etcd__wire_kv(from[i]);
    *ret_kvs = kvs;
    return ETCD_OK;
}

const char *const *etcd__wire_texts(struct etcd__arena *arena, char *const *from, size_t count)
{
    const char **texts = count == SIZE_MAX ? NULL : etcd__arena_calloc(arena, count + 1, sizeof(*texts));

    if (texts == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        texts[i] = from[i];
    return texts;
}

/* Every answer of etcd has the header as field 1, and servers put it first. */
uint64_t etcd__wire_raft_term(const uint8_t *data, size_t len)
{
    struct etcd__wire_reader answer = {data, data + len}, header;
    uint64_t tag, term = 0;

    if (!etcd__wire_read_tag(&answer, &tag) || tag != ETCD__WIRE_TAG(1, ETCD__WIRE_BYTES) ||
        !etcd__wire_read_bytes(&answer, &header))
        return 0;
    while (etcd__wire_read_tag(&header, &tag)) {
        if (tag == ETCD__WIRE_TAG(4, ETCD__WIRE_VARINT))
            return etcd__wire_read_varint(&header, &term) ? term : 0;
        if (!etcd__wire_skip(&header, tag))
            return 0;
    }
    return 0;
}
