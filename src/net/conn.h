/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte stream to an endpoint: look-up, a race over its addresses (RFC 8305: families interleaved,
 * 250 ms apart, the next at once when one fails), TCP_NODELAY, TCP_USER_TIMEOUT, TLS where the endpoint
 * wants it.
 * States: RESOLVING -> CONNECTING -> HANDSHAKE -> OPEN -> CLOSED, one file-local function per state and
 * event.
 * The owner bounds the time with a timer of its own and calls etcd__conn_close().
 */
#ifndef ETCD__NET_CONN_H
#define ETCD__NET_CONN_H

#include "base/error.h"
#include "base/reactor.h"
#include "net/endpoint.h"
#include "net/resolver.h"
#include "net/tls.h"

struct etcd__conn;

/* Called from reactor turns, never inside a call of the owner. Any of them may call etcd__conn_close(). */
struct etcd__conn_handler {
    void (*on_open)(void *user);
    /* Bytes from the peer, borrowed. */
    void (*on_data)(void *user, const uint8_t *data, size_t len);
    /* All that was written has gone to the kernel, after etcd__conn_blocked() had been true. */
    void (*on_drained)(void *user);
    /* The last call; the connection is closed, etcd__conn_close() still has to free it. The status is
       ETCD_E_UNAVAILABLE (message: what failed, at which address, why), ETCD_E_NO_MEMORY or ETCD_E_INTERNAL.
     */
    void (*on_closed)(void *user, const etcd_error *err);
};

struct etcd__conn_config {
    struct etcd__reactor *reactor;
    struct etcd__resolver *resolver;
    const struct etcd__endpoint *endpoint; /* must outlive the connection */
    struct etcd__tls *tls; /* NULL: in clear. The caller has taken endpoint->tls into account. */
    int user_timeout_ms;   /* TCP_USER_TIMEOUT; 0: the system's */
    const struct etcd__conn_handler *handler;
    void *user;
};

etcd_status etcd__conn_open(const struct etcd__conn_config *config, struct etcd__conn **ret_conn,
                            etcd_error *reterr);
/*
 * Writes now, keeps in memory what the kernel does not take. Only while open. False when
 * the connection failed (on_closed follows from a later turn).
 */
bool etcd__conn_write(struct etcd__conn *conn, const void *data, size_t len);
/* Bytes wait for the kernel: the owner should stop producing until on_drained. */
bool etcd__conn_blocked(const struct etcd__conn *conn);
/*
 * Where the race and the look-up stand, for the message of a timeout: "connecting to 10.0.0.1:2379". Until
 * the next call.
 */
const char *etcd__conn_phase(struct etcd__conn *conn);
/*
 * Closes (close_notify is sent if it can be without waiting) and frees. No callback afterwards. NULL is
 * fine.
 */
void etcd__conn_close(struct etcd__conn *conn);

#endif
