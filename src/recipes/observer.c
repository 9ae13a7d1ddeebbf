/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who leads an election, followed: a view of its candidates, of whom the one that was created first leads. So
 * a change of leaders is seen as such, and what happens to the view is told. The first look is a callback
 * too, started by a delay of no time.
 */
#include "base/error.h"
#include "base/mem.h"
#include "etcdc/election.h"
#include "etcdc/view.h"
#include "recipes/election_name.h"
#include "recipes/gate.h"

struct etcd_observer {
    struct etcd__gate gate;
    etcd_observer_fn *on_leader;
    void *user_data;

    /* Whoever is inside the gate, or closes. */
    etcd_view *view;
    etcd_op *first;       /* the first look, until it came */
    int64_t fence, value; /* create and mod revision of the leader that was told; 0: nobody */
    bool told;            /* somebody or nobody */
    bool finished;        /* the last call was made */
};

static void observer_unref(struct etcd_observer *observer)
{
    if (!etcd__gate_unref(&observer->gate))
        return;
    etcd__gate_deinit(&observer->gate);
    etcd__free(observer);
}

static struct etcd_observer *observer_new(const etcd_observe_opts *opts)
{
    struct etcd_observer *observer = ETCD__NEW(struct etcd_observer);

    if (observer == NULL || !etcd__gate_init(&observer->gate)) {
        etcd__free(observer);
        return NULL;
    }
    observer->on_leader = opts->on_leader;
    observer->user_data = opts->user_data;
    return observer;
}

/* ---- telling --------------------------------------------------------------------------------------- */

/* The user may close the observer in here. */
static void finish(struct etcd_observer *observer, const etcd_error *err)
{
    etcd_error shown = *err;

    observer->finished = true;
    etcd__error_prefix(&shown, "observer");
    observer->on_leader(observer, NULL, &shown, observer->user_data);
}

static const etcd_kv *leader_in(const etcd_snapshot *snapshot)
{
    const etcd_kv *leader = NULL;

    for (size_t i = 0; i < etcd_snapshot_count(snapshot); i++) {
        const etcd_kv *kv = etcd_snapshot_at(snapshot, i);

        if (leader == NULL || kv->create_revision < leader->create_revision)
            leader = kv;
    }
    return leader;
}

static void look(struct etcd_observer *observer, const etcd_snapshot *snapshot)
{
    const etcd_kv *leader = leader_in(snapshot);
    int64_t fence = leader == NULL ? 0 : leader->create_revision;
    int64_t value = leader == NULL ? 0 : leader->mod_revision;

    if (observer->told && observer->fence == fence && observer->value == value)
        return;
    observer->told = true;
    observer->fence = fence;
    observer->value = value;
    observer->on_leader(observer, leader, NULL, observer->user_data);
}

static void on_change(etcd_view *view, const etcd_snapshot *snapshot, const etcd_events *events,
                      const etcd_error *err, void *user_data)
{
    struct etcd_observer *observer = user_data;

    (void)view;
    (void)events;
    etcd__gate_ref(&observer->gate); /* the user may close the observer in here */
    if (etcd__gate_enter(&observer->gate)) {
        if (snapshot != NULL)
            look(observer, snapshot);
        else
            finish(observer, err);
        etcd__gate_leave(&observer->gate);
    }
    observer_unref(observer);
}

static void look_first(struct etcd_observer *observer)
{
    etcd_snapshot *snapshot = etcd_view_snapshot(observer->view);

    look(observer, snapshot);
    etcd_snapshot_free(snapshot);
}

static void on_first(etcd_op *op, void *user_data)
{
    struct etcd_observer *observer = user_data;

    if (etcd__gate_enter(&observer->gate)) {
        observer->first = NULL;
        /* Where the client was closed, the view tells. */
        if (!observer->told && !observer->finished && etcd_op_status(op, NULL) == ETCD_OK)
            look_first(observer);
        etcd_op_free(op);
        etcd__gate_leave(&observer->gate);
    }
    observer_unref(observer);
}

/* ---- open, close ----------------------------------------------------------------------------------- */

/* Stops what would call back; afterwards the observer is the caller's alone. The gate is shut. */
static void stop(struct etcd_observer *observer)
{
    if (observer->first != NULL)
        etcd_op_cancel(observer->first); /* its callback comes, and finds the gate shut */
    etcd_op_free(observer->first);
    observer->first = NULL;
    etcd_view_close(observer->view);
}

static etcd_status start(struct etcd_observer *observer, etcd_client *client, etcd_bytes dir,
                         int64_t timeout_ms, etcd_error *reterr)
{
    etcd_status st;

    st = etcd_view_open(
        client, dir, ETCD_VIEW_OPTS(.timeout_ms = timeout_ms, .on_change = on_change, .user_data = observer),
        &observer->view, reterr);
    if (st != ETCD_OK)
        return st;
    st = etcd_client_delay_async(client, 0, on_first, observer, &observer->first, reterr);
    if (st == ETCD_OK)
        etcd__gate_ref(&observer->gate); /* in time: the callback waits at the gate */
    return st;
}

/* What comes now waits at the gate until the caller has the handle. */
static etcd_status open_observer(struct etcd_observer *observer, etcd_client *client, etcd_bytes name,
                                 int64_t timeout_ms, etcd_observer **ret_observer, etcd_error *reterr)
{
    char *dir = etcd__election_dir(name);
    etcd_status st;

    if (dir == NULL)
        return etcd__fail_memory(reterr);
    etcd__gate_enter(&observer->gate);
    st = start(observer, client, etcd_bytes_of(dir, name.len + 1), timeout_ms, reterr);
    if (st == ETCD_OK)
        *ret_observer = observer;
    etcd__gate_leave(&observer->gate);
    etcd__free(dir);
    return st;
}

etcd_status etcd_election_observe(etcd_client *client, etcd_bytes name, const etcd_observe_opts *opts,
                                  etcd_observer **ret_observer, etcd_error *reterr)
{
    etcd_observe_opts own = ETCD_OBSERVE_OPTS_INIT;
    struct etcd_observer *observer;
    etcd_status st;

    st = etcd__opts_import(&own, sizeof(own), opts, "observe", reterr);
    if (st == ETCD_OK)
        st = etcd__election_check(client, name, reterr);
    if (st == ETCD_OK && (own.on_leader == NULL || ret_observer == NULL))
        st = etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s is NULL",
                        ret_observer == NULL ? "ret_observer" : "on_leader");
    if (st != ETCD_OK)
        return st;
    observer = observer_new(&own);
    if (observer == NULL)
        return etcd__fail_memory(reterr);
    st = open_observer(observer, client, name, own.timeout_ms, ret_observer, reterr);
    if (st != ETCD_OK) {
        (void)etcd__gate_shut(&observer->gate);
        stop(observer);
        observer_unref(observer);
    }
    return st;
}

void etcd_observer_close(etcd_observer *observer)
{
    etcd_error err;
    bool from_inside;

    if (observer == NULL)
        return;
    from_inside = etcd__gate_shut(&observer->gate);
    stop(observer);
    if (!from_inside && !observer->finished) {
        etcd__fail(&err, ETCD_E_CANCELLED, "it was closed");
        finish(observer, &err);
    }
    observer_unref(observer);
}
