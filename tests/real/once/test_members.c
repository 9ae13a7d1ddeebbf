/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The members of a cluster of three: listed, updated, a learner added, promoted and removed; listed without a
 * quorum. On the oldest and on the newest server, which differ in this.
 */
#include "support/client.h"
#include "support/etcd_server.h"
#include "support/process.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

enum { PATIENCE_MS = 20000 };

struct world {
    struct etcd_server *server;
    etcd_client *client, *each[3]; /* of all members, and of one each */
    uint64_t ids[4];
    etcd_error err;
};

static const char *version; /* of this run */

static void check(struct world *world, etcd_status st, etcd_status wanted)
{
    if (st != wanted)
        fail_msg("%s instead of %s: %s", etcd_status_name(st), etcd_status_name(wanted),
                 st == ETCD_OK ? "" : world->err.message);
}

static int set_up(void **state)
{
    /* Otherwise members can only be added after they have been connected for 5 s. */
    static const char *const args[] = {"--strict-reconfig-check=false", NULL};
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    print_message("etcd %s\n", version);
    world->server =
        etcd_server_start(&(struct etcd_server_options){.version = version, .members = 3, .args = args});
    assert_non_null(world->server);
    world->client = test_client_open(etcd_server_endpoints(world->server), NULL);
    for (size_t i = 0; i < 3; i++)
        world->each[i] = test_client_open(etcd_server_endpoint(world->server, i), NULL);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    etcd_client_free(world->client);
    for (size_t i = 0; i < 3; i++)
        etcd_client_free(world->each[i]);
    etcd_server_free(world->server);
    free(world);
    return 0;
}

static etcd_members_result *list(struct world *world)
{
    etcd_members_result *members = NULL;

    check(world, etcd_member_list(world->client, NULL, &members, &world->err), ETCD_OK);
    return members;
}

/* The member of this number, by its name. */
static const etcd_member *find(const etcd_members_result *members, size_t index)
{
    char name[8];

    (void)snprintf(name, sizeof(name), "m%zu", index);
    for (size_t i = 0; i < etcd_members_result_count(members); i++) {
        if (strcmp(etcd_members_result_member(members, i)->name, name) == 0)
            return etcd_members_result_member(members, i);
    }
    fail_msg("there is no member %s", name);
    return NULL;
}

static const etcd_member *find_id(const etcd_members_result *members, uint64_t id)
{
    for (size_t i = 0; i < etcd_members_result_count(members); i++) {
        if (etcd_members_result_member(members, i)->id == id)
            return etcd_members_result_member(members, i);
    }
    return NULL;
}

static void test_list(void **state)
{
    struct world *world = *state;
    etcd_members_result *members = list(world);

    assert_int_equal(etcd_members_result_count(members), 3);
    assert_null(etcd_members_result_added(members));
    assert_true(etcd_members_result_header(members)->cluster_id != 0);
    assert_non_null(find_id(members, etcd_members_result_header(members)->member_id));
    for (size_t i = 0; i < 3; i++) {
        const etcd_member *member = find(members, i);
        char url[64];

        (void)snprintf(url, sizeof(url), "http://%s", etcd_server_endpoint(world->server, i));
        assert_string_equal(member->client_urls[0], url);
        assert_null(member->client_urls[1]);
        assert_string_equal(member->peer_urls[0], etcd_server_peer_url(world->server, i));
        assert_null(member->peer_urls[1]);
        assert_false(member->is_learner);
        world->ids[i] = member->id;
    }
    etcd_members_result_free(members);
}

/*
 * Until every member has carried out what was changed. The leader drops a change that comes before it has
 * carried out the one before, and members before 3.5 list what they know by then.
 */
static void settle(struct world *world)
{
    for (size_t i = 0; i < 3; i++)
        check(world, etcd_get(world->each[i], etcd_cstr("k"), NULL, NULL, &world->err), ETCD_OK);
}

static void test_update(void **state)
{
    struct world *world = *state;
    const char *const elsewhere[] = {"http://127.0.0.1:1", "http://127.0.0.1:2", NULL};
    const char *const back[] = {etcd_server_peer_url(world->server, 2), NULL};
    const char *const anothers[] = {etcd_server_peer_url(world->server, 1), NULL};
    etcd_members_result *members = NULL;
    const etcd_member *member;

    check(world, etcd_member_update(world->client, world->ids[2], elsewhere, NULL, &members, &world->err),
          ETCD_OK);
    member = find_id(members, world->ids[2]);
    assert_string_equal(member->peer_urls[0], elsewhere[0]);
    assert_string_equal(member->peer_urls[1], elsewhere[1]);
    etcd_members_result_free(members);
    settle(world);
    members = list(world);
    assert_string_equal(find_id(members, world->ids[2])->peer_urls[1], elsewhere[1]);
    etcd_members_result_free(members);
    check(world, etcd_member_update(world->client, world->ids[2], back, NULL, NULL, &world->err), ETCD_OK);
    settle(world);
    check(world, etcd_member_update(world->client, world->ids[2], anothers, NULL, NULL, &world->err),
          ETCD_E_EXISTS);
    settle(world);
}

