/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that go to the leader, or to the nearest member; and the versions that members report. */
#include "support/fake_client.h"

#include <stdio.h>
#include <stdlib.h>

enum { CODE_PERMISSION_DENIED = 7, CODE_UNAVAILABLE = 14, SERVERS = 3, ROUNDS = 12 };

struct world {
    struct fake_etcd *fakes[SERVERS];
    char all[128];
    etcd_client *client;
    etcd_error err;
};

/* Server i is member i + 1; `leader` is one of them, or 0. */
static void elect(struct world *world, uint64_t leader, uint64_t term)
{
    for (size_t i = 0; i < SERVERS; i++)
        fake_etcd_set_status(world->fakes[i],
                             &(struct fake_status){
                                 .member_id = i + 1, .leader_id = leader, .term = term, .version = "3.5.30"});
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    for (size_t i = 0; i < SERVERS; i++) {
        size_t len = strlen(world->all);

        world->fakes[i] = fake_etcd_start();
        (void)snprintf(world->all + len, sizeof(world->all) - len, "%s%s", i == 0 ? "" : ",",
                       fake_etcd_endpoint(world->fakes[i]));
    }
    elect(world, 2, 5);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    etcd_client_free(world->client);
    for (size_t i = 0; i < SERVERS; i++)
        fake_etcd_free(world->fakes[i]);
    free(world);
    return 0;
}

static size_t calls_of(struct world *world, const char *method)
{
    size_t calls = 0;

    for (size_t i = 0; i < SERVERS; i++)
        calls += fake_etcd_calls(world->fakes[i], method);
    return calls;
}

static void connect_all(struct world *world)
{
    for (size_t i = 0; i < SERVERS; i++) {
        while (fake_etcd_open_connections(world->fakes[i]) == 0)
            test_pump(world->client, 5);
    }
    test_pump(world->client, 100);
}

static void open_client(struct world *world, etcd_prefer prefer)
{
    world->client = test_client_open(world->all, ETCD_CLIENT_OPTS(.prefer = prefer));
    assert_status(etcd_client_wait_ready(world->client, 10000, &world->err), ETCD_OK, &world->err);
    connect_all(world);
}

static void put_and_get(struct world *world)
{
    assert_status(fake_put(world->client, 5000, &world->err), ETCD_OK, &world->err);
    assert_status(fake_get(world->client, 5000, &world->err), ETCD_OK, &world->err);
}

static void get_serializable(struct world *world)
{
    assert_status(
        etcd_get(world->client, etcd_cstr("k"), ETCD_GET_OPTS(.serializable = true), NULL, &world->err),
        ETCD_OK, &world->err);
}

/* Asks for the leader, which is known a moment later. */
static void learn(struct world *world)
{
    put_and_get(world);
    test_pump(world->client, 100);
}

/* All that needs the leader goes to this server. */
static void assert_leader(struct world *world, size_t server)
{
    size_t puts = fake_etcd_calls(world->fakes[server], "Put"),
           gets = fake_etcd_calls(world->fakes[server], "Range");

    for (int i = 0; i < ROUNDS; i++)
        put_and_get(world);
    assert_int_equal(fake_etcd_calls(world->fakes[server], "Put"), puts + ROUNDS);
    assert_int_equal(fake_etcd_calls(world->fakes[server], "Range"), gets + ROUNDS);
}

static void assert_in_turn(struct world *world)
{
    size_t before[SERVERS];

    for (size_t i = 0; i < SERVERS; i++)
        before[i] = fake_etcd_calls(world->fakes[i], "Put");
    for (int i = 0; i < ROUNDS; i++)
        assert_status(fake_put(world->client, 5000, &world->err), ETCD_OK, &world->err);
    for (size_t i = 0; i < SERVERS; i++)
        assert_int_equal(fake_etcd_calls(world->fakes[i], "Put"), before[i] + ROUNDS / SERVERS);
}

/* ---- the leader ------------------------------------------------------------------------------------ */

static void test_what_needs_it_goes_to_the_leader(void **state)
{
    struct world *world = *state;
    size_t others;

    open_client(world, ETCD_PREFER_LEADER);
    assert_int_equal(calls_of(world, "Status"), 0);
    learn(world);
    assert_int_equal(calls_of(world, "Status"), SERVERS);
    assert_leader(world, 1);
    /* What any member may answer goes to all. */
    others = fake_etcd_calls(world->fakes[0], "Range");
    for (int i = 0; i < ROUNDS; i++)
        get_serializable(world);
    assert_in_range(fake_etcd_calls(world->fakes[0], "Range"), others + 3, others + 5);
    assert_int_equal(calls_of(world, "Status"), SERVERS);
}

