/* SPDX-License-Identifier: Apache-2.0 */
#include "recipes/registration.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "etcdc/kv.h"

#include <string.h>

enum {
    DEFAULT_TTL_S = 10,
    /* Of one step of a later round. Unanswered steps are reported and made again. */
    STEP_TIMEOUT_MS = 10000,
    PAUSE_FIRST_MS = 250,
    PAUSE_MAX_MS = 5000,
};

static void start_round(struct etcd_registration *reg);

/* ---- memory ---------------------------------------------------------------------------------------- */

static void reg_free(struct etcd_registration *reg)
{
    pthread_mutex_destroy(&reg->shared.mutex);
    etcd__gate_deinit(&reg->gate);
    etcd__free(reg->key);
    etcd__free(reg->shared.value);
    etcd__free(reg);
}

void etcd__registration_unref(struct etcd_registration *reg)
{
    if (etcd__gate_unref(&reg->gate))
        reg_free(reg);
}

static bool init_locks(struct etcd_registration *reg)
{
    if (!etcd__gate_init(&reg->gate))
        return false;
    if (pthread_mutex_init(&reg->shared.mutex, NULL) == 0)
        return true;
    etcd__gate_deinit(&reg->gate);
    return false;
}

struct etcd_registration *etcd__registration_new(etcd_client *client, char *key, const char *address,
                                                 const etcd_register_opts *opts)
{
    struct etcd_registration *reg = ETCD__NEW(struct etcd_registration);

    if (reg == NULL || !init_locks(reg)) {
        etcd__free(reg);
        etcd__free(key);
        return NULL;
    }
    reg->client = client;
    reg->key = key;
    reg->shared.value = etcd__strdup(address);
    reg->no_restore = opts->no_restore;
    reg->ttl_s = opts->ttl_s == 0 ? DEFAULT_TTL_S : opts->ttl_s;
    reg->on_event = opts->on_event;
    reg->user_data = opts->user_data;
    if (reg->shared.value == NULL) {
        etcd__registration_unref(reg);
        return NULL;
    }
    return reg;
}

/* ---- what is told ---------------------------------------------------------------------------------- */

void etcd__registration_show(struct etcd_registration *reg, struct etcd__session *session)
{
    pthread_mutex_lock(&reg->shared.mutex);
    reg->shared.session = session;
    pthread_mutex_unlock(&reg->shared.mutex);
}

/* The user may close the registration in here: look at the gate afterwards. */
static void tell(struct etcd_registration *reg, etcd_registration_event event, const etcd_error *err)
{
    etcd_error shown;

    if (reg->on_event == NULL)
        return;
    if (err != NULL) {
        shown = *err;
        etcd__error_prefix(&shown, "registration of \"%s\"", reg->key);
    }
    reg->on_event(reg, event, err == NULL ? NULL : &shown, reg->user_data);
}

/* ---- later rounds ---------------------------------------------------------------------------------- */

/*
 * Every operation that is started holds a reference until its callback, which is this with one of the steps
 * below. Once the registration is closed, callbacks only give their reference back.
 */
static void run_step(struct etcd_registration *reg, etcd_op *op,
                     void (*step)(struct etcd_registration *reg, etcd_op *op))
{
    if (etcd__gate_enter(&reg->gate)) {
        reg->op = NULL;
        step(reg, op);
        etcd_op_free(op);
        etcd__gate_leave(&reg->gate);
    }
    etcd__registration_unref(reg);
}

static bool step_started(struct etcd_registration *reg, etcd_status st)
{
    if (st == ETCD_OK)
        etcd__gate_ref(&reg->gate); /* in time: the callback waits at the gate */
    return st == ETCD_OK;
}

static void after_pause(struct etcd_registration *reg, etcd_op *op)
{
    etcd_error err;

    if (etcd_op_status(op, &err) == ETCD_E_CLOSED)
        tell(reg, ETCD_REGISTRATION_ENDED, &err);
    else
        start_round(reg);
}

static void on_paused(etcd_op *op, void *user_data)
{
    run_step(user_data, op, after_pause);
}

static void start_pause(struct etcd_registration *reg)
{
    etcd_error err;
    etcd_status st;

    reg->pause_ms = reg->pause_ms == 0 ? PAUSE_FIRST_MS : reg->pause_ms * 2;
    if (reg->pause_ms > PAUSE_MAX_MS)
        reg->pause_ms = PAUSE_MAX_MS;
    st = etcd_client_delay_async(reg->client, reg->pause_ms, on_paused, reg, &reg->op, &err);
    if (!step_started(reg, st))
        tell(reg, ETCD_REGISTRATION_ENDED, &err);
}

