/* SPDX-License-Identifier: Apache-2.0 */
#include "net/conn.h"

#include "net/addr.h"
#include "support/alloc_fail.h"
#include "support/certs.h"
#include "support/fake_env.h"
#include "support/socket_env.h"
#include "support/test.h"
#include "support/tls_peer.h"

#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

enum { BIG = 300000, TURNS_MAX = 1000000 };

static char dir[64]; /* of the certificates */

/* The n-th byte of every stream in these tests. */
static char pattern(size_t n)
{
    return (char)(n * 7 + n / 251);
}

static char *pattern_new(size_t len)
{
    char *bytes = malloc(len);

    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = pattern(i);
    return bytes;
}

/* ---- the world of a test: one connection, one host ---- */

struct world;

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

static void check_pattern(const uint8_t *data, size_t len, size_t *pos)
{
    for (size_t i = 0; i < len; i++)
        assert_int_equal((char)data[i], pattern((*pos)++));
}

static void conn_opened(void *user)
{
    struct world *world = user;

    world->opened++;
    world->opened_at = fake_now(world->fake);
    assert_int_equal(world->received, 0);
    if (world->on_open != NULL)
        world->on_open(world);
}

static void conn_data(void *user, const uint8_t *data, size_t len)
{
    struct world *world = user;

    assert_int_equal(world->opened, 1);
    assert_int_equal(world->closed, 0);
    assert_true(len > 0);
    check_pattern(data, len, &world->received);
    if (world->on_data != NULL)
        world->on_data(world);
}

static void conn_drained(void *user)
{
    struct world *world = user;

    assert_int_equal(world->closed, 0);
    assert_false(etcd__conn_blocked(world->conn));
    world->drained++;
}

static void conn_closed(void *user, const etcd_error *err)
{
    struct world *world = user;

    world->closed++;
    world->err = *err;
    if (world->on_closed != NULL)
        world->on_closed(world);
}

static const struct etcd__conn_handler handler = {conn_opened, conn_data, conn_drained, conn_closed};

static int start(void **state)
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

static int stop(void **state)
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

static etcd_status try_open(struct world *world, const char *endpoint)
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

static void open_conn(struct world *world, const char *endpoint)
{
    assert_int_equal(try_open(world, endpoint), ETCD_OK);
    /* Nothing is called inside a call. */
    assert_int_equal(world->opened + world->closed, 0);
}

/* Turns until nothing more will happen. */
static void run(struct world *world)
{
    for (int i = 0; i < TURNS_MAX; i++) {
        int ret = etcd__reactor_turn(&world->reactor, INT64_MAX);

        if (ret == -EDEADLK)
            return;
        assert_int_equal(ret, 0);
    }
    fail_msg("no end");
}

static void run_until(struct world *world, const size_t *count, size_t value)
{
    for (int i = 0; i < TURNS_MAX && *count < value; i++)
        assert_int_equal(etcd__reactor_turn(&world->reactor, INT64_MAX), 0);
    assert_int_equal(*count, value);
}

/* ---- the server's end ---- */

static void send_pattern(struct world *world, size_t len)
{
    char *bytes = pattern_new(len);

    if (world->tls_peer != NULL)
        tls_peer_write(world->tls_peer, bytes, len);
    else
        fake_peer_write(world->peer, bytes, len);
    free(bytes);
}

static void send_tls_output(struct world *world)
{
    char bytes[4096];
    size_t len;

    while ((len = tls_peer_output(world->tls_peer, bytes, sizeof(bytes))) > 0)
        fake_peer_write(world->peer, bytes, len);
}

static void reply_once(struct world *world)
{
    size_t len = world->reply;

    world->reply = 0;
    if (len > 0)
        send_pattern(world, len);
}

static void serve_clear(struct world *world)
{
    uint8_t bytes[4096];
    size_t len;

    while ((len = fake_peer_read(world->peer, bytes, sizeof(bytes))) > 0)
        check_pattern(bytes, len, &world->served);
    if (world->served > 0)
        reply_once(world);
}

static void serve_tls(struct world *world)
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

static void serve(struct fake_peer *peer)
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

static void accept_peer(struct fake_peer *peer)
{
    ((struct world *)fake_peer_host(peer)->user)->peer = peer;
}

static struct fake_host *add_host(struct world *world, const char *ip)
{
    struct fake_host *host = fake_host_add(world->fake, ip, 2379);

