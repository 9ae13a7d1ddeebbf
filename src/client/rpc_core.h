/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to rpc*.c: a call from its start (rpc_start.c) to its end (rpc.c). */
#ifndef ETCD__CLIENT_RPC_CORE_H
#define ETCD__CLIENT_RPC_CORE_H

#include "client/client.h"
#include "client/rpc.h"

struct etcd__attempt {
    struct etcd__call call;
    struct etcd__outgoing outgoing;
    struct etcd__rpc *rpc;
    uint64_t generation; /* of the token it went out with */
};

struct etcd__rpc {
    struct etcd_op op;
    struct etcd_client *client; /* referenced */
    const struct etcd__rpc_kind *kind;
    struct etcd__node node; /* client->rpcs, once submitted */
    struct etcd__work submit;
    uint8_t *request; /* framed */
    size_t request_len;
    int64_t deadline_ms;
    bool idempotent; /* the user says so */
    bool fail_fast, in_wait, counted;
    bool require_leader; /* refused by a member that has none */
    enum etcd__route route;
    etcd__rpc_done_fn *done; /* the engine's own calls */
    void *done_user;

    struct etcd__attempt first;
    struct etcd__attempt *second; /* made when it is needed */
    struct etcd__timer deadline;
    struct etcd__timer step; /* a pause, or the time to try elsewhere as well */
    struct etcd__auth_waiter login;
    struct etcd__endpoint *only; /* NULL: any endpoint */
    const struct etcd__subchannel *avoid;
    unsigned attempts, logins;
    bool maybe_sent; /* some attempt may have been seen by a server */
    bool leaderless; /* the last one was refused for want of a leader */
    char cause[192]; /* why the last attempt failed; "": none did */
    etcd_status decoded;
};

/* Makes it ready for etcd__rpc_begin(), or for its submission. */
void etcd__rpc_init(struct etcd__rpc *rpc, etcd_op_fn *on_done, void *user_data);
/* Before it was begun or submitted. */
void etcd__rpc_discard(struct etcd__rpc *rpc);
/* Makes the first attempt. Engine. */
void etcd__rpc_begin(struct etcd__rpc *rpc);
/* What an error says of trying again. */
uint32_t etcd__rpc_flags(const struct etcd__rpc *rpc, bool retryable, bool maybe);
/* Gives the room back, if the call has any. */
void etcd__rpc_uncount(struct etcd__rpc *rpc);

#endif
