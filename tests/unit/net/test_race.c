/* SPDX-License-Identifier: Apache-2.0 */
#include "net/race.h"

#include "net/addr.h"
#include "support/alloc_fail.h"
#include "support/fake_env.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { PORT = 2379 };

struct world {
    struct fake_env *fake;
    struct etcd__env_ops ops; /* the fake's, with connect recorded */
    struct etcd__reactor reactor;
    struct etcd__race race;
    size_t calls;
    int fd;
    char winner[ETCD__ADDR_TEXT_SIZE];
    int64_t began, ended;
    etcd_error err;
};

/* The attempts as "address@milliseconds " in the order in which they were made. */
static char attempts[1024];
static struct world *current;
static int (*fake_connect)(void *self, const struct sockaddr *addr, socklen_t len, int *ret_fd);
static int connect_error; /* what connect fails with at once; 0: it does not */

static int recorded_connect(void *self, const struct sockaddr *addr, socklen_t len, int *ret_fd)
{
    struct sockaddr_storage copy = {0};
    char text[ETCD__ADDR_TEXT_SIZE];
    size_t end = strlen(attempts);

    memcpy(&copy, addr, len);
    etcd__addr_text(text, sizeof(text), &copy);
    snprintf(attempts + end, sizeof(attempts) - end, "%s@%d ", text,
             (int)(current->reactor.now_ms - current->began));
    return connect_error != 0 ? connect_error : fake_connect(self, addr, len, ret_fd);
}

static int start(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    struct etcd__env env;

    if (world == NULL)
        return -1;
    world->fake = fake_env_new(1);
    env = fake_env_table(world->fake);
    world->ops = *env.ops;
    fake_connect = world->ops.connect;
    world->ops.connect = recorded_connect;
    env.ops = &world->ops;
    etcd__reactor_init(&world->reactor, env);
    attempts[0] = '\0';
    connect_error = 0;
    current = world;
    *state = world;
    return 0;
}

static int stop(void **state)
{
    struct world *world = *state;

    if (world->fd > 0)
        world->ops.close(world->fake, world->fd);
    etcd__race_cancel(&world->race);
    assert_int_equal(fake_open_sockets(world->fake), 0);
    assert_int_equal(fake_misuses(world->fake), 0);
    assert_int_equal(etcd__reactor_next_ms(&world->reactor), INT64_MAX);
    assert_int_equal(alloc_live(), 0);
    fake_env_free(world->fake);
    free(world);
    return 0;
}

static void on_done(struct etcd__race *race, int fd, const struct sockaddr_storage *addr,
                    const etcd_error *err)
{
    struct world *world = ETCD__CONTAINER(race, struct world, race);

    world->calls++;
    world->ended = world->reactor.now_ms;
    assert_int_equal(err == NULL, fd >= 0);
    assert_null(etcd__race_current(race));
    if (err != NULL) {
        world->err = *err;
        return;
    }
    world->fd = fd;
    etcd__addr_text(world->winner, sizeof(world->winner), addr);
}

/* `hosts`: numeric addresses with spaces between. */
static etcd_status race_start(struct world *world, const char *hosts)
{
    static struct sockaddr_storage list[64];
    struct etcd__addresses addresses = {.list = list};
    char copy[2048];
    char *rest = copy;
    const char *host;

    snprintf(copy, sizeof(copy), "%s", hosts);
    while ((host = strsep(&rest, " ")) != NULL)
        assert_true(etcd__addr_parse(host, PORT, &list[addresses.count++]));
    world->began = world->reactor.now_ms;
    return etcd__race_start(&world->race, &world->reactor, &addresses, on_done, NULL);
}

static void run(struct world *world)
{
    int ret;

    while ((ret = etcd__reactor_turn(&world->reactor, INT64_MAX)) == 0)
        ;
    assert_int_equal(ret, -EDEADLK);
}

static struct fake_host *add_host(struct world *world, const char *ip, enum fake_answer answer,
                                  int64_t connect_ms)
{
    struct fake_host *host = fake_host_add(world->fake, ip, PORT);

    host->answer = answer;
    host->connect_ms = connect_ms;
    return host;
}

static void the_first_that_answers_wins(void **state)
{
    struct world *world = *state;

    add_host(world, "192.0.2.1", FAKE_ACCEPT, 10);
    add_host(world, "192.0.2.2", FAKE_ACCEPT, 0);
    assert_int_equal(race_start(world, "192.0.2.1 192.0.2.2"), ETCD_OK);
    assert_int_equal(world->calls, 0);
    assert_non_null(etcd__race_current(&world->race));
    run(world);
    assert_int_equal(world->calls, 1);
    assert_string_equal(world->winner, "192.0.2.1:2379");
    assert_string_equal(attempts, "192.0.2.1:2379@0 ");
}

static void families_take_turns(void **state)
{
    struct world *world = *state;

    add_host(world, "192.0.2.1", FAKE_BLACK_HOLE, 0);
    add_host(world, "192.0.2.2", FAKE_BLACK_HOLE, 0);
    add_host(world, "192.0.2.3", FAKE_ACCEPT, 0);
    add_host(world, "2001:db8::1", FAKE_BLACK_HOLE, 0);
    add_host(world, "2001:db8::2", FAKE_BLACK_HOLE, 0);
    assert_int_equal(race_start(world, "2001:db8::1 2001:db8::2 192.0.2.1 192.0.2.2 192.0.2.3"), ETCD_OK);
    run(world);
    assert_string_equal(attempts, "[2001:db8::1]:2379@0 192.0.2.1:2379@250 [2001:db8::2]:2379@500 "
                                  "192.0.2.2:2379@750 192.0.2.3:2379@1000 ");
    assert_string_equal(world->winner, "192.0.2.3:2379");
    assert_int_equal(world->calls, 1);
    assert_int_equal(fake_open_sockets(world->fake), 1);
}

