/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reactor.h"

#include "support/fake_env.h"
#include "support/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

/* What happened, as one letter each. */
static char trace[64];

static void note(char letter)
{
    size_t len = strlen(trace);

    assert_true(len + 1 < sizeof(trace));
    trace[len] = letter;
    trace[len + 1] = '\0';
}

struct world {
    struct fake_env *fake;
    struct etcd__reactor reactor;
};

static int start(void **state)
{
    static struct world world;

    memset(&world, 0, sizeof(world));
    world.fake = fake_env_new(1);
    etcd__reactor_init(&world.reactor, fake_env_table(world.fake));
    trace[0] = '\0';
    *state = &world;
    return 0;
}

static int stop(void **state)
{
    struct world *world = *state;

    assert_int_equal(fake_open_sockets(world->fake), 0);
    assert_int_equal(fake_misuses(world->fake), 0);
    fake_env_free(world->fake);
    return 0;
}

/* --- timers --- */

struct timer {
    struct etcd__timer timer;
    struct world *world;
    char letter;
    int repeat; /* arms itself again this many times, for a time in the past */
    struct timer *disarms;
};

static void timer_expired(struct etcd__timer *base)
{
    struct timer *timer = ETCD__CONTAINER(base, struct timer, timer);

    note(timer->letter);
    if (timer->disarms != NULL)
        etcd__timer_disarm(&timer->world->reactor, &timer->disarms->timer);
    if (timer->repeat-- > 0)
        etcd__timer_arm(&timer->world->reactor, base, fake_now(timer->world->fake) - 5);
}

static struct timer make_timer(struct world *world, char letter)
{
    return (struct timer){.timer.on_expire = timer_expired, .world = world, .letter = letter};
}

static void arm(struct timer *timer, int64_t in_ms)
{
    etcd__timer_arm(&timer->world->reactor, &timer->timer, timer->world->reactor.now_ms + in_ms);
}

static int turn(struct world *world, int64_t at_most_ms)
{
    return etcd__reactor_turn(&world->reactor, world->reactor.now_ms + at_most_ms);
}

static void timers_fire_in_order_and_on_time(void **state)
{
    struct world *world = *state;
    struct timer a = make_timer(world, 'a'), b = make_timer(world, 'b'), c = make_timer(world, 'c');
    int64_t begin = fake_now(world->fake);

    assert_true(etcd__reactor_next_ms(&world->reactor) == INT64_MAX);
    arm(&b, 200);
    arm(&a, 100);
    arm(&c, 3600000);
    assert_true(etcd__reactor_next_ms(&world->reactor) == begin + 100);
    assert_int_equal(turn(world, 50), 0);
    assert_string_equal(trace, "");
    assert_true(fake_now(world->fake) == begin + 50);
    assert_int_equal(turn(world, 100000), 0);
    assert_string_equal(trace, "a");
    assert_true(fake_now(world->fake) == begin + 100);
    arm(&b, 300); /* moves */
    fake_pass(world->fake, 3700000);
    assert_int_equal(turn(world, 0), 0);
    assert_string_equal(trace, "abc");
    assert_false(etcd__timer_armed(&a.timer));
    assert_int_equal(etcd__reactor_turn(&world->reactor, INT64_MAX), -EDEADLK); /* nothing is left */
}

static void a_past_time_fires_in_the_next_turn(void **state)
{
    struct world *world = *state;
    struct timer a = make_timer(world, 'a'), b = make_timer(world, 'b');

    a.repeat = 2;
    arm(&a, -10);
    arm(&b, 0);
    assert_string_equal(trace, "");
    turn(world, 0);
    assert_string_equal(trace, "ab");
    turn(world, 1000);
    assert_string_equal(trace, "aba");
    turn(world, 1000);
    turn(world, 1000);
    assert_string_equal(trace, "abaa");
}

static void a_timer_can_disarm_another_that_is_due(void **state)
{
    struct world *world = *state;
    struct timer a = make_timer(world, 'a'), b = make_timer(world, 'b'), c = make_timer(world, 'c');

    a.disarms = &b;
    arm(&a, 1);
    arm(&b, 2);
    arm(&c, 3);
    fake_pass(world->fake, 10);
    turn(world, 0);
    assert_string_equal(trace, "ac");
    assert_false(etcd__timer_armed(&b.timer));
    etcd__timer_disarm(&world->reactor, &b.timer);
}

