/* SPDX-License-Identifier: Apache-2.0 */
/* The few primitives of the protobuf encoding, for what this layer reads by hand. Internal to wire/. */
#ifndef ETCD__WIRE_READER_H
#define ETCD__WIRE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum etcd__wire_type {
    ETCD__WIRE_VARINT = 0,
    ETCD__WIRE_FIXED64 = 1,
    ETCD__WIRE_BYTES = 2,
    ETCD__WIRE_FIXED32 = 5,
};

/* A field number with its wire type, as it stands in front of the field. */
#define ETCD__WIRE_TAG(field, type) ((uint64_t)(field) << 3 | (uint64_t)(type))

struct etcd__wire_reader {
    const uint8_t *pos, *end;
};

/* What is left to read. */
static inline size_t etcd__wire_left(const struct etcd__wire_reader *reader)
{
    return (size_t)(reader->end - reader->pos);
}

bool etcd__wire_read_long_varint(struct etcd__wire_reader *reader, uint64_t *ret);
/* Passes over a field whose tag was read; false when it is malformed, or a group. */
bool etcd__wire_skip(struct etcd__wire_reader *reader, uint64_t tag);

static inline bool etcd__wire_read_varint(struct etcd__wire_reader *reader, uint64_t *ret)
{
    if (reader->pos < reader->end && *reader->pos < 0x80) {
        *ret = *reader->pos++;
        return true;
    }
    return etcd__wire_read_long_varint(reader, ret);
}

/* Field 0, and numbers above what 29 bits hold, do not exist. */
static inline bool etcd__wire_read_tag(struct etcd__wire_reader *reader, uint64_t *ret)
{
    return etcd__wire_read_varint(reader, ret) && *ret >= ETCD__WIRE_TAG(1, 0) && *ret <= UINT32_MAX;
}

/* The content of a bytes, string or message field, as a reader of its own; passes over it. */
static inline bool etcd__wire_read_bytes(struct etcd__wire_reader *reader, struct etcd__wire_reader *ret)
{
    uint64_t len;

    if (!etcd__wire_read_varint(reader, &len) || len > etcd__wire_left(reader))
        return false;
    ret->pos = reader->pos;
    ret->end = reader->pos += len;
    return true;
}

static inline bool etcd__wire_read_int64(struct etcd__wire_reader *reader, int64_t *ret)
{
    uint64_t value;

    if (!etcd__wire_read_varint(reader, &value))
        return false;
    *ret = (int64_t)value;
    return true;
}

static inline bool etcd__wire_read_bool(struct etcd__wire_reader *reader, bool *ret)
{
    uint64_t value;

    if (!etcd__wire_read_varint(reader, &value))
        return false;
    *ret = value != 0;
    return true;
}

#endif
