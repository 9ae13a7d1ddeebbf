/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel over the scripted network of fake_env.h, with gRPC servers at its endpoints 192.0.2.1:2379,
 * 192.0.2.2:2379 ... Unless told otherwise a server answers each message with the same message, and ends
 * the call with OK when the client half-closes.
 */
#ifndef TESTS_SUPPORT_GRPC_WORLD_H
#define TESTS_SUPPORT_GRPC_WORLD_H

#include "grpc/channel.h"
#include "support/fake_env.h"
#include "support/h2_server.h"

enum { WORLD_HOSTS = 4, WORLD_CONNECTIONS = 64 };

struct world;

struct world_connection {
    struct world_host *host;
    struct fake_peer *peer;
    struct h2_server *server; /* NULL: closed */
};

struct world_host {
    struct world *world;
    struct fake_host *net;
    struct h2_server_config config; /* of connections made from now on */
    struct h2_server_ops ops;       /* likewise; what is NULL in it does nothing */
    bool silent;                    /* reads and answers nothing, like a stopped process */
    struct world_connection connections[WORLD_CONNECTIONS];
    size_t count;
};

struct world {
    struct fake_env *fake;
    struct etcd__reactor reactor;
    struct etcd__resolver *resolver;
    struct etcd__channel_config config;
    struct etcd__channel *channel;
    struct world_host hosts[WORLD_HOSTS];
    struct etcd__endpoint endpoints[WORLD_HOSTS];
    size_t host_count;
    unsigned ups, downs; /* on_endpoint */
};

/* A call that records what happens to it. */
struct world_call {
    struct etcd__call call;
    struct etcd__outgoing outgoing;
    struct world *world;
    unsigned sents, headers, messages, ends, releases;
    char last[64]; /* the newest message */
    size_t last_len;
    struct etcd__call_end end;
    char end_message[160], end_endpoint[64];
    void (*then_message)(struct world_call *call);
    void (*then_end)(struct world_call *call);
    void *user;
};

extern const struct etcd__method world_unary, world_stream;

/* `world` is filled; config may be changed before world_open(). */
void world_init(struct world *world, size_t hosts);
/* Makes the channel with all endpoints; false when out of memory. */
bool world_open(struct world *world);
/* Frees the channel and all else; nothing may be left open. */
void world_close(struct world *world);

/* Runs until `ms` have passed. */
void world_run(struct world *world, int64_t ms);
/* Runs until the flag is not 0; fails the test when that takes longer. */
void world_until(struct world *world, const unsigned *flag, int64_t ms);
/* Runs what happens without time passing. */
void world_settle(struct world *world);

/* The server's newest connection; NULL: none was made yet. */
struct world_connection *world_newest(struct world_host *host);
/* The oldest open stream of the newest connection. */
struct h2_server_stream *world_request(struct world_host *host);
/* Writes what the server has to say. */
void world_push(struct world_connection *connection);
/* Streams that the server has open, over all its connections. */
size_t world_streams(const struct world_host *host);
/* Requests that the server has seen, over all its connections. */
size_t world_requests(const struct world_host *host);

/* The settings of a call on this world: no deadline, 1 MiB. */
struct etcd__call_config world_call_config(const struct etcd__method *method);
void world_start(struct world *world, struct world_call *call, const struct etcd__method *method);
void world_start_config(struct world *world, struct world_call *call, const struct etcd__call_config *config);
/* Sends a copy of the text; one at a time. */
void world_send(struct world_call *call, const char *text);
/* Starts a unary call with this request. */
void world_unary_call(struct world *world, struct world_call *call, const char *text);

#endif
