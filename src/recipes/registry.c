/* SPDX-License-Identifier: Apache-2.0 */
/* What a program calls on a registration. */
#include "base/error.h"
#include "base/mem.h"
#include "etcdc/kv.h"
#include "etcdc/txn.h"
#include "recipes/registration.h"
#include "recipes/service_key.h"

#include <inttypes.h>
#include <string.h>

enum {
    /* Of a first registration that failed; enough for a server that answers at all. */
    GRACE_MS = 250,
};

/* ---- the first round ------------------------------------------------------------------------------- */

/* Putting the entry twice is putting it once, so an answer that was lost is no failure yet. */
static etcd_status put_entry(struct etcd_registration *reg, struct etcd__limit *limit, etcd_error *err)
{
    int64_t lease_id = etcd__session_lease(reg->session).id;
    etcd_status st;
    int64_t left;

    do {
        st = etcd__limit_try(limit, &left, err);
        if (st != ETCD_OK)
            return st;
        st = etcd_put(reg->client, etcd_cstr(reg->key), etcd_cstr(reg->shared.value),
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
    st = etcd__registration_stand(reg, err);
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
    reg = etcd__registration_new(client, key, address, &own);
    if (reg == NULL)
        return etcd__fail_memory(reterr);
    st = first_round(reg, &limit, ret_registration, &err);
    if (st != ETCD_OK) {
        etcd__error_prefix(&err, "register \"%s\"", reg->key);
        etcd__error_copy(reterr, &err);
        etcd__session_abandon(reg->session, GRACE_MS);
        etcd__registration_unref(reg);
    }
    return st;
}

/* ---- another address ------------------------------------------------------------------------------- */

/* Only the address; what is at the server is another matter. BUSY while somebody else is at it. */
static etcd_status swap_address(struct etcd_registration *reg, char *address, int64_t *ret_lease_id,
                                etcd_error *err)
{
    char *before = address;
    bool busy;

    pthread_mutex_lock(&reg->shared.mutex);
    busy = reg->shared.updating;
    if (!busy) {
        before = reg->shared.value;
        reg->shared.value = address;
        reg->shared.version++;
        reg->shared.updating = true;
    }
    *ret_lease_id = reg->shared.session == NULL ? 0 : etcd__session_lease(reg->shared.session).id;
    pthread_mutex_unlock(&reg->shared.mutex);
    etcd__free(before);
    return busy ? etcd__fail(err, ETCD_E_BUSY, "another update is under way") : ETCD_OK;
}

/* A transaction of this kind may be repeated: it does the same again, or nothing. */
static etcd_status put_if(struct etcd_registration *reg, const etcd_txn *txn, struct etcd__limit *limit,
                          bool *ret_done, etcd_error *err)
{
    etcd_txn_result *result = NULL;
    etcd_status st;
    int64_t left;

    do {
        st = etcd__limit_try(limit, &left, err);
        if (st != ETCD_OK)
            return st;
        st = etcd_txn_commit(reg->client, txn, ETCD_TXN_OPTS(.timeout_ms = left), &result, err);
    } while (st != ETCD_OK && etcd__limit_repeat(limit, err));
    if (st == ETCD_OK)
        *ret_done = etcd_txn_result_succeeded(result);
    etcd_txn_result_free(result);
    return st;
}

/*
 * Puts the address unless the entry has moved to another lease, as it does when it is registered again: a
 * write that comes late must not bring it back under the old one.
 */
static etcd_status put_under(struct etcd_registration *reg, const char *address, int64_t lease_id,
                             struct etcd__limit *limit, bool *ret_done, etcd_error *err)
{
    static const etcd_cmp_target targets[] = {ETCD_CMP_LEASE, ETCD_CMP_VERSION};
    const int64_t operands[] = {lease_id, 0}; /* it is there, or somebody has deleted it */
    etcd_status st = ETCD_OK;

    *ret_done = false;
    for (size_t i = 0; i < 2 && st == ETCD_OK && !*ret_done; i++) {
        etcd_txn *txn = etcd_txn_new();

        etcd_txn_if(txn, etcd_cstr(reg->key), targets[i], ETCD_CMP_EQUAL, operands[i]);
        etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr(reg->key), etcd_cstr(address),
                     ETCD_PUT_OPTS(.lease_id = lease_id));
        st = put_if(reg, txn, limit, ret_done, err);
        etcd_txn_free(txn);
    }
    return st;
}

static etcd_status put_address(struct etcd_registration *reg, const char *address, int64_t lease_id,
                               struct etcd__limit *limit, etcd_error *err)
{
    bool done = false;
    etcd_status st;
    int64_t now_id;

    if (lease_id == 0)
        return etcd__fail(err, ETCD_E_LEASE_LOST,
                          "it is not registered now; it comes back with this address");
    st = put_under(reg, address, lease_id, limit, &done, err);
    if (done || (st != ETCD_OK && st != ETCD_E_LEASE_NOT_FOUND))
        return st;
    now_id = etcd_registration_lease_id(reg);
    if (now_id != 0 && now_id != lease_id)
        return ETCD_OK; /* registered again meanwhile, with this address */
    return etcd__fail(err, ETCD_E_LEASE_LOST, "its lease was lost; it comes back with this address");
}

static void end_update(struct etcd_registration *reg)
{
    pthread_mutex_lock(&reg->shared.mutex);
    reg->shared.updating = false;
    pthread_mutex_unlock(&reg->shared.mutex);
}

etcd_status etcd_registration_update(etcd_registration *registration, const char *address, int64_t timeout_ms,
                                     etcd_error *reterr)
{
    struct etcd_registration *reg = registration;
    struct etcd__limit limit;
    int64_t lease_id = 0;
    etcd_error err;
    etcd_status st;
    char *copy;

    if (reg == NULL || address == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s is NULL",
                          reg == NULL ? "registration" : "address");
    st = etcd__limit_start(&limit, reg->client, timeout_ms, reterr);
    if (st != ETCD_OK)
        return st;
    copy = etcd__strdup(address);
    if (copy == NULL)
        return etcd__fail_memory(reterr);
    st = swap_address(reg, copy, &lease_id, &err);
    if (st == ETCD_OK) {
        st = put_address(reg, address, lease_id, &limit, &err);
        end_update(reg);
    }
    if (st != ETCD_OK) {
        etcd__error_prefix(&err, "update of \"%s\"", reg->key);
        etcd__error_copy(reterr, &err);
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
    id = reg->shared.session == NULL ? 0 : etcd__session_lease(reg->shared.session).id;
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
    etcd__registration_show(reg, NULL);
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
    etcd__registration_unref(reg);
    return st;
}
