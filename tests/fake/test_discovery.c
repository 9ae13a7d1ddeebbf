/* SPDX-License-Identifier: Apache-2.0 */
/* SRV records as they come over the wire: c-ares, a name server on loopback, and servers at the hosts it
 * names. */
#include "support/fake_client.h"
#include "support/name_server.h"

#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>

struct world {
    struct name_server names;
    struct fake_etcd *fakes[2];
    etcd_client *client;
    etcd_error err;
};

static uint16_t port_of(const struct fake_etcd *fake)
{
    return (uint16_t)atoi(strrchr(fake_etcd_endpoint(fake), ':') + 1);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    name_server_open(&world->names);
    name_server_host(&world->names, "one.test", "127.0.0.1");
    name_server_host(&world->names, "two.test", "127.0.0.1");
    for (size_t i = 0; i < 2; i++)
        world->fakes[i] = fake_etcd_start();
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    etcd_client_free(world->client);
    for (size_t i = 0; i < 2; i++)
        fake_etcd_free(world->fakes[i]);
    name_server_close(&world->names);
    free(world);
    return 0;
}

static void open_client(struct world *world)
{
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;

    opts.discovery_srv = "cluster.test";
    opts.dial_timeout_ms = 2000;
    name_server_run(&world->names);
    world->client = test_client_open(NULL, &opts);
    /* Before the first lookup, which the first call makes. */
    etcd__resolver_use(world->client->loop->resolver, "/nonexistent", world->names.place);
}

static void test_two_servers_are_found(void **state)
{
    struct world *world = *state;
    char text[128], wanted[128];

    name_server_service(&world->names, "_etcd-client._tcp.cluster.test", 20, port_of(world->fakes[1]),
                        "two.test");
    name_server_service(&world->names, "_etcd-client._tcp.cluster.test", 10, port_of(world->fakes[0]),
                        "one.test");
    open_client(world);
    for (int i = 0; i < 10; i++)
        assert_status(fake_put(world->client, 10000, &world->err), ETCD_OK, &world->err);
    (void)etcd_client_endpoints(world->client, text, sizeof(text));
    (void)snprintf(wanted, sizeof(wanted), "http://one.test:%u,http://two.test:%u",
                   (unsigned)port_of(world->fakes[0]), (unsigned)port_of(world->fakes[1]));
    assert_string_equal(text, wanted);
    assert_int_equal(fake_etcd_done(world->fakes[0], "Put") + fake_etcd_done(world->fakes[1], "Put"), 10);
}

static void test_there_is_none(void **state)
{
    struct world *world = *state;

    open_client(world);
    assert_status(fake_put(world->client, 500, &world->err), ETCD_E_UNAVAILABLE, &world->err);
    assert_has_text(world->err.message, "_etcd-client-ssl._tcp.cluster.test: no SRV record");
    assert_has_text(world->err.message, "_etcd-client._tcp.cluster.test: no SRV record");
}

static void test_the_name_server_is_silent(void **state)
{
    struct world *world = *state;

    world->names.silent = true;
    open_client(world);
    assert_status(etcd_client_wait_ready(world->client, 0, &world->err), ETCD_E_UNAVAILABLE, &world->err);
    assert_status(etcd_client_close(world->client, &world->err), ETCD_OK, &world->err);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_two_servers_are_found),
        TEST(test_there_is_none),
        TEST(test_the_name_server_is_silent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
