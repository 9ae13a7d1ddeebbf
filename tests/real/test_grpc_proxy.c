/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Through etcd's own grpc-proxy: it hands out watch ids of its own, joins watches, renews leases over streams
 * of its own and answers in whatever order that gives.
 */
#include "support/etcd_binary.h"
#include "support/ports.h"
#include "support/process.h"
#include "support/real.h"
#include "support/test.h"
#include "support/watching.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { WATCHES = 50, LEASES = 20 };

struct proxy {
    struct etcd_server *server;
    struct port port;
    pid_t pid;
    char endpoint[32];
    struct real real;   /* through the proxy */
    struct real direct; /* to the server */
};

static bool proxy_start(struct proxy *proxy)
{
    static const char *const env[] = {"PATH=/usr/bin:/bin", NULL};
    char data[512];
    struct etcd_binary binary;
    const char *argv[] = {
        binary.etcd,
        "grpc-proxy",
        "start",
        "--endpoints",
        NULL,
        "--data-dir",
        NULL,
        "--listen-addr",
        proxy->endpoint,
        "--advertise-client-url",
        proxy->endpoint, /* it looks whether it answers there */
        NULL,
    };

    snprintf(data, sizeof(data), "%s", etcd_server_file(proxy->server, "proxy"));
    argv[4] = etcd_server_endpoints(proxy->server);
    argv[6] = data;
    if (!etcd_binary_find(test_version(), &binary))
        return false;
    proxy->pid = process_start(argv, env, etcd_server_file(proxy->server, "proxy.log"));
    return proxy->pid > 0;
}

static void proxy_kill(struct proxy *proxy)
{
    if (proxy->pid > 0) {
        (void)kill(proxy->pid, SIGKILL);
        (void)process_wait(proxy->pid);
    }
    proxy->pid = 0;
}

static int set_up(void **state)
{
    struct proxy *proxy = calloc(1, sizeof(*proxy));

    assert_non_null(proxy);
    proxy->server = etcd_server_start(&(struct etcd_server_options){.version = test_version()});
    assert_non_null(proxy->server);
    assert_true(port_hold(&proxy->port));
    snprintf(proxy->endpoint, sizeof(proxy->endpoint), "127.0.0.1:%u", (unsigned)proxy->port.number);
    assert_true(proxy_start(proxy));
    assert_true(real_open(&proxy->real, proxy->endpoint));
    assert_true(real_open(&proxy->direct, etcd_server_endpoints(proxy->server)));
    *state = proxy;
    return 0;
}

static int tear_down(void **state)
{
    struct proxy *proxy = *state;

    real_close(&proxy->real);
    real_close(&proxy->direct);
    if (proxy->pid > 0 && process_ended(proxy->pid)) {
        print_tail(etcd_server_file(proxy->server, "proxy.log"), 40);
        proxy->pid = 0;
    }
    proxy_kill(proxy);
    port_release(&proxy->port);
    etcd_server_free(proxy->server);
    free(proxy);
    return 0;
}

static void test_keys_and_transactions(void **state)
{
    struct proxy *proxy = *state;
    etcd_client *client = proxy->real.client;
    etcd_get_result *get = NULL;
    etcd_txn_result *result = NULL;
    etcd_txn *txn = etcd_txn_new();
    etcd_error err;

    assert_false(real_failed(
        etcd_put(client, etcd_cstr("kv/a"), etcd_cstr("1"), ETCD_PUT_OPTS(.timeout_ms = 20000), NULL, &err),
        &err)); /* it has to come up first */
    etcd_txn_if_exists(txn, etcd_cstr("kv/a"));
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("kv/b"), etcd_cstr("2"), NULL);
    assert_false(real_failed(etcd_txn_commit(client, txn, NULL, &result, &err), &err));
    assert_true(etcd_txn_result_succeeded(result));
    etcd_txn_result_free(result);
    etcd_txn_free(txn);
    assert_false(
        real_failed(etcd_get(client, etcd_cstr("kv/"), ETCD_GET_OPTS(.prefix = true), &get, &err), &err));
    assert_int_equal(etcd_get_result_count(get), 2);
    etcd_get_result_free(get);
    assert_int_equal(real_keys(&proxy->direct, "kv/"), 2);
    assert_int_equal(etcd_delete(client, etcd_cstr("kv/"), ETCD_DELETE_OPTS(.prefix = true), NULL, &err),
                     ETCD_OK);
    assert_int_equal(real_keys(&proxy->direct, "kv/"), 0);
}

/* Each watch has a key of its own; all revisions from `first` on are theirs, one after the other. */
static void write_each(struct proxy *proxy, etcd_watch *watches[WATCHES], int from)
{
    char key[32];

    for (int i = from; i < WATCHES; i++) {
        int64_t revision;

        snprintf(key, sizeof(key), "proxied/%d", i);
        revision = watch_put(proxy->direct.client, key, "x");
        watch_expect_each(watches[i], revision, revision);
    }
}

