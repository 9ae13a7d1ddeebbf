/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All messages of etcd as protobuf-c structs, generated from proto/ into the build folder:
 * Etcd__Pb__RangeRequest, ETCD__PB__RANGE_REQUEST__INIT, etcd__pb__range_request__descriptor. Encode and
 * decode them with codec.h, never with the generated functions: those neither bound recursion nor use our
 * memory.
 */
#ifndef ETCD__WIRE_MESSAGES_H
#define ETCD__WIRE_MESSAGES_H

#include "wire/pb/auth.pb-c.h"
#include "wire/pb/cluster.pb-c.h"
#include "wire/pb/data.pb-c.h"
#include "wire/pb/header.pb-c.h"
#include "wire/pb/kv.pb-c.h"
#include "wire/pb/lease.pb-c.h"
#include "wire/pb/maintenance.pb-c.h"
#include "wire/pb/watch.pb-c.h"

#endif
