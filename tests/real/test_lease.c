/* SPDX-License-Identifier: Apache-2.0 */
/* Leases and keep-alives against real servers. */
#include "client/client.h"
#include "support/client.h"
#include "support/etcd_server.h"
#include "support/matrix.h"
#include "support/process.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

enum { SCALE = ETCDC_TIME_SCALE };

struct world {
    struct etcd_server *server;
    etcd_client *client;
};

/* What on_end was told. */
struct ends {
    atomic_int count;
    etcd_status status;
    char message[ETCD_ERROR_MESSAGE_SIZE];
    bool close; /* from inside */
};

/* Outlives its test, so that one that fails in the middle leaves no callback without ground under it. */
static struct ends *new_ends(size_t count)
{
    static struct ends pool[512];
    static size_t used;

    assert_true(used + count <= sizeof(pool) / sizeof(pool[0]));
    used += count;
    return &pool[used - count];
}

static int set_up_with(void **state, const struct etcd_server_options *options)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    world->server = etcd_server_start(options);
    assert_non_null(world->server);
    if (!options->auth)
        world->client = test_client_open(etcd_server_endpoints(world->server), NULL);
    *state = world;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, &(struct etcd_server_options){.version = test_version()});
}

static int set_up_three(void **state)
{
    return set_up_with(state, &(struct etcd_server_options){.version = test_version(), .members = 3});
}

static int tear_down(void **state)
{
    struct world *world = *state;

    etcd_client_free(world->client);
    etcd_server_free(world->server);
    free(world);
    return 0;
}

static etcd_client *client_of(void **state)
{
    return ((struct world *)*state)->client;
}

static void ok(etcd_status status, const etcd_error *err)
{
    if (status != ETCD_OK)
        fail_msg("%s: %s", etcd_status_name(status), err->message);
}

static etcd_lease grant(etcd_client *client, int64_t ttl_s)
{
    etcd_lease lease = {0, 0};
    etcd_error err;

    ok(etcd_lease_grant(client, ttl_s, NULL, &lease, &err), &err);
    assert_true(lease.id > 0);
    assert_true(lease.ttl_s >= ttl_s);
    return lease;
}

static void put_leased(etcd_client *client, const char *key, etcd_lease lease)
{
    etcd_error err;

    ok(etcd_put(client, etcd_cstr(key), etcd_cstr("here"), ETCD_PUT_OPTS(.lease_id = lease.id), NULL, &err),
       &err);
}

static bool is_there(etcd_client *client, const char *key)
{
    etcd_get_result *result = NULL;
    etcd_error err;
    bool there;

    ok(etcd_get(client, etcd_cstr(key), NULL, &result, &err), &err);
    there = etcd_get_result_count(result) == 1;
    etcd_get_result_free(result);
    return there;
}

static etcd_status look(etcd_client *client, etcd_lease lease)
{
    return etcd_lease_time_to_live(client, lease.id, NULL, NULL, NULL);
}

static void on_end(etcd_keepalive *keepalive, etcd_status status, const etcd_error *err, void *user_data)
{
    struct ends *ends = user_data;

    ends->status = status;
    (void)snprintf(ends->message, sizeof(ends->message), "%s", err->message);
    if (ends->close)
        etcd_keepalive_close(keepalive);
    (void)atomic_fetch_add(&ends->count, 1);
}

static etcd_keepalive *keep(etcd_client *client, etcd_lease lease, struct ends *ends)
{
    etcd_keepalive *keepalive = NULL;
    etcd_error err;

    ok(etcd_keepalive_start(client, lease, ETCD_KEEPALIVE_OPTS(.on_end = on_end, .user_data = ends),
                            &keepalive, &err),
       &err);
    return keepalive;
}

static void wait_end(etcd_client *client, struct ends *ends, int64_t within_ms)
{
    int64_t until_ms = test_now_ms() + within_ms * SCALE;

    while (atomic_load(&ends->count) == 0) {
        if (test_now_ms() > until_ms)
            fail_msg("no end within %lld ms", (long long)within_ms);
        test_pump(client, 20);
    }
}

/* The time since which the lease was not renewed shows in what is left of it. */
static void assert_renewed(etcd_client *client, etcd_lease lease)
{
    etcd_ttl_result *result = NULL;
    etcd_error err;

    ok(etcd_lease_time_to_live(client, lease.id, NULL, &result, &err), &err);
    assert_true(etcd_ttl_result_ttl_s(result) >= lease.ttl_s / 2 - 1);
    etcd_ttl_result_free(result);
}

