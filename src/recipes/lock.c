/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock: acquiring, holding, releasing. Who is whose turn is lock_line.c's business. What a contender
 * leaves behind goes with its lease, and only with that: nobody else's key is ever deleted.
 */
#include "etcdc/lock.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "etcdc/txn.h"
#include "recipes/lock_line.h"

#include <inttypes.h>
#include <string.h>

enum {
    DEFAULT_TTL_S = 60,
    SHOWN_MAX = 96, /* of a name, in messages */
    GRACE_MS = 250, /* for what need not be waited for: enough for a server that answers at all */
};

static struct etcd_lock *lock_new(etcd_client *client, etcd_bytes name, const etcd_lock_opts *opts)
{
    struct etcd_lock *lock;

    if (name.len > SIZE_MAX - sizeof(*lock) - ETCD__LEASE_HEX_MAX - 2)
        return NULL;
    lock = etcd__calloc(1, sizeof(*lock) + name.len + 1 + ETCD__LEASE_HEX_MAX + 1);
    if (lock == NULL)
        return NULL;
    lock->client = client;
    lock->on_lost = opts->on_lost;
    lock->user_data = opts->user_data;
    memcpy(lock->key, name.data, name.len);
    lock->key[name.len] = '/';
    lock->prefix_len = name.len + 1;
    return lock;
}

/* ---- acquire --------------------------------------------------------------------------------------- */

static void on_session_lost(void *user, etcd_status status, const etcd_error *err)
{
    struct etcd_lock *lock = user;

    if (lock->on_lost != NULL)
        lock->on_lost(lock, status, err, lock->user_data);
}

static void on_guard(etcd_watch *watch, const etcd_events *events, etcd_status status, const etcd_error *err,
                     void *user_data)
{
    struct etcd_lock *lock = user_data;
    etcd_error why;

    (void)watch;
    (void)status;
    (void)err;
    if (events == NULL)
        return; /* cancelled with the other waits, say: the renewal still tells when
               the lease is lost */
    etcd__fail(&why, ETCD_E_LEASE_LOST, "its key was deleted, or its lease revoked, by somebody else");
    etcd__session_lose(lock->session, ETCD_E_LEASE_LOST, &why);
}

/*
 * Ownership is the key, and with a long TTL the next renewal is far away: a watch tells at once when
 * somebody deletes the key or revokes the lease.
 */
static etcd_status hold(struct etcd_lock *lock, etcd_error *err)
{
    etcd_status st;

    st = etcd_watch_open(lock->client, etcd__lock_key(lock),
                         ETCD_WATCH_OPTS(.start_revision = lock->owned_at + 1, .no_put = true,
                                         .on_events = on_guard, .user_data = lock),
                         &lock->guard, err);
    return st != ETCD_OK ? st : etcd__session_arm(lock->session, on_session_lost, lock, err);
}

/* Nothing is heard of the lock after this. */
static void stop_guard(struct etcd_lock *lock)
{
    etcd__session_disarm(lock->session);
    etcd_watch_close(lock->guard);
    lock->guard = NULL;
}

static etcd_status acquire(struct etcd_lock *lock, const etcd_lock_opts *opts, struct etcd__limit *limit,
                           etcd_error *err)
{
    bool owner = false;
    etcd_status st;

    st = etcd__lock_join(lock, opts->ttl_s == 0 ? DEFAULT_TTL_S : opts->ttl_s, limit, &owner, err);
    if (st == ETCD_OK && !owner && opts->try_lock)
        st = etcd__fail(err, ETCD_E_BUSY, "somebody else holds it");
    else if (st == ETCD_OK && !owner)
        st = etcd__lock_await_turn(lock, limit, err);
    return st != ETCD_OK ? st : hold(lock, err);
}

