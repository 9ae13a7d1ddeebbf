/* SPDX-License-Identifier: Apache-2.0 */
/* Which endpoint a call goes to, and what the channel tells of its state. */
#include "grpc/channel.h"

#include "grpc/subchannel.h"
#include "support/alloc_fail.h"
#include "support/grpc_world.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

enum { HOSTS = 3, EVENTS_MAX = 16 };

static struct {
    enum etcd__channel_state states[EVENTS_MAX];
    char causes[EVENTS_MAX][ETCD_ERROR_MESSAGE_SIZE];
    size_t count;
} told;

static void on_state(void *user, enum etcd__channel_state state, const etcd_error *err)
{
    (void)user;
    assert_true(told.count < EVENTS_MAX);
    told.states[told.count] = state;
    (void)snprintf(told.causes[told.count++], sizeof(told.causes[0]), "%s", err == NULL ? "" : err->message);
}

static int start(void **state)
{
    static struct world world;

    alloc_fail_at(0);
    memset(&told, 0, sizeof(told));
    world_init(&world, HOSTS);
    world.config.on_state = on_state;
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

static void connect_all(struct world *world)
{
    etcd__channel_connect(world->channel);
    world_run(world, 500);
    assert_int_equal(etcd__channel_ready(world->channel), HOSTS);
}

/* The host that a call went to. Its answer is noted, as the owner of the channel does. */
static size_t host_of_call(struct world *world, enum etcd__route route)
{
    struct world_call call = {0};
    struct etcd__call_config config = world_call_config(&world_unary);
    int64_t begin_ms = fake_now(world->fake);

    config.route = route;
    world_start_config(world, &call, &config);
    world_send(&call, "x");
    world_until(world, &call.ends, 1000);
    assert_int_equal(call.end.code, ETCD__GRPC_OK);
    if (route == ETCD__ROUTE_NEAREST)
        etcd__channel_took(world->channel, call.call.subchannel, fake_now(world->fake) - begin_ms);
    for (size_t i = 0; i < HOSTS; i++) {
        if (strcmp(call.end_endpoint, world->endpoints[i].text) == 0)
            return i;
    }
    fail();
    return 0;
}

static struct etcd__subchannel *subchannel_of(struct world *world, size_t host)
{
    for (int i = 0; i < 2 * HOSTS; i++) {
        struct world_call call = {0};
        struct etcd__call_config config = world_call_config(&world_unary);

        world_start_config(world, &call, &config);
        world_send(&call, "x");
        world_until(world, &call.ends, 1000);
        if (strcmp(call.end_endpoint, world->endpoints[host].text) == 0)
            return call.call.subchannel;
    }
    fail();
    return NULL;
}

/* ---- the leader ------------------------------------------------------------------------------------ */

static void calls_for_the_leader_go_there(void **state)
{
    struct world *world = *state;
    size_t others[HOSTS] = {0};

    connect_all(world);
    assert_false(etcd__channel_has_leader(world->channel));
    etcd__channel_set_leader(world->channel, subchannel_of(world, 1));
    assert_true(etcd__channel_has_leader(world->channel));
    for (int i = 0; i < 9; i++)
        assert_int_equal(host_of_call(world, ETCD__ROUTE_LEADER), 1);
    for (int i = 0; i < 9; i++)
        others[host_of_call(world, ETCD__ROUTE_ANY)]++;
    for (size_t i = 0; i < HOSTS; i++)
        assert_int_equal(others[i], 3);
}

static void a_leader_that_cannot_be_used_is_passed_over(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};
    struct etcd__call_config config = world_call_config(&world_unary);

    connect_all(world);
    etcd__channel_set_leader(world->channel, subchannel_of(world, 2));
    config.route = ETCD__ROUTE_LEADER;
    config.avoid = subchannel_of(world, 2);
    world_start_config(world, &call, &config);
    world_send(&call, "x");
    world_until(world, &call.ends, 1000);
    assert_string_not_equal(call.end_endpoint, world->endpoints[2].text);
    etcd__channel_set_aside(world->channel, subchannel_of(world, 2), 1000);
    assert_int_not_equal(host_of_call(world, ETCD__ROUTE_LEADER), 2);
    world_run(world, 1001);
    assert_int_equal(host_of_call(world, ETCD__ROUTE_LEADER), 2);
}