/* ---- calls ----------------------------------------------------------------------------------------- */

static void test_grant_says_what_the_server_chose(void **state)
{
    etcd_lease lease = grant(client_of(state), 1);
    etcd_error err;

    assert_true(lease.ttl_s >= 2);
    ok(etcd_lease_grant(client_of(state), 100, NULL, NULL, &err), &err);
}

static void test_grant_refuses_bad_ttls(void **state)
{
    static const int64_t bad[] = {0, -1, INT64_MIN, ETCD_LEASE_TTL_MAX + 1, INT64_MAX};
    etcd_lease lease = {1, 2};
    etcd_error err;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(etcd_lease_grant(client_of(state), bad[i], NULL, &lease, &err),
                         ETCD_E_INVALID_ARGUMENT);
        assert_int_equal(lease.id, 1);
        assert_non_null(strstr(err.message, "ttl_s"));
    }
    ok(etcd_lease_grant(client_of(state), ETCD_LEASE_TTL_MAX, NULL, &lease, &err), &err);
    assert_int_equal(lease.ttl_s, ETCD_LEASE_TTL_MAX);
    ok(etcd_lease_revoke(client_of(state), lease.id, NULL, &err), &err);
}

static void test_grant_takes_an_id(void **state)
{
    etcd_lease lease = {0, 0};
    etcd_error err;

    ok(etcd_lease_grant(client_of(state), 60, ETCD_LEASE_OPTS(.id = 0x1234567890), &lease, &err), &err);
    assert_int_equal(lease.id, 0x1234567890);
    assert_int_equal(lease.ttl_s, 60);
    assert_int_equal(
        etcd_lease_grant(client_of(state), 60, ETCD_LEASE_OPTS(.id = 0x1234567890), &lease, &err),
        ETCD_E_EXISTS);
    assert_int_equal(err.flags & ETCD_ERROR_MAYBE_APPLIED, 0);
    ok(etcd_lease_revoke(client_of(state), lease.id, NULL, &err), &err);
    assert_int_equal(etcd_lease_revoke(client_of(state), lease.id, NULL, &err), ETCD_E_LEASE_NOT_FOUND);
    assert_int_equal(etcd_lease_revoke(client_of(state), 0, NULL, &err), ETCD_E_INVALID_ARGUMENT);
}

