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

static void run_call(struct world *world, struct world_call *call)
{
    call->ends = 0;
    world_unary_call(world, call, "x");
    world_until(world, &call->ends, 1000);
    assert_int_equal(call->end.code, ETCD__GRPC_OK);
}

/* --- Connecting --- */

static void nothing_connects_before_it_is_used(void **state)
{
    struct world *world = *state;

    world_run(world, 10000);
    assert_int_equal(world->hosts[0].count + world->hosts[1].count + world->hosts[2].count, 0);
    assert_int_equal(etcd__channel_ready(world->channel), 0);
    assert_int_equal(etcd__channel_last_error(world->channel)->status, ETCD_OK);
}

static void the_first_call_connects_to_all(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};

    run_call(world, &call);
    world_run(world, 10);
    assert_int_equal(etcd__channel_ready(world->channel), 3);
    assert_int_equal(world->ups, 3);
    assert_int_equal(world->downs, 0);
}

static void an_idle_channel_sleeps(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};

    connect_all(world);
    assert_int_equal(etcd__reactor_next_ms(&world->reactor), INT64_MAX);
    run_call(world, &call);
    world_settle(world);
    assert_int_equal(etcd__reactor_next_ms(&world->reactor), INT64_MAX);
}

static void calls_take_turns(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};

    connect_all(world);
    for (int i = 0; i < 12; i++)
        run_call(world, &call);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(world_requests(&world->hosts[i]), 4);
}

static void where_it_begins_is_chance(void **state)
{
    size_t first[3] = {0};

    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct world world;
        struct world_call call = {0};

        world_init(&world, 3);
        for (uint64_t skip = 0; skip < seed; skip++)
            (void)etcd__reactor_random(&world.reactor, 2);
        assert_true(world_open(&world));
        connect_all(&world);
        run_call(&world, &call);
        for (size_t i = 0; i < 3; i++)
            first[i] += world_requests(&world.hosts[i]);
        world_close(&world);
    }
    for (size_t i = 0; i < 3; i++)
        assert_true(first[i] > 0);
}

static void a_refused_endpoint_is_tried_again_and_again(void **state)
{
    struct world *world = *state;

    world->hosts[1].net->answer = FAKE_REFUSE;
    etcd__channel_connect(world->channel);
    world_run(world, 20000);
    /* 50 ms x 1.6^n up to 5 s: ten in the first 20 s, give or take. */
    assert_in_range(world->downs, 8, 14);
    assert_int_equal(etcd__channel_ready(world->channel), 2);
    assert_non_null(strstr(etcd__channel_last_error(world->channel)->message, "192.0.2.2"));
    assert_int_equal(etcd__channel_last_error(world->channel)->status, ETCD_E_UNAVAILABLE);
    assert_false(etcd__channel_all_failed(world->channel));

    world->hosts[1].net->answer = FAKE_ACCEPT;
    world_run(world, 6100);
    assert_int_equal(etcd__channel_ready(world->channel), 3);
}

static void waiting_calls_shorten_the_back_off(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};
    unsigned before;

    for (size_t i = 0; i < 3; i++)
        world->hosts[i].net->answer = FAKE_REFUSE;
    etcd__channel_connect(world->channel);
    world_run(world, 60000);
    assert_true(etcd__channel_all_failed(world->channel));
    before = world->downs;
    world_unary_call(world, &call, "x");
    world_run(world, 10100);
    assert_in_range(world->downs - before, 3 * 10, 3 * 14);
    assert_int_equal(call.ends, 0);
    world->hosts[2].net->answer = FAKE_ACCEPT;
    world_until(world, &call.ends, 1100);
    assert_int_equal(call.end.code, ETCD__GRPC_OK);
    assert_false(etcd__channel_all_failed(world->channel));
}

static void the_dial_timeout_covers_every_phase(void **state)
{
    struct world *world = *state;

    world->hosts[0].net->answer = FAKE_BLACK_HOLE; /* TCP */
    world->hosts[1].silent = true;                 /* accepts, says nothing */
    world->hosts[2].config.hold_settings = true;
    etcd__channel_connect(world->channel);
    world_run(world, 4999);
    assert_int_equal(world->downs, 0);
    assert_int_equal(fake_open_sockets(world->fake), 3);
    world_run(world, 1);
    assert_int_equal(world->downs, 3);
    assert_int_equal(fake_open_sockets(world->fake), 0);

    const char *message = etcd__channel_last_error(world->channel)->message;

    assert_non_null(strstr(message, "192.0.2."));
    assert_non_null(strstr(message, "5000 ms"));
}

