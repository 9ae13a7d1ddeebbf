/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole client on a virtual clock and a scripted network: nothing here waits, hours pass in no time, and
 * every run is the same.
 */
#include "support/fake_client.h"
#include "support/fake_env.h"

#include "runtime/loop.h"

#include <stdio.h>
#include <stdlib.h>

enum { CODE_UNAVAILABLE = 14, HOUR_MS = 3600 * 1000 };

struct world {
    struct fake_env *env;
    struct fake_etcd *fake;
    struct fake_host *host;
    etcd_loop *loop;
    etcd_client *client;
    etcd_error err;
    unsigned callbacks;
};

static void open_world(struct world *world, const etcd_client_opts *opts)
{
    etcd_client_opts own = ETCD_CLIENT_OPTS_INIT;

    memset(world, 0, sizeof(*world));
    world->env = fake_env_new(7);
    world->fake = fake_etcd_attach(world->env, "192.0.2.1", 2379);
    fake_name_add(world->env, "etcd.example", "192.0.2.1");
    assert_status(etcd__loop_new_env(fake_env_table(world->env), &world->loop, &world->err), ETCD_OK,
                  &world->err);
    if (opts != NULL)
        own = *opts;
    own.loop = world->loop;
    own.endpoints = own.endpoints == NULL ? ETCD_LIST("etcd.example:2379") : own.endpoints;
    assert_status(etcd_client_open(&own, &world->client, &world->err), ETCD_OK, &world->err);
}

static void close_world(struct world *world)
{
    etcd_client_free(world->client);
    etcd_loop_free(world->loop);
    fake_etcd_free(world->fake);
    assert_int_equal(fake_open_sockets(world->env), 0);
    assert_int_equal(fake_misuses(world->env), 0);
    fake_env_free(world->env);
}

static int64_t took(const struct world *world, int64_t begin_ms)
{
    return fake_now(world->env) - begin_ms;
}

static void count_it(etcd_op *op, void *user_data)
{
    (void)op;
    ((struct world *)user_data)->callbacks++;
}

/* ---- */

static void test_calls(void **state)
{
    struct world world;
    etcd_get_result *result = NULL;

    (void)state;
    open_world(&world, NULL);
    assert_status(fake_put(world.client, 0, &world.err), ETCD_OK, &world.err);
    assert_status(etcd_get(world.client, etcd_cstr("k"), NULL, &result, &world.err), ETCD_OK, &world.err);
    assert_int_equal(etcd_get_result_count(result), 1);
    assert_string_equal(etcd_get_result_kv(result, 0)->value.data, "v");
    etcd_get_result_free(result);
    assert_int_equal(fake_etcd_connections(world.fake), 1);
    close_world(&world);
}

static void test_byte_by_byte(void **state)
{
    struct world world;

    (void)state;
    open_world(&world, ETCD_CLIENT_OPTS(.username = "u", .password = ETCD_SECRET_TEXT("p")));
    fake_etcd_set_auth(world.fake, "u", "p");
    fake_limit_io(world.env, 1, 1);
    assert_status(fake_put(world.client, 0, &world.err), ETCD_OK, &world.err);
    assert_status(fake_get(world.client, 0, &world.err), ETCD_OK, &world.err);
    close_world(&world);
}

static void test_a_deadline_to_the_millisecond(void **state)
{
    struct world world;
    int64_t begin_ms;

    (void)state;
    open_world(&world, NULL);
    assert_status(fake_get(world.client, 0, &world.err), ETCD_OK, &world.err);
    fake_etcd_always(world.fake, "Put", &(struct fake_step){.what = STEP_SILENT});
    begin_ms = fake_now(world.env);
    assert_status(fake_put(world.client, 7 * 1000, &world.err), ETCD_E_DEADLINE, &world.err);
    assert_int_equal(took(&world, begin_ms), 7 * 1000);
    assert_int_equal(world.err.flags, ETCD_ERROR_MAYBE_APPLIED);
    begin_ms = fake_now(world.env);
    fake_etcd_next(world.fake, "Put", &(struct fake_step){.delay_ms = HOUR_MS});
    assert_status(fake_put(world.client, ETCD_TIMEOUT_NONE, &world.err), ETCD_OK, &world.err);
    assert_int_equal(took(&world, begin_ms), HOUR_MS);
    close_world(&world);
}

