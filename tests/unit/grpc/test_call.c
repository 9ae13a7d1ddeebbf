/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/call.h"

#include "grpc/transport.h"
#include "support/alloc_fail.h"
#include "support/grpc_world.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

static int start(void **state)
{
    static struct world world;

    alloc_fail_at(0);
    world_init(&world, 1);
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

/* Ends as expected, and the request was released. */
static void assert_end(const struct world_call *call, enum etcd__grpc_code code, const char *message)
{
    assert_int_equal(call->ends, 1);
    assert_int_equal(call->end.code, code);
    assert_string_equal(call->end.message, message);
    assert_null(call->outgoing.data);
    assert_false(etcd__call_alive(&call->call));
}

static void a_unary_call_is_answered(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};

    world_unary_call(world, &call, "hello");
    assert_int_equal(call.ends, 0);
    world_until(world, &call.ends, 1000);
    assert_end(&call, ETCD__GRPC_OK, "");
    assert_true(call.end.from_server);
    assert_int_equal(call.messages, 1);
    assert_string_equal(call.last, "hello");
    assert_int_equal(call.sents, 1);
    assert_int_equal(call.headers, 1);
    assert_int_equal(call.releases, 1);
    assert_string_equal(call.end.endpoint, "192.0.2.1:2379");
}

static void bytes_may_come_one_at_a_time(void **state)
{
    struct world *world = *state;
    struct world_call calls[3] = {0};

    fake_limit_io(world->fake, 1, 1);
    for (size_t i = 0; i < ETCD__COUNT(calls); i++)
        world_unary_call(world, &calls[i], i == 1 ? "" : "hello");
    for (size_t i = 0; i < ETCD__COUNT(calls); i++) {
        world_until(world, &calls[i].ends, 1000);
        assert_end(&calls[i], ETCD__GRPC_OK, "");
        assert_string_equal(calls[i].last, i == 1 ? "" : "hello");
    }
}

static void a_call_may_be_started_again(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};

    for (int i = 0; i < 3; i++) {
        call.ends = 0;
        world_unary_call(world, &call, "again");
        world_until(world, &call.ends, 1000);
        assert_end(&call, ETCD__GRPC_OK, "");
    }
    assert_int_equal(call.messages, 3);
}

/* --- The request --- */

static void hold(struct h2_server_stream *stream)
{
    (void)stream;
}

static void the_headers_are_those_of_a_grpc_client(void **state)
{
    static const char *const expected[] = {
        ":method",
        "POST",
        ":scheme",
        "http",
        ":path",
        "/test.Echo/Unary",
        ":authority",
        "192.0.2.1:2379",
        "content-type",
        "application/grpc",
        "user-agent",
        "etcdc-test",
        "te",
        "trailers",
        "grpc-timeout",
        "2000m",
        "hasleader",
        "true",
        "token",
        "secret.12",
        "client-api-version",
        "3.5",
    };
    struct world *world = *state;
    struct world_call call = {0};
    struct etcd__call_config config = world_call_config(&world_unary);

    world->hosts[0].ops = (struct h2_server_ops){.on_request = hold};
    assert_true(etcd__channel_set_token(world->channel, "secret.12"));
    config.deadline_ms = world->reactor.now_ms + 1999;
    config.require_leader = true;
    world_start_config(world, &call, &config);
    world_send(&call, "x");
    world_run(world, 10);

    struct h2_server_stream *stream = world_request(&world->hosts[0]);

    assert_non_null(stream);
    assert_int_equal(stream->field_count, ETCD__COUNT(expected) / 2);
    for (size_t i = 0; i < stream->field_count; i++) {
        assert_string_equal(stream->fields[i].name, expected[2 * i]);
        assert_string_equal(stream->fields[i].value, expected[2 * i + 1]);
    }
    assert_true(stream->half_closed);
    assert_int_equal(etcd__call_cancel(&call.call), ETCD__MAYBE_SENT);
}

static void the_login_carries_no_token(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};
    struct etcd__call_config config = world_call_config(&world_unary);

    world->hosts[0].ops = (struct h2_server_ops){.on_request = hold};
    assert_true(etcd__channel_set_token(world->channel, "old"));
    config.no_token = true;
    world_start_config(world, &call, &config);
    world_run(world, 10);
    assert_null(h2_server_field(world_request(&world->hosts[0]), "token"));
    assert_null(h2_server_field(world_request(&world->hosts[0]), "grpc-timeout"));
    assert_null(h2_server_field(world_request(&world->hosts[0]), "hasleader"));
    etcd__call_cancel(&call.call);
}

