/* SPDX-License-Identifier: Apache-2.0 */
/* A lease that the program renews itself, against real servers. */
#include "support/process.h"
#include "support/real.h"
#include "support/test.h"

#include <stdlib.h>

enum { TTL_S = 2 };

struct world {
    struct etcd_server *server;
    struct real real;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    world->server = etcd_server_start(&(struct etcd_server_options){.version = test_version()});
    assert_non_null(world->server);
    assert_true(real_open(&world->real, etcd_server_endpoints(world->server)));
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    real_close(&world->real);
    etcd_server_free(world->server);
    free(world);
    return 0;
}

static void renew(struct world *world, int64_t id)
{
    etcd_lease lease = {0, 0};
    etcd_error err;

    assert_false(real_failed(etcd_lease_keepalive_once(world->real.client, id, NULL, &lease, &err), &err));
    assert_int_equal(lease.id, id);
    assert_in_range(lease.ttl_s, TTL_S, TTL_S + 1);
}

static void test_renewed_it_lives_left_alone_it_ends(void **state)
{
    struct world *world = *state;
    etcd_lease lease = {0, 0};
    etcd_error err;

    assert_false(real_failed(etcd_lease_grant(world->real.client, TTL_S, NULL, &lease, &err), &err));
    assert_false(real_failed(etcd_put(world->real.client, etcd_cstr("once"), etcd_cstr("x"),
                                      ETCD_PUT_OPTS(.lease_id = lease.id), NULL, &err),
                             &err));
    for (int i = 0; i < 4; i++) {
        real_idle(&world->real, TTL_S * 500);
        renew(world, lease.id);
        assert_int_equal(real_keys(&world->real, "once"), 1);
    }
    assert_true(real_wait_keys(&world->real, "once", 0, (TTL_S + 2) * 1000));
    assert_int_equal(etcd_lease_keepalive_once(world->real.client, lease.id, NULL, &lease, &err),
                     ETCD_E_LEASE_NOT_FOUND);
}

static void test_nobody_answers(void **state)
{
    struct world *world = *state;
    int64_t begun_ms = test_now_ms();
    etcd_error err;
    etcd_status st;

    assert_true(etcd_server_kill(world->server, 0));
    st = etcd_lease_keepalive_once(world->real.client, 4711, ETCD_LEASE_OPTS(.timeout_ms = 1000), NULL, &err);
    assert_true(st == ETCD_E_UNAVAILABLE || st == ETCD_E_DEADLINE);
    assert_in_range(test_now_ms() - begun_ms, 900, 5000 * ETCDC_TIME_SCALE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_renewed_it_lives_left_alone_it_ends),
        cmocka_unit_test(test_nobody_answers),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
