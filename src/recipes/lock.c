/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock. Every contender has a lease and a key `<name>/<lease id>` attached to it; the key that was
 * created first is the owner's. A contender waits for the newest key that is older than its own, so that a
 * release wakes one of them. Keys and steps are those of Go's concurrency package, with which this
 * contends; unlike there, what a contender leaves behind goes with its lease, a release deletes only the
 * key that this owner created, and a lost answer of the transaction that queues is no failure: the key is
 * ours alone, so the transaction may be repeated.
 */
#include "etcdc/lock.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "etcdc/txn.h"
#include "recipes/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    DEFAULT_TTL_S = 60,
    LEASE_HEX_MAX = 16,
    SHOWN_MAX = 96, /* of a name, in messages */
    /*
     * How long a failed acquisition waits for its lease to be revoked: enough for a server that answers at
     * all.
     */
    GRACE_MS = 250,
};

struct etcd_lock {
    etcd_client *client;
    struct etcd__session *session;
    etcd_watch *guard; /* of our key, while the lock is held */
    etcd_lock_lost_fn *on_lost;
    void *user_data;
    int64_t fence;    /* create revision of our key; 0 while it is not known */
    int64_t owned_at; /* a revision at which our key was the oldest */
    size_t prefix_len;
    size_t key_len;
    char key[]; /* <name>/<lease id in hex>, with a NUL */
};

static etcd_bytes prefix_of(const struct etcd_lock *lock)
{
    return etcd_bytes_of(lock->key, lock->prefix_len);
}

static etcd_bytes key_of(const struct etcd_lock *lock)
{
    return etcd_bytes_of(lock->key, lock->key_len);
}

static struct etcd_lock *lock_new(etcd_client *client, etcd_bytes name, const etcd_lock_opts *opts)
{
    struct etcd_lock *lock;

