/* SPDX-License-Identifier: Apache-2.0 */
#include "stock.h"

#include "keys.h"
#include "settings.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct stock {
    etcd_client *etcd;
    const instance_settings *instance;
    char lock_name[KEY_SIZE];
    pthread_mutex_t mutex; /* guards the rest */
    int64_t lease_id;      /* what new requests are remembered under; 0: none yet */
    int64_t lease_until_ms;
};

CAPP_TYPE_DEFINE(stock);

/* What the server knows that a change depends on. */
struct before {
    int64_t quantity;         /* 0 without the item */
    int64_t mod_revision;     /* of the item; 0: there is none */
    char record[RECORD_SIZE]; /* of the request; "": none */
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static capp_status quantity_of(const etcd_kv *kv, int64_t *ret_quantity, capp_error *reterr)
{
    if (parse_quantity(kv->value.data, ret_quantity))
        return CAPP_OK;
    return capp_fail(reterr, CAPP_E_EXTERNAL, "the value of '%s' is not a quantity",
                     (const char *)kv->key.data);
}

/* ---- what a request did ------------------------------------------------------------------------------- */

/*
 * Requests are remembered under a lease that nobody renews, so that they go by themselves. Those of one
 * period share one, which lives for two periods.
 */
static capp_status request_lease(stock *self, const stock_settings *rules, int64_t timeout_ms,
                                 int64_t *ret_id, capp_error *reterr)
{
    int64_t memory_ms = rules->request_memory_ms;
    capp_status status = CAPP_OK;
    etcd_lease lease;
    etcd_error err;

    pthread_mutex_lock(&self->mutex);
    int64_t now = now_ms();
    if (self->lease_id == 0 || now >= self->lease_until_ms) {
        if (etcd_lease_grant(self->etcd, 2 * memory_ms / 1000, ETCD_LEASE_OPTS(.timeout_ms = timeout_ms),
                             &lease, &err) == ETCD_OK) {
            self->lease_id = lease.id;
            self->lease_until_ms = now + memory_ms;
        } else {
            err.flags &= ~ETCD_ERROR_MAYBE_APPLIED; /* the lease perhaps, but not the change */
            status = capp_error_from_etcd(&err, reterr);
        }
    }
    *ret_id = self->lease_id;
    pthread_mutex_unlock(&self->mutex);
    return status;
}

/* The server does not know the lease: somebody revoked it. */
static void forget_lease(stock *self, int64_t id)
{
    pthread_mutex_lock(&self->mutex);
    if (self->lease_id == id)
        self->lease_id = 0;
    pthread_mutex_unlock(&self->mutex);
}

/* ---- changes ------------------------------------------------------------------------------------------ */

struct change_keys {
    char item[KEY_SIZE];
    char request[KEY_SIZE];
};

/* Adds the reading of all that a change depends on. */
static void add_look(etcd_txn *txn, etcd_txn_branch branch, const struct change_keys *keys)
{
    etcd_txn_get(txn, branch, etcd_cstr(keys->item), NULL);
    etcd_txn_get(txn, branch, etcd_cstr(keys->request), NULL);
}

static capp_status looked(const etcd_txn_result *result, struct before *before, capp_error *reterr)
{
    const etcd_kv *item = etcd_get_result_kv(etcd_txn_result_get(result, 0), 0);
    const etcd_kv *request = etcd_get_result_kv(etcd_txn_result_get(result, 1), 0);

    *before = (struct before){.mod_revision = item == NULL ? 0 : item->mod_revision};
    if (request != NULL)
        snprintf(before->record, sizeof(before->record), "%s", (const char *)request->value.data);
    return item == NULL ? CAPP_OK : quantity_of(item, &before->quantity, reterr);
}

static capp_status look(stock *self, const struct change_keys *keys, int64_t timeout_ms,
                        struct before *before, capp_error *reterr)
{
    etcd_txn_result *result = NULL;
    etcd_txn *txn = etcd_txn_new();
    capp_status status;
    etcd_error err;

    add_look(txn, ETCD_TXN_THEN, keys);
    if (etcd_txn_commit(self->etcd, txn, ETCD_TXN_OPTS(.timeout_ms = timeout_ms), &result, &err) != ETCD_OK)
        status = capp_error_from_etcd(&err, reterr);
    else
        status = looked(result, before, reterr);
    etcd_txn_result_free(result);
    etcd_txn_free(txn);
    return status;
}

static etcd_txn *change_txn(const stock_change *change, const struct change_keys *keys,
                            const struct before *before, int64_t lease_id)
{
    char quantity[QUANTITY_SIZE], record[RECORD_SIZE];
    etcd_txn *txn = etcd_txn_new();

    format_quantity(quantity, before->quantity + change->delta);
    format_record(record, change, before->quantity + change->delta);
    etcd_txn_if(txn, etcd_cstr(keys->item), ETCD_CMP_MOD_REVISION, ETCD_CMP_EQUAL, before->mod_revision);
    etcd_txn_if_missing(txn, etcd_cstr(keys->request));
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr(keys->item), etcd_cstr(quantity), NULL);
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr(keys->request), etcd_cstr(record),
                 ETCD_PUT_OPTS(.lease_id = lease_id));
    add_look(txn, ETCD_TXN_ELSE, keys);
    return txn;
}

