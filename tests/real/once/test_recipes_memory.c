/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of a lock, an election, a registration, a discovery and a view failing in turn, on a
 * client that is opened for each try: whatever comes of it, nothing crashes, hangs or leaks, and nothing is
 * left at the server. Caller drive: one thread does everything, so that the n-th allocation is the same one
 * each time.
 */
#include "support/alloc_fail.h"
#include "support/real.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

static struct etcd_server *server;

struct scenario {
    etcd_status (*run)(struct real *real, etcd_error *err);
    size_t tries, successes;
};

static etcd_status lock(struct real *real, etcd_error *err)
{
    etcd_lock *lock = NULL;
    etcd_status st, released;

    st = etcd_lock_acquire(real->client, etcd_cstr("memory/lock"),
                           ETCD_LOCK_OPTS(.ttl_s = 5, .timeout_ms = 3000, .allow_caller_drive = true), &lock,
                           err);
    if (st == ETCD_OK)
        assert_true(etcd_lock_fence(lock) > 0);
    released = etcd_lock_release(lock, 3000, err);
    return st != ETCD_OK ? st : released;
}

static etcd_status enter_and_discover(struct real *real, etcd_error *err)
{
    etcd_registration *reg = NULL;
    etcd_services *services = NULL;
    etcd_status st, closed;

    st = etcd_register(real->client, "memory", "1", "x", ETCD_REGISTER_OPTS(.ttl_s = 5, .timeout_ms = 3000),
                       &reg, err);
    if (st == ETCD_OK)
        st = etcd_discover(real->client, "memory", ETCD_DISCOVER_OPTS(.timeout_ms = 3000), &services, err);
    if (st == ETCD_OK)
        assert_int_equal(etcd_services_count(services), 1);
    etcd_services_free(services);
    closed = etcd_registration_close(reg, 3000, err);
    return st != ETCD_OK ? st : closed;
}

struct leader {
    int calls;
    etcd_status ended;
};

static void on_leader(etcd_observer *observer, const etcd_kv *kv, const etcd_error *err, void *user_data)
{
    struct leader *leader = user_data;

    (void)observer;
    if (err != NULL)
        leader->ended = err->status;
    else
        leader->calls += kv != NULL;
}

static bool leader_was_told(void *arg)
{
    const struct leader *leader = arg;

    return leader->calls > 0 || leader->ended != ETCD_OK;
}

static etcd_status lead(struct real *real, etcd_error *err)
{
    struct leader leader = {.ended = ETCD_OK};
    etcd_election *election = NULL;
    etcd_observer *observer = NULL;
    etcd_get_result *result = NULL;
    etcd_status st, resigned;

    st = etcd_election_campaign(
        real->client, etcd_cstr("memory/lead"), etcd_cstr("a"),
        ETCD_ELECTION_OPTS(.ttl_s = 5, .timeout_ms = 3000, .allow_caller_drive = true), &election, err);
    if (st == ETCD_OK)
        st = etcd_election_observe(real->client, etcd_cstr("memory/lead"),
                                   ETCD_OBSERVE_OPTS(.on_leader = on_leader, .user_data = &leader), &observer,
                                   err);
    if (st == ETCD_OK)
        st = etcd_election_proclaim(election, etcd_cstr("b"), 3000, err);
    if (st == ETCD_OK)
        st = etcd_election_leader(real->client, etcd_cstr("memory/lead"), 3000, &result, err);
    if (st == ETCD_OK) {
        assert_true(real_wait(real, leader_was_told, &leader, 5000));
        st = leader.ended;
        if (st != ETCD_OK)
            err->status = st;
    }
    etcd_get_result_free(result);
    etcd_observer_close(observer);
    resigned = etcd_election_resign(election, 3000, err);
    return st != ETCD_OK ? st : resigned;
}

struct arrivals {
    size_t count;
    etcd_status ended;
};

static void on_arrival(etcd_discovery *discovery, const etcd_services *services,
                       const etcd_service_change *changes, size_t count, const etcd_error *err,
                       void *user_data)
{
    struct arrivals *arrivals = user_data;

    (void)discovery;
    (void)changes;
    if (services == NULL)
        arrivals->ended = err->status;
    else
        arrivals->count += count;
}

static bool somebody_arrived(void *arg)
{
    const struct arrivals *arrivals = arg;

    return arrivals->count > 0 || arrivals->ended != ETCD_OK;
}

