/* SPDX-License-Identifier: Apache-2.0 */
/* The member list as an answer, for programs (cluster.c) and for the endpoints (sync.c). */
#ifndef ETCD__CLIENT_MEMBERS_H
#define ETCD__CLIENT_MEMBERS_H

#include "base/arena.h"
#include "base/error.h"
#include "etcdc/cluster.h"

struct etcd_members_result {
    struct etcd__arena arena;
    etcd_header header;
    etcd_member *members;
    size_t count;
    etcd_member *added; /* NULL: none was */
};

/* For struct etcd__rpc_kind: the answers to MemberList, MemberRemove, MemberUpdate and MemberPromote. */
etcd_status etcd__members_decode(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr);
void etcd__members_release(void *result);

#endif
