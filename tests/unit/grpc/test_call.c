/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/call.h"

#include "support/alloc_fail.h"
#include "support/grpc_world.h"
#include "support/test.h"

#include <stdio.h>

static int start(void **state)
{
    static struct world world;

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

static void a_unary_call_is_answered(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};

    world_unary_call(world, &call, "hello");
    assert_int_equal(call.ends, 0);
    world_until(world, &call.ends, 1000);
    assert_int_equal(call.end.code, ETCD__GRPC_OK);
    assert_true(call.end.from_server);
    assert_int_equal(call.messages, 1);
    assert_string_equal(call.last, "hello");
    assert_int_equal(call.sents, 1);
    assert_int_equal(call.headers, 1);
    assert_int_equal(call.releases, 1);
    assert_string_equal(call.end.endpoint, "192.0.2.1:2379");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_unary_call_is_answered, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