static void a_token_that_does_not_fit_ends_the_call(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};
    char *token = test_malloc(70000);

    memset(token, 'x', 69999);
    token[69999] = '\0';
    assert_true(etcd__channel_set_token(world->channel, token));
    test_free(token);
    world_unary_call(world, &call, "x");
    world_until(world, &call.ends, 1000);
    assert_end(&call, ETCD__GRPC_RESOURCE_EXHAUSTED, "the token does not fit into the headers");
    assert_int_equal(call.end.sent, ETCD__NOT_SENT);
}

struct large {
    struct etcd__outgoing outgoing;
    unsigned released;
};

static void large_released(struct etcd__outgoing *outgoing)
{
    ETCD__CONTAINER(outgoing, struct large, outgoing)->released++;
}

static void a_large_request_goes_out_as_windows_allow(void **state)
{
    enum { SIZE = 600000 };
    struct world *world = *state;
    struct world_call call = {0};
    struct large large = {.outgoing = {.release = large_released, .len = ETCD__FRAME_HEADER + SIZE}};

    large.outgoing.data = test_calloc(1, large.outgoing.len);
    memset(large.outgoing.data + ETCD__FRAME_HEADER, 'L', SIZE);
    world_start(world, &call, &world_unary);
    etcd__call_send(&call.call, &large.outgoing);
    world_until(world, &call.ends, 1000);
    assert_int_equal(call.end.code, ETCD__GRPC_OK);
    assert_int_equal(call.last_len, SIZE);
    assert_int_equal(large.released, 1);
    test_free(large.outgoing.data);
}

/* --- Streams --- */

static void a_stream_echoes_until_it_is_closed(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};

    world_start(world, &call, &world_stream);
    world_run(world, 10);
    assert_int_equal(call.sents, 1);
    assert_int_equal(call.messages, 0);
    for (unsigned i = 1; i <= 3; i++) {
        world_send(&call, i == 2 ? "two" : "other");
        world_run(world, 10);
        assert_int_equal(call.messages, i);
        assert_int_equal(call.releases, i);
        assert_string_equal(call.last, i == 2 ? "two" : "other");
    }
    assert_int_equal(call.ends, 0);
    etcd__call_half_close(&call.call);
    world_until(world, &call.ends, 10);
    assert_end(&call, ETCD__GRPC_OK, "");
}

static void a_stream_may_end_without_messages(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};

    world_start(world, &call, &world_stream);
    etcd__call_half_close(&call.call);
    world_until(world, &call.ends, 100);
    assert_end(&call, ETCD__GRPC_OK, "");
    assert_int_equal(call.messages, 0);
}

static void flood(struct h2_server_stream *stream, const uint8_t *data, size_t len)
{
    static char block[64000];

    (void)data;
    (void)len;
    for (int i = 0; i < 200; i++) /* 12.8 MB */
        h2_reply_message(stream, block, sizeof block);
}

static void a_paused_stream_holds_the_server_back(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};
    struct world_call other = {0};

    world->hosts[0].ops.on_message = flood;
    world_start(world, &call, &world_stream);
    etcd__call_pause(&call.call, true); /* before it has a connection */
    world_send(&call, "go");
    world_run(world, 100);

    unsigned held = call.messages;

    assert_in_range(held, 60, 70); /* one window of 4 MiB */
    world->hosts[0].ops.on_message = NULL;
    world_unary_call(world, &other, "not held back");
    world_until(world, &other.ends, 100);
    etcd__call_pause(&call.call, false);
    world_run(world, 100);
    assert_int_equal(call.messages, 200);
    etcd__call_cancel(&call.call);
}

/* --- Cancel, restart, free inside callbacks --- */

static void trailers_only(struct h2_server_stream *stream)
{
    h2_reply_status(stream, 9, "etcdserver: no %E2%82%AC leader");
}

static void cancel_in_every_state(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};

    world->hosts[0].ops = (struct h2_server_ops){.on_request = hold};
    assert_int_equal(etcd__call_cancel(&call.call), ETCD__NOT_SENT);

    world_unary_call(world, &call, "waiting");
    assert_int_equal(call.call.state, ETCD__CALL_WAITING);
    assert_int_equal(etcd__call_cancel(&call.call), ETCD__NOT_SENT);
    assert_int_equal(call.releases, 1);

    etcd__channel_connect(world->channel);
    world_run(world, 10);
    world_unary_call(world, &call, "not written");
    assert_int_equal(call.call.state, ETCD__CALL_ACTIVE);
    assert_int_equal(etcd__call_cancel(&call.call), ETCD__NOT_SENT);
    assert_int_equal(call.releases, 2);
    world_settle(world);
    assert_int_equal(world_requests(&world->hosts[0]), 0);
    assert_int_equal(h2_server_resets(world_newest(&world->hosts[0])->server), 0);

    world_unary_call(world, &call, "written");
    world_settle(world);
    assert_int_equal(world_requests(&world->hosts[0]), 1);
    assert_int_equal(etcd__call_cancel(&call.call), ETCD__MAYBE_SENT);
    assert_int_equal(call.releases, 3);
    world_settle(world);
    assert_int_equal(h2_server_resets(world_newest(&world->hosts[0])->server), 1);
    assert_int_equal(call.ends, 0);
    assert_int_equal(world->hosts[0].count, 1);
}

