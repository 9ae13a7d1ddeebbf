/* SPDX-License-Identifier: Apache-2.0 */
/* Two clients in namespaces of their own and one in none, on one server: who sees what. */
#include "support/real.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 10000, LARGE = 450 * 1024 };

static struct etcd_server *server;

/* `whole` has no namespace. */
struct world {
    struct real a, b, whole;
};

static struct world world;

static int open_world(void **state)
{
    const char *endpoints = etcd_server_endpoints(server);

    (void)state;
    if (!real_open_in(&world.a, endpoints, etcd_cstr("a/")) ||
        !real_open_in(&world.b, endpoints, etcd_cstr("b/")) || !real_open(&world.whole, endpoints))
        return -1;
    return etcd_delete(world.whole.client, etcd_cstr(""), ETCD_DELETE_OPTS(.prefix = true), NULL, NULL) ==
                   ETCD_OK
               ? 0
               : -1;
}

static int close_world(void **state)
{
    (void)state;
    real_close(&world.a);
    real_close(&world.b);
    real_close(&world.whole);
    return 0;
}

static void put(struct real *real, const char *key, const char *value)
{
    etcd_error err;

    assert_false(
        real_failed(etcd_put(real->client, etcd_cstr(key), etcd_cstr(value), NULL, NULL, &err), &err));
}

/* Adds "key=value", values cut to ten bytes. */
static void add_pair(char *text, size_t size, const etcd_kv *kv)
{
    size_t used = strlen(text);

    assert_int_equal(((const char *)kv->key.data)[kv->key.len], '\0');
    snprintf(text + used, size - used, "%s%.*s=%.10s", used == 0 ? "" : " ", (int)kv->key.len,
             (const char *)kv->key.data, (const char *)kv->value.data);
}

static void assert_shows(const etcd_get_result *result, const char *expected)
{
    char text[1024] = "";

    for (size_t i = 0; i < etcd_get_result_count(result); i++)
        add_pair(text, sizeof(text), etcd_get_result_kv(result, i));
    assert_string_equal(text, expected);
}

static void assert_has(struct real *real, const char *key, const etcd_get_opts *opts, const char *expected)
{
    etcd_get_result *result = NULL;
    etcd_error err;

    assert_false(real_failed(etcd_get(real->client, etcd_cstr(key), opts, &result, &err), &err));
    assert_shows(result, expected);
    etcd_get_result_free(result);
}

#define ALL ETCD_GET_OPTS(.prefix = true)

/* Keys beside the namespaces: those that a wrong end of a range would take in. */
static void put_neighbours(void)
{
    put(&world.whole, "a", "before");
    put(&world.whole, "a/", "itself");
    put(&world.whole, "a0", "behind");
    put(&world.whole, "c", "far");
}

static void put_some(void)
{
    put_neighbours();
    put(&world.a, "k", "of a");
    put(&world.a, "k1", "one");
    put(&world.a, "z", "last");
    put(&world.b, "k", "of b");
}

/* ---- reads and writes ------------------------------------------------------------------------------ */

static void reads_stay_inside(void **state)
{
    (void)state;
    put_some();
    assert_has(&world.a, "k", NULL, "k=of a");
    assert_has(&world.b, "k", NULL, "k=of b");
    assert_has(&world.a, "a/k", NULL, "");
    assert_has(&world.a, "k", ALL, "k=of a k1=one");
    assert_has(&world.a, "", ALL, "k=of a k1=one z=last");
    assert_has(&world.a, "", ETCD_GET_OPTS(.from_key = true), "k=of a k1=one z=last");
    assert_has(&world.a, "k1", ETCD_GET_OPTS(.from_key = true), "k1=one z=last");
    assert_has(&world.a, "k", ETCD_GET_OPTS(.range_end = etcd_cstr("z")), "k=of a k1=one");
    assert_has(&world.a, "k", ETCD_GET_OPTS(.range_end = etcd_bytes_of("\0", 1)), "k=of a k1=one z=last");
    assert_has(&world.a, "z", ETCD_GET_OPTS(.range_end = etcd_cstr("k")), "");
    assert_has(&world.a, "\xff", ALL, "");
    assert_has(&world.a, "", ETCD_GET_OPTS(.prefix = true, .sort_order = ETCD_SORT_DESCEND, .limit = 1),
               "z=last");
    assert_has(&world.b, "", ALL, "k=of b");
    assert_has(&world.whole, "", ALL,
               "a=before a/=itself a/k=of a a/k1=one a/z=last a0=behind b/k=of b c=far");
}

