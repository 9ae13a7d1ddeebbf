/* SPDX-License-Identifier: Apache-2.0 */
/* What a client counts of its watches and leases, over a restart of the server. */
#include "support/real.h"
#include "support/test.h"

static struct etcd_server *server;

static etcd_metrics metrics_of(const struct real *real)
{
    etcd_metrics metrics = ETCD_METRICS_INIT;

    assert_int_equal(etcd_client_metrics(real->client, &metrics, NULL), ETCD_OK);
    return metrics;
}

/* What to wait for: these two at least. */
struct wanted {
    struct real *real;
    uint64_t watch_events, lease_renewals;
};

static bool has_come(void *arg)
{
    const struct wanted *wanted = arg;
    etcd_metrics metrics = metrics_of(wanted->real);

    return metrics.watch_events >= wanted->watch_events && metrics.lease_renewals >= wanted->lease_renewals;
}

/* The loop's thread lets go of them by itself, after the calls that close them. */
static bool are_gone(void *arg)
{
    etcd_metrics metrics = metrics_of(arg);

    return metrics.watches + metrics.leases == 0;
}

static void put(struct real *real)
{
    etcd_error err;

    assert_false(real_failed(etcd_put(real->client, etcd_cstr("metrics/k"), etcd_cstr("v"),
                                      ETCD_PUT_OPTS(.timeout_ms = 20000), NULL, &err),
                             &err));
}

static void watches_and_leases_are_counted(void **state)
{
    struct wanted wanted = {.watch_events = 2, .lease_renewals = 1};
    etcd_keepalive *keepalive = NULL;
    etcd_lease lease = {.id = 0};
    etcd_watch *watch = NULL;
    etcd_metrics metrics;
    struct real real;
    etcd_error err;

    (void)state;
    assert_true(real_open(&real, etcd_server_endpoints(server)));
    wanted.real = &real;
    put(&real);
    assert_int_equal(etcd_watch_open(real.client, etcd_cstr("metrics/"),
                                     ETCD_WATCH_OPTS(.prefix = true, .start_revision = 2), &watch, &err),
                     ETCD_OK);
    assert_int_equal(etcd_lease_grant(real.client, 60, NULL, &lease, &err), ETCD_OK);
    assert_int_equal(etcd_keepalive_start(real.client, lease, NULL, &keepalive, &err), ETCD_OK);
    put(&real);
    assert_true(real_wait(&real, has_come, &wanted, 10000));
    metrics = metrics_of(&real);
    assert_int_equal(metrics.watches, 1);
    assert_int_equal(metrics.leases, 1);
    assert_int_equal(metrics.watch_events, 2);
    assert_int_equal(metrics.watch_resumes, 0);

    assert_true(etcd_server_kill(server, 0));
    assert_true(etcd_server_restart(server, 0));
    put(&real);
    wanted.watch_events = 3;
    assert_true(real_wait(&real, has_come, &wanted, 20000));
    metrics = metrics_of(&real);
    assert_true(metrics.watch_resumes >= 1);
    assert_true(metrics.losses >= 1);
    assert_true(metrics.connects >= 2);
    assert_int_equal(metrics.watch_events, 3);

    etcd_watch_close(watch);
    etcd_keepalive_close(keepalive);
    assert_true(real_wait(&real, are_gone, &real, 10000));
    real_close(&real);
}

static void a_lost_lease_is_counted(void **state)
{
    etcd_keepalive *keepalive = NULL;
    etcd_lease lease = {.id = 0};
    struct real real;
    etcd_error err;

    (void)state;
    assert_true(real_open(&real, etcd_server_endpoints(server)));
    assert_int_equal(etcd_lease_grant(real.client, 6, NULL, &lease, &err), ETCD_OK);
    assert_int_equal(etcd_keepalive_start(real.client, lease, NULL, &keepalive, &err), ETCD_OK);
    assert_int_equal(etcd_lease_revoke(real.client, lease.id, NULL, &err), ETCD_OK);
    for (int i = 0; i < 1000 && metrics_of(&real).lease_losses == 0; i++)
        real_idle(&real, 10);
    assert_int_equal(metrics_of(&real).lease_losses, 1);
    assert_int_equal(metrics_of(&real).leases, 0);
    etcd_keepalive_close(keepalive);
    assert_true(real_wait(&real, are_gone, &real, 10000));
    real_close(&real);
}

static int start_server(void **state)
{
    (void)state;
    server = etcd_server_start(&(struct etcd_server_options){.version = test_version()});
    return server == NULL ? -1 : 0;
}

static int stop_server(void **state)
{
    (void)state;
    etcd_server_free(server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watches_and_leases_are_counted),
        cmocka_unit_test(a_lost_lease_is_counted),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
