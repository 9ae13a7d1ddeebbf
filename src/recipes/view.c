/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The view: a snapshot that is replaced as events come.
 *
 *   loading (blocks in etcd_view_open) --> following --compacted--> loading (callbacks) --> following ...
 *                                              |                        |
 *                                              +---- any other end -----+--> ended
 *
 * Everything after opening happens in callbacks, one at a time inside the gate; who closes waits for the
 * one that runs. Readers touch nothing but `shared`, for as long as it takes to count one more reference.
 */
#include "etcdc/view.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "etcdc/range.h"
#include "recipes/gate.h"
#include "recipes/limit.h"
#include "recipes/snapshot.h"

#include <string.h>

enum { SHOWN_MAX = 96 };

struct etcd_view {
    struct etcd__gate gate;
    etcd_client *client;
    etcd_view_fn *on_change;
    void *user_data;
    etcd_bytes prefix; /* in `bytes` */

    /* Whoever is inside the gate, or closes. */
    etcd_watch *watch;        /* while following */
    etcd_range *range;        /* while loading */
    struct etcd__pairs pairs; /* likewise: what was read so far */
    etcd_op *op;              /* while loading again: the next page */
    bool finished;            /* the last call was made */

    struct {
        pthread_mutex_t mutex;
        struct etcd_snapshot *snapshot; /* not NULL once opened; replaced by who is inside the gate */
    } shared;
    char bytes[];
};

static void load_again(struct etcd_view *view);

/* ---- memory ---------------------------------------------------------------------------------------- */

static void drop_load(struct etcd_view *view)
{
    etcd_range_close(view->range);
    view->range = NULL;
    etcd__pairs_deinit(&view->pairs);
}

static void view_free(struct etcd_view *view)
{
    drop_load(view);
    etcd_snapshot_free(view->shared.snapshot);
    pthread_mutex_destroy(&view->shared.mutex);
    etcd__gate_deinit(&view->gate);
    etcd__free(view);
}

static void view_unref(struct etcd_view *view)
{
    if (etcd__gate_unref(&view->gate))
        view_free(view);
}

static bool init_locks(struct etcd_view *view)
{
    if (!etcd__gate_init(&view->gate))
        return false;
    if (pthread_mutex_init(&view->shared.mutex, NULL) == 0)
        return true;
    etcd__gate_deinit(&view->gate);
    return false;
}

static struct etcd_view *view_new(etcd_client *client, etcd_bytes prefix, const etcd_view_opts *opts)
{
    struct etcd_view *view;

    if (prefix.len > SIZE_MAX - sizeof(*view) - 1)
        return NULL;
    view = etcd__calloc(1, sizeof(*view) + prefix.len + 1);
    if (view == NULL || !init_locks(view)) {
        etcd__free(view);
        return NULL;
    }
    view->client = client;
    view->on_change = opts->on_change;
    view->user_data = opts->user_data;
    if (prefix.len > 0)
        memcpy(view->bytes, prefix.data, prefix.len);
    view->prefix = etcd_bytes_of(view->bytes, prefix.len);
    return view;
}

static void name_view(const struct etcd_view *view, etcd_error *err)
{
    char shown[SHOWN_MAX];

    etcd__error_prefix(err, "view of \"%s\"",
                       etcd__escape(shown, sizeof(shown), view->prefix.data, view->prefix.len));
}

/* ---- the state ------------------------------------------------------------------------------------- */

/* Makes a snapshot the current one; returns the one before, with the view's reference. */
static struct etcd_snapshot *swap(struct etcd_view *view, struct etcd_snapshot *snapshot)
{
    struct etcd_snapshot *before;

    pthread_mutex_lock(&view->shared.mutex);
    before = view->shared.snapshot;
    view->shared.snapshot = snapshot;
    pthread_mutex_unlock(&view->shared.mutex);
    return before;
}

/* The view follows no longer. The user may close it in here. */
static void finish(struct etcd_view *view, const etcd_error *err)
{
    etcd_error shown = *err;

    drop_load(view);
    view->finished = true;
    if (view->on_change == NULL)
        return;
    name_view(view, &shown);
    view->on_change(view, NULL, NULL, &shown, view->user_data);
}

/* ---- following ------------------------------------------------------------------------------------- */

static bool collect(struct etcd__changes *changes, const etcd_events *events, int64_t after_revision)
{
    for (size_t i = 0; i < etcd_events_count(events); i++) {
        const etcd_event *event = etcd_events_at(events, i);

        if (event->kv.mod_revision > after_revision && !etcd__changes_add(changes, event))
            return false;
    }
    return etcd__changes_seal(changes);
}