static void writes_stay_inside(void **state)
{
    etcd_put_result *put_result = NULL;
    etcd_delete_result *result = NULL;
    etcd_error err;

    (void)state;
    put_some();
    assert_false(real_failed(etcd_put(world.a.client, etcd_cstr("k"), etcd_cstr("new"),
                                      ETCD_PUT_OPTS(.prev_kv = true), &put_result, &err),
                             &err));
    assert_string_equal(etcd_put_result_prev_kv(put_result)->key.data, "k");
    assert_int_equal(etcd_put_result_prev_kv(put_result)->key.len, 1);
    assert_string_equal(etcd_put_result_prev_kv(put_result)->value.data, "of a");
    etcd_put_result_free(put_result);
    assert_false(real_failed(etcd_delete(world.a.client, etcd_cstr(""),
                                         ETCD_DELETE_OPTS(.from_key = true, .prev_kv = true), &result, &err),
                             &err));
    assert_int_equal(etcd_delete_result_deleted(result), 3);
    assert_int_equal(etcd_delete_result_prev_count(result), 3);
    assert_string_equal(etcd_delete_result_prev_kv(result, 1)->key.data, "k1");
    etcd_delete_result_free(result);
    assert_has(&world.whole, "", ALL, "a=before a/=itself a0=behind b/k=of b c=far");
}

/* All bits set: no key comes after such a namespace. */
static void a_namespace_can_be_the_last(void **state)
{
    struct real last;

    (void)state;
    put_some();
    assert_true(real_open_in(&last, etcd_server_endpoints(server), etcd_cstr("\xff\xff")));
    put(&last, "x", "1");
    put(&last, "\xff", "2");
    assert_has(&last, "", ALL, "x=1 \xff=2");
    assert_has(&last, "x", ETCD_GET_OPTS(.from_key = true), "x=1 \xff=2");
    assert_has(&last, "\xff", ALL, "\xff=2");
    assert_int_equal(etcd_delete(last.client, etcd_cstr(""), ETCD_DELETE_OPTS(.prefix = true), NULL, NULL),
                     ETCD_OK);
    assert_has(&world.whole, "b", ETCD_GET_OPTS(.from_key = true), "b/k=of b c=far");
    real_close(&last);
}

/* ---- transactions ---------------------------------------------------------------------------------- */

static etcd_txn_result *commit(struct real *real, etcd_txn *txn)
{
    etcd_txn_result *result = NULL;
    etcd_error err;

    assert_false(real_failed(etcd_txn_commit(real->client, txn, NULL, &result, &err), &err));
    etcd_txn_free(txn);
    return result;
}

/* "k" is another key to each; the ranges of comparisons end inside. */
static void transactions_stay_inside(void **state)
{
    etcd_txn *txn = etcd_txn_new(), *nested = etcd_txn_new();
    const etcd_txn_result *inner;
    etcd_txn_result *result;

    (void)state;
    put_some();
    etcd_txn_if_value(nested, etcd_cstr("z"), ETCD_CMP_EQUAL, etcd_cstr("last"));
    etcd_txn_delete(nested, ETCD_TXN_THEN, etcd_cstr("k"), ETCD_DELETE_OPTS(.prefix = true, .prev_kv = true));
    etcd_txn_if_value(txn, etcd_cstr("k"), ETCD_CMP_EQUAL, etcd_cstr("of a"));
    etcd_txn_if(txn, etcd_cstr("a"), ETCD_CMP_MOD_REVISION, ETCD_CMP_GREATER, 0);
    etcd_txn_if_range(txn, etcd_bytes_of("\0", 1));
    etcd_txn_if_missing(txn, etcd_cstr("a/k"));
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("new"), etcd_cstr("1"), ETCD_PUT_OPTS(.prev_kv = true));
    etcd_txn_get(txn, ETCD_TXN_THEN, etcd_cstr(""), ALL);
    etcd_txn_nest(txn, ETCD_TXN_THEN, nested);
    etcd_txn_free(nested);
    result = commit(&world.a, txn);
    assert_true(etcd_txn_result_succeeded(result));
    assert_null(etcd_put_result_prev_kv(etcd_txn_result_put(result, 0)));
    assert_shows(etcd_txn_result_get(result, 1), "k=of a k1=one new=1 z=last");
    inner = etcd_txn_result_nested(result, 2);
    assert_true(etcd_txn_result_succeeded(inner));
    assert_int_equal(etcd_delete_result_deleted(etcd_txn_result_delete(inner, 0)), 2);
    assert_string_equal(etcd_delete_result_prev_kv(etcd_txn_result_delete(inner, 0), 0)->key.data, "k");
    etcd_txn_result_free(result);
    assert_has(&world.whole, "", ALL, "a=before a/=itself a/new=1 a/z=last a0=behind b/k=of b c=far");
}

