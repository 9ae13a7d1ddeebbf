/* SPDX-License-Identifier: Apache-2.0 */
#include "client/feed.h"

#include "client/client.h"
#include "client/rpc.h"

#include <assert.h>

struct piece {
    struct etcd__node node;
    void *item;
};

/* One step of the program. */
struct etcd__feed_next {
    struct piece piece; /* first: what nobody takes goes back as this, and is freed as such */
    struct etcd_op op;
    struct etcd__feed *feed; /* referenced */
    struct etcd__work submit;
    struct etcd__timer timer;
    int64_t deadline_ms;
};

static struct etcd__reactor *reactor_of(const struct etcd__feed *feed)
{
    return etcd__client_reactor(feed->client);
}

/* ---- references ------------------------------------------------------------------------------------ */

void etcd__feed_init(struct etcd__feed *feed, struct etcd_client *client, const struct etcd__feed_ops *ops)
{
    feed->ops = ops;
    feed->client = client;
    etcd__client_ref(client);
    atomic_init(&feed->refs, 1);
    etcd__list_init(&feed->items);
}

static void *pop(struct etcd__feed *feed)
{
    struct etcd__node *node = etcd__list_pop(&feed->items);
    struct piece *piece = node == NULL ? NULL : ETCD__CONTAINER(node, struct piece, node);
    void *item = piece == NULL ? NULL : piece->item;

    etcd__free(piece);
    return item;
}

static void drop_items(struct etcd__feed *feed)
{
    void *item;

    while ((item = pop(feed)) != NULL)
        feed->ops->free_item(item);
}

static void unref(struct etcd__feed *feed)
{
    struct etcd_client *client = feed->client;

    if (atomic_fetch_sub_explicit(&feed->refs, 1, memory_order_acq_rel) != 1)
        return;
    drop_items(feed);
    etcd__free(feed->spare);
    feed->ops->destroy(feed);
    etcd__client_unref(client);
}

/* ---- the step that waits --------------------------------------------------------------------------- */

static struct etcd__feed_next *next_of(struct etcd_op *op)
{
    return ETCD__CONTAINER(op, struct etcd__feed_next, op);
}

/* Nobody waits any longer. */
static void leave(struct etcd__feed_next *next)
{
    struct etcd__feed *feed = next->feed;

    if (feed->waiting == next)
        feed->waiting = NULL;
    etcd__timer_disarm(reactor_of(feed), &next->timer);
}

static void fail(struct etcd__feed_next *next, etcd_status status, const char *reason)
{
    struct etcd__feed *feed = next->feed;
    etcd_error err;

    (void)etcd__fail(&err, status, "%s: client '%s': %s", feed->ops->name, etcd__client_label(feed->client),
                     reason);
    if (etcd__status_retryable(status))
        err.flags |= ETCD_ERROR_RETRYABLE;
    leave(next);
    etcd__op_complete(&next->op, status, &err);
}

/* The same, and what was under way for it ends too. */
static void give_up(struct etcd__feed_next *next, etcd_status status, const char *reason)
{
    struct etcd__feed *feed = next->feed;

    if (feed->waiting == next && feed->ops->unwant != NULL)
        feed->ops->unwant(feed);
    fail(next, status, reason);
}

static void on_cancel(struct etcd_op *op)
{
    give_up(next_of(op), ETCD_E_CANCELLED, "cancelled");
}

static void on_timer(struct etcd__timer *timer)
{
    give_up(ETCD__CONTAINER(timer, struct etcd__feed_next, timer), ETCD_E_DEADLINE, "no answer in time");
}

static void hand_over(struct etcd__feed_next *next, void *item)
{
    leave(next);
    next->op.result = item;
    etcd__op_complete(&next->op, ETCD_OK, NULL);
}

static void put_back(struct etcd__work *work)
{
    struct etcd__feed_next *next = ETCD__CONTAINER(work, struct etcd__feed_next, submit);
    struct etcd__feed *feed = next->feed;

    next->piece.item = next->op.result;
    etcd__list_push_front(&feed->items, &next->piece.node);
    if (feed->waiting != NULL) {
        if (feed->ops->unwant != NULL)
            feed->ops->unwant(feed);
        hand_over(feed->waiting, pop(feed));
    }
    unref(feed);
}

/* A piece that was not taken is the next one again. */
static void destroy_next(struct etcd_op *op)
{
    struct etcd__feed_next *next = next_of(op);
    struct etcd__feed *feed = next->feed;

    if (op->result != NULL && etcd__loop_usable(op->loop, NULL) == ETCD_OK) {
        next->submit.run = put_back;
        etcd__loop_post(op->loop, &next->submit);
        return;
    }
    if (op->result != NULL)
        feed->ops->free_item(op->result);
    etcd__free(next);
    unref(feed);
}

