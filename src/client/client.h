/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client object. What the engine owns is touched by the engine alone; the rest is constant after
 * opening, or atomic.
 *
 * References: the user's handle, and one for every operation, watch and keep-alive. Closing (in the engine)
 * ends all of them and gives the network back; the last reference frees the memory.
 */
#ifndef ETCD__CLIENT_CLIENT_H
#define ETCD__CLIENT_CLIENT_H

#include "client/auth.h"
#include "client/discovery.h"
#include "client/endpoints.h"
#include "client/keepalive.h"
#include "client/leader.h"
#include "client/metrics.h"
#include "client/state.h"
#include "client/sync.h"
#include "client/watch.h"
#include "etcdc/client.h"
#include "grpc/channel.h"
#include "runtime/loop.h"

#include <stdatomic.h>

/* The effective options. Constant after opening. */
struct etcd__client_config {
    char *name;
    struct etcd__endpoints endpoints; /* empty with discovery_srv */
    char *discovery_srv;              /* NULL: none */
    char *discovery_srv_name;
    int64_t dial_timeout_ms;
    int64_t timeout_ms;
    int64_t auto_sync_interval_ms;
    int64_t keepalive_time_ms, keepalive_timeout_ms;
    size_t max_send_bytes, max_recv_bytes;
    uint32_t max_outstanding;
    uint32_t warn_watches;
    size_t max_outstanding_bytes;
    char *username; /* NULL: none */
    etcd_secret_kind password_kind;
    struct etcd__secret password; /* the text, or what to read it from */
    etcd_secret_kind token_kind;  /* of a token that was issued elsewhere; NONE: no such token */
    struct etcd__secret token;    /* the text, or what to read it from */
    char *ca_file, *cert_file, *key_file, *server_name;
    bool has_tls, insecure_skip_verify;
    bool require_leader;
    etcd_prefer prefer;
    etcd_bytes key_namespace; /* our copy; len 0: none */
    etcd_state_fn *on_state;  /* NULL: not wanted */
    void *state_user_data;
};

struct etcd_client {
    atomic_int refs;
    struct etcd_loop *loop;
    struct etcd__client_config config;
    struct etcd__log log;
    atomic_bool closed;          /* the user asked for it: start nothing new */
    atomic_bool waits_cancelled; /* etcd_client_cancel_waits() */
    atomic_uint outstanding;     /* calls under way */
    struct etcd__metrics metrics;
    atomic_size_t outstanding_bytes;
    _Atomic(uint64_t) next_lease_id; /* counted from a random number on */
    struct etcd__client_state state;

    /* Engine. */
    struct etcd__loop_user loop_user;
    bool torn_down;     /* the channel is gone */
    bool in_outage;     /* an endpoint failed since one was last connected */
    bool sends_secrets; /* whoever listens on the way to an endpoint without TLS would see them */
    bool warned_of_clear_text;
    struct etcd__tls *tls;
    struct etcd__channel *channel;
    struct etcd__auth auth;
    struct etcd__sync sync;
    struct etcd__leader leader;
    struct etcd__discovery discovery;
    struct etcd__list rpcs;
    struct etcd__list ready_waiters;
    struct etcd__list delays;
    struct etcd__list feeds;
    bool no_range_stream; /* the servers do not have RangeStream */
    struct etcd__watch_hub watches;
    struct etcd__lessor lessor;

    struct {
        pthread_mutex_t mutex;
        char *endpoints; /* those in use, comma-separated */
        /* The newest failures, ETCD_OK after a success: of connecting, and a login that was refused. */
        etcd_error unreachable, refused;
    } shared;
};

void etcd__client_ref(struct etcd_client *client);
void etcd__client_unref(struct etcd_client *client);
/* ETCD_OK, or why nothing can be started: NULL, closed, a forked child. Any thread. */
etcd_status etcd__client_check(const struct etcd_client *client, etcd_error *reterr);
static inline struct etcd__reactor *etcd__client_reactor(struct etcd_client *client)
{
    return &client->loop->reactor;
}
/* Puts "client 'name'" and the like in front; see errors.h for failures of calls. */
static inline const char *etcd__client_label(const struct etcd_client *client)
{
    return client->config.name;
}
/*
 * Reads the password from its source. ETCD_E_INVALID_ARGUMENT or ETCD_E_IO names the source. Engine, or
 * while opening.
 */
etcd_status etcd__client_password(const struct etcd_client *client, struct etcd__secret *ret_password,
                                  etcd_error *reterr);
/* A password is to be sent: warns, once for each client, if an endpoint gets it in clear. Engine. */
void etcd__client_warn_of_clear_text(struct etcd_client *client);

#endif