/* Replaces the snapshot by the next one. False when out of memory: then nothing has changed. */
static bool apply(struct etcd_view *view, const etcd_events *events, bool *ret_changed)
{
    struct etcd_snapshot *before = view->shared.snapshot, *next; /* only we replace it */
    struct etcd__changes changes = {0};

    *ret_changed = false;
    if (!collect(&changes, events, before->revision)) {
        etcd__changes_deinit(&changes);
        return false;
    }
    if (changes.count == 0) {
        etcd__changes_deinit(&changes);
        return true;
    }
    next = etcd__snapshot_next(before, &changes);
    if (next == NULL) {
        etcd__changes_deinit(&changes);
        return false;
    }
    etcd__snapshot_inherit(swap(view, next), &changes);
    *ret_changed = true;
    return true;
}

static void stop_watch(struct etcd_view *view)
{
    etcd_watch *watch = view->watch;

    view->watch = NULL;
    etcd_watch_close(watch);
}

static void follow(struct etcd_view *view, const etcd_events *events)
{
    etcd_error err;
    bool changed;

    if (!apply(view, events, &changed)) {
        stop_watch(view);
        etcd__fail_memory(&err);
        finish(view, &err);
        return;
    }
    if (changed && view->on_change != NULL)
        view->on_change(view, view->shared.snapshot, events, NULL, view->user_data);
}

static void watch_ended(struct etcd_view *view, etcd_status status, const etcd_error *err)
{
    stop_watch(view);
    if (status == ETCD_E_COMPACTED || status == ETCD_E_CLUSTER_CHANGED)
        load_again(view);
    else
        finish(view, err);
}

static void on_events(etcd_watch *watch, const etcd_events *events, etcd_status status, const etcd_error *err,
                      void *user_data)
{
    struct etcd_view *view = user_data;

    (void)watch;
    etcd__gate_ref(&view->gate); /* the user may close the view in here */
    if (etcd__gate_enter(&view->gate)) {
        if (events != NULL)
            follow(view, events);
        else
            watch_ended(view, status, err);
        etcd__gate_leave(&view->gate);
    }
    view_unref(view);
}

static etcd_status start_watch(struct etcd_view *view, int64_t revision, etcd_error *reterr)
{
    return etcd_watch_open(view->client, view->prefix,
                           ETCD_WATCH_OPTS(.prefix = true, .start_revision = revision + 1,
                                           .on_events = on_events, .user_data = view),
                           &view->watch, reterr);
}

/* ---- loading: both ways of it ----------------------------------------------------------------------- */

static etcd_status open_range(struct etcd_view *view, int64_t timeout_ms, etcd_error *err)
{
    drop_load(view);
    return etcd_range_open(
        view->client, view->prefix,
        ETCD_RANGE_OPTS(.prefix = true, .timeout_ms = timeout_ms, .total_timeout_ms = timeout_ms),
        &view->range, err);
}

/* Takes a page in and frees it. */
static etcd_status add_page(struct etcd_view *view, etcd_get_result *page, etcd_error *err)
{
    etcd_status st = ETCD_OK;

    for (size_t i = 0; i < etcd_get_result_count(page) && st == ETCD_OK; i++) {
        if (!etcd__pairs_add(&view->pairs, etcd_get_result_kv(page, i)))
            st = etcd__fail_memory(err);
    }
    etcd_get_result_free(page);
    return st;
}

/* The revision was compacted before all of it was read: from the beginning, at a newer one. */
static bool begin_again(const struct etcd_view *view, etcd_status status)
{
    return status == ETCD_E_COMPACTED && etcd_range_revision(view->range) != 0;
}

/* All pages are there. */
static struct etcd_snapshot *make_snapshot(struct etcd_view *view, etcd_error *err)
{
    struct etcd_snapshot *snapshot = etcd__snapshot_new(&view->pairs, etcd_range_revision(view->range));

    if (snapshot == NULL)
        etcd__fail_memory(err);
    drop_load(view);
    return snapshot;
}

/* ---- loading again --------------------------------------------------------------------------------- */

/* Shows what was loaded and follows from there. */
static void loaded(struct etcd_view *view)
{
    etcd_error err;
    struct etcd_snapshot *snapshot = make_snapshot(view, &err);

    if (snapshot == NULL) {
        finish(view, &err);
        return;
    }
    etcd_snapshot_free(swap(view, snapshot));
    if (start_watch(view, snapshot->revision, &err) != ETCD_OK)
        finish(view, &err);
    else if (view->on_change != NULL)
        view->on_change(view, snapshot, NULL, NULL, view->user_data);
}

static void on_page(etcd_op *op, void *user_data);

static void ask_for_page(struct etcd_view *view)
{
    etcd_error err;

    if (etcd_range_next_async(view->range, on_page, view, &view->op, &err) != ETCD_OK) {
        finish(view, &err);
        return;
    }
    etcd__gate_ref(&view->gate); /* in time: the callback waits at the gate */
}

