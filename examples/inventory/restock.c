/* SPDX-License-Identifier: Apache-2.0 */
#include "restock.h"

#include "counters.h"
#include "settings.h"
#include "stock.h"

enum { QUEUE_MS = 30000, DISABLED_MS = 1000 };

struct restock {
    etcd_client *etcd;
    capp_logger *log;
    stock *stock;
    capp_app *app;
    counters *counters;
    capp_monitor *settings, *rules;
};

CAPP_TYPE_DEFINE(restock);

/* Plain numbers can be copied; what points to something must be held. */
static restock_settings settings_now(const restock *self)
{
    const restock_settings *held = capp_current(self->settings, restock_settings);
    restock_settings settings = *held;

    capp_monitor_release(self->settings, held);
    return settings;
}

static stock_settings rules_now(const restock *self)
{
    const stock_settings *held = capp_current(self->rules, stock_settings);
    stock_settings rules = *held;

    capp_monitor_release(self->rules, held);
    return rules;
}

/* ---- one look through the stock ----------------------------------------------------------------------- */

struct pass {
    restock *self;
    const etcd_lock *lock;
    restock_settings settings;
    stock_settings rules;
    stock_fenced outcome;
    capp_status status;
    capp_error error;
};

static bool restock_one(const char *item, int64_t quantity, int64_t mod_revision, void *user_data)
{
    struct pass *pass = user_data;
    restock *self = pass->self;
    int64_t target = pass->settings.target;

    if (quantity >= pass->settings.minimum)
        return true;
    pass->status = stock_set_fenced(self->stock, &pass->rules, pass->lock, item, target, mod_revision,
                                    &pass->outcome, &pass->error);
    if (pass->status != CAPP_OK)
        return false;
    if (pass->outcome == STOCK_FENCED_DONE) {
        atomic_fetch_add(&self->counters->restocked, 1);
        capp_log_with(self->log, CAPP_LOG_INFO, "restock",
                      CAPP_LOG_FIELDS(CAPP_LOG_TEXT("item", item), CAPP_LOG_INT("was", quantity),
                                      CAPP_LOG_INT("is", target)),
                      "restocked");
    }
    return pass->outcome != STOCK_FENCED_OUT;
}

static capp_status one_pass(restock *self, const etcd_lock *lock, stock_fenced *ret_outcome,
                            capp_error *reterr)
{
    struct pass pass = {.self = self,
                        .lock = lock,
                        .settings = settings_now(self),
                        .rules = rules_now(self),
                        .outcome = STOCK_FENCED_DONE};
    capp_status status = stock_each(self->stock, &pass.rules, restock_one, &pass, reterr);

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
    stock_settings rules = rules_now(self);
    capp_error error;
    capp_status status = stock_claim(self->stock, &rules, lock, &outcome, &error);

    while (outcome != STOCK_FENCED_OUT && etcd_lock_held(lock)) {
        if (status == CAPP_OK)
            status = one_pass(self, lock, &outcome, &error);
        if (status != CAPP_OK)
            capp_log(self->log, CAPP_LOG_WARN, "restock", "%s", error.message);
        status = CAPP_OK;
        restock_settings settings = settings_now(self);
        if (!settings.enabled || !capp_worker_wait(worker, settings.interval_ms))
            return;
    }
    capp_log(self->log, CAPP_LOG_WARN, "restock", "the lock was lost");
}

static void set_role(restock *self, bool restocks)
{
    atomic_store(&self->counters->restocks, restocks);
    capp_set_status(self->app, restocks ? "restocking" : "not restocking");
}

static capp_status take_turn(restock *self, capp_worker *worker, int64_t lock_ttl_ms, capp_error *reterr)
{
    etcd_lock *lock = NULL;
    etcd_error err;

    if (etcd_lock_acquire(self->etcd, stock_lock_name(self->stock),
                          ETCD_LOCK_OPTS(.ttl_s = lock_ttl_ms / 1000, .timeout_ms = QUEUE_MS), &lock,
                          &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    capp_log_with(self->log, CAPP_LOG_INFO, "restock",
                  CAPP_LOG_FIELDS(CAPP_LOG_INT("fence", etcd_lock_fence(lock))), "this instance restocks");
    set_role(self, true);
    lead(self, worker, lock);
    set_role(self, false);
    if (etcd_lock_release(lock, 0, &err) != ETCD_OK)
        capp_log(self->log, CAPP_LOG_WARN, "restock", "%s", err.message);
    return CAPP_OK;
}

static capp_status restock_run(void *object, capp_worker *worker, capp_error *reterr)
{
    restock *self = object;
    capp_status status = CAPP_OK;

    while (status == CAPP_OK && !capp_worker_stopping(worker)) {
        restock_settings settings = settings_now(self);

        if (!settings.enabled)
            capp_worker_wait(worker, DISABLED_MS);
        else
            status = take_turn(self, worker, settings.lock_ttl_ms, reterr);
        if (status == CAPP_E_TIMEOUT)
            status = CAPP_OK; /* another instance has the lock: queue again */
    }
    return status;
}

static const capp_inject restock_deps[] = {
    CAPP_INJECT(restock, etcd, etcd_client),
    CAPP_INJECT(restock, log, capp_logger),
    CAPP_INJECT(restock, stock, stock),
    CAPP_INJECT(restock, app, capp_app),
    CAPP_INJECT(restock, counters, counters),
    CAPP_INJECT_MONITOR(restock, settings, restock_settings),
    CAPP_INJECT_MONITOR(restock, rules, stock_settings),
};
/* What fails because servers are away succeeds when they are back. */
static const capp_worker_opts restock_again = {.size = sizeof(restock_again),
                                               .policy = CAPP_WORKER_RESTART,
                                               .backoff_min_ms = 500,
                                               .backoff_max_ms = 5000};
const capp_service restock_service = CAPP_SERVICE(restock, CAPP_INJECTS(restock_deps), .run = restock_run,
                                                  .run_opts = &restock_again);