static void a_lost_leader_is_forgotten(void **state)
{
    struct world *world = *state;

    connect_all(world);
    etcd__channel_set_leader(world->channel, subchannel_of(world, 0));
    fake_peer_reset(world_newest(&world->hosts[0])->peer);
    world_run(world, 50);
    assert_false(etcd__channel_has_leader(world->channel));
    etcd__channel_set_leader(world->channel, subchannel_of(world, 1));
    h2_server_goaway(world_newest(&world->hosts[1])->server, -1, 0, "");
    world_push(world_newest(&world->hosts[1]));
    world_run(world, 50);
    assert_false(etcd__channel_has_leader(world->channel));
    etcd__channel_set_leader(world->channel, subchannel_of(world, 2));
    assert_int_equal(etcd__channel_set_endpoints(world->channel, world->endpoints, 2, NULL), ETCD_OK);
    assert_false(etcd__channel_has_leader(world->channel));
    (void)host_of_call(world, ETCD__ROUTE_LEADER);
}

/* ---- the nearest ----------------------------------------------------------------------------------- */

static void delays(struct world *world, int64_t a, int64_t b, int64_t c)
{
    world->hosts[0].net->delay_ms = a;
    world->hosts[1].net->delay_ms = b;
    world->hosts[2].net->delay_ms = c;
}

static void the_nearest_gets_what_any_may_answer(void **state)
{
    struct world *world = *state;
    size_t hits[HOSTS] = {0};

    delays(world, 20, 2, 40);
    connect_all(world);
    for (int i = 0; i < 100; i++)
        hits[host_of_call(world, ETCD__ROUTE_NEAREST)]++;
    /* Each other one was asked once, to know. */
    assert_int_equal(hits[0], 1);
    assert_int_equal(hits[1], 98);
    assert_int_equal(hits[2], 1);
}

/* One call in ten seconds goes to each of the others, so that a change is found. */
static void it_may_be_another_later(void **state)
{
    struct world *world = *state;
    size_t hits[HOSTS] = {0};

    delays(world, 20, 2, 40);
    connect_all(world);
    for (int i = 0; i < 20; i++)
        (void)host_of_call(world, ETCD__ROUTE_NEAREST);
    delays(world, 20, 60, 1);
    for (int i = 0; i < 400; i++) {
        world_run(world, 100);
        hits[host_of_call(world, ETCD__ROUTE_NEAREST)]++;
    }
    assert_true(hits[2] > 200);
    for (int i = 0; i < 5; i++)
        world_run(world, 1000);
    memset(hits, 0, sizeof(hits));
    for (int i = 0; i < 50; i++)
        hits[host_of_call(world, ETCD__ROUTE_NEAREST)]++;
    assert_true(hits[2] >= 48);
}

static void those_that_are_the_same_take_turns(void **state)
{
    struct world *world = *state;
    size_t hits[HOSTS] = {0};

    delays(world, 3, 3, 30);
    connect_all(world);
    for (int i = 0; i < 41; i++)
        hits[host_of_call(world, ETCD__ROUTE_NEAREST)]++;
    assert_int_equal(hits[2], 1);
    assert_in_range(hits[0], 19, 21);
    assert_in_range(hits[1], 19, 21);
}

static void the_nearest_may_be_lost(void **state)
{
    struct world *world = *state;

    delays(world, 1, 20, 40);
    connect_all(world);
    for (int i = 0; i < 10; i++)
        (void)host_of_call(world, ETCD__ROUTE_NEAREST);
    assert_int_equal(host_of_call(world, ETCD__ROUTE_NEAREST), 0);
    etcd__channel_set_aside(world->channel, subchannel_of(world, 0), 1000);
    assert_int_equal(host_of_call(world, ETCD__ROUTE_NEAREST), 1);
    fake_peer_reset(world_newest(&world->hosts[1])->peer);
    world->hosts[1].net->answer = FAKE_REFUSE;
    world_run(world, 50);
    assert_int_equal(host_of_call(world, ETCD__ROUTE_NEAREST), 2);
    world_run(world, 1001);
    assert_int_equal(host_of_call(world, ETCD__ROUTE_NEAREST), 0);
}

/* ---- set aside ------------------------------------------------------------------------------------- */

static size_t aside_for(struct world *world, struct etcd__subchannel *subchannel, int64_t for_ms)
{
    size_t ms = 0;

    etcd__channel_set_aside(world->channel, subchannel, for_ms);
    while (etcd__subchannel_aside(subchannel)) {
        world_run(world, 100);
        ms += 100;
    }
    return ms;
}

