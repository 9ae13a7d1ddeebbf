/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens that live for a second: nothing of them is to be seen, by calls, by watches, by leases; and the
 * server is not asked for more of them than run out. JWTs end by the clock, simple tokens when nobody uses
 * them.
 */
#include "support/client.h"
#include "support/matrix.h"
#include "support/process.h"
#include "support/test.h"
#include "support/watching.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef ETCDC_SOAK
enum { RUN_MS = 60000 };
#else
enum { RUN_MS = 8000 };
#endif
enum {
    SERVERS_MAX = 8,
    LEASE_S = 3,
    LONG_LEASE_S = 600, /* needs no renewal; 3.5.28 and later count one as a use of the token */
    IDLE_MS = 3300, /* the server looks once a second whether a simple token was used in its last second */
    CALL_MS = 10000
};

static const char logins[] = "grpc_server_started_total{grpc_method=\"Authenticate\",grpc_service="
                             "\"etcdserverpb.Auth\",grpc_type=\"unary\"}";

struct world {
    struct etcd_server *server;
    bool idles; /* between calls, for longer than a simple token lives */
    etcd_client *client;
    pthread_t thread;
    atomic_int ended; /* leases that were lost */
    int64_t took_ms;
    int logged_in;
    size_t puts;
    char failure[600]; /* "": none; the thread's word to the test */
};

static bool failed(struct world *world, const char *what, etcd_status status, const etcd_error *err)
{
    if (status == ETCD_OK)
        return false;
    (void)snprintf(world->failure, sizeof(world->failure), "%s after %zu puts: %s: %s", what, world->puts,
                   etcd_status_name(status), err->message);
    return true;
}

static void on_lease_end(etcd_keepalive *keepalive, etcd_status status, const etcd_error *err,
                         void *user_data)
{
    struct world *world = user_data;

    (void)keepalive;
    (void)failed(world, "lease", status, err);
    (void)atomic_fetch_add(&world->ended, 1);
}

/* One round of ordinary work. */
static bool work(struct world *world, int64_t lease_id)
{
    etcd_txn *txn;
    etcd_error err;
    etcd_status st = etcd_put(world->client, etcd_cstr("app/x"), etcd_cstr("v"),
                              ETCD_PUT_OPTS(.timeout_ms = CALL_MS), NULL, &err);

    if (failed(world, "put", st, &err))
        return false;
    world->puts++;
    st = etcd_get(world->client, etcd_cstr("app/leased"), ETCD_GET_OPTS(.timeout_ms = CALL_MS), NULL, &err);
    if (failed(world, "get", st, &err))
        return false;
    txn = etcd_txn_new();
    etcd_txn_get(txn, ETCD_TXN_THEN, etcd_cstr("app/x"), NULL);
    st = etcd_txn_commit(world->client, txn, ETCD_TXN_OPTS(.timeout_ms = CALL_MS), NULL, &err);
    etcd_txn_free(txn);
    if (failed(world, "txn", st, &err))
        return false;
    st = etcd_lease_time_to_live(world->client, lease_id, ETCD_LEASE_OPTS(.timeout_ms = CALL_MS), NULL, &err);
    return !failed(world, "time to live", st, &err);
}

/* Watches are created all along, each with the token of that moment; every one sees all that follows. */
static bool look(struct world *world, etcd_watch *watch, size_t *seen)
{
    etcd_events *events = NULL;
    etcd_error err;
    etcd_status st;

    while (*seen < world->puts) {
        st = etcd_watch_next(watch, CALL_MS, &events, &err);
        if (failed(world, "watch", st, &err))
            return false;
        *seen += etcd_events_count(events);
        etcd_events_free(events);
    }
    return true;
}

static bool look_anew(struct world *world)
{
    etcd_watch *watch = NULL;
    size_t seen = 0;
    etcd_error err;
    bool ok;
    etcd_status st = etcd_watch_open(world->client, etcd_cstr("app/x"), ETCD_WATCH_OPTS(.start_revision = 1),
                                     &watch, &err);

    if (failed(world, "watch open", st, &err))
        return false;
    ok = look(world, watch, &seen);
    etcd_watch_close(watch);
    return ok;
}

static void run_rounds(struct world *world, int64_t lease_id, etcd_watch *watch)
{
    int64_t end_ms = test_now_ms() + test_soak_ms(RUN_MS);
    size_t seen = 0;

    while (test_now_ms() < end_ms && work(world, lease_id) && look(world, watch, &seen)) {
        if ((world->idles || world->puts % 16 == 0) && !look_anew(world))
            return;
        test_pump(world->client, world->idles ? IDLE_MS : 50);
    }
    if (world->failure[0] == '\0' && atomic_load(&world->ended) > 0)
        (void)snprintf(world->failure, sizeof(world->failure), "the lease was lost");
}

