/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Becoming the owner, staying it, and giving it up. Whose turn it is is line.c's business. What a contender
 * leaves behind goes with its lease, and only with that: nobody else's key is ever deleted.
 */
#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "etcdc/txn.h"
#include "recipes/line.h"

#include <inttypes.h>
#include <string.h>

enum {
    DEFAULT_TTL_S = 60,
    SHOWN_MAX = 96, /* of a name, in messages */
    GRACE_MS = 250, /* for what need not be waited for: enough for a server that answers at all */
    GUARD_MS = 100, /* from when on the key is watched: most locks are released before */
};

static struct etcd__line *line_new(etcd_client *client, etcd_bytes name, etcd_bytes value)
{
    struct etcd__line *line;

    if (name.len > SIZE_MAX - sizeof(*line) - ETCD__LEASE_HEX_MAX - 2)
        return NULL;
    line = etcd__calloc(1, sizeof(*line) + name.len + 1 + ETCD__LEASE_HEX_MAX + 1);
    if (line == NULL)
        return NULL;
    line->client = client;
    line->value = value;
    memcpy(line->key, name.data, name.len);
    line->key[name.len] = '/';
    line->prefix_len = name.len + 1;
    return line;
}

/* ---- acquire --------------------------------------------------------------------------------------- */

static void on_guard(etcd_watch *watch, const etcd_events *events, etcd_status status, const etcd_error *err,
                     void *user_data)
{
    struct etcd__line *line = user_data;
    etcd_error why;

    (void)watch;
    (void)status;
    (void)err;
    if (events == NULL)
        return; /* cancelled with the other waits, say: the renewal still tells when
               the lease is lost */
    etcd__fail(&why, ETCD_E_LEASE_LOST, "its key was deleted, or its lease revoked, by somebody else");
    etcd__session_lose(line->session, ETCD_E_LEASE_LOST, &why);
}

/*
 * Ownership is the key, and with a long TTL the next renewal is far away: a watch tells when somebody deletes
 * the key or revokes the lease, also if that was before it came to watch.
 */
static etcd_status hold(struct etcd__line *line, etcd__session_lost_fn *on_lost, void *user, etcd_error *err)
{
    etcd_status st;

    st = etcd_watch_open(line->client, etcd__line_key(line),
                         ETCD_WATCH_OPTS(.start_revision = line->owned_at + 1, .delay_ms = GUARD_MS,
                                         .no_put = true, .on_events = on_guard, .user_data = line,
                                         .quiet_close = true),
                         &line->guard, err);
    return st != ETCD_OK ? st : etcd__session_arm(line->session, on_lost, user, err);
}

static void abandon(struct etcd__line *line, int64_t grace_ms)
{
    etcd_watch_close(line->guard);
    etcd__session_abandon(line->session, grace_ms);
    line->guard = NULL;
    line->session = NULL;
}

static etcd_status await_ownership(struct etcd__line *line, const struct etcd__line_opts *opts,
                                   struct etcd__limit *limit, etcd_error *err)
{
    bool owner = false;
    etcd_status st;

    st = etcd__line_join(line, opts->ttl_s == 0 ? DEFAULT_TTL_S : opts->ttl_s, limit, &owner, err);
    line->value = etcd_bytes_of(NULL, 0);
    if (st == ETCD_OK && !owner && opts->try_only)
        st = etcd__fail(err, ETCD_E_BUSY, "somebody else holds it");
    else if (st == ETCD_OK && !owner)
        st = etcd__line_await_turn(line, limit, err);
    return st;
}

static etcd_status check(const etcd_client *client, etcd_bytes name, const struct etcd__line_opts *opts,
                         etcd_error *reterr)
{
    if (client == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "client is NULL");
    if (name.len == 0 || name.data == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "name is empty");
    if (opts->value.len > 0 && opts->value.data == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "value has %zu bytes at NULL", opts->value.len);
    if (opts->ttl_s < 0 || opts->ttl_s > ETCD_LEASE_TTL_MAX)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "ttl_s is %" PRId64 ", not 0 .. %" PRId64,
                          opts->ttl_s, ETCD_LEASE_TTL_MAX);
    if (etcd_client_drive(client) == ETCD_DRIVE_CALLER && !opts->allow_caller_drive)
        return etcd__fail(reterr, ETCD_E_PRECONDITION,
                          "%s: under caller drive it is lost unless the program pumps the loop; "
                          "set allow_caller_drive if it does",
                          opts->what);
    return ETCD_OK;
}

