/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to bytes and back. Any thread; nothing is shared. */
#ifndef ETCD__WIRE_CODEC_H
#define ETCD__WIRE_CODEC_H

#include "base/arena.h"
#include "etcdc/error.h"

#include <protobuf-c/protobuf-c.h>

/* Transactions inside transactions that are decoded. Encoding recurses too: check requests against it. */
enum { ETCD__WIRE_DEPTH_MAX = 64 };

/*
 * Decodes a message into the arena and returns it, of the type that `type` describes; NULL
 * on failure, with the reason in *ret_status: ETCD_E_PROTOCOL (malformed, or nested too deeply) or
 * ETCD_E_NO_MEMORY. On success *ret_status is ETCD_OK. Nothing in the message refers to `data`.
 *
 * Every string and every non-empty bytes field is followed by a NUL that its length does not count; an empty
 * bytes field has data NULL (see convert.h). After a failure the arena may hold debris and is still valid.
 */
void *etcd__wire_unpack(const ProtobufCMessageDescriptor *type, struct etcd__arena *arena,
                        const uint8_t *data, size_t len, etcd_status *ret_status);

/*
 * Encodes a message into a new buffer (etcd__free) that has `headroom` bytes, not set, in front
 * of it. *ret_len is the length of the message alone. ETCD_OK, or ETCD_E_NO_MEMORY with nothing set.
 */
etcd_status etcd__wire_pack(const ProtobufCMessage *message, size_t headroom, uint8_t **ret_data,
                            size_t *ret_len);

#endif
