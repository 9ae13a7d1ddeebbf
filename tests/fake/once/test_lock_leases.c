/* SPDX-License-Identifier: Apache-2.0 */
/* Locks whose leases are granted late, on the simulated cluster in virtual time. */
#include "support/fake_client.h"
#include "support/sim_cluster.h"

#include "runtime/loop.h"

struct world {
    struct fake_env *env;
    struct sim_cluster *cluster;
    etcd_loop *loop;
    etcd_client *client;
    etcd_error err;
};

static struct world world;

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    world.env = fake_env_new(1);
    sim_clock_set(world.env);
    world.cluster = sim_cluster_new(world.env, 1, 1);
    assert_status(etcd__loop_new_env(fake_env_table(world.env), &world.loop, &world.err), ETCD_OK,
                  &world.err);
    assert_status(
        etcd_client_open(ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("192.0.2.1:2379"), .loop = world.loop),
                         &world.client, &world.err),
        ETCD_OK, &world.err);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    etcd_client_free(world.client);
    etcd_loop_free(world.loop);
    assert_int_equal(fake_open_sockets(world.env), 0);
    sim_cluster_free(world.cluster);
    sim_clock_set(NULL);
    fake_env_free(world.env);
    return 0;
}

static etcd_lock *lock(int64_t ttl_s)
{
    etcd_lock *lock = NULL;

    assert_status(
        etcd_lock_acquire(world.client, etcd_cstr("l"),
                          ETCD_LOCK_OPTS(.ttl_s = ttl_s, .timeout_ms = 20000, .allow_caller_drive = true),
                          &lock, &world.err),
        ETCD_OK, &world.err);
    return lock;
}

static bool key_exists(const etcd_lock *lock)
{
    etcd_get_result *result = NULL;
    size_t count;

    assert_status(etcd_get(world.client, etcd_lock_key(lock), NULL, &result, &world.err), ETCD_OK,
                  &world.err);
    count = etcd_get_result_count(result);
    etcd_get_result_free(result);
    return count == 1;
}

/*
 * The answer to the grant is lost, the key is written; when the grant is repeated the lease has expired, and
 * the key with it. The new lease of the same id does not bring it back.
 */
static void a_grant_that_expired_before_it_was_repeated(void **state)
{
    etcd_lock *mine;

    (void)state;
    assert_status(fake_get(world.client, 0, &world.err), ETCD_OK, &world.err); /* connected */
    world.cluster->lost = "LeaseGrant";
    mine = lock(2);
    assert_true(etcd_lock_held(mine));
    assert_true(key_exists(mine));
    assert_status(etcd_lock_release(mine, 0, &world.err), ETCD_OK, &world.err);
}

/* A grant that took its time has used some of the lease up. */
static void a_slow_grant(void **state)
{
    etcd_lock *mine;

    (void)state;
    assert_status(fake_get(world.client, 0, &world.err), ETCD_OK, &world.err);
    world.cluster->members[0].host->delay_ms = 400;
    mine = lock(5);
    assert_true(etcd_lock_held(mine));
    assert_true(fake_now(world.env) <
                sim_store_lease(world.cluster->store, etcd_lock_lease_id(mine))->expires_ms);
    fake_pass(world.env, 5000 - 400);
    assert_false(etcd_lock_held(mine));
    (void)etcd_lock_release(mine, 0, &world.err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_grant_that_expired_before_it_was_repeated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_slow_grant, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