    host->on_accept = accept_peer;
    host->on_data = serve;
    host->user = world;
    return host;
}

/* The client trusts the test's authority; the server shows this certificate. */
static void use_tls(struct world *world, const char *cert, const char *key, const char *alpn)
{
    struct tls_peer_options server = {.dir = dir, .cert = cert, .key = key, .alpn = alpn};
    struct etcd__tls_options options = {0};
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, CERTS_CA);
    options.ca_file = path;
    assert_int_equal(etcd__tls_new(&options, &world->tls, NULL), ETCD_OK);
    world->tls_peer = tls_peer_new(&server);
}

static void write_pattern(struct world *world, size_t len)
{
    char *bytes = pattern_new(len);

    assert_true(etcd__conn_write(world->conn, bytes, len));
    free(bytes);
}

/* ---- opening ---- */

static void opens_in_clear(void **state)
{
    struct world *world = *state;

    add_host(world, "127.0.0.1");
    open_conn(world, "127.0.0.1:2379");
    assert_string_equal(etcd__conn_phase(world->conn), "resolving 127.0.0.1");
    assert_false(etcd__conn_write(world->conn, "x", 1)); /* not yet */
    run(world);
    assert_int_equal(world->opened, 1);
    assert_string_equal(etcd__conn_phase(world->conn), "connected to 127.0.0.1:2379");
    world->reply = 1000;
    write_pattern(world, 500);
    run(world);
    assert_int_equal(world->served, 500);
    assert_int_equal(world->received, 1000);
    assert_int_equal(world->closed + world->drained, 0);
    assert_true(etcd__conn_write(world->conn, "", 0));
}

static void names_are_looked_up(void **state)
{
    struct world *world = *state;

    fake_name_add(world->fake, "etcd.test", "2001:db8::1");
    fake_name_script(world->fake, "etcd.test", 30, NULL);
    add_host(world, "2001:db8::1")->connect_ms = 20;
    open_conn(world, "etcd.test");
    assert_string_equal(etcd__conn_phase(world->conn), "resolving etcd.test");
    assert_int_equal(etcd__reactor_turn(&world->reactor, INT64_MAX), 0);
    assert_string_equal(etcd__conn_phase(world->conn), "connecting to [2001:db8::1]:2379");
    run(world);
    assert_int_equal(world->opened, 1);
    assert_string_equal(etcd__conn_phase(world->conn), "connected to [2001:db8::1]:2379");
}

static void an_unknown_name_is_reported(void **state)
{
    struct world *world = *state;

    fake_name_script(world->fake, "gone.test", 10, "no such host");
    open_conn(world, "gone.test");
    run(world);
    assert_int_equal(world->closed, 1);
    assert_int_equal(world->err.status, ETCD_E_UNAVAILABLE);
    assert_string_equal(world->err.message, "resolve gone.test: no such host");
    assert_string_equal(etcd__conn_phase(world->conn), "closed");
}

static void a_refusal_is_reported(void **state)
{
    struct world *world = *state;

    open_conn(world, "http://127.0.0.1:2379");
    run(world);
    assert_int_equal(world->closed, 1);
    assert_int_equal(world->err.status, ETCD_E_UNAVAILABLE);
    assert_int_equal(world->err.sys_errno, ECONNREFUSED);
    assert_string_equal(world->err.message, "connect to 127.0.0.1:2379: Connection refused");
}

static void the_last_refusal_is_reported(void **state)
{
    struct world *world = *state;

    fake_name_add(world->fake, "etcd.test", "192.0.2.1");
    fake_name_add(world->fake, "etcd.test", "192.0.2.2");
    add_host(world, "192.0.2.1")->answer = FAKE_REFUSE;
    open_conn(world, "etcd.test");
    run(world);
    assert_int_equal(world->closed, 1);
    assert_string_equal(world->err.message,
                        "connect to 192.0.2.2:2379: Connection refused (the last of 2 addresses)");
}

/* ---- writing ---- */

