/* SPDX-License-Identifier: Apache-2.0 */
/* A server that was stopped answers nothing, and its port stays open. Every function that waits ends in its
 * time all the same. */
#include "support/client.h"
#include "support/etcd_server.h"
#include "support/matrix.h"
#include "support/process.h"
#include "support/test.h"

#include <stdlib.h>

enum { LIMIT_MS = 300, SLACK_MS = 250 };

struct world {
    struct etcd_server *server;
    etcd_client *client;
    etcd_lease lease;
    etcd_keepalive *keepalive;
    etcd_lock *lock;
    etcd_registration *registration;
    etcd_election *election;
    etcd_watch *watch;
};

static const etcd_bytes key = {"k", 1}, value = {"v", 1};

/* ---- all functions that wait -------------------------------------------------------------------------- */

#define FUNCTION(name) static etcd_status name(struct world *world, etcd_error *err)

FUNCTION(do_get)
{
    return etcd_get(world->client, key, ETCD_GET_OPTS(.timeout_ms = LIMIT_MS), NULL, err);
}

FUNCTION(do_put)
{
    return etcd_put(world->client, key, value, ETCD_PUT_OPTS(.timeout_ms = LIMIT_MS), NULL, err);
}

FUNCTION(do_delete)
{
    return etcd_delete(world->client, key, ETCD_DELETE_OPTS(.timeout_ms = LIMIT_MS), NULL, err);
}

FUNCTION(do_compact)
{
    return etcd_compact(world->client, 1, ETCD_COMPACT_OPTS(.timeout_ms = LIMIT_MS), err);
}

FUNCTION(do_txn)
{
    etcd_txn *txn = etcd_txn_new();
    etcd_status st;

    etcd_txn_put(txn, ETCD_TXN_THEN, key, value, NULL);
    st = etcd_txn_commit(world->client, txn, ETCD_TXN_OPTS(.timeout_ms = LIMIT_MS), NULL, err);
    etcd_txn_free(txn);
    return st;
}

FUNCTION(do_sync)
{
    return etcd_client_sync(world->client, LIMIT_MS, err);
}

FUNCTION(do_grant)
{
    return etcd_lease_grant(world->client, 60, ETCD_LEASE_OPTS(.timeout_ms = LIMIT_MS), NULL, err);
}

FUNCTION(do_revoke)
{
    return etcd_lease_revoke(world->client, world->lease.id, ETCD_LEASE_OPTS(.timeout_ms = LIMIT_MS), err);
}

FUNCTION(do_time_to_live)
{
    return etcd_lease_time_to_live(world->client, world->lease.id, ETCD_LEASE_OPTS(.timeout_ms = LIMIT_MS),
                                   NULL, err);
}

FUNCTION(do_lease_list)
{
    return etcd_lease_list(world->client, ETCD_LEASE_OPTS(.timeout_ms = LIMIT_MS), NULL, err);
}

FUNCTION(do_keepalive_once)
{
    return etcd_lease_keepalive_once(world->client, world->lease.id, ETCD_LEASE_OPTS(.timeout_ms = LIMIT_MS),
                                     NULL, err);
}

FUNCTION(do_campaign)
{
    etcd_election *election = NULL;

    return etcd_election_campaign(world->client, etcd_cstr("another"), value,
                                  ETCD_ELECTION_OPTS(.timeout_ms = LIMIT_MS, .allow_caller_drive = true),
                                  &election, err);
}

FUNCTION(do_proclaim)
{
    return etcd_election_proclaim(world->election, value, LIMIT_MS, err);
}

FUNCTION(do_resign)
{
    etcd_election *election = world->election;

    world->election = NULL;
    return etcd_election_resign(election, LIMIT_MS, err);
}

FUNCTION(do_leader)
{
    etcd_get_result *leader = NULL;

    return etcd_election_leader(world->client, etcd_cstr("led"), LIMIT_MS, &leader, err);
}

static void on_leader(etcd_observer *observer, const etcd_kv *leader, const etcd_error *err, void *user_data)
{
    (void)observer;
    (void)leader;
    (void)err;
    (void)user_data;
}

FUNCTION(do_observe)
{
    etcd_observer *observer = NULL;

    return etcd_election_observe(world->client, etcd_cstr("led"),
                                 ETCD_OBSERVE_OPTS(.timeout_ms = LIMIT_MS, .on_leader = on_leader), &observer,
                                 err);
}

FUNCTION(do_acquire)
{
    etcd_lock *lock = NULL;

    return etcd_lock_acquire(world->client, etcd_cstr("another"),
                             ETCD_LOCK_OPTS(.timeout_ms = LIMIT_MS, .allow_caller_drive = true), &lock, err);
}

FUNCTION(do_release)
{
    etcd_lock *lock = world->lock;

    world->lock = NULL;
    return etcd_lock_release(lock, LIMIT_MS, err);
}

FUNCTION(do_register)
{
    etcd_registration *registration = NULL;

    return etcd_register(world->client, "web", "2", "x", ETCD_REGISTER_OPTS(.timeout_ms = LIMIT_MS),
                         &registration, err);
}

