/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints from SRV records, and from names whose addresses change: the whole client on a virtual clock and
 * a scripted network.
 */
#include "support/fake_client.h"
#include "support/fake_env.h"

#include "client/client.h"
#include "runtime/loop.h"
#include "support/alloc_fail.h"

#include <stdio.h>
#include <stdlib.h>

static const char plain[] = "_etcd-client._tcp.example.com";
static const char tls[] = "_etcd-client-ssl._tcp.example.com";

struct world {
    struct fake_env *env;
    struct fake_etcd *fakes[2];
    etcd_loop *loop;
    etcd_client *client;
    etcd_error err;
    struct fake_log log;
};

/* Two servers, a.example.com and b.example.com. */
static void open_world(struct world *world, const etcd_client_opts *opts)
{
    etcd_client_opts own = ETCD_CLIENT_OPTS_INIT;

    memset(world, 0, sizeof(*world));
    world->env = fake_env_new(7);
    world->fakes[0] = fake_etcd_attach(world->env, "192.0.2.1", 2379);
    world->fakes[1] = fake_etcd_attach(world->env, "192.0.2.2", 2379);
    fake_name_add(world->env, "a.example.com", "192.0.2.1");
    fake_name_add(world->env, "b.example.com", "192.0.2.2");
    assert_status(etcd__loop_new_env(fake_env_table(world->env), &world->loop, &world->err), ETCD_OK,
                  &world->err);
    if (opts != NULL)
        own = *opts;
    own.loop = world->loop;
    own.log_fn = fake_log_line;
    own.log_user_data = &world->log;
    if (own.endpoints == NULL)
        own.discovery_srv = "example.com";
    assert_status(etcd_client_open(&own, &world->client, &world->err), ETCD_OK, &world->err);
}

static void close_world(struct world *world)
{
    etcd_client_free(world->client);
    etcd_loop_free(world->loop);
    for (size_t i = 0; i < 2; i++)
        fake_etcd_free(world->fakes[i]);
    assert_int_equal(fake_open_sockets(world->env), 0);
    assert_int_equal(fake_misuses(world->env), 0);
    fake_env_free(world->env);
}

static void assert_endpoints(struct world *world, const char *wanted)
{
    char text[512];

    (void)etcd_client_endpoints(world->client, text, sizeof(text));
    assert_string_equal(text, wanted);
}

static void pass(struct world *world, int64_t ms)
{
    int64_t until_ms = fake_now(world->env) + ms;

    while (fake_now(world->env) < until_ms)
        assert_status(etcd_loop_wait(world->loop, until_ms - fake_now(world->env), &world->err), ETCD_OK,
                      &world->err);
}

/* Nobody answers there any more. */
static void leave(struct fake_etcd *fake)
{
    fake_etcd_host(fake)->answer = FAKE_REFUSE;
    fake_peer_reset(fake_host_peer(fake_etcd_host(fake), 0));
}

/* ---- found ----------------------------------------------------------------------------------------- */

static void test_found_at_the_first_call(void **state)
{
    static struct world world;

    (void)state;
    open_world(&world, NULL);
    fake_service_add(world.env, plain, "a.example.com", 2379, 0);
    assert_endpoints(&world, "");
    assert_int_equal(etcd_client_state_now(world.client), ETCD_CLIENT_IDLE);
    assert_status(fake_put(world.client, 0, &world.err), ETCD_OK, &world.err);
    assert_endpoints(&world, "http://a.example.com:2379");
    assert_int_equal(fake_etcd_done(world.fakes[0], "Put"), 1);
    close_world(&world);
}

static void test_both_services_by_priority(void **state)
{
    static struct world world;

    (void)state;
    open_world(&world, NULL);
    fake_service_add(world.env, plain, "far.example.com", 1, 20);
    fake_service_add(world.env, plain, "a.example.com", 2379, 10);
    fake_service_add(world.env, plain, "b.example.com", 2379, 10);
    fake_service_add(world.env, tls, "t.example.com", 443, 5);
    assert_status(fake_put(world.client, 0, &world.err), ETCD_OK, &world.err);
    assert_endpoints(&world, "https://t.example.com:443,http://a.example.com:2379,http://b.example.com:2379,"
                             "http://far.example.com:1");
    close_world(&world);
}