static void a_failure_starts_the_next_at_once(void **state)
{
    struct world *world = *state;

    add_host(world, "192.0.2.1", FAKE_REFUSE, 20);
    add_host(world, "192.0.2.2", FAKE_BLACK_HOLE, 0);
    add_host(world, "192.0.2.3", FAKE_ACCEPT, 7);
    assert_int_equal(race_start(world, "192.0.2.1 192.0.2.2 192.0.2.3"), ETCD_OK);
    run(world);
    /* The wait for the third begins anew with the second. */
    assert_string_equal(attempts, "192.0.2.1:2379@0 192.0.2.2:2379@20 192.0.2.3:2379@270 ");
    assert_int_equal(world->ended - world->began, 277);
}

static void a_slow_attempt_can_still_win(void **state)
{
    struct world *world = *state;

    add_host(world, "192.0.2.1", FAKE_ACCEPT, 400);
    add_host(world, "192.0.2.2", FAKE_ACCEPT, 400);
    assert_int_equal(race_start(world, "192.0.2.1 192.0.2.2"), ETCD_OK);
    run(world);
    assert_string_equal(attempts, "192.0.2.1:2379@0 192.0.2.2:2379@250 ");
    assert_string_equal(world->winner, "192.0.2.1:2379");
    assert_int_equal(world->ended - world->began, 400);
}

static void all_can_fail(void **state)
{
    struct world *world = *state;

    add_host(world, "192.0.2.1", FAKE_REFUSE, 300);
    add_host(world, "192.0.2.2", FAKE_REFUSE, 10);
    assert_int_equal(race_start(world, "192.0.2.1 192.0.2.2"), ETCD_OK);
    run(world);
    assert_int_equal(world->calls, 1);
    assert_int_equal(world->ended - world->began, 300);
    assert_int_equal(world->err.status, ETCD_E_UNAVAILABLE);
    assert_int_equal(world->err.sys_errno, ECONNREFUSED);
    assert_string_equal(world->err.message,
                        "connect to 192.0.2.1:2379: Connection refused (the last of 2 addresses)");
}

static void failures_of_connect_itself_are_reported_later(void **state)
{
    struct world *world = *state;

    connect_error = -ENETUNREACH;
    assert_int_equal(race_start(world, "192.0.2.1 2001:db8::1"), ETCD_OK);
    assert_string_equal(attempts, "192.0.2.1:2379@0 [2001:db8::1]:2379@0 ");
    assert_int_equal(world->calls, 0);
    run(world);
    assert_int_equal(world->calls, 1);
    assert_string_equal(world->err.message,
                        "connect to [2001:db8::1]:2379: Network is unreachable (the last of 2 addresses)");
}

static void many_addresses_are_cut(void **state)
{
    struct world *world = *state;
    char hosts[1024] = "";
    size_t count = 0;

    for (size_t i = 0; i < 40; i++) {
        size_t end = strlen(hosts);

        snprintf(hosts + end, sizeof(hosts) - end, "%s192.0.2.%zu", i == 0 ? "" : " ", i);
    }
    connect_error = -ENETUNREACH;
    assert_int_equal(race_start(world, hosts), ETCD_OK);
    run(world);
    for (const char *p = attempts; (p = strchr(p, '@')) != NULL; p++)
        count++;
    assert_int_equal(count, ETCD__RACE_ADDRESSES_MAX);
    assert_int_equal(world->calls, 1);
}

static void a_cancelled_race_is_silent(void **state)
{
    struct world *world = *state;

    etcd__race_cancel(&world->race); /* idle */
    add_host(world, "192.0.2.1", FAKE_BLACK_HOLE, 0);
    add_host(world, "192.0.2.2", FAKE_ACCEPT, 100);
    assert_int_equal(race_start(world, "192.0.2.1 192.0.2.2"), ETCD_OK);
    assert_int_equal(etcd__reactor_turn(&world->reactor, INT64_MAX), 0); /* the second is under way */
    assert_int_equal(fake_open_sockets(world->fake), 2);
    etcd__race_cancel(&world->race);
    run(world);
    connect_error = -ENETUNREACH;
    assert_int_equal(race_start(world, "192.0.2.1"), ETCD_OK);
    etcd__race_cancel(&world->race);
    run(world);
    assert_int_equal(world->calls, 0);
}

static void lack_of_memory_is_an_answer(void **state)
{
    struct world *world = *state;

    alloc_fail_at(1);
    assert_int_equal(race_start(world, "192.0.2.1"), ETCD_E_NO_MEMORY);
    alloc_fail_at(0);
    run(world);
    assert_int_equal(world->calls, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_that_answers_wins),
        TEST(families_take_turns),
        TEST(a_failure_starts_the_next_at_once),
        TEST(a_slow_attempt_can_still_win),
        TEST(all_can_fail),
        TEST(failures_of_connect_itself_are_reported_later),
        TEST(many_addresses_are_cut),
        TEST(a_cancelled_race_is_silent),
        TEST(lack_of_memory_is_an_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