static void test_watches(void **state)
{
    struct proxy *proxy = *state;
    int64_t first = watch_revision(proxy->direct.client) + 1, last = 0;
    etcd_watch *watches[WATCHES], *all;
    char key[32];

    for (int i = 0; i < WATCHES; i++) {
        snprintf(key, sizeof(key), "proxied/%d", i);
        watches[i] = watch_open(proxy->real.client, key, ETCD_WATCH_OPTS(.start_revision = first));
    }
    all = watch_open(proxy->real.client, "proxied/",
                     ETCD_WATCH_OPTS(.prefix = true, .start_revision = first));
    write_each(proxy, watches, 0);
    /* What is asked for must not kill the proxy, as requests for progress do. */
    assert_int_equal(etcd_watch_request_progress(all, NULL), ETCD_OK);
    for (int i = 0; i < WATCHES / 2; i++)
        etcd_watch_close(watches[i]);
    write_each(proxy, watches, WATCHES / 2);
    /* The proxy is killed, and comes back; meanwhile the world goes on. */
    proxy_kill(proxy);
    for (int i = WATCHES / 2; i < WATCHES; i++) {
        snprintf(key, sizeof(key), "proxied/%d", i);
        (void)watch_put(proxy->direct.client, key, "y");
    }
    assert_true(proxy_start(proxy));
    last = watch_revision(proxy->direct.client);
    for (int i = WATCHES / 2; i < WATCHES; i++)
        watch_expect_each(watches[i], last - WATCHES + i + 1, last - WATCHES + i + 1);
    write_each(proxy, watches, WATCHES / 2);
    last = watch_revision(proxy->direct.client);
    watch_expect_each(all, first, last);
    etcd_watch_close(all);
    for (int i = WATCHES / 2; i < WATCHES; i++)
        etcd_watch_close(watches[i]);
}

static void test_a_watch_of_the_past(void **state)
{
    struct proxy *proxy = *state;
    int64_t first = 0, last = 0;
    etcd_watch *old, *compacted;
    etcd_error err;

    for (int i = 0; i < 20; i++) {
        last = watch_put(proxy->direct.client, "past", "x");
        first = first == 0 ? last : first;
    }
    old = watch_open(proxy->real.client, "past", ETCD_WATCH_OPTS(.start_revision = first));
    watch_expect_each(old, first, last);
    etcd_watch_close(old);
    watch_ok(etcd_compact(proxy->direct.client, last, NULL, &err), &err);
    compacted = watch_open(proxy->real.client, "past", ETCD_WATCH_OPTS(.start_revision = first));
    assert_int_equal(watch_end(compacted, &err), ETCD_E_COMPACTED);
    assert_int_equal(err.revision, last);
    etcd_watch_close(compacted);
}

static atomic_int lost;

static void on_end(etcd_keepalive *keepalive, etcd_status status, const etcd_error *err, void *user_data)
{
    (void)keepalive;
    (void)status;
    (void)user_data;
    fprintf(stderr, "%s\n", err->message);
    atomic_fetch_add(&lost, 1);
}

static bool was_lost(void *arg)
{
    return atomic_load(&lost) == *(const int *)arg;
}

static void test_leases(void **state)
{
    struct proxy *proxy = *state;
    etcd_keepalive *keepalives[LEASES];
    etcd_lease leases[LEASES], renewed;
    etcd_error err;
    int one = 1;

    atomic_store(&lost, 0);
    for (int i = 0; i < LEASES; i++) {
        watch_ok(etcd_lease_grant(proxy->real.client, 2, NULL, &leases[i], &err), &err);
        watch_ok(etcd_keepalive_start(proxy->real.client, leases[i], ETCD_KEEPALIVE_OPTS(.on_end = on_end),
                                      &keepalives[i], &err),
                 &err);
    }
    for (int i = 0; i < 3; i++) {
        real_idle(&proxy->real, 1000);
        assert_int_equal(atomic_load(&lost), 0);
        assert_int_equal(real_leases(&proxy->direct), LEASES);
        watch_ok(etcd_lease_keepalive_once(proxy->real.client, leases[i].id, NULL, &renewed, &err), &err);
        assert_int_equal(renewed.id, leases[i].id);
    }
    watch_ok(etcd_lease_revoke(proxy->direct.client, leases[0].id, NULL, &err), &err);
    assert_true(real_wait(&proxy->real, was_lost, &one, 5000));
    assert_int_equal(etcd_keepalive_remaining_ms(keepalives[0]), 0);
    assert_int_equal(etcd_lease_keepalive_once(proxy->real.client, leases[0].id, NULL, &renewed, &err),
                     ETCD_E_LEASE_NOT_FOUND);
    for (int i = 0; i < LEASES; i++) {
        etcd_keepalive_close(keepalives[i]);
        (void)!etcd_lease_revoke(proxy->real.client, leases[i].id, NULL, NULL);
    }
    assert_int_equal(real_leases(&proxy->direct), 0);
}

static etcd_lock *acquire(struct real *real, int64_t timeout_ms, etcd_status *ret_status)
{
    etcd_lock *lock = NULL;

    *ret_status = etcd_lock_acquire(
        real->client, etcd_cstr("proxied-lock"),
        ETCD_LOCK_OPTS(.ttl_s = 5, .timeout_ms = timeout_ms, .allow_caller_drive = true), &lock, NULL);
    return lock;
}

static void test_locks(void **state)
{
    struct proxy *proxy = *state;
    etcd_lock *lock, *second;
    etcd_status st;

    lock = acquire(&proxy->real, 10000, &st);
    assert_int_equal(st, ETCD_OK);
    second = acquire(&proxy->direct, 300, &st);
    assert_null(second);
    assert_int_equal(st, ETCD_E_DEADLINE);
    assert_true(etcd_lock_held(lock));
    assert_int_equal(etcd_lock_release(lock, 0, NULL), ETCD_OK);
    second = acquire(&proxy->direct, 10000, &st);
    assert_int_equal(st, ETCD_OK);
    assert_null(acquire(&proxy->real, 300, &st)); /* waits with a watch through the proxy */
    assert_int_equal(st, ETCD_E_DEADLINE);
    assert_int_equal(etcd_lock_release(second, 0, NULL), ETCD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_and_transactions),
        cmocka_unit_test(test_watches),
        cmocka_unit_test(test_a_watch_of_the_past),
        cmocka_unit_test(test_leases),
        cmocka_unit_test(test_locks),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