static void the_message_of_a_timeout_names_the_phase(void **state)
{
    static const char *const words[] = {"connecting", "settings"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct world world;

        world_init(&world, 1);
        if (i == 0)
            world.hosts[0].net->answer = FAKE_BLACK_HOLE;
        else
            world.hosts[0].silent = true;
        assert_true(world_open(&world));
        etcd__channel_connect(world.channel);
        world_run(&world, 5001);
        assert_non_null(strstr(etcd__channel_last_error(world.channel)->message, words[i]));
        assert_non_null(strstr(etcd__channel_last_error(world.channel)->message, "192.0.2.1:2379"));
        world_close(&world);
    }
}

static void say_http1(struct fake_peer *peer)
{
    static const char text[] = "HTTP/1.1 400 Bad Request\r\n\r\n";

    fake_peer_write(peer, text, sizeof text - 1);
}

static void a_server_that_speaks_something_else_is_named(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < 3; i++) {
        world->hosts[i].net->on_accept = say_http1;
        world->hosts[i].net->on_data = NULL;
    }
    etcd__channel_connect(world->channel);
    world_run(world, 10);
    assert_true(etcd__channel_all_failed(world->channel));
    assert_non_null(strstr(etcd__channel_last_error(world->channel)->message, "HTTP/2"));
}

/* --- Losing connections --- */

static void a_lost_connection_comes_back_at_once(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};

    connect_all(world);
    world_run(world, 5000);
    fake_peer_reset(world_newest(&world->hosts[0])->peer);
    world_run(world, 1);
    assert_int_equal(world->downs, 1);
    world_run(world, 10);
    assert_int_equal(world->hosts[0].count, 2);
    assert_int_equal(etcd__channel_ready(world->channel), 3);
    run_call(world, &call);
}

static void close_at_once(struct fake_peer *peer)
{
    struct h2_server *server;
    static const struct h2_server_ops nothing;
    uint8_t buf[256];

    server = h2_server_new(NULL, &nothing, NULL);
    fake_peer_write(peer, buf, h2_server_take(server, buf, sizeof buf));
    h2_server_free(server);
    fake_peer_close(peer);
}

/* A server that says hello and hangs up must not be dialled in a loop. */
static void a_connection_that_does_not_last_backs_off(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < 3; i++) {
        world->hosts[i].net->on_accept = close_at_once;
        world->hosts[i].net->on_data = NULL;
    }
    etcd__channel_connect(world->channel);
    world_run(world, 20000);
    assert_int_equal(world->ups, world->downs);
    assert_in_range(world->downs, 3 * 8, 3 * 14);
}

static void goaway_moves_to_a_new_connection(void **state)
{
    struct world *world = *state;
    struct world_call stream = {0};
    struct world_call call = {0};

    connect_all(world);
    assert_int_equal(etcd__channel_set_endpoints(world->channel, world->endpoints, 1, NULL), ETCD_OK);
    world_start(world, &stream, &world_stream);
    world_run(world, 2000);

    struct world_connection *old = world_newest(&world->hosts[0]);

    h2_server_goaway(old->server, INT32_MAX, 0, NULL);
    world_push(old);
    world_run(world, 10);
    h2_server_goaway(old->server, -1, 0, NULL); /* in two steps, as servers do that go in peace */
    world_push(old);
    world_run(world, 10);
    assert_int_equal(world->hosts[0].count, 2);
    run_call(world, &call);
    assert_int_equal(h2_server_requests(old->server), 1);

    /* The old connection still works for its stream, and goes with it. */
    world_send(&stream, "still there?");
    world_run(world, 10);
    assert_string_equal(stream.last, "still there?");
    etcd__call_half_close(&stream.call);
    world_until(world, &stream.ends, 100);
    assert_int_equal(stream.end.code, ETCD__GRPC_OK);
    world_run(world, 10);
    assert_null(old->server);
    assert_int_equal(fake_open_sockets(world->fake), 1);
    assert_int_equal(world->downs, 0);
}

