/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeded disorder: calls start, cancel and restart inside each other's callbacks, while servers refuse,
 * reset, go away, stop and hang up and the list of endpoints changes. Then the network heals, and every
 * call that is left must end well. Each call ends once or is cancelled, and every request is released once.
 * A failing seed is named.
 */
#include "grpc/channel.h"

#include "support/alloc_fail.h"
#include "support/grpc_world.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

enum { CALLS = 24, STEPS = 120, SEEDS = 150 };

struct chaos {
    struct world world;
    struct world_call calls[CALLS];
    unsigned starts[CALLS];
    uint64_t chance;
    bool healed;
    bool starving; /* an allocation fails now and then */
};

static struct chaos chaos;

static unsigned draw(unsigned limit)
{
    chaos.chance = chaos.chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(chaos.chance >> 33) % limit;
}

/* --- Servers --- */

static void answer(struct h2_server_stream *stream)
{
    h2_reply_message(stream, "answer", 6);
    h2_reply_status(stream, 0, NULL);
}

static void misbehave(struct h2_server_stream *stream)
{
    switch (chaos.healed ? 0 : draw(12)) {
    case 1:
        h2_reply_reset(stream, draw(14));
        break;
    case 2:
        h2_server_goaway(stream->server, draw(2) != 0 ? -1 : stream->id - 2, draw(2) * 11, "too_many_pings");
        break;
    case 3:
        h2_reply_status(stream, (int)draw(17), "an%20error");
        break;
    case 4:
        h2_reply_data(stream, "\1\0\0\0\1", draw(6), draw(2) != 0);
        break;
    case 5:
        break; /* no answer at all */
    case 6:
        h2_reply_message(stream, "first", 5);
        answer(stream);
        break;
    default:
        answer(stream);
        break;
    }
}

/* --- Calls --- */

static void step_inside(struct world_call *call);

static void start_call(size_t i)
{
    struct world_call *call = &chaos.calls[i];
    struct etcd__call_config config = world_call_config(draw(4) == 0 ? &world_stream : &world_unary);

    config.fail_fast = !chaos.healed && draw(4) == 0;
    call->then_message = call->then_end = step_inside;
    chaos.starts[i]++;
    world_start_config(&chaos.world, call, &config);
    if (call->outgoing.data == NULL)
        world_send(call, "request");
    if (etcd__call_alive(&call->call))
        etcd__call_half_close(&call->call);
}

static void change_endpoints(void)
{
    struct world *world = &chaos.world;
    size_t first = draw((unsigned)world->host_count);
    size_t count = draw((unsigned)(world->host_count - first) + 1);
    etcd_status status = etcd__channel_set_endpoints(world->channel, world->endpoints + first, count, NULL);

    assert_true(status == ETCD_OK || chaos.starving);
}

static void touch_a_call(void)
{
    size_t i = draw(CALLS);

    if (!etcd__call_alive(&chaos.calls[i].call)) {
        start_call(i);
        return;
    }
    switch (draw(3)) {
    case 0:
        etcd__call_cancel(&chaos.calls[i].call);
        break;
    case 1:
        etcd__call_pause(&chaos.calls[i].call, draw(2) != 0);
        break;
    default:
        etcd__channel_set_aside(chaos.world.channel, chaos.calls[i].call.subchannel, draw(2000));
        break;
    }
}

/* What an owner may do inside a callback. */
static void step_inside(struct world_call *call)
{
    if (chaos.healed)
        return;
    switch (draw(6)) {
    case 0:
        etcd__call_cancel(&call->call);
        break;
    case 1:
        etcd__call_cancel(&call->call);
        start_call((size_t)(call - chaos.calls));
        break;
    case 2:
        touch_a_call();
        break;
    case 3:
        if (draw(5) == 0)
            change_endpoints();
        break;
    default:
        break;
    }
}

/* --- The network --- */

static struct world_connection *some_connection(void)
{
    struct world_host *host = &chaos.world.hosts[draw((unsigned)chaos.world.host_count)];

    return host->count == 0 ? NULL
                            : &host->connections[host->count - 1 - draw((unsigned)(host->count > 2 ? 2 : 1))];
}

