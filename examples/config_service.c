/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service with the default client injected: put, get and watch a key.
 *
 *     config_service [--once]      --once ends the program after the demonstration
 */
#include <capp/etcd.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "/etcdc-examples/config_service/log-level"

/* ---- the service -------------------------------------------------------------------------------------- */

typedef struct config_service {
    etcd_client *etcd;
} config_service;

CAPP_TYPE_DEFINE(config_service);

static const capp_inject config_service_deps[] = {CAPP_INJECT(config_service, etcd, etcd_client)};
static const capp_service config_service_def = CAPP_SERVICE(config_service, CAPP_INJECTS(config_service_deps),
                                                            .lifetime = CAPP_SINGLETON);

static capp_status config_service_put(config_service *self, const char *key, const char *value,
                                      capp_error *reterr)
{
    etcd_error err;

    if (etcd_put(self->etcd, etcd_cstr(key), etcd_cstr(value), ETCD_PUT_OPTS(.timeout_ms = 5000), NULL,
                 &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    return CAPP_OK;
}

/*
 * Without such a key: CAPP_OK, and `*ret_value` is NULL. An empty value is a value. To be freed with
 * free().
 */
static capp_status config_service_get(config_service *self, const char *key, char **ret_value,
                                      int64_t *ret_revision, capp_error *reterr)
{
    etcd_get_result *result = NULL;
    etcd_error err;
    capp_status status = CAPP_OK;

    if (etcd_get(self->etcd, etcd_cstr(key), ETCD_GET_OPTS(.timeout_ms = 5000), &result, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    const etcd_kv *kv = etcd_get_result_kv(result, 0);
    *ret_value = kv == NULL ? NULL : strndup(kv->value.data, kv->value.len);
    *ret_revision = etcd_get_result_header(result)->revision;
    if (kv != NULL && *ret_value == NULL)
        status = capp_fail(reterr, CAPP_E_NO_MEMORY, "out of memory");
    etcd_get_result_free(result);
    return status;
}

static capp_status config_service_delete(config_service *self, const char *key, capp_error *reterr)
{
    etcd_error err;

    if (etcd_delete(self->etcd, etcd_cstr(key), NULL, NULL, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    return CAPP_OK;
}

/*
 * From the revision after the one that was read, so that nothing is missed in between; see
 * etcd_watch_next().
 */
static capp_status config_service_watch(config_service *self, const char *key, int64_t read_revision,
                                        etcd_watch **ret_watch, capp_error *reterr)
{
    etcd_error err;

    if (etcd_watch_open(self->etcd, etcd_cstr(key), ETCD_WATCH_OPTS(.start_revision = read_revision + 1),
                        ret_watch, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    return CAPP_OK;
}

/* ---- the demonstration -------------------------------------------------------------------------------- */

static capp_status show(config_service *service, int64_t *ret_revision, capp_error *reterr)
{
    char *value = NULL;
    capp_status status = config_service_get(service, KEY, &value, ret_revision, reterr);

    if (status == CAPP_OK && value == NULL)
        printf("get: there is no such key\n");
    else if (status == CAPP_OK)
        printf("get: '%s'\n", value);
    free(value);
    return status;
}

static capp_status change(config_service *service, capp_error *reterr)
{
    static const char *const values[] = {"debug", ""};
    capp_status status = CAPP_OK;
    int64_t revision;

    for (size_t i = 0; i < 2 && status == CAPP_OK; i++) {
        printf("put: '%s'\n", values[i]);
        status = config_service_put(service, KEY, values[i], reterr);
        if (status == CAPP_OK)
            status = show(service, &revision, reterr);
    }
    if (status == CAPP_OK)
        status = config_service_delete(service, KEY, reterr);
    return status;
}

/*
 * Prints events until the last of those that `change` made, which is a deletion; or, with `all`, to the end
 * of the watch.
 */
static capp_status follow(etcd_watch *watch, bool all, capp_error *reterr)
{
    etcd_events *events = NULL;
    bool deleted = false;
    etcd_status st = ETCD_OK;
    etcd_error err;

    while (all || !deleted) {
        st = etcd_watch_next(watch, all ? ETCD_TIMEOUT_NONE : 5000, &events, &err);
        if (st != ETCD_OK)
            break;
        for (size_t i = 0; i < etcd_events_count(events); i++) {
            const etcd_event *event = etcd_events_at(events, i);

            deleted = event->type == ETCD_EVENT_DELETE;
            if (deleted)
                printf("watch: deleted, at revision %" PRId64 "\n", event->kv.mod_revision);
            else
                printf("watch: '%s', at revision %" PRId64 "\n", (const char *)event->kv.value.data,
                       event->kv.mod_revision);
        }
        etcd_events_free(events);
    }
    if (st == ETCD_OK)
        return CAPP_OK;
    /* A watch never ends without a reason. The stop of the application is one. */
    printf("watch: ended with %s\n", etcd_status_name(st));
    return capp_error_from_etcd(&err, reterr);
}

static capp_status demonstrate(capp_worker *worker, void *user_data, capp_error *reterr)
{
    const bool *once = user_data;
    etcd_watch *watch = NULL;
    int64_t revision = 0;
    config_service *service = capp_get(capp_worker_app(worker), config_service, reterr);

    if (service == NULL)
        return CAPP_E_NOT_FOUND;
    capp_status status = show(service, &revision, reterr);
    if (status == CAPP_OK)
        status = config_service_watch(service, KEY, revision, &watch, reterr);
    if (status == CAPP_OK)
        status = change(service, reterr);
    if (status == CAPP_OK)
        status = follow(watch, false, reterr);
    if (status == CAPP_OK && *once)
        capp_stop(capp_worker_app(worker));
    if (status == CAPP_OK)
        status = follow(watch, true, reterr); /* the stop ends it */
    etcd_watch_close(watch);
    return status;
}

static void clients(capp_etcd_builder *b, void *user)
{
    (void)user;
    capp_etcd_add_client(b, "default",
                         ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("localhost:2379"), .dial_timeout_ms = 5000));
}

int main(int argc, char **argv)
{
    bool once = argc > 1 && strcmp(argv[1], "--once") == 0;
    capp_builder *app = capp_builder_new();

    setvbuf(stdout, NULL, _IOLBF, 0);
    capp_configure(app, capp_etcd(clients, NULL));
    capp_add_service(app, &config_service_def);
    capp_add_worker(app, "demonstration", demonstrate, &once);
    return capp_main(app);
}