/* Somebody else's younger keys do not count in a comparison of a range. */
static void a_comparison_of_a_range_ends_inside(void **state)
{
    etcd_txn *txn = etcd_txn_new();
    etcd_txn_result *result;

    (void)state;
    put(&world.a, "k", "1");
    put_neighbours();
    put(&world.whole, "a0", "version 2");
    etcd_txn_if(txn, etcd_cstr("k"), ETCD_CMP_VERSION, ETCD_CMP_EQUAL, 1);
    etcd_txn_if_range(txn, etcd_bytes_of("\0", 1));
    result = commit(&world.a, txn);
    assert_true(etcd_txn_result_succeeded(result));
    etcd_txn_result_free(result);
}

/* ---- watches --------------------------------------------------------------------------------------- */

static etcd_watch *watch_all(struct real *real, const etcd_watch_opts *opts)
{
    etcd_watch *watch = NULL;
    etcd_error err;

    assert_false(real_failed(etcd_watch_open(real->client, etcd_cstr(""), opts, &watch, &err), &err));
    return watch;
}

/* Adds what comes, as "put k=1 was k=0", until there are so many events. */
static void read_events(etcd_watch *watch, size_t count, char *text, size_t size)
{
    text[0] = '\0';
    while (count > 0) {
        etcd_events *events = NULL;
        etcd_error err;

        assert_false(real_failed(etcd_watch_next(watch, WAIT_MS * ETCDC_TIME_SCALE, &events, &err), &err));
        for (size_t i = 0; i < etcd_events_count(events); i++, count--) {
            const etcd_event *event = etcd_events_at(events, i);
            size_t used = strlen(text);

            snprintf(text + used, size - used, "%s%s", used == 0 ? "" : " ",
                     event->type == ETCD_EVENT_PUT ? "put" : "delete");
            add_pair(text, size, &event->kv);
            if (event->prev_kv == NULL)
                continue;
            used = strlen(text);
            snprintf(text + used, size - used, " was");
            add_pair(text, size, event->prev_kv);
        }
        etcd_events_free(events);
    }
}

static void watches_stay_inside(void **state)
{
    etcd_watch *a, *one, *whole;
    int64_t from;
    char text[1024];
    etcd_get_result *result = NULL;

    (void)state;
    assert_int_equal(etcd_get(world.whole.client, etcd_cstr("x"), NULL, &result, NULL), ETCD_OK);
    from = etcd_get_result_header(result)->revision + 1;
    etcd_get_result_free(result);
    a = watch_all(&world.a, ETCD_WATCH_OPTS(.from_key = true, .prev_kv = true, .start_revision = from));
    whole = watch_all(&world.whole, ETCD_WATCH_OPTS(.prefix = true, .start_revision = from));
    assert_int_equal(
        etcd_watch_open(world.b.client, etcd_cstr("k"), ETCD_WATCH_OPTS(.start_revision = from), &one, NULL),
        ETCD_OK);
    put(&world.a, "k", "0");
    put_neighbours();
    put(&world.b, "k", "b");
    put(&world.a, "k", "1");
    assert_int_equal(etcd_delete(world.a.client, etcd_cstr("k"), NULL, NULL, NULL), ETCD_OK);
    read_events(a, 3, text, sizeof(text));
    assert_string_equal(text, "put k=0 put k=1 was k=0 delete k= was k=1");
    read_events(one, 1, text, sizeof(text));
    assert_string_equal(text, "put k=b");
    read_events(whole, 8, text, sizeof(text));
    assert_string_equal(text, "put a/k=0 put a=before put a/=itself put a0=behind put c=far put b/k=b "
                              "put a/k=1 delete a/k=");
    etcd_watch_close(a);
    etcd_watch_close(one);
    etcd_watch_close(whole);
}

