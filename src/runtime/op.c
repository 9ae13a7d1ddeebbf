/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/op.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

static void run_on_done(struct etcd__callback *callback)
{
    struct etcd_op *op = ETCD__CONTAINER(callback, struct etcd_op, callback);

    op->on_done(op, op->user_data);
    etcd_op_free(op);
}

static void run_cancel(struct etcd__work *work)
{
    struct etcd_op *op = ETCD__CONTAINER(work, struct etcd_op, cancel);

    if (!etcd_op_done(op))
        op->on_cancel(op);
    etcd_op_free(op);
}

void etcd__op_init(struct etcd_op *op, struct etcd_loop *loop, const void *kind, etcd_op_fn *on_done,
                   void *user_data)
{
    op->loop = loop;
    op->kind = kind;
    op->on_done = on_done;
    op->user_data = user_data;
    op->callback.run = run_on_done;
    op->cancel.run = run_cancel;
    atomic_init(&op->refs, 1);
    atomic_init(&op->done, false);
    atomic_init(&op->cancel_posted, false);
    etcd__list_init(&op->waiters);
}

void etcd__op_ref(struct etcd_op *op)
{
    (void)atomic_fetch_add_explicit(&op->refs, 1, memory_order_relaxed);
}

static void deinit_waiter(struct etcd__waiter *waiter)
{
    (void)pthread_mutex_destroy(&waiter->mutex);
    (void)pthread_cond_destroy(&waiter->cond);
}

void etcd_op_free(etcd_op *op)
{
    if (op == NULL || atomic_fetch_sub_explicit(&op->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (op->waited)
        deinit_waiter(&op->waiter);
    if (op->result != NULL && op->free_result != NULL)
        op->free_result(op->result);
    op->destroy(op);
}

/* ---- completion ------------------------------------------------------------------------------------ */

/* With shared.mutex held. */
static void take_waiters(struct etcd_op *op, struct etcd__list *waiters)
{
    ETCD__LIST_FOREACH(node, &op->waiters)
    {
        ETCD__CONTAINER(node, struct etcd__waiter, node)->taken = true;
    }
    etcd__list_splice(waiters, &op->waiters);
}

/*
 * The operation's own waiter outlives the wait. It is woken with its mutex free: otherwise the thread would
 * wake up only to wait for that.
 */
static void wake(struct etcd_op *op, struct etcd__waiter *waiter)
{
    bool own = waiter == &op->waiter;

    (void)pthread_mutex_lock(&waiter->mutex);
    waiter->done = true;
    if (!own)
        (void)pthread_cond_signal(&waiter->cond);
    (void)pthread_mutex_unlock(&waiter->mutex);
    if (own)
        (void)pthread_cond_signal(&waiter->cond);
}

void etcd__op_complete(struct etcd_op *op, etcd_status status, const etcd_error *err)
{
    struct etcd__list waiters;
    struct etcd__node *node;

    assert(!etcd_op_done(op));
    op->status = status;
    if (status != ETCD_OK)
        etcd__error_copy(&op->error, err);
    etcd__list_init(&waiters);
    (void)pthread_mutex_lock(&op->loop->shared.mutex);
    atomic_store_explicit(&op->done, true, memory_order_release);
    take_waiters(op, &waiters);
    (void)pthread_mutex_unlock(&op->loop->shared.mutex);
    while ((node = etcd__list_pop(&waiters)) != NULL)
        wake(op, ETCD__CONTAINER(node, struct etcd__waiter, node));
    if (op->on_done != NULL)
        etcd__loop_call_back(op->loop, &op->callback); /* takes over the engine's reference */
    else
        etcd_op_free(op);
}

bool etcd_op_done(const etcd_op *op)
{
    return atomic_load_explicit(&((etcd_op *)(uintptr_t)op)->done, memory_order_acquire);
}

etcd_status etcd_op_status(const etcd_op *op, etcd_error *reterr)
{
    if (op == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "op is NULL");
    if (!etcd_op_done(op))
        return etcd__fail(reterr, ETCD_E_BUSY, "the operation is not done yet");
    if (op->status != ETCD_OK)
        etcd__error_copy(reterr, &op->error);
    return op->status;
}

etcd_status etcd__op_take(struct etcd_op *op, const void *kind, void **ret_result, etcd_error *reterr)
{
    etcd_status st = etcd_op_status(op, reterr);

    if (st != ETCD_OK)
        return st;
    if (op->kind != kind)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "the operation is of another kind");
    if (ret_result == NULL)
        return ETCD_OK;
    if (op->taken)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "the result was taken before");
    op->taken = true;
    *ret_result = op->result;
    op->result = NULL;
    return ETCD_OK;
}

/* ---- waiting --------------------------------------------------------------------------------------- */

static void init_waiter(struct etcd__waiter *waiter)
{
    pthread_condattr_t attr;

    waiter->taken = waiter->done = false;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&waiter->cond, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&waiter->mutex, NULL);
}

/* The operation's own waiter, or `other` when somebody has that. NULL when the operation is done already. */
static struct etcd__waiter *add_waiter(struct etcd_op *op, struct etcd__waiter *other)
{
    struct etcd__waiter *waiter = NULL;

