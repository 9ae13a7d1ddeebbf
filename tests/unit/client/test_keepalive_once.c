/* SPDX-License-Identifier: Apache-2.0 */
/* A lease renewed once: what answers and failures mean, and what it costs. */
#include "etcdc/lease.h"

#include "support/alloc_fail.h"
#include "support/lease_world.h"
#include "support/test.h"

static etcd_status once(int64_t id, int64_t timeout_ms, etcd_lease *ret_lease, etcd_error *err)
{
    return etcd_lease_keepalive_once(script.client, id, ETCD_LEASE_OPTS(.timeout_ms = timeout_ms), ret_lease,
                                     err);
}

static void brings_the_new_ttl(void **state)
{
    etcd_lease lease = {0, 0};
    etcd_error err;

    (void)state;
    assert_int_equal(once(7, 0, &lease, &err), ETCD_OK);
    assert_int_equal(lease.id, 7);
    assert_int_equal(lease.ttl_s, LEASE_WORLD_TTL_S);
    assert_int_equal(once(7, 0, NULL, &err), ETCD_OK);
    assert_int_equal(script.renewals, 2);
    lease_world_run(100);
    assert_int_equal(world_streams(&script.world.hosts[0]), 0);
}

static void a_lease_that_is_not_there_is_not_found(void **state)
{
    etcd_lease lease = {1, 1};
    etcd_error err;

    (void)state;
    script.ttl_s = 0;
    assert_int_equal(once(7, 0, &lease, &err), ETCD_E_LEASE_NOT_FOUND);
    assert_int_equal(lease.id, 1);
    assert_non_null(strstr(err.message, "0000000000000007"));
    assert_int_equal(script.renewals, 1);
    assert_int_equal(once(0, 0, &lease, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(script.renewals, 1);
}

/* A server that refuses each stream at once must not make us ask without end. */
static void refused_streams_are_not_hammered(void **state)
{
    etcd_error err;

    (void)state;
    script.refusal = "etcdserver: no leader";
    script.refusal_code = 14;
    assert_int_equal(once(7, 10000, NULL, &err), ETCD_E_DEADLINE);
    assert_in_range(script.opened, 5, 40);
}

static bool end_politely(struct h2_server_stream *stream, int64_t id)
{
    (void)id;
    if (script.stage++ > 0)
        return true;
    h2_reply_status(stream, 0, NULL);
    return false;
}

static void an_end_without_an_answer_is_none(void **state)
{
    etcd_lease lease = {0, 0};
    etcd_error err;

    (void)state;
    script.on_renewal = end_politely;
    assert_int_equal(once(7, 0, &lease, &err), ETCD_OK);
    assert_int_equal(lease.ttl_s, LEASE_WORLD_TTL_S);
    assert_int_equal(script.renewals, 2);
}

static bool say_nothing(struct h2_server_stream *stream, int64_t id)
{
    (void)stream;
    (void)id;
    return false;
}

static void silence_ends_with_the_time_limit(void **state)
{
    int64_t before_ms = fake_now(script.world.fake);
    etcd_error err;

    (void)state;
    script.on_renewal = say_nothing;
    assert_int_equal(once(7, 3000, NULL, &err), ETCD_E_DEADLINE);
    assert_in_range(fake_now(script.world.fake) - before_ms, 3000, 3050);
}

static bool only_one_is_silent(struct h2_server_stream *stream, int64_t id)
{
    (void)id;
    if (script.stage++ == 0)
        script.last_host = h2_server_user(stream->server);
    return h2_server_user(stream->server) != script.last_host;
}

static void another_member_is_asked_when_one_is_silent(void **state)
{
    int64_t before_ms = fake_now(script.world.fake);
    etcd_error err;

    (void)state;
    script.on_renewal = only_one_is_silent;
    assert_int_equal(once(7, 5000, NULL, &err), ETCD_OK);
    assert_in_range(fake_now(script.world.fake) - before_ms, 900, 1500);
}

static void logs_in_again(void **state)
{
    etcd_error err;

    (void)state;
    assert_int_equal(once(7, 0, NULL, &err), ETCD_OK);
    assert_int_equal(script.logins, 1);
    script.refusal = "etcdserver: invalid auth token";
    script.refusal_code = 16;
    assert_int_equal(once(7, 3000, NULL, &err), ETCD_E_AUTH);
    assert_int_equal(script.logins, 1 + 5);
}

static void is_an_operation_too(void **state)
{
    etcd_lease lease = {0, 0};
    etcd_op *op = NULL;
    etcd_error err;

    (void)state;
    assert_int_equal(etcd_lease_keepalive_once_async(script.client, 9, NULL, NULL, NULL, &op, &err), ETCD_OK);
    assert_int_equal(etcd_lease_keepalive_once_take(op, &lease, &err), ETCD_E_BUSY);
    assert_int_equal(etcd_op_wait(op, 5000, &err), ETCD_OK);
    assert_int_equal(etcd_lease_keepalive_once_take(op, &lease, &err), ETCD_OK);
    assert_int_equal(lease.id, 9);
    etcd_op_free(op);
}

static void every_allocation_may_fail(void **state)
{
    size_t made = 0;

    (void)state;
    for (size_t n = 1; n <= made + 1; n++) {
        etcd_lease lease = {0, 0};
        etcd_error err;
        etcd_status st;

        (void)lease_world_one_host(NULL);
        alloc_fail_at(n);
        st = once(7, 5000, &lease, &err);
        if (alloc_count() >= n)
            made = n;
        alloc_fail_at(0);
        assert_true(st == ETCD_OK || st == ETCD_E_NO_MEMORY || st == ETCD_E_UNAVAILABLE ||
                    st == ETCD_E_DEADLINE);
        assert_int_equal(lease.id, st == ETCD_OK ? 7 : 0);
        (void)lease_world_end(NULL);
    }
    assert_true(made > 10);
}

int main(void)
{
#define ON(world, test) cmocka_unit_test_setup_teardown(test, lease_world_##world, lease_world_end)
    const struct CMUnitTest tests[] = {
        ON(one_host, brings_the_new_ttl),
        ON(one_host, a_lease_that_is_not_there_is_not_found),
        ON(one_host, refused_streams_are_not_hammered),
        ON(one_host, an_end_without_an_answer_is_none),
        ON(one_host, silence_ends_with_the_time_limit),
        ON(three_hosts, another_member_is_asked_when_one_is_silent),
        ON(with_user, logs_in_again),
        ON(one_host, is_an_operation_too),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
