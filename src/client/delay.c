/* SPDX-License-Identifier: Apache-2.0 */
#include "client/delay.h"

#include "client/client.h"
#include "runtime/op.h"

#include <inttypes.h>

struct delay_op {
    struct etcd_op op;
    struct etcd_client *client; /* referenced */
    struct etcd__node node;     /* client->delays */
    struct etcd__work submit;
    struct etcd__timer timer;
    int64_t until_ms;
};

static const char delay_kind[] = "delay";

static struct delay_op *of(struct etcd_op *op)
{
    return ETCD__CONTAINER(op, struct delay_op, op);
}

static void destroy(struct etcd_op *op)
{
    struct delay_op *delay = of(op);
    struct etcd_client *client = delay->client;

    etcd__free(delay);
    etcd__client_unref(client);
}

static void complete(struct delay_op *delay, etcd_status status, const char *reason)
{
    etcd_error err;

    etcd__timer_disarm(etcd__client_reactor(delay->client), &delay->timer);
    etcd__node_unlink(&delay->node);
    if (status != ETCD_OK)
        (void)etcd__fail(&err, status, "delay: client '%s': %s", etcd__client_label(delay->client), reason);
    etcd__op_complete(&delay->op, status, &err);
}

static void on_cancel(struct etcd_op *op)
{
    complete(of(op), ETCD_E_CANCELLED, "cancelled");
}

static void on_timer(struct etcd__timer *timer)
{
    complete(ETCD__CONTAINER(timer, struct delay_op, timer), ETCD_OK, NULL);
}

static void on_submit(struct etcd__work *work)
{
    struct delay_op *delay = ETCD__CONTAINER(work, struct delay_op, submit);

    if (delay->client->torn_down) {
        complete(delay, ETCD_E_CLOSED, "the client was closed");
        return;
    }
    etcd__list_push(&delay->client->delays, &delay->node);
    if (delay->until_ms != INT64_MAX)
        etcd__timer_arm(etcd__client_reactor(delay->client), &delay->timer, delay->until_ms);
}

void etcd__delay_close_all(struct etcd_client *client)
{
    struct etcd__node *node;

    while ((node = etcd__list_first(&client->delays)) != NULL)
        complete(ETCD__CONTAINER(node, struct delay_op, node), ETCD_E_CLOSED, "the client was closed");
}

etcd_status etcd_client_delay_async(etcd_client *client, int64_t delay_ms, etcd_op_fn *on_done,
                                    void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    struct delay_op *delay;
    etcd_status st = etcd__client_check(client, reterr);

    if (st != ETCD_OK)
        return st;
    if (delay_ms < 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "delay: delay_ms is %" PRId64, delay_ms);
    delay = ETCD__NEW(struct delay_op);
    if (delay == NULL)
        return etcd__fail_memory(reterr);
    etcd__client_ref(client);
    delay->client = client;
    delay->until_ms = etcd__loop_after_ms(client->loop, delay_ms);
    delay->submit.run = on_submit;
    delay->timer.on_expire = on_timer;
    etcd__op_init(&delay->op, client->loop, delay_kind, on_done, user_data);
    delay->op.destroy = destroy;
    delay->op.on_cancel = on_cancel;
    if (ret_op != NULL) {
        etcd__op_ref(&delay->op);
        *ret_op = &delay->op;
    }
    etcd__loop_post(client->loop, &delay->submit);
    return ETCD_OK;
}
