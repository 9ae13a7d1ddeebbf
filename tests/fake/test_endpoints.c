/* SPDX-License-Identifier: Apache-2.0 */
/* Several endpoints: one down, one dying, all dead, and the list that the members themselves give. */
#include "support/fake_client.h"

#include <stdio.h>
#include <stdlib.h>

enum { CODE_UNAVAILABLE = 14, SERVERS = 3 };

struct world {
    struct fake_etcd *fakes[SERVERS];
    char urls[SERVERS][40];
    char all[128];
    struct fake_log log;
    etcd_error err;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    for (size_t i = 0; i < SERVERS; i++) {
        size_t len = strlen(world->all);

        world->fakes[i] = fake_etcd_start();
        (void)snprintf(world->urls[i], sizeof(world->urls[i]), "http://%s",
                       fake_etcd_endpoint(world->fakes[i]));
        (void)snprintf(world->all + len, sizeof(world->all) - len, "%s%s", i == 0 ? "" : ",",
                       fake_etcd_endpoint(world->fakes[i]));
    }
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

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

static void assert_endpoints(etcd_client *client, const char *wanted)
{
    char text[512];
    int64_t until_ms = test_deadline_ms(10000);

    do {
        test_pump(client, 10);
        (void)etcd_client_endpoints(client, text, sizeof(text));
    } while (strcmp(text, wanted) != 0 && test_now_ms() < until_ms);
    assert_string_equal(text, wanted);
}

/* ---- failing over ---------------------------------------------------------------------------------- */

static void test_the_first_is_down(void **state)
{
    struct world *world = *state;
    etcd_client *client;

    fake_etcd_listen(world->fakes[0], false);
    client = test_client_open(world->all, NULL);
    for (int i = 0; i < 10; i++)
        assert_status(fake_put(client, 10000, &world->err), ETCD_OK, &world->err);
    assert_int_equal(fake_etcd_calls(world->fakes[0], NULL), 0);
    etcd_client_free(client);
}

static void test_one_dies_and_comes_back(void **state)
{
    struct world *world = *state;
    etcd_client *client = test_client_open(world->all, NULL);

    for (int i = 0; i < 200 && fake_etcd_calls(world->fakes[1], "Range") == 0; i++)
        assert_status(fake_get(client, 10000, &world->err), ETCD_OK, &world->err);
    fake_etcd_listen(world->fakes[1], false);
    fake_etcd_cut(world->fakes[1]);
    for (int i = 0; i < 30; i++)
        assert_status(fake_get(client, 10000, &world->err), ETCD_OK, &world->err);
    fake_etcd_listen(world->fakes[1], true);
    for (size_t before = fake_etcd_calls(world->fakes[1], "Range"), i = 0;
         i < 1000 && fake_etcd_calls(world->fakes[1], "Range") == before; i++) {
        assert_status(fake_get(client, 10000, &world->err), ETCD_OK, &world->err);
        test_pump(client, 10);
    }
    assert_int_equal(fake_etcd_open_connections(world->fakes[1]), 1);
    etcd_client_free(client);
}

static void test_calls_are_spread(void **state)
{
    struct world *world = *state;
    etcd_client *client = test_client_open(world->all, NULL);

    assert_status(etcd_client_wait_ready(client, 5000, &world->err), ETCD_OK, &world->err);
    test_pump(client, 100);
    for (int i = 0; i < 30; i++)
        assert_status(fake_put(client, 10000, &world->err), ETCD_OK, &world->err);
    for (size_t i = 0; i < SERVERS; i++) {
        assert_in_range(fake_etcd_calls(world->fakes[i], "Put"), 8, 12);
        assert_int_equal(fake_etcd_connections(world->fakes[i]), 1);
    }
    etcd_client_free(client);
}

static void test_all_are_dead(void **state)
{
    struct world *world = *state;
    etcd_client *client;

    for (size_t i = 0; i < SERVERS; i++)
        fake_etcd_listen(world->fakes[i], false);
    client = test_client_open(world->all, NULL);
    assert_status(fake_put(client, 300, &world->err), ETCD_E_UNAVAILABLE, &world->err);
    assert_has_text(world->err.message, "127.0.0.1:");
    assert_has_text(world->err.message, "refused");
    for (size_t i = 0; i < SERVERS; i++)
        fake_etcd_listen(world->fakes[i], true);
    /* Reconnecting is not slow while calls wait. */
    assert_status(fake_put(client, 10000, &world->err), ETCD_OK, &world->err);
    etcd_client_free(client);
}

static void test_the_same_twice_is_one(void **state)
{
    struct world *world = *state;
    char twice[96];
    etcd_client *client;

    (void)snprintf(twice, sizeof(twice), "%s,%s", fake_etcd_endpoint(world->fakes[0]),
                   fake_etcd_endpoint(world->fakes[0]));
    client = test_client_open(twice, NULL);
    for (int i = 0; i < 10; i++)
        assert_status(fake_put(client, 10000, &world->err), ETCD_OK, &world->err);
    assert_int_equal(fake_etcd_connections(world->fakes[0]), 1);
    etcd_client_free(client);
}

/* ---- the members' own list ------------------------------------------------------------------------------
 */

static void members_are(struct world *world, const struct fake_member *members, size_t count)
{
    for (size_t i = 0; i < SERVERS; i++)
        fake_etcd_set_members(world->fakes[i], members, count);
}

static void test_sync_on_request(void **state)
{
    struct world *world = *state;
    const struct fake_member members[] = {
        {"a", world->urls[0], false}, {"b", world->urls[1], false},         {"", "http://127.0.0.1:1", false},
        {"c", world->urls[2], true},  {"d", "nonsense://127.0.0.1", false}, {"e", NULL, false},
    };
    etcd_client *client = test_client_open(fake_etcd_endpoint(world->fakes[2]), NULL);
    char wanted[128];

    members_are(world, members, sizeof(members) / sizeof(members[0]));
    assert_status(etcd_client_sync(client, 0, &world->err), ETCD_OK, &world->err);
    (void)snprintf(wanted, sizeof(wanted), "%s,%s", world->urls[0], world->urls[1]);
    assert_endpoints(client, wanted);
    for (int i = 0; i < 10; i++)
        assert_status(fake_put(client, 10000, &world->err), ETCD_OK, &world->err);
    assert_int_equal(fake_etcd_calls(world->fakes[2], "Put"), 0);
    etcd_client_free(client);
}

static void test_an_empty_list_changes_nothing(void **state)
{
    struct world *world = *state;
    const struct fake_member learners[] = {{"a", world->urls[0], true}, {"", world->urls[1], false}};
    etcd_client *client = test_client_open(fake_etcd_endpoint(world->fakes[0]), NULL);

    members_are(world, NULL, 0);
    assert_status(etcd_client_sync(client, 0, &world->err), ETCD_E_UNAVAILABLE, &world->err);
    assert_has_text(world->err.message, "no member advertises");
    members_are(world, learners, 2);
    assert_status(etcd_client_sync(client, 0, &world->err), ETCD_E_UNAVAILABLE, &world->err);
    fake_etcd_next(world->fakes[0], "MemberList", &(struct fake_step){.what = STEP_GARBAGE});
    assert_status(etcd_client_sync(client, 0, &world->err), ETCD_E_PROTOCOL, &world->err);
    assert_endpoints(client, fake_etcd_endpoint(world->fakes[0]));
    assert_status(fake_put(client, 5000, &world->err), ETCD_OK, &world->err);
    etcd_client_free(client);
}

static void test_sync_by_the_clock(void **state)
{
    struct world *world = *state;
    const struct fake_member three[] = {
        {"a", world->urls[0], false}, {"b", world->urls[1], false}, {"c", world->urls[2], false}};
    const struct fake_member two[] = {{"a", world->urls[0], false}, {"b", world->urls[1], false}};
    char wanted[160];
    etcd_client *client = test_client_open(
        fake_etcd_endpoint(world->fakes[0]),
        ETCD_CLIENT_OPTS(.auto_sync_interval_ms = 50, .log_fn = fake_log_line, .log_user_data = &world->log));
    size_t calls;

    members_are(world, three, 3);
    (void)snprintf(wanted, sizeof(wanted), "%s,%s,%s", world->urls[0], world->urls[1], world->urls[2]);
    assert_endpoints(client, wanted);
    members_are(world, two, 2);
    (void)snprintf(wanted, sizeof(wanted), "%s,%s", world->urls[0], world->urls[1]);
    assert_endpoints(client, wanted);
    /* An outage: the list stays, one line tells of it, and one of the next. */
    for (int outage = 1; outage <= 2; outage++) {
        members_are(world, NULL, 0);
        calls = calls_of(world, "MemberList");
        for (int i = 0; i < 1000 && calls_of(world, "MemberList") < calls + 5; i++)
            test_pump(client, 10);
        assert_endpoints(client, wanted);
        members_are(world, two, 2);
        calls = calls_of(world, "MemberList");
        for (int i = 0; i < 1000 && calls_of(world, "MemberList") < calls + 3; i++)
            test_pump(client, 10);
    }
    assert_status(etcd_client_close(client, &world->err), ETCD_OK, &world->err);
    assert_int_equal(world->log.warnings, 2);
    assert_int_equal(fake_log_count(&world->log, "endpoints stay"), 2);
    calls = calls_of(world, "MemberList");
    test_pump(client, 200);
    assert_int_equal(calls_of(world, "MemberList"), calls);
    etcd_client_free(client);
}

static void test_no_sync_unless_wanted(void **state)
{
    struct world *world = *state;
    etcd_client *client = test_client_open(world->all, NULL);

    assert_status(fake_put(client, 5000, &world->err), ETCD_OK, &world->err);
    test_pump(client, 300);
    assert_int_equal(calls_of(world, "MemberList"), 0);
    etcd_client_free(client);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_first_is_down),
        TEST(test_one_dies_and_comes_back),
        TEST(test_calls_are_spread),
        TEST(test_all_are_dead),
        TEST(test_the_same_twice_is_one),
        TEST(test_sync_on_request),
        TEST(test_an_empty_list_changes_nothing),
        TEST(test_sync_by_the_clock),
        TEST(test_no_sync_unless_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
