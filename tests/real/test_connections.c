/* SPDX-License-Identifier: Apache-2.0 */
/* One client is one connection to each member, whoever uses it for whatever; it comes back by itself, and
 * finds the others. */
#include "support/client.h"
#include "support/etcd_server.h"
#include "support/matrix.h"
#include "support/process.h"
#include "support/test.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { THREADS = 16, CALLS = 1000, MANY = 100, PATIENCE_MS = 60000 };

struct world {
    struct etcd_server *server;
    etcd_client *client;
};

static void ok(etcd_status status, const etcd_error *err)
{
    if (status != ETCD_OK)
        fail_msg("%s: %s", etcd_status_name(status), err->message);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    world->server = etcd_server_start(&(struct etcd_server_options){.version = test_version()});
    assert_non_null(world->server);
    world->client = test_client_open(etcd_server_endpoints(world->server), NULL);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    etcd_client_free(world->client);
    etcd_server_free(world->server);
    free(world);
    return 0;
}

/* Whether a descriptor is a socket that is connected to this port of this machine. */
static bool leads_to(int fd, int port)
{
    struct sockaddr_in peer;
    socklen_t len = sizeof(peer);

    return getpeername(fd, (struct sockaddr *)&peer, &len) == 0 && peer.sin_family == AF_INET &&
           ntohs(peer.sin_port) == port;
}

/* Connections of this process to a member. */
static int count_connections(const struct etcd_server *server, size_t member)
{
    int port = atoi(strrchr(etcd_server_endpoint(server, member), ':') + 1), count = 0;
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        count += leads_to(atoi(entry->d_name), port);
    (void)closedir(dir);
    return count;
}

/* ---- one connection ----------------------------------------------------------------------------------- */

struct worker {
    pthread_t thread;
    etcd_client *client;
    int number, wrong;
};

/* A key of its own: what it reads is what it wrote. */
static bool write_and_read(struct worker *worker, int call)
{
    char key[32], value[32];
    etcd_get_result *result = NULL;
    bool right;

    (void)snprintf(key, sizeof(key), "thread/%d", worker->number);
    (void)snprintf(value, sizeof(value), "%d.%d", worker->number, call);
    if (etcd_put(worker->client, etcd_cstr(key), etcd_cstr(value), ETCD_PUT_OPTS(.timeout_ms = PATIENCE_MS),
                 NULL, NULL) != ETCD_OK ||
        etcd_get(worker->client, etcd_cstr(key), ETCD_GET_OPTS(.timeout_ms = PATIENCE_MS), &result, NULL) !=
            ETCD_OK)
        return false;
    right = etcd_get_result_count(result) == 1 &&
            strcmp(etcd_get_result_kv(result, 0)->value.data, value) == 0;
    etcd_get_result_free(result);
    return right;
}

static void *work(void *arg)
{
    struct worker *worker = arg;

    for (int i = 0; i < CALLS / 2; i++)
        worker->wrong += !write_and_read(worker, i);
    return NULL;
}

static void test_many_threads(void **state)
{
    struct world *world = *state;
    struct worker workers[THREADS];

    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.client = world->client, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].wrong, 0);
        assert_int_equal(count_connections(world->server, 0), 1);
    }
}

static void test_many_calls_and_watches(void **state)
{
    struct world *world = *state;
    etcd_watch *watches[MANY];
    etcd_op *ops[MANY];
    etcd_error err;

    for (int i = 0; i < MANY; i++)
        ok(etcd_watch_open(world->client, etcd_cstr("shared"), ETCD_WATCH_OPTS(.start_revision = 1),
                           &watches[i], &err),
           &err);
    for (int i = 0; i < MANY; i++)
        ok(etcd_put_async(world->client, etcd_cstr("shared"), etcd_cstr("x"), NULL, NULL, NULL, &ops[i],
                          &err),
           &err);
    for (int i = 0; i < MANY; i++) {
        ok(etcd_op_wait(ops[i], PATIENCE_MS, &err), &err);
        ok(etcd_op_status(ops[i], &err), &err);
        etcd_op_free(ops[i]);
        assert_int_equal(count_connections(world->server, 0), 1);
    }
    for (int i = 0; i < MANY; i++) {
        etcd_events *events = NULL;

        ok(etcd_watch_next(watches[i], PATIENCE_MS, &events, &err), &err);
        etcd_events_free(events);
        assert_int_equal(count_connections(world->server, 0), 1);
        etcd_watch_close(watches[i]);
    }
}

/* ---- closing, from several threads -------------------------------------------------------------------- */