/* Without a start revision the client reads the watched key first: the whole one. */
static void a_watch_that_begins_now(void **state)
{
    etcd_watch *watch = watch_all(&world.a, ETCD_WATCH_OPTS(.prefix = true, .created = true));
    etcd_events *events = NULL;
    char text[256];

    (void)state;
    assert_int_equal(etcd_watch_next(watch, WAIT_MS * ETCDC_TIME_SCALE, &events, NULL), ETCD_OK);
    assert_int_equal(etcd_events_count(events), 0);
    etcd_events_free(events);
    put_some();
    read_events(watch, 3, text, sizeof(text));
    assert_string_equal(text, "put k=of a put k1=one put z=last");
    etcd_watch_close(watch);
}

/* One revision of 2.7 MB, which the server sends in parts. */
static void fragments_are_cut_too(void **state)
{
    char *value = malloc(LARGE + 1), text[256];
    etcd_watch *watch;
    int64_t from = 0;

    (void)state;
    assert_non_null(value);
    memset(value, 'x', LARGE);
    value[LARGE] = '\0';
    for (int round = 0; round < 2; round++) {
        etcd_txn *txn = etcd_txn_new();
        etcd_txn_result *result;

        value[0] = (char)('0' + round);
        etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("k0"), etcd_bytes_of(value, LARGE), NULL);
        etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("k1"), etcd_bytes_of(value, LARGE), NULL);
        etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("k2"), etcd_bytes_of(value, LARGE), NULL);
        result = commit(&world.a, txn);
        from = etcd_txn_result_header(result)->revision;
        etcd_txn_result_free(result);
    }
    free(value);
    watch = watch_all(&world.a, ETCD_WATCH_OPTS(.prefix = true, .prev_kv = true, .start_revision = from));
    read_events(watch, 3, text, sizeof(text));
    assert_string_equal(text, "put k0=1xxxxxxxxx was k0=0xxxxxxxxx put k1=1xxxxxxxxx was k1=0xxxxxxxxx "
                              "put k2=1xxxxxxxxx was k2=0xxxxxxxxx");
    etcd_watch_close(watch);
}

/* ---- leases, ranges -------------------------------------------------------------------------------- */

static void a_lease_shows_the_keys_inside(void **state)
{
    etcd_ttl_result *result = NULL;
    etcd_lease lease;
    etcd_error err;

    (void)state;
    assert_false(real_failed(etcd_lease_grant(world.a.client, 60, NULL, &lease, &err), &err));
    for (int i = 0; i < 3; i++) {
        struct real *const clients[] = {&world.a, &world.b, &world.whole};

        assert_int_equal(etcd_put(clients[i]->client, etcd_cstr("leased"), etcd_cstr("v"),
                                  ETCD_PUT_OPTS(.lease_id = lease.id), NULL, NULL),
                         ETCD_OK);
    }
    assert_false(real_failed(
        etcd_lease_time_to_live(world.a.client, lease.id, ETCD_LEASE_OPTS(.keys = true), &result, &err),
        &err));
    assert_int_equal(etcd_ttl_result_key_count(result), 1);
    assert_string_equal(etcd_ttl_result_key(result, 0).data, "leased");
    etcd_ttl_result_free(result);
    assert_false(real_failed(
        etcd_lease_time_to_live(world.whole.client, lease.id, ETCD_LEASE_OPTS(.keys = true), &result, &err),
        &err));
    assert_int_equal(etcd_ttl_result_key_count(result), 3);
    etcd_ttl_result_free(result);
    assert_int_equal(etcd_lease_revoke(world.b.client, lease.id, NULL, NULL), ETCD_OK);
}

