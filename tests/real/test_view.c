/* SPDX-License-Identifier: Apache-2.0 */
#include "support/real.h"
#include "support/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { READERS = 3, WRITES = 400, MANY = 20500, TXN_MAX = 100 };

static struct etcd_server *server;

static struct real open_real(void)
{
    struct real real;

    assert_true(real_open(&real, etcd_server_endpoints(server)));
    return real;
}

static void put(struct real *real, const char *key, const char *value)
{
    etcd_error err;

    assert_false(
        real_failed(etcd_put(real->client, etcd_cstr(key), etcd_cstr(value), NULL, NULL, &err), &err));
}

static void delete_all(struct real *real, const char *prefix)
{
    assert_int_equal(
        etcd_delete(real->client, etcd_cstr(prefix), ETCD_DELETE_OPTS(.prefix = true), NULL, NULL), ETCD_OK);
}

/* What a view has told. */
struct news {
    atomic_int changes, reloads, ends;
    _Atomic int64_t revision;
    atomic_size_t events;
    etcd_status status; /* of the end */
    bool close;         /* at the first change */
};

static void on_change(etcd_view *view, const etcd_snapshot *snapshot, const etcd_events *events,
                      const etcd_error *err, void *user_data)
{
    struct news *news = user_data;

    if (snapshot == NULL) {
        news->status = err->status;
        atomic_fetch_add(&news->ends, 1);
        return;
    }
    atomic_store(&news->revision, etcd_snapshot_revision(snapshot));
    if (events == NULL)
        atomic_fetch_add(&news->reloads, 1);
    atomic_fetch_add(&news->events, etcd_events_count(events));
    atomic_fetch_add(&news->changes, 1);
    if (news->close)
        etcd_view_close(view);
}

static bool has_changed(void *arg)
{
    return atomic_load(&((struct news *)arg)->changes) > 0;
}

static bool has_reloaded(void *arg)
{
    return atomic_load(&((struct news *)arg)->reloads) > 0;
}

static bool has_ended(void *arg)
{
    return atomic_load(&((struct news *)arg)->ends) > 0;
}

static etcd_view *open_view(struct real *real, const char *prefix, struct news *news)
{
    etcd_view *view = NULL;
    etcd_error err;

    assert_false(real_failed(
        etcd_view_open(real->client, etcd_cstr(prefix),
                       ETCD_VIEW_OPTS(.timeout_ms = 10000 * ETCDC_TIME_SCALE,
                                      .on_change = news == NULL ? NULL : on_change, .user_data = news),
                       &view, &err),
        &err));
    return view;
}

/* "a=1 b=2", keys without the prefix. */
static bool shows(etcd_view *view, size_t prefix_len, const char *expected)
{
    etcd_snapshot *s = etcd_view_snapshot(view);
    char text[512] = "";
    size_t used = 0;

    for (size_t i = 0; i < etcd_snapshot_count(s) && used < sizeof(text); i++) {
        const etcd_kv *kv = etcd_snapshot_at(s, i);

        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s=%s", i == 0 ? "" : " ",
                                 (const char *)kv->key.data + prefix_len, (const char *)kv->value.data);
    }
    etcd_snapshot_free(s);
    return strcmp(text, expected) == 0;
}

struct showing {
    etcd_view *view;
    size_t prefix_len;
    const char *expected;
};

static bool is_shown(void *arg)
{
    const struct showing *showing = arg;

    return shows(showing->view, showing->prefix_len, showing->expected);
}

static bool comes_to_show(struct real *real, etcd_view *view, size_t prefix_len, const char *expected)
{
    struct showing showing = {.view = view, .prefix_len = prefix_len, .expected = expected};

    return real_wait(real, is_shown, &showing, 5000);
}

/* ---- following ------------------------------------------------------------------------------------- */

