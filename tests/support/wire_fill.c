/* SPDX-License-Identifier: Apache-2.0 */
#include "wire_fill.h"

#include <stdlib.h>
#include <string.h>

static uint32_t draw(uint32_t *chance, uint32_t limit)
{
    *chance = *chance * 1664525 + 1013904223;
    return (*chance >> 8) % limit;
}

static void *allocate(struct etcd__arena *arena, size_t size)
{
    void *ptr = etcd__arena_calloc(arena, 1, size);

    if (ptr == NULL)
        abort();
    return ptr;
}

static int64_t draw_number(uint32_t *chance)
{
    static const int64_t numbers[] = {0, 1, -1, 127, 128, 300, INT32_MAX, INT64_MAX, INT64_MIN};

    return numbers[draw(chance, ETCD__COUNT(numbers))];
}

static uint8_t *draw_bytes(struct etcd__arena *arena, uint32_t *chance, size_t *ret_len, bool text)
{
    size_t len = draw(chance, 20);
    uint8_t *data = allocate(arena, len + 1);

    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)(text ? 'a' + draw(chance, 26) : draw(chance, 256));
    *ret_len = len;
    return data;
}

static size_t size_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        return 8;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_ENUM:
        return 4;
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    default:
        abort(); /* etcd uses no other */
    }
}

static int draw_enum(const ProtobufCFieldDescriptor *field, uint32_t *chance)
{
    const ProtobufCEnumDescriptor *type = field->descriptor;

    return type->values[draw(chance, type->n_values)].value;
}

static void fill_value(struct etcd__arena *arena, const ProtobufCFieldDescriptor *field, void *member,
                       unsigned depth, uint32_t *chance)
{
    int64_t number = draw_number(chance);
    int32_t small = 0;
    ProtobufCBinaryData bytes;
    void *ptr;

    switch (field->type) {
    case PROTOBUF_C_TYPE_BOOL:
        small = (int32_t)draw(chance, 2);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        small = draw_enum(field, chance);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        bytes.data = draw_bytes(arena, chance, &bytes.len, false);
        memcpy(member, &bytes, sizeof(bytes));
        return;
    case PROTOBUF_C_TYPE_STRING:
        ptr = draw_bytes(arena, chance, &bytes.len, true);
        memcpy(member, &ptr, sizeof(ptr));
        return;
    case PROTOBUF_C_TYPE_MESSAGE:
        ptr = wire_fill(arena, field->descriptor, depth - 1, chance);
        memcpy(member, &ptr, sizeof(ptr));
        return;
    default:
        memcpy(member, &number, size_of(field->type));
        return;
    }
    memcpy(member, &small, sizeof(small));
}

static void fill_list(struct etcd__arena *arena, const ProtobufCFieldDescriptor *field, char *base,
                      unsigned depth, uint32_t *chance)
{
    size_t count = 1 + draw(chance, 3), size = size_of(field->type);
    char *list = allocate(arena, count * size);

    for (size_t i = 0; i < count; i++)
        fill_value(arena, field, list + i * size, depth, chance);
    memcpy(base + field->offset, &list, sizeof(list));
    memcpy(base + field->quantifier_offset, &count, sizeof(count));
}

static bool is_oneof(const ProtobufCFieldDescriptor *field)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

/* One member of a union: the last one that the draw hits. */
static bool take_union(const ProtobufCFieldDescriptor *field, char *base, uint32_t *chance)
{
    uint32_t chosen;

    memcpy(&chosen, base + field->quantifier_offset, sizeof(chosen));
    if (chosen != 0 || draw(chance, 3) != 0)
        return false;
    memcpy(base + field->quantifier_offset, &field->id, sizeof(field->id));
    return true;
}

ProtobufCMessage *wire_fill(struct etcd__arena *arena, const ProtobufCMessageDescriptor *type, unsigned depth,
                            uint32_t *chance)
{
    char *base = allocate(arena, type->sizeof_message);

    protobuf_c_message_init(type, base);
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];

        if (field->type == PROTOBUF_C_TYPE_MESSAGE && depth == 0)
            continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            fill_list(arena, field, base, depth, chance);
        else if (!is_oneof(field) || take_union(field, base, chance))
            fill_value(arena, field, base + field->offset, depth, chance);
    }
    return (ProtobufCMessage *)(void *)base;
}

static bool value_has_nuls(const ProtobufCFieldDescriptor *field, const void *member)
{
    ProtobufCBinaryData bytes;
    const ProtobufCMessage *message;

    if (field->type == PROTOBUF_C_TYPE_BYTES) {
        memcpy(&bytes, member, sizeof(bytes));
        return bytes.len == 0 || bytes.data[bytes.len] == 0;
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        memcpy(&message, member, sizeof(message));
        return message == NULL || wire_has_nuls(message);
    }
    return true;
}

bool wire_has_nuls(const ProtobufCMessage *message)
{
    const char *base = (const char *)message;

    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        const char *member = base + field->offset;
        size_t count = 1;
        uint32_t chosen;

        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            memcpy(&count, base + field->quantifier_offset, sizeof(count));
            memcpy(&member, base + field->offset, sizeof(member));
        } else if (is_oneof(field)) {
            memcpy(&chosen, base + field->quantifier_offset, sizeof(chosen));
            count = chosen == field->id;
        }
        for (size_t n = 0; n < count; n++) {
            if (!value_has_nuls(field, member + n * size_of(field->type)))
                return false;
        }
    }
    return true;
}
