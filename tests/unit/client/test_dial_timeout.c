/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the dial timeout bounds: names, TCP, TLS, HTTP/2 and the login, each by itself a thing that can take
 * for ever. To the millisecond, on a virtual clock.
 */
#include "support/fake_client.h"
#include "support/fake_env.h"

#include "runtime/loop.h"

enum { DIAL_MS = 300, HOUR_MS = 3600 * 1000 };

struct world {
    struct fake_env *env;
    struct fake_etcd *fake;
    struct fake_host *silent; /* takes connections, never says a word */
    etcd_loop *loop;
    etcd_client *client;
    etcd_error err;
};

/* One thing that takes for ever, and what the error says of it. */
struct phase {
    const char *endpoint;
    const char *word;
    bool black_hole, login;
};

static const struct phase phases[] = {
    {.endpoint = "slow.example:2379", .word = "slow.example"},
    {.endpoint = "192.0.2.2:2379", .word = "connecting", .black_hole = true},
    {.endpoint = "https://192.0.2.2:2379", .word = "TLS"},
    {.endpoint = "192.0.2.2:2379", .word = "settings"},
    {.endpoint = "192.0.2.1:2379", .word = "the login was not answered in time", .login = true},
};
enum { PHASES = sizeof(phases) / sizeof(phases[0]) };

static void open_world(struct world *world, const struct phase *phase)
{
    const etcd_client_opts *opts =
        ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST(phase->endpoint), .dial_timeout_ms = DIAL_MS,
                         .username = phase->login ? "u" : NULL,
                         .password = {phase->login ? "p" : NULL,
                                      phase->login ? ETCD_SECRET_KIND_TEXT : ETCD_SECRET_KIND_NONE, 0});
    etcd_client_opts own = *opts;

    memset(world, 0, sizeof(*world));
    world->env = fake_env_new(11);
    world->fake = fake_etcd_attach(world->env, "192.0.2.1", 2379);
    world->silent = fake_host_add(world->env, "192.0.2.2", 2379);
    if (phase->black_hole)
        world->silent->answer = FAKE_BLACK_HOLE;
    fake_name_add(world->env, "slow.example", "192.0.2.1");
    fake_name_script(world->env, "slow.example", HOUR_MS, NULL);
    fake_etcd_set_auth(world->fake, "u", "p");
    fake_etcd_always(world->fake, "Authenticate", &(struct fake_step){.what = STEP_SILENT});
    assert_status(etcd__loop_new_env(fake_env_table(world->env), &world->loop, &world->err), ETCD_OK,
                  &world->err);
    own.loop = world->loop;
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

/* Whoever waits for the client without a time of its own is told at that time. */
static void test_waiting_ends_with_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < PHASES; i++) {
        struct world world;
        int64_t begin_ms;

        print_message("%s\n", phases[i].word);
        open_world(&world, &phases[i]);
        begin_ms = fake_now(world.env);
        assert_status(etcd_client_wait_ready(world.client, 0, &world.err),
                      phases[i].login ? ETCD_E_DEADLINE : ETCD_E_UNAVAILABLE, &world.err);
        assert_int_equal(fake_now(world.env) - begin_ms, DIAL_MS);
        close_world(&world);
    }
}

/* And a call that has more time learns what the attempts fail of: they end, and begin again. */
static void test_an_attempt_ends_with_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < PHASES; i++) {
        struct world world;
        int64_t begin_ms;

        print_message("%s\n", phases[i].word);
        open_world(&world, &phases[i]);
        begin_ms = fake_now(world.env);
        assert_status(fake_put(world.client, 10 * DIAL_MS, &world.err),
                      phases[i].login ? ETCD_E_DEADLINE : ETCD_E_UNAVAILABLE, &world.err);
        assert_int_equal(fake_now(world.env) - begin_ms, 10 * DIAL_MS);
        assert_has_text(world.err.message, phases[i].word);
        if (!phases[i].login)
            assert_has_text(world.err.message, "no connection within 300 ms");
        assert_int_equal(world.err.flags & ETCD_ERROR_MAYBE_APPLIED, 0);
        if (phases[i].login)
            assert_in_range(fake_etcd_calls(world.fake, "Authenticate"), 3, 10);
        close_world(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waiting_ends_with_it),
        cmocka_unit_test(test_an_attempt_ends_with_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
