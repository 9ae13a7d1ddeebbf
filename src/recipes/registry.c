/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registration: an entry under a lease, and what happens when the lease is lost.
 *
 *   registered --lost--> granting --> putting --> registered
 *                           ^            |
 *                           +-- pause <--+  (also when granting fails)
 *
 * The first round blocks in etcd_register(); all later ones are callbacks, one at a time inside the gate.
 * Nothing here waits on the loop's thread. What another thread may look at meanwhile is in `shared`.
 */
#include "etcdc/registry.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "etcdc/kv.h"
#include "recipes/gate.h"
#include "recipes/service_key.h"
#include "recipes/session.h"

#include <inttypes.h>
#include <string.h>

enum {
    DEFAULT_TTL_S = 10,
    /* Of a first registration that failed; enough for a server that answers at all. */
    GRACE_MS = 250,
    /* Of one step of a later round. Unanswered steps are reported and made again. */
    STEP_TIMEOUT_MS = 10000,
    PAUSE_FIRST_MS = 250,
    PAUSE_MAX_MS = 5000,
};

struct etcd_registration {
    struct etcd__gate gate;
    etcd_client *client;
    char *key, *value;
    size_t value_len;
    int64_t ttl_s;
    etcd_registration_fn *on_event;
    void *user_data;

    /* Whoever is inside the gate, or closes. */
    etcd_op *op;                   /* the step under way */
    struct etcd__session *session; /* of the lease that carries the entry, or will when it is put */
    int64_t stale_lease_id;        /* a lost lease that may carry the entry still, unknown to us; 0: none */
    int64_t sent_ms;               /* when the grant was asked for */
    int64_t pause_ms;              /* before the next round */

    struct {
        pthread_mutex_t mutex;
        struct etcd__session *session; /* NULL while the entry is not certainly there */
    } shared;
};

static void start_round(struct etcd_registration *reg);

/* ---- memory ---------------------------------------------------------------------------------------- */

static void reg_free(struct etcd_registration *reg)
{
    pthread_mutex_destroy(&reg->shared.mutex);
    etcd__gate_deinit(&reg->gate);
    etcd__free(reg->key);
    etcd__free(reg->value);
    etcd__free(reg);
}

static void reg_unref(struct etcd_registration *reg)
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

static struct etcd_registration *reg_new(etcd_client *client, char *key, const char *address,
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
    reg->value = etcd__strdup(address);
    reg->value_len = strlen(address);
    reg->ttl_s = opts->ttl_s == 0 ? DEFAULT_TTL_S : opts->ttl_s;
    reg->on_event = opts->on_event;
    reg->user_data = opts->user_data;
    if (reg->value == NULL) {
        reg_unref(reg);
        return NULL;
    }
    return reg;
}

static etcd_bytes value_of(const struct etcd_registration *reg)
{
    return etcd_bytes_of(reg->value, reg->value_len);
}

/* ---- what is told ---------------------------------------------------------------------------------- */

static void show(struct etcd_registration *reg, struct etcd__session *session)
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
    reg_unref(reg);
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
    show(reg, NULL);
    reg->stale_lease_id = etcd__session_lease_id(reg->session);
    etcd__session_close(reg->session);
    reg->session = NULL;
    reg->pause_ms = 0;
    if (status == ETCD_E_CLOSED) {
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
    reg_unref(reg);
}

/* From here on the registration stands, unless the lease was lost already. Inside the gate. */
static etcd_status stand(struct etcd_registration *reg, etcd_error *err)
{
    etcd_status st = etcd__session_arm(reg->session, on_lost, reg, err);

    if (st != ETCD_OK)
        return st;
    reg->stale_lease_id = 0; /* the entry has moved to the new lease */
    reg->pause_ms = 0;
    show(reg, reg->session);
    return ETCD_OK;
}