static void test_nobody_there(void **state)
{
    struct world world;
    int64_t begin_ms;

    (void)state;
    open_world(&world, ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("192.0.2.9:2379")));
    begin_ms = fake_now(world.env);
    assert_status(fake_put(world.client, 10 * 1000, &world.err), ETCD_E_UNAVAILABLE, &world.err);
    assert_int_equal(took(&world, begin_ms), 10 * 1000);
    assert_has_text(world.err.message, "192.0.2.9:2379");
    close_world(&world);
}

static void test_an_unknown_name(void **state)
{
    struct world world;

    (void)state;
    open_world(&world, ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("nowhere.example")));
    assert_status(fake_put(world.client, 3000, &world.err), ETCD_E_UNAVAILABLE, &world.err);
    assert_has_text(world.err.message, "nowhere.example");
    close_world(&world);
}

/* The pauses between attempts grow: a minute of "no leader" is a handful of calls a second at most. */
static void test_pauses_grow(void **state)
{
    struct world world;
    size_t calls;

    (void)state;
    open_world(&world, NULL);
    fake_etcd_always(world.fake, "Range",
                     &(struct fake_step){
                         .what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: no leader"});
    assert_status(fake_get(world.client, 60 * 1000, &world.err), ETCD_E_DEADLINE, &world.err);
    calls = fake_etcd_calls(world.fake, "Range");
    assert_in_range(calls, 50, 90);
    close_world(&world);
}

/* A token that expires during a night in which nobody calls. */
static void test_a_night(void **state)
{
    struct world world;

    (void)state;
    open_world(&world, ETCD_CLIENT_OPTS(.username = "u", .password = ETCD_SECRET_TEXT("p")));
    fake_etcd_set_auth(world.fake, "u", "p");
    assert_status(fake_put(world.client, 0, &world.err), ETCD_OK, &world.err);
    fake_pass(world.env, 8 * HOUR_MS);
    fake_etcd_expire_tokens(world.fake);
    assert_status(fake_put(world.client, 0, &world.err), ETCD_OK, &world.err);
    assert_int_equal(fake_etcd_calls(world.fake, "Authenticate"), 2);
    assert_int_equal(fake_etcd_connections(world.fake), 1);
    close_world(&world);
}

static void wait_ms(struct world *world, int64_t ms)
{
    for (int64_t until_ms = fake_now(world->env) + ms; fake_now(world->env) < until_ms;)
        assert_status(etcd_loop_wait(world->loop, until_ms - fake_now(world->env), &world->err), ETCD_OK,
                      &world->err);
}

/* Reads whose token is refused wait for the login alone, not for the time to ask another member as well. */
static void test_a_slow_second_login(void **state)
{
    struct world world;
    etcd_op *ops[3];

    (void)state;
    open_world(&world, ETCD_CLIENT_OPTS(.username = "u", .password = ETCD_SECRET_TEXT("p")));
    fake_etcd_set_auth(world.fake, "u", "p");
    assert_status(fake_get(world.client, 0, &world.err), ETCD_OK, &world.err);
    fake_etcd_expire_tokens(world.fake);
    fake_etcd_next(world.fake, "Authenticate", &(struct fake_step){.delay_ms = 2500});
    for (size_t i = 0; i < 3; i++) {
        assert_status(etcd_get_async(world.client, etcd_cstr("k"), NULL, NULL, NULL, &ops[i], &world.err),
                      ETCD_OK, &world.err);
        wait_ms(&world, 100);
    }
    wait_ms(&world, 750); /* the first could ask elsewhere now, the others not yet */
    etcd_op_cancel(ops[2]);
    for (size_t i = 0; i < 3; i++) {
        assert_status(etcd_op_wait(ops[i], ETCD_TIMEOUT_NONE, &world.err), ETCD_OK, &world.err);
        assert_status(etcd_op_status(ops[i], &world.err), i == 2 ? ETCD_E_CANCELLED : ETCD_OK, &world.err);
        etcd_op_free(ops[i]);
    }
    assert_int_equal(fake_etcd_calls(world.fake, "Authenticate"), 2);
    assert_int_equal(fake_etcd_done(world.fake, "Range"), 3);
    close_world(&world);
}

/* The machine sleeps for an hour in the middle of a call: its time is over, the client's is not. */
static void test_suspended_in_a_call(void **state)
{
    struct world world;
    etcd_op *op = NULL;

    (void)state;
    open_world(&world, NULL);
    assert_status(fake_put(world.client, 0, &world.err), ETCD_OK, &world.err);
    fake_etcd_next(world.fake, "Put", &(struct fake_step){.what = STEP_SILENT});
    assert_status(
        etcd_put_async(world.client, etcd_cstr("k"), etcd_cstr("v"), NULL, count_it, &world, &op, &world.err),
        ETCD_OK, &world.err);
    fake_await_calls(world.client, world.fake, "Put", 2);
    fake_pass(world.env, HOUR_MS);
    assert_status(etcd_op_wait(op, 1000, &world.err), ETCD_OK, &world.err);
    assert_status(etcd_op_status(op, &world.err), ETCD_E_DEADLINE, &world.err);
    assert_int_equal(world.err.flags, ETCD_ERROR_MAYBE_APPLIED);
    assert_status(etcd_loop_process(world.loop, &world.err), ETCD_OK, &world.err);
    assert_int_equal(world.callbacks, 1);
    etcd_op_free(op);
    assert_status(fake_put(world.client, 0, &world.err), ETCD_OK, &world.err);
    close_world(&world);
}

static void test_operations(void **state)
{
    struct world world;
    etcd_op *ops[10];

    (void)state;
    open_world(&world, NULL);
    for (size_t i = 0; i < 10; i++) {
        fake_etcd_next(world.fake, "Range", &(struct fake_step){.delay_ms = 1000 * (int64_t)(10 - i)});
        assert_status(etcd_get_async(world.client, etcd_cstr("k"), ETCD_GET_OPTS(.timeout_ms = 60000),
                                     count_it, &world, &ops[i], &world.err),
                      ETCD_OK, &world.err);
    }
    etcd_op_cancel(ops[3]);
    while (world.callbacks < 10)
        assert_status(etcd_loop_wait(world.loop, 60000, &world.err), ETCD_OK, &world.err);
    for (size_t i = 0; i < 10; i++) {
        assert_status(etcd_op_status(ops[i], &world.err), i == 3 ? ETCD_E_CANCELLED : ETCD_OK, &world.err);
        etcd_op_free(ops[i]);
    }
    close_world(&world);
}

static void test_sync_every_minute(void **state)
{
    static const struct fake_member members[] = {{"a", "http://192.0.2.1:2379", false}};
    struct world world;
    char text[64];

    (void)state;
    open_world(&world, ETCD_CLIENT_OPTS(.auto_sync_interval_ms = 60 * 1000));
    fake_etcd_set_members(world.fake, members, 1);
    for (int64_t until_ms = fake_now(world.env) + HOUR_MS; fake_now(world.env) < until_ms;)
        assert_status(etcd_loop_wait(world.loop, until_ms - fake_now(world.env), &world.err), ETCD_OK,
                      &world.err);
    assert_in_range(fake_etcd_calls(world.fake, "MemberList"), 58, 60);
    (void)etcd_client_endpoints(world.client, text, sizeof(text));
    assert_string_equal(text, "http://192.0.2.1:2379");
    close_world(&world);
}

static void record(struct world *world, char *dst, size_t size)
{
    (void)snprintf(dst, size, "%lld %zu", (long long)fake_now(world->env),
                   fake_etcd_calls(world->fake, "Range"));
}

/* Chance comes in through the environment too: the same world gives the same run. */
static void test_runs_are_repeatable(void **state)
{
    char runs[2][64];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct world world;

        open_world(&world, NULL);
        for (int step = 0; step < 30; step++)
            fake_etcd_next(world.fake, "Range",
                           &(struct fake_step){.what = step % 3 == 0 ? STEP_CUT : STEP_STATUS,
                                               .code = CODE_UNAVAILABLE,
                                               .message = "x"});
        assert_status(fake_get(world.client, HOUR_MS, &world.err), ETCD_OK, &world.err);
        record(&world, runs[i], sizeof(runs[i]));
        close_world(&world);
    }
    assert_string_equal(runs[0], runs[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_a_deadline_to_the_millisecond),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_an_unknown_name),
        cmocka_unit_test(test_pauses_grow),
        cmocka_unit_test(test_a_night),
        cmocka_unit_test(test_a_slow_second_login),
        cmocka_unit_test(test_suspended_in_a_call),
        cmocka_unit_test(test_operations),
        cmocka_unit_test(test_sync_every_minute),
        cmocka_unit_test(test_runs_are_repeatable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
