/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/codec.h"

#include "wire/nesting.h"

struct memory {
    struct etcd__arena *arena;
    bool failed; /* tells "no memory" from "malformed", which protobuf-c does not */
};

/* One byte more than asked for, and zero: the NUL after a bytes field. */
static void *memory_alloc(void *user, size_t size)
{
    struct memory *memory = user;
    char *ptr = size == SIZE_MAX ? NULL : etcd__arena_alloc(memory->arena, size + 1);

    if (ptr == NULL) {
        memory->failed = true;
        return NULL;
    }
    ptr[size] = '\0';
    return ptr;
}

/* protobuf-c keeps lists of the fields it found while it decodes: for a large range, megabytes. */
static void memory_free(void *user, void *ptr)
{
    struct memory *memory = user;

    etcd__arena_release(memory->arena, ptr);
}

/* Structs, lists and copies are about twice the encoded bytes. Small answers do with the default block. */
static void prepare_arena(struct etcd__arena *arena, size_t len)
{
    if (arena->blocks == NULL && arena->next_size == 0 && len > 512)
        etcd__arena_init(arena, len < ETCD__ARENA_BLOCK_MAX ? len * 2 : ETCD__ARENA_BLOCK_MAX);
}

void *etcd__wire_unpack(const ProtobufCMessageDescriptor *type, struct etcd__arena *arena,
                        const uint8_t *data, size_t len, etcd_status *ret_status)
{
    struct memory memory = {.arena = arena};
    ProtobufCAllocator allocator = {.alloc = memory_alloc, .free = memory_free, .allocator_data = &memory};
    ProtobufCMessage *message;

    *ret_status = ETCD_E_PROTOCOL;
    if (!etcd__wire_nesting_ok(type, data, len))
        return NULL;
    prepare_arena(arena, len);
    message = protobuf_c_message_unpack(type, &allocator, len, data);
    if (message != NULL)
        *ret_status = ETCD_OK;
    else if (memory.failed)
        *ret_status = ETCD_E_NO_MEMORY;
    return message;
}

etcd_status etcd__wire_pack(const ProtobufCMessage *message, size_t headroom, uint8_t **ret_data,
                            size_t *ret_len)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *data = len > SIZE_MAX - headroom ? NULL : etcd__malloc(headroom + len);

    if (data == NULL)
        return ETCD_E_NO_MEMORY;
    len = protobuf_c_message_pack(message, data + headroom);
    *ret_data = data;
    *ret_len = len;
    return ETCD_OK;
}