/* The key of the lease is there as long as the lease is, which nobody renews when the thread has ended. */
static void look_leased(struct world *world)
{
    etcd_get_result *result = NULL;
    etcd_error err;
    etcd_status st = etcd_get(world->client, etcd_cstr("app/leased"), ETCD_GET_OPTS(.timeout_ms = CALL_MS),
                              &result, &err);

    if (failed(world, "get of the lease's key", st, &err))
        return;
    if (etcd_get_result_count(result) != 1)
        (void)snprintf(world->failure, sizeof(world->failure), "the lease's key is gone");
    etcd_get_result_free(result);
}

static void *run(void *arg)
{
    struct world *world = arg;
    etcd_keepalive *keepalive = NULL;
    etcd_watch *watch = NULL;
    etcd_lease lease = {0, 0};
    etcd_error err;
    int64_t begin_ms = test_now_ms();
    etcd_status st = etcd_lease_grant(world->client, world->idles ? LONG_LEASE_S : LEASE_S,
                                      ETCD_LEASE_OPTS(.timeout_ms = CALL_MS), &lease, &err);

    if (st == ETCD_OK && !world->idles)
        st = etcd_keepalive_start(world->client, lease,
                                  ETCD_KEEPALIVE_OPTS(.on_end = on_lease_end, .user_data = world), &keepalive,
                                  &err);
    if (st == ETCD_OK)
        st = etcd_put(world->client, etcd_cstr("app/leased"), etcd_cstr("v"),
                      ETCD_PUT_OPTS(.lease_id = lease.id, .timeout_ms = CALL_MS), NULL, &err);
    if (st == ETCD_OK)
        st = etcd_watch_open(world->client, etcd_cstr("app/x"), ETCD_WATCH_OPTS(.start_revision = 1), &watch,
                             &err);
    if (!failed(world, "begin", st, &err))
        run_rounds(world, lease.id, watch);
    if (world->failure[0] == '\0')
        look_leased(world);
    world->took_ms = test_now_ms() - begin_ms;
    etcd_watch_close(watch);
    etcd_keepalive_close(keepalive);
    return NULL;
}

static void start(struct world *world, const char *version, bool jwt)
{
    static const struct etcd_server_user users[] = {{"app", "app-password", "app/"}, {NULL, NULL, NULL}};
    const struct etcd_server_options options = {
        .version = version, .auth = true, .users = users, .jwt = jwt, .token_ttl_s = 1};

    world->idles = !jwt;
    world->server = etcd_server_start(&options);
    assert_non_null(world->server);
    world->logged_in = server_metric(world->server, logins);
    world->client =
        test_client_open(etcd_server_endpoints(world->server),
                         ETCD_CLIENT_OPTS(.username = "app", .password = ETCD_SECRET_TEXT("app-password")));
}

static void finish(struct world *world)
{
    int64_t most;

    assert_int_equal(pthread_join(world->thread, NULL), 0);
    most = world->took_ms / 1000 + 2;
    print_message("%s, %s: %zu puts in %d ms, %d logins\n", etcd_server_version(world->server),
                  world->idles ? "simple" : "JWT", world->puts, (int)world->took_ms,
                  server_metric(world->server, logins) - world->logged_in);
    if (world->failure[0] != '\0')
        fail_msg("%s: %s", etcd_server_version(world->server), world->failure);
    assert_in_range(server_metric(world->server, logins) - world->logged_in, 2, most);
    assert_true(world->puts >= 2);
    etcd_client_free(world->client);
    etcd_server_free(world->server);
}

static void test_tokens_of_a_second(void **state)
{
    const char *const *versions = etcd_server_versions();
    struct world *worlds = calloc(SERVERS_MAX, sizeof(*worlds));
    size_t count = 0;

    (void)state;
    assert_non_null(worlds);
    for (size_t i = 0; versions[i] != NULL && count + 2 <= SERVERS_MAX; i++) {
        start(&worlds[count++], versions[i], true);
        start(&worlds[count++], versions[i], false);
    }
    for (size_t i = 0; i < count; i++)
        assert_int_equal(pthread_create(&worlds[i].thread, NULL, run, &worlds[i]), 0);
    for (size_t i = 0; i < count; i++)
        finish(&worlds[i]);
    free(worlds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens_of_a_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
