/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of connections share: a connection and a server that talk in a scripted world. */
#ifndef TESTS_UNIT_NET_CONN_WORLD_H
#define TESTS_UNIT_NET_CONN_WORLD_H

#include "net/conn.h"

#include "support/alloc_fail.h"
#include "support/certs.h"
#include "support/fake_env.h"
#include "support/test.h"
#include "support/tls_peer.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

enum { BIG = 300000, TURNS_MAX = 1000000 };

static char dir[64]; /* of the certificates */

/* The n-th byte of every stream in these tests. */
static inline char pattern(size_t n)
{
    return (char)(n * 7 + n / 251);
}

static inline char *pattern_new(size_t len)
{
    char *bytes = malloc(len);

    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = pattern(i);
    return bytes;
}

/* ---- the world of a test: one connection, one host ---- */

struct world {
    struct fake_env *fake;
    struct etcd__env_ops ops; /* of the fake, with changes */
    struct etcd__reactor reactor;
    struct etcd__resolver *resolver;
    struct etcd__endpoint endpoint;
    struct etcd__tls *tls;
    struct etcd__conn *conn;

    /* What the connection reported. */
    size_t opened, drained, closed;
    size_t received;
    etcd_error err;
    int64_t opened_at;
    /* What the owner does about it. */
    void (*on_open)(struct world *world);
    void (*on_data)(struct world *world);
    void (*on_closed)(struct world *world);

    /* The server. */
    struct tls_peer *tls_peer; /* NULL: in clear */
    struct fake_peer *peer;
    size_t served;  /* bytes that arrived */
    size_t reply;   /* bytes to send when the first ones arrived, or the handshake is done */
    bool read_only; /* does not read */
    bool quit;      /* closes once the handshake is done */
};

static inline void check_pattern(const uint8_t *data, size_t len, size_t *pos)
{
    for (size_t i = 0; i < len; i++)
        assert_int_equal((char)data[i], pattern((*pos)++));
}

static inline void conn_opened(void *user)
{
    struct world *world = user;

    world->opened++;
    world->opened_at = fake_now(world->fake);
    assert_int_equal(world->received, 0);
    if (world->on_open != NULL)
        world->on_open(world);
}

static inline void conn_data(void *user, const uint8_t *data, size_t len)
{
    struct world *world = user;

    assert_int_equal(world->opened, 1);
    assert_int_equal(world->closed, 0);
    assert_true(len > 0);
    check_pattern(data, len, &world->received);
    if (world->on_data != NULL)
        world->on_data(world);
}

static inline void conn_drained(void *user)
{
    struct world *world = user;

    assert_int_equal(world->closed, 0);
    assert_false(etcd__conn_blocked(world->conn));
    world->drained++;
}

static inline void conn_closed(void *user, const etcd_error *err)
{
    struct world *world = user;

    world->closed++;
    world->err = *err;
    if (world->on_closed != NULL)
        world->on_closed(world);
}

static const struct etcd__conn_handler handler = {conn_opened, conn_data, conn_drained, conn_closed};

static inline int start(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    struct etcd__env env;

    if (world == NULL)
        return -1;
    world->fake = fake_env_new(1);
    env = fake_env_table(world->fake);
    world->ops = *env.ops;
    env.ops = &world->ops;
    etcd__reactor_init(&world->reactor, env);
    *state = world;
    return etcd__resolver_new(&world->reactor, &world->resolver, NULL) == ETCD_OK ? 0 : -1;
}

static inline int stop(void **state)
{
    struct world *world = *state;

    etcd__conn_close(world->conn);
    assert_int_equal(fake_open_sockets(world->fake), 0);
    assert_int_equal(fake_misuses(world->fake), 0);
    assert_int_equal(etcd__reactor_next_ms(&world->reactor), INT64_MAX);
    etcd__resolver_free(world->resolver);
    etcd__endpoint_deinit(&world->endpoint);
    etcd__tls_unref(world->tls);
    tls_peer_free(world->tls_peer);
    assert_int_equal(alloc_live(), 0);
    fake_env_free(world->fake);
    free(world);
    return 0;
}

static inline etcd_status try_open(struct world *world, const char *endpoint)
{
    struct etcd__conn_config config = {
        .reactor = &world->reactor,
        .resolver = world->resolver,
        .endpoint = &world->endpoint,
        .tls = world->tls,
        .user_timeout_ms = 5000,
        .handler = &handler,
        .user = world,
    };
    etcd_status st = ETCD_OK;

    if (world->endpoint.text == NULL)
        st = etcd__endpoint_parse(endpoint, &world->endpoint, NULL);
    if (st == ETCD_OK)
        st = etcd__conn_open(&config, &world->conn, NULL);
    return st;
}