static void show_failure(etcd_error *reterr, const etcd_error *err, const char *what, etcd_bytes name)
{
    char shown[SHOWN_MAX];

    etcd__error_copy(reterr, err);
    etcd__error_prefix(reterr, "%s \"%s\"", what, etcd__escape(shown, sizeof(shown), name.data, name.len));
}

etcd_status etcd__line_acquire(etcd_client *client, etcd_bytes name, const struct etcd__line_opts *opts,
                               etcd__session_lost_fn *on_lost, void *user, struct etcd__line **ret_line,
                               etcd_error *reterr)
{
    struct etcd__limit limit;
    struct etcd__line *line;
    etcd_error err;
    etcd_status st = check(client, name, opts, reterr);

    if (st == ETCD_OK)
        st = etcd__limit_start(&limit, client, opts->timeout_ms, reterr);
    if (st != ETCD_OK)
        return st;
    line = line_new(client, name, opts->value);
    if (line == NULL)
        return etcd__fail_memory(reterr);
    *ret_line = line; /* before a loss can be told */
    st = await_ownership(line, opts, &limit, &err);
    if (st == ETCD_OK)
        st = hold(line, on_lost, user, &err);
    if (st != ETCD_OK) {
        show_failure(reterr, &err, opts->what, name);
        abandon(line, GRACE_MS);
        etcd__free(line);
        *ret_line = NULL;
    }
    return st;
}

/* Nothing is heard of the line after this; the lease is left alone. */
static void close_session(struct etcd__line *line)
{
    etcd_watch_close(line->guard);
    etcd__session_close(line->session);
    line->guard = NULL;
    line->session = NULL;
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

static etcd_txn *fenced_delete(const struct etcd__line *line)
{
    etcd_bytes key = etcd__line_key(line);
    etcd_txn *txn = etcd_txn_new();

    etcd_txn_if(txn, key, ETCD_CMP_CREATE_REVISION, ETCD_CMP_EQUAL, line->fence);
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

static void say_farewell(struct farewell *bye, const struct etcd__line *line, int64_t lease_id,
                         int64_t timeout_ms)
{
    etcd_txn *txn = fenced_delete(line);

    bye->key_status = etcd_txn_commit_async(line->client, txn, ETCD_TXN_OPTS(.timeout_ms = timeout_ms), NULL,
                                            NULL, &bye->key_op, &bye->key_err);
    etcd_txn_free(txn);
    bye->lease_status = etcd_lease_revoke_async(line->client, lease_id,
                                                ETCD_LEASE_OPTS(.timeout_ms = timeout_ms), NULL, NULL,
                                                &bye->lease_op, &bye->lease_err);
}

static void hear_farewell(struct farewell *bye)
{
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

/*
 * Whatever comes of it, the session is gone afterwards. It is closed while the requests are under way, so
 * that the loop has one turn for all.
 */
static etcd_status release(struct etcd__line *line, const struct etcd__limit *limit, etcd_error *err)
{
    struct farewell bye = {.key_op = NULL};
    etcd_lease lease = etcd__session_lease(line->session);
    etcd_status st = etcd__session_told(line->session, err);
    int64_t left;

    if (st == ETCD_OK)
        st = etcd__limit_left(limit, &left, err);
    if (st != ETCD_OK) {
        abandon(line, st == ETCD_E_LEASE_LOST ? GRACE_MS : 0);
        return st;
    }
    say_farewell(&bye, line, lease.id, left);
    close_session(line);
    hear_farewell(&bye);
    st = judge(&bye, err);
    etcd_txn_result_free(bye.result);
    if (bye.lease_status != ETCD_OK && bye.lease_status != ETCD_E_LEASE_NOT_FOUND)
        etcd__lease_give_back(line->client, lease, 0);
    return st;
}

etcd_status etcd__line_release(struct etcd__line *line, const char *what, int64_t timeout_ms,
                               etcd_error *reterr)
{
    struct etcd__limit limit;
    etcd_error err;
    etcd_status st;

    etcd__session_disarm(line->session);
    st = etcd__limit_start(&limit, line->client, timeout_ms, &err);
    if (st == ETCD_OK)
        st = release(line, &limit, &err);
    else
        abandon(line, 0);
    if (st != ETCD_OK)
        show_failure(reterr, &err, what, etcd__line_name(line));
    etcd__free(line);
    return st;
}
