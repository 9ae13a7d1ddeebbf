/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service that is followed: a list that is replaced as events come from two watches, of the service's own
 * key and of those below it.
 *
 *   loading (blocks in etcd_discovery_open) --> following --compacted--> loading (a callback) --> following
 * ... |                        |
 *                                                   +---- any other end -----+--> ended
 *
 * Everything after opening happens in callbacks, one at a time inside the gate; who closes waits for the one
 * that runs. Readers touch nothing but `shared`.
 */
#include "etcdc/discovery.h"

#include "base/error.h"
#include "base/mem.h"
#include "recipes/gate.h"
#include "recipes/service_key.h"
#include "recipes/services.h"

#include <stdatomic.h>
#include <string.h>

enum { PARTS = 2 };

/* One of the two watches. */
struct part {
    struct etcd_discovery *discovery;
    etcd_watch *watch;
};

struct etcd_discovery {
    struct etcd__gate gate;
    etcd_client *client;
    etcd_discovery_fn *on_change;
    void *user_data;
    char *dir; /* "/services/web/" */
    size_t dir_len;

    /* Whoever is inside the gate, or closes. */
    struct part parts[PARTS]; /* while following */
    etcd_op *op;              /* while loading */
    bool finished;            /* the last call was made */
    atomic_bool stopping;     /* the watches are being closed: their last words are not wanted */

    struct {
        pthread_mutex_t mutex;
        struct etcd_services *services; /* not NULL once opened; replaced by who is inside the gate */
    } shared;
};

static void load_again(struct etcd_discovery *discovery);

/* ---- memory ---------------------------------------------------------------------------------------- */

static void discovery_free(struct etcd_discovery *discovery)
{
    etcd_services_free(discovery->shared.services);
    pthread_mutex_destroy(&discovery->shared.mutex);
    etcd__gate_deinit(&discovery->gate);
    etcd__free(discovery->dir);
    etcd__free(discovery);
}

static void discovery_unref(struct etcd_discovery *discovery)
{
    if (etcd__gate_unref(&discovery->gate))
        discovery_free(discovery);
}

static bool init_locks(struct etcd_discovery *discovery)
{
    if (!etcd__gate_init(&discovery->gate))
        return false;
    if (pthread_mutex_init(&discovery->shared.mutex, NULL) == 0)
        return true;
    etcd__gate_deinit(&discovery->gate);
    return false;
}

/* Takes `dir` over, also when it fails. */
static struct etcd_discovery *discovery_new(etcd_client *client, char *dir, const etcd_discovery_opts *opts)
{
    struct etcd_discovery *discovery = dir == NULL ? NULL : ETCD__NEW(struct etcd_discovery);

    if (discovery == NULL || !init_locks(discovery)) {
        etcd__free(discovery);
        etcd__free(dir);
        return NULL;
    }
    discovery->client = client;
    discovery->dir = dir;
    discovery->dir_len = strlen(dir);
    discovery->on_change = opts->on_change;
    discovery->user_data = opts->user_data;
    atomic_init(&discovery->stopping, false);
    for (size_t i = 0; i < PARTS; i++)
        discovery->parts[i].discovery = discovery;
    return discovery;
}

/* ---- the state ------------------------------------------------------------------------------------- */

/* Makes a list the current one and tells; `services` is taken over. The user may close the discovery in here.
 */
static void replace(struct etcd_discovery *discovery, struct etcd_services *services,
                    const struct etcd__service_changes *changes)
{
    struct etcd_services *before;

    pthread_mutex_lock(&discovery->shared.mutex);
    before = discovery->shared.services;
    discovery->shared.services = services;
    pthread_mutex_unlock(&discovery->shared.mutex);
    if (changes->count > 0 && discovery->on_change != NULL)
        discovery->on_change(discovery, services, changes->list, changes->count, NULL, discovery->user_data);
    etcd_services_free(before); /* the changes referred to it */
}

static void stop_watches(struct etcd_discovery *discovery)
{
    atomic_store(&discovery->stopping, true);
    for (size_t i = 0; i < PARTS; i++) {
        etcd_watch *watch = discovery->parts[i].watch;

        discovery->parts[i].watch = NULL;
        etcd_watch_close(watch);
    }
    atomic_store(&discovery->stopping, false);
}

/* It follows no longer. The user may close it in here. */
static void finish(struct etcd_discovery *discovery, const etcd_error *err)
{
    etcd_error shown = *err;

    stop_watches(discovery);
    discovery->finished = true;
    if (discovery->on_change == NULL)
        return;
    etcd__error_prefix(&shown, "discovery of \"%s\"", discovery->dir);
    discovery->on_change(discovery, NULL, NULL, 0, &shown, discovery->user_data);
}