static void pages_stay_inside(void **state)
{
    char key[16], expected[256] = "", text[256] = "";
    etcd_range *range = NULL;
    int pages = 0;

    (void)state;
    put_neighbours();
    put(&world.b, "p0", "of b");
    for (int i = 0; i < 7; i++) {
        size_t used = strlen(expected);

        snprintf(key, sizeof(key), "p%d", i);
        put(&world.a, key, "v");
        snprintf(expected + used, sizeof(expected) - used, "%s%s=v", i == 0 ? "" : " ", key);
    }
    assert_int_equal(etcd_range_open(world.a.client, etcd_cstr(""),
                                     ETCD_RANGE_OPTS(.prefix = true, .page_size = 2), &range, NULL),
                     ETCD_OK);
    for (;; pages++) {
        etcd_get_result *page = NULL;
        etcd_error err;

        assert_false(real_failed(etcd_range_next(range, &page, &err), &err));
        if (page == NULL)
            break;
        for (size_t i = 0; i < etcd_get_result_count(page); i++)
            add_pair(text, sizeof(text), etcd_get_result_kv(page, i));
        etcd_get_result_free(page);
    }
    assert_string_equal(text, expected);
    assert_true(pages >= 2);
    etcd_range_close(range);
}

/* ---- what stands on them --------------------------------------------------------------------------- */

static etcd_status try_lock(struct real *real, const char *name, etcd_lock **ret_lock)
{
    return etcd_lock_acquire(real->client, etcd_cstr(name),
                             ETCD_LOCK_OPTS(.try_lock = true, .allow_caller_drive = true), ret_lock, NULL);
}

static void locks_contend_inside(void **state)
{
    etcd_lock *ours = NULL, *theirs = NULL, *none = NULL;
    struct real same;
    char key[64];

    (void)state;
    assert_true(real_open_in(&same, etcd_server_endpoints(server), etcd_cstr("a/")));
    assert_int_equal(try_lock(&world.a, "job", &ours), ETCD_OK);
    assert_int_equal(try_lock(&same, "job", &none), ETCD_E_BUSY);
    assert_int_equal(try_lock(&world.whole, "a/job", &none), ETCD_E_BUSY);
    assert_int_equal(try_lock(&world.b, "job", &theirs), ETCD_OK);
    snprintf(key, sizeof(key), "job/%llx", (unsigned long long)etcd_lock_lease_id(ours));
    assert_string_equal((const char *)etcd_lock_key(ours).data, key);
    assert_int_equal(real_keys(&world.whole, "a/job/"), 1);
    assert_int_equal(real_keys(&world.whole, "b/job/"), 1);
    assert_int_equal(real_keys(&world.whole, "job/"), 0);
    assert_int_equal(etcd_lock_release(ours, 0, NULL), ETCD_OK);
    assert_int_equal(try_lock(&same, "job", &none), ETCD_OK);
    assert_int_equal(etcd_lock_release(none, 0, NULL), ETCD_OK);
    assert_int_equal(etcd_lock_release(theirs, 0, NULL), ETCD_OK);
    real_close(&same);
}

static void elections_are_apart(void **state)
{
    const etcd_election_opts opts = {.size = sizeof(opts), .try_campaign = true, .allow_caller_drive = true};
    etcd_election *ours = NULL, *theirs = NULL;
    etcd_get_result *leader = NULL;

    (void)state;
    assert_int_equal(
        etcd_election_campaign(world.a.client, etcd_cstr("e"), etcd_cstr("A"), &opts, &ours, NULL), ETCD_OK);
    assert_int_equal(
        etcd_election_campaign(world.b.client, etcd_cstr("e"), etcd_cstr("B"), &opts, &theirs, NULL),
        ETCD_OK);
    assert_int_equal(etcd_election_leader(world.a.client, etcd_cstr("e"), 0, &leader, NULL), ETCD_OK);
    assert_string_equal(etcd_get_result_kv(leader, 0)->value.data, "A");
    assert_memory_equal(etcd_get_result_kv(leader, 0)->key.data, "e/", 2);
    etcd_get_result_free(leader);
    assert_int_equal(etcd_election_leader(world.whole.client, etcd_cstr("e"), 0, &leader, NULL),
                     ETCD_E_NOT_FOUND);
    assert_int_equal(etcd_election_proclaim(ours, etcd_cstr("A2"), 0, NULL), ETCD_OK);
    assert_int_equal(etcd_election_leader(world.whole.client, etcd_cstr("a/e"), 0, &leader, NULL), ETCD_OK);
    assert_string_equal(etcd_get_result_kv(leader, 0)->value.data, "A2");
    etcd_get_result_free(leader);
    assert_int_equal(etcd_election_resign(ours, 0, NULL), ETCD_OK);
    assert_int_equal(etcd_election_resign(theirs, 0, NULL), ETCD_OK);
}