static void test_a_name_for_the_service(void **state)
{
    static struct world world;

    (void)state;
    open_world(&world, ETCD_CLIENT_OPTS(.discovery_srv_name = "east"));
    fake_service_add(world.env, plain, "a.example.com", 2379, 0);
    fake_service_add(world.env, "_etcd-client-east._tcp.example.com", "b.example.com", 2379, 0);
    assert_status(fake_put(world.client, 0, &world.err), ETCD_OK, &world.err);
    assert_endpoints(&world, "http://b.example.com:2379");
    close_world(&world);
}

/* One of the two may be missing, or fail, or say what makes no sense. */
static void test_one_service_is_enough(void **state)
{
    static struct world world;

    (void)state;
    open_world(&world, NULL);
    fake_service_add(world.env, plain, "a.example.com", 2379, 0);
    fake_service_add(world.env, plain, "b.example.com", 0, 0);
    fake_name_script(world.env, tls, 50, "the name servers do not answer");
    assert_status(fake_put(world.client, 0, &world.err), ETCD_OK, &world.err);
    assert_endpoints(&world, "http://a.example.com:2379");
    close_world(&world);
}

/* ---- not found ------------------------------------------------------------------------------------- */

static void test_neither_is_there(void **state)
{
    static struct world world;

    (void)state;
    open_world(&world, NULL);
    assert_status(fake_put(world.client, 3000, &world.err), ETCD_E_UNAVAILABLE, &world.err);
    assert_has_text(world.err.message, plain);
    assert_has_text(world.err.message, tls);
    assert_has_text(world.err.message, "no SRV record");
    assert_status(etcd_put(world.client, etcd_cstr("k"), etcd_cstr("v"), ETCD_PUT_OPTS(.fail_fast = true),
                           NULL, &world.err),
                  ETCD_E_UNAVAILABLE, &world.err);
    /* They come later: found without a word from the program. */
    fake_service_add(world.env, plain, "a.example.com", 2379, 0);
    assert_status(fake_put(world.client, 8000, &world.err), ETCD_OK, &world.err);
    etcd_client_free(world.client);
    world.client = NULL;
    assert_int_equal(world.log.warnings, 1);
    close_world(&world);
}

static void test_the_dial_timeout_bounds_it(void **state)
{
    static struct world world;
    int64_t begin_ms;

    (void)state;
    open_world(&world, ETCD_CLIENT_OPTS(.dial_timeout_ms = 300));
    fake_name_script(world.env, plain, 60 * 60 * 1000, NULL);
    fake_name_script(world.env, tls, 60 * 60 * 1000, NULL);
    begin_ms = fake_now(world.env);
    assert_status(etcd_put(world.client, etcd_cstr("k"), etcd_cstr("v"), ETCD_PUT_OPTS(.fail_fast = true),
                           NULL, &world.err),
                  ETCD_E_UNAVAILABLE, &world.err);
    assert_int_equal(fake_now(world.env) - begin_ms, 300);
    assert_has_text(world.err.message, "no answer in time");
    assert_status(etcd_client_wait_ready(world.client, 0, &world.err), ETCD_E_UNAVAILABLE, &world.err);
    assert_has_text(world.err.message, "no answer in time");
    close_world(&world); /* while it is under way again */
}

/* ---- again ----------------------------------------------------------------------------------------- */

static void test_again_when_none_can_be_reached(void **state)
{
    static struct world world;

    (void)state;
    open_world(&world, NULL);
    fake_service_add(world.env, plain, "a.example.com", 2379, 0);
    assert_status(fake_put(world.client, 0, &world.err), ETCD_OK, &world.err);
    /* The service moves. As long as a connection holds nobody asks. */
    fake_service_add(world.env, plain, NULL, 0, 0);
    fake_service_add(world.env, plain, "b.example.com", 2379, 0);
    pass(&world, 10 * 60 * 1000);
    assert_status(fake_put(world.client, 0, &world.err), ETCD_OK, &world.err);
    assert_endpoints(&world, "http://a.example.com:2379");
    leave(world.fakes[0]);
    assert_status(fake_put(world.client, 0, &world.err), ETCD_OK, &world.err);
    assert_endpoints(&world, "http://b.example.com:2379");
    assert_int_equal(fake_etcd_done(world.fakes[1], "Put"), 1);
    close_world(&world);
}

