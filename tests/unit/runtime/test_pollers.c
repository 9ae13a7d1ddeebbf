/* SPDX-License-Identifier: Apache-2.0 */
/* Both back ends, by the same rules. */
#include "runtime/poller.h"

#include "base/clock.h"
#include "support/alloc_fail.h"
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

enum { PIPES = 40, PATIENCE_MS = 20000 };

struct world {
    struct etcd__poller *poller;
    int read_ends[PIPES], write_ends[PIPES];
    bool epoll;
};

static void open_world(struct world *world, bool epoll)
{
    world->epoll = epoll;
    assert_int_equal(epoll ? etcd__poller_epoll_new(&world->poller) : etcd__poller_poll_new(&world->poller),
                     0);
    for (size_t i = 0; i < PIPES; i++) {
        int ends[2];

        assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
        world->read_ends[i] = ends[0];
        world->write_ends[i] = ends[1];
    }
}

static void close_world(struct world *world)
{
    world->poller->ops->free(world->poller);
    for (size_t i = 0; i < PIPES; i++) {
        (void)close(world->read_ends[i]);
        (void)close(world->write_ends[i]);
    }
}

static int set(struct world *world, int fd, unsigned old_events, unsigned events, void *tag)
{
    return world->poller->ops->set(world->poller, fd, old_events, events, tag);
}

static int wait_for(struct world *world, struct etcd__poll_event *events, int capacity, int timeout_ms)
{
    return world->poller->ops->wait(world->poller, events, capacity, timeout_ms);
}

static void say(int fd)
{
    assert_int_equal(write(fd, "x", 1), 1);
}

static void hear(int fd)
{
    char byte;

    assert_int_equal(read(fd, &byte, 1), 1);
}

/* ---- */

static void readiness(bool epoll)
{
    struct world world;
    struct etcd__poll_event events[4];
    int tag;

    open_world(&world, epoll);
    assert_int_equal(wait_for(&world, events, 4, 0), 0);
    assert_int_equal(set(&world, world.read_ends[0], 0, ETCD__READABLE, &tag), 0);
    assert_int_equal(wait_for(&world, events, 4, 0), 0);
    say(world.write_ends[0]);
    for (int i = 0; i < 2; i++) { /* level-triggered */
        assert_int_equal(wait_for(&world, events, 4, PATIENCE_MS), 1);
        assert_ptr_equal(events[0].tag, &tag);
        assert_int_equal(events[0].events, ETCD__READABLE);
    }
    hear(world.read_ends[0]);
    assert_int_equal(wait_for(&world, events, 4, 0), 0);
    assert_int_equal(set(&world, world.write_ends[1], 0, ETCD__READABLE | ETCD__WRITABLE, &events), 0);
    assert_int_equal(wait_for(&world, events, 4, PATIENCE_MS), 1);
    assert_ptr_equal(events[0].tag, &events);
    assert_int_equal(events[0].events & ETCD__WRITABLE, ETCD__WRITABLE);
    assert_int_equal(
        set(&world, world.write_ends[1], ETCD__READABLE | ETCD__WRITABLE, ETCD__READABLE, &events), 0);
    assert_int_equal(wait_for(&world, events, 4, 0), 0);
    assert_int_equal(set(&world, world.write_ends[1], ETCD__READABLE, 0, &events), 0);
    assert_int_equal(set(&world, world.read_ends[0], ETCD__READABLE, 0, &tag), 0);
    say(world.write_ends[0]);
    assert_int_equal(wait_for(&world, events, 4, 0), 0);
    close_world(&world);
}

static void hang_up(bool epoll)
{
    struct world world;
    struct etcd__poll_event events[4];
    int tag;

    open_world(&world, epoll);
    assert_int_equal(set(&world, world.read_ends[0], 0, ETCD__READABLE, &tag), 0);
    (void)close(world.write_ends[0]);
    assert_int_equal(wait_for(&world, events, 4, PATIENCE_MS), 1);
    assert_true((events[0].events & ETCD__READABLE) != 0);
    assert_int_equal(pipe2(world.write_ends, O_CLOEXEC), 0); /* something to close again */
    (void)close(world.write_ends[1]);
    world.write_ends[1] = dup(world.write_ends[0]);
    close_world(&world);
}

/* More is ready than there is room for: the rest comes the next time, nothing is lost. */
static void many(bool epoll)
{
    struct world world;
    struct etcd__poll_event events[8];
    bool seen[PIPES] = {false};
    size_t count = 0;

    open_world(&world, epoll);
    for (size_t i = 0; i < PIPES; i++) {
        assert_int_equal(set(&world, world.read_ends[i], 0, ETCD__READABLE, &world.read_ends[i]), 0);
        say(world.write_ends[i]);
    }
    while (count < PIPES) {
        int got = wait_for(&world, events, 8, PATIENCE_MS);

        assert_in_range(got, 1, 8);
        for (int i = 0; i < got; i++) {
            size_t index = (size_t)((int *)events[i].tag - world.read_ends);

            assert_false(seen[index]);
            seen[index] = true;
            hear(world.read_ends[index]);
            count++;
        }
    }
    /* Removing from the middle leaves the others alone. */
    for (size_t i = 0; i < PIPES; i += 2)
        assert_int_equal(set(&world, world.read_ends[i], ETCD__READABLE, 0, &world.read_ends[i]), 0);
    for (size_t i = 0; i < PIPES; i++)
        say(world.write_ends[i]);
    for (count = 0; count < PIPES / 2; count++) {
        assert_int_equal(wait_for(&world, events, 1, PATIENCE_MS), 1);
        assert_int_equal(((int *)events[0].tag - world.read_ends) % 2, 1);
        hear(*(int *)events[0].tag);
    }
    assert_int_equal(wait_for(&world, events, 8, 0), 0);
    close_world(&world);
}