static void what_the_kernel_does_not_take_is_kept(void **state)
{
    struct world *world = *state;
    struct fake_host *host = add_host(world, "127.0.0.1");
    char *bytes = pattern_new(BIG);

    host->window = 1000;
    open_conn(world, "127.0.0.1");
    run(world);
    world->read_only = true;
    assert_true(etcd__conn_write(world->conn, bytes, 100000));
    assert_true(etcd__conn_blocked(world->conn));
    /* More while it is blocked: nothing overtakes. */
    assert_true(etcd__conn_write(world->conn, bytes + 100000, BIG - 100000));
    run(world);
    assert_int_equal(world->drained, 0);
    world->read_only = false;
    serve(world->peer);
    run(world);
    assert_int_equal(world->served, BIG);
    assert_int_equal(world->drained, 1);
    assert_false(etcd__conn_blocked(world->conn));
    free(bytes);
}

static ssize_t broken_send(void *self, int fd, const void *buf, size_t len)
{
    (void)self;
    (void)fd;
    (void)buf;
    (void)len;
    return -EPIPE;
}

static void a_failed_write_is_reported_later(void **state)
{
    struct world *world = *state;

    add_host(world, "127.0.0.1");
    open_conn(world, "127.0.0.1");
    run(world);
    world->ops.send = broken_send;
    assert_false(etcd__conn_write(world->conn, "x", 1));
    assert_false(etcd__conn_write(world->conn, "x", 1));
    assert_int_equal(world->closed, 0);
    run(world);
    assert_int_equal(world->closed, 1);
    assert_int_equal(world->err.status, ETCD_E_UNAVAILABLE);
    assert_int_equal(world->err.sys_errno, EPIPE);
    assert_string_equal(world->err.message, "write to 127.0.0.1:2379: Broken pipe");
    assert_false(etcd__conn_write(world->conn, "x", 1));
}

/* The peer says why it goes, and goes; we find out by writing. */
static void last_words_are_heard(void **state)
{
    struct world *world = *state;

    add_host(world, "127.0.0.1");
    open_conn(world, "127.0.0.1");
    run(world);
    send_pattern(world, 100);
    fake_peer_close(world->peer);
    world->ops.send = broken_send;
    assert_false(etcd__conn_write(world->conn, "x", 1));
    run(world);
    assert_int_equal(world->received, 100);
    assert_int_equal(world->closed, 1);
}

static void close_after_a_failed_write_is_silent(void **state)
{
    struct world *world = *state;

    add_host(world, "127.0.0.1");
    open_conn(world, "127.0.0.1");
    run(world);
    world->ops.send = broken_send;
    assert_false(etcd__conn_write(world->conn, "x", 1));
    etcd__conn_close(world->conn);
    world->conn = NULL;
    run(world);
    assert_int_equal(world->closed, 0);
}

/* ---- reading, and the end ---- */

static void much_is_read(void **state)
{
    struct world *world = *state;

    add_host(world, "127.0.0.1");
    open_conn(world, "127.0.0.1");
    run(world);
    send_pattern(world, BIG);
    run(world);
    assert_int_equal(world->received, BIG);
}

static void one_byte_at_a_time_is_enough(void **state)
{
    struct world *world = *state;

    add_host(world, "127.0.0.1");
    fake_limit_io(world->fake, 1, 1);
    open_conn(world, "127.0.0.1");
    run(world);
    world->reply = 2000;
    write_pattern(world, 2000);
    assert_true(etcd__conn_blocked(world->conn));
    run(world);
    assert_int_equal(world->served, 2000);
    assert_int_equal(world->received, 2000);
    assert_int_equal(world->drained, 1);
}

static void the_end_is_reported_after_the_data(void **state)
{
    struct world *world = *state;

    add_host(world, "127.0.0.1");
    open_conn(world, "127.0.0.1");
    run(world);
    send_pattern(world, 100000);
    fake_peer_close(world->peer);
    run(world);
    assert_int_equal(world->received, 100000);
    assert_int_equal(world->closed, 1);
    assert_int_equal(world->err.status, ETCD_E_UNAVAILABLE);
    assert_string_equal(world->err.message, "127.0.0.1:2379: connection closed by peer");
}

static void a_reset_is_reported(void **state)
{
    struct world *world = *state;

    add_host(world, "127.0.0.1");
    open_conn(world, "127.0.0.1");
    run(world);
    fake_peer_reset(world->peer);
    run(world);
    assert_int_equal(world->closed, 1);
    assert_string_equal(world->err.message, "read from 127.0.0.1:2379: Connection reset by peer");
    assert_int_equal(world->err.sys_errno, ECONNRESET);
}

/* ---- closing from wherever one can ---- */

