/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging in. One login at a time, whoever needs it: calls and streams wait for it together. The token it
 * brings is the channel's; the generation says which token a call went out with, so that one rejected token
 * costs one login however many calls carried it. Engine only.
 *
 * States: NONE (no credentials), EMPTY (needs a login) -> RUNNING -> READY; a refused login goes back to
 * EMPTY and ends those who waited. A server without authentication counts as READY without a token.
 *
 * A token that was issued elsewhere is READY (GIVEN) from the start: there is nothing to log in with. When it
 * is refused, its source is read again, and what is new there is the next token.
 */
#ifndef ETCD__CLIENT_AUTH_H
#define ETCD__CLIENT_AUTH_H

#include "base/secret.h"
#include "etcdc/types.h"
#include "grpc/channel.h"

struct etcd_client;

enum etcd__auth_state {
    ETCD__AUTH_NONE,
    ETCD__AUTH_GIVEN,
    ETCD__AUTH_EMPTY,
    ETCD__AUTH_RUNNING,
    ETCD__AUTH_READY,
};

/* Embedded in whoever waits for a login; zeroed memory is idle. */
struct etcd__auth_waiter {
    struct etcd__node node;
    /* Once, from a later turn. ETCD_OK: calls may go out. Otherwise `err` says why not. */
    void (*on_ready)(struct etcd__auth_waiter *waiter, etcd_status status, const etcd_error *err);
};

struct etcd__auth {
    struct etcd_client *client;
    enum etcd__auth_state state;
    uint64_t generation; /* of the token in use; grows with every login */
    struct etcd__list waiters;
    struct etcd__call call;
    struct etcd__outgoing request;
    struct etcd__secret token; /* as the answer brought it, until the call ends; GIVEN: the one in use */
    struct etcd__timer timer;  /* the limit of one login, or the pause before the next */
    struct etcd__task done;    /* tells the waiters */
    etcd_status outcome;
    etcd_error error;
    unsigned failures;                    /* in a row, for the pause */
    int64_t limit_ms;                     /* of the login under way */
    const struct etcd__subchannel *avoid; /* the last one did not answer there; only for comparing */
    bool warned_not_enabled;
    bool told_refused; /* since the last login that succeeded */
};

/* ETCD_E_NO_MEMORY; ETCD_E_INVALID_ARGUMENT, ETCD_E_IO: the token's source. */
etcd_status etcd__auth_init(struct etcd__auth *auth, struct etcd_client *client, etcd_error *reterr);
/* Ends the login and tells every waiter `status` before it returns. */
void etcd__auth_close(struct etcd__auth *auth, etcd_status status);

/* Calls may go out now. */
static inline bool etcd__auth_ready(const struct etcd__auth *auth)
{
    return auth->state != ETCD__AUTH_EMPTY && auth->state != ETCD__AUTH_RUNNING;
}
/* Waits for a login, starting it if need be. */
void etcd__auth_wait(struct etcd__auth *auth, struct etcd__auth_waiter *waiter);
/* Stops waiting. Fine when idle. The login itself goes on: its token serves the next. */
void etcd__auth_unwait(struct etcd__auth_waiter *waiter);
/*
 * A call that went out with this generation was told to log in. False when there is nothing to log in with;
 * else the next etcd__auth_wait() brings another token - without a login if somebody renewed it already.
 */
bool etcd__auth_reject(struct etcd__auth *auth, uint64_t generation);

#endif
