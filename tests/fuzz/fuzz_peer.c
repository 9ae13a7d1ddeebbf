/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes from the peer of a whole client, on a scripted network: the client has a read, a write, a watch
 * and a lease under way. The input is a list of pieces, each a length and so many bytes; the next one is sent
 * when the client has become quiet, to whichever connection is the newest. A length of 0 ends the connection.
 * Every call ends within its time, the watch and the lease at the close, nothing leaks.
 */
#include "base/str.h"
#include "runtime/loop.h"
#include "support/alloc_fail.h"
#include "support/fake_env.h"

#include <etcdc.h>
#include <stdlib.h>

enum { PIECES_MAX = 64, TIMEOUT_MS = 3000, STEP_MS = 40, CONNECTIONS_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct fake_env *env;
    struct fake_host *host;
    etcd_loop *loop;
    etcd_client *client;
    size_t connections;
    unsigned ended; /* leases */
};

static void on_accept(struct fake_peer *peer)
{
    struct world *world = fake_peer_host(peer)->user;

    world->connections++;
}

/* Nobody looks at what the client says. */
static void on_data(struct fake_peer *peer)
{
    uint8_t buf[4096];

    while (fake_peer_read(peer, buf, sizeof(buf)) > 0)
        ;
}

static void nothing(void *user)
{
    (void)user;
}

static void run(struct world *world, int64_t ms)
{
    int64_t until_ms = fake_now(world->env) + ms;

    fake_at(world->env, until_ms, nothing, NULL);
    do {
        if (etcd_loop_wait(world->loop, until_ms - fake_now(world->env), NULL) != ETCD_OK)
            abort();
    } while (fake_now(world->env) < until_ms);
}

static void open_world(struct world *world)
{
    *world = (struct world){.env = fake_env_new(1)};
    world->host = fake_host_add(world->env, "192.0.2.1", 2379);
    world->host->user = world;
    world->host->on_accept = on_accept;
    world->host->on_data = on_data;
    if (etcd__loop_new_env(fake_env_table(world->env), &world->loop, NULL) != ETCD_OK ||
        etcd_client_open(ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("192.0.2.1:2379"), .loop = world->loop),
                         &world->client, NULL) != ETCD_OK)
        abort();
}

static void close_world(struct world *world)
{
    etcd_client_free(world->client);
    etcd_loop_free(world->loop);
    if (fake_open_sockets(world->env) != 0 || fake_misuses(world->env) != 0)
        abort();
    fake_env_free(world->env);
}

static void send_pieces(struct world *world, const uint8_t *data, size_t size)
{
    for (int i = 0; i < PIECES_MAX && size > 0 && world->connections < CONNECTIONS_MAX; i++) {
        struct fake_peer *peer = world->connections == 0
                                     ? NULL
                                     : fake_host_peer(world->host, world->connections - 1);
        size_t len = data[0] < size ? data[0] : size - 1;

        if (peer != NULL && !fake_peer_ended(peer)) {
            if (data[0] == 0)
                fake_peer_close(peer);
            else
                fake_peer_write(peer, data + 1, len);
        }
        data += 1 + len;
        size -= 1 + len;
        run(world, STEP_MS);
    }
}

static void on_lease_end(etcd_keepalive *keepalive, etcd_status status, const etcd_error *err, void *user)
{
    (void)keepalive;
    (void)status;
    (void)err;
    (*(unsigned *)user)++;
}

/* What a call left; looks at the result, if it has one. */
static void finish_ops(etcd_op *get, etcd_op *put)
{
    etcd_get_result *result = NULL;

    if (!etcd_op_done(get) || !etcd_op_done(put))
        abort(); /* their time is over */
    if (etcd_get_take(get, &result, NULL) == ETCD_OK)
        (void)etcd_get_result_count(result);
    etcd_get_result_free(result);
    etcd_op_free(get);
    etcd_op_free(put);
}

static void live(struct world *world, const uint8_t *data, size_t size)
{
    etcd_op *get = NULL, *put = NULL;
    etcd_watch *watch = NULL;
    etcd_keepalive *keepalive = NULL;
    etcd_events *events = NULL;

    if (etcd_get_async(world->client, etcd_cstr("k"), ETCD_GET_OPTS(.timeout_ms = TIMEOUT_MS), NULL, NULL,
                       &get, NULL) != ETCD_OK ||
        etcd_put_async(world->client, etcd_cstr("k"), etcd_cstr("v"), ETCD_PUT_OPTS(.timeout_ms = TIMEOUT_MS),
                       NULL, NULL, &put, NULL) != ETCD_OK ||
        etcd_watch_open(world->client, etcd_cstr("k"), ETCD_WATCH_OPTS(.start_revision = 5), &watch, NULL) !=
            ETCD_OK ||
        etcd_keepalive_start(world->client, (etcd_lease){.id = 7, .ttl_s = 5},
                             ETCD_KEEPALIVE_OPTS(.on_end = on_lease_end, .user_data = &world->ended),
                             &keepalive, NULL) != ETCD_OK)
        abort();
    run(world, STEP_MS);
    send_pieces(world, data, size);
    run(world, TIMEOUT_MS + STEP_MS);
    finish_ops(get, put);
    while (etcd_watch_next(watch, 0, &events, NULL) == ETCD_OK)
        etcd_events_free(events);
    etcd_watch_close(watch);
    etcd_keepalive_close(keepalive);
    if (world->ended > 1)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t allocations = alloc_live();
    struct world world;

    open_world(&world);
    live(&world, data, size);
    close_world(&world);
    if (alloc_live() != allocations)
        abort();
    return 0;
}
