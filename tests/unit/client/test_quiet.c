/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client knows about its endpoints costs nothing while nobody calls: no timer is armed, so the loop's
 * thread sleeps until something comes.
 */
#include "support/fake_client.h"
#include "support/fake_env.h"

#include "client/client.h"
#include "runtime/loop.h"

enum { HOSTS = 3, HOUR_MS = 3600 * 1000 };

struct world {
    struct fake_env *env;
    struct fake_etcd *fakes[HOSTS];
    etcd_loop *loop;
    etcd_client *client;
    etcd_error err;
    unsigned states;
};

static void count_states(etcd_client *client, etcd_client_state state, const etcd_error *err, void *user_data)
{
    (void)client;
    (void)state;
    (void)err;
    ((struct world *)user_data)->states++;
}

static void open_world(struct world *world, const etcd_client_opts *opts)
{
    static const char *const ips[HOSTS + 1] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", NULL};
    etcd_client_opts own = *opts;

    memset(world, 0, sizeof(*world));
    world->env = fake_env_new(3);
    for (size_t i = 0; i < HOSTS; i++) {
        world->fakes[i] = fake_etcd_attach(world->env, ips[i], 2379);
        fake_etcd_set_status(
            world->fakes[i],
            &(struct fake_status){.member_id = i + 1, .leader_id = 3, .term = 2, .version = "3.5.30"});
    }
    fake_service_add(world->env, "_etcd-client._tcp.example.com", "192.0.2.1", 2379, 0);
    assert_status(etcd__loop_new_env(fake_env_table(world->env), &world->loop, &world->err), ETCD_OK,
                  &world->err);
    own.loop = world->loop;
    own.on_state = count_states;
    own.state_user_data = world;
    if (own.discovery_srv == NULL)
        own.endpoints = ips;
    assert_status(etcd_client_open(&own, &world->client, &world->err), ETCD_OK, &world->err);
}

static void close_world(struct world *world)
{
    etcd_client_free(world->client);
    etcd_loop_free(world->loop);
    for (size_t i = 0; i < HOSTS; i++)
        fake_etcd_free(world->fakes[i]);
    fake_env_free(world->env);
}

static bool is_quiet(const struct world *world)
{
    return etcd__reactor_next_ms(&world->client->loop->reactor) == INT64_MAX;
}

static void use(struct world *world)
{
    for (int i = 0; i < 10; i++) {
        assert_status(fake_put(world->client, 0, &world->err), ETCD_OK, &world->err);
        assert_status(
            etcd_get(world->client, etcd_cstr("k"), ETCD_GET_OPTS(.serializable = true), NULL, &world->err),
            ETCD_OK, &world->err);
    }
}

/* A moment later the last answers are in. */
static void test_nothing_is_left_armed(void **state)
{
    const etcd_client_opts cases[] = {
        {.size = sizeof(etcd_client_opts), .prefer = ETCD_PREFER_NONE},
        {.size = sizeof(etcd_client_opts), .prefer = ETCD_PREFER_LEADER},
        {.size = sizeof(etcd_client_opts), .prefer = ETCD_PREFER_NEAREST, .require_leader = true},
        {.size = sizeof(etcd_client_opts), .discovery_srv = "example.com", .prefer = ETCD_PREFER_LEADER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world world;

        open_world(&world, &cases[i]);
        assert_true(is_quiet(&world));
        for (int round = 0; round < 3; round++) {
            use(&world);
            for (int turn = 0; turn < 100 && !is_quiet(&world); turn++)
                assert_status(etcd_loop_wait(world.loop, 100, &world.err), ETCD_OK, &world.err);
            assert_true(is_quiet(&world));
            fake_pass(world.env, HOUR_MS);
        }
        (void)etcd_loop_wait(world.loop, 0, NULL);
        assert_int_equal(world.states, 2); /* connecting, ready */
        close_world(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_left_armed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