static void after_put(struct etcd_registration *reg, etcd_op *op)
{
    etcd_error err;
    etcd_status st = etcd_op_status(op, &err);

    if (st == ETCD_OK)
        st = stand(reg, &err);
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

static void after_grant(struct etcd_registration *reg, etcd_op *op)
{
    etcd_lease lease;
    etcd_error err;
    etcd_status st = etcd_lease_grant_take(op, &lease, &err);

    if (st == ETCD_OK)
        st = etcd__session_start(reg->client, lease, reg->sent_ms, &reg->session, &err);
    if (st != ETCD_OK) {
        round_failed(reg, &err);
        return;
    }
    st = etcd_put_async(reg->client, etcd_cstr(reg->key), value_of(reg),
                        ETCD_PUT_OPTS(.lease_id = lease.id, .timeout_ms = STEP_TIMEOUT_MS), on_put, reg,
                        &reg->op, &err);
    if (!step_started(reg, st)) {
        drop_session(reg);
        round_failed(reg, &err);
    }
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

/* ---- the first round ------------------------------------------------------------------------------- */

/* Putting the entry twice is putting it once, so an answer that was lost is no failure yet. */
static etcd_status put_entry(struct etcd_registration *reg, struct etcd__limit *limit, etcd_error *err)
{
    int64_t lease_id = etcd__session_lease_id(reg->session);
    etcd_status st;
    int64_t left;

    do {
        st = etcd__limit_try(limit, &left, err);
        if (st != ETCD_OK)
            return st;
        st = etcd_put(reg->client, etcd_cstr(reg->key), value_of(reg),
                      ETCD_PUT_OPTS(.lease_id = lease_id, .timeout_ms = left), NULL, err);
    } while (st != ETCD_OK && etcd__limit_repeat(limit, err));
    return st;
}

static etcd_status first_round(struct etcd_registration *reg, struct etcd__limit *limit,
                               etcd_registration **ret_registration, etcd_error *err)
{
    etcd_status st;

    st = etcd__session_open(reg->client, reg->ttl_s, limit, &reg->session, err);
    if (st != ETCD_OK)
        return st;
    st = put_entry(reg, limit, err);
    if (st != ETCD_OK)
        return st;
    etcd__gate_enter(&reg->gate); /* a loss that comes now waits until the caller has the handle */
    st = stand(reg, err);
    if (st == ETCD_OK)
        *ret_registration = reg;
    etcd__gate_leave(&reg->gate);
    return st;
}

static etcd_status check_arguments(const etcd_client *client, const char *address,
                                   const etcd_register_opts *opts, etcd_registration *const *ret_registration,
                                   etcd_error *reterr)
{
    if (client == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "client is NULL");
    if (address == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "address is NULL");
    if (ret_registration == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "ret_registration is NULL");
    if (opts->ttl_s < 0 || opts->ttl_s > ETCD_LEASE_TTL_MAX)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "ttl_s is %" PRId64 ", not 0 .. %" PRId64,
                          opts->ttl_s, ETCD_LEASE_TTL_MAX);
    return ETCD_OK;
}

static etcd_status make_key(const char *service, const char *instance, const etcd_register_opts *opts,
                            char **ret_key, etcd_error *reterr)
{
    const char *prefix;
    etcd_status st;

    st = etcd__service_check_name("service", service, reterr);
    if (st == ETCD_OK)
        st = etcd__service_check_name("instance", instance, reterr);
    if (st == ETCD_OK)
        st = etcd__service_check_prefix(opts->prefix, &prefix, reterr);
    if (st != ETCD_OK)
        return st;
    *ret_key = etcd__service_key(prefix, service, instance);
    return *ret_key == NULL ? etcd__fail_memory(reterr) : ETCD_OK;
}

etcd_status etcd_register(etcd_client *client, const char *service, const char *instance, const char *address,
                          const etcd_register_opts *opts, etcd_registration **ret_registration,
                          etcd_error *reterr)
{
    etcd_register_opts own = ETCD_REGISTER_OPTS_INIT;
    struct etcd_registration *reg;
    struct etcd__limit limit;
    etcd_error err;
    etcd_status st;
    char *key;

    st = etcd__opts_import(&own, sizeof(own), opts, "register", reterr);
    if (st == ETCD_OK)
        st = check_arguments(client, address, &own, ret_registration, reterr);
    if (st == ETCD_OK)
        st = etcd__limit_start(&limit, client, own.timeout_ms, reterr);
    if (st == ETCD_OK)
        st = make_key(service, instance, &own, &key, reterr);
    if (st != ETCD_OK)
        return st;
    reg = reg_new(client, key, address, &own);
    if (reg == NULL)
        return etcd__fail_memory(reterr);
    st = first_round(reg, &limit, ret_registration, &err);
    if (st != ETCD_OK) {
        etcd__error_prefix(&err, "register \"%s\"", reg->key);
        etcd__error_copy(reterr, &err);
        etcd__session_abandon(reg->session, GRACE_MS);
        reg_unref(reg);
    }
    return st;
}

/* ---- looking, closing ------------------------------------------------------------------------------ */

bool etcd_registration_alive(const etcd_registration *registration)
{
    struct etcd_registration *reg =
        (struct etcd_registration *)registration; /* the mutex is no part of its value */
    bool alive;

    if (reg == NULL)
        return false;
    pthread_mutex_lock(&reg->shared.mutex);
    alive = reg->shared.session != NULL && etcd__session_alive(reg->shared.session);
    pthread_mutex_unlock(&reg->shared.mutex);
    return alive;
}

int64_t etcd_registration_lease_id(const etcd_registration *registration)
{
    struct etcd_registration *reg = (struct etcd_registration *)registration;
    int64_t id;

    if (reg == NULL)
        return 0;
    pthread_mutex_lock(&reg->shared.mutex);
    id = reg->shared.session == NULL ? 0 : etcd__session_lease_id(reg->shared.session);
    pthread_mutex_unlock(&reg->shared.mutex);
    return id;
}

etcd_bytes etcd_registration_key(const etcd_registration *registration)
{
    return etcd_cstr(registration == NULL ? NULL : registration->key);
}

static etcd_status revoke_stale(struct etcd_registration *reg, const struct etcd__limit *limit,
                                etcd_error *err)
{
    etcd_status st;
    int64_t left;

    if (reg->stale_lease_id == 0)
        return ETCD_OK;
    st = etcd__limit_left(limit, &left, err);
    if (st == ETCD_OK)
        st = etcd_lease_revoke(reg->client, reg->stale_lease_id, ETCD_LEASE_OPTS(.timeout_ms = left), err);
    return st == ETCD_E_LEASE_NOT_FOUND ? ETCD_OK : st;
}

/* The gate is shut: all is ours. */
static etcd_status take_away(struct etcd_registration *reg, int64_t timeout_ms, etcd_error *err)
{
    struct etcd__session *session = reg->session;
    struct etcd__limit limit;
    etcd_status st;

    reg->session = NULL;
    show(reg, NULL);
    st = etcd__limit_start(&limit, reg->client, timeout_ms, err);
    if (st != ETCD_OK) {
        etcd__session_abandon(session, 0);
        return st;
    }
    if (session != NULL)
        st = etcd__session_end(session, &limit, err);
    return st != ETCD_OK ? st : revoke_stale(reg, &limit, err);
}

etcd_status etcd_registration_close(etcd_registration *registration, int64_t timeout_ms, etcd_error *reterr)
{
    struct etcd_registration *reg = registration;
    etcd_error err;
    etcd_status st;

    if (reg == NULL)
        return ETCD_OK;
    (void)etcd__gate_shut(&reg->gate);
    if (reg->op != NULL)
        etcd_op_cancel(reg->op); /* its callback comes, and finds the gate shut */
    etcd_op_free(reg->op);
    reg->op = NULL;
    st = take_away(reg, timeout_ms, &err);
    if (st != ETCD_OK) {
        etcd__error_prefix(&err, "close registration of \"%s\"", reg->key);
        etcd__error_copy(reterr, &err);
    }
    reg_unref(reg);
    return st;
}