static void longer_each_time(void **state)
{
    struct world *world = *state;
    struct etcd__subchannel *subchannel;

    connect_all(world);
    subchannel = subchannel_of(world, 1);
    assert_int_equal(aside_for(world, subchannel, 2000), 2000);
    assert_int_equal(aside_for(world, subchannel, 2000), 4000);
    assert_int_equal(aside_for(world, subchannel, 2000), 8000);
    assert_int_equal(aside_for(world, subchannel, 2000), 16000);
    assert_int_equal(aside_for(world, subchannel, 2000), 16000);
    /* Calls that fail at the same time are one failure. */
    etcd__channel_set_aside(world->channel, subchannel, 2000);
    assert_int_equal(aside_for(world, subchannel, 2000), 16000);
    /* After a good while the story begins anew. */
    world_run(world, 4 * 16000 + 1);
    assert_int_equal(aside_for(world, subchannel, 2000), 2000);
    /* And on a new connection. */
    (void)aside_for(world, subchannel, 2000);
    fake_peer_reset(world_newest(&world->hosts[1])->peer);
    world_run(world, 50);
    assert_int_equal(aside_for(world, subchannel, 2000), 2000);
}

static void hope_is_what_may_still_connect(void **state)
{
    struct world *world = *state;
    struct etcd__subchannel *first;

    world->hosts[1].net->answer = FAKE_BLACK_HOLE;
    world->hosts[2].net->answer = FAKE_REFUSE;
    etcd__channel_connect(world->channel);
    world_run(world, 100);
    first = subchannel_of(world, 0);
    assert_true(etcd__channel_has_hope(world->channel, first));
    world_run(world, world->config.dial_timeout_ms);
    assert_false(etcd__channel_has_hope(world->channel, first));
}

/* ---- the state ------------------------------------------------------------------------------------- */

static void each_change_is_told_once(void **state)
{
    struct world *world = *state;

    etcd__channel_connect(world->channel);
    etcd__channel_connect(world->channel);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.states[0], ETCD__CHANNEL_CONNECTING);
    world_run(world, 100);
    assert_int_equal(told.count, 2);
    assert_int_equal(told.states[1], ETCD__CHANNEL_READY);
    for (size_t i = 0; i < HOSTS; i++) {
        world->hosts[i].net->answer = FAKE_REFUSE;
        assert_int_equal(told.count, 2);
        fake_peer_reset(world_newest(&world->hosts[i])->peer);
        world_run(world, 10);
    }
    assert_int_equal(told.count, 3);
    assert_int_equal(told.states[2], ETCD__CHANNEL_CONNECTING);
    assert_non_null(strstr(told.causes[2], world->endpoints[2].text));
    world_run(world, 10000);
    assert_int_equal(told.count, 3);
}

static void seeking_is_hope(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};
    struct etcd__call_config config = world_call_config(&world_unary);
    etcd_error err;

    assert_int_equal(etcd__channel_set_endpoints(world->channel, NULL, 0, NULL), ETCD_OK);
    etcd__channel_seek(world->channel, true, NULL);
    config.fail_fast = true;
    world_start_config(world, &call, &config);
    world_send(&call, "x");
    world_run(world, 1000);
    assert_int_equal(call.ends, 0);
    assert_int_equal(told.count, 1);
    (void)etcd__fail(&err, ETCD_E_UNAVAILABLE, "nothing found");
    etcd__channel_seek(world->channel, false, &err);
    world_run(world, 1);
    assert_int_equal(call.ends, 1);
    assert_string_equal(call.end_message, "nothing found");
    world_start_config(world, &call, &config);
    world_send(&call, "x");
    world_run(world, 1);
    assert_int_equal(call.ends, 2);
    config.fail_fast = false;
    world_start_config(world, &call, &config);
    world_send(&call, "x");
    assert_int_equal(etcd__channel_set_endpoints(world->channel, world->endpoints, 1, NULL), ETCD_OK);
    world_run(world, 100);
    assert_int_equal(call.ends, 3);
    assert_int_equal(call.end.code, ETCD__GRPC_OK);
}

#define PICK_TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PICK_TEST(calls_for_the_leader_go_there),
        PICK_TEST(a_leader_that_cannot_be_used_is_passed_over),
        PICK_TEST(a_lost_leader_is_forgotten),
        PICK_TEST(the_nearest_gets_what_any_may_answer),
        PICK_TEST(it_may_be_another_later),
        PICK_TEST(those_that_are_the_same_take_turns),
        PICK_TEST(the_nearest_may_be_lost),
        PICK_TEST(longer_each_time),
        PICK_TEST(hope_is_what_may_still_connect),
        PICK_TEST(each_change_is_told_once),
        PICK_TEST(seeking_is_hope),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
