/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many writes at once while their connections are cut again and again, at any byte, in either direction. What
 * each caller was told is compared with the server's whole history: nothing was done twice, what succeeded is
 * there, and what failed is only there if its error said that it may be.
 */
#include "support/client.h"
#include "support/cut_relay.h"
#include "support/etcd_server.h"
#include "support/matrix.h"
#include "support/process.h"
#include "support/test.h"
#include "support/watching.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef ETCDC_SOAK
enum { RUN_MS = 300000, WRITES_MAX = 2000000 };
#else
enum { RUN_MS = 2500, WRITES_MAX = 40000 };
#endif
enum {
    WORLDS_MAX = 6,
    MEMBERS_MAX = 3,
    WORKERS = 8,
    DELETES = 400,
    PER_TXN = 100,
    KEYS = 16,
    CALL_MS = 3000
};

enum kind { PUT, TXN, DELETE };

/* What the caller of one write was told, and how often the history has it. */
struct write {
    uint8_t kind;
    bool begun, deleted_none;
    etcd_status status;
    uint32_t flags;
    unsigned seen;
};

struct world {
    struct etcd_server *server;
    struct cut_relay *relays[MEMBERS_MAX];
    size_t members;
    etcd_client *client; /* through the relays */
    etcd_client *direct;
    pthread_t workers[WORKERS];
    struct write *writes;
    atomic_size_t next;
    int64_t end_ms;
};

/* ---- the writes ------------------------------------------------------------------------------------ */

static etcd_status run_put(struct world *world, size_t number, etcd_error *err)
{
    char key[16], value[24];

    (void)snprintf(key, sizeof(key), "p/%zu", number % KEYS);
    (void)snprintf(value, sizeof(value), "%zu", number);
    return etcd_put(world->client, etcd_cstr(key), etcd_cstr(value), ETCD_PUT_OPTS(.timeout_ms = CALL_MS),
                    NULL, err);
}

static etcd_status run_txn(struct world *world, size_t number, etcd_error *err)
{
    etcd_txn *txn = etcd_txn_new();
    char key[16], value[24];
    etcd_status st;

    (void)snprintf(key, sizeof(key), "t/%zu", number % KEYS);
    (void)snprintf(value, sizeof(value), "%zu", number);
    etcd_txn_if_missing(txn, etcd_cstr("never"));
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr(key), etcd_cstr(value), NULL);
    etcd_txn_get(txn, ETCD_TXN_THEN, etcd_cstr(key), NULL);
    st = etcd_txn_commit(world->client, txn, ETCD_TXN_OPTS(.timeout_ms = CALL_MS), NULL, err);
    etcd_txn_free(txn);
    return st;
}

/* Each deletes a key of its own. Done twice, it would have found none. */
static etcd_status run_delete(struct world *world, size_t number, struct write *write, etcd_error *err)
{
    etcd_delete_result *result = NULL;
    char key[16];
    etcd_status st;

    (void)snprintf(key, sizeof(key), "d/%zu", number);
    st = etcd_delete(world->client, etcd_cstr(key), ETCD_DELETE_OPTS(.timeout_ms = CALL_MS), &result, err);
    if (st == ETCD_OK)
        write->deleted_none = etcd_delete_result_deleted(result) != 1;
    etcd_delete_result_free(result);
    return st;
}

static void *work(void *arg)
{
    struct world *world = arg;
    size_t number;

    while (test_now_ms() < world->end_ms && (number = atomic_fetch_add(&world->next, 1)) < WRITES_MAX) {
        struct write *write = &world->writes[number];
        etcd_error err = {.flags = 0};

        /* A third of the first ones are deletions: there are so many keys to delete. */
        write->kind = number % 3 == 0 && number < DELETES ? DELETE : number % 2 == 0 ? PUT : TXN;
        if (write->kind == DELETE)
            write->status = run_delete(world, number, write, &err);
        else if (write->kind == PUT)
            write->status = run_put(world, number, &err);
        else
            write->status = run_txn(world, number, &err);
        write->flags = err.flags;
        write->begun = true;
    }
    return NULL;
}

/* ---- the history ----------------------------------------------------------------------------------- */

static void count_event(struct world *world, const etcd_event *event)
{
    const char *text = event->type == ETCD_EVENT_DELETE ? (const char *)event->kv.key.data + 2
                                                        : event->kv.value.data;
    size_t number = strtoul(text, NULL, 10);

    if (((const char *)event->kv.key.data)[0] == 'd' && event->type == ETCD_EVENT_PUT)
        return; /* made before, to be deleted */
    assert_true(number < WRITES_MAX);
    assert_int_equal(event->type == ETCD_EVENT_DELETE, world->writes[number].kind == DELETE);
    world->writes[number].seen++;
}

static void read_history(struct world *world)
{
    int64_t last = watch_put(world->direct, "z", "end");
    etcd_watch *watch = watch_open(world->direct, "", ETCD_WATCH_OPTS(.prefix = true, .start_revision = 1));
    bool more = true;

    while (more) {
        etcd_events *events = watch_next(watch);

        for (size_t i = 0; i < etcd_events_count(events); i++) {
            const etcd_event *event = etcd_events_at(events, i);

            more = more && event->kv.mod_revision < last;
            if (event->kv.mod_revision < last)
                count_event(world, event);
        }
        etcd_events_free(events);
    }
    etcd_watch_close(watch);
}