FUNCTION(do_leave)
{
    etcd_registration *registration = world->registration;

    world->registration = NULL;
    return etcd_registration_close(registration, LIMIT_MS, err);
}

FUNCTION(do_update)
{
    return etcd_registration_update(world->registration, "y", LIMIT_MS, err);
}

FUNCTION(do_discovery)
{
    etcd_discovery *discovery = NULL;

    return etcd_discovery_open(world->client, "web", ETCD_DISCOVERY_OPTS(.timeout_ms = LIMIT_MS), &discovery,
                               err);
}

FUNCTION(do_discover)
{
    etcd_services *services = NULL;

    return etcd_discover(world->client, "web", ETCD_DISCOVER_OPTS(.timeout_ms = LIMIT_MS), &services, err);
}

FUNCTION(do_view)
{
    etcd_view *view = NULL;

    return etcd_view_open(world->client, key, ETCD_VIEW_OPTS(.timeout_ms = LIMIT_MS), &view, err);
}

FUNCTION(do_watch_next)
{
    etcd_events *events = NULL;

    return etcd_watch_next(world->watch, LIMIT_MS, &events, err);
}

FUNCTION(do_release_leases)
{
    return etcd_client_release_leases(world->client, LIMIT_MS, err);
}

static const struct function {
    const char *name;
    etcd_status (*call)(struct world *world, etcd_error *err);
} functions[] = {
    {"get", do_get},
    {"put", do_put},
    {"delete", do_delete},
    {"compact", do_compact},
    {"txn", do_txn},
    {"sync", do_sync},
    {"lease_grant", do_grant},
    {"lease_revoke", do_revoke},
    {"lease_time_to_live", do_time_to_live},
    {"lease_list", do_lease_list},
    {"lease_keepalive_once", do_keepalive_once},
    {"election_campaign", do_campaign},
    {"election_proclaim", do_proclaim},
    {"election_resign", do_resign},
    {"election_leader", do_leader},
    {"election_observe", do_observe},
    {"lock_acquire", do_acquire},
    {"lock_release", do_release},
    {"register", do_register},
    {"registration_update", do_update},
    {"registration_close", do_leave},
    {"discover", do_discover},
    {"discovery_open", do_discovery},
    {"view_open", do_view},
    {"watch_next", do_watch_next},
    {"client_release_leases", do_release_leases},
};

/* ---- */

static void ok(etcd_status status, const etcd_error *err)
{
    if (status != ETCD_OK)
        fail_msg("%s: %s", etcd_status_name(status), err->message);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    etcd_error err;

    assert_non_null(world);
    world->server = etcd_server_start(&(struct etcd_server_options){.version = test_version()});
    assert_non_null(world->server);
    world->client = test_client_open(etcd_server_endpoints(world->server), NULL);
    ok(etcd_lease_grant(world->client, 600, NULL, &world->lease, &err), &err);
    ok(etcd_keepalive_start(world->client, world->lease, NULL, &world->keepalive, &err), &err);
    ok(etcd_lock_acquire(world->client, etcd_cstr("held"), ETCD_LOCK_OPTS(.allow_caller_drive = true),
                         &world->lock, &err),
       &err);
    ok(etcd_election_campaign(world->client, etcd_cstr("led"), value,
                              ETCD_ELECTION_OPTS(.ttl_s = 60, .allow_caller_drive = true), &world->election,
                              &err),
       &err);
    ok(etcd_register(world->client, "web", "1", "x", ETCD_REGISTER_OPTS(.ttl_s = 60), &world->registration,
                     &err),
       &err);
    ok(etcd_watch_open(world->client, key, NULL, &world->watch, &err), &err);
    test_pump(world->client, 200);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    etcd_watch_close(world->watch);
    etcd_keepalive_close(world->keepalive);
    (void)etcd_lock_release(world->lock, 0, NULL);
    (void)etcd_election_resign(world->election, 0, NULL);
    (void)etcd_registration_close(world->registration, 0, NULL);
    etcd_client_free(world->client);
    etcd_server_free(world->server);
    free(world);
    return 0;
}

static void test_every_function(void **state)
{
    struct world *world = *state;

    assert_true(etcd_server_pause(world->server, 0));
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        int64_t begin_ms = test_now_ms(), took_ms;
        etcd_error err;
        etcd_status st = functions[i].call(world, &err);

        took_ms = test_now_ms() - begin_ms;
        if (st != ETCD_E_DEADLINE)
            fail_msg("%s: %s: %s", functions[i].name, etcd_status_name(st), st == ETCD_OK ? "" : err.message);
        print_message("%s: %s\n", functions[i].name, err.message);
        if (took_ms < LIMIT_MS - 5 || took_ms > LIMIT_MS + SLACK_MS * ETCDC_TIME_SCALE)
            fail_msg("%s took %lld ms", functions[i].name, (long long)took_ms);
    }
    assert_true(etcd_server_resume(world->server, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_function),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