/*
 * `*ret_written` false, with CAPP_OK: something has changed since `before`, which is new then.
 *
 * The conditions make a second attempt harmless, so the client may make one where an answer was lost
 * (`idempotent`). If it was the first that did it, the second is refused - and reads the record of the first,
 * in the same transaction: a look of its own could fail, and nobody would know any more.
 */
static capp_status write_change(stock *self, const stock_change *change, const struct change_keys *keys,
                                int64_t lease_id, int64_t timeout_ms, struct before *before,
                                bool *ret_written, capp_error *reterr)
{
    etcd_txn *txn = change_txn(change, keys, before, lease_id);
    etcd_txn_result *result = NULL;
    capp_status status = CAPP_OK;
    etcd_error err;

    *ret_written = false;
    if (etcd_txn_commit(self->etcd, txn, ETCD_TXN_OPTS(.timeout_ms = timeout_ms, .idempotent = true), &result,
                        &err) != ETCD_OK) {
        if (err.status == ETCD_E_LEASE_NOT_FOUND) {
            forget_lease(self, lease_id);
            err.flags |= ETCD_ERROR_MAYBE_APPLIED; /* that is the newest attempt's answer only */
        }
        status = capp_error_from_etcd(&err, reterr);
    } else if (etcd_txn_result_succeeded(result)) {
        *ret_written = true;
    } else {
        status = looked(result, before, reterr);
    }
    etcd_txn_result_free(result);
    etcd_txn_free(txn);
    return status;
}

/* What can be answered without a write; false: a write is needed. */
static bool answer_from(const stock_settings *rules, const stock_change *change, const struct before *before,
                        stock_answer *answer)
{
    int64_t after = before->quantity + change->delta;

    answer->quantity = before->quantity;
    if (before->record[0] != '\0')
        answer->outcome = parse_record(before->record, change, &answer->quantity) ? STOCK_DONE_BEFORE
                                                                                  : STOCK_OTHER_REQUEST;
    else if (after < 0)
        answer->outcome = STOCK_TOO_FEW;
    else if (change->delta > 0 && after > rules->max_quantity)
        answer->outcome = STOCK_TOO_MANY;
    else
        return false;
    return true;
}

capp_status stock_apply(stock *self, const stock_settings *rules, const stock_change *change,
                        stock_answer *ret_answer, capp_error *reterr)
{
    int64_t deadline_ms = now_ms() + rules->request_timeout_ms;
    struct before before = {0};
    struct change_keys keys;
    bool written = false;

    item_key(self->instance->prefix, change->item, keys.item);
    request_key(self->instance->prefix, change->request, keys.request);
    capp_status status = look(self, &keys, rules->request_timeout_ms, &before, reterr);
    while (status == CAPP_OK && !written && !answer_from(rules, change, &before, ret_answer)) {
        int64_t left_ms = deadline_ms - now_ms(), lease_id;

        if (left_ms <= 0)
            return capp_fail(reterr, CAPP_E_TIMEOUT, "'%s' is changed by others all the time", change->item);
        status = request_lease(self, rules, left_ms, &lease_id, reterr);
        if (status == CAPP_OK)
            status = write_change(self, change, &keys, lease_id, left_ms, &before, &written, reterr);
    }
    if (status == CAPP_OK && written)
        *ret_answer = (stock_answer){STOCK_DONE, before.quantity + change->delta};
    return status;
}

/* ---- reading ------------------------------------------------------------------------------------------ */

