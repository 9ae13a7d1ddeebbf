/* SPDX-License-Identifier: Apache-2.0 */
/* Makes messages of any generated type, with every field in use, from its description and a seed. */
#ifndef TESTS_SUPPORT_WIRE_FILL_H
#define TESTS_SUPPORT_WIRE_FILL_H

#include "base/arena.h"

#include <protobuf-c/protobuf-c.h>

/*
 * A message in the arena; messages inside messages down to `depth` levels. *chance is the
 * state of a simple generator: the same value makes the same message.
 */
ProtobufCMessage *wire_fill(struct etcd__arena *arena, const ProtobufCMessageDescriptor *type, unsigned depth,
                            uint32_t *chance);

/* Whether every string and every non-empty bytes field in the message is followed by a NUL. */
bool wire_has_nuls(const ProtobufCMessage *message);

#endif