static etcd_status check_arguments(const etcd_client *client, etcd_bytes name, const etcd_lock_opts *opts,
                                   etcd_error *reterr)
{
    if (client == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "client is NULL");
    if (name.len == 0 || name.data == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "name is empty");
    if (opts->ttl_s < 0 || opts->ttl_s > ETCD_LEASE_TTL_MAX)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "ttl_s is %" PRId64 ", not 0 .. %" PRId64,
                          opts->ttl_s, ETCD_LEASE_TTL_MAX);
    if (etcd_client_drive(client) == ETCD_DRIVE_CALLER && !opts->allow_caller_drive)
        return etcd__fail(reterr, ETCD_E_PRECONDITION,
                          "under caller drive a lock is lost unless the program pumps the loop; "
                          "set allow_caller_drive if it does");
    return ETCD_OK;
}

static void show_failure(etcd_error *reterr, const etcd_error *err, const char *what, etcd_bytes name)
{
    char shown[SHOWN_MAX];

    etcd__error_copy(reterr, err);
    etcd__error_prefix(reterr, "%s \"%s\"", what, etcd__escape(shown, sizeof(shown), name.data, name.len));
}

etcd_status etcd_lock_acquire(etcd_client *client, etcd_bytes name, const etcd_lock_opts *opts,
                              etcd_lock **ret_lock, etcd_error *reterr)
{
    etcd_lock_opts own = ETCD_LOCK_OPTS_INIT;
    struct etcd__limit limit;
    struct etcd_lock *lock;
    etcd_error err;
    etcd_status st;

    st = etcd__opts_import(&own, sizeof(own), opts, "lock", reterr);
    if (st == ETCD_OK)
        st = check_arguments(client, name, &own, reterr);
    if (st == ETCD_OK && ret_lock == NULL)
        st = etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "ret_lock is NULL");
    if (st == ETCD_OK)
        st = etcd__limit_start(&limit, client, own.timeout_ms, reterr);
    if (st != ETCD_OK)
        return st;
    lock = lock_new(client, name, &own);
    if (lock == NULL)
        return etcd__fail_memory(reterr);
    st = acquire(lock, &own, &limit, &err);
    if (st != ETCD_OK) {
        show_failure(reterr, &err, "lock", name);
        etcd_watch_close(lock->guard);
        etcd__session_abandon(lock->session, GRACE_MS);
        etcd__free(lock);
        return st;
    }
    *ret_lock = lock;
    return ETCD_OK;
}

/* ---- held ------------------------------------------------------------------------------------------ */

bool etcd_lock_held(const etcd_lock *lock)
{
    return lock != NULL && etcd__session_alive(lock->session);
}

int64_t etcd_lock_fence(const etcd_lock *lock)
{
    return lock == NULL ? 0 : lock->fence;
}

etcd_bytes etcd_lock_key(const etcd_lock *lock)
{
    return lock == NULL ? etcd_bytes_of(NULL, 0) : etcd__lock_key(lock);
}

int64_t etcd_lock_lease_id(const etcd_lock *lock)
{
    return lock == NULL ? 0 : etcd__session_lease_id(lock->session);
}

/* ---- release --------------------------------------------------------------------------------------- */

/*
 * Two requests that go out together: the key is deleted if it is still the one we created, and the lease
 * is revoked, which deletes it in any case. The first is there for its answer.
 */
struct farewell {
    etcd_op *key_op, *lease_op;
    etcd_txn_result *result;
    etcd_status key_status, lease_status;
    etcd_error key_err, lease_err;
};

static etcd_txn *fenced_delete(const struct etcd_lock *lock)
{
    etcd_bytes key = etcd__lock_key(lock);
    etcd_txn *txn = etcd_txn_new();

    etcd_txn_if(txn, key, ETCD_CMP_CREATE_REVISION, ETCD_CMP_EQUAL, lock->fence);
    etcd_txn_delete(txn, ETCD_TXN_THEN, key, NULL);
    etcd_txn_get(txn, ETCD_TXN_ELSE, key, ETCD_GET_OPTS(.keys_only = true));
    return txn;
}

/* The lease is gone, so the key is: its answer is worth a moment, not the whole time limit. */
static void hurry(etcd_op *op)
{
    if (op != NULL && etcd_op_wait(op, GRACE_MS, NULL) != ETCD_OK)
        etcd_op_cancel(op);
}