static void *call_until_closed(void *arg)
{
    etcd_status *ret = malloc(sizeof(*ret));

    do
        *ret = etcd_get(arg, etcd_cstr("k"), ETCD_GET_OPTS(.timeout_ms = PATIENCE_MS), NULL, NULL);
    while (*ret == ETCD_OK);
    return ret;
}

static void *close_client(void *arg)
{
    etcd_status *ret = malloc(sizeof(*ret));

    *ret = etcd_client_close(arg, NULL);
    return ret;
}

static void join(pthread_t thread, etcd_status wanted)
{
    void *ret = NULL;

    assert_int_equal(pthread_join(thread, &ret), 0);
    assert_int_equal(*(etcd_status *)ret, wanted);
    free(ret);
}

static void test_closed_while_others_call(void **state)
{
    struct world *world = *state;

    for (int round = 0; round < 10; round++) {
        etcd_client *client = test_client_open(etcd_server_endpoints(world->server), NULL);
        pthread_t callers[4], closers[2];

        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&callers[i], NULL, call_until_closed, client), 0);
        test_pump(client, 5 * round);
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&closers[i], NULL, close_client, client), 0);
        for (int i = 0; i < 2; i++)
            join(closers[i], ETCD_OK);
        for (int i = 0; i < 4; i++)
            join(callers[i], ETCD_E_CLOSED);
        etcd_client_free(client);
    }
    /* That of the test itself may be there; nothing is left of the others. */
    assert_in_range(count_connections(world->server, 0), 0, 1);
}

/* ---- coming back -------------------------------------------------------------------------------------- */

static void test_a_restarted_server(void **state)
{
    struct world *world = *state;
    etcd_get_result *result = NULL;
    etcd_error err;

    ok(etcd_put(world->client, etcd_cstr("back"), etcd_cstr("1"), NULL, NULL, &err), &err);
    for (int round = 0; round < 2; round++) {
        assert_true(etcd_server_kill(world->server, 0));
        assert_true(etcd_server_restart(world->server, 0));
        /* It is still starting: the call waits for it. */
        ok(etcd_get(world->client, etcd_cstr("back"), ETCD_GET_OPTS(.timeout_ms = PATIENCE_MS), &result,
                    &err),
           &err);
        assert_int_equal(etcd_get_result_count(result), 1);
        etcd_get_result_free(result);
        ok(etcd_put(world->client, etcd_cstr("back"), etcd_cstr("2"),
                    ETCD_PUT_OPTS(.timeout_ms = PATIENCE_MS), NULL, &err),
           &err);
        assert_int_equal(count_connections(world->server, 0), 1);
    }
}

/* ---- the members' own list ---------------------------------------------------------------------------- */

static bool knows_all(etcd_client *client, const struct etcd_server *server)
{
    char text[512];

    (void)etcd_client_endpoints(client, text, sizeof(text));
    for (size_t i = 0; i < etcd_server_members(server); i++) {
        if (strstr(text, etcd_server_endpoint(server, i)) == NULL)
            return false;
    }
    return true;
}

static void test_members_are_found(void **state)
{
    enum { INTERVAL_MS = 300 };
    struct etcd_server *server =
        etcd_server_start(&(struct etcd_server_options){.version = test_version(), .members = 3});
    int64_t deadline_ms;
    etcd_client *client;
    etcd_error err;

    (void)state;
    assert_non_null(server);
    client = test_client_open(etcd_server_endpoint(server, 0),
                              ETCD_CLIENT_OPTS(.auto_sync_interval_ms = INTERVAL_MS));
    deadline_ms = test_deadline_ms(INTERVAL_MS + 1000);
    while (!knows_all(client, server) && test_now_ms() < deadline_ms)
        test_pump(client, 20);
    assert_true(knows_all(client, server));
    /* The only one that it was told of goes away. */
    assert_true(etcd_server_kill(server, 0));
    for (int i = 0; i < 20; i++) {
        ok(etcd_get(client, etcd_cstr("k"), ETCD_GET_OPTS(.timeout_ms = PATIENCE_MS), NULL, &err), &err);
        test_pump(client, INTERVAL_MS / 10);
    }
    assert_true(knows_all(client, server)); /* a member that is down is a member */
    etcd_client_free(client);
    etcd_server_free(server);
}

/* Under caller drive a client belongs to one thread. */
static const char *const need_threads[] = {
    "test_many_threads",
    "test_closed_while_others_call",
    NULL,
};

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_many_calls_and_watches),
        cmocka_unit_test(test_closed_while_others_call),
        cmocka_unit_test(test_a_restarted_server),
        cmocka_unit_test(test_members_are_found),
    };

    return test_run_group(tests, sizeof(tests) / sizeof(tests[0]), need_threads, set_up, tear_down);
}
