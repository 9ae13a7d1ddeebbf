/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client under caller drive whose servers, on the scripted network, renew leases, on a virtual clock. Use
 * lease_world_one_host() and the like as a test's setup, lease_world_end() as its teardown.
 */
#ifndef TESTS_SUPPORT_LEASE_WORLD_H
#define TESTS_SUPPORT_LEASE_WORLD_H

#include "etcdc/lease.h"
#include "support/grpc_world.h"

enum { LEASE_WORLD_TTL_S = 12 };

/* What on_end was told. */
struct ends {
    int count;
    etcd_status status;
    char message[ETCD_ERROR_MESSAGE_SIZE];
    bool close; /* from inside */
};

/* Servers renew every lease; `on_renewal` may do otherwise, and then returns false. */
struct lease_world {
    struct world world;
    struct etcd_loop *loop;
    etcd_client *client;
    bool (*on_renewal)(struct h2_server_stream *stream, int64_t id);
    int64_t ttl_s;       /* of ordinary answers */
    uint64_t raft_term;  /* of all answers; 0: they say none */
    int64_t special;     /* a lease of which on_renewal knows */
    const char *refusal; /* of streams, as they are opened; NULL: none */
    int refusal_code;
    const char
        *login; /* the message that refuses logins; NULL: they are granted, with "token-1", "token-2" ... */
    unsigned renewals, opened, logins;
    int stage;                    /* for on_renewal to use */
    struct world_host *last_host; /* the same */
    size_t live;                  /* allocations that an earlier test, which failed, left behind */
};

extern struct lease_world script;

int lease_world_one_host(void **state);
int lease_world_three_hosts(void **state);
/* One host, and credentials. */
int lease_world_with_user(void **state);
int lease_world_end(void **state);

void lease_world_answer(struct h2_server_stream *stream, int64_t id, int64_t ttl_s);
/* Runs engine and callbacks for so long. */
void lease_world_run(int64_t ms);
/* Starts a keep-alive that tells `ends`. */
etcd_keepalive *lease_world_keep(int64_t id, int64_t ttl_s, struct ends *ends);
void lease_world_on_end(etcd_keepalive *keepalive, etcd_status status, const etcd_error *err,
                        void *user_data);
/* Streams that the client has for renewals. */
size_t lease_world_streams(void);

#endif
