/* SPDX-License-Identifier: Apache-2.0 */
#include "conn_world.h"

#include "support/socket_env.h"

#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

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
        cmocka_unit_test(unix_sockets_work),
        cmocka_unit_test(loopback_works),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