/* --- tasks --- */

struct task {
    struct etcd__task task;
    struct world *world;
    char letter;
    struct task *posts, *cancels;
};

static void task_run(struct etcd__task *base)
{
    struct task *task = ETCD__CONTAINER(base, struct task, task);

    note(task->letter);
    if (task->posts != NULL)
        etcd__task_post(&task->world->reactor, &task->posts->task);
    if (task->cancels != NULL)
        etcd__task_cancel(&task->cancels->task);
}

static struct task make_task(struct world *world, char letter)
{
    return (struct task){.task.run = task_run, .world = world, .letter = letter};
}

static void tasks_run_at_the_end_of_the_turn(void **state)
{
    struct world *world = *state;
    struct task a = make_task(world, 'A'), b = make_task(world, 'B'), c = make_task(world, 'C');
    struct timer t = make_timer(world, 't');

    arm(&t, 0);
    a.posts = &c;
    etcd__task_post(&world->reactor, &a.task);
    etcd__task_post(&world->reactor, &b.task);
    etcd__task_post(&world->reactor, &a.task); /* once */
    assert_true(etcd__reactor_next_ms(&world->reactor) <= fake_now(world->fake));
    turn(world, 100000);
    assert_string_equal(trace, "tABC");
    b.cancels = &c;
    etcd__task_post(&world->reactor, &b.task);
    etcd__task_post(&world->reactor, &c.task);
    turn(world, 0);
    assert_string_equal(trace, "tABCB");
    etcd__task_cancel(&c.task);
}

/* --- descriptors --- */

struct client {
    struct etcd__io io;
    struct world *world;
    char got[64];
    ssize_t result; /* of the last recv that was not a success */
    bool connected;
    struct client *stops;
};

static const struct etcd__env_ops *ops_of(const struct client *client)
{
    return client->world->reactor.env.ops;
}

static void client_ready(struct etcd__io *io, unsigned events)
{
    struct client *client = ETCD__CONTAINER(io, struct client, io);

    if (client->stops != NULL) {
        etcd__io_stop(&client->stops->io);
        note('s');
    }
    if ((events & ETCD__WRITABLE) != 0) {
        client->result = ops_of(client)->connect_result(client->world->fake, io->fd);
        client->connected = client->result == 0;
        assert_int_equal(etcd__io_update(io, client->connected ? ETCD__READABLE : 0), 0);
    }
    if ((events & ETCD__READABLE) != 0 && client->connected) {
        char piece[16];
        ssize_t len = ops_of(client)->recv(client->world->fake, io->fd, piece, sizeof(piece));

        if (len > 0)
            strncat(client->got, piece, (size_t)len);
        else
            etcd__io_update(io, 0);
        client->result = len;
    }
}

static void client_connect(struct client *client, struct world *world, const char *ip)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(2379)};
    int fd = -1;

    memset(client, 0, sizeof(*client));
    client->world = world;
    client->io.on_ready = client_ready;
    inet_pton(AF_INET, ip, &addr.sin_addr);
    assert_int_equal(ops_of(client)->connect(world->fake, (struct sockaddr *)&addr, sizeof(addr), &fd), 0);
    assert_int_equal(etcd__io_start(&world->reactor, &client->io, fd, ETCD__WRITABLE), 0);
}

static void client_close(struct client *client)
{
    int fd = client->io.fd;

    etcd__io_stop(&client->io);
    etcd__io_stop(&client->io);
    ops_of(client)->close(client->world->fake, fd);
}

static void echo(struct fake_peer *peer)
{
    char data[64];
    size_t len = fake_peer_read(peer, data, sizeof(data));

    fake_peer_write(peer, data, len);
    if (fake_peer_ended(peer))
        note('e');
}