static etcd_status enter_and_follow(struct real *real, etcd_error *err)
{
    struct arrivals arrivals = {.ended = ETCD_OK};
    etcd_registration *reg = NULL;
    etcd_discovery *discovery = NULL;
    etcd_status st, closed;

    st = etcd_discovery_open(
        real->client, "memory",
        ETCD_DISCOVERY_OPTS(.timeout_ms = 3000, .on_change = on_arrival, .user_data = &arrivals), &discovery,
        err);
    if (st == ETCD_OK)
        st = etcd_register(real->client, "memory", "1", "x",
                           ETCD_REGISTER_OPTS(.ttl_s = 5, .timeout_ms = 3000), &reg, err);
    if (st == ETCD_OK)
        st = etcd_registration_update(reg, "y", 3000, err);
    if (st == ETCD_OK) {
        assert_true(real_wait(real, somebody_arrived, &arrivals, 5000));
        st = arrivals.ended;
    }
    closed = etcd_registration_close(reg, 3000, err);
    etcd_discovery_close(discovery);
    return st != ETCD_OK ? st : closed;
}

struct change {
    int64_t revision;
    etcd_status ended;
};

static void on_change(etcd_view *view, const etcd_snapshot *snapshot, const etcd_events *events,
                      const etcd_error *err, void *user_data)
{
    struct change *change = user_data;

    (void)view;
    (void)events;
    if (snapshot == NULL)
        change->ended = err->status;
    else
        change->revision = etcd_snapshot_revision(snapshot);
}

static bool change_came(void *arg)
{
    const struct change *change = arg;

    return change->revision != 0 || change->ended != ETCD_OK;
}

static etcd_status follow(struct real *real, etcd_error *err)
{
    struct change change = {.ended = ETCD_OK};
    etcd_view *view = NULL;
    etcd_status st;

    st = etcd_view_open(real->client, etcd_cstr("memory/"),
                        ETCD_VIEW_OPTS(.timeout_ms = 3000, .on_change = on_change, .user_data = &change),
                        &view, err);
    if (st != ETCD_OK)
        return st;
    st = etcd_put(real->client, etcd_cstr("memory/key"), etcd_cstr("x"), ETCD_PUT_OPTS(.timeout_ms = 3000),
                  NULL, err);
    if (st == ETCD_OK)
        assert_true(real_wait(real, change_came, &change, 5000));
    if (st == ETCD_OK)
        st = change.ended;
    etcd_view_close(view);
    return st;
}

/* Not real_open(): what it prints and allocates would be in the way. */
static etcd_status open_client(struct real *real, etcd_error *err)
{
    const char *endpoints[] = {etcd_server_endpoint(server, 0), NULL};
    etcd_status st;

    st = etcd_loop_new(ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER), &real->loop, err);
    if (st == ETCD_OK)
        st = etcd_client_open(ETCD_CLIENT_OPTS(.endpoints = endpoints, .loop = real->loop), &real->client,
                              err);
    return st;
}

static void try_once(size_t n, void *user)
{
    struct scenario *scenario = user;
    size_t live = alloc_live();
    struct real real = {.loop = NULL};
    etcd_error err;
    etcd_status st;

    (void)n;
    st = open_client(&real, &err);
    if (st == ETCD_OK)
        st = scenario->run(&real, &err);
    real_close(&real);
    scenario->tries++;
    scenario->successes += st == ETCD_OK;
    if (st != ETCD_OK && st != ETCD_E_NO_MEMORY)
        fprintf(stderr, "allocation %zu: %s: %s\n", n, etcd_status_name(st), err.message);
    if (alloc_live() != live)
        fail_msg("allocation %zu: %zu pieces of memory are left", n, alloc_live() - live);
}

static void run(etcd_status (*fn)(struct real *real, etcd_error *err))
{
    struct scenario scenario = {.run = fn};
    struct real real;

    assert_true(alloc_fail_each(try_once, &scenario) > 20);
    assert_true(scenario.tries > scenario.successes);
    assert_true(scenario.successes > 0);
    assert_true(real_open(&real, etcd_server_endpoints(server)));
    assert_true(real_wait_keys(&real, "memory/l", 0, 10000));
    assert_true(real_wait_keys(&real, "/services/", 0, 10000));
    real_close(&real);
}

static void locks(void **state)
{
    (void)state;
    run(lock);
}

static void elections(void **state)
{
    (void)state;
    run(lead);
}

static void registrations(void **state)
{
    (void)state;
    run(enter_and_discover);
}

static void discoveries(void **state)
{
    (void)state;
    run(enter_and_follow);
}

static void views(void **state)
{
    (void)state;
    run(follow);
}

static int start_server(void **state)
{
    (void)state;
    server = etcd_server_start(NULL);
    return server == NULL ? -1 : 0;
}

static int stop_server(void **state)
{
    (void)state;
    etcd_server_free(server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locks),       cmocka_unit_test(elections), cmocka_unit_test(registrations),
        cmocka_unit_test(discoveries), cmocka_unit_test(views),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
