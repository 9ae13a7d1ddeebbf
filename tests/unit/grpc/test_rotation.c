/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection has 2^30 stream ids. Here each begins with nearly all of them used up: calls move to the next
 * connection in time, and none of them notices.
 */
#include "grpc/call.h"

#include "support/alloc_fail.h"
#include "support/grpc_world.h"
#include "support/test.h"

#include <dlfcn.h>
#include <nghttp2/nghttp2.h>

enum { IDS_LEFT = 5, CALLS = 40, ROTATE_AT = 1 << 30 };

typedef int new_session_fn(nghttp2_session **session_ptr, const nghttp2_session_callbacks *callbacks,
                           void *user, const nghttp2_option *option, nghttp2_mem *mem);

/* Stands in for nghttp2's: a session that has lived for long. */
int nghttp2_session_client_new3(nghttp2_session **session_ptr, const nghttp2_session_callbacks *callbacks,
                                void *user, const nghttp2_option *option, nghttp2_mem *mem)
{
    union {
        void *object;
        new_session_fn *function;
    } real = {.object = dlsym(RTLD_NEXT, "nghttp2_session_client_new3")};
    int rv = real.function(session_ptr, callbacks, user, option, mem);

    if (rv == 0)
        assert_int_equal(nghttp2_session_set_next_stream_id(*session_ptr, ROTATE_AT + 1 - 2 * IDS_LEFT), 0);
    return rv;
}

static unsigned answered;

static void answer(struct h2_server_stream *stream)
{
    answered++;
    h2_reply_message(stream, "y", 1);
    h2_reply_status(stream, 0, NULL);
}

static int start(void **state)
{
    static struct world world;

    alloc_fail_at(0);
    answered = 0;
    world_init(&world, 1);
    world.hosts[0].ops = (struct h2_server_ops){.on_half_close = answer};
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

static size_t open_connections(const struct world_host *host)
{
    size_t count = 0;

    for (size_t i = 0; i < host->count; i++)
        count += host->connections[i].server != NULL;
    return count;
}

static void one_after_the_other(void **state)
{
    struct world *world = *state;

    for (int i = 0; i < CALLS; i++) {
        struct world_call call = {0};

        world_unary_call(world, &call, "x");
        world_until(world, &call.ends, 1000);
        assert_int_equal(call.end.code, ETCD__GRPC_OK);
        assert_int_equal(call.messages, 1);
    }
    assert_int_equal(world->hosts[0].count, CALLS / IDS_LEFT + 1);
    world_run(world, 10);
    assert_int_equal(open_connections(&world->hosts[0]), 1);
}

static void many_at_once(void **state)
{
    struct world *world = *state;
    static struct world_call calls[CALLS];

    for (int i = 0; i < CALLS; i++)
        world_unary_call(world, &calls[i], "x");
    for (int i = 0; i < CALLS; i++) {
        world_until(world, &calls[i].ends, 10000);
        assert_int_equal(calls[i].end.code, ETCD__GRPC_OK);
        assert_int_equal(calls[i].ends, 1);
    }
    assert_int_equal(answered, CALLS); /* none was sent twice */
    assert_in_range(world->hosts[0].count, CALLS / IDS_LEFT, CALLS / IDS_LEFT + 1);
}

/* A stream stays on the connection that it began on, and goes on when that takes no more. */
static void a_stream_outlives_the_rotation(void **state)
{
    struct world *world = *state;
    struct world_call stream = {0};
    struct h2_server_stream *peer;

    world_start(world, &stream, &world_stream);
    world_send(&stream, "hello");
    world_run(world, 10);
    peer = world_request(&world->hosts[0]);
    for (int i = 0; i < CALLS; i++) {
        struct world_call call = {0};

        world_unary_call(world, &call, "x");
        world_until(world, &call.ends, 1000);
        assert_int_equal(call.end.code, ETCD__GRPC_OK);
    }
    assert_int_equal(stream.ends, 0);
    assert_int_equal(open_connections(&world->hosts[0]), 2);
    h2_reply_message(peer, "still here", 10);
    world_push(&world->hosts[0].connections[0]);
    world_run(world, 10);
    assert_string_equal(stream.last, "still here");
    (void)etcd__call_cancel(&stream.call);
    world_run(world, 10);
    assert_int_equal(open_connections(&world->hosts[0]), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_after_the_other, start, stop),
        cmocka_unit_test_setup_teardown(many_at_once, start, stop),
        cmocka_unit_test_setup_teardown(a_stream_outlives_the_rotation, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