static void *wake_soon(void *arg)
{
    struct etcd__poller *poller = arg;

    (void)usleep(20000);
    poller->ops->wake(poller);
    return NULL;
}

static void wake_up(bool epoll)
{
    struct world world;
    struct etcd__poll_event events[4];
    pthread_t thread;
    int64_t begin_ms = etcd__clock_ms();

    open_world(&world, epoll);
    assert_int_equal(pthread_create(&thread, NULL, wake_soon, world.poller), 0);
    assert_int_equal(wait_for(&world, events, 4, PATIENCE_MS), 0);
    assert_true(etcd__clock_ms() - begin_ms < PATIENCE_MS);
    assert_int_equal(pthread_join(thread, NULL), 0);
    /* Before the wait, any number of times: one wait ends early. */
    for (int i = 0; i < 100000; i++)
        world.poller->ops->wake(world.poller);
    assert_int_equal(wait_for(&world, events, 4, PATIENCE_MS), 0);
    begin_ms = etcd__clock_ms();
    assert_int_equal(wait_for(&world, events, 4, 50), 0);
    assert_true(etcd__clock_ms() - begin_ms >= 40);
    close_world(&world);
}

#define BOTH(name)                                \
    static void test_##name##_epoll(void **state) \
    {                                             \
        (void)state;                              \
        name(true);                               \
    }                                             \
    static void test_##name##_poll(void **state)  \
    {                                             \
        (void)state;                              \
        name(false);                              \
    }

BOTH(readiness)
BOTH(hang_up)
BOTH(many)
BOTH(wake_up)

/* ---- the single descriptor ------------------------------------------------------------------------------
 */

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};

    return poll(&entry, 1, timeout_ms) == 1;
}

static void test_the_single_descriptor(void **state)
{
    struct world world;
    struct etcd__poll_event events[4];
    int fd;

    (void)state;
    open_world(&world, true);
    fd = world.poller->ops->fd(world.poller);
    assert_false(is_readable(fd, 0));
    world.poller->ops->wake(world.poller);
    assert_true(is_readable(fd, 0));
    world.poller->ops->wake(world.poller); /* once more is nothing more */
    assert_int_equal(wait_for(&world, events, 4, 0), 0);
    assert_false(is_readable(fd, 0));
    world.poller->ops->wake(world.poller);
    assert_true(is_readable(fd, 0));
    assert_int_equal(wait_for(&world, events, 4, 0), 0);
    assert_false(is_readable(fd, 0));
    assert_int_equal(set(&world, world.read_ends[0], 0, ETCD__READABLE, &world), 0);
    say(world.write_ends[0]);
    assert_true(is_readable(fd, 0));
    hear(world.read_ends[0]);
    world.poller->ops->deadline(world.poller, etcd__clock_ms() + 50);
    world.poller->ops->deadline(world.poller, INT64_MAX); /* a later one changes nothing */
    assert_false(is_readable(fd, 0));
    assert_true(is_readable(fd, PATIENCE_MS));
    assert_int_equal(wait_for(&world, events, 4, 0), 0);
    assert_false(is_readable(fd, 0));
    world.poller->ops->deadline(world.poller, -5); /* long ago */
    assert_true(is_readable(fd, PATIENCE_MS));
    close_world(&world);
    open_world(&world, false);
    assert_int_equal(world.poller->ops->fd(world.poller), -1);
    world.poller->ops->deadline(world.poller, 0);
    close_world(&world);
}

/* What a forked child does: the set itself, which the parent may share, is not changed. */
static void test_leaving(void **state)
{
    struct world world;
    struct etcd__poll_event events[4];
    int shared;

    (void)state;
    open_world(&world, true);
    assert_int_equal(set(&world, world.read_ends[0], 0, ETCD__READABLE, &world), 0);
    shared = dup(world.poller->ops->fd(world.poller));
    world.poller->ops->leave(world.poller);
    assert_int_equal(set(&world, world.read_ends[0], ETCD__READABLE, 0, &world), -EBADF);
    assert_true(wait_for(&world, events, 4, 0) < 0);
    say(world.write_ends[0]);
    assert_true(is_readable(shared, 0));
    (void)close(shared);
    close_world(&world);
    open_world(&world, false);
    world.poller->ops->leave(world.poller);
    close_world(&world);
}

static void make_and_grow(size_t n, void *user)
{
    struct etcd__poller *poller = NULL;
    size_t before = alloc_live();
    int err = *(bool *)user ? etcd__poller_epoll_new(&poller) : etcd__poller_poll_new(&poller);

    (void)n;
    if (err == 0) {
        for (int fd = 100; fd < 140 && err == 0; fd++)
            err = *(bool *)user ? 0 : poller->ops->set(poller, fd, 0, ETCD__READABLE, &poller);
        poller->ops->free(poller);
    }
    assert_true(err == 0 || err == -ENOMEM);
    assert_int_equal(alloc_live(), before);
}

static void test_no_memory(void **state)
{
    (void)state;
    for (int epoll = 0; epoll < 2; epoll++) {
        bool which = epoll == 1;

        (void)alloc_fail_each(make_and_grow, &which);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readiness_epoll),
        cmocka_unit_test(test_readiness_poll),
        cmocka_unit_test(test_hang_up_epoll),
        cmocka_unit_test(test_hang_up_poll),
        cmocka_unit_test(test_many_epoll),
        cmocka_unit_test(test_many_poll),
        cmocka_unit_test(test_wake_up_epoll),
        cmocka_unit_test(test_wake_up_poll),
        cmocka_unit_test(test_the_single_descriptor),
        cmocka_unit_test(test_leaving),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
