/* SPDX-License-Identifier: Apache-2.0 */
/* Closing a factory some of whose servers do not answer any more: in time, and the others' leases are given
 * back. */
#include "capp/etcd.h"

#include "support/etcd_server.h"
#include "support/process.h"
#include "support/real.h"
#include "unit/capp/fixture.h"

enum { CLIENTS = 4, CLOSE_MS = 600, SLACK_MS = 250 };

static struct etcd_server *good, *silent;

static int start_servers(void **state)
{
    (void)state;
    good = etcd_server_start(NULL);
    silent = etcd_server_start(NULL);
    return good != NULL && silent != NULL ? 0 : -1;
}

static int stop_servers(void **state)
{
    (void)state;
    etcd_server_free(good);
    etcd_server_free(silent);
    return 0;
}

/* Opens client `name`, and has it keep a lease that would live for an hour. */
static etcd_client *add_client(capp_etcd_factory *factory, const char *name, const struct etcd_server *server,
                               etcd_keepalive **ret_keepalive)
{
    const char *const endpoints[] = {etcd_server_endpoint(server, 0), NULL};
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;
    etcd_client *client = NULL;
    etcd_lease lease;
    capp_error error;
    etcd_error err;

    opts.endpoints = endpoints;
    assert_int_equal(capp_etcd_factory_register(factory, name, &opts, NULL, &error), CAPP_OK);
    assert_int_equal(capp_etcd_factory_get(factory, name, &client, &error), CAPP_OK);
    assert_int_equal(etcd_lease_grant(client, 3600, NULL, &lease, &err), ETCD_OK);
    assert_int_equal(etcd_keepalive_start(client, lease, NULL, ret_keepalive, &err), ETCD_OK);
    return client;
}

static void a_silent_server_does_not_hold_the_others_up(void **state)
{
    static const char *const names[CLIENTS] = {"a", "b", "c", "d"}; /* those of b and d are silent */
    etcd_keepalive *keepalives[CLIENTS];
    etcd_client *clients[CLIENTS];
    capp_etcd_factory *factory = NULL;
    struct real watcher;
    capp_error error;

    (void)state;
    assert_true(real_open(&watcher, etcd_server_endpoints(good)));
    assert_int_equal(capp_etcd_factory_new(NULL, &factory, &error), CAPP_OK);
    for (size_t i = 0; i < CLIENTS; i++)
        clients[i] = add_client(factory, names[i], i % 2 == 0 ? good : silent, &keepalives[i]);
    assert_int_equal(real_leases(&watcher), 2);
    assert_true(etcd_server_pause(silent, 0));

    int64_t begin_ms = test_now_ms();
    capp_status status = capp_etcd_factory_close(factory, CLOSE_MS, &error);
    int64_t took_ms = test_now_ms() - begin_ms;
    assert_true(etcd_server_resume(silent, 0));
    assert_int_equal(status, CAPP_E_TIMEOUT);
    assert_true(took_ms <= CLOSE_MS + SLACK_MS * ETCDC_TIME_SCALE);
    assert_has(error.message, "client 'b'");
    assert_has(error.message, "client 'd'");
    assert_null(strstr(error.message, "client 'a'"));
    assert_null(strstr(error.message, "client 'c'"));
    assert_int_equal(real_leases(&watcher), 0);
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(etcd_put(clients[i], etcd_cstr("k"), etcd_cstr("v"), NULL, NULL, NULL),
                         ETCD_E_CLOSED);
        etcd_keepalive_close(keepalives[i]);
    }
    assert_int_equal(capp_etcd_factory_close(factory, CLOSE_MS, &error), CAPP_OK);
    capp_etcd_factory_free(factory);
    real_close(&watcher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_server_does_not_hold_the_others_up),
    };

    return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
