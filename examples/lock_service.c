/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A distributed lock: two workers take turns, and so would any number of processes.
 *
 *     lock_service [--once]      --once ends the program after a few turns
 */
#include <capp/etcd.h>

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define LOCK "/etcdc-examples/locks/nightly"
#define OWNER "/etcdc-examples/lock_service/owner"

/* ---- the service -------------------------------------------------------------------------------------- */

typedef struct lock_service {
    etcd_client *etcd;
} lock_service;

CAPP_TYPE_DEFINE(lock_service);

static const capp_inject lock_service_deps[] = {CAPP_INJECT(lock_service, etcd, etcd_client)};
static const capp_service lock_service_def = CAPP_SERVICE(lock_service, CAPP_INJECTS(lock_service_deps),
                                                          .lifetime = CAPP_SINGLETON);

/* The ten seconds are for all of it: the session, the queue and the wait. A failure leaves nothing behind. */
static capp_status acquire_lock(lock_service *self, const char *lock_key, int64_t ttl_s, etcd_lock **ret_lock,
                                capp_error *reterr)
{
    etcd_error err;

    if (etcd_lock_acquire(self->etcd, etcd_cstr(lock_key),
                          ETCD_LOCK_OPTS(.ttl_s = ttl_s, .timeout_ms = 10000), ret_lock, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    return CAPP_OK;
}

/* Gives up the key, the lease, its renewal and the handle. Says so when the lock had been lost before. */
static capp_status release_lock(etcd_lock *lock, capp_error *reterr)
{
    etcd_error err;

    if (etcd_lock_release(lock, 5000, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    return CAPP_OK;
}

/* ---- the demonstration -------------------------------------------------------------------------------- */

enum { TURNS = 3, TTL_S = 10, WORK_MS = 100 };

/* What the lock guards; shared by the workers. */
struct demo {
    bool once;
    atomic_int inside;
    atomic_int_least64_t last_fence;
    atomic_int finished;
};

/* A write that only the owner of the lock can make, even if it has lost the lock and does not know: */
static capp_status write_guarded(lock_service *service, const etcd_lock *lock, const char *who,
                                 capp_error *reterr)
{
    etcd_txn_result *result = NULL;
    etcd_txn *txn = etcd_txn_new();
    etcd_error err;
    capp_status status = CAPP_OK;

    /* it takes place if the lock's key is still the one whose creation is our fencing number. */
    etcd_txn_if(txn, etcd_lock_key(lock), ETCD_CMP_CREATE_REVISION, ETCD_CMP_EQUAL, etcd_lock_fence(lock));
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr(OWNER), etcd_cstr(who),
                 ETCD_PUT_OPTS(.lease_id = etcd_lock_lease_id(lock)));
    if (etcd_txn_commit(service->etcd, txn, NULL, &result, &err) != ETCD_OK)
        status = capp_error_from_etcd(&err, reterr);
    else if (!etcd_txn_result_succeeded(result))
        status = capp_fail(reterr, CAPP_E_EXTERNAL, "%s has lost the lock", who);
    etcd_txn_result_free(result);
    etcd_txn_free(txn);
    return status;
}

static capp_status work(capp_worker *worker, lock_service *service, struct demo *demo, const etcd_lock *lock,
                        capp_error *reterr)
{
    const char *who = capp_worker_name(worker);
    int64_t fence = etcd_lock_fence(lock);

    if (atomic_fetch_add(&demo->inside, 1) != 0)
        return capp_fail(reterr, CAPP_E_INTERNAL, "two owners at the same time");
    if (atomic_exchange(&demo->last_fence, fence) >= fence)
        return capp_fail(reterr, CAPP_E_INTERNAL, "the fencing number does not grow");
    printf("%s has the lock, fencing number %" PRId64 "\n", who, fence);
    capp_status status = write_guarded(service, lock, who, reterr);
    capp_worker_wait(worker, WORK_MS); /* the work; long ones ask etcd_lock_held() between their steps */
    atomic_fetch_sub(&demo->inside, 1);
    return status;
}

static capp_status turn(capp_worker *worker, lock_service *service, struct demo *demo, capp_error *reterr)
{
    etcd_lock *lock = NULL;
    capp_error error;
    capp_status status = acquire_lock(service, LOCK, TTL_S, &lock, reterr);

    if (status != CAPP_OK)
        return status;
    status = work(worker, service, demo, lock, reterr);
    capp_status released = release_lock(lock, &error);
    if (status == CAPP_OK && released != CAPP_OK && reterr != NULL)
        *reterr = error;
    return status == CAPP_OK ? released : status;
}

static capp_status take_turns(capp_worker *worker, void *user_data, capp_error *reterr)
{
    struct demo *demo = user_data;
    lock_service *service = capp_get(capp_worker_app(worker), lock_service, reterr);
    capp_status status = service == NULL ? CAPP_E_NOT_FOUND : CAPP_OK;

    for (int i = 0; (i < TURNS || !demo->once) && status == CAPP_OK && !capp_worker_stopping(worker); i++)
        status = turn(worker, service, demo, reterr);
    if (atomic_fetch_add(&demo->finished, 1) == 1)
        capp_stop(capp_worker_app(worker));
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
    struct demo demo = {.once = argc > 1 && strcmp(argv[1], "--once") == 0};
    capp_builder *app = capp_builder_new();

    setvbuf(stdout, NULL, _IOLBF, 0);
    capp_configure(app, capp_etcd(clients, NULL));
    capp_add_service(app, &lock_service_def);
    capp_add_worker(app, "day", take_turns, &demo);
    capp_add_worker(app, "night", take_turns, &demo);
    return capp_main(app);
}