static void test_who_is_not_there(void **state)
{
    struct world *world = *state;
    const char *const urls[] = {"http://127.0.0.1:1", NULL};
    const char *const known[] = {etcd_server_peer_url(world->server, 0), NULL};
    etcd_client *client = world->client;
    etcd_error *err = &world->err;

    check(world, etcd_member_remove(client, 4711, NULL, NULL, err), ETCD_E_NOT_FOUND);
    settle(world);
    check(world, etcd_member_update(client, 4711, urls, NULL, NULL, err), ETCD_E_NOT_FOUND);
    settle(world);
    check(world, etcd_member_promote(client, 4711, NULL, NULL, err), ETCD_E_NOT_FOUND);
    settle(world);
    check(world, etcd_member_promote(client, world->ids[0], NULL, NULL, err), ETCD_E_PRECONDITION);
    assert_non_null(strstr(err->message, "can only promote a learner member"));
    settle(world);
    check(world, etcd_member_add(client, known, NULL, NULL, err), ETCD_E_EXISTS);
    assert_non_null(strstr(err->message, "Peer URLs already exists"));
}

/* ---- one more -------------------------------------------------------------------------------------- */

static void add_learner(struct world *world, size_t index)
{
    const char *const urls[] = {etcd_server_peer_url(world->server, index), NULL};
    const char *const another[] = {"http://127.0.0.1:1", NULL};
    const etcd_member_add_opts *learner = ETCD_MEMBER_ADD_OPTS(.learner = true);
    etcd_members_result *members = NULL;
    const etcd_member *added;

    check(world, etcd_member_add(world->client, urls, learner, &members, &world->err), ETCD_OK);
    added = etcd_members_result_added(members);
    assert_true(added->is_learner);
    assert_string_equal(added->name, "");
    assert_string_equal(added->peer_urls[0], urls[0]);
    assert_null(added->client_urls[0]);
    assert_int_equal(etcd_members_result_count(members), 4);
    assert_true(find_id(members, added->id)->is_learner);
    world->ids[3] = added->id;
    etcd_members_result_free(members);
    settle(world);
    check(world, etcd_member_add(world->client, another, learner, NULL, &world->err), ETCD_E_PRECONDITION);
    assert_non_null(strstr(world->err.message, "too many learner members"));
}

/* Before it has caught up the answer says that it can be tried again. */
static void promote(struct world *world)
{
    int64_t deadline_ms = test_deadline_ms(PATIENCE_MS);
    etcd_members_result *members = NULL;
    etcd_status st;

    while ((st = etcd_member_promote(world->client, world->ids[3], NULL, &members, &world->err)) != ETCD_OK) {
        check(world, st, ETCD_E_PRECONDITION);
        assert_true((world->err.flags & ETCD_ERROR_RETRYABLE) != 0);
        assert_true(test_poll_again(deadline_ms));
    }
    assert_int_equal(etcd_members_result_count(members), 4);
    assert_false(find_id(members, world->ids[3])->is_learner);
    etcd_members_result_free(members);
}

/* A learner answers nothing but serializable reads; who also knows others gets its answers from them. */
static void check_learner_reads(struct world *world, size_t index)
{
    etcd_client *client = test_client_open(etcd_server_endpoint(world->server, index), NULL);
    int64_t deadline_ms = test_deadline_ms(PATIENCE_MS);

    while (etcd_get(client, etcd_cstr("k"), ETCD_GET_OPTS(.serializable = true), NULL, &world->err) !=
           ETCD_OK)
        assert_true(test_poll_again(deadline_ms));
    check(
        world,
        etcd_put(client, etcd_cstr("k"), etcd_cstr("v"), ETCD_PUT_OPTS(.timeout_ms = 200), NULL, &world->err),
        ETCD_E_DEADLINE);
    assert_non_null(strstr(world->err.message, "rpc not supported for learner"));
    etcd_client_free(client);
}

static void test_learner(void **state)
{
    struct world *world = *state;
    size_t index = etcd_server_prepare(world->server);

    add_learner(world, index);
    settle(world);
    check(world, etcd_member_promote(world->client, world->ids[3], NULL, NULL, &world->err),
          ETCD_E_PRECONDITION);
    assert_non_null(strstr(world->err.message, "in sync with leader"));
    assert_true((world->err.flags & ETCD_ERROR_RETRYABLE) != 0);
    assert_true(etcd_server_restart(world->server, index));
    check_learner_reads(world, index);
    promote(world);
    assert_true(etcd_server_wait(world->server, index));
}