static void wait_for_item(struct etcd__feed_next *next)
{
    struct etcd__feed *feed = next->feed;

    if (!etcd__node_linked(&feed->node))
        etcd__list_push(&feed->client->feeds, &feed->node);
    feed->waiting = next;
    etcd__op_ref(&next->op); /* it may be done before want() returns */
    if (feed->ops->want(feed, next->deadline_ms) && feed->waiting == next && next->deadline_ms != INT64_MAX)
        etcd__timer_arm(reactor_of(feed), &next->timer, next->deadline_ms);
    etcd_op_free(&next->op);
}

static void on_submit(struct etcd__work *work)
{
    struct etcd__feed_next *next = ETCD__CONTAINER(work, struct etcd__feed_next, submit);
    struct etcd__feed *feed = next->feed;
    void *item;

    if (feed->closed) {
        fail(next, ETCD_E_CANCELLED, "it was closed");
    } else if (feed->client->torn_down) {
        fail(next, ETCD_E_CLOSED, "the client was closed");
    } else if (feed->waiting != NULL) {
        fail(next, ETCD_E_BUSY, "another call waits for the next part");
    } else if ((item = pop(feed)) != NULL) {
        hand_over(next, item);
        if (etcd__list_empty(&feed->items) && feed->ops->drained != NULL)
            feed->ops->drained(feed);
    } else if (feed->ended) {
        hand_over(next, NULL);
    } else {
        wait_for_item(next);
    }
}

/* ---- for the owner --------------------------------------------------------------------------------- */

bool etcd__feed_reserve(struct etcd__feed *feed)
{
    if (feed->waiting == NULL && feed->spare == NULL)
        feed->spare = ETCD__NEW(struct piece);
    return feed->waiting != NULL || feed->spare != NULL;
}

void etcd__feed_push(struct etcd__feed *feed, void *item)
{
    struct piece *piece = feed->spare;

    assert(!feed->ended && !feed->stopped);
    if (feed->waiting != NULL) {
        hand_over(feed->waiting, item);
        return;
    }
    assert(piece != NULL);
    feed->spare = NULL;
    piece->item = item;
    etcd__list_push(&feed->items, &piece->node);
}

void etcd__feed_end(struct etcd__feed *feed)
{
    feed->ended = true;
    if (feed->waiting != NULL)
        hand_over(feed->waiting, NULL);
}

void etcd__feed_fail(struct etcd__feed *feed, const etcd_error *err)
{
    struct etcd__feed_next *next = feed->waiting;

    if (next == NULL)
        return;
    leave(next);
    etcd__op_complete(&next->op, err->status, err);
}

/* ---- a step ---------------------------------------------------------------------------------------- */

etcd_status etcd__feed_next(struct etcd__feed *feed, const struct etcd__feed_how *how,
                            struct etcd_op **ret_op, etcd_error *reterr)
{
    struct etcd_client *client = feed->client;
    struct etcd__feed_next *next;
    etcd_status st = etcd__rpc_check(client, feed->ops->name, how->blocking, reterr);

    if (st != ETCD_OK)
        return st;
    next = ETCD__NEW(struct etcd__feed_next);
    if (next == NULL)
        return etcd__fail_memory(reterr);
    next->feed = feed;
    (void)atomic_fetch_add_explicit(&feed->refs, 1, memory_order_relaxed);
    next->deadline_ms = how->deadline_ms;
    next->submit.run = on_submit;
    next->timer.on_expire = on_timer;
    etcd__op_init(&next->op, client->loop, feed->ops->name, how->on_done, how->user_data);
    next->op.destroy = destroy_next;
    next->op.on_cancel = on_cancel;
    if (ret_op != NULL) {
        etcd__op_ref(&next->op);
        *ret_op = &next->op;
    }
    if (how->blocking)
        etcd__loop_post_and_pump(client->loop, &next->submit);
    else
        etcd__loop_post(client->loop, &next->submit);
    return ETCD_OK;
}

/* ---- the end --------------------------------------------------------------------------------------- */

static void stop(struct etcd__feed *feed)
{
    etcd__node_unlink(&feed->node);
    if (!feed->stopped)
        feed->ops->stop(feed);
    feed->stopped = true;
}

static void close_in_engine(void *arg)
{
    struct etcd__feed *feed = arg;

    stop(feed);
    feed->closed = true;
    if (feed->waiting != NULL)
        fail(feed->waiting, ETCD_E_CANCELLED, "it was closed");
}

void etcd__feed_close(struct etcd__feed *feed)
{
    struct etcd_loop *loop = feed->client->loop;

    /* In a forked child the engine is the parent's. */
    if (etcd__loop_usable(loop, NULL) == ETCD_OK)
        etcd__loop_run(loop, close_in_engine, feed);
    unref(feed);
}

void etcd__feed_close_all(struct etcd_client *client)
{
    struct etcd__node *node;

    while ((node = etcd__list_first(&client->feeds)) != NULL) {
        struct etcd__feed *feed = ETCD__CONTAINER(node, struct etcd__feed, node);

        stop(feed);
        if (feed->waiting != NULL)
            fail(feed->waiting, ETCD_E_CLOSED, "the client was closed");
    }
}
