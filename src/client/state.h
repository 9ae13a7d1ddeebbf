/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the program is told of the client's state. IDLE comes first, then CONNECTING and READY take turns,
 * CLOSED is the end: so what has not been told yet is a number of changes, and needs no memory that might be
 * short.
 */
#ifndef ETCD__CLIENT_STATE_H
#define ETCD__CLIENT_STATE_H

#include "base/error.h"
#include "etcdc/client.h"
#include "runtime/loop.h"

struct etcd__client_state {
    atomic_int now; /* an etcd_client_state */
    struct etcd__callback callback;
    /* Under the client's shared.mutex. */
    etcd_client_state told;
    size_t changes; /* between CONNECTING and READY that were not told yet */
    bool closed;
    etcd_error lost; /* why the last connection was lost */
};

void etcd__client_state_init(struct etcd__client_state *state);
/* Each change once. `err`: why READY is over; else NULL. Engine. */
void etcd__client_state_set(struct etcd_client *client, etcd_client_state state, const etcd_error *err);
/*
 * The newest failure to connect, or to log in, for etcd_client_trouble(); NULL: it succeeded. Engine, and
 * never a failure that the next attempt may not meet again.
 */
void etcd__client_note_connect(struct etcd_client *client, const etcd_error *err);
void etcd__client_note_login(struct etcd_client *client, const etcd_error *err);
/* After CLOSED was set: returns when all has been told, or in the callback that is about to tell it. */
void etcd__client_state_finish(struct etcd_client *client);

#endif