static void page_came(struct etcd_view *view, etcd_op *op)
{
    etcd_get_result *page = NULL;
    etcd_error err;
    etcd_status st = etcd_range_take(op, &page, &err);

    if (st == ETCD_OK && page == NULL)
        loaded(view);
    else if (begin_again(view, st))
        load_again(view);
    else if (st != ETCD_OK || add_page(view, page, &err) != ETCD_OK)
        finish(view, &err);
    else
        ask_for_page(view);
}

static void on_page(etcd_op *op, void *user_data)
{
    struct etcd_view *view = user_data;

    if (etcd__gate_enter(&view->gate)) {
        view->op = NULL;
        page_came(view, op);
        etcd_op_free(op);
        etcd__gate_leave(&view->gate);
    }
    view_unref(view);
}

static void load_again(struct etcd_view *view)
{
    etcd_error err;

    /* There is nothing to do but wait until a server answers: the client tries again by itself. */
    if (open_range(view, ETCD_TIMEOUT_NONE, &err) != ETCD_OK)
        finish(view, &err);
    else
        ask_for_page(view);
}

/* ---- open, look, close ----------------------------------------------------------------------------- */

static etcd_status read_pages(struct etcd_view *view, etcd_error *err)
{
    for (;;) {
        etcd_get_result *page = NULL;
        etcd_status st = etcd_range_next(view->range, &page, err);

        if (st != ETCD_OK || page == NULL)
            return st;
        st = add_page(view, page, err);
        if (st != ETCD_OK)
            return st;
    }
}

static etcd_status load_first(struct etcd_view *view, const struct etcd__limit *limit, etcd_error *err)
{
    etcd_status st;
    int64_t left;

    do {
        st = etcd__limit_left(limit, &left, err);
        if (st == ETCD_OK)
            st = open_range(view, left, err);
        if (st != ETCD_OK)
            return st;
        st = read_pages(view, err);
    } while (begin_again(view, st));
    if (st != ETCD_OK)
        return st;
    view->shared.snapshot = make_snapshot(view, err);
    return view->shared.snapshot == NULL ? ETCD_E_NO_MEMORY : ETCD_OK;
}

static etcd_status check_arguments(const etcd_client *client, etcd_bytes prefix, etcd_view **ret_view,
                                   etcd_error *reterr)
{
    if (client == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "client is NULL");
    if (prefix.len > 0 && prefix.data == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "prefix has %zu bytes at NULL", prefix.len);
    if (ret_view == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "ret_view is NULL");
    return ETCD_OK;
}

etcd_status etcd_view_open(etcd_client *client, etcd_bytes prefix, const etcd_view_opts *opts,
                           etcd_view **ret_view, etcd_error *reterr)
{
    etcd_view_opts own = ETCD_VIEW_OPTS_INIT;
    struct etcd__limit limit;
    struct etcd_view *view;
    etcd_error err;
    etcd_status st;

    st = etcd__opts_import(&own, sizeof(own), opts, "view", reterr);
    if (st == ETCD_OK)
        st = check_arguments(client, prefix, ret_view, reterr);
    if (st == ETCD_OK)
        st = etcd__limit_start(&limit, client, own.timeout_ms, reterr);
    if (st != ETCD_OK)
        return st;
    view = view_new(client, prefix, &own);
    if (view == NULL)
        return etcd__fail_memory(reterr);
    st = load_first(view, &limit, &err);
    if (st == ETCD_OK) {
        etcd__gate_enter(&view->gate); /* events that come now wait until the caller has the handle */
        st = start_watch(view, view->shared.snapshot->revision, &err);
        if (st == ETCD_OK)
            *ret_view = view;
        etcd__gate_leave(&view->gate);
    }
    if (st != ETCD_OK) {
        name_view(view, &err);
        etcd__error_copy(reterr, &err);
        view_unref(view);
    }
    return st;
}

etcd_snapshot *etcd_view_snapshot(etcd_view *view)
{
    etcd_snapshot *snapshot;

    if (view == NULL)
        return NULL;
    pthread_mutex_lock(&view->shared.mutex);
    snapshot = etcd__snapshot_ref(view->shared.snapshot);
    pthread_mutex_unlock(&view->shared.mutex);
    return snapshot;
}

/* Stops what would call back; afterwards the view is the caller's alone. */
static void stop(struct etcd_view *view)
{
    if (view->op != NULL)
        etcd_op_cancel(view->op); /* its callback comes, and finds the gate shut */
    etcd_op_free(view->op);
    view->op = NULL;
    drop_load(view);
    stop_watch(view);
}

void etcd_view_close(etcd_view *view)
{
    etcd_error err;

    if (view == NULL)
        return;
    bool from_inside = etcd__gate_shut(&view->gate);
    stop(view);
    if (!from_inside && !view->finished) {
        etcd__fail(&err, ETCD_E_CANCELLED, "it was closed");
        finish(view, &err);
    }
    view_unref(view);
}
