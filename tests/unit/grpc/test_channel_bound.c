/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that are bound to one endpoint. */
#include "grpc/channel.h"

#include "grpc/subchannel.h"
#include "support/alloc_fail.h"
#include "support/grpc_world.h"
#include "support/test.h"

static int start(void **state)
{
    static struct world world;

    alloc_fail_at(0);
    world_init(&world, 3);
    assert_true(world_open(&world));
    /* The third one is not in the list. */
    assert_int_equal(etcd__channel_set_endpoints(world.channel, world.endpoints, 2, NULL), ETCD_OK);
    *state = &world;
    return 0;
}

static int stop(void **state)
{
    world_close(*state);
    assert_int_equal(alloc_live(), 0);
    return 0;
}

static void hold(struct h2_server_stream *stream)
{
    (void)stream;
}

static void bound_call(struct world *world, struct world_call *call, const struct etcd__method *method,
                       size_t host, bool fail_fast)
{
    struct etcd__call_config config = world_call_config(method);

    config.only = &world->endpoints[host];
    config.fail_fast = fail_fast;
    world_start_config(world, call, &config);
    world_send(call, "x");
}

static void goes_to_its_endpoint_over_the_connection_of_the_list(void **state)
{
    struct world *world = *state;

    etcd__channel_connect(world->channel);
    world_run(world, 10);
    for (unsigned i = 0; i < 5; i++) {
        struct world_call call = {0};

        bound_call(world, &call, &world_unary, 1, false);
        world_until(world, &call.ends, 1000);
        assert_int_equal(call.end.code, ETCD__GRPC_OK);
        assert_string_equal(call.end_endpoint, "192.0.2.2:2379");
    }
    assert_int_equal(world_requests(&world->hosts[0]), 0);
    assert_int_equal(world_requests(&world->hosts[1]), 5);
    assert_int_equal(world->hosts[1].count, 1);
}

/* The rest of the list is none of its business. */
static void connects_only_its_own_endpoint(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};

    bound_call(world, &call, &world_unary, 0, false);
    world_until(world, &call.ends, 1000);
    assert_int_equal(call.end.code, ETCD__GRPC_OK);
    assert_int_equal(world->hosts[0].count, 1);
    assert_int_equal(world->hosts[1].count, 0);
}

static void a_stranger_gets_a_connection_until_its_last_call_ends(void **state)
{
    struct world *world = *state;
    struct world_call first = {0}, second = {0}, third = {0};

    world->hosts[2].ops = (struct h2_server_ops){.on_request = hold};
    bound_call(world, &first, &world_unary, 2, false);
    bound_call(world, &second, &world_unary, 2, false);
    world_run(world, 10);
    assert_int_equal(world->hosts[2].count, 1);
    assert_int_equal(world_requests(&world->hosts[2]), 2);
    assert_int_equal(etcd__channel_ready(world->channel), 0); /* it is not in the list */
    assert_int_equal(world->ups, 0);

    (void)etcd__call_cancel(&first.call);
    world_run(world, 10);
    assert_int_equal(fake_open_sockets(world->fake), 1);
    (void)etcd__call_cancel(&second.call);
    world_run(world, 10);
    assert_int_equal(fake_open_sockets(world->fake), 0);

    world->hosts[2].ops = world->hosts[0].ops;
    bound_call(world, &third, &world_unary, 2, false);
    world_until(world, &third.ends, 1000);
    assert_int_equal(third.end.code, ETCD__GRPC_OK);
    assert_int_equal(world->hosts[2].count, 2);
}

static void waits_for_its_endpoint_and_lets_others_pass(void **state)
{
    struct world *world = *state;
    struct world_call bound = {0}, other = {0};

    world->hosts[2].net->connect_ms = 500;
    bound_call(world, &bound, &world_unary, 2, false);
    world_unary_call(world, &other, "x");
    world_until(world, &other.ends, 100);
    assert_int_equal(bound.ends, 0);
    world_until(world, &bound.ends, 1000);
    assert_string_equal(bound.end_endpoint, "192.0.2.3:2379");
}