static void test_nobody_asks_unless_wanted(void **state)
{
    struct world *world = *state;

    open_client(world, ETCD_PREFER_NONE);
    for (int i = 0; i < ROUNDS; i++)
        put_and_get(world);
    assert_int_equal(calls_of(world, "Status"), 0);
    etcd_client_free(world->client);
    open_client(world, ETCD_PREFER_LEADER);
    test_pump(world->client, 300);
    get_serializable(world);
    assert_int_equal(calls_of(world, "Status"), 0);
}

/* A new term in an answer is news. */
static void test_another_is_elected(void **state)
{
    struct world *world = *state;

    open_client(world, ETCD_PREFER_LEADER);
    learn(world);
    assert_leader(world, 1);
    test_pump(world->client, 600); /* two rounds keep a distance */
    elect(world, 3, 6);
    put_and_get(world);
    learn(world);
    assert_leader(world, 2);
    assert_int_equal(calls_of(world, "Status"), 2 * SERVERS);
}

/* One that was cut off may go on believing in itself. */
static void test_the_newest_term_decides(void **state)
{
    struct world *world = *state;

    fake_etcd_set_status(
        world->fakes[0],
        &(struct fake_status){.member_id = 1, .leader_id = 1, .term = 4, .version = "3.5.30"});
    open_client(world, ETCD_PREFER_LEADER);
    learn(world);
    assert_leader(world, 1);
}

static void test_the_leader_is_lost(void **state)
{
    struct world *world = *state;

    open_client(world, ETCD_PREFER_LEADER);
    learn(world);
    assert_leader(world, 1);
    test_pump(world->client, 600);
    fake_etcd_listen(world->fakes[1], false);
    fake_etcd_cut(world->fakes[1]);
    elect(world, 1, 6);
    test_pump(world->client, 50);
    learn(world);
    assert_leader(world, 0);
}

static void test_it_says_that_it_has_none(void **state)
{
    struct world *world = *state;

    open_client(world, ETCD_PREFER_LEADER);
    learn(world);
    test_pump(world->client, 600);
    fake_etcd_always(world->fakes[1], "Put",
                     &(struct fake_step){
                         .what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: no leader"});
    elect(world, 3, 5); /* the term did not tell */
    assert_status(fake_put(world->client, 5000, &world->err), ETCD_OK, &world->err);
    learn(world);
    assert_leader(world, 2);
}

/* ---- where it is not known ------------------------------------------------------------------------- */

static void test_the_status_is_forbidden(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < SERVERS; i++)
        fake_etcd_always(world->fakes[i], "Status",
                         &(struct fake_step){.what = STEP_STATUS,
                                             .code = CODE_PERMISSION_DENIED,
                                             .message = "etcdserver: permission denied"});
    open_client(world, ETCD_PREFER_LEADER);
    learn(world);
    assert_in_turn(world);
    test_pump(world->client, 200);
    assert_in_turn(world);
    assert_int_equal(calls_of(world, "Status"), SERVERS);
}

static void test_the_status_is_not_answered(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < SERVERS; i++)
        fake_etcd_always(world->fakes[i], "Status", &(struct fake_step){.what = STEP_SILENT});
    open_client(world, ETCD_PREFER_LEADER);
    learn(world);
    assert_in_turn(world);
}

static void test_the_leader_is_not_in_the_list(void **state)
{
    struct world *world = *state;

    elect(world, 77, 5);
    open_client(world, ETCD_PREFER_LEADER);
    learn(world);
    assert_in_turn(world);
    test_pump(world->client, 200);
    assert_in_turn(world);
    assert_int_equal(calls_of(world, "Status"), SERVERS);
}

/* It is not connected when the others are asked; it is when it comes. */
static void test_the_leader_comes_later(void **state)
{
    struct world *world = *state;

    fake_etcd_listen(world->fakes[1], false);
    world->client = test_client_open(world->all, ETCD_CLIENT_OPTS(.prefer = ETCD_PREFER_LEADER));
    assert_status(etcd_client_wait_ready(world->client, 10000, &world->err), ETCD_OK, &world->err);
    test_pump(world->client, 100);
    learn(world);
    assert_int_equal(fake_etcd_calls(world->fakes[1], "Status"), 0);
    fake_etcd_listen(world->fakes[1], true);
    connect_all(world);
    learn(world);
    assert_leader(world, 1);
}

/* Closing while members are asked. */
static void test_closed_meanwhile(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < SERVERS; i++)
        fake_etcd_always(world->fakes[i], "Status", &(struct fake_step){.what = STEP_SILENT});
    open_client(world, ETCD_PREFER_LEADER);
    put_and_get(world);
    while (calls_of(world, "Status") < SERVERS)
        test_pump(world->client, 5);
    assert_status(
        etcd_client_set_endpoints(world->client, ETCD_LIST(fake_etcd_endpoint(world->fakes[0])), &world->err),
        ETCD_OK, &world->err);
    put_and_get(world);
}