static void too_many_pings_doubles_the_interval(void **state)
{
    struct world *world = *state;
    struct world_call stream = {0};

    hold_all(world);
    assert_int_equal(etcd__channel_set_endpoints(world->channel, world->endpoints, 1, NULL), ETCD_OK);
    world_start(world, &stream, &world_stream);
    world_run(world, 9500);
    assert_int_equal(h2_server_pings(world_newest(&world->hosts[0])->server), 0);
    world_run(world, 1000);
    assert_int_equal(h2_server_pings(world_newest(&world->hosts[0])->server), 1);
    h2_server_goaway(world_newest(&world->hosts[0])->server, -1, 11, "too_many_pings");
    world_push(world_newest(&world->hosts[0]));
    world_run(world, 10);
    fake_peer_close(world->hosts[0].connections[0].peer);
    world_run(world, 10);
    assert_int_equal(stream.ends, 1);
    world_start(world, &stream, &world_stream);
    world_run(world, 19500);
    assert_int_equal(world->hosts[0].count, 2);
    assert_int_equal(h2_server_pings(world_newest(&world->hosts[0])->server), 0);
    world_run(world, 1000);
    assert_int_equal(h2_server_pings(world_newest(&world->hosts[0])->server), 1);
    etcd__call_cancel(&stream.call);
}

/* --- A peer that has stopped --- */

static void a_stopped_server_is_set_aside(void **state)
{
    struct world *world = *state;
    struct world_call calls[6] = {0};
    struct world_call call = {0};

    connect_all(world);
    world->hosts[1].silent = true;
    for (size_t i = 0; i < 3; i++)
        world_unary_call(world, &calls[i], "x");
    world_run(world, 1900);
    assert_int_equal(calls[0].ends + calls[1].ends + calls[2].ends, 2);
    assert_int_equal(etcd__channel_ready(world->channel), 3);
    world_run(world, 200);
    assert_int_equal(etcd__channel_ready(world->channel), 2);
    for (int i = 0; i < 6; i++)
        run_call(world, &call);
    assert_int_equal(world_requests(&world->hosts[1]), 0);

    /* It goes on: what it got is answered, and it is used again. */
    world->hosts[1].silent = false;
    world->hosts[1].net->on_data(world_newest(&world->hosts[1])->peer);
    world_run(world, 10);
    assert_int_equal(calls[0].ends + calls[1].ends + calls[2].ends, 3);
    assert_int_equal(etcd__channel_ready(world->channel), 3);
}

static void a_stopped_server_is_given_up_after_the_keepalive_timeout(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};

    assert_int_equal(etcd__channel_set_endpoints(world->channel, world->endpoints, 1, NULL), ETCD_OK);
    etcd__channel_connect(world->channel);
    world_run(world, 10);
    world->hosts[0].silent = true;
    world_unary_call(world, &call, "x");
    world_run(world, 5990);
    assert_int_equal(call.ends, 0);
    assert_true(etcd__subchannel_silence_ms(call.call.subchannel) >= 5990);
    world_run(world, 20);
    assert_int_equal(call.ends, 1);
    assert_int_equal(call.end.code, ETCD__GRPC_UNAVAILABLE);
    assert_int_equal(call.end.sent, ETCD__MAYBE_SENT);
    assert_non_null(strstr(call.end.message, "keepalive"));
    assert_int_equal(world->hosts[0].count, 2);
}

/* --- Choosing --- */

static void the_owner_may_set_an_endpoint_aside(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};
    struct etcd__subchannel *bad;

    connect_all(world);
    run_call(world, &call);
    bad = call.call.subchannel;
    assert_true(etcd__channel_has_other(world->channel, bad));
    etcd__channel_set_aside(world->channel, bad, 1000);
    assert_int_equal(etcd__channel_ready(world->channel), 2);
    for (int i = 0; i < 6; i++) {
        run_call(world, &call);
        assert_ptr_not_equal(call.call.subchannel, bad);
    }
    world_run(world, 1001);
    assert_int_equal(etcd__channel_ready(world->channel), 3);

    /* When all are, all are used. */
    for (int i = 0; i < 3; i++) {
        run_call(world, &call);
        etcd__channel_set_aside(world->channel, call.call.subchannel, 1000);
    }
    assert_int_equal(etcd__channel_ready(world->channel), 0);
    assert_false(etcd__channel_has_other(world->channel, bad));
    run_call(world, &call);
    etcd__channel_set_aside(world->channel, (struct etcd__subchannel *)(void *)world,
                            1000); /* one that is gone */
}

static void a_call_avoids_an_endpoint_if_it_can(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};
    struct etcd__call_config config = world_call_config(&world_unary);

    connect_all(world);
    run_call(world, &call);
    config.avoid = call.call.subchannel;
    for (int i = 0; i < 6; i++) {
        call.ends = 0;
        world_start_config(world, &call, &config);
        world_send(&call, "x");
        world_until(world, &call.ends, 100);
        assert_ptr_not_equal(call.call.subchannel, config.avoid);
    }
    world->hosts[0].net->answer = world->hosts[1].net->answer = world->hosts[2].net->answer = FAKE_REFUSE;
    for (size_t i = 0; i < 3; i++) {
        char host[32] = "192.0.2.1:2379";

        host[8] = (char)('1' + i);
        if (strcmp(etcd__subchannel_endpoint(config.avoid), host) != 0)
            fake_peer_reset(world_newest(&world->hosts[i])->peer);
    }
    world_run(world, 10);
    assert_int_equal(etcd__channel_ready(world->channel), 1);
    call.ends = 0;
    world_start_config(world, &call, &config);
    world_send(&call, "x");
    world_until(world, &call.ends, 100);
    assert_ptr_equal(call.call.subchannel, config.avoid);
}