static bool is_passing(etcd_status status)
{
    return status == ETCD_E_UNAVAILABLE || status == ETCD_E_DEADLINE || status == ETCD_E_NO_LEADER ||
           status == ETCD_E_BUSY;
}

static const char *lie_of(const struct write *write)
{
    bool maybe = (write->flags & ETCD_ERROR_MAYBE_APPLIED) != 0;
    bool retryable = (write->flags & ETCD_ERROR_RETRYABLE) != 0;

    if (write->seen > 1)
        return "done twice";
    if (write->status == ETCD_OK)
        return write->seen == 0 ? "success, and not there" : write->deleted_none ? "deleted nothing" : NULL;
    if (!is_passing(write->status) && write->status != ETCD_E_PROTOCOL)
        return "an odd status";
    if (write->seen == 1 && !maybe)
        return "there, and not said to be";
    if (maybe == retryable)
        return "either it may be there, or it can be tried again";
    return NULL;
}

static void judge(struct world *world)
{
    size_t count = atomic_load(&world->next), succeeded = 0, unknown = 0, there = 0, cuts = 0;

    if (count > WRITES_MAX)
        count = WRITES_MAX;
    for (size_t i = 0; i < world->members; i++)
        cuts += cut_relay_cuts(world->relays[i]);
    for (size_t i = 0; i < count; i++) {
        const struct write *write = &world->writes[i];
        const char *lie = write->begun ? lie_of(write) : NULL;

        if (lie != NULL)
            fail_msg("%s: write %zu (kind %d, %s, flags %u, seen %u): %s", etcd_server_version(world->server),
                     i, (int)write->kind, etcd_status_name(write->status), (unsigned)write->flags,
                     write->seen, lie);
        succeeded += write->begun && write->status == ETCD_OK ? 1 : 0;
        unknown += (write->flags & ETCD_ERROR_MAYBE_APPLIED) != 0 ? 1 : 0;
        there += (write->flags & ETCD_ERROR_MAYBE_APPLIED) != 0 && write->seen == 1 ? 1 : 0;
    }
    print_message("%s, %zu members: %zu writes, %zu cuts: %zu done, %zu in doubt of which %zu done\n",
                  etcd_server_version(world->server), world->members, count, cuts, succeeded, unknown, there);
    /* Else nothing was tested. */
    assert_true(cuts >= 10 && succeeded >= 50 && unknown >= 5);
}

/* ---- */

static void start(struct world *world, const char *version, size_t members, uint64_t seed)
{
    char endpoints[128] = "";
    etcd_txn *txn = NULL;
    etcd_error err;

    world->server = etcd_server_start(&(struct etcd_server_options){.version = version, .members = members});
    assert_non_null(world->server);
    world->members = members;
    world->writes = calloc(WRITES_MAX, sizeof(*world->writes));
    assert_non_null(world->writes);
    for (size_t i = 0; i < members; i++) {
        size_t used = strlen(endpoints);

        world->relays[i] = cut_relay_start(etcd_server_endpoint(world->server, i), seed + i);
        assert_non_null(world->relays[i]);
        (void)snprintf(endpoints + used, sizeof(endpoints) - used, "%s%s", i == 0 ? "" : ",",
                       cut_relay_endpoint(world->relays[i]));
    }
    world->direct = test_client_open(etcd_server_endpoints(world->server), NULL);
    for (size_t i = 0; i < DELETES; i++) {
        char key[16];

        if (i % PER_TXN == 0)
            txn = etcd_txn_new();
        (void)snprintf(key, sizeof(key), "d/%zu", i);
        etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr(key), etcd_cstr("x"), NULL);
        if (i % PER_TXN == PER_TXN - 1) {
            watch_ok(etcd_txn_commit(world->direct, txn, NULL, NULL, &err), &err);
            etcd_txn_free(txn);
        }
    }
    world->client = test_client_open(endpoints, NULL);
}

static void finish(struct world *world)
{
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_join(world->workers[i], NULL), 0);
    etcd_client_free(world->client);
    for (size_t i = 0; i < world->members; i++)
        cut_relay_calm(world->relays[i]);
    read_history(world);
    judge(world);
    for (size_t i = 0; i < world->members; i++)
        cut_relay_stop(world->relays[i]);
    etcd_client_free(world->direct);
    etcd_server_free(world->server);
    free(world->writes);
}

static void test_what_is_told_is_true(void **state)
{
    const char *const *versions = etcd_server_versions();
    struct world *worlds = calloc(WORLDS_MAX, sizeof(*worlds));
    uint64_t seed = cut_relay_seed();
    size_t count = 0;

    (void)state;
    assert_non_null(worlds);
    for (size_t i = 0; versions[i] != NULL && count + 1 < WORLDS_MAX; i++) {
        start(&worlds[count], versions[i], 1, seed + 100 * count);
        count++;
    }
    start(&worlds[count], NULL, MEMBERS_MAX, seed + 100 * count);
    count++;
    for (size_t i = 0; i < count; i++) {
        worlds[i].end_ms = test_now_ms() + test_soak_ms(RUN_MS);
        for (size_t j = 0; j < WORKERS; j++)
            assert_int_equal(pthread_create(&worlds[i].workers[j], NULL, work, &worlds[i]), 0);
    }
    for (size_t i = 0; i < count; i++)
        finish(&worlds[i]);
    free(worlds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_told_is_true),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
