/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/nesting.h"

#include "wire/codec.h"
#include "wire/messages.h"

enum wire_type { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

/* What a level of nesting is: which of its fields lead deeper, and to what. */
struct kind {
    uint32_t deeper;  /* a bit for each field number (all are below 32) */
    uint32_t message; /* the fields that are messages and may occur once in all; 0: no such rule */
    const struct kind *inside;
};

/*
 * A transaction holds operations, an operation may hold a transaction. An operation
 * is a union: protobuf-c merges several messages for the same member into one, copying
 * everything it has for each, which a hostile peer could make as slow as it likes.
 */
static const struct kind request_op, response_op;
static const struct kind request_txn = {.deeper = 1u << 2 | 1u << 3, .inside = &request_op};
static const struct kind response_txn = {.deeper = 1u << 3, .inside = &response_op};
static const struct kind request_op = {.deeper = 1u << 4, .message = 0x1e, .inside = &request_txn};
static const struct kind response_op = {.deeper = 1u << 4, .message = 0x1e, .inside = &response_txn};
static const struct kind range_stream = {.message = 1u << 1};

struct level {
    const struct kind *kind;
    const uint8_t *end;
    bool has_message;
};

static bool read_varint(const uint8_t **pos, const uint8_t *end, uint64_t *ret)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && *pos < end; shift += 7) {
        uint8_t byte = *(*pos)++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = value;
            return true;
        }
    }
    return false;
}

/* Reads the length of what follows the tag, as far as it has to be passed over. */
static bool read_extent(const uint8_t **pos, const uint8_t *end, unsigned wire_type, uint64_t *ret_len)
{
    uint64_t unused;

    *ret_len = 0;
    switch (wire_type) {
    case VARINT:
        return read_varint(pos, end, &unused);
    case FIXED64:
        *ret_len = 8;
        break;
    case FIXED32:
        *ret_len = 4;
        break;
    case BYTES:
        if (!read_varint(pos, end, ret_len))
            return false;
        break;
    default:
        return false; /* groups, which protobuf-c does not know either */
    }
    return *ret_len <= (uint64_t)(end - *pos);
}

static bool is_one_of(uint32_t set, uint64_t field)
{
    return field < 32 && (set & (1u << field)) != 0;
}

/* Walks a message with a stack of the levels that are open; each byte is looked at once. */
static bool walk(const struct kind *kind, const uint8_t *pos, const uint8_t *end)
{
    struct level levels[2 * ETCD__WIRE_DEPTH_MAX];
    struct level *level = levels;

    *level = (struct level){.kind = kind, .end = end};
    for (;;) {
        uint64_t tag, extent;

        while (pos == level->end) {
            if (level == levels)
                return true;
            level--;
        }
        if (!read_varint(&pos, level->end, &tag) || !read_extent(&pos, level->end, (unsigned)tag & 7, &extent))
            return false;
        if ((tag & 7) == BYTES && is_one_of(level->kind->message, tag >> 3)) {
            if (level->has_message)
                return false;
            level->has_message = true;
        }
        if ((tag & 7) == BYTES && is_one_of(level->kind->deeper, tag >> 3)) {
            if (level == &levels[sizeof(levels) / sizeof(levels[0]) - 1])
                return false;
            level[1] = (struct level){.kind = level->kind->inside, .end = pos + extent};
            level++;
        } else {
            pos += extent;
        }
    }
}

bool etcd__wire_nesting_ok(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t len)
{
    const struct kind *kind = NULL;

    if (type == &etcd__pb__txn_response__descriptor)
        kind = &response_txn;
    else if (type == &etcd__pb__txn_request__descriptor)
        kind = &request_txn;
    else if (type == &etcd__pb__response_op__descriptor)
        kind = &response_op;
    else if (type == &etcd__pb__request_op__descriptor)
        kind = &request_op;
    else if (type == &etcd__pb__range_stream_response__descriptor)
        kind = &range_stream;
    return kind == NULL || len == 0 || walk(kind, data, data + len);
}