static void close_now(struct world *world)
{
    struct etcd__conn *conn = world->conn;

    world->conn = NULL;
    etcd__conn_close(conn);
}

static void closing_inside_a_callback(struct world *world, void (**where)(struct world *))
{
    size_t calls;

    *where = close_now;
    open_conn(world, "https://localhost");
    run(world);
    assert_null(world->conn);
    calls = world->opened + world->received + world->drained + world->closed;
    fake_pass(world->fake, 1000);
    run(world);
    assert_int_equal(world->opened + world->received + world->drained + world->closed, calls);
}

static void may_be_closed_in_on_open(void **state)
{
    struct world *world = *state;

    fake_name_add(world->fake, "localhost", "127.0.0.1");
    add_host(world, "127.0.0.1");
    closing_inside_a_callback(world, &world->on_open);
    assert_int_equal(world->closed, 0);
}

static void may_be_closed_in_on_open_with_tls(void **state)
{
    struct world *world = *state;

    use_tls(world, CERTS_SERVER, CERTS_SERVER_KEY, "h2");
    world->reply = 100000;
    may_be_closed_in_on_open(state);
    assert_int_equal(world->received, 0);
}

static void may_be_closed_in_on_data(void **state)
{
    struct world *world = *state;

    use_tls(world, CERTS_SERVER, CERTS_SERVER_KEY, "h2");
    world->reply = 100000;
    fake_name_add(world->fake, "localhost", "127.0.0.1");
    add_host(world, "127.0.0.1");
    closing_inside_a_callback(world, &world->on_data);
    assert_true(world->received > 0 && world->received < 100000);
    assert_int_equal(world->closed, 0);
}

static void may_be_closed_in_on_closed(void **state)
{
    struct world *world = *state;

    fake_name_add(world->fake, "localhost", "127.0.0.1");
    closing_inside_a_callback(world, &world->on_closed);
    assert_int_equal(world->closed, 1);
}

/* Closes after each possible number of turns: in every state. */
static void may_be_closed_between_any_turns(void **state)
{
    struct world *world = *state;

    use_tls(world, CERTS_SERVER, CERTS_SERVER_KEY, "h2");
    fake_name_add(world->fake, "localhost", "192.0.2.1");
    fake_name_add(world->fake, "localhost", "127.0.0.1");
    fake_name_script(world->fake, "localhost", 10, NULL);
    add_host(world, "192.0.2.1")->answer = FAKE_BLACK_HOLE;
    add_host(world, "127.0.0.1")->delay_ms = 5;
    for (int turns = 0; world->opened == 0; turns++) {
        struct tls_peer_options server = {dir, CERTS_SERVER, CERTS_SERVER_KEY, NULL, "h2", 0};

        tls_peer_free(world->tls_peer);
        world->tls_peer = tls_peer_new(&server);
        open_conn(world, "https://localhost");
        for (int i = 0; i < turns; i++)
            assert_int_equal(etcd__reactor_turn(&world->reactor, INT64_MAX), 0);
        assert_true(turns < 100);
        close_now(world);
        assert_int_equal(fake_open_sockets(world->fake), 0);
        run(world);
        assert_int_equal(world->closed, 0);
    }
}

static void closing_nothing_is_fine(void **state)
{
    (void)state;
    etcd__conn_close(NULL);
}

/* ---- TLS ---- */

static void opens_with_tls(struct world *world)
{
    use_tls(world, CERTS_SERVER, CERTS_SERVER_KEY, "h2");
    fake_name_add(world->fake, "localhost", "127.0.0.1");
    add_host(world, "127.0.0.1")->delay_ms = 1;
    open_conn(world, "https://localhost");
    run(world);
    assert_int_equal(world->opened, 1);
    assert_int_equal(world->closed, 0);
    assert_string_equal(tls_peer_sni(world->tls_peer), "localhost");
}

static void tls_carries_data(void **state)
{
    struct world *world = *state;

    world->reply = BIG; /* with the last message of the handshake, before anything was asked */
    opens_with_tls(world);
    assert_int_equal(world->received, BIG);
    write_pattern(world, BIG);
    run(world);
    assert_int_equal(world->served, BIG);
    close_now(world);
    run(world);
    assert_true(tls_peer_saw_end(world->tls_peer));
}