static void loads_and_follows(void **state)
{
    struct real real = open_real();
    struct news news = {.changes = 0};
    etcd_view *view;
    etcd_snapshot *held;

    (void)state;
    put(&real, "cfg/b", "1");
    put(&real, "cfg/a", "2");
    put(&real, "cfh", "no");
    view = open_view(&real, "cfg/", &news);
    assert_true(shows(view, 4, "a=2 b=1"));
    held = etcd_view_snapshot(view);
    put(&real, "cfg/c", "3");
    put(&real, "cfh", "no");
    put(&real, "cfg/a", "4");
    assert_int_equal(etcd_delete(real.client, etcd_cstr("cfg/b"), NULL, NULL, NULL), ETCD_OK);
    assert_true(comes_to_show(&real, view, 4, "a=4 c=3"));
    assert_int_equal(atomic_load(&news.events), 3);
    assert_int_equal(atomic_load(&news.reloads), 0);
    assert_int_equal(etcd_snapshot_count(held), 2);
    assert_string_equal((const char *)etcd_snapshot_find(held, etcd_cstr("cfg/a"))->value.data, "2");
    etcd_view_close(view);
    assert_int_equal(atomic_load(&news.ends), 1);
    assert_string_equal((const char *)etcd_snapshot_find(held, etcd_cstr("cfg/b"))->value.data, "1");
    etcd_snapshot_free(held);
    delete_all(&real, "cf");
    real_close(&real);
}

static void everything_is_a_prefix_too(void **state)
{
    struct real real = open_real();
    etcd_view *view;

    (void)state;
    put(&real, "x", "1");
    put(&real, "\xff\xff", "2");
    view = open_view(&real, "", NULL);
    assert_true(shows(view, 0, "x=1 \xff\xff=2"));
    delete_all(&real, "x");
    assert_true(comes_to_show(&real, view, 0, "\xff\xff=2"));
    etcd_view_close(view);
    view = open_view(&real, "\xff", NULL);
    assert_true(shows(view, 0, "\xff\xff=2"));
    etcd_view_close(view);
    etcd_view_close(NULL);
    delete_all(&real, "\xff");
    real_close(&real);
}

static void bad_arguments(void **state)
{
    struct real real = open_real();
    etcd_view *view = NULL;

    (void)state;
    assert_int_equal(etcd_view_open(NULL, etcd_cstr("x"), NULL, &view, NULL), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_view_open(real.client, etcd_cstr("x"), NULL, NULL, NULL), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_view_open(real.client, etcd_bytes_of(NULL, 1), NULL, &view, NULL),
                     ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(
        etcd_view_open(real.client, etcd_cstr("x"), ETCD_VIEW_OPTS(.timeout_ms = -1), &view, NULL),
        ETCD_E_INVALID_ARGUMENT);
    assert_null(view);
    assert_null(etcd_view_snapshot(NULL));
    real_close(&real);
}

/* ---- no gap, no half ------------------------------------------------------------------------------- */

/* Two keys that are always written together, and counted up by one each time. */
static void put_twins(etcd_client *client, int number)
{
    etcd_txn *txn = etcd_txn_new();
    char text[16];

    snprintf(text, sizeof(text), "%d", number);
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("twins/a"), etcd_cstr(text), NULL);
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("twins/b"), etcd_cstr(text), NULL);
    if (etcd_txn_commit(client, txn, NULL, NULL, NULL) != ETCD_OK)
        abort();
    etcd_txn_free(txn);
}

static void *write_twins(void *arg)
{
    struct real *real = arg;

    for (int i = 2; i <= WRITES; i++)
        put_twins(real->client, i);
    return NULL;
}

struct twins {
    int number; /* seen last; 0: none yet */
    int gaps, halves;
};

static int number_of(const etcd_snapshot *snapshot, const char *key)
{
    const etcd_kv *kv = etcd_snapshot_find(snapshot, etcd_cstr(key));

    return kv == NULL ? 0 : atoi(kv->value.data);
}

static void check_twins(etcd_view *view, const etcd_snapshot *snapshot, const etcd_events *events,
                        const etcd_error *err, void *user_data)
{
    struct twins *twins = user_data;

    (void)view;
    (void)err;
    if (snapshot == NULL)
        return;
    for (size_t i = 0; i < etcd_events_count(events); i++) {
        int number = atoi(etcd_events_at(events, i)->kv.value.data);

        if (twins->number != 0 && number != twins->number && number != twins->number + 1)
            twins->gaps++;
        twins->number = number;
    }
    if (number_of(snapshot, "twins/a") != number_of(snapshot, "twins/b"))
        twins->halves++;
}

struct reader {
    pthread_t thread;
    etcd_view *view;
    atomic_bool stop;
    int halves, steps_back;
};

