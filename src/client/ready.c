/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ready.h"

#include "client/client.h"
#include "runtime/op.h"

#include <inttypes.h>

struct ready_op {
    struct etcd_op op;
    struct etcd_client *client; /* referenced */
    struct etcd__node node;     /* client->ready_waiters */
    struct etcd__work submit;
    struct etcd__timer deadline;
    struct etcd__auth_waiter login;
    struct etcd__task check; /* completes from a turn of its own, never inside a call of the channel */
    int64_t deadline_ms;
    bool logged_in;
};

static const char ready_kind[] = "wait_ready";

static struct ready_op *of(struct etcd_op *op)
{
    return ETCD__CONTAINER(op, struct ready_op, op);
}

static void destroy(struct etcd_op *op)
{
    struct ready_op *ready = of(op);
    struct etcd_client *client = ready->client;

    etcd__free(ready);
    etcd__client_unref(client);
}

/* ---- the end --------------------------------------------------------------------------------------- */

static void complete(struct ready_op *ready, etcd_status status, const etcd_error *err)
{
    etcd__timer_disarm(etcd__client_reactor(ready->client), &ready->deadline);
    etcd__task_cancel(&ready->check);
    etcd__auth_unwait(&ready->login);
    etcd__node_unlink(&ready->node);
    etcd__op_complete(&ready->op, status, err);
}

static void fail(struct ready_op *ready, etcd_status status, const char *reason)
{
    etcd_error err;

    (void)etcd__fail(&err, status, "wait_ready: client '%s': %s", etcd__client_label(ready->client), reason);
    if (status != ETCD_E_CLOSED && status != ETCD_E_CANCELLED)
        err.flags |= ETCD_ERROR_RETRYABLE;
    complete(ready, status, &err);
}

static void on_cancel(struct etcd_op *op)
{
    fail(of(op), ETCD_E_CANCELLED, "cancelled");
}

static void on_deadline(struct etcd__timer *timer)
{
    struct ready_op *ready = ETCD__CONTAINER(timer, struct ready_op, deadline);
    const etcd_error *last = etcd__channel_last_error(ready->client->channel);

    if (etcd__channel_connected(ready->client->channel))
        fail(ready, ETCD_E_DEADLINE, "the login was not answered in time");
    else
        fail(ready, ETCD_E_UNAVAILABLE,
             last->status != ETCD_OK ? last->message : "no server reached in time: still connecting");
}

/* ---- on the way ------------------------------------------------------------------------------------ */

static void on_check(struct etcd__task *task)
{
    struct ready_op *ready = ETCD__CONTAINER(task, struct ready_op, check);

    if (ready->logged_in && etcd__channel_connected(ready->client->channel))
        complete(ready, ETCD_OK, NULL);
}

static void on_login(struct etcd__auth_waiter *waiter, etcd_status status, const etcd_error *err)
{
    struct ready_op *ready = ETCD__CONTAINER(waiter, struct ready_op, login);

    if (status != ETCD_OK) {
        complete(ready, status, err);
        return;
    }
    ready->logged_in = true;
    etcd__task_post(etcd__client_reactor(ready->client), &ready->check);
}

static void on_submit(struct etcd__work *work)
{
    struct ready_op *ready = ETCD__CONTAINER(work, struct ready_op, submit);
    struct etcd_client *client = ready->client;

    if (client->torn_down) {
        fail(ready, ETCD_E_CLOSED, "the client was closed");
        return;
    }
    etcd__list_push(&client->ready_waiters, &ready->node);
    if (ready->deadline_ms != INT64_MAX)
        etcd__timer_arm(etcd__client_reactor(client), &ready->deadline, ready->deadline_ms);
    etcd__channel_connect(client->channel);
    etcd__auth_wait(&client->auth, &ready->login);
}

void etcd__ready_notify(struct etcd_client *client)
{
    ETCD__LIST_FOREACH(node, &client->ready_waiters)
    {
        struct ready_op *ready = ETCD__CONTAINER(node, struct ready_op, node);

        etcd__task_post(etcd__client_reactor(client), &ready->check);
    }
}

void etcd__ready_end_all(struct etcd_client *client, etcd_status status, const char *reason)
{
    struct etcd__node *node;

    while ((node = etcd__list_first(&client->ready_waiters)) != NULL)
        fail(ETCD__CONTAINER(node, struct ready_op, node), status, reason);
}

/* ---- starting -------------------------------------------------------------------------------------- */

etcd_status etcd_client_wait_ready_async(etcd_client *client, int64_t timeout_ms, etcd_op_fn *on_done,
                                         void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    struct ready_op *ready;
    etcd_status st = etcd__client_check(client, reterr);

    if (st != ETCD_OK)
        return st;
    if (timeout_ms < 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "wait_ready: timeout_ms is %" PRId64, timeout_ms);
    ready = ETCD__NEW(struct ready_op);
    if (ready == NULL)
        return etcd__fail_memory(reterr);
    etcd__client_ref(client);
    ready->client = client;
    ready->deadline_ms = etcd__loop_after_ms(client->loop,
                                             timeout_ms == 0 ? client->config.dial_timeout_ms : timeout_ms);
    ready->submit.run = on_submit;
    ready->deadline.on_expire = on_deadline;
    ready->login.on_ready = on_login;
    ready->check.run = on_check;
    etcd__op_init(&ready->op, client->loop, ready_kind, on_done, user_data);
    ready->op.destroy = destroy;
    ready->op.on_cancel = on_cancel;
    if (ret_op != NULL) {
        etcd__op_ref(&ready->op);
        *ret_op = &ready->op;
    }
    etcd__loop_post(client->loop, &ready->submit);
    return ETCD_OK;
}

etcd_status etcd_client_wait_ready(etcd_client *client, int64_t timeout_ms, etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = etcd__client_check(client, reterr);

    if (st == ETCD_OK && etcd__loop_would_deadlock(client->loop))
        st = etcd__fail(reterr, ETCD_E_WOULD_DEADLOCK,
                        "wait_ready: a blocking call inside a callback of the same loop");
    if (st == ETCD_OK)
        st = etcd_client_wait_ready_async(client, timeout_ms, NULL, NULL, &op, reterr);
    if (st != ETCD_OK)
        return st;
    st = etcd__op_wait_overdue(op, of(op)->deadline_ms, "wait_ready", reterr);
    if (st == ETCD_OK)
        st = etcd_op_status(op, reterr);
    etcd_op_free(op);
    return st;
}
