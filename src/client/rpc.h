/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unary calls: one operation, one request, as many attempts as its rules and its deadline allow.
 *
 *   submitted -> (waiting for a login) -> attempt -> (pause) -> attempt ... -> done
 *
 * Repeatable calls are tried again after any passing failure, on another endpoint if there is one; a
 * repeatable call that stays unanswered for about 1 s is tried on another endpoint as well, and the first
 * answer counts. A call that is bound to one endpoint is tried there alone. Others are tried again only when
 * they provably were not processed. The engine keeps one deadline for all of it.
 *
 * What needs a leader tells the member so ("hasleader"): one that has lost its own refuses at once and
 * unprocessed, instead of keeping a write until it knows better or the deadline comes, and the call goes
 * elsewhere.
 */
#ifndef ETCD__CLIENT_RPC_H
#define ETCD__CLIENT_RPC_H

#include "client/auth.h"
#include "client/errors.h"
#include "client/namespace.h"
#include "runtime/op.h"
#include "wire/codec.h"

struct etcd_client;

/* Constant description of a call; its address is the operation's kind. */
struct etcd__rpc_kind {
    struct etcd__method method; /* name: for error texts, "put". Streaming: over with the first answer */
    bool repeatable;            /* doing it twice is doing it once */
    bool writes;                /* a lost answer is MAYBE_APPLIED */
    bool secret;                /* the request has a secret in it: its memory is wiped */
    bool needs_leader; /* a member that has no leader cannot carry it out, unless it is serializable */
    /* Makes the result from the answer. ETCD_E_PROTOCOL, ETCD_E_NO_MEMORY. */
    etcd_status (*decode)(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr);
    void (*free_result)(void *result);
    const struct etcd__scope *scope; /* of its keys; NULL: it has none, or they are whole already */
    /*
     * The same for a large answer, whose memory it takes over instead of copying it; the answer has a byte
     * behind it that may be written. NULL: `decode` is good enough.
     */
    etcd_status (*decode_large)(struct etcd__buf *answer, void **ret_result, etcd_error *reterr);
    /*
     * What a repeated attempt is refused with when an earlier one was carried out ("exists", "not found");
     * ETCD_OK: nothing says so. The call has succeeded then; `decode_request` (NULL: no result) makes the
     * result from what was asked for.
     */
    etcd_status done_before;
    etcd_status (*decode_request)(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr);
};

/* How a call is to be made; the user's time limit and fail_fast are in it too. */
struct etcd__rpc_options {
    int64_t timeout_ms;   /* as the user gave it: 0, ETCD_TIMEOUT_NONE or milliseconds */
    const char *endpoint; /* as the user gave it: the only one to ask; NULL: any */
    bool fail_fast;
    bool idempotent;     /* the user says that doing it twice is doing it once */
    bool in_wait;        /* ends with cancelled waits */
    bool serializable;   /* a read that any member may answer from what it has */
    bool blocking;       /* etcd__rpc_finish() follows at once */
    etcd_op_fn *on_done; /* the user's */
    void *user_data;
};

static inline struct etcd__rpc_options etcd__rpc_blocking(void)
{
    return (struct etcd__rpc_options){.blocking = true};
}

static inline struct etcd__rpc_options etcd__rpc_async(etcd_op_fn *on_done, void *user_data)
{
    return (struct etcd__rpc_options){.on_done = on_done, .user_data = user_data};
}

/*
 * Checks, encodes, submits. *ret_op (NULL: not wanted) gets a reference for the caller. A blocking call is
 * refused with ETCD_E_WOULD_DEADLOCK in a callback. Any thread.
 */
etcd_status etcd__rpc_start(struct etcd_client *client, const struct etcd__rpc_kind *kind,
                            const ProtobufCMessage *request, const struct etcd__rpc_options *options,
                            struct etcd_op **ret_op, etcd_error *reterr);
/*
 * The rest of a blocking call: waits for what etcd__rpc_start() began (`started` is what it returned),
 * takes the result - *ret_result, NULL: not wanted - and frees the operation.
 */
etcd_status etcd__rpc_finish(etcd_status started, struct etcd_op *op, void **ret_result, etcd_error *reterr);

/* What a blocking or other start checks first: `what` is the operation, for the message. Any thread. */
etcd_status etcd__rpc_check(struct etcd_client *client, const char *what, bool blocking, etcd_error *reterr);
/* The end of a time limit that the user gave, from now on. Any thread. */
etcd_status etcd__rpc_deadline(const struct etcd_client *client, const char *what, int64_t timeout_ms,
                               int64_t *ret_deadline_ms, etcd_error *reterr);

/*
 * For the client's own use, engine only, and made as `options` say but for what is the user's: `done` runs in
 * the engine, once, from a later turn, with the operation's outcome; it owns `result`. Stop it with
 * etcd__rpc_abort(), after which `done` does not run.
 */
typedef void etcd__rpc_done_fn(void *user, etcd_status status, void *result, const etcd_error *err);
struct etcd__rpc;
etcd_status etcd__rpc_run(struct etcd_client *client, const struct etcd__rpc_kind *kind,
                          const ProtobufCMessage *request, const struct etcd__rpc_options *options,
                          etcd__rpc_done_fn *done, void *user, struct etcd__rpc **ret_rpc,
                          etcd_error *reterr);
void etcd__rpc_abort(struct etcd__rpc *rpc);

/* Ends the calls that are part of a wait with ETCD_E_CANCELLED. Engine. */
void etcd__rpc_cancel_waits(struct etcd_client *client);
/* Ends the program's calls, not those of the client's own. Engine. */
void etcd__rpc_end_programs(struct etcd_client *client, etcd_status status, const char *reason);
/* Ends every call with ETCD_E_CLOSED. Engine. */
void etcd__rpc_close_all(struct etcd_client *client);

#endif