static void test_remove(void **state)
{
    struct world *world = *state;
    etcd_members_result *members = NULL;

    check(world, etcd_member_remove(world->client, world->ids[3], NULL, &members, &world->err), ETCD_OK);
    assert_int_equal(etcd_members_result_count(members), 3);
    assert_null(find_id(members, world->ids[3]));
    etcd_members_result_free(members);
    settle(world);
    check(world, etcd_member_remove(world->client, world->ids[3], NULL, NULL, &world->err), ETCD_E_NOT_FOUND);
    settle(world);
    members = list(world);
    assert_int_equal(etcd_members_result_count(members), 3);
    etcd_members_result_free(members);
}

/* A voting member, told of before it is there. */
static void test_add_and_remove(void **state)
{
    struct world *world = *state;
    const char *const urls[] = {"http://127.0.0.1:1", NULL};
    etcd_members_result *members = NULL;
    uint64_t id;

    check(world, etcd_member_add(world->client, urls, NULL, &members, &world->err), ETCD_OK);
    assert_int_equal(etcd_members_result_count(members), 4);
    id = etcd_members_result_added(members)->id;
    assert_false(find_id(members, id)->is_learner);
    assert_string_equal(find_id(members, id)->peer_urls[0], urls[0]);
    etcd_members_result_free(members);
    settle(world);
    check(world, etcd_member_remove(world->client, id, NULL, NULL, &world->err), ETCD_OK);
}

/* ---- without a quorum ------------------------------------------------------------------------------ */

static void test_list_without_a_quorum(void **state)
{
    struct world *world = *state;
    etcd_client *client = test_client_open(etcd_server_endpoint(world->server, 0), NULL);
    etcd_members_result *members = NULL;
    etcd_status st;

    check(world, etcd_member_list(client, NULL, NULL, &world->err), ETCD_OK);
    assert_true(etcd_server_kill(world->server, 1) && etcd_server_kill(world->server, 2));
    check(world, etcd_member_list(client, ETCD_MEMBER_LIST_OPTS(.serializable = true), &members, &world->err),
          ETCD_OK);
    assert_int_equal(etcd_members_result_count(members), 3);
    etcd_members_result_free(members);
    st = etcd_member_list(client, ETCD_MEMBER_LIST_OPTS(.timeout_ms = 700), NULL, &world->err);
    check(world, st, etcd_server_at_least(world->server, 3, 5, 0) ? ETCD_E_DEADLINE : ETCD_OK);
    etcd_client_free(client);
}

/* A cluster that checks first, as is usual, wants all its members connected. */
static void test_a_member_is_down(void **state)
{
    const char *const urls[] = {"http://127.0.0.1:1", NULL};
    struct world own = {
        .server = etcd_server_start(&(struct etcd_server_options){.version = version, .members = 3})};

    (void)state;
    assert_non_null(own.server);
    own.client = test_client_open(etcd_server_endpoint(own.server, 0), NULL);
    for (size_t i = 0; i < 3; i++) {
        etcd_members_result *members = list(&own);

        own.ids[i] = find(members, i)->id;
        etcd_members_result_free(members);
    }
    assert_true(etcd_server_kill(own.server, 2) && etcd_server_wait(own.server, 0));
    check(&own, etcd_member_add(own.client, urls, NULL, NULL, &own.err), ETCD_E_UNAVAILABLE);
    assert_non_null(strstr(own.err.message, "unhealthy cluster"));
    assert_int_equal(own.err.flags, ETCD_ERROR_FROM_SERVER | ETCD_ERROR_RETRYABLE);
    check(&own, etcd_member_remove(own.client, own.ids[1], NULL, NULL, &own.err), ETCD_E_UNAVAILABLE);
    check(&own, etcd_member_remove(own.client, own.ids[2], NULL, NULL, &own.err), ETCD_OK);
    etcd_client_free(own.client);
    etcd_server_free(own.server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_update),
        cmocka_unit_test(test_who_is_not_there),
        cmocka_unit_test(test_learner),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_add_and_remove),
        cmocka_unit_test(test_list_without_a_quorum),
        cmocka_unit_test(test_a_member_is_down),
    };
    const char *const *versions = etcd_server_versions();
    int failed;

    version = versions[0];
    failed = cmocka_run_group_tests(tests, set_up, tear_down);
    while (versions[1] != NULL)
        versions++;
    if (version != versions[0]) {
        version = versions[0];
        failed += cmocka_run_group_tests(tests, set_up, tear_down);
    }
    return failed;
}