    (void)pthread_mutex_lock(&op->loop->shared.mutex);
    if (!etcd_op_done(op)) {
        waiter = op->waited ? other : &op->waiter;
        op->waited = true;
        init_waiter(waiter);
        etcd__list_push(&op->waiters, &waiter->node);
    }
    (void)pthread_mutex_unlock(&op->loop->shared.mutex);
    return waiter;
}

/* After giving up. False when the engine has already taken the waiter and is about to wake it. */
static bool remove_waiter(struct etcd_op *op, struct etcd__waiter *waiter)
{
    bool removed;

    (void)pthread_mutex_lock(&op->loop->shared.mutex);
    removed = !waiter->taken;
    if (removed)
        etcd__node_unlink(&waiter->node);
    (void)pthread_mutex_unlock(&op->loop->shared.mutex);
    return removed;
}

/* Waits on the condition; false when the time is over. Condition variables wait on the monotonic clock. */
static bool wait_signal(struct etcd__waiter *waiter, int64_t until_ms)
{
    struct timespec at;
    int64_t left_ms;

    if (until_ms == INT64_MAX)
        return pthread_cond_wait(&waiter->cond, &waiter->mutex) == 0;
    left_ms = until_ms - etcd__clock_ms();
    if (left_ms <= 0)
        return false;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(left_ms / 1000);
    at.tv_nsec += (long)(left_ms % 1000) * 1000000L;
    if (at.tv_nsec >= 1000000000L) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000L;
    }
    (void)pthread_cond_timedwait(&waiter->cond, &waiter->mutex, &at);
    return true;
}

static void wait_on_thread(struct etcd_op *op, int64_t until_ms)
{
    struct etcd__waiter other = {.done = false};
    struct etcd__waiter *waiter = add_waiter(op, &other);
    bool in_time = true, done;

    if (waiter == NULL)
        return;
    (void)pthread_mutex_lock(&waiter->mutex);
    while (!waiter->done && in_time)
        in_time = wait_signal(waiter, until_ms);
    done = waiter->done;
    (void)pthread_mutex_unlock(&waiter->mutex);
    if (!done && !remove_waiter(op, waiter)) {
        (void)pthread_mutex_lock(&waiter->mutex);
        while (!waiter->done)
            (void)pthread_cond_wait(&waiter->cond, &waiter->mutex);
        (void)pthread_mutex_unlock(&waiter->mutex);
    }
    if (waiter == &other)
        deinit_waiter(waiter);
}

/* 0, or why there is no waiting for it. */
static int pump(struct etcd_op *op, int64_t until_ms)
{
    const struct etcd__env *env = &op->loop->reactor.env;
    int err = 0;

    while (!etcd_op_done(op) && err == 0) {
        err = etcd__loop_pump(op->loop, until_ms);
        if (until_ms != INT64_MAX && env->ops->now_ms(env->self) >= until_ms)
            break;
    }
    etcd__loop_hand_over(op->loop);
    return err;
}

etcd_status etcd__op_wait_until(struct etcd_op *op, int64_t until_ms, etcd_error *reterr)
{
    if (etcd_op_done(op))
        return ETCD_OK;
    if (etcd__loop_would_deadlock(op->loop))
        return etcd__fail(reterr, ETCD_E_WOULD_DEADLOCK,
                          "a blocking call inside a callback of the same loop");
    if (etcd__loop_usable(op->loop, reterr) != ETCD_OK)
        return ETCD_E_CLOSED;
    if (op->loop->drive != ETCD_DRIVE_CALLER)
        wait_on_thread(op, until_ms);
    else if (pump(op, until_ms) != 0 && !etcd_op_done(op))
        return etcd__loop_works(op->loop, reterr);
    return etcd_op_done(op) ? ETCD_OK : etcd__fail(reterr, ETCD_E_BUSY, "the operation is not done yet");
}

etcd_status etcd__op_wait_overdue(struct etcd_op *op, int64_t deadline_ms, const char *what,
                                  etcd_error *reterr)
{
    enum { OVERDUE_MS = 200 };
    int64_t until_ms = deadline_ms > INT64_MAX - OVERDUE_MS ? INT64_MAX : deadline_ms + OVERDUE_MS;
    etcd_status st = etcd__op_wait_until(op, until_ms, reterr);

    if (st != ETCD_E_BUSY && st != ETCD_E_IO)
        return st;
    etcd_op_cancel(op);
    if (st == ETCD_E_IO)
        return st;
    return etcd__fail(reterr, ETCD_E_DEADLINE, "%s: the loop's thread did not answer in time", what);
}

etcd_status etcd_op_wait(etcd_op *op, int64_t timeout_ms, etcd_error *reterr)
{
    if (op == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "op is NULL");
    if (timeout_ms < 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "timeout_ms is %lld", (long long)timeout_ms);
    return etcd__op_wait_until(op, etcd__loop_after_ms(op->loop, timeout_ms), reterr);
}

void etcd_op_cancel(etcd_op *op)
{
    if (op == NULL || etcd_op_done(op) || etcd__loop_usable(op->loop, NULL) != ETCD_OK)
        return;
    if (atomic_exchange(&op->cancel_posted, true))
        return;
    etcd__op_ref(op); /* given back by run_cancel() */
    etcd__loop_post(op->loop, &op->cancel);
}