static void shake_the_network(void)
{
    struct world_connection *connection = some_connection();
    struct world_host *host = &chaos.world.hosts[draw((unsigned)chaos.world.host_count)];

    switch (draw(7)) {
    case 0:
        host->net->answer = draw(2) != 0 ? FAKE_ACCEPT : FAKE_REFUSE;
        break;
    case 1:
        host->silent = draw(3) == 0;
        break;
    case 2:
        if (connection != NULL && connection->server != NULL) {
            h2_server_goaway(connection->server, draw(2) != 0 ? INT32_MAX : -1, 0, NULL);
            world_push(connection);
        }
        break;
    case 3:
        if (connection != NULL && connection->server != NULL)
            fake_peer_reset(connection->peer);
        break;
    case 4:
        if (connection != NULL && connection->server != NULL)
            fake_peer_close(connection->peer);
        break;
    case 5:
        fake_limit_io(chaos.world.fake, draw(2) != 0 ? SIZE_MAX : 1 + draw(30),
                      draw(2) != 0 ? SIZE_MAX : 1 + draw(30));
        break;
    default:
        host->config.max_concurrent = draw(2) * 2;
        break;
    }
}

static void heal(void)
{
    struct world *world = &chaos.world;

    chaos.healed = true;
    fake_limit_io(world->fake, SIZE_MAX, SIZE_MAX);
    for (size_t i = 0; i < CALLS; i++)
        etcd__call_cancel(&chaos.calls[i].call); /* some wait for an answer that no server will give */
    for (size_t i = 0; i < world->host_count; i++) {
        world->hosts[i].net->answer = FAKE_ACCEPT;
        world->hosts[i].silent = false;
        for (size_t j = 0; j < world->hosts[i].count; j++)
            world->hosts[i].net->on_data(world->hosts[i].connections[j].peer);
    }
    assert_int_equal(etcd__channel_set_endpoints(world->channel, world->endpoints, world->host_count, NULL),
                     ETCD_OK);
    world_run(world, 30000);
}

static void run_seed(uint64_t seed, bool starving)
{
    struct world *world = &chaos.world;

    memset(&chaos, 0, sizeof chaos);
    chaos.chance = seed;
    chaos.starving = starving;
    alloc_fail_at(0);
    world_init(world, 3);
    for (size_t i = 0; i < 3; i++)
        world->hosts[i].ops = (struct h2_server_ops){.on_half_close = misbehave};
    assert_true(world_open(world));
    for (int step = 0; step < STEPS; step++) {
        if (starving && draw(4) == 0)
            alloc_fail_at(1 + draw(80));
        switch (draw(8)) {
        case 0:
            shake_the_network();
            break;
        case 1:
            world_run(world, draw(3000));
            break;
        case 2:
            if (draw(4) == 0)
                change_endpoints();
            break;
        default:
            touch_a_call();
            break;
        }
        world_run(world, draw(20));
    }
    alloc_fail_at(0);
    heal();
    for (size_t i = 0; i < CALLS; i++) {
        chaos.calls[i].ends = 0;
        start_call(i);
    }
    world_run(world, 10000);
    for (size_t i = 0; i < CALLS; i++) {
        if (chaos.calls[i].ends != 1 || chaos.calls[i].end.code != ETCD__GRPC_OK ||
            chaos.calls[i].releases != chaos.starts[i])
            fail_msg("seed %llu, call %zu: %u ends, code %d \"%s\", %u starts, %u releases",
                     (unsigned long long)seed, i, chaos.calls[i].ends, (int)chaos.calls[i].end.code,
                     chaos.calls[i].end_message, chaos.starts[i], chaos.calls[i].releases);
    }
    assert_int_equal(etcd__channel_ready(world->channel), 3);
    world_close(world);
}

static void run_seeds(bool starving)
{
    const char *only = getenv("CHAOS_SEED");

    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_seed(only != NULL ? strtoull(only, NULL, 10) : seed, starving);
    assert_int_equal(alloc_live(), 0);
}

static void disorder_is_survived(void **state)
{
    (void)state;
    run_seeds(false);
}

static void disorder_is_survived_without_memory(void **state)
{
    (void)state;
    run_seeds(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disorder_is_survived),
        cmocka_unit_test(disorder_is_survived_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