static void tls_works_byte_by_byte(void **state)
{
    struct world *world = *state;

    fake_limit_io(world->fake, 1, 1);
    world->reply = 1000;
    opens_with_tls(world);
    write_pattern(world, 1000);
    assert_true(etcd__conn_blocked(world->conn));
    run(world);
    assert_int_equal(world->received, 1000);
    assert_int_equal(world->served, 1000);
    assert_true(world->drained >= 1); /* the end of the handshake had to wait as well */
}

static void tls_phase_is_named(void **state)
{
    struct world *world = *state;

    use_tls(world, CERTS_SERVER, CERTS_SERVER_KEY, "h2");
    add_host(world, "127.0.0.1");
    world->read_only = true;
    open_conn(world, "https://127.0.0.1");
    run(world);
    assert_int_equal(world->opened, 0);
    assert_string_equal(etcd__conn_phase(world->conn), "TLS handshake with 127.0.0.1:2379");
    fake_peer_close(world->peer);
    run(world);
    assert_string_equal(world->err.message, "TLS handshake with 127.0.0.1:2379: connection closed by peer");
    assert_int_equal(world->closed, 1);
}

static void tls_refusals_are_reported(void **state)
{
    struct world *world = *state;

    use_tls(world, CERTS_OTHER_HOST, CERTS_OTHER_HOST_KEY, "h2");
    add_host(world, "127.0.0.1");
    open_conn(world, "https://127.0.0.1");
    run(world);
    assert_int_equal(world->opened, 0);
    assert_int_equal(world->closed, 1);
    assert_int_equal(world->err.status, ETCD_E_UNAVAILABLE);
    assert_string_equal(
        world->err.message,
        "TLS handshake with 127.0.0.1:2379: certificate verify failed: not valid for 127.0.0.1 "
        "(subject CN=other server)");
    assert_true(tls_peer_failed(world->tls_peer)); /* it was told */
}

static void a_tls_goodbye_is_the_end(void **state)
{
    struct world *world = *state;

    use_tls(world, CERTS_SERVER, CERTS_SERVER_KEY, "h2");
    add_host(world, "127.0.0.1");
    world->reply = 10;
    world->quit = true;
    open_conn(world, "https://127.0.0.1");
    run(world);
    assert_int_equal(world->received, 10);
    assert_int_equal(world->closed, 1);
    assert_string_equal(world->err.message, "127.0.0.1:2379: connection closed by peer");
}

/* ---- lack of memory ---- */

static void talk(size_t n, void *user)
{
    struct world *world = user;
    struct tls_peer_options server = {dir, CERTS_SERVER, CERTS_SERVER_KEY, NULL, "h2", 0};
    bool with_tls = world->tls != NULL;
    etcd_status st;

    world->opened = world->closed = world->received = world->served = world->drained = 0;
    world->reply = 50000;
    if (with_tls) {
        tls_peer_free(world->tls_peer);
        world->tls_peer = tls_peer_new(&server);
    }
    st = try_open(world, "localhost");
    if (st == ETCD_OK) {
        char *bytes = pattern_new(50000);

        run(world);
        if (world->closed == 0 && etcd__conn_write(world->conn, bytes, 50000))
            assert_int_equal(world->opened, 1);
        run(world);
        free(bytes);
    }
    if (alloc_count() < n) {
        assert_int_equal(world->served, 50000);
        assert_int_equal(world->received, 50000);
        assert_int_equal(world->closed, 0);
    } else if (world->closed == 1 && world->err.status != ETCD_E_NO_MEMORY) {
        assert_non_null(strstr(world->err.message, "out of memory")); /* of a look-up */
    }
    close_now(world);
    run(world); /* the server hears of it before the next one comes */
}

static void survives_lack_of_memory(void **state)
{
    struct world *world = *state;

    fake_name_add(world->fake, "localhost", "127.0.0.1");
    add_host(world, "127.0.0.1")->window = 1000;
    assert_int_equal(etcd__endpoint_parse("localhost", &world->endpoint, NULL), ETCD_OK);
    assert_true(alloc_fail_each(talk, world) >= 6);
    use_tls(world, CERTS_SERVER, CERTS_SERVER_KEY, "h2");
    assert_true(alloc_fail_each(talk, world) >= 8);
}

/* ---- real sockets ---- */

struct real {
    struct socket_env *env;
    struct world world;
    int listener;
};