static void finish_without_memory(struct etcd_discovery *discovery)
{
    etcd_error err;

    etcd__fail_memory(&err);
    finish(discovery, &err);
}

/* ---- following ------------------------------------------------------------------------------------- */

/* The list after these events; NULL when out of memory. */
static struct etcd_services *next_list(const struct etcd_discovery *discovery, const etcd_events *events,
                                       struct etcd__service_changes *changes)
{
    const struct etcd_services *before = discovery->shared.services; /* only we replace it */
    int64_t revision = etcd_events_header(events)->revision;
    struct etcd__entries entries = {.list = NULL};
    struct etcd_services *next = NULL;
    bool ok = etcd__entries_copy(&entries, before);

    for (size_t i = 0; ok && i < etcd_events_count(events); i++)
        ok = etcd__entries_apply(&entries, etcd_events_at(events, i), discovery->dir_len, changes);
    if (revision < etcd_services_revision(before))
        revision = etcd_services_revision(before); /* the other watch was there before */
    if (ok)
        next = etcd__services_new(&entries, revision);
    etcd__entries_deinit(&entries);
    return next;
}

static void follow(struct etcd_discovery *discovery, const etcd_events *events)
{
    struct etcd__service_changes changes = {.list = NULL};
    struct etcd_services *next = next_list(discovery, events, &changes);

    if (next == NULL)
        finish_without_memory(discovery);
    else
        replace(discovery, next, &changes);
    etcd__service_changes_deinit(&changes);
}

static void on_events(etcd_watch *watch, const etcd_events *events, etcd_status status, const etcd_error *err,
                      void *user_data)
{
    struct etcd_discovery *discovery = ((struct part *)user_data)->discovery;

    (void)watch;
    if (atomic_load(&discovery->stopping))
        return;                       /* from inside the gate, perhaps */
    etcd__gate_ref(&discovery->gate); /* the user may close the discovery in here */
    if (etcd__gate_enter(&discovery->gate)) {
        if (events != NULL)
            follow(discovery, events);
        else if (status == ETCD_E_COMPACTED || status == ETCD_E_CLUSTER_CHANGED)
            load_again(discovery);
        else
            finish(discovery, err);
        etcd__gate_leave(&discovery->gate);
    }
    discovery_unref(discovery);
}

/* Inside the gate. */
static etcd_status start_watches(struct etcd_discovery *discovery, int64_t revision, etcd_error *reterr)
{
    etcd_status st = ETCD_OK;

    for (size_t i = 0; i < PARTS && st == ETCD_OK; i++)
        st = etcd_watch_open(
            discovery->client,
            etcd_bytes_of(discovery->dir, i == 0 ? discovery->dir_len - 1 : discovery->dir_len),
            ETCD_WATCH_OPTS(.prefix = i != 0, .start_revision = revision + 1, .on_events = on_events,
                            .user_data = &discovery->parts[i]),
            &discovery->parts[i].watch, reterr);
    return st;
}

/* ---- loading again --------------------------------------------------------------------------------- */

static etcd_status take_list(struct etcd_discovery *discovery, etcd_op *op,
                             struct etcd_services **ret_services, etcd_error *err)
{
    etcd_txn_result *result = NULL;
    etcd_status st = etcd_txn_take(op, &result, err);

    if (st == ETCD_OK)
        st = etcd__services_read(result, discovery->dir_len, ret_services, err);
    etcd_txn_result_free(result);
    return st;
}

static void loaded(struct etcd_discovery *discovery, etcd_op *op)
{
    struct etcd__service_changes changes = {.list = NULL};
    struct etcd_services *services = NULL;
    etcd_error err;
    etcd_status st = take_list(discovery, op, &services, &err);

    if (st == ETCD_OK && !etcd__services_compare(discovery->shared.services, services, &changes))
        st = etcd__fail_memory(&err);
    if (st == ETCD_OK)
        st = start_watches(discovery, etcd_services_revision(services), &err);
    if (st == ETCD_OK) {
        replace(discovery, services, &changes);
    } else {
        etcd_services_free(services);
        finish(discovery, &err);
    }
    etcd__service_changes_deinit(&changes);
}

