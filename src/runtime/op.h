/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operation behind etcd_op: who waits for it, how it ended, what it brought. What it does between is its
 * owner's: an operation is embedded in a larger struct that its `destroy` frees.
 */
#ifndef ETCD__RUNTIME_OP_H
#define ETCD__RUNTIME_OP_H

#include "base/error.h"
#include "etcdc/op.h"
#include "runtime/loop.h"

/* One thread that waits for one operation. */
struct etcd__waiter {
    struct etcd__node node; /* in op->waiters, under shared.mutex */
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool taken; /* under shared.mutex: the engine has it in a list of its own and will wake it */
    bool done;
};

struct etcd_op {
    struct etcd_loop *loop; /* referenced by whoever embeds the operation */
    const void *kind;       /* says which _take function fits */
    void (*destroy)(struct etcd_op *op);
    void (*on_cancel)(struct etcd_op *op); /* engine: end it, unless it is done */
    atomic_int refs;
    atomic_bool done; /* written under shared.mutex; what follows is constant once it is true */
    etcd_status status;
    void *result; /* NULL once it was taken */
    void (*free_result)(void *result);
    bool taken;
    etcd_op_fn *on_done;
    void *user_data;
    struct etcd__callback callback;
    struct etcd__work cancel;
    atomic_bool cancel_posted;
    struct etcd__list waiters;  /* under shared.mutex */
    struct etcd__waiter waiter; /* of the first who waits; others have one on their stack */
    bool waited;                /* under shared.mutex: that one is in use, or was */
    etcd_error error;           /* valid when status is not ETCD_OK */
};

/* Starts with one reference, the engine's, which etcd__op_complete() gives back. Other fields are the
 * caller's. */
void etcd__op_init(struct etcd_op *op, struct etcd_loop *loop, const void *kind, etcd_op_fn *on_done,
                   void *user_data);
void etcd__op_ref(struct etcd_op *op);

/*
 * Ends the operation: wakes waiters, queues the callback, drops the engine's reference - `op` may be gone
 * afterwards. `err` is copied when status is not ETCD_OK. Engine; once.
 */
void etcd__op_complete(struct etcd_op *op, etcd_status status, const etcd_error *err);

/*
 * Waits until the operation is done, at most until then (INT64_MAX: no limit). Pumps under caller drive.
 * ETCD_OK, ETCD_E_BUSY or ETCD_E_WOULD_DEADLOCK.
 */
etcd_status etcd__op_wait_until(struct etcd_op *op, int64_t until_ms, etcd_error *reterr);

/*
 * For blocking calls, whose operation the engine ends at `deadline_ms`: should the loop's thread be held up,
 * the caller goes all the same, a little later. Then the operation is cancelled and `what` timed out:
 * ETCD_E_DEADLINE. Likewise when the loop cannot wait for events, with ETCD_E_IO. Otherwise like
 * etcd__op_wait_until().
 */
etcd_status etcd__op_wait_overdue(struct etcd_op *op, int64_t deadline_ms, const char *what,
                                  etcd_error *reterr);

/*
 * For the _take functions: the outcome, with the result moved to *ret_result (left alone, and kept, when
 * NULL). ETCD_E_BUSY when not done, ETCD_E_INVALID_ARGUMENT for another kind or a result taken twice.
 */
etcd_status etcd__op_take(struct etcd_op *op, const void *kind, void **ret_result, etcd_error *reterr);

#endif
