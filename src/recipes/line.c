/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and steps are those of Go's concurrency package, with which this contends; unlike there, what a
 * contender leaves behind goes with its lease, and a lost answer of the transaction that queues is no
 * failure: the key is ours alone, so the transaction may be repeated.
 */
#include "recipes/line.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "etcdc/txn.h"

#include <inttypes.h>
#include <stdio.h>

enum { SHOWN_MAX = 96 }; /* of a key, in messages */

static etcd_bytes prefix_of(const struct etcd__line *line)
{
    return etcd_bytes_of(line->key, line->prefix_len);
}

/* ---- queueing up ----------------------------------------------------------------------------------- */

static etcd_txn *queueing_txn(const struct etcd__line *line, int64_t lease_id)
{
    const etcd_get_opts first = {
        .size = sizeof(first),
        .prefix = true,
        .sort_target = ETCD_SORT_BY_CREATE_REVISION,
        .sort_order = ETCD_SORT_ASCEND,
        .limit = 1,
    };
    etcd_bytes key = etcd__line_key(line), prefix = prefix_of(line);
    etcd_txn *txn = etcd_txn_new();

    etcd_txn_if_missing(txn, key);
    etcd_txn_put(txn, ETCD_TXN_THEN, key, line->value, ETCD_PUT_OPTS(.lease_id = lease_id));
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

static etcd_status read_place(struct etcd__line *line, const etcd_txn_result *result, bool *ret_owner,
                              etcd_error *reterr)
{
    int64_t oldest = created_at(result, 1);

    line->fence = etcd_txn_result_succeeded(result) ? etcd_txn_result_header(result)->revision
                                                    : created_at(result, 0);
    if (line->fence == 0 || oldest == 0)
        return etcd__fail(reterr, ETCD_E_PROTOCOL,
                          "the answer to the queueing transaction lacks the key it wrote");
    *ret_owner = oldest == line->fence;
    line->owned_at = etcd_txn_result_header(result)->revision;
    return ETCD_OK;
}

/* The outcome of the transaction, or of one that has failed in a way that allows another. */
static etcd_status commit_again(struct etcd__line *line, const etcd_txn *txn, struct etcd__limit *limit,
                                etcd_txn_result **ret_result, etcd_error *err)
{
    etcd_status st;
    int64_t left;

    do {
        st = etcd__limit_try(limit, &left, err);
        if (st != ETCD_OK)
            return st;
        st = etcd_txn_commit(line->client, txn, ETCD_TXN_OPTS(.timeout_ms = left, .in_wait = true),
                             ret_result, err);
    } while (st != ETCD_OK && etcd__limit_repeat(limit, err));
    if (st == ETCD_E_LEASE_NOT_FOUND)
        st = etcd__fail(err, ETCD_E_LEASE_LOST, "the lease was revoked before the key could be written");
    return st;
}

/* Where the transaction has overtaken the grant, the server did not know the lease, and now it does. */
static bool may_go_again(struct etcd__limit *limit, etcd_status st, const etcd_error *err)
{
    return st == ETCD_E_LEASE_NOT_FOUND || (st != ETCD_OK && etcd__limit_repeat(limit, err));
}

static etcd_status await_txn(etcd_op *op, etcd_txn_result **ret_result, etcd_error *err)
{
    etcd_status st = etcd__op_outcome(op, err);

    return st != ETCD_OK ? st : etcd_txn_take(op, ret_result, err);
}

/*
 * Sends the transaction and the grant in one write, and waits for both. In this order, since a server runs
 * the newest of the calls that come in together first: Go's scheduler does. Where it does not, the
 * transaction has to go again, no more.
 */
static etcd_status join(struct etcd__line *line, const etcd_txn *txn, struct etcd__session_request *request,
                        struct etcd__limit *limit, etcd_txn_result **ret_result, etcd_error *err)
{
    etcd_error txn_err;
    etcd_op *op = NULL;
    etcd_status st, txn_st;
    int64_t left;

    txn_st = etcd__limit_try(limit, &left, &txn_err);
    if (txn_st == ETCD_OK)
        txn_st = etcd_txn_commit_async(line->client, txn, ETCD_TXN_OPTS(.timeout_ms = left, .in_wait = true),
                                       NULL, NULL, &op, &txn_err);
    st = etcd__session_send(request, limit, err);
    if (st != ETCD_OK)
        etcd_op_cancel(op);
    if (txn_st == ETCD_OK)
        txn_st = await_txn(op, ret_result, &txn_err);
    etcd_op_free(op);
    if (st == ETCD_OK)
        st = etcd__session_finish(request, limit, &line->session, err);
    if (st != ETCD_OK)
        return st;
    if (request->repeated || may_go_again(limit, txn_st, &txn_err)) {
        etcd_txn_result_free(*ret_result);
        *ret_result = NULL;
        return commit_again(line, txn, limit, ret_result, err);
    }
    etcd__error_copy(err, txn_st == ETCD_OK ? NULL : &txn_err);
    return txn_st;
}

static void name_key(struct etcd__line *line, int64_t lease_id)
{
    int len = snprintf(line->key + line->prefix_len, ETCD__LEASE_HEX_MAX + 1, "%" PRIx64, (uint64_t)lease_id);

    line->key_len = line->prefix_len + (size_t)len;
}

etcd_status etcd__line_join(struct etcd__line *line, int64_t ttl_s, struct etcd__limit *limit,
                            bool *ret_owner, etcd_error *err)
{
    struct etcd__session_request request;
    etcd_txn_result *result = NULL;
    etcd_txn *txn;
    etcd_status st;

    etcd__session_prepare(&request, line->client, ttl_s);
    name_key(line, request.lease.id);
    txn = queueing_txn(line, request.lease.id);
    st = join(line, txn, &request, limit, &result, err);
    etcd_txn_free(txn);
    if (st == ETCD_OK)
        st = read_place(line, result, ret_owner, err);
    etcd_txn_result_free(result);
    return st;
}

/* ---- waiting --------------------------------------------------------------------------------------- */

/* The newest key that is older than ours: the one to wait for. */
static etcd_status get_predecessor(struct etcd__line *line, const struct etcd__limit *limit,
                                   etcd_get_result **ret_result, etcd_error *err)
{
    int64_t left;
    etcd_status st = etcd__limit_left(limit, &left, err);

    if (st != ETCD_OK)
        return st;
    return etcd_get(line->client, prefix_of(line),
                    ETCD_GET_OPTS(.prefix = true, .max_create_revision = line->fence - 1,
                                  .sort_target = ETCD_SORT_BY_CREATE_REVISION,
                                  .sort_order = ETCD_SORT_DESCEND, .limit = 1, .keys_only = true,
                                  .timeout_ms = left, .in_wait = true),
                    ret_result, err);
}

/* Waits until a key is deleted, or until it takes another look to know. */
static etcd_status await_deletion(struct etcd__line *line, etcd_bytes key, int64_t from_revision,
                                  const struct etcd__limit *limit, etcd_error *err)
{
    etcd_events *events = NULL;
    etcd_watch *watch = NULL;
    etcd_status st;

    st = etcd_watch_open(line->client, key, ETCD_WATCH_OPTS(.start_revision = from_revision, .no_put = true),
                         &watch, err);
    if (st != ETCD_OK)
        return st;
    st = etcd__session_watch_next(line->session, watch, limit, &events, err); /* any event is a deletion */
    etcd_events_free(events);
    etcd_watch_close(watch);
    return st == ETCD_E_COMPACTED || st == ETCD_E_CLUSTER_CHANGED ? ETCD_OK : st;
}

static etcd_status await_older(struct etcd__line *line, const struct etcd__limit *limit, etcd_error *err)
{
    etcd_get_result *older;
    const etcd_kv *kv;
    etcd_status st;
    char shown[SHOWN_MAX];

    for (;;) {
        older = NULL;
        st = get_predecessor(line, limit, &older, err);
        if (st != ETCD_OK)
            return st;
        kv = etcd_get_result_kv(older, 0);
        if (kv == NULL)
            break;
        st = await_deletion(line, kv->key, etcd_get_result_header(older)->revision + 1, limit, err);
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
static etcd_status confirm_key(struct etcd__line *line, const struct etcd__limit *limit, etcd_error *err)
{
    etcd_get_result *result = NULL;
    const etcd_kv *kv;
    etcd_status st;
    int64_t left;

    st = etcd__limit_left(limit, &left, err);
    if (st != ETCD_OK)
        return st;
    st = etcd_get(line->client, etcd__line_key(line),
                  ETCD_GET_OPTS(.keys_only = true, .timeout_ms = left, .in_wait = true), &result, err);
    if (st != ETCD_OK)
        return st;
    kv = etcd_get_result_kv(result, 0);
    if (kv == NULL || kv->create_revision != line->fence)
        st = etcd__fail(err, ETCD_E_LEASE_LOST, "the key was deleted while it waited in line");
    line->owned_at = etcd_get_result_header(result)->revision;
    etcd_get_result_free(result);
    return st;
}

etcd_status etcd__line_await_turn(struct etcd__line *line, const struct etcd__limit *limit, etcd_error *err)
{
    etcd_status st = await_older(line, limit, err);

    return st != ETCD_OK ? st : confirm_key(line, limit, err);
}