static void a_removed_endpoint_keeps_its_bound_streams(void **state)
{
    struct world *world = *state;
    struct world_call bound = {0}, waiting = {0};

    world->hosts[0].ops = (struct h2_server_ops){.on_request = hold};
    bound_call(world, &bound, &world_stream, 0, false);
    world_run(world, 10);
    world->hosts[1].net->connect_ms = 500;
    bound_call(world, &waiting, &world_unary, 1, false);
    assert_int_equal(etcd__channel_set_endpoints(world->channel, world->endpoints + 2, 1, NULL), ETCD_OK);
    world_run(world, 10);
    assert_int_equal(bound.ends, 0);
    assert_int_equal(waiting.ends, 1); /* again, please, with a connection of its own */
    assert_int_equal(waiting.end.code, ETCD__GRPC_UNAVAILABLE);
    assert_int_equal(waiting.end.sent, ETCD__NOT_SENT);
    assert_int_equal(world_streams(&world->hosts[0]), 1);
    (void)etcd__call_cancel(&bound.call);
    world_run(world, 10);
    assert_int_equal(world_streams(&world->hosts[0]), 0);
}

static void who_does_not_wait_hears_why(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};

    world->hosts[2].net->answer = FAKE_REFUSE;
    bound_call(world, &call, &world_unary, 2, true);
    world_until(world, &call.ends, 1000);
    assert_int_equal(call.end.code, ETCD__GRPC_UNAVAILABLE);
    assert_int_equal(call.end.sent, ETCD__NOT_SENT);
    assert_non_null(strstr(call.end_message, "192.0.2.3:2379"));
    world_run(world, 5000);
    assert_int_equal(fake_open_sockets(world->fake), 0); /* nobody goes on trying */
}

static void closing_ends_it_in_every_state(void **state)
{
    struct world *world = *state;
    static struct world_call calls[3];

    memset(calls, 0, sizeof(calls));
    world->hosts[2].ops = (struct h2_server_ops){.on_request = hold};
    bound_call(world, &calls[0], &world_stream, 2, false);
    world_run(world, 10);
    world->hosts[1].net->connect_ms = 500;
    bound_call(world, &calls[1], &world_unary, 1, false);
    world_run(world, 10);
    bound_call(world, &calls[2], &world_unary, 2, false);
    etcd__channel_free(world->channel);
    world->channel = NULL;
    for (size_t i = 0; i < ETCD__COUNT(calls); i++) {
        assert_int_equal(calls[i].ends, 1);
        assert_int_equal(calls[i].end.code, ETCD__GRPC_CANCELLED);
    }
}

/* One allocation after another fails: the call ends once, whatever happens, and nothing is left. */
static void out_of_memory_is_an_ordinary_error(void **state)
{
    struct world *world = *state;
    bool failed = true;

    for (size_t n = 1; failed; n++) {
        struct world_call call = {0};
        struct etcd__call_config config = world_call_config(&world_unary);

        assert_true(n < 1000);
        config.only = &world->endpoints[2];
        config.fail_fast = true;
        alloc_fail_at(n);
        world_start_config(world, &call, &config);
        failed = alloc_count() >= n;
        alloc_fail_at(0);
        world_send(&call, "x");
        world_until(world, &call.ends, 1000);
        if (!failed)
            assert_int_equal(call.end.code, ETCD__GRPC_OK);
        world_run(world, 10);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(goes_to_its_endpoint_over_the_connection_of_the_list),
        TEST(connects_only_its_own_endpoint),
        TEST(a_stranger_gets_a_connection_until_its_last_call_ends),
        TEST(waits_for_its_endpoint_and_lets_others_pass),
        TEST(a_removed_endpoint_keeps_its_bound_streams),
        TEST(who_does_not_wait_hears_why),
        TEST(closing_ends_it_in_every_state),
        TEST(out_of_memory_is_an_ordinary_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