capp_status stock_read(stock *self, const stock_settings *rules, const char *item, int64_t *ret_quantity,
                       capp_error *reterr)
{
    etcd_get_result *result = NULL;
    char key[KEY_SIZE];
    capp_status status;
    etcd_error err;

    item_key(self->instance->prefix, item, key);
    if (etcd_get(self->etcd, etcd_cstr(key), ETCD_GET_OPTS(.timeout_ms = rules->request_timeout_ms), &result,
                 &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    const etcd_kv *kv = etcd_get_result_kv(result, 0);
    if (kv == NULL)
        status = capp_fail(reterr, CAPP_E_NOT_FOUND, "there is no item '%s'", item);
    else
        status = quantity_of(kv, ret_quantity, reterr);
    etcd_get_result_free(result);
    return status;
}

/* False: the walk is over, by its function or by a failure. */
static bool each_of(const etcd_get_result *page, size_t skip, stock_each_fn *fn, void *user_data,
                    capp_status *status, capp_error *reterr)
{
    for (size_t i = 0; i < etcd_get_result_count(page); i++) {
        const etcd_kv *kv = etcd_get_result_kv(page, i);
        int64_t quantity;

        *status = quantity_of(kv, &quantity, reterr);
        if (*status != CAPP_OK)
            return false;
        if (!fn((const char *)kv->key.data + skip, quantity, kv->mod_revision, user_data))
            return false;
    }
    return true;
}

capp_status stock_each(stock *self, const stock_settings *rules, stock_each_fn *fn, void *user_data,
                       capp_error *reterr)
{
    capp_status status = CAPP_OK;
    etcd_range *range = NULL;
    char prefix[KEY_SIZE];
    bool go_on = true;
    etcd_error err;

    item_key(self->instance->prefix, "", prefix);
    if (etcd_range_open(self->etcd, etcd_cstr(prefix),
                        ETCD_RANGE_OPTS(.prefix = true, .timeout_ms = rules->request_timeout_ms), &range,
                        &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    while (go_on && status == CAPP_OK) {
        etcd_get_result *page = NULL;

        if (etcd_range_next(range, &page, &err) != ETCD_OK)
            status = capp_error_from_etcd(&err, reterr);
        else
            go_on = page != NULL && each_of(page, strlen(prefix), fn, user_data, &status, reterr);
        etcd_get_result_free(page);
    }
    etcd_range_close(range);
    return status;
}

/* ---- under the lock ----------------------------------------------------------------------------------- */

etcd_bytes stock_lock_name(const stock *self)
{
    return etcd_cstr(self->lock_name);
}

/* Adds what a write needs to be refused once the lock has another holder. */
static etcd_txn *fenced_txn(const etcd_lock *lock)
{
    etcd_txn *txn = etcd_txn_new();

    etcd_txn_if(txn, etcd_lock_key(lock), ETCD_CMP_CREATE_REVISION, ETCD_CMP_EQUAL, etcd_lock_fence(lock));
    etcd_txn_get(txn, ETCD_TXN_ELSE, etcd_lock_key(lock), ETCD_GET_OPTS(.keys_only = true));
    return txn;
}

/* Ends the transaction too. */
static capp_status commit_fenced(stock *self, const stock_settings *rules, etcd_txn *txn,
                                 const etcd_lock *lock, stock_fenced *ret_outcome, capp_error *reterr)
{
    etcd_txn_result *result = NULL;
    capp_status status = CAPP_OK;
    etcd_error err;

    if (etcd_txn_commit(self->etcd, txn, ETCD_TXN_OPTS(.timeout_ms = rules->request_timeout_ms), &result,
                        &err) != ETCD_OK) {
        status = capp_error_from_etcd(&err, reterr);
    } else if (etcd_txn_result_succeeded(result)) {
        *ret_outcome = STOCK_FENCED_DONE;
    } else {
        const etcd_kv *kv = etcd_get_result_kv(etcd_txn_result_get(result, 0), 0);

        *ret_outcome = kv != NULL && kv->create_revision == etcd_lock_fence(lock) ? STOCK_FENCED_CHANGED
                                                                                  : STOCK_FENCED_OUT;
    }
    etcd_txn_result_free(result);
    etcd_txn_free(txn);
    return status;
}

capp_status stock_set_fenced(stock *self, const stock_settings *rules, const etcd_lock *lock,
                             const char *item, int64_t quantity, int64_t mod_revision,
                             stock_fenced *ret_outcome, capp_error *reterr)
{
    char key[KEY_SIZE], value[QUANTITY_SIZE];
    etcd_txn *txn = fenced_txn(lock);

    item_key(self->instance->prefix, item, key);
    format_quantity(value, quantity);
    etcd_txn_if(txn, etcd_cstr(key), ETCD_CMP_MOD_REVISION, ETCD_CMP_EQUAL, mod_revision);
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr(key), etcd_cstr(value), NULL);
    return commit_fenced(self, rules, txn, lock, ret_outcome, reterr);
}

capp_status stock_claim(stock *self, const stock_settings *rules, const etcd_lock *lock,
                        stock_fenced *ret_outcome, capp_error *reterr)
{
    char key[KEY_SIZE];
    etcd_txn *txn = fenced_txn(lock);

    snprintf(key, sizeof(key), "%srestocker", self->instance->prefix);
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr(key), etcd_cstr(self->instance->name),
                 ETCD_PUT_OPTS(.lease_id = etcd_lock_lease_id(lock)));
    return commit_fenced(self, rules, txn, lock, ret_outcome, reterr);
}

/* ---- the service -------------------------------------------------------------------------------------- */

static capp_status stock_init(void *object, capp_error *reterr)
{
    stock *self = object;
    int err = pthread_mutex_init(&self->mutex, NULL);

    if (err != 0)
        return capp_fail(reterr, CAPP_E_IO, "pthread_mutex_init: %s", strerror(err));
    snprintf(self->lock_name, sizeof(self->lock_name), "%slocks/restock", self->instance->prefix);
    return CAPP_OK;
}

static void stock_fini(void *object)
{
    stock *self = object;

    pthread_mutex_destroy(&self->mutex);
}

static const capp_inject stock_deps[] = {
    CAPP_INJECT(stock, etcd, etcd_client),
    CAPP_INJECT(stock, instance, instance_settings),
};
const capp_service stock_service = CAPP_SERVICE(stock, CAPP_INJECTS(stock_deps), .init = stock_init,
                                                .fini = stock_fini);