    if (name.len > SIZE_MAX - sizeof(*lock) - LEASE_HEX_MAX - 2)
        return NULL;
    lock = etcd__calloc(1, sizeof(*lock) + name.len + 1 + LEASE_HEX_MAX + 1);
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

static void name_key(struct etcd_lock *lock)
{
    int64_t lease_id = etcd__session_lease_id(lock->session);
    int len = snprintf(lock->key + lock->prefix_len, LEASE_HEX_MAX + 1, "%" PRIx64, (uint64_t)lease_id);

    lock->key_len = lock->prefix_len + (size_t)len;
}

/* ---- the line ----------------------------------------------------------------------------------------- */

static etcd_txn *queueing_txn(const struct etcd_lock *lock)
{
    const etcd_get_opts first = {
        .size = sizeof(first),
        .prefix = true,
        .sort_target = ETCD_SORT_BY_CREATE_REVISION,
        .sort_order = ETCD_SORT_ASCEND,
        .limit = 1,
    };
    etcd_bytes key = key_of(lock), prefix = prefix_of(lock);
    etcd_txn *txn = etcd_txn_new();

    etcd_txn_if_missing(txn, key);
    etcd_txn_put(txn, ETCD_TXN_THEN, key, etcd_cstr(NULL),
                 ETCD_PUT_OPTS(.lease_id = etcd__session_lease_id(lock->session)));
    etcd_txn_get(txn, ETCD_TXN_THEN, prefix, &first);
    etcd_txn_get(txn, ETCD_TXN_ELSE, key, NULL);
    etcd_txn_get(txn, ETCD_TXN_ELSE, prefix, &first);
    return txn;
}

/* The create revision of the only pair that entry `index` read; 0 when it read none. */
static int64_t created_at(const etcd_txn_result *result, size_t index)
{
    const etcd_get_result *get = etcd_txn_result_get(result, index);
    const etcd_kv *kv = get == NULL ? NULL : etcd_get_result_kv(get, 0);

    return kv == NULL ? 0 : kv->create_revision;
}

static etcd_status read_place(struct etcd_lock *lock, const etcd_txn_result *result, bool *ret_owner,
                              etcd_error *reterr)
{
    int64_t oldest = created_at(result, 1);

    lock->fence = etcd_txn_result_succeeded(result) ? etcd_txn_result_header(result)->revision
                                                    : created_at(result, 0);
    if (lock->fence == 0 || oldest == 0)
        return etcd__fail(reterr, ETCD_E_PROTOCOL,
                          "the answer to the queueing transaction lacks the key it wrote");
    *ret_owner = oldest == lock->fence;
    lock->owned_at = etcd_txn_result_header(result)->revision;
    return ETCD_OK;
}

static etcd_status commit_repeatedly(etcd_client *client, const etcd_txn *txn, struct etcd__limit *limit,
                                     bool *ret_repeated, etcd_txn_result **ret_result, etcd_error *err)
{
    etcd_status st;
    int64_t left;

    *ret_repeated = false;
    for (;;) {
        st = etcd__limit_left(limit, &left, err);
        if (st != ETCD_OK)
            return st;
        st = etcd_txn_commit(client, txn, ETCD_TXN_OPTS(.timeout_ms = left), ret_result, err);
        if (st == ETCD_OK || !etcd__limit_repeat(limit, err))
            return st;
        *ret_repeated = true;
    }
}

/* Queues up; tells whether that made us the owner. */
static etcd_status queue_up(struct etcd_lock *lock, struct etcd__limit *limit, bool *ret_owner,
                            etcd_error *err)
{
    etcd_txn *txn = queueing_txn(lock);
    etcd_txn_result *result = NULL;
    etcd_status st;
    bool repeated;

    st = commit_repeatedly(lock->client, txn, limit, &repeated, &result, err);
    etcd_txn_free(txn);
    if (st == ETCD_E_LEASE_NOT_FOUND)
        return etcd__fail(err, ETCD_E_LEASE_LOST, "the lease was revoked before the key could be written");
    if (st == ETCD_OK)
        st = read_place(lock, result, ret_owner, err);
    etcd_txn_result_free(result);
    return st;
}

/* The newest key that is older than ours: the one to wait for. */
static etcd_status get_predecessor(struct etcd_lock *lock, const struct etcd__limit *limit,
                                   etcd_get_result **ret_result, etcd_error *err)
{
    int64_t left;
    etcd_status st = etcd__limit_left(limit, &left, err);

    if (st != ETCD_OK)
        return st;
    return etcd_get(lock->client, prefix_of(lock),
                    ETCD_GET_OPTS(.prefix = true, .max_create_revision = lock->fence - 1,
                                  .sort_target = ETCD_SORT_BY_CREATE_REVISION,
                                  .sort_order = ETCD_SORT_DESCEND, .limit = 1, .keys_only = true,
                                  .timeout_ms = left),
                    ret_result, err);
}

/* Waits until a key is deleted, or until it takes another look to know. */
static etcd_status await_deletion(struct etcd_lock *lock, etcd_bytes key, int64_t from_revision,
                                  const struct etcd__limit *limit, etcd_error *err)
{
    etcd_events *events = NULL;
    etcd_watch *watch = NULL;
    etcd_status st;

    st = etcd_watch_open(lock->client, key, ETCD_WATCH_OPTS(.start_revision = from_revision, .no_put = true),
                         &watch, err);
    if (st != ETCD_OK)
        return st;
    st = etcd__session_watch_next(lock->session, watch, limit, &events, err); /* any event is a deletion */
    etcd_events_free(events);
    etcd_watch_close(watch);
    return st == ETCD_E_COMPACTED || st == ETCD_E_CLUSTER_CHANGED ? ETCD_OK : st;
}

static etcd_status await_turn(struct etcd_lock *lock, const struct etcd__limit *limit, etcd_error *err)
{
    etcd_get_result *older;
    const etcd_kv *kv;
    etcd_status st;
    char shown[SHOWN_MAX];

    for (;;) {
        older = NULL;
        st = get_predecessor(lock, limit, &older, err);
        if (st != ETCD_OK)
            return st;
        kv = etcd_get_result_kv(older, 0);
        if (kv == NULL)
            break;
        st = await_deletion(lock, kv->key, etcd_get_result_header(older)->revision + 1, limit, err);
        if (st == ETCD_E_DEADLINE)
            etcd__fail(err, st, "not free in time: it is behind \"%s\"",
                       etcd__escape(shown, sizeof(shown), kv->key.data, kv->key.len));
        etcd_get_result_free(older);
        if (st != ETCD_OK)
            return st;
    }
    etcd_get_result_free(older);
    return ETCD_OK;
}

/* Nobody is older any more; but our own key may have gone meanwhile, and its place with it. */
static etcd_status confirm_key(struct etcd_lock *lock, const struct etcd__limit *limit, etcd_error *err)
{
    etcd_get_result *result = NULL;
    const etcd_kv *kv;
    etcd_status st;
    int64_t left;

    st = etcd__limit_left(limit, &left, err);
    if (st != ETCD_OK)
        return st;
    st = etcd_get(lock->client, key_of(lock), ETCD_GET_OPTS(.keys_only = true, .timeout_ms = left), &result,
                  err);
    if (st != ETCD_OK)
        return st;
    kv = etcd_get_result_kv(result, 0);
    if (kv == NULL || kv->create_revision != lock->fence)
        st = etcd__fail(err, ETCD_E_LEASE_LOST, "the key was deleted while it waited in line");
    lock->owned_at = etcd_get_result_header(result)->revision;
    etcd_get_result_free(result);
    return st;
}

/* ---- acquire ------------------------------------------------------------------------------------------ */

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
        return; /* cancelled with the other waits, say: the renewal still tells when the lease is lost */
    etcd__fail(&why, ETCD_E_LEASE_LOST, "its key was deleted, or its lease revoked, by somebody else");
    etcd__session_lose(lock->session, ETCD_E_LEASE_LOST, &why);
}