static void test_async_grant_is_taken_once(void **state)
{
    etcd_lease lease = {0, 0};
    etcd_op *op = NULL;
    etcd_error err;

    ok(etcd_lease_grant_async(client_of(state), 30, NULL, NULL, NULL, &op, &err), &err);
    ok(etcd_op_wait(op, ETCD_TIMEOUT_NONE, &err), &err);
    ok(etcd_lease_grant_take(op, &lease, &err), &err);
    assert_int_equal(lease.ttl_s, 30);
    assert_int_equal(etcd_lease_grant_take(op, &lease, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_lease_list_take(op, NULL, &err), ETCD_E_INVALID_ARGUMENT);
    etcd_op_free(op);

    ok(etcd_lease_revoke_async(client_of(state), lease.id, NULL, NULL, NULL, &op, &err), &err);
    ok(etcd_op_wait(op, ETCD_TIMEOUT_NONE, &err), &err);
    ok(etcd_op_status(op, &err), &err);
    etcd_op_free(op);
}

static void test_time_to_live(void **state)
{
    etcd_lease lease = grant(client_of(state), 100);
    etcd_ttl_result *result = NULL;
    etcd_error err;

    put_leased(client_of(state), "ttl/a", lease);
    put_leased(client_of(state), "ttl/b", lease);
    ok(etcd_lease_time_to_live(client_of(state), lease.id, NULL, &result, &err), &err);
    assert_int_equal(etcd_ttl_result_granted_ttl_s(result), 100);
    assert_in_range(etcd_ttl_result_ttl_s(result), 90, 100);
    assert_int_equal(etcd_ttl_result_key_count(result), 0);
    etcd_ttl_result_free(result);

    ok(etcd_lease_time_to_live(client_of(state), lease.id, ETCD_LEASE_OPTS(.keys = true), &result, &err),
       &err);
    assert_int_equal(etcd_ttl_result_key_count(result), 2);
    for (size_t i = 0; i < 2; i++)
        assert_memory_equal(etcd_ttl_result_key(result, i).data, "ttl/", 4);
    assert_int_equal(etcd_ttl_result_key(result, 2).len, 0);
    etcd_ttl_result_free(result);

    ok(etcd_lease_revoke(client_of(state), lease.id, NULL, &err), &err);
    assert_false(is_there(client_of(state), "ttl/a"));
    assert_int_equal(etcd_lease_time_to_live(client_of(state), lease.id, NULL, &result, &err),
                     ETCD_E_LEASE_NOT_FOUND);
    assert_non_null(strstr(err.message, "lease time to live"));
}

static void test_list(void **state)
{
    etcd_lease lease = grant(client_of(state), 100);
    etcd_leases_result *result = NULL;
    etcd_error err;
    bool found = false;

    ok(etcd_lease_list(client_of(state), NULL, &result, &err), &err);
    for (size_t i = 0; i < etcd_leases_result_count(result); i++)
        found = found || etcd_leases_result_id(result, i) == lease.id;
    assert_true(found);
    assert_int_equal(etcd_leases_result_id(result, etcd_leases_result_count(result)), 0);
    etcd_leases_result_free(result);
}

static void test_key_goes_with_its_lease(void **state)
{
    int64_t begun_ms = test_now_ms();
    etcd_lease lease = grant(client_of(state), 2);

    put_leased(client_of(state), "gone", lease);
    assert_true(is_there(client_of(state), "gone"));
    while (is_there(client_of(state), "gone")) {
        assert_true(test_now_ms() - begun_ms < 4000 * SCALE);
        test_pump(client_of(state), 50);
    }
    assert_true(test_now_ms() - begun_ms >= 1900);
}

/* ---- keep-alive ------------------------------------------------------------------------------------ */

static void test_keepalive_keeps(void **state)
{
    struct ends *ends = new_ends(1);
    etcd_lease lease = grant(client_of(state), 2);
    etcd_keepalive *keepalive = keep(client_of(state), lease, ends);
    int64_t until_ms;

    assert_int_equal(etcd_keepalive_lease_id(keepalive), lease.id);
    put_leased(client_of(state), "kept", lease);
    until_ms = test_now_ms() + 5 * lease.ttl_s * 1000;
    while (test_now_ms() < until_ms) {
        test_pump(client_of(state), 200);
        assert_in_range(etcd_keepalive_remaining_ms(keepalive), 1, lease.ttl_s * 1000);
        assert_true(is_there(client_of(state), "kept"));
    }
    assert_int_equal(ends->count, 0);
    etcd_keepalive_close(keepalive);
    until_ms = test_now_ms() + 6000 * SCALE;
    while (is_there(client_of(state), "kept")) {
        assert_true(test_now_ms() < until_ms);
        test_pump(client_of(state), 50);
    }
    assert_int_equal(ends->count, 0);
}

static void test_revoked_elsewhere(void **state)
{
    struct ends *ends = new_ends(1);
    etcd_lease lease = grant(client_of(state), 3);
    etcd_keepalive *keepalive = keep(client_of(state), lease, ends);
    etcd_error err;

    test_pump(client_of(state), 300);
    assert_true(etcd_keepalive_remaining_ms(keepalive) > 0);
    ok(etcd_lease_revoke(client_of(state), lease.id, NULL, &err), &err);
    wait_end(client_of(state), ends, 3000);
    assert_int_equal(ends->status, ETCD_E_LEASE_LOST);
    assert_int_equal(etcd_keepalive_remaining_ms(keepalive), 0);
    test_pump(client_of(state), 1500);
    assert_int_equal(ends->count, 1);
    etcd_keepalive_close(keepalive);
    assert_int_equal(ends->count, 1);
}

static void test_a_stale_lease_is_noticed_at_once(void **state)
{
    struct ends *ends = new_ends(1);

    ends->close = true;
    (void)keep(client_of(state), (etcd_lease){.id = 0x7fff0001, .ttl_s = 3600}, ends);
    wait_end(client_of(state), ends, 1000);
    assert_int_equal(ends->status, ETCD_E_LEASE_LOST);
    test_pump(client_of(state), 100);
    assert_int_equal(ends->count, 1);
}

static void test_two_of_one_lease(void **state)
{
    struct ends *ends = new_ends(2);
    etcd_lease lease = grant(client_of(state), 2);
    etcd_keepalive *first = keep(client_of(state), lease, &ends[0]);
    etcd_keepalive *second = keep(client_of(state), lease, &ends[1]);
    etcd_error err;

    test_pump(client_of(state), 500);
    etcd_keepalive_close(first);
    test_pump(client_of(state), 4000);
    ok(look(client_of(state), lease), &(etcd_error){.status = ETCD_OK});
    first = keep(client_of(state), lease, &ends[0]);
    ok(etcd_lease_revoke(client_of(state), lease.id, NULL, &err), &err);
    wait_end(client_of(state), &ends[0], 2000);
    wait_end(client_of(state), &ends[1], 2000);
    assert_int_equal(ends[0].status, ETCD_E_LEASE_LOST);
    assert_int_equal(ends[1].status, ETCD_E_LEASE_LOST);
    etcd_keepalive_close(first);
    etcd_keepalive_close(second);
}

static void test_a_hundred_leases(void **state)
{
    enum { COUNT = 100 };
    struct ends *ends = new_ends(COUNT);
    etcd_keepalive *keepalives[COUNT];
    etcd_lease leases[COUNT];
    etcd_client *client = client_of(state);
    etcd_error err;
    size_t streams = 0;

    for (size_t i = 0; i < COUNT; i++) {
        leases[i] = grant(client, 4);
        keepalives[i] = keep(client, leases[i], &ends[i]);
    }
    ok(etcd_lease_revoke(client, leases[17].id, NULL, &err), &err);
    wait_end(client, &ends[17], 4000);
    test_pump(client, 4500);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(ends[i].count, i == 17);
        if (i != 17)
            assert_renewed(client, leases[i]);
    }
    if (test_caller_drive()) {
        ETCD__LIST_FOREACH(node, &client->lessor.streams)
        streams++;
        assert_in_range(streams, 1, 4);
    }
    for (size_t i = 0; i < COUNT; i++) {
        etcd_keepalive_close(keepalives[i]);
        if (i != 17)
            ok(etcd_lease_revoke(client, leases[i].id, NULL, &err), &err);
    }
}