static void a_connection_from_begin_to_end(void **state)
{
    struct world *world = *state;
    struct fake_host *host = fake_host_add(world->fake, "192.0.2.1", 2379);
    int64_t begin = fake_now(world->fake);
    struct client client;

    host->connect_ms = 30;
    host->delay_ms = 5;
    host->on_data = echo;
    client_connect(&client, world, "192.0.2.1");
    while (!client.connected)
        assert_int_equal(turn(world, 1000), 0);
    assert_true(fake_now(world->fake) == begin + 30);
    assert_int_equal(ops_of(&client)->send(world->fake, client.io.fd, "hello", 5), 5);
    fake_limit_io(world->fake, 1, SIZE_MAX);
    while (strlen(client.got) < 5)
        assert_int_equal(turn(world, 1000), 0);
    assert_string_equal(client.got, "hello");
    assert_true(fake_now(world->fake) == begin + 40);
    fake_peer_close(fake_host_peer(host, 0));
    client.result = 1;
    while (client.result != 0)
        assert_int_equal(turn(world, 1000), 0);
    client_close(&client);
    turn(world, 10);
    assert_string_equal(trace, "e");
}

static void connections_fail_as_scripted(void **state)
{
    struct world *world = *state;
    struct fake_host *refuses = fake_host_add(world->fake, "192.0.2.1", 2379);
    struct fake_host *silent = fake_host_add(world->fake, "192.0.2.2", 2379);
    struct client clients[3];

    refuses->answer = FAKE_REFUSE;
    silent->answer = FAKE_BLACK_HOLE;
    client_connect(&clients[0], world, "192.0.2.1");
    client_connect(&clients[1], world, "192.0.2.2");
    client_connect(&clients[2], world, "192.0.2.3"); /* nobody there */
    turn(world, 1000);
    assert_int_equal(clients[0].result, -ECONNREFUSED);
    assert_int_equal(clients[2].result, -ECONNREFUSED);
    assert_int_equal(turn(world, 3600000), 0);
    assert_false(clients[1].connected);
    for (size_t i = 0; i < ETCD__COUNT(clients); i++)
        client_close(&clients[i]);
}

static void connections_break_as_scripted(void **state)
{
    struct world *world = *state;
    struct fake_host *host = fake_host_add(world->fake, "192.0.2.1", 2379);
    struct client clients[2];

    host->window = 3;
    host->on_data = echo;
    for (size_t i = 0; i < ETCD__COUNT(clients); i++)
        client_connect(&clients[i], world, "192.0.2.1");
    turn(world, 10);
    fake_peer_reset(fake_host_peer(host, 0));
    fake_peer_drop(fake_host_peer(host, 1));
    assert_null(fake_host_peer(host, 2));
    assert_int_equal(ops_of(clients)->send(world->fake, clients[1].io.fd, "hello", 5), 3);
    assert_int_equal(ops_of(clients)->send(world->fake, clients[1].io.fd, "lo", 2), -EAGAIN);
    turn(world, 10);
    turn(world, 10);
    assert_int_equal(clients[0].result, -ECONNRESET);
    assert_int_equal(ops_of(clients)->send(world->fake, clients[1].io.fd, "lo", 2), -EAGAIN);
    assert_string_equal(clients[1].got, "");
    for (size_t i = 0; i < ETCD__COUNT(clients); i++)
        client_close(&clients[i]);
}

/* Two are ready in the same turn; whichever runs first stops the other, which must not run. */
static void stopping_forgets_an_undelivered_event(void **state)
{
    struct world *world = *state;
    struct client clients[2];

    fake_host_add(world->fake, "192.0.2.1", 2379);
    client_connect(&clients[0], world, "192.0.2.1");
    client_connect(&clients[1], world, "192.0.2.1");
    clients[0].stops = &clients[1];
    clients[1].stops = &clients[0];
    turn(world, 0);
    assert_string_equal(trace, "s");
    assert_int_equal(turn(world, 1000), 0);
    client_close(&clients[0]);
    client_close(&clients[1]);
}

