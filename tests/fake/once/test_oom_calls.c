/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of every call fails once, in the scripted network, with an answer that has all there can
 * be in it: the call says so or succeeds, nothing leaks, and the next call works.
 */
#include "support/alloc_fail.h"
#include "support/every_call.h"
#include "support/fake_client.h"
#include "support/fake_env.h"
#include "support/wire_fill.h"

#include "runtime/loop.h"
#include "wire/codec.h"

struct world {
    struct fake_env *env;
    struct fake_etcd *fake;
    etcd_loop *loop;
    etcd_client *client;
};

static void open_world(struct world *world)
{
    etcd_error err;

    world->env = fake_env_new(1);
    world->fake = fake_etcd_attach(world->env, "192.0.2.1", 2379);
    assert_int_equal(etcd__loop_new_env(fake_env_table(world->env), &world->loop, &err), ETCD_OK);
    assert_status(
        etcd_client_open(ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("192.0.2.1:2379"), .loop = world->loop),
                         &world->client, &err),
        ETCD_OK, &err);
    assert_status(etcd_client_wait_ready(world->client, 1000, &err), ETCD_OK, &err);
}

static void close_world(struct world *world)
{
    etcd_client_free(world->client);
    etcd_loop_free(world->loop);
    fake_etcd_free(world->fake);
    assert_int_equal(fake_open_sockets(world->env), 0);
    fake_env_free(world->env);
}

/* What is tried, and what came of it. */
struct trial {
    const struct every_call *call;
    uint8_t *data; /* the answer */
    size_t len;
    etcd_status usual; /* with enough memory: some calls do not like what random fields say */
    size_t failed;     /* calls that could not do without an allocation */
};

/* How many allocations the call made. */
static size_t run(struct trial *trial, size_t n)
{
    const struct every_call *call = trial->call;
    const struct fake_step step = {
        .what = STEP_MESSAGE, .message = (const char *)trial->data, .size = trial->len};
    size_t before = alloc_live(), count;
    struct world world;
    etcd_error err = {.status = ETCD_OK};
    etcd_status st;

    open_world(&world);
    fake_etcd_always(world.fake, call->method, &step);
    alloc_fail_at(n);
    st = call->run(world.client, "192.0.2.1:2379", &err);
    count = alloc_count();
    alloc_fail_at(0);
    if (n == 0)
        trial->usual = st;
    if (st != trial->usual) {
        trial->failed++;
        assert_true(err.message[0] != '\0');
        if (st != ETCD_E_NO_MEMORY && st != ETCD_E_UNAVAILABLE)
            fail_msg("%s: allocation %zu: %s: %s", call->method, n, etcd_status_name(st), err.message);
    }
    fake_etcd_always(world.fake, call->method, NULL);
    assert_status(fake_put(world.client, 5000, &err), ETCD_OK, &err);
    close_world(&world);
    if (alloc_live() != before)
        fail_msg("%s: allocation %zu: %zu blocks leaked", call->method, n, alloc_live() - before);
    return count;
}

static void every_allocation_of_every_call(void **state)
{
    (void)state;
    alloc_fail_at(0);
    for (size_t i = 0; i < every_call_count; i++) {
        struct trial trial = {.call = &every_call[i]};
        struct etcd__arena arena = {0};
        uint32_t seed = (uint32_t)i + 1;
        size_t all;

        assert_int_equal(
            etcd__wire_pack(wire_fill(&arena, every_call[i].answer, 2, &seed), 0, &trial.data, &trial.len),
            ETCD_OK);
        etcd__arena_deinit(&arena);
        all = run(&trial, 0);
        for (size_t n = 1; n <= all; n++)
            (void)run(&trial, n);
        print_message("%s: %zu allocations, %zu calls failed\n", every_call[i].method, all, trial.failed);
        assert_true(trial.failed > 0);
        etcd__free(trial.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_of_every_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