static void cancel_it(struct world_call *call)
{
    assert_int_equal(etcd__call_cancel(&call->call), ETCD__MAYBE_SENT);
}

static void free_it(struct world_call *call)
{
    etcd__call_cancel(&call->call);
    *(unsigned *)call->user += 1;
    memset(call, 0xee, sizeof *call);
    free(call);
}

static void restart_it(struct world_call *call)
{
    call->then_message = NULL;
    etcd__call_cancel(&call->call);
    world_unary_call(call->world, call, "second");
}

static void three_answers(struct h2_server_stream *stream, const uint8_t *data, size_t len)
{
    for (int i = 0; i < 3; i++)
        h2_reply_message(stream, data, len);
}

/* In whatever pieces the answers come, nothing is heard after the cancel. */
static void a_call_may_go_inside_on_message(void **state)
{
    static const size_t pieces[] = {SIZE_MAX, 1, 7};
    struct world *world = *state;

    world->hosts[0].ops.on_message = three_answers;
    for (size_t i = 0; i < ETCD__COUNT(pieces); i++) {
        struct world_call call = {.then_message = cancel_it};
        struct world_call *freed = calloc(1, sizeof *freed);
        unsigned gone = 0;

        assert_non_null(freed);
        freed->then_message = free_it;
        freed->user = &gone;
        fake_limit_io(world->fake, pieces[i], SIZE_MAX);
        world_start(world, &call, &world_stream);
        world_send(&call, "hello");
        world_start(world, freed, &world_stream);
        world_send(freed, "hello");
        world_until(world, &gone, 1000);
        world_run(world, 10);
        assert_int_equal(call.messages, 1);
        assert_string_equal(call.last, "hello");
        assert_int_equal(call.ends, 0);
        assert_int_equal(call.releases, 1);
    }
    world_settle(world);
    assert_int_equal(world_streams(&world->hosts[0]), 0);
}

static void a_call_may_restart_inside_on_message(void **state)
{
    struct world *world = *state;
    struct world_call call = {.then_message = restart_it};

    world_unary_call(world, &call, "first");
    world_until(world, &call.ends, 1000);
    assert_end(&call, ETCD__GRPC_OK, "");
    assert_int_equal(call.messages, 2);
    assert_int_equal(call.releases, 2);
    assert_string_equal(call.last, "second");
}

static void free_at_end(struct world_call *call)
{
    *(unsigned *)call->user += 1;
    free(call);
}

static void again_at_end(struct world_call *call)
{
    if (call->ends < 5)
        world_unary_call(call->world, call, "again");
}

static void a_call_may_be_freed_or_restarted_at_its_end(void **state)
{
    struct world *world = *state;
    struct world_call *call = calloc(1, sizeof *call);
    struct world_call again = {.then_end = again_at_end};
    unsigned gone = 0;

    assert_non_null(call);
    call->then_end = free_at_end;
    call->user = &gone;
    world_unary_call(world, call, "x");
    world_unary_call(world, &again, "x");
    world_until(world, &gone, 1000);
    world_run(world, 100);
    assert_int_equal(again.ends, 5);
    assert_int_equal(again.releases, 5);
}

static void cancel_the_other(struct world_call *call)
{
    etcd__call_cancel(&((struct world_call *)call->user)->call);
}

/* Also at the loss of the connection, when both are being ended. */
static void a_call_may_cancel_another(void **state)
{
    struct world *world = *state;
    struct world_call a = {.then_end = cancel_the_other};
    struct world_call b = {.then_end = cancel_the_other};

    a.user = &b;
    b.user = &a;
    world->hosts[0].ops = (struct h2_server_ops){.on_request = hold};
    world_unary_call(world, &a, "a");
    world_unary_call(world, &b, "b");
    world_run(world, 10);
    fake_peer_reset(world_newest(&world->hosts[0])->peer);
    world_run(world, 10);
    assert_int_equal(a.ends + b.ends, 1);
    assert_int_equal(a.releases, 1);
    assert_int_equal(b.releases, 1);
}

