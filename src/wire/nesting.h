/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protobuf-c decodes nested messages by recursion without a limit, so a message that
 * nests forever would overflow the stack. This looks at the few types that can nest
 * before they are decoded, without recursion and without memory.
 */
#ifndef ETCD__WIRE_NESTING_H
#define ETCD__WIRE_NESTING_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/*
 * False when the message nests more than ETCD__WIRE_DEPTH_MAX transactions, names
 * several operations where one belongs, or is malformed. True at once for types that cannot nest.
 */
bool etcd__wire_nesting_ok(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t len);

#endif