static void round_failed(struct etcd_registration *reg, const etcd_error *err)
{
    if (err->status == ETCD_E_CLOSED) {
        tell(reg, ETCD_REGISTRATION_ENDED, err);
        return;
    }
    tell(reg, ETCD_REGISTRATION_LOST, err);
    if (!etcd__gate_is_shut(&reg->gate))
        start_pause(reg);
}

static void drop_session(struct etcd_registration *reg)
{
    struct etcd__session *session = reg->session;

    reg->session = NULL;
    etcd__session_abandon(session, 0);
}

/* Runs inside the gate, of a registration that stood until now. */
static void lost(struct etcd_registration *reg, etcd_status status, const etcd_error *err)
{
    etcd__registration_show(reg, NULL);
    reg->stale_lease_id = etcd__session_lease(reg->session).id;
    etcd__session_close(reg->session);
    reg->session = NULL;
    reg->pause_ms = 0;
    if (status == ETCD_E_CLOSED || reg->no_restore) {
        tell(reg, ETCD_REGISTRATION_ENDED, err);
        return;
    }
    tell(reg, ETCD_REGISTRATION_LOST, err);
    if (!etcd__gate_is_shut(&reg->gate))
        start_round(reg);
}

static void on_lost(void *user, etcd_status status, const etcd_error *err)
{
    struct etcd_registration *reg = user;

    etcd__gate_ref(&reg->gate);
    if (etcd__gate_enter(&reg->gate)) {
        lost(reg, status, err);
        etcd__gate_leave(&reg->gate);
    }
    etcd__registration_unref(reg);
}

etcd_status etcd__registration_stand(struct etcd_registration *reg, etcd_error *err)
{
    etcd_status st;

    etcd__registration_show(reg, reg->session);
    st = etcd__session_arm(reg->session, on_lost, reg, err);
    if (st != ETCD_OK) {
        etcd__registration_show(reg, NULL);
        return st;
    }
    reg->stale_lease_id = 0; /* the entry has moved to the new lease */
    reg->pause_ms = 0;
    return ETCD_OK;
}

static void start_put(struct etcd_registration *reg);

/*
 * False when another address was given since the put: it has to go after it. Who gives one later sees the
 * session, and puts it by himself.
 */
static bool show_if_newest(struct etcd_registration *reg)
{
    bool newest;

    pthread_mutex_lock(&reg->shared.mutex);
    newest = reg->shared.version == reg->put_version;
    if (newest)
        reg->shared.session = reg->session;
    pthread_mutex_unlock(&reg->shared.mutex);
    return newest;
}

static void after_put(struct etcd_registration *reg, etcd_op *op)
{
    etcd_error err;
    etcd_status st = etcd_op_status(op, &err);

    if (st == ETCD_OK && !show_if_newest(reg)) {
        start_put(reg);
        return;
    }
    if (st == ETCD_OK)
        st = etcd__registration_stand(reg, &err);
    if (st == ETCD_OK) {
        tell(reg, ETCD_REGISTRATION_RESTORED, NULL);
        return;
    }
    drop_session(reg);
    round_failed(reg, &err);
}

static void on_put(etcd_op *op, void *user_data)
{
    run_step(user_data, op, after_put);
}

static void start_put(struct etcd_registration *reg)
{
    int64_t lease_id = etcd__session_lease(reg->session).id;
    etcd_error err;
    etcd_status st;

    pthread_mutex_lock(&reg->shared.mutex);
    reg->put_version = reg->shared.version;
    st = etcd_put_async(reg->client, etcd_cstr(reg->key), etcd_cstr(reg->shared.value),
                        ETCD_PUT_OPTS(.lease_id = lease_id, .timeout_ms = STEP_TIMEOUT_MS), on_put, reg,
                        &reg->op, &err);
    pthread_mutex_unlock(&reg->shared.mutex);
    if (!step_started(reg, st)) {
        drop_session(reg);
        round_failed(reg, &err);
    }
}

static void after_grant(struct etcd_registration *reg, etcd_op *op)
{
    etcd_lease lease;
    etcd_error err;
    etcd_status st = etcd_lease_grant_take(op, &lease, &err);

    if (st == ETCD_OK)
        st = etcd__session_start(reg->client, lease, reg->sent_ms, &reg->session, &err);
    if (st == ETCD_OK)
        start_put(reg);
    else
        round_failed(reg, &err);
}

static void on_granted(etcd_op *op, void *user_data)
{
    run_step(user_data, op, after_grant);
}

static void start_round(struct etcd_registration *reg)
{
    etcd_error err;
    etcd_status st;

    reg->sent_ms = etcd__clock_ms();
    st = etcd_lease_grant_async(reg->client, reg->ttl_s, ETCD_LEASE_OPTS(.timeout_ms = STEP_TIMEOUT_MS),
                                on_granted, reg, &reg->op, &err);
    if (!step_started(reg, st))
        round_failed(reg, &err);
}