static void *read_twins(void *arg)
{
    struct reader *reader = arg;
    int64_t revision = 0;

    while (!atomic_load(&reader->stop)) {
        etcd_snapshot *s = etcd_view_snapshot(reader->view);

        reader->halves += number_of(s, "twins/a") != number_of(s, "twins/b");
        reader->steps_back += etcd_snapshot_revision(s) < revision;
        revision = etcd_snapshot_revision(s);
        etcd_snapshot_free(s);
    }
    return NULL;
}

static bool at_last_number(void *arg)
{
    etcd_snapshot *s = etcd_view_snapshot(arg);
    int number = number_of(s, "twins/a");

    etcd_snapshot_free(s);
    return number == WRITES;
}

static void no_gap_between_load_and_watch(void **state)
{
    struct real writer = open_real(), real = open_real();
    struct twins twins[12];
    etcd_view *views[12];
    pthread_t thread;

    (void)state;
    put_twins(writer.client, 1);
    assert_int_equal(pthread_create(&thread, NULL, write_twins, &writer), 0);
    for (int i = 0; i < 12; i++) {
        etcd_snapshot *first;

        twins[i] = (struct twins){.number = 0};
        assert_int_equal(etcd_view_open(real.client, etcd_cstr("twins/"),
                                        ETCD_VIEW_OPTS(.on_change = check_twins, .user_data = &twins[i]),
                                        &views[i], NULL),
                         ETCD_OK);
        first = etcd_view_snapshot(views[i]);
        assert_int_equal(number_of(first, "twins/a"), number_of(first, "twins/b"));
        etcd_snapshot_free(first);
        real_idle(&real, 10);
    }
    for (int i = 0; i < 12; i++)
        assert_true(real_wait(&real, at_last_number, views[i], 20000));
    pthread_join(thread, NULL);
    for (int i = 0; i < 12; i++) {
        etcd_view_close(views[i]);
        assert_int_equal(twins[i].gaps, 0);
        assert_int_equal(twins[i].halves, 0);
    }
    delete_all(&writer, "twins/");
    real_close(&real);
    real_close(&writer);
}

static void readers_see_whole_revisions(void **state)
{
    struct real writer = open_real(), real = open_real();
    struct reader readers[READERS];
    pthread_t thread;
    etcd_view *view;

    (void)state;
    put_twins(writer.client, 1);
    view = open_view(&real, "twins/", NULL);
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.view = view};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_twins, &readers[i]), 0);
    }
    assert_int_equal(pthread_create(&thread, NULL, write_twins, &writer), 0);
    assert_true(real_wait(&real, at_last_number, view, 20000));
    pthread_join(thread, NULL);
    for (int i = 0; i < READERS; i++) {
        atomic_store(&readers[i].stop, true);
        pthread_join(readers[i].thread, NULL);
        assert_int_equal(readers[i].halves, 0);
        assert_int_equal(readers[i].steps_back, 0);
    }
    etcd_view_close(view);
    delete_all(&writer, "twins/");
    real_close(&real);
    real_close(&writer);
}

/* ---- many ------------------------------------------------------------------------------------------ */

static void put_many(struct real *real)
{
    char key[32];

    for (int i = 0; i < MANY; i += TXN_MAX) {
        etcd_txn *txn = etcd_txn_new();

        for (int k = i; k < i + TXN_MAX && k < MANY; k++) {
            snprintf(key, sizeof(key), "many/%06d", k);
            etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr(key), etcd_cstr(key), NULL);
        }
        assert_int_equal(etcd_txn_commit(real->client, txn, NULL, NULL, NULL), ETCD_OK);
        etcd_txn_free(txn);
    }
}

static void has_all(const etcd_snapshot *s)
{
    char key[32];

    assert_int_equal(etcd_snapshot_count(s), MANY);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(key, sizeof(key), "many/%06zu", i);
        if (strcmp(key, etcd_snapshot_at(s, i)->key.data) != 0)
            fail_msg("%s is missing", key);
    }
}