/* --- Waiting and failing fast --- */

static void fail_fast_waits_for_the_first_attempts_only(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};
    struct world_call patient = {0};
    struct etcd__call_config config = world_call_config(&world_unary);

    for (size_t i = 0; i < 3; i++) {
        world->hosts[i].net->answer = FAKE_REFUSE;
        world->hosts[i].net->connect_ms = 100 * (int64_t)(i + 1);
    }
    config.fail_fast = true;
    world_start_config(world, &call, &config);
    world_send(&call, "x");
    world_unary_call(world, &patient, "x");
    world_run(world, 290);
    assert_int_equal(call.ends, 0);
    world_run(world, 20);
    assert_int_equal(call.ends, 1);
    assert_int_equal(call.end.code, ETCD__GRPC_UNAVAILABLE);
    assert_int_equal(call.end.sent, ETCD__NOT_SENT);
    assert_string_equal(call.end.endpoint, "");
    assert_non_null(strstr(call.end.message, "192.0.2.3"));
    assert_int_equal(call.releases, 1);

    /* Now it is known to be hopeless; still not inside the start. */
    call.ends = 0;
    world_start_config(world, &call, &config);
    world_send(&call, "x");
    assert_int_equal(call.ends, 0);
    assert_int_equal(call.call.state, ETCD__CALL_ENDING);
    world_settle(world);
    assert_int_equal(call.ends, 1);
    assert_int_equal(call.releases, 2);

    world_start_config(world, &call, &config);
    assert_int_equal(etcd__call_cancel(&call.call), ETCD__NOT_SENT);
    world_settle(world);
    assert_int_equal(call.ends, 1);
    assert_int_equal(patient.ends, 0);
    etcd__call_cancel(&patient.call);
}

static void a_channel_without_endpoints_waits(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};
    struct world_call fast = {0};
    struct etcd__call_config config = world_call_config(&world_unary);

    assert_int_equal(etcd__channel_set_endpoints(world->channel, NULL, 0, NULL), ETCD_OK);
    config.fail_fast = true;
    world_unary_call(world, &call, "x");
    world_start_config(world, &fast, &config);
    world_settle(world);
    assert_int_equal(fast.ends, 1);
    assert_int_equal(call.ends, 0);
    assert_int_equal(etcd__channel_set_endpoints(world->channel, world->endpoints, 2, NULL), ETCD_OK);
    world_until(world, &call.ends, 100);
    assert_int_equal(call.end.code, ETCD__GRPC_OK);
}

static void waiting_calls_go_out_in_order(void **state)
{
    struct world *world = *state;
    struct world_call calls[20] = {0};

    hold_all(world);
    for (size_t i = 0; i < ETCD__COUNT(calls); i++) {
        char text[2] = {(char)('a' + i), '\0'};

        world_unary_call(world, &calls[i], text);
        assert_int_equal(calls[i].call.state, ETCD__CALL_WAITING);
    }
    etcd__call_cancel(&calls[7].call);
    world_run(world, 10);
    assert_int_equal(world_requests(&world->hosts[0]) + world_requests(&world->hosts[1]) +
                         world_requests(&world->hosts[2]),
                     19);
    for (size_t i = 0; i < ETCD__COUNT(calls); i++) {
        assert_int_equal(calls[i].sents, i == 7 ? 0 : 1);
        etcd__call_cancel(&calls[i].call);
    }
}

/* --- The end --- */