/* The program gave a list: it is the program's business from then on. */
static void test_a_list_ends_it(void **state)
{
    static struct world world;

    (void)state;
    open_world(&world, NULL);
    fake_name_script(world.env, plain, 100, NULL);
    assert_status(etcd_client_wait_ready_async(world.client, 0, NULL, NULL, NULL, &world.err), ETCD_OK,
                  &world.err);
    pass(&world, 50);
    assert_status(etcd_client_set_endpoints(world.client, ETCD_LIST("a.example.com"), &world.err), ETCD_OK,
                  &world.err);
    fake_service_add(world.env, plain, "b.example.com", 2379, 0);
    pass(&world, 1000);
    assert_status(fake_put(world.client, 0, &world.err), ETCD_OK, &world.err);
    assert_endpoints(&world, "a.example.com:2379");
    close_world(&world);
}

/* ---- names whose address changes ------------------------------------------------------------------- */

static void test_a_name_is_looked_up_again(void **state)
{
    static struct world world;

    (void)state;
    open_world(&world, ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("etcd.example.com:2379")));
    fake_name_add(world.env, "etcd.example.com", "192.0.2.1");
    assert_status(fake_put(world.client, 0, &world.err), ETCD_OK, &world.err);
    fake_name_add(world.env, "etcd.example.com", NULL);
    fake_name_add(world.env, "etcd.example.com", "192.0.2.2");
    pass(&world, 60 * 1000);
    assert_status(fake_put(world.client, 0, &world.err), ETCD_OK, &world.err);
    assert_int_equal(fake_etcd_done(world.fakes[1], "Put"), 0); /* a connection is good as long as it holds */
    leave(world.fakes[0]);
    assert_status(fake_put(world.client, 0, &world.err), ETCD_OK, &world.err);
    assert_int_equal(fake_etcd_done(world.fakes[1], "Put"), 1);
    close_world(&world);
}

/* ---- lack of memory -------------------------------------------------------------------------------- */

static void discover_once(size_t n, void *user)
{
    static struct world world;
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;
    etcd_status st;

    (void)user;
    memset(&world, 0, sizeof(world));
    world.env = fake_env_new(7);
    world.fakes[0] = fake_etcd_attach(world.env, "192.0.2.1", 2379);
    fake_name_add(world.env, "a.example.com", "192.0.2.1");
    fake_service_add(world.env, plain, "a.example.com", 2379, 0);
    if (etcd__loop_new_env(fake_env_table(world.env), &world.loop, NULL) == ETCD_OK) {
        opts.loop = world.loop;
        opts.discovery_srv = "example.com";
        if (etcd_client_open(&opts, &world.client, NULL) == ETCD_OK) {
            st = fake_put(world.client, 20000, &world.err);
            if (alloc_count() < n)
                assert_status(st, ETCD_OK, &world.err);
        }
    }
    etcd_client_free(world.client);
    etcd_loop_free(world.loop);
    fake_etcd_free(world.fakes[0]);
    assert_int_equal(fake_open_sockets(world.env), 0);
    fake_env_free(world.env);
    assert_int_equal(alloc_live(), 0);
}

static void test_lack_of_memory(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(discover_once, NULL) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found_at_the_first_call),
        cmocka_unit_test(test_both_services_by_priority),
        cmocka_unit_test(test_a_name_for_the_service),
        cmocka_unit_test(test_one_service_is_enough),
        cmocka_unit_test(test_neither_is_there),
        cmocka_unit_test(test_the_dial_timeout_bounds_it),
        cmocka_unit_test(test_again_when_none_can_be_reached),
        cmocka_unit_test(test_a_list_ends_it),
        cmocka_unit_test(test_a_name_is_looked_up_again),
        cmocka_unit_test(test_lack_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