static void say_farewell(struct farewell *bye, const struct etcd_lock *lock, int64_t timeout_ms)
{
    etcd_txn *txn = fenced_delete(lock);

    bye->key_status = etcd_txn_commit_async(lock->client, txn, ETCD_TXN_OPTS(.timeout_ms = timeout_ms), NULL,
                                            NULL, &bye->key_op, &bye->key_err);
    etcd_txn_free(txn);
    bye->lease_status = etcd_lease_revoke_async(lock->client, etcd_lock_lease_id(lock),
                                                ETCD_LEASE_OPTS(.timeout_ms = timeout_ms), NULL, NULL,
                                                &bye->lease_op, &bye->lease_err);
    if (bye->lease_status == ETCD_OK)
        bye->lease_status = etcd__op_outcome(bye->lease_op, &bye->lease_err);
    if (bye->lease_status == ETCD_OK || bye->lease_status == ETCD_E_LEASE_NOT_FOUND)
        hurry(bye->key_op);
    if (bye->key_status == ETCD_OK)
        bye->key_status = etcd__op_outcome(bye->key_op, &bye->key_err);
    if (bye->key_status == ETCD_OK)
        bye->key_status = etcd_txn_take(bye->key_op, &bye->result, &bye->key_err);
    etcd_op_free(bye->key_op);
    etcd_op_free(bye->lease_op);
}

/*
 * The key was not ours any more when it was looked at. Not even because the revocation overtook the
 * question?
 */
static bool key_was_lost(const struct farewell *bye)
{
    const etcd_get_result *key = etcd_txn_result_get(bye->result, 0);

    return bye->lease_status == ETCD_E_LEASE_NOT_FOUND || (key != NULL && etcd_get_result_count(key) > 0);
}

/* What the answers say of the time until now. */
static etcd_status judge(const struct farewell *bye, etcd_error *err)
{
    if (bye->key_status == ETCD_OK && !etcd_txn_result_succeeded(bye->result) && key_was_lost(bye))
        return etcd__fail(err, ETCD_E_LEASE_LOST, "its key or its lease was gone already");
    if (bye->lease_status == ETCD_OK)
        return ETCD_OK;
    if (bye->lease_status == ETCD_E_LEASE_NOT_FOUND) {
        if (bye->key_status == ETCD_OK)
            return ETCD_OK; /* the key was there; its lease has ended in between */
        return etcd__fail(err, ETCD_E_LEASE_LOST, "its lease was gone already");
    }
    etcd__error_copy(err, &bye->lease_err);
    return bye->lease_status;
}

/* Whatever comes of it, the session is gone afterwards. */
static etcd_status release(struct etcd_lock *lock, const struct etcd__limit *limit, etcd_error *err)
{
    struct farewell bye = {.key_op = NULL};
    etcd_status st;
    int64_t left;

    stop_guard(lock);
    st = etcd__session_told(lock->session, err);
    if (st == ETCD_OK)
        st = etcd__limit_left(limit, &left, err);
    if (st != ETCD_OK) {
        etcd__session_abandon(lock->session, st == ETCD_E_LEASE_LOST ? GRACE_MS : 0);
        return st;
    }
    say_farewell(&bye, lock, left);
    st = judge(&bye, err);
    etcd_txn_result_free(bye.result);
    if (bye.lease_status == ETCD_OK || bye.lease_status == ETCD_E_LEASE_NOT_FOUND)
        etcd__session_close(lock->session);
    else
        etcd__session_abandon(lock->session, 0);
    return st;
}

etcd_status etcd_lock_release(etcd_lock *lock, int64_t timeout_ms, etcd_error *reterr)
{
    struct etcd__limit limit;
    etcd_error err;
    etcd_status st;

    if (lock == NULL)
        return ETCD_OK;
    st = etcd__limit_start(&limit, lock->client, timeout_ms, &err);
    if (st == ETCD_OK) {
        st = release(lock, &limit, &err);
    } else {
        stop_guard(lock);
        etcd__session_abandon(lock->session, 0);
    }
    if (st != ETCD_OK)
        show_failure(reterr, &err, "release of lock", etcd_bytes_of(lock->key, lock->prefix_len - 1));
    etcd__free(lock);
    return st;
}