static void loss_of_the_connection_ends_calls(void **state)
{
    struct world *world = *state;
    struct world_call written = {0};
    struct world_call unwritten = {0};

    world->hosts[0].ops = (struct h2_server_ops){.on_request = hold};
    world->hosts[0].config.max_concurrent = 1;
    world_unary_call(world, &written, "a");
    world_unary_call(world, &unwritten, "b");
    world_run(world, 10);
    assert_int_equal(world_requests(&world->hosts[0]), 1);
    assert_int_equal(unwritten.sents, 0);
    fake_peer_close(world_newest(&world->hosts[0])->peer);
    world_run(world, 10);
    assert_int_equal(written.end.code, ETCD__GRPC_UNAVAILABLE);
    assert_int_equal(written.end.sent, ETCD__MAYBE_SENT);
    assert_int_equal(unwritten.end.code, ETCD__GRPC_UNAVAILABLE);
    assert_int_equal(unwritten.end.sent, ETCD__NOT_SENT);
    assert_non_null(strstr(written.end.message, "192.0.2.1:2379"));
    assert_non_null(strstr(written.end.message, "closed by peer"));
}

static void goaway_refuses_what_it_has_not_seen(void **state)
{
    struct world *world = *state;
    struct world_call first = {0};
    struct world_call second = {0};
    struct world_call third = {0};

    world->hosts[0].ops = (struct h2_server_ops){.on_request = hold};
    world->hosts[0].config.max_concurrent = 2;
    world_unary_call(world, &first, "a");
    world_unary_call(world, &second, "b");
    world_unary_call(world, &third, "c"); /* waits inside */
    world_run(world, 10);

    struct h2_server_stream *stream = world_request(&world->hosts[0]);

    h2_server_goaway(stream->server, stream->id, 0, NULL);
    h2_reply_message(stream, "still", 5);
    h2_reply_status(stream, 0, NULL);
    world_push(world_newest(&world->hosts[0]));
    world_run(world, 100);
    assert_end(&first, ETCD__GRPC_OK, "");
    assert_end(&second, ETCD__GRPC_UNAVAILABLE, "the server refused the request unprocessed");
    assert_end(&third, ETCD__GRPC_UNAVAILABLE, "the server refused the request unprocessed");
    assert_int_equal(second.end.sent, ETCD__NOT_SENT);
    assert_int_equal(third.end.sent, ETCD__NOT_SENT);
    assert_int_equal(world->hosts[0].count, 2); /* a new connection, the old one is gone */
    assert_int_equal(fake_open_sockets(world->fake), 1);
}

/* --- Out of memory --- */

static void scenario(size_t n, void *user)
{
    static struct world world;
    struct world_call calls[2] = {0};
    struct world_call stream = {0};

    (void)user;
    world_init(&world, 1);
    world.hosts[0].ops.on_half_close = trailers_only;
    if (world_open(&world)) {
        (void)etcd__channel_set_token(world.channel, "token");
        fake_limit_io(world.fake, 3, SIZE_MAX);
        world_unary_call(&world, &calls[0], "one");
        world_start(&world, &stream, &world_stream);
        world_send(&stream, "two");
        world_run(&world, 3000);
        world_unary_call(&world, &calls[1], "three");
        world_run(&world, 3000);
        etcd__call_cancel(&stream.call);
        for (size_t i = 0; i < ETCD__COUNT(calls); i++) {
            assert_int_equal(calls[i].ends, 1);
            assert_int_equal(calls[i].releases, 1);
            if (alloc_count() < n)
                assert_int_equal(calls[i].end.code, ETCD__GRPC_FAILED_PRECONDITION);
            else if (calls[i].end.no_memory)
                assert_int_equal(calls[i].end.code, ETCD__GRPC_RESOURCE_EXHAUSTED);
        }
        assert_int_equal(stream.releases, 1);
    }
    world_close(&world);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(scenario, NULL) > 50);
    assert_int_equal(alloc_live(), 0);
}

#define CALL_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CALL_TEST(a_unary_call_is_answered),
        CALL_TEST(bytes_may_come_one_at_a_time),
        CALL_TEST(a_call_may_be_started_again),
        CALL_TEST(the_headers_are_those_of_a_grpc_client),
        CALL_TEST(the_login_carries_no_token),
        CALL_TEST(a_token_that_does_not_fit_ends_the_call),
        CALL_TEST(a_large_request_goes_out_as_windows_allow),
        CALL_TEST(a_stream_echoes_until_it_is_closed),
        CALL_TEST(a_stream_may_end_without_messages),
        CALL_TEST(a_paused_stream_holds_the_server_back),
        CALL_TEST(cancel_in_every_state),
        CALL_TEST(a_call_may_go_inside_on_message),
        CALL_TEST(a_call_may_restart_inside_on_message),
        CALL_TEST(a_call_may_be_freed_or_restarted_at_its_end),
        CALL_TEST(a_call_may_cancel_another),
        CALL_TEST(loss_of_the_connection_ends_calls),
        CALL_TEST(goaway_refuses_what_it_has_not_seen),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
