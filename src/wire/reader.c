/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/reader.h"

bool etcd__wire_read_long_varint(struct etcd__wire_reader *reader, uint64_t *ret)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && reader->pos < reader->end; shift += 7) {
        uint8_t byte = *reader->pos++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = value;
            return true;
        }
    }
    return false;
}

bool etcd__wire_skip(struct etcd__wire_reader *reader, uint64_t tag)
{
    struct etcd__wire_reader unused_bytes;
    uint64_t unused_number;
    size_t len;

    switch (tag & 7) {
    case ETCD__WIRE_VARINT:
        return etcd__wire_read_varint(reader, &unused_number);
    case ETCD__WIRE_BYTES:
        return etcd__wire_read_bytes(reader, &unused_bytes);
    case ETCD__WIRE_FIXED64:
        len = 8;
        break;
    case ETCD__WIRE_FIXED32:
        len = 4;
        break;
    default:
        return false; /* groups, which protobuf-c does not know either */
    }
    if (len > etcd__wire_left(reader))
        return false;
    reader->pos += len;
    return true;
}
