/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration centre: all keys below a prefix in memory, and a call for each change.
 *
 * A view loads the prefix at one revision and follows it from the next: no change is lost in between, a
 * deletion is told apart from an empty value, and after an outage, even one whose history was compacted
 * away, it goes on by itself.
 *
 *     config_center [--once]      --once ends the program after the demonstration
 */
#include <capp/etcd.h>

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "/etcdc-examples/config_center/"

/* ---- the service -------------------------------------------------------------------------------------- */

/* The value is NULL when the key was deleted. Runs on the client's thread: no blocking calls in here. */
typedef void config_changed_fn(const char *key, const char *value, void *user_data);

typedef struct config_center {
    etcd_client *client;
    etcd_view *view;
    config_changed_fn *changed;
    void *user_data;
    atomic_int_least64_t seen; /* the revision that has been told */
} config_center;

CAPP_TYPE_DEFINE(config_center);

static void tell_event(config_center *self, const etcd_event *event)
{
    self->changed(event->kv.key.data, event->type == ETCD_EVENT_DELETE ? NULL : event->kv.value.data,
                  self->user_data);
}

static void on_change(etcd_view *view, const etcd_snapshot *snapshot, const etcd_events *events,
                      const etcd_error *err, void *user_data)
{
    config_center *self = user_data;

    (void)view;
    if (snapshot == NULL) { /* the end; the last state can still be read */
        printf("the view ended with %s\n", etcd_status_name(err->status));
        return;
    }
    if (events == NULL) /* loaded again after a gap: everything may have changed */
        for (size_t i = 0; i < etcd_snapshot_count(snapshot); i++)
            self->changed(etcd_snapshot_at(snapshot, i)->key.data, etcd_snapshot_at(snapshot, i)->value.data,
                          self->user_data);
    else
        for (size_t i = 0; i < etcd_events_count(events); i++)
            tell_event(self, etcd_events_at(events, i));
    atomic_store(&self->seen, etcd_snapshot_revision(snapshot));
}

/* Loads the configuration and tells of each later change. */
static capp_status watch_config(config_center *self, const char *prefix, config_changed_fn *changed,
                                void *user_data, capp_error *reterr)
{
    etcd_error err;

    self->changed = changed;
    self->user_data = user_data;
    if (etcd_view_open(self->client, etcd_cstr(prefix),
                       ETCD_VIEW_OPTS(.timeout_ms = 5000, .on_change = on_change, .user_data = self),
                       &self->view, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    return CAPP_OK;
}

/* All of it, at one revision; costs no call to a server. To be freed with etcd_snapshot_free(). */
static etcd_snapshot *load_config(config_center *self)
{
    return etcd_view_snapshot(self->view);
}

static void print_change(const char *key, const char *value, void *user_data)
{
    (void)user_data;
    if (value == NULL)
        printf("changed: %s is gone\n", key);
    else
        printf("changed: %s = '%s'\n", key, value);
}

static capp_status config_center_start(void *self, capp_error *reterr)
{
    return watch_config(self, PREFIX, print_change, NULL, reterr);
}

static capp_status config_center_stop(void *object, int64_t limit_ms, capp_error *reterr)
{
    config_center *self = object;

    (void)limit_ms;
    (void)reterr;
    etcd_view_close(self->view);
    self->view = NULL;
    return CAPP_OK;
}

static const capp_inject config_center_deps[] = {
    CAPP_INJECT_NAMED(config_center, client, etcd_client, "config")};
static const capp_service config_center_def = CAPP_SERVICE(config_center, CAPP_INJECTS(config_center_deps),
                                                           .start = config_center_start,
                                                           .stop = config_center_stop);

/* ---- the demonstration -------------------------------------------------------------------------------- */

static void print_config(config_center *center)
{
    etcd_snapshot *snapshot = load_config(center);

    printf("%zu keys below " PREFIX " at revision %" PRId64 "\n", etcd_snapshot_count(snapshot),
           etcd_snapshot_revision(snapshot));
    for (size_t i = 0; i < etcd_snapshot_count(snapshot); i++) {
        const etcd_kv *kv = etcd_snapshot_at(snapshot, i);

        printf("  %s = '%s'\n", (const char *)kv->key.data, (const char *)kv->value.data);
    }
    etcd_snapshot_free(snapshot);
}

/* What an operator would do elsewhere: two keys in one step. */
static etcd_status write_config(etcd_client *client, int64_t *ret_revision, etcd_error *err)
{
    etcd_txn_result *result = NULL;
    etcd_txn *txn = etcd_txn_new();

    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr(PREFIX "color"), etcd_cstr("blue"), NULL);
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr(PREFIX "motto"), etcd_cstr(""), NULL);
    etcd_status st = etcd_txn_commit(client, txn, NULL, &result, err);
    if (st == ETCD_OK)
        *ret_revision = etcd_txn_result_header(result)->revision;
    etcd_txn_result_free(result);
    etcd_txn_free(txn);
    return st;
}

static etcd_status delete_config(etcd_client *client, int64_t *ret_revision, etcd_error *err)
{
    etcd_delete_result *result = NULL;
    etcd_status st = etcd_delete(client, etcd_cstr(PREFIX), ETCD_DELETE_OPTS(.prefix = true), &result, err);

    if (st == ETCD_OK)
        *ret_revision = etcd_delete_result_header(result)->revision;
    etcd_delete_result_free(result);
    return st;
}

/* Waits until the view has seen a revision. */
static void await_revision(capp_worker *worker, config_center *center, int64_t revision)
{
    for (int i = 0; i < 500 && atomic_load(&center->seen) < revision; i++)
        if (!capp_worker_wait(worker, 10))
            return;
}

static capp_status demonstrate(capp_worker *worker, void *user_data, capp_error *reterr)
{
    const bool *once = user_data;
    int64_t revision = 0;
    etcd_error err;
    config_center *center = capp_get(capp_worker_app(worker), config_center, reterr);

    if (center == NULL)
        return CAPP_E_NOT_FOUND;
    print_config(center);
    if (write_config(center->client, &revision, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    await_revision(worker, center, revision);
    print_config(center);
    if (delete_config(center->client, &revision, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    await_revision(worker, center, revision);
    print_config(center);
    if (atomic_load(&center->seen) < revision && !capp_worker_stopping(worker))
        return capp_fail(reterr, CAPP_E_TIMEOUT, "the changes were not seen in time");
    if (*once)
        capp_stop(capp_worker_app(worker));
    return CAPP_OK;
}

static void clients(capp_etcd_builder *b, void *user)
{
    (void)user;
    capp_etcd_add_client(b, "config",
                         ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("etcd-config:2379", "etcd-config:2380"),
                                          .dial_timeout_ms = 10000, .auto_sync_interval_ms = 30000));
}

int main(int argc, char **argv)
{
    bool once = argc > 1 && strcmp(argv[1], "--once") == 0;
    capp_builder *app = capp_builder_new();

    setvbuf(stdout, NULL, _IOLBF, 0);
    capp_configure(app, capp_etcd(clients, NULL));
    capp_add_service(app, &config_center_def);
    capp_add_worker(app, "demonstration", demonstrate, &once);
    return capp_main(app);
}
