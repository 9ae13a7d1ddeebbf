/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/transport.h"

#include "support/alloc_fail.h"
#include "support/grpc_world.h"
#include "support/test.h"

#include <stdlib.h>

static struct world world;
static unsigned writes;
static void (*read_as_before)(struct fake_peer *peer);

static void count_write(struct fake_peer *peer)
{
    writes++;
    read_as_before(peer);
}

static int start(void **state)
{
    (void)state;
    alloc_fail_at(0);
    world_init(&world, 1);
    assert_true(world_open(&world));
    read_as_before = world.hosts[0].net->on_data;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    world_close(&world);
    assert_int_equal(alloc_live(), 0);
    return 0;
}

static void connect_and_count(void)
{
    etcd__channel_connect(world.channel);
    world_run(&world, 10);
    assert_int_equal(etcd__channel_ready(world.channel), 1);
    world.hosts[0].net->on_data = count_write;
    writes = 0;
}

static void the_calls_of_a_turn_leave_in_one_write(void **state)
{
    struct world_call calls[50] = {0};

    (void)state;
    connect_and_count();
    for (size_t i = 0; i < ETCD__COUNT(calls); i++)
        world_unary_call(&world, &calls[i], "one of many");
    assert_int_equal(writes, 0);
    world_settle(&world);
    for (size_t i = 0; i < ETCD__COUNT(calls); i++)
        assert_int_equal(calls[i].ends, 1);
    assert_int_equal(writes, 1);
    assert_int_equal(world_requests(&world.hosts[0]), 50);
}

/*
 * The server reads nothing for a while: output waits in a bounded buffer, and all of it arrives in the end.
 */
static void a_reader_that_lags_gets_everything(void **state)
{
    enum { CALLS = 60, SIZE = 20000 };
    struct world_call *calls = test_calloc(CALLS, sizeof *calls);
    char *text = test_malloc(SIZE + 1);
    struct world_host *host = &world.hosts[0];

    (void)state;
    memset(text, 't', SIZE);
    text[SIZE] = '\0';
    host->config.window = 1 << 20;
    connect_and_count();
    host->silent = true;
    for (size_t i = 0; i < CALLS; i++)
        world_unary_call(&world, &calls[i], text);
    world_run(&world, 500);
    for (size_t i = 0; i < CALLS; i++)
        assert_int_equal(calls[i].ends, 0);
    host->silent = false;
    read_as_before(world_newest(host)->peer);
    world_run(&world, 500);
    for (size_t i = 0; i < CALLS; i++) {
        assert_int_equal(calls[i].ends, 1);
        assert_int_equal(calls[i].end.code, ETCD__GRPC_OK);
        assert_int_equal(calls[i].last_len, SIZE);
    }
    assert_int_equal(host->count, 1);
    test_free(text);
    test_free(calls);
}

static unsigned goodbyes;

static void count_goodbye(struct h2_server *server)
{
    (void)server;
    goodbyes++;
}

static void a_connection_is_closed_politely(void **state)
{
    (void)state;
    goodbyes = 0;
    world.hosts[0].ops.on_goaway = count_goodbye;
    connect_and_count();
    assert_int_equal(etcd__channel_set_endpoints(world.channel, NULL, 0, NULL), ETCD_OK);
    world_run(&world, 10);
    assert_int_equal(goodbyes, 1);
    assert_int_equal(fake_open_sockets(world.fake), 0);
}

static void hold(struct h2_server_stream *stream)
{
    (void)stream;
}

/* A frame that is against the rules: the calls end, the server is told, a new connection is made. */
static void a_peer_that_breaks_the_protocol_is_left(void **state)
{
    static const uint8_t data_on_stream_0[] = {0, 0, 1, 0, 0, 0, 0, 0, 0, 'x'};
    struct world_call call = {0};

    (void)state;
    goodbyes = 0;
    world.hosts[0].ops = (struct h2_server_ops){.on_request = hold, .on_goaway = count_goodbye};
    connect_and_count();
    world_run(&world, 2000);
    world_unary_call(&world, &call, "x");
    world_run(&world, 10);
    fake_peer_write(world_newest(&world.hosts[0])->peer, data_on_stream_0, sizeof data_on_stream_0);
    world_run(&world, 10);
    assert_int_equal(call.ends, 1);
    assert_int_equal(call.end.code, ETCD__GRPC_UNAVAILABLE);
    assert_int_equal(call.end.sent, ETCD__MAYBE_SENT);
    assert_non_null(strstr(call.end.message, "broke HTTP/2"));
    assert_int_equal(goodbyes, 1);
    assert_int_equal(world.hosts[0].count, 2);
}

static void ping(void)
{
    static const uint8_t data[8] = "measure";
    struct world_connection *connection = world_newest(&world.hosts[0]);

    h2_server_ping(connection->server, data);
    world_push(connection);
    world_settle(&world);
}

/* A server that pings with each message after an answer is slowed down; one ping is answered at once. */
static void pings_are_answered_now_and_then(void **state)
{
    struct h2_server *server;
    struct world_call call = {0};

    (void)state;
    connect_and_count();
    server = world_newest(&world.hosts[0])->server;
    ping();
    assert_int_equal(h2_server_ping_answers(server), 1);
    ping();
    assert_int_equal(writes, 1);
    world_run(&world, 10);
    assert_int_equal(writes, 1);
    world_unary_call(&world, &call, "the answer does not ride along");
    world_settle(&world);
    assert_int_equal(call.ends, 1);
    assert_int_equal(h2_server_ping_answers(server), 1);
    world_run(&world, 15);
    assert_int_equal(h2_server_ping_answers(server), 2);
    world_run(&world, 1000);
    ping();
    assert_int_equal(h2_server_ping_answers(server), 3);
}

#define TRANSPORT_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TRANSPORT_TEST(the_calls_of_a_turn_leave_in_one_write),
        TRANSPORT_TEST(a_reader_that_lags_gets_everything),
        TRANSPORT_TEST(a_connection_is_closed_politely),
        TRANSPORT_TEST(a_peer_that_breaks_the_protocol_is_left),
        TRANSPORT_TEST(pings_are_answered_now_and_then),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