static void freeing_ends_every_call(void **state)
{
    struct world world;
    struct world_call waiting = {0};
    struct world_call active = {0};
    struct world_call unwritten = {0};
    struct world_call ending = {0};
    struct world_call stream = {0};

    (void)state;
    world_init(&world, 1);
    hold_all(&world);
    world.hosts[0].config.max_concurrent = 2;
    assert_true(world_open(&world));
    world_unary_call(&world, &active, "x");
    world_start(&world, &stream, &world_stream);
    world_run(&world, 10);
    world_unary_call(&world, &unwritten, "x");
    world_settle(&world);
    assert_int_equal(etcd__channel_set_endpoints(world.channel, NULL, 0, NULL),
                     ETCD_OK); /* the stream is ending */
    world_unary_call(&world, &waiting, "x");

    struct etcd__call_config config = world_call_config(&world_unary);

    config.fail_fast = true;
    world_start_config(&world, &ending, &config);
    world_send(&ending, "x");
    etcd__channel_free(world.channel);
    world.channel = NULL;

    const struct world_call *calls[] = {&waiting, &active, &unwritten, &ending, &stream};

    for (size_t i = 0; i < ETCD__COUNT(calls); i++) {
        assert_int_equal(calls[i]->ends, 1);
        assert_int_equal(calls[i]->end.code, ETCD__GRPC_CANCELLED);
        assert_false(calls[i]->end.from_server);
        assert_int_equal(calls[i]->end.sent,
                         calls[i] == &active || calls[i] == &stream ? ETCD__MAYBE_SENT : ETCD__NOT_SENT);
        assert_null(calls[i]->outgoing.data);
    }
    world_settle(&world);
    world_close(&world);
}

static void the_server_is_told_of_the_end(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};

    hold_all(world);
    assert_int_equal(etcd__channel_set_endpoints(world->channel, world->endpoints, 1, NULL), ETCD_OK);
    world_unary_call(world, &call, "x");
    world_run(world, 10);
    etcd__channel_free(world->channel);
    world->channel = NULL;
    assert_int_equal(call.ends, 1);

    struct world_connection *connection = world_newest(&world->hosts[0]);

    while (connection->server != NULL && h2_server_streams(connection->server) != NULL)
        assert_int_equal(etcd__reactor_turn(&world->reactor, fake_now(world->fake) + 10), 0);
}

/* --- Out of memory --- */

static void scenario(size_t n, void *user)
{
    static struct world world;
    struct world_call calls[3] = {0};

    (void)user;
    world_init(&world, 3);
    if (world_open(&world)) {
        (void)etcd__channel_set_endpoints(world.channel, world.endpoints, 2, NULL);
        for (size_t i = 0; i < ETCD__COUNT(calls); i++)
            world_unary_call(&world, &calls[i], "x");
        world_run(&world, 2000);
        (void)etcd__channel_set_endpoints(world.channel, world.endpoints + 1, 2, NULL);
        world_run(&world, 2000);
        for (size_t i = 0; i < ETCD__COUNT(calls); i++) {
            assert_int_equal(calls[i].ends, 1);
            assert_int_equal(calls[i].releases, 1);
            if (alloc_count() < n)
                assert_int_equal(calls[i].end.code, ETCD__GRPC_OK);
        }
        assert_int_equal(etcd__channel_ready(world.channel), 2);
    }
    world_close(&world);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(scenario, NULL) > 50);
    assert_int_equal(alloc_live(), 0);
}

#define CHANNEL_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHANNEL_TEST(nothing_connects_before_it_is_used),
        CHANNEL_TEST(the_first_call_connects_to_all),
        CHANNEL_TEST(an_idle_channel_sleeps),
        CHANNEL_TEST(calls_take_turns),
        cmocka_unit_test(where_it_begins_is_chance),
        CHANNEL_TEST(a_refused_endpoint_is_tried_again_and_again),
        CHANNEL_TEST(waiting_calls_shorten_the_back_off),
        CHANNEL_TEST(the_dial_timeout_covers_every_phase),
        cmocka_unit_test(the_message_of_a_timeout_names_the_phase),
        CHANNEL_TEST(a_server_that_speaks_something_else_is_named),
        CHANNEL_TEST(a_lost_connection_comes_back_at_once),
        CHANNEL_TEST(a_connection_that_does_not_last_backs_off),
        CHANNEL_TEST(goaway_moves_to_a_new_connection),
        CHANNEL_TEST(too_many_pings_doubles_the_interval),
        CHANNEL_TEST(a_stopped_server_is_set_aside),
        CHANNEL_TEST(a_stopped_server_is_given_up_after_the_keepalive_timeout),
        CHANNEL_TEST(the_owner_may_set_an_endpoint_aside),
        CHANNEL_TEST(a_call_avoids_an_endpoint_if_it_can),
        CHANNEL_TEST(fail_fast_waits_for_the_first_attempts_only),
        CHANNEL_TEST(a_channel_without_endpoints_waits),
        CHANNEL_TEST(waiting_calls_go_out_in_order),
        cmocka_unit_test(freeing_ends_every_call),
        CHANNEL_TEST(the_server_is_told_of_the_end),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