static void a_descriptor_may_be_idle(void **state)
{
    struct world *world = *state;
    struct client client;

    fake_host_add(world->fake, "192.0.2.1", 2379);
    client_connect(&client, world, "192.0.2.1");
    assert_int_equal(etcd__io_update(&client.io, 0), 0);
    assert_int_equal(turn(world, 1000), 0);
    assert_false(client.connected);
    assert_int_equal(etcd__io_update(&client.io, ETCD__WRITABLE), 0);
    assert_int_equal(turn(world, 1000), 0);
    assert_true(client.connected);
    client_close(&client);
    assert_int_equal(etcd__io_start(&world->reactor, &client.io, 5, ETCD__READABLE), -EBADF);
    assert_null(client.io.reactor);
    assert_int_equal(fake_misuses(world->fake), 1);
    fake_env_free(world->fake);
    world->fake = fake_env_new(1);
}

/* --- the rest of the table --- */

static void wake_ends_a_wait(void **state)
{
    struct world *world = *state;
    const struct etcd__env *env = &world->reactor.env;
    int64_t begin = fake_now(world->fake);

    env->ops->poll_wake(env->self);
    assert_int_equal(turn(world, 1000), 0);
    assert_true(fake_now(world->fake) == begin);
    env->ops->poll_deadline(env->self, begin + 10);
    assert_int_equal(turn(world, 1000), 0);
    assert_true(fake_now(world->fake) == begin + 10);
}

static void count_addresses(void *user, const struct etcd__addresses *addresses)
{
    size_t *count = user;

    *count = addresses->count;
    if (addresses->count == 0)
        note(*addresses->error);
}

static void names_are_scripted(void **state)
{
    struct world *world = *state;
    const struct etcd__env *env = &world->reactor.env;
    size_t counts[4] = {99, 99, 99, 99};
    void *handle;

    fake_name_add(world->fake, "etcd.test", "192.0.2.1");
    fake_name_add(world->fake, "etcd.test", "2001:db8::1");
    fake_name_script(world->fake, "etcd.test", 20, NULL);
    fake_name_script(world->fake, "broken.test", 0, "timed out");
    env->ops->resolve(env->self, "etcd.test", 2379, count_addresses, &counts[0], &handle);
    env->ops->resolve(env->self, "unknown.test", 2379, count_addresses, &counts[1], &handle);
    env->ops->resolve(env->self, "broken.test", 2379, count_addresses, &counts[2], &handle);
    env->ops->resolve(env->self, "etcd.test", 2379, count_addresses, &counts[3], &handle);
    env->ops->resolve_cancel(env->self, handle);
    turn(world, 19);
    assert_string_equal(trace, "nt");
    assert_int_equal(counts[0], 99);
    turn(world, 1);
    assert_int_equal(counts[0], 2);
    assert_int_equal(counts[1], 0);
    assert_int_equal(counts[2], 0);
    assert_int_equal(counts[3], 99);
}

static void chance_is_seeded_and_bounded(void **state)
{
    struct world *world = *state;
    struct fake_env *again = fake_env_new(1);
    struct etcd__reactor twin;
    size_t hits[7] = {0};

    etcd__reactor_init(&twin, fake_env_table(again));
    for (size_t i = 0; i < 7000; i++) {
        uint64_t value = etcd__reactor_random(&world->reactor, 7);

        assert_true(value == etcd__reactor_random(&twin, 7));
        assert_true(value < 7);
        hits[value]++;
    }
    for (size_t i = 0; i < 7; i++)
        assert_in_range(hits[i], 850, 1150);
    assert_true(etcd__reactor_random(&world->reactor, 1) == 0);
    etcd__reactor_random(&world->reactor, UINT64_MAX);
    fake_env_free(again);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(timers_fire_in_order_and_on_time),
        TEST(a_past_time_fires_in_the_next_turn),
        TEST(a_timer_can_disarm_another_that_is_due),
        TEST(tasks_run_at_the_end_of_the_turn),
        TEST(a_connection_from_begin_to_end),
        TEST(connections_fail_as_scripted),
        TEST(connections_break_as_scripted),
        TEST(stopping_forgets_an_undelivered_event),
        TEST(a_descriptor_may_be_idle),
        TEST(wake_ends_a_wait),
        TEST(names_are_scripted),
        TEST(chance_is_seeded_and_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
