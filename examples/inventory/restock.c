/* SPDX-License-Identifier: Apache-2.0 */
#include "restock.h"

#include "settings.h"
#include "stock.h"

#include <inttypes.h>

enum { QUEUE_MS = 30000, BACKOFF_MS = 1000 };

struct restock {
    etcd_client *etcd;
    capp_logger *log;
    stock *stock;
    const restock_settings *settings;
};

CAPP_TYPE_DEFINE(restock);

/* ---- one look through the stock ----------------------------------------------------------------------- */

struct pass {
    restock *self;
    const etcd_lock *lock;
    stock_fenced outcome;
    capp_status status;
    capp_error error;
};

static bool restock_one(const char *item, int64_t quantity, int64_t mod_revision, void *user_data)
{
    struct pass *pass = user_data;
    restock *self = pass->self;
    int64_t target = self->settings->target;

    if (quantity >= self->settings->minimum)
        return true;
    pass->status = stock_set_fenced(self->stock, pass->lock, item, target, mod_revision, &pass->outcome,
                                    &pass->error);
    if (pass->status != CAPP_OK)
        return false;
    if (pass->outcome == STOCK_FENCED_DONE)
        capp_log(self->log, CAPP_LOG_INFO, "restock", "%s: %" PRId64 ", was %" PRId64, item, target,
                 quantity);
    return pass->outcome != STOCK_FENCED_OUT;
}

static capp_status one_pass(restock *self, const etcd_lock *lock, stock_fenced *ret_outcome,
                            capp_error *reterr)
{
    struct pass pass = {.self = self, .lock = lock, .outcome = STOCK_FENCED_DONE};
    capp_status status = stock_each(self->stock, restock_one, &pass, reterr);

    *ret_outcome = pass.outcome;
    if (status == CAPP_OK && pass.status != CAPP_OK) {
        status = pass.status;
        *reterr = pass.error;
    }
    return status;
}

/* ---- the leader --------------------------------------------------------------------------------------- */

/*
 * Until the lock is lost, the job is switched off, or the application stops. A failure is no reason to give
 * the lock up: the next holder would have the same servers.
 */
static void lead(restock *self, capp_worker *worker, const etcd_lock *lock)
{
    stock_fenced outcome = STOCK_FENCED_DONE;
    capp_error error;
    capp_status status = stock_claim(self->stock, lock, &outcome, &error);

    while (outcome != STOCK_FENCED_OUT && etcd_lock_held(lock)) {
        if (status == CAPP_OK)
            status = one_pass(self, lock, &outcome, &error);
        if (status != CAPP_OK)
            capp_log(self->log, CAPP_LOG_WARN, "restock", "%s", error.message);
        status = CAPP_OK;
        if (!self->settings->enabled || !capp_worker_wait(worker, self->settings->interval_ms))
            return;
    }
    capp_log(self->log, CAPP_LOG_WARN, "restock", "the lock was lost");
}

static capp_status take_turn(restock *self, capp_worker *worker, capp_error *reterr)
{
    etcd_lock *lock = NULL;
    etcd_error err;

    if (etcd_lock_acquire(self->etcd, stock_lock_name(self->stock),
                          ETCD_LOCK_OPTS(.ttl_s = self->settings->lock_ttl_ms / 1000, .timeout_ms = QUEUE_MS),
                          &lock, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    capp_log(self->log, CAPP_LOG_INFO, "restock", "this instance restocks, fencing number %" PRId64,
             etcd_lock_fence(lock));
    lead(self, worker, lock);
    if (etcd_lock_release(lock, 0, &err) != ETCD_OK)
        capp_log(self->log, CAPP_LOG_WARN, "restock", "%s", err.message);
    return CAPP_OK;
}

capp_status restock_run(capp_worker *worker, void *user_data, capp_error *reterr)
{
    restock *self = capp_get(capp_worker_app(worker), restock, reterr);

    (void)user_data;
    if (self == NULL)
        return CAPP_E_NOT_FOUND;
    while (!capp_worker_stopping(worker)) {
        capp_error error;
        capp_status status = self->settings->enabled ? take_turn(self, worker, &error) : CAPP_OK;

        if (status == CAPP_E_TIMEOUT)
            continue; /* another instance has the lock: queue again */
        if (status != CAPP_OK && status != CAPP_E_CANCELLED)
            capp_log(self->log, CAPP_LOG_WARN, "restock", "%s", error.message);
        capp_worker_wait(worker, BACKOFF_MS);
    }
    return CAPP_OK;
}

static const capp_inject restock_deps[] = {
    CAPP_INJECT(restock, etcd, etcd_client),
    CAPP_INJECT(restock, log, capp_logger),
    CAPP_INJECT(restock, stock, stock),
    CAPP_INJECT(restock, settings, restock_settings),
};
const capp_service restock_service = CAPP_SERVICE(restock, CAPP_INJECTS(restock_deps));
