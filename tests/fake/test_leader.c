/* SPDX-License-Identifier: Apache-2.0 */
/* Members that have lost their leader: what needs one goes elsewhere, or ends, as the program wants it. */
#include "support/fake_client.h"

#include <stdio.h>
#include <stdlib.h>

enum { CODE_UNAVAILABLE = 14, SERVERS = 3 };

static const struct fake_step no_leader = {
    .what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: no leader"};

struct world {
    struct fake_etcd *fakes[SERVERS];
    char all[128];
    etcd_client *client;
    etcd_error err;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    for (size_t i = 0; i < SERVERS; i++) {
        size_t len = strlen(world->all);

        world->fakes[i] = fake_etcd_start();
        (void)snprintf(world->all + len, sizeof(world->all) - len, "%s%s", i == 0 ? "" : ",",
                       fake_etcd_endpoint(world->fakes[i]));
    }
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

/* Open, and connected to every server. */
static void open_client(struct world *world, const etcd_client_opts *opts)
{
    world->client = test_client_open(world->all, opts);
    assert_status(etcd_client_wait_ready(world->client, 10000, &world->err), ETCD_OK, &world->err);
    for (size_t i = 0; i < SERVERS; i++) {
        while (fake_etcd_open_connections(world->fakes[i]) == 0)
            test_pump(world->client, 5);
    }
    test_pump(world->client, 100);
}

static void lose_leader(struct world *world, size_t server)
{
    static const char *const methods[] = {"Put", "Range", "DeleteRange", "Txn", "LeaseGrant"};

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        fake_etcd_always(world->fakes[server], methods[i], &no_leader);
}

static size_t calls_of(struct world *world, const char *method)
{
    size_t calls = 0;

    for (size_t i = 0; i < SERVERS; i++)
        calls += fake_etcd_calls(world->fakes[i], method);
    return calls;
}

/* ---- what members are told ------------------------------------------------------------------------- */

static bool asks_for_leader(struct world *world, const char *method)
{
    char value[16];

    return fake_etcd_field(world->fakes[0], method, "hasleader", value, sizeof(value)) &&
           strcmp(value, "true") == 0;
}

static void test_who_asks_for_a_leader(void **state)
{
    struct world *world = *state;
    etcd_lease lease;

    world->client = test_client_open(fake_etcd_endpoint(world->fakes[0]), NULL);
    assert_status(fake_put(world->client, 5000, &world->err), ETCD_OK, &world->err);
    assert_true(asks_for_leader(world, "Put"));
    assert_status(fake_get(world->client, 5000, &world->err), ETCD_OK, &world->err);
    assert_true(asks_for_leader(world, "Range"));
    assert_status(etcd_lease_grant(world->client, 10, NULL, &lease, &world->err), ETCD_OK, &world->err);
    assert_true(asks_for_leader(world, "LeaseGrant"));
    /* Any member may answer it from what it has. */
    assert_status(
        etcd_get(world->client, etcd_cstr("k"), ETCD_GET_OPTS(.serializable = true), NULL, &world->err),
        ETCD_OK, &world->err);
    assert_false(asks_for_leader(world, "Range"));
    etcd_client_free(world->client);
    world->client = test_client_open(fake_etcd_endpoint(world->fakes[0]),
                                     ETCD_CLIENT_OPTS(.require_leader = true));
    assert_status(
        etcd_get(world->client, etcd_cstr("k"), ETCD_GET_OPTS(.serializable = true), NULL, &world->err),
        ETCD_OK, &world->err);
    assert_true(asks_for_leader(world, "Range"));
}

/* ---- one of several -------------------------------------------------------------------------------- */

/* A put is not repeatable, but was refused unprocessed: nobody sees more of it than a little time. */
static void test_another_member_has_one(void **state)
{
    struct world *world = *state;
    int64_t begin_ms;

    open_client(world, NULL);
    lose_leader(world, 0);
    lose_leader(world, 2);
    begin_ms = test_now_ms();
    for (int i = 0; i < 30; i++)
        assert_status(fake_put(world->client, 5000, &world->err), ETCD_OK, &world->err);
    assert_true(test_now_ms() - begin_ms < 1000 * ETCDC_TIME_SCALE);
    assert_int_equal(fake_etcd_done(world->fakes[1], "Put"), 30);
    /* They were found out, and left alone then. */
    assert_in_range(fake_etcd_calls(world->fakes[0], "Put"), 0, 4);
    assert_in_range(fake_etcd_calls(world->fakes[2], "Put"), 0, 4);
}

/* ---- none has one ---------------------------------------------------------------------------------- */

static void test_required(void **state)
{
    struct world *world = *state;
    int64_t begin_ms;

    open_client(world, ETCD_CLIENT_OPTS(.require_leader = true));
    for (size_t i = 0; i < SERVERS; i++)
        lose_leader(world, i);
    for (int i = 0; i < 3; i++) {
        begin_ms = test_now_ms();
        assert_status(fake_put(world->client, 20000, &world->err), ETCD_E_NO_LEADER, &world->err);
        assert_int_equal(world->err.flags, ETCD_ERROR_RETRYABLE | ETCD_ERROR_FROM_SERVER);
        assert_has_text(world->err.message, "no leader");
        assert_status(fake_get(world->client, 20000, &world->err), ETCD_E_NO_LEADER, &world->err);
        assert_true(test_now_ms() - begin_ms < 1000 * ETCDC_TIME_SCALE);
    }
    /* Nobody was asked twice for one call. */
    assert_in_range(calls_of(world, "Put"), 3, 3 * SERVERS);
    assert_in_range(calls_of(world, "Range"), 3, 3 * SERVERS);
    for (size_t i = 0; i < SERVERS; i++)
        fake_etcd_always(world->fakes[i], "Put", NULL);
    assert_status(fake_put(world->client, 5000, &world->err), ETCD_OK, &world->err);
}

static void test_not_required(void **state)
{
    enum { LIMIT_MS = 600 };
    struct world *world = *state;
    int64_t begin_ms;

    open_client(world, NULL);
    for (size_t i = 0; i < SERVERS; i++)
        lose_leader(world, i);
    begin_ms = test_now_ms();
    assert_status(fake_put(world->client, LIMIT_MS, &world->err), ETCD_E_DEADLINE, &world->err);
    assert_true(test_now_ms() - begin_ms >= LIMIT_MS);
    assert_has_text(world->err.message, "no leader");
    /* Every one has refused it. */
    assert_int_equal(world->err.flags, ETCD_ERROR_RETRYABLE);
    /* It is waited for, and found. */
    fake_etcd_always(world->fakes[1], "Put", NULL);
    assert_status(fake_put(world->client, 10000, &world->err), ETCD_OK, &world->err);
}

static void test_a_second_member_is_still_being_tried(void **state)
{
    struct world *world = *state;
    struct black_hole hole;
    char endpoints[96];

    black_hole_open(&hole);
    (void)snprintf(endpoints, sizeof(endpoints), "%s,%s", fake_etcd_endpoint(world->fakes[0]), hole.endpoint);
    lose_leader(world, 0);
    world->client = test_client_open(endpoints,
                                     ETCD_CLIENT_OPTS(.require_leader = true, .dial_timeout_ms = 500));
    /* Not before it is known that there is no other. */
    assert_status(fake_put(world->client, 10000, &world->err), ETCD_E_NO_LEADER, &world->err);
    assert_true(fake_etcd_calls(world->fakes[0], "Put") > 1);
    black_hole_close(&hole);
}

/* ---- silence --------------------------------------------------------------------------------------- */

/* Connected, answering pings, and silent about what needs the others: as a member that was cut off from them.
 */
static void test_a_silent_member_is_set_aside(void **state)
{
    struct world *world = *state;
    size_t silent = 0;

    open_client(world, NULL);
    fake_etcd_always(world->fakes[0], "Put", &(struct fake_step){.what = STEP_SILENT});
    for (int i = 0; i < 3; i++)
        silent += fake_put(world->client, 1200, &world->err) != ETCD_OK ? 1 : 0;
    assert_int_equal(silent, 1);
    for (int i = 0; i < 12; i++)
        assert_status(fake_put(world->client, 1200, &world->err), ETCD_OK, &world->err);
    assert_int_equal(fake_etcd_calls(world->fakes[0], "Put"), 1);
}

/* A read is answered by another one. */
static void test_a_slow_member_is_not_waited_for(void **state)
{
    struct world *world = *state;

    open_client(world, NULL);
    fake_etcd_always(world->fakes[0], "Range", &(struct fake_step){.what = STEP_SILENT});
    for (int i = 0; i < 3; i++)
        assert_status(fake_get(world->client, 10000, &world->err), ETCD_OK, &world->err);
    assert_int_equal(fake_etcd_calls(world->fakes[0], "Range"), 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_who_asks_for_a_leader),
        TEST(test_another_member_has_one),
        TEST(test_required),
        TEST(test_not_required),
        TEST(test_a_second_member_is_still_being_tried),
        TEST(test_a_silent_member_is_set_aside),
        TEST(test_a_slow_member_is_not_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
