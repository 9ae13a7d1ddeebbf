/* SPDX-License-Identifier: Apache-2.0 */
/* The lock: first place in a line. */
#include "etcdc/lock.h"

#include "base/error.h"
#include "base/mem.h"
#include "recipes/line.h"

struct etcd_lock {
    struct etcd__line *line;
    etcd_lock_lost_fn *on_lost;
    void *user_data;
};

static void on_line_lost(void *user, etcd_status status, const etcd_error *err)
{
    struct etcd_lock *lock = user;

    if (lock->on_lost != NULL)
        lock->on_lost(lock, status, err, lock->user_data);
}

etcd_status etcd_lock_acquire(etcd_client *client, etcd_bytes name, const etcd_lock_opts *opts,
                              etcd_lock **ret_lock, etcd_error *reterr)
{
    etcd_lock_opts own = ETCD_LOCK_OPTS_INIT;
    struct etcd__line_opts how = {.what = "lock"};
    struct etcd_lock *lock;
    etcd_status st;

    st = etcd__opts_import(&own, sizeof(own), opts, "lock", reterr);
    if (st == ETCD_OK && ret_lock == NULL)
        st = etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "ret_lock is NULL");
    if (st != ETCD_OK)
        return st;
    lock = ETCD__NEW(struct etcd_lock);
    if (lock == NULL)
        return etcd__fail_memory(reterr);
    lock->on_lost = own.on_lost;
    lock->user_data = own.user_data;
    how.ttl_s = own.ttl_s;
    how.timeout_ms = own.timeout_ms;
    how.try_only = own.try_lock;
    how.allow_caller_drive = own.allow_caller_drive;
    st = etcd__line_acquire(client, name, &how, on_line_lost, lock, &lock->line, reterr);
    if (st == ETCD_OK)
        *ret_lock = lock;
    else
        etcd__free(lock);
    return st;
}

bool etcd_lock_held(const etcd_lock *lock)
{
    return lock != NULL && etcd__session_alive(lock->line->session);
}

int64_t etcd_lock_fence(const etcd_lock *lock)
{
    return lock == NULL ? 0 : lock->line->fence;
}

etcd_bytes etcd_lock_key(const etcd_lock *lock)
{
    return lock == NULL ? etcd_bytes_of(NULL, 0) : etcd__line_key(lock->line);
}

int64_t etcd_lock_lease_id(const etcd_lock *lock)
{
    return lock == NULL ? 0 : etcd__session_lease(lock->line->session).id;
}

etcd_status etcd_lock_release(etcd_lock *lock, int64_t timeout_ms, etcd_error *reterr)
{
    etcd_status st;

    if (lock == NULL)
        return ETCD_OK;
    st = etcd__line_release(lock->line, "release of lock", timeout_ms, reterr);
    etcd__free(lock);
    return st;
}