static void assert_discovers(struct real *real, const char *prefix, const char *address)
{
    etcd_services *services = NULL;
    etcd_error err;

    assert_false(real_failed(
        etcd_discover(real->client, "web", ETCD_DISCOVER_OPTS(.prefix = prefix), &services, &err), &err));
    assert_int_equal(etcd_services_count(services), address == NULL ? 0 : 1);
    if (address != NULL) {
        assert_string_equal(etcd_services_at(services, 0)->address.data, address);
        assert_string_equal(etcd_services_at(services, 0)->instance.data, "1");
    }
    etcd_services_free(services);
}

static void services_are_found_inside(void **state)
{
    etcd_registration *registration = NULL;
    etcd_discovery *discovery = NULL;
    etcd_services *services;
    etcd_error err;

    (void)state;
    assert_false(
        real_failed(etcd_register(world.a.client, "web", "1", "host:80", NULL, &registration, &err), &err));
    assert_string_equal(etcd_registration_key(registration).data, "/services/web/1");
    assert_discovers(&world.a, NULL, "host:80");
    assert_discovers(&world.b, NULL, NULL);
    assert_discovers(&world.whole, NULL, NULL);
    assert_discovers(&world.whole, "a//services/", "host:80");
    assert_false(real_failed(etcd_discovery_open(world.a.client, "web", NULL, &discovery, &err), &err));
    services = etcd_discovery_services(discovery);
    assert_int_equal(etcd_services_count(services), 1);
    etcd_services_free(services);
    etcd_discovery_close(discovery);
    assert_int_equal(etcd_registration_close(registration, 0, NULL), ETCD_OK);
    assert_int_equal(real_keys(&world.whole, "a/"), 0);
}

struct viewing {
    etcd_view *view;
    const char *expected;
};

static bool view_shows(void *arg)
{
    const struct viewing *viewing = arg;
    etcd_snapshot *snapshot = etcd_view_snapshot(viewing->view);
    char text[256] = "";

    for (size_t i = 0; i < etcd_snapshot_count(snapshot); i++)
        add_pair(text, sizeof(text), etcd_snapshot_at(snapshot, i));
    etcd_snapshot_free(snapshot);
    return strcmp(text, viewing->expected) == 0;
}

static void views_stay_inside(void **state)
{
    struct viewing viewing = {.expected = "k=of a k1=one z=last"};
    etcd_error err;

    (void)state;
    put_some();
    assert_false(real_failed(etcd_view_open(world.a.client, etcd_cstr(""), NULL, &viewing.view, &err), &err));
    assert_true(view_shows(&viewing));
    put(&world.b, "k2", "not ours");
    put(&world.a, "k2", "two");
    viewing.expected = "k=of a k1=one k2=two z=last";
    assert_true(real_wait(&world.a, view_shows, &viewing, WAIT_MS));
    etcd_view_close(viewing.view);
}

static int start_server(void **state)
{
    const struct etcd_server_options options = {.version = test_version()};

    (void)state;
    server = etcd_server_start(&options);
    return server == NULL ? -1 : 0;
}

static int stop_server(void **state)
{
    (void)state;
    etcd_server_free(server);
    return 0;
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(reads_stay_inside),
        IN_WORLD(writes_stay_inside),
        IN_WORLD(a_namespace_can_be_the_last),
        IN_WORLD(transactions_stay_inside),
        IN_WORLD(a_comparison_of_a_range_ends_inside),
        IN_WORLD(watches_stay_inside),
        IN_WORLD(a_watch_that_begins_now),
        IN_WORLD(fragments_are_cut_too),
        IN_WORLD(a_lease_shows_the_keys_inside),
        IN_WORLD(pages_stay_inside),
        IN_WORLD(locks_contend_inside),
        IN_WORLD(elections_are_apart),
        IN_WORLD(services_are_found_inside),
        IN_WORLD(views_stay_inside),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
