/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file op.h
 * One call under way, as the `_async` functions make it.
 *
 * Wait for it, poll it, give it a callback, or cancel it; then fetch its outcome with the `_take` function of
 * its kind (etcd_get_take() for etcd_get_async()). The blocking calls are exactly that: start, wait, take.
 */
#ifndef ETCDC_OP_H
#define ETCDC_OP_H

#include <etcdc/error.h>
#include <etcdc/types.h>

ETCD_BEGIN_DECLS

/** A call under way, or done. Belongs to whoever started it: etcd_op_free(). */
typedef struct etcd_op etcd_op;

/**
 * Runs once, when the operation is done: on the loop's thread, or inside etcd_loop_process(); never inside
 * the call that started it. `op` is borrowed until it returns (take the result here, or keep the handle you
 * own). No blocking calls on the same loop in here: they return ETCD_E_WOULD_DEADLOCK.
 */
typedef void etcd_op_fn(etcd_op *op, void *user_data);

/**
 * Waits until the operation is done.
 *
 * @param op  Borrowed.
 * @param timeout_ms  At most so long; 0 looks without waiting; ETCD_TIMEOUT_NONE: as long as the operation's
 *                    own deadline allows. Running out of time here does not end the operation.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK                Done, successful or not: etcd_op_status() says.
 * @retval ETCD_E_BUSY            Not done yet.
 * @retval ETCD_E_WOULD_DEADLOCK  Called from a callback of the same loop.
 * @retval ETCD_E_INVALID_ARGUMENT  `timeout_ms` is negative.
 * @retval ETCD_E_IO              Caller drive: the loop cannot wait for events.
 * @par Threads Any (caller drive: the loop's thread).
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_op_wait(etcd_op *op, int64_t timeout_ms, etcd_error *reterr);

/** Whether the operation is done. Any thread. @since 0.1 */
ETCD_API bool etcd_op_done(const etcd_op *op);

/** How it ended; ETCD_E_BUSY while it has not. `reterr` is filled when it failed. Any thread. @since 0.1 */
ETCD_API etcd_status etcd_op_status(const etcd_op *op, etcd_error *reterr);

/**
 * Asks for the end of the operation. It ends with ETCD_E_CANCELLED, unless it was done already; a write
 * that may have reached a server carries ETCD_ERROR_MAYBE_APPLIED. Does not wait. Any thread (caller drive:
 * the loop's).
 * @since 0.1
 */
ETCD_API void etcd_op_cancel(etcd_op *op);

/**
 * Gives the handle back; a result that was not taken is freed with it. An operation that is still under way
 * goes on unobserved, its callback still comes: cancel it first if it should end. NULL is fine. Any thread,
 * also from its callback.
 * @since 0.1
 */
ETCD_API void etcd_op_free(etcd_op *op);

ETCD_END_DECLS

#endif