/*
 * Ownership is the key, and with a long TTL the next renewal is far away: a watch tells at once when somebody
 * deletes the key or revokes the lease.
 */
static etcd_status hold(struct etcd_lock *lock, etcd_error *err)
{
    etcd_status st;

    st = etcd_watch_open(lock->client, key_of(lock),
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

    st = etcd__session_open(lock->client, opts->ttl_s == 0 ? DEFAULT_TTL_S : opts->ttl_s, limit,
                            &lock->session, err);
    if (st != ETCD_OK)
        return st;
    name_key(lock);
    st = queue_up(lock, limit, &owner, err);
    if (st != ETCD_OK)
        return st;
    if (!owner) {
        if (opts->try_lock)
            return etcd__fail(err, ETCD_E_BUSY, "somebody else holds it");
        st = await_turn(lock, limit, err);
        if (st == ETCD_OK)
            st = confirm_key(lock, limit, err);
    }
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

/* ---- held --------------------------------------------------------------------------------------------- */

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
    return lock == NULL ? etcd_bytes_of(NULL, 0) : key_of(lock);
}

int64_t etcd_lock_lease_id(const etcd_lock *lock)
{
    return lock == NULL ? 0 : etcd__session_lease_id(lock->session);
}

/* ---- release ------------------------------------------------------------------------------------------ */

/*
 * Deletes our key if it is still the one we created: whoever holds the lock by now, it is not touched.
 * LEASE_LOST when our key was gone; unless an earlier try without an answer may have been what deleted it.
 */
static etcd_status delete_key(struct etcd_lock *lock, struct etcd__limit *limit, etcd_error *err)
{
    etcd_txn *txn = etcd_txn_new();
    etcd_txn_result *result = NULL;
    etcd_status st;
    bool repeated;

    etcd_txn_if(txn, key_of(lock), ETCD_CMP_CREATE_REVISION, ETCD_CMP_EQUAL, lock->fence);
    etcd_txn_delete(txn, ETCD_TXN_THEN, key_of(lock), NULL);
    st = commit_repeatedly(lock->client, txn, limit, &repeated, &result, err);
    etcd_txn_free(txn);
    if (st == ETCD_OK && !repeated && !etcd_txn_result_succeeded(result))
        st = etcd__fail(err, ETCD_E_LEASE_LOST, "its key had been deleted by somebody else");
    etcd_txn_result_free(result);
    return st;
}

/* Whatever comes of it, the session is gone afterwards. */
static etcd_status release(struct etcd_lock *lock, struct etcd__limit *limit, etcd_error *err)
{
    struct etcd__session *session = lock->session;
    etcd_status st, lost;
    etcd_error why;

    stop_guard(lock);
    st = etcd__session_told(session, err);
    if (st == ETCD_OK)
        st = delete_key(lock, limit, err);
    if (st == ETCD_OK)
        return etcd__session_end(session, limit, err);
    lost = etcd__session_told(session, &why);
    if (lost != ETCD_OK) {
        st = lost;
        *err = why;
    }
    etcd__session_abandon(session, st == ETCD_E_LEASE_LOST ? GRACE_MS : 0);
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
