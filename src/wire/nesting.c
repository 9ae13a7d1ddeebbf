/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/nesting.h"

#include "wire/codec.h"
#include "wire/messages.h"
#include "wire/reader.h"

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
    struct etcd__wire_reader reader;
    bool has_message;
};

static bool is_one_of(uint32_t set, uint64_t field)
{
    return field < 32 && (set & (1u << field)) != 0;
}

/*
 * Takes one field. *ret_deeper is whether it opens a level, whose content is *ret_inside;
 * false when the message must not be decoded.
 */
static bool take_field(struct level *level, bool *ret_deeper, struct etcd__wire_reader *ret_inside)
{
    uint64_t tag;

    *ret_deeper = false;
    if (!etcd__wire_read_tag(&level->reader, &tag))
        return false;
    if ((tag & 7) != ETCD__WIRE_BYTES)
        return etcd__wire_skip(&level->reader, tag);
    if (is_one_of(level->kind->message, tag >> 3)) {
        if (level->has_message)
            return false;
        level->has_message = true;
    }
    *ret_deeper = is_one_of(level->kind->deeper, tag >> 3);
    return etcd__wire_read_bytes(&level->reader, ret_inside);
}

/* Walks a message with a stack of the levels that are open; each byte is looked at once. */
static bool walk(const struct kind *kind, struct etcd__wire_reader content)
{
    struct level levels[2 * ETCD__WIRE_DEPTH_MAX];
    size_t depth = 1;

    levels[0] = (struct level){.kind = kind, .reader = content};
    while (depth > 0) {
        struct level *level = &levels[depth - 1];
        struct etcd__wire_reader inside;
        bool deeper;

        if (etcd__wire_left(&level->reader) == 0) {
            depth--;
            continue;
        }
        if (!take_field(level, &deeper, &inside))
            return false;
        if (!deeper)
            continue;
        if (depth == sizeof(levels) / sizeof(levels[0]))
            return false;
        levels[depth++] = (struct level){.kind = level->kind->inside, .reader = inside};
    }
    return true;
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
    return kind == NULL || len == 0 || walk(kind, (struct etcd__wire_reader){.pos = data, .end = data + len});
}