static void on_loaded(etcd_op *op, void *user_data)
{
    struct etcd_discovery *discovery = user_data;

    if (etcd__gate_enter(&discovery->gate)) {
        discovery->op = NULL;
        loaded(discovery, op);
        etcd_op_free(op);
        etcd__gate_leave(&discovery->gate);
    }
    discovery_unref(discovery);
}

static void load_again(struct etcd_discovery *discovery)
{
    etcd_txn *txn = etcd__services_query(discovery->dir);
    etcd_error err;
    etcd_status st;

    stop_watches(discovery);
    /* There is nothing to do but wait until a server answers: the client tries again by itself. */
    st = etcd_txn_commit_async(discovery->client, txn, ETCD_TXN_OPTS(.timeout_ms = ETCD_TIMEOUT_NONE),
                               on_loaded, discovery, &discovery->op, &err);
    etcd_txn_free(txn);
    if (st == ETCD_OK)
        etcd__gate_ref(&discovery->gate); /* in time: the callback waits at the gate */
    else
        finish(discovery, &err);
}

/* ---- open, look, close ----------------------------------------------------------------------------- */

static etcd_status open_it(struct etcd_discovery *discovery, const struct etcd__limit *limit,
                           etcd_discovery **ret_discovery, etcd_error *err)
{
    etcd_status st;

    st = etcd__services_load(discovery->client, discovery->dir, limit, &discovery->shared.services, err);
    if (st != ETCD_OK)
        return st;
    etcd__gate_enter(&discovery->gate); /* events that come now wait until the caller has the handle */
    st = start_watches(discovery, etcd_services_revision(discovery->shared.services), err);
    if (st == ETCD_OK)
        *ret_discovery = discovery;
    etcd__gate_leave(&discovery->gate);
    return st;
}

/* Stops what would call back; afterwards the discovery is the caller's alone. The gate is shut. */
static void stop(struct etcd_discovery *discovery)
{
    if (discovery->op != NULL)
        etcd_op_cancel(discovery->op); /* its callback comes, and finds the gate shut */
    etcd_op_free(discovery->op);
    discovery->op = NULL;
    stop_watches(discovery);
}

static etcd_status check(const etcd_client *client, const char *service, etcd_discovery *const *ret_discovery,
                         etcd_error *reterr)
{
    if (client == NULL || ret_discovery == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s is NULL",
                          client == NULL ? "client" : "ret_discovery");
    return etcd__service_check_name("service", service, reterr);
}

etcd_status etcd_discovery_open(etcd_client *client, const char *service, const etcd_discovery_opts *opts,
                                etcd_discovery **ret_discovery, etcd_error *reterr)
{
    etcd_discovery_opts own = ETCD_DISCOVERY_OPTS_INIT;
    struct etcd_discovery *discovery;
    const char *prefix = NULL;
    struct etcd__limit limit;
    etcd_error err;
    etcd_status st;

    st = etcd__opts_import(&own, sizeof(own), opts, "discovery", reterr);
    if (st == ETCD_OK)
        st = check(client, service, ret_discovery, reterr);
    if (st == ETCD_OK)
        st = etcd__service_check_prefix(own.prefix, &prefix, reterr);
    if (st == ETCD_OK)
        st = etcd__limit_start(&limit, client, own.timeout_ms, reterr);
    if (st != ETCD_OK)
        return st;
    discovery = discovery_new(client, etcd__service_key(prefix, service, ""), &own);
    if (discovery == NULL)
        return etcd__fail_memory(reterr);
    st = open_it(discovery, &limit, ret_discovery, &err);
    if (st != ETCD_OK) {
        (void)etcd__gate_shut(&discovery->gate);
        stop(discovery);
        etcd__error_prefix(&err, "discovery of \"%s\"", discovery->dir);
        etcd__error_copy(reterr, &err);
        discovery_unref(discovery);
    }
    return st;
}

etcd_services *etcd_discovery_services(etcd_discovery *discovery)
{
    struct etcd_services *services;

    if (discovery == NULL)
        return NULL;
    pthread_mutex_lock(&discovery->shared.mutex);
    services = etcd__services_ref(discovery->shared.services);
    pthread_mutex_unlock(&discovery->shared.mutex);
    return services;
}

void etcd_discovery_close(etcd_discovery *discovery)
{
    etcd_error err;
    bool from_inside;

    if (discovery == NULL)
        return;
    from_inside = etcd__gate_shut(&discovery->gate);
    stop(discovery);
    if (!from_inside && !discovery->finished) {
        etcd__fail(&err, ETCD_E_CANCELLED, "it was closed");
        finish(discovery, &err);
    }
    discovery_unref(discovery);
}