static inline void open_conn(struct world *world, const char *endpoint)
{
    assert_int_equal(try_open(world, endpoint), ETCD_OK);
    /* Nothing is called inside a call. */
    assert_int_equal(world->opened + world->closed, 0);
}

/* Turns until nothing more will happen. */
static inline void run(struct world *world)
{
    for (int i = 0; i < TURNS_MAX; i++) {
        int ret = etcd__reactor_turn(&world->reactor, INT64_MAX);

        if (ret == -EDEADLK)
            return;
        assert_int_equal(ret, 0);
    }
    fail_msg("no end");
}

static inline void run_until(struct world *world, const size_t *count, size_t value)
{
    for (int i = 0; i < TURNS_MAX && *count < value; i++)
        assert_int_equal(etcd__reactor_turn(&world->reactor, INT64_MAX), 0);
    assert_int_equal(*count, value);
}

/* ---- the server's end ---- */

static inline void send_pattern(struct world *world, size_t len)
{
    char *bytes = pattern_new(len);

    if (world->tls_peer != NULL)
        tls_peer_write(world->tls_peer, bytes, len);
    else
        fake_peer_write(world->peer, bytes, len);
    free(bytes);
}

static inline void send_tls_output(struct world *world)
{
    char bytes[4096];
    size_t len;

    while ((len = tls_peer_output(world->tls_peer, bytes, sizeof(bytes))) > 0)
        fake_peer_write(world->peer, bytes, len);
}

static inline void reply_once(struct world *world)
{
    size_t len = world->reply;

    world->reply = 0;
    if (len > 0)
        send_pattern(world, len);
}

static inline void serve_clear(struct world *world)
{
    uint8_t bytes[4096];
    size_t len;

    while ((len = fake_peer_read(world->peer, bytes, sizeof(bytes))) > 0)
        check_pattern(bytes, len, &world->served);
    if (world->served > 0)
        reply_once(world);
}

static inline void serve_tls(struct world *world)
{
    uint8_t bytes[4096];
    size_t len;

    while ((len = fake_peer_read(world->peer, bytes, sizeof(bytes))) > 0) {
        tls_peer_feed(world->tls_peer, bytes, len);
        while (tls_peer_ready(world->tls_peer) &&
               (len = tls_peer_read(world->tls_peer, bytes, sizeof(bytes))) > 0)
            check_pattern(bytes, len, &world->served);
    }
    if (tls_peer_ready(world->tls_peer)) {
        reply_once(world);
        if (world->quit)
            tls_peer_shutdown(world->tls_peer);
    }
    send_tls_output(world);
}

static inline void serve(struct fake_peer *peer)
{
    struct world *world = fake_peer_host(peer)->user;

    world->peer = peer;
    if (world->read_only)
        return;
    if (world->tls_peer != NULL)
        serve_tls(world);
    else
        serve_clear(world);
}

static inline void accept_peer(struct fake_peer *peer)
{
    ((struct world *)fake_peer_host(peer)->user)->peer = peer;
}

static inline struct fake_host *add_host(struct world *world, const char *ip)
{
    struct fake_host *host = fake_host_add(world->fake, ip, 2379);

    host->on_accept = accept_peer;
    host->on_data = serve;
    host->user = world;
    return host;
}

/* The client trusts the test's authority; the server shows this certificate. */
static inline void use_tls(struct world *world, const char *cert, const char *key, const char *alpn)
{
    struct tls_peer_options server = {.dir = dir, .cert = cert, .key = key, .alpn = alpn};
    struct etcd__tls_options options = {0};
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, CERTS_CA);
    options.ca_file = path;
    assert_int_equal(etcd__tls_new(&options, &world->tls, NULL), ETCD_OK);
    world->tls_peer = tls_peer_new(&server);
}

static inline void write_pattern(struct world *world, size_t len)
{
    char *bytes = pattern_new(len);

    assert_true(etcd__conn_write(world->conn, bytes, len));
    free(bytes);
}

static inline int make_files(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/etcdc-conn-XXXXXX");
    return mkdtemp(dir) != NULL && certs_write(dir) ? 0 : -1;
}

static inline int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static inline int remove_files(void **state)
{
    (void)state;
    return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

#endif