static void real_start(struct real *real, const struct sockaddr *addr, socklen_t len)
{
    memset(real, 0, sizeof(*real));
    real->env = socket_env_new();
    real->world.fake = fake_env_new(1);
    etcd__reactor_init(&real->world.reactor, socket_env_table(real->env));
    assert_int_equal(etcd__resolver_new(&real->world.reactor, &real->world.resolver, NULL), ETCD_OK);
    real->listener = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(real->listener >= 0);
    assert_int_equal(bind(real->listener, addr, len), 0);
    assert_int_equal(listen(real->listener, 5), 0);
}

static void real_stop(struct real *real)
{
    etcd__conn_close(real->world.conn);
    etcd__resolver_free(real->world.resolver);
    etcd__endpoint_deinit(&real->world.endpoint);
    assert_int_equal(socket_env_watched(real->env), 0);
    assert_int_equal(alloc_live(), 0);
    socket_env_free(real->env);
    fake_env_free(real->world.fake);
    close(real->listener);
}

/* The server says something and goes. */
static void real_talk(struct real *real, const char *endpoint)
{
    char *bytes = pattern_new(1000);
    int fd;

    open_conn(&real->world, endpoint);
    run_until(&real->world, &real->world.opened, 1);
    fd = accept(real->listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, 1000), 1000);
    close(fd);
    run_until(&real->world, &real->world.closed, 1);
    assert_int_equal(real->world.received, 1000);
    free(bytes);
}

static void unix_sockets_work(void **state)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char endpoint[160], message[240];
    struct real real;

    (void)state;
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/etcd.sock", dir);
    snprintf(endpoint, sizeof(endpoint), "unix://%s", addr.sun_path);
    real_start(&real, (struct sockaddr *)&addr, sizeof(addr));
    real_talk(&real, endpoint);
    assert_int_equal(socket_env_user_timeout(real.env), 0);
    snprintf(message, sizeof(message), "%s: connection closed by peer", addr.sun_path);
    assert_string_equal(real.world.err.message, message);
    real_stop(&real);

    assert_int_equal(unlink(addr.sun_path), 0);
    real_start(&real, (struct sockaddr *)&addr, sizeof(addr));
    assert_int_equal(unlink(addr.sun_path), 0);
    open_conn(&real.world, endpoint);
    run_until(&real.world, &real.world.closed, 1);
    snprintf(message, sizeof(message), "connect to %s: No such file or directory", addr.sun_path);
    assert_string_equal(real.world.err.message, message);
    real_stop(&real);
}

static void loopback_works(void **state)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    char endpoint[64];
    struct real real;

    (void)state;
    real_start(&real, (struct sockaddr *)&addr, sizeof(addr));
    assert_int_equal(getsockname(real.listener, (struct sockaddr *)&addr, &len), 0);
    snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%u", (unsigned)ntohs(addr.sin_port));
    real_talk(&real, endpoint);
    assert_int_equal(socket_env_user_timeout(real.env), 5000);
    real_stop(&real);
}

/* ---- the program ---- */

static int make_files(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/etcdc-conn-XXXXXX");
    return mkdtemp(dir) != NULL && certs_write(dir) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static int remove_files(void **state)
{
    (void)state;
    return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(opens_in_clear),
        TEST(names_are_looked_up),
        TEST(an_unknown_name_is_reported),
        TEST(a_refusal_is_reported),
        TEST(the_last_refusal_is_reported),
        TEST(what_the_kernel_does_not_take_is_kept),
        TEST(a_failed_write_is_reported_later),
        TEST(last_words_are_heard),
        TEST(close_after_a_failed_write_is_silent),
        TEST(much_is_read),
        TEST(one_byte_at_a_time_is_enough),
        TEST(the_end_is_reported_after_the_data),
        TEST(a_reset_is_reported),
        TEST(may_be_closed_in_on_open),
        TEST(may_be_closed_in_on_open_with_tls),
        TEST(may_be_closed_in_on_data),
        TEST(may_be_closed_in_on_closed),
        TEST(may_be_closed_between_any_turns),
        TEST(closing_nothing_is_fine),
        TEST(tls_carries_data),
        TEST(tls_works_byte_by_byte),
        TEST(tls_phase_is_named),
        TEST(tls_refusals_are_reported),
        TEST(a_tls_goodbye_is_the_end),
        TEST(survives_lack_of_memory),
        cmocka_unit_test(unix_sockets_work),
        cmocka_unit_test(loopback_works),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