/* More than two pages; and pages that shrink because the client takes no large answer. */
static void large_prefixes_come_in_pages(void **state)
{
    struct real real = open_real();
    const char *endpoints[] = {etcd_server_endpoint(server, 0), NULL};
    etcd_client *small = NULL;
    etcd_loop *loop = NULL;
    etcd_snapshot *s;
    etcd_view *view;
    etcd_error err;

    (void)state;
    put_many(&real);
    view = open_view(&real, "many/", NULL);
    s = etcd_view_snapshot(view);
    has_all(s);
    etcd_snapshot_free(s);
    etcd_view_close(view);

    assert_int_equal(etcd_loop_new(ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER), &loop, NULL), ETCD_OK);
    assert_false(
        real_failed(etcd_client_open(ETCD_CLIENT_OPTS(.endpoints = endpoints, .max_send_bytes = 16384,
                                                      .max_recv_bytes = 65536, .loop = loop),
                                     &small, &err),
                    &err));
    etcd_loop_free(loop);
    assert_false(real_failed(etcd_view_open(small, etcd_cstr("many/"), NULL, &view, &err), &err));
    s = etcd_view_snapshot(view);
    has_all(s);
    etcd_snapshot_free(s);
    etcd_view_close(view);
    etcd_client_free(small);
    delete_all(&real, "many/");
    real_close(&real);
}

/* ---- ends, and what is none ------------------------------------------------------------------------ */

static void ends_are_told_once(void **state)
{
    struct real real = open_real(), other = open_real();
    struct news news = {.changes = 0}, cancelled = {.changes = 0};
    etcd_view *view = open_view(&real, "x/", &news), *second;

    (void)state;
    second = open_view(&other, "x/", &cancelled);
    etcd_client_cancel_waits(other.client);
    assert_true(real_wait(&other, has_ended, &cancelled, 5000));
    assert_int_equal(cancelled.status, ETCD_E_CANCELLED);
    assert_int_equal(etcd_client_close(real.client, NULL), ETCD_OK);
    assert_true(real_wait(&real, has_ended, &news, 5000));
    assert_int_equal(news.status, ETCD_E_CLOSED);
    assert_true(shows(view, 2, "")); /* still answers */
    etcd_view_close(view);
    etcd_view_close(second);
    assert_int_equal(atomic_load(&news.ends), 1);
    assert_int_equal(atomic_load(&cancelled.ends), 1);
    real_close(&real);
    real_close(&other);
}

static void can_be_closed_from_its_callback(void **state)
{
    struct real real = open_real();
    struct news news = {.changes = 0, .close = true};

    (void)state;
    (void)open_view(&real, "in/", &news);
    put(&real, "in/a", "1");
    put(&real, "in/b", "2");
    assert_true(real_wait(&real, has_changed, &news, 5000));
    put(&real, "in/c", "3");
    real_idle(&real, 200);
    assert_int_equal(atomic_load(&news.changes), 1);
    assert_int_equal(atomic_load(&news.ends), 0);
    delete_all(&real, "in/");
    real_close(&real);
}

static void close_races_with_changes_and_ends(void **state)
{
    struct real real = open_real();

    (void)state;
    for (int i = 0; i < 60; i++) {
        struct news news = {.changes = 0, .close = false};
        etcd_view *view = open_view(&real, "race/", &news);
        etcd_op *op = NULL;

        assert_int_equal(
            etcd_put_async(real.client, etcd_cstr("race/a"), etcd_cstr("1"), NULL, NULL, NULL, &op, NULL),
            ETCD_OK);
        if (i % 2 == 0)
            (void)!etcd_op_wait(op, 5000, NULL);
        real_idle(&real, i % 5);
        if (i % 3 == 0) /* an end that is on its way must be told too, once */
            etcd_client_cancel_waits(real.client);
        etcd_view_close(view);
        assert_int_equal(atomic_load(&news.ends), 1);
        assert_int_equal(news.status, ETCD_E_CANCELLED);
        etcd_op_free(op);
        if (i % 3 == 0) {
            real_close(&real);
            real = open_real();
        }
    }
    delete_all(&real, "race/");
    real_close(&real);
}

/* A client that does nothing unless it is pumped: what happens meanwhile is compacted before it can look. */
static struct real open_idle(void)
{
    const char *endpoints[] = {etcd_server_endpoint(server, 0), NULL};
    struct real real = {.loop = NULL};