static void test_client_closed(void **state)
{
    struct ends *ends = new_ends(1), *quiet = new_ends(1);
    etcd_lease lease = grant(client_of(state), 30);
    etcd_client *client = test_client_open(etcd_server_endpoints(((struct world *)*state)->server), NULL);
    etcd_keepalive *keepalive = keep(client, lease, ends);
    etcd_keepalive *other = keep(client, lease, quiet);
    etcd_error err;

    test_pump(client, 200);
    etcd_keepalive_close(other);
    ok(etcd_client_close(client, &err), &err);
    wait_end(client, ends, 1000);
    assert_int_equal(ends->status, ETCD_E_CLOSED);
    assert_int_equal(etcd_keepalive_remaining_ms(keepalive), 0);
    assert_int_equal(etcd_keepalive_lease_id(keepalive), lease.id);
    assert_int_equal(etcd_keepalive_start(client, lease, NULL, &other, &err), ETCD_E_CLOSED);
    etcd_client_free(client);
    etcd_keepalive_close(keepalive);
    assert_int_equal(ends->count, 1);
    assert_int_equal(quiet->count, 0);
    ok(look(client_of(state), lease), &(etcd_error){.status = ETCD_OK});
}

static void test_bad_arguments(void **state)
{
    etcd_keepalive *keepalive = NULL;
    etcd_lease lease = {.id = 7, .ttl_s = 10};
    etcd_error err;

    assert_int_equal(etcd_keepalive_start(NULL, lease, NULL, &keepalive, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_keepalive_start(client_of(state), lease, NULL, NULL, &err),
                     ETCD_E_INVALID_ARGUMENT);
    lease.ttl_s = 0;
    assert_int_equal(etcd_keepalive_start(client_of(state), lease, NULL, &keepalive, &err),
                     ETCD_E_INVALID_ARGUMENT);
    lease.ttl_s = ETCD_LEASE_TTL_MAX + 1;
    assert_int_equal(etcd_keepalive_start(client_of(state), lease, NULL, &keepalive, &err),
                     ETCD_E_INVALID_ARGUMENT);
    lease = (etcd_lease){.id = 0, .ttl_s = 10};
    assert_int_equal(etcd_keepalive_start(client_of(state), lease, NULL, &keepalive, &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_null(keepalive);
    assert_int_equal(etcd_keepalive_remaining_ms(NULL), 0);
    assert_int_equal(etcd_keepalive_lease_id(NULL), 0);
    etcd_keepalive_close(NULL);
}

/* ---- servers that go away -------------------------------------------------------------------------- */

static void test_server_away_longer_than_the_ttl(void **state)
{
    struct world *world = *state;
    struct ends *ends = new_ends(1);
    etcd_lease lease = grant(world->client, 2);
    etcd_keepalive *keepalive = keep(world->client, lease, ends);
    int64_t gone_ms;

    test_pump(world->client, 1000);
    assert_true(etcd_server_kill(world->server, 0));
    gone_ms = test_now_ms();
    wait_end(world->client, ends, 3000);
    assert_true(test_now_ms() - gone_ms <= 2200 * SCALE);
    assert_int_equal(ends->status, ETCD_E_LEASE_LOST);
    assert_int_equal(etcd_keepalive_remaining_ms(keepalive), 0);
    assert_true(etcd_server_restart(world->server, 0));
    assert_true(etcd_server_wait(world->server, 0));
    test_pump(world->client, 2500);
    assert_int_equal(ends->count, 1);
    etcd_keepalive_close(keepalive);
}

static void test_server_back_in_time(void **state)
{
    struct world *world = *state;
    struct ends *ends = new_ends(1);
    etcd_lease lease = grant(world->client, 12 * SCALE);
    etcd_keepalive *keepalive = keep(world->client, lease, ends);

    put_leased(world->client, "back", lease);
    test_pump(world->client, 500);
    assert_true(etcd_server_kill(world->server, 0));
    assert_true(etcd_server_restart(world->server, 0));
    assert_true(etcd_server_wait(world->server, 0));
    test_pump(world->client, 5000 * SCALE);
    assert_int_equal(ends->count, 0);
    assert_in_range(etcd_keepalive_remaining_ms(keepalive), 7000 * SCALE, 12000 * SCALE);
    assert_true(is_there(world->client, "back"));
    etcd_keepalive_close(keepalive);
}

/*
 * A stopped process answers nothing, and no connection breaks: renewals go elsewhere in time all the same.
 * It is not stopped until leases that it renewed last (a third of the TTL before) are over: a leader that
 * comes back after that still revokes them.
 */
static void test_stopped_member(void **state)
{
    enum { COUNT = 30, TTL_S = 9 * SCALE, STOPPED_MS = 5000 * SCALE }; /* on two streams, so on two members */
    struct world *world = *state;
    struct ends *ends = new_ends(COUNT);
    etcd_keepalive *keepalives[COUNT];

    for (size_t i = 0; i < COUNT; i++)
        keepalives[i] = keep(world->client, grant(world->client, TTL_S), &ends[i]);
    test_pump(world->client, 500);
    for (size_t member = 0; member < 3; member++) {
        assert_true(etcd_server_pause(world->server, member));
        test_pump(world->client, STOPPED_MS);
        /* Renewed since. */
        for (size_t i = 0; i < COUNT; i++)
            assert_true(etcd_keepalive_remaining_ms(keepalives[i]) > TTL_S * 1000 - STOPPED_MS);
        assert_true(etcd_server_resume(world->server, member));
        test_pump(world->client, 1000);
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (ends[i].count != 0)
            fail_msg("lease %zu: %s", i, ends[i].message);
        etcd_keepalive_close(keepalives[i]);
    }
}

/* ---- authentication -------------------------------------------------------------------------------- */

static const struct etcd_server_user users[] = {
    {"alice", "alices-password", "alice/"},
    {NULL, NULL, NULL},
};

static int set_up_auth(void **state)
{
    return set_up_with(state, &(struct etcd_server_options){
                                  .version = test_version(), .auth = true, .users = users, .token_ttl_s = 1});
}

static int set_up_jwt(void **state)
{
    return set_up_with(
        state, &(struct etcd_server_options){
                   .version = test_version(), .auth = true, .users = users, .jwt = true, .token_ttl_s = 1});
}

static etcd_client *open_as(struct world *world, const char *name, const char *password)
{
    return test_client_open(etcd_server_endpoints(world->server),
                            ETCD_CLIENT_OPTS(.username = name, .password = ETCD_SECRET_TEXT(password)));
}

static void test_expired_tokens(void **state)
{
    struct world *world = *state;
    struct ends *ends = new_ends(1);
    etcd_client *client = open_as(world, "alice", "alices-password");
    etcd_lease lease = grant(client, 12);
    etcd_keepalive *keepalive = keep(client, lease, ends);

    put_leased(client, "alice/kept", lease);
    /* Renewals are 4 s apart, a token is good for 1 s. */
    test_pump(client, 9000);
    if (ends->count != 0)
        fail_msg("%s", ends->message);
    assert_true(etcd_keepalive_remaining_ms(keepalive) >= 7000);
    assert_true(is_there(client, "alice/kept"));
    etcd_keepalive_close(keepalive);
    etcd_client_free(client);
}

/* Newer servers refuse to renew a lease with keys that the user may not write, and end the stream with it. */
static void test_one_refused_lease_leaves_the_others_alone(void **state)
{
    enum { COUNT = 8, REFUSED = 3 };
    struct world *world = *state;
    struct ends *ends = new_ends(COUNT);
    etcd_keepalive *keepalives[COUNT];
    etcd_lease leases[COUNT];
    etcd_client *root = open_as(world, "root", ETCD_SERVER_ROOT_PASSWORD);
    etcd_client *alice = open_as(world, "alice", "alices-password");
    bool refuses = etcd_server_at_least(world->server, 3, 5, 28);

    for (size_t i = 0; i < COUNT; i++)
        leases[i] = grant(alice, 3 * SCALE);
    put_leased(root, "others/key", leases[REFUSED]);
    for (size_t i = 0; i < COUNT; i++)
        keepalives[i] = keep(alice, leases[i], &ends[i]);
    test_pump(alice, 5000 * SCALE);
    for (size_t i = 0; i < COUNT; i++) {
        if (ends[i].count != (i == REFUSED && refuses))
            fail_msg("lease %zu: %d ends: %s", i, (int)ends[i].count, ends[i].message);
        if (ends[i].count != 0)
            assert_int_equal(ends[i].status, ETCD_E_DENIED);
        else
            assert_int_equal(look(root, leases[i]), ETCD_OK);
        etcd_keepalive_close(keepalives[i]);
    }
    etcd_client_free(alice);
    etcd_client_free(root);
}

/* Somebody who may not log in does not keep a lease, and learns why. */
static void test_wrong_password(void **state)
{
    struct ends *ends = new_ends(1);
    etcd_client *client = open_as(*state, "alice", "wrong");
    etcd_keepalive *keepalive = keep(client, (etcd_lease){.id = 77, .ttl_s = 60}, ends);

    wait_end(client, ends, 5000);
    assert_int_equal(ends->status, ETCD_E_AUTH);
    etcd_keepalive_close(keepalive);
    etcd_client_free(client);
}

int main(void)
{
    const struct CMUnitTest calls[] = {
        cmocka_unit_test(test_grant_says_what_the_server_chose),
        cmocka_unit_test(test_grant_refuses_bad_ttls),
        cmocka_unit_test(test_grant_takes_an_id),
        cmocka_unit_test(test_async_grant_is_taken_once),
        cmocka_unit_test(test_time_to_live),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_key_goes_with_its_lease),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_keepalive_keeps),
        cmocka_unit_test(test_revoked_elsewhere),
        cmocka_unit_test(test_a_stale_lease_is_noticed_at_once),
        cmocka_unit_test(test_two_of_one_lease),
        cmocka_unit_test(test_a_hundred_leases),
        cmocka_unit_test(test_client_closed),
        cmocka_unit_test(test_server_away_longer_than_the_ttl),
        cmocka_unit_test(test_server_back_in_time),
    };
    const struct CMUnitTest three[] = {
        cmocka_unit_test(test_stopped_member),
    };
    const struct CMUnitTest auth[] = {
        cmocka_unit_test(test_expired_tokens),
        cmocka_unit_test(test_one_refused_lease_leaves_the_others_alone),
        cmocka_unit_test(test_wrong_password),
    };
    int failed = cmocka_run_group_tests_name("one member", calls, set_up, tear_down);

    failed += cmocka_run_group_tests_name("three members", three, set_up_three, tear_down);
    failed += cmocka_run_group_tests_name("simple tokens", auth, set_up_auth, tear_down);
    failed += cmocka_run_group_tests_name("JWT", auth, set_up_jwt, tear_down);
    return failed;
}