/* ---- the nearest ----------------------------------------------------------------------------------- */

static void test_the_nearest(void **state)
{
    struct world *world = *state;
    size_t puts;

    fake_etcd_always(world->fakes[0], "Range", &(struct fake_step){.delay_ms = 500});
    fake_etcd_always(world->fakes[1], "Range", &(struct fake_step){.delay_ms = 300});
    open_client(world, ETCD_PREFER_NEAREST);
    for (int i = 0; i < 60; i++)
        get_serializable(world);
    assert_in_range(fake_etcd_calls(world->fakes[0], "Range"), 1, 3);
    assert_in_range(fake_etcd_calls(world->fakes[1], "Range"), 1, 5);
    /* All else goes to all. */
    puts = calls_of(world, "Put");
    assert_in_turn(world);
    assert_int_equal(calls_of(world, "Put"), puts + ROUNDS);
}

/* ---- versions -------------------------------------------------------------------------------------- */

static void set_versions(struct world *world, const char *a, const char *b, const char *c)
{
    const char *const versions[SERVERS] = {a, b, c};

    for (size_t i = 0; i < SERVERS; i++)
        fake_etcd_set_status(
            world->fakes[i],
            &(struct fake_status){.member_id = i + 1, .leader_id = 1, .term = 2, .version = versions[i]});
}

static void test_the_lowest_version(void **state)
{
    struct world *world = *state;
    char version[16], cut[4];

    set_versions(world, "3.5.30", "3.5.9", "3.6.0-rc.1");
    world->client = test_client_open(world->all, NULL);
    assert_status(etcd_client_server_version(world->client, 0, version, sizeof(version), &world->err),
                  ETCD_OK, &world->err);
    assert_string_equal(version, "3.5.9");
    set_versions(world, "4.0.0", "10.1.2", "3.10.0");
    assert_status(etcd_client_server_version(world->client, 0, version, sizeof(version), &world->err),
                  ETCD_OK, &world->err);
    assert_string_equal(version, "3.10.0");
    assert_status(etcd_client_server_version(world->client, 0, cut, sizeof(cut), &world->err), ETCD_OK,
                  &world->err);
    assert_string_equal(cut, "3.1");
}

static void test_members_that_do_not_answer(void **state)
{
    struct world *world = *state;
    char version[16] = "unchanged";

    set_versions(world, "3.4.23", "3.5.16", "3.5.30");
    fake_etcd_listen(world->fakes[0], false);
    fake_etcd_always(world->fakes[1], "Status", &(struct fake_step){.what = STEP_SILENT});
    world->client = test_client_open(world->all, NULL);
    assert_status(etcd_client_server_version(world->client, 5000, version, sizeof(version), &world->err),
                  ETCD_OK, &world->err);
    assert_string_equal(version, "3.5.30");
    fake_etcd_listen(world->fakes[1], false);
    fake_etcd_listen(world->fakes[2], false);
    fake_etcd_cut(world->fakes[1]);
    fake_etcd_cut(world->fakes[2]);
    while (etcd_client_state_now(world->client) == ETCD_CLIENT_READY)
        test_pump(world->client, 5);
    (void)snprintf(version, sizeof(version), "unchanged");
    assert_status(etcd_client_server_version(world->client, 300, version, sizeof(version), &world->err),
                  ETCD_E_UNAVAILABLE, &world->err);
    assert_string_equal(version, "unchanged");
    assert_status(etcd_client_server_version(world->client, 0, NULL, 16, &world->err),
                  ETCD_E_INVALID_ARGUMENT, &world->err);
    assert_status(etcd_client_server_version(world->client, 0, version, 0, &world->err),
                  ETCD_E_INVALID_ARGUMENT, &world->err);
    assert_status(etcd_client_server_version(world->client, -1, version, 16, &world->err),
                  ETCD_E_INVALID_ARGUMENT, &world->err);
    assert_has_text(world->err.message, "timeout_ms is -1");
    assert_status(etcd_client_server_version(NULL, 0, version, 16, &world->err), ETCD_E_INVALID_ARGUMENT,
                  &world->err);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_needs_it_goes_to_the_leader),
        TEST(test_nobody_asks_unless_wanted),
        TEST(test_another_is_elected),
        TEST(test_the_newest_term_decides),
        TEST(test_the_leader_is_lost),
        TEST(test_it_says_that_it_has_none),
        TEST(test_the_status_is_forbidden),
        TEST(test_the_status_is_not_answered),
        TEST(test_the_leader_is_not_in_the_list),
        TEST(test_the_leader_comes_later),
        TEST(test_closed_meanwhile),
        TEST(test_the_nearest),
        TEST(test_the_lowest_version),
        TEST(test_members_that_do_not_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