    assert_int_equal(etcd_loop_new(ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER), &real.loop, NULL), ETCD_OK);
    assert_int_equal(
        etcd_client_open(ETCD_CLIENT_OPTS(.endpoints = endpoints, .loop = real.loop), &real.client, NULL),
        ETCD_OK);
    return real;
}

static int64_t write_and_compact(struct real *real)
{
    etcd_put_result *result = NULL;
    int64_t revision;

    put(real, "gap/b", "2");
    assert_int_equal(etcd_delete(real->client, etcd_cstr("gap/a"), NULL, NULL, NULL), ETCD_OK);
    assert_int_equal(etcd_put(real->client, etcd_cstr("gap/c"), etcd_cstr("3"), NULL, &result, NULL),
                     ETCD_OK);
    revision = etcd_put_result_header(result)->revision;
    etcd_put_result_free(result);
    assert_int_equal(etcd_compact(real->client, revision, NULL, NULL), ETCD_OK);
    return revision;
}

static void loads_again_after_compaction(void **state)
{
    struct real idle = open_idle(), real = open_real();
    struct news news = {.changes = 0};
    etcd_view *view;
    int64_t revision;

    (void)state;
    put(&real, "gap/a", "1");
    view = open_view(&idle, "gap/", &news);
    real_idle(&idle, 100);
    assert_true(etcd_server_kill(server, 0));
    assert_true(etcd_server_restart(server, 0) && etcd_server_wait(server, 0));
    revision = write_and_compact(&real);
    assert_true(shows(view, 4, "a=1"));
    assert_true(real_wait(&idle, has_reloaded, &news, 10000));
    assert_true(shows(view, 4, "b=2 c=3"));
    assert_true(atomic_load(&news.revision) >= revision);
    put(&real, "gap/c", "4"); /* and follows on */
    assert_true(comes_to_show(&idle, view, 4, "b=2 c=4"));
    assert_int_equal(atomic_load(&news.reloads), 1);
    etcd_view_close(view);
    delete_all(&real, "gap/");
    real_close(&idle);
    real_close(&real);
}

static void survives_a_restart(void **state)
{
    struct real real = open_real();
    struct news news = {.changes = 0};
    etcd_view *view;

    (void)state;
    put(&real, "up/a", "1");
    view = open_view(&real, "up/", &news);
    assert_true(etcd_server_kill(server, 0));
    assert_true(etcd_server_restart(server, 0) && etcd_server_wait(server, 0));
    put(&real, "up/b", "2");
    assert_true(comes_to_show(&real, view, 3, "a=1 b=2"));
    assert_int_equal(atomic_load(&news.reloads), 0);
    etcd_view_close(view);
    delete_all(&real, "up/");
    real_close(&real);
}

/* The server comes back without its data: what the view shows is then what the new cluster has. */
static void shows_the_cluster_that_answers(void **state)
{
    struct real real = open_real(), other;
    struct news news = {.changes = 0};
    etcd_view *view;

    (void)state;
    put(&real, "old/a", "1");
    view = open_view(&real, "old/", &news);
    real_idle(&real, 100);
    assert_true(etcd_server_kill(server, 0));
    assert_true(etcd_server_restart_empty(server, 0) && etcd_server_wait(server, 0));
    other = open_real();
    put(&other, "old/b", "2");
    assert_true(comes_to_show(&real, view, 4, "b=2"));
    assert_int_equal(atomic_load(&news.ends), 0);
    put(&other, "old/c", "3");
    assert_true(comes_to_show(&real, view, 4, "b=2 c=3"));
    etcd_view_close(view);
    real_close(&other);
    real_close(&real);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_and_follows),
        cmocka_unit_test(everything_is_a_prefix_too),
        cmocka_unit_test(bad_arguments),
        cmocka_unit_test(no_gap_between_load_and_watch),
        cmocka_unit_test(readers_see_whole_revisions),
        cmocka_unit_test(large_prefixes_come_in_pages),
        cmocka_unit_test(ends_are_told_once),
        cmocka_unit_test(can_be_closed_from_its_callback),
        cmocka_unit_test(close_races_with_changes_and_ends),
        cmocka_unit_test(loads_again_after_compaction),
        cmocka_unit_test(survives_a_restart),
        cmocka_unit_test(shows_the_cluster_that_answers), /* last: it empties the server */
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
