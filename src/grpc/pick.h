/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which endpoint of a channel a call goes to that is not bound to one. Always one that is connected; one that
 * is set aside only when there is no other; the one that the call avoids likewise. Among the rest by the
 * call's route.
 */
#ifndef ETCD__GRPC_PICK_H
#define ETCD__GRPC_PICK_H

#include "grpc/subchannel.h"

struct etcd__choice {
    struct etcd__subchannel *const *list;
    size_t count;
    size_t *next;                    /* where the round robin goes on */
    struct etcd__subchannel *leader; /* NULL: not known */
    int64_t now_ms;
};

/* NULL: none is connected. */
struct etcd__subchannel *etcd__pick(const struct etcd__choice *choice,
                                    const struct etcd__call_config *config);

#endif
