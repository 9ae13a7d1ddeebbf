/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/channel.h"

#include "grpc/subchannel.h"
#include "support/alloc_fail.h"
#include "support/grpc_world.h"
#include "support/test.h"

#include <stdlib.h>

static int start(void **state)
{
    static struct world world;

    alloc_fail_at(0);
    world_init(&world, 3);
    assert_true(world_open(&world));
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

/* All servers take requests and do not answer. */
static void hold_all(struct world *world)
{
    for (size_t i = 0; i < world->host_count; i++)
        world->hosts[i].ops = (struct h2_server_ops){.on_request = hold};
}

static void connect_all(struct world *world)
{
    etcd__channel_connect(world->channel);
    world_run(world, 10);
    assert_int_equal(etcd__channel_ready(world->channel), world->host_count);
}

/* --- The list of endpoints --- */

static void the_same_list_changes_nothing(void **state)
{
    struct world *world = *state;

    connect_all(world);
    assert_int_equal(etcd__channel_set_endpoints(world->channel, world->endpoints, 3, NULL), ETCD_OK);
    world_run(world, 100);
    assert_int_equal(etcd__channel_ready(world->channel), 3);
    assert_int_equal(world->ups, 3);
}

static void a_removed_endpoint_lets_unary_calls_finish(void **state)
{
    struct world *world = *state;
    struct world_call unary = {0};
    struct world_call stream = {0};
    struct world_call call = {0};

    hold_all(world);
    assert_int_equal(etcd__channel_set_endpoints(world->channel, world->endpoints, 1, NULL), ETCD_OK);
    world_unary_call(world, &unary, "x");
    world_start(world, &stream, &world_stream);
    world_run(world, 10);
    assert_int_equal(world_requests(&world->hosts[0]), 2);

    assert_int_equal(etcd__channel_set_endpoints(world->channel, world->endpoints + 1, 2, NULL), ETCD_OK);
    assert_int_equal(stream.ends, 0);
    world_run(world, 10);
    assert_int_equal(stream.ends, 1);
    assert_int_equal(stream.end.code, ETCD__GRPC_UNAVAILABLE);
    assert_int_equal(stream.end.sent, ETCD__MAYBE_SENT);
    assert_string_equal(stream.end.endpoint, "192.0.2.1:2379");
    assert_int_equal(unary.ends, 0);
    assert_int_equal(etcd__channel_ready(world->channel), 2);

    world->hosts[1].ops.on_half_close = world->hosts[2].ops.on_half_close = NULL;
    h2_reply_message(world_request(&world->hosts[0]), "late", 4);
    h2_reply_status(world_request(&world->hosts[0]), 0, NULL);
    world_push(world_newest(&world->hosts[0]));
    world_until(world, &unary.ends, 100);
    assert_int_equal(unary.end.code, ETCD__GRPC_OK);
    assert_string_equal(unary.last, "late");
    world_run(world, 10);
    assert_int_equal(fake_open_sockets(world->fake), 2);

    world_unary_call(world, &call, "x");
    world_run(world, 10);
    assert_int_equal(world->hosts[0].count, 1);
    etcd__call_cancel(&call.call);
}

static void endpoints_may_change_while_they_connect(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};

    for (size_t i = 0; i < 3; i++)
        world->hosts[i].net->connect_ms = 100;
    world_unary_call(world, &call, "x");
    world_run(world, 50);
    assert_int_equal(etcd__channel_set_endpoints(world->channel, world->endpoints + 2, 1, NULL), ETCD_OK);
    world_run(world, 10);
    assert_int_equal(fake_open_sockets(world->fake), 1);
    world_until(world, &call.ends, 1000);
    assert_string_equal(call.end.endpoint, "192.0.2.3:2379");
    assert_int_equal(etcd__channel_set_endpoints(world->channel, NULL, 0, NULL), ETCD_OK);
    world_run(world, 10);
    assert_int_equal(fake_open_sockets(world->fake), 0);
}

static void duplicates_count_once(void **state)
{
    struct world *world = *state;
    const struct etcd__endpoint list[] = {world->endpoints[0], world->endpoints[0], world->endpoints[1],
                                          world->endpoints[0]};

    assert_int_equal(etcd__channel_set_endpoints(world->channel, list, 4, NULL), ETCD_OK);
    etcd__channel_connect(world->channel);
    world_run(world, 10);
    assert_int_equal(etcd__channel_ready(world->channel), 2);
    assert_int_equal(world->hosts[0].count, 1);
}

static void change_list(struct world_call *call)
{
    struct world *world = call->world;

    assert_int_equal(etcd__channel_set_endpoints(world->channel, world->endpoints + 1, 2, NULL), ETCD_OK);
}

/* From inside a message of a stream that this very change ends. */
static void the_list_may_change_inside_a_callback(void **state)
{
    struct world *world = *state;
    struct world_call stream = {.then_message = change_list};

    assert_int_equal(etcd__channel_set_endpoints(world->channel, world->endpoints, 1, NULL), ETCD_OK);
    world_start(world, &stream, &world_stream);
    world_send(&stream, "x");
    world_until(world, &stream.ends, 100);
    assert_int_equal(stream.end.code, ETCD__GRPC_UNAVAILABLE);
    world_run(world, 10);
    assert_int_equal(etcd__channel_ready(world->channel), 2);
    assert_int_equal(fake_open_sockets(world->fake), 2);
}

static void change_list_when_lost(struct world_call *call)
{
    change_list(call);
}

static void the_list_may_change_while_a_connection_dies(void **state)
{
    struct world *world = *state;
    struct world_call calls[3] = {{.then_end = change_list_when_lost}};

    hold_all(world);
    assert_int_equal(etcd__channel_set_endpoints(world->channel, world->endpoints, 1, NULL), ETCD_OK);
    world_unary_call(world, &calls[0], "x");
    world_start(world, &calls[1], &world_stream);
    world_unary_call(world, &calls[2], "x");
    world_run(world, 10);
    fake_peer_reset(world_newest(&world->hosts[0])->peer);
    world_run(world, 10);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(calls[i].ends, 1);
    assert_int_equal(etcd__channel_ready(world->channel), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_same_list_changes_nothing, start, stop),
        cmocka_unit_test_setup_teardown(a_removed_endpoint_lets_unary_calls_finish, start, stop),
        cmocka_unit_test_setup_teardown(endpoints_may_change_while_they_connect, start, stop),
        cmocka_unit_test_setup_teardown(duplicates_count_once, start, stop),
        cmocka_unit_test_setup_teardown(the_list_may_change_inside_a_callback, start, stop),
        cmocka_unit_test_setup_teardown(the_list_may_change_while_a_connection_dies, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
