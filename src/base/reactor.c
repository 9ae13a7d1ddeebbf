/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reactor.h"

#include <assert.h>
#include <errno.h>

void etcd__reactor_init(struct etcd__reactor *reactor, struct etcd__env env)
{
    *reactor = (struct etcd__reactor){.env = env};
    etcd__list_init(&reactor->tasks);
    reactor->now_ms = env.ops->now_ms(env.self);
}

static int poll_set(struct etcd__io *io, unsigned old_events, unsigned events)
{
    const struct etcd__env *env = &io->reactor->env;

    return old_events == events ? 0 : env->ops->poll_set(env->self, io->fd, old_events, events, io);
}

int etcd__io_start(struct etcd__reactor *reactor, struct etcd__io *io, int fd, unsigned events)
{
    int ret;

    assert(io->reactor == NULL && io->on_ready != NULL);
    io->reactor = reactor;
    io->fd = fd;
    io->events = 0;
    ret = poll_set(io, 0, events);
    if (ret < 0)
        io->reactor = NULL;
    else
        io->events = events;
    return ret;
}

int etcd__io_update(struct etcd__io *io, unsigned events)
{
    int ret;

    assert(io->reactor != NULL);
    ret = poll_set(io, io->events, events);
    if (ret < 0)
        return ret;
    io->events = events;
    return 0;
}

void etcd__io_stop(struct etcd__io *io)
{
    struct etcd__reactor *reactor = io->reactor;

    if (reactor == NULL)
        return;
    poll_set(io, io->events, 0);
    for (int i = reactor->batch_pos; i < reactor->batch_count; i++) {
        if (reactor->batch[i].tag == io)
            reactor->batch[i].tag = NULL;
    }
    io->reactor = NULL;
    io->events = 0;
}

void etcd__timer_disarm(struct etcd__reactor *reactor, struct etcd__timer *timer)
{
    (void)reactor;
    if (etcd__timer_armed(timer))
        etcd__heap_remove(timer->home, &timer->heap);
}

static void put_timer(struct etcd__heap *heap, struct etcd__timer *timer, int64_t at_ms)
{
    timer->home = heap;
    etcd__heap_insert(heap, &timer->heap, at_ms);
}

void etcd__timer_arm(struct etcd__reactor *reactor, struct etcd__timer *timer, int64_t at_ms)
{
    assert(timer->on_expire != NULL);
    etcd__timer_disarm(reactor, timer);
    put_timer(&reactor->timers, timer, at_ms);
}

void etcd__task_post(struct etcd__reactor *reactor, struct etcd__task *task)
{
    assert(task->run != NULL);
    if (!etcd__node_linked(&task->node))
        etcd__list_push(&reactor->tasks, &task->node);
}

void etcd__task_cancel(struct etcd__task *task)
{
    etcd__node_unlink(&task->node);
}

int64_t etcd__reactor_next_ms(const struct etcd__reactor *reactor)
{
    const struct etcd__heap_node *first = etcd__heap_min(&reactor->timers);

    if (!etcd__list_empty(&reactor->tasks))
        return reactor->now_ms;
    return first == NULL ? INT64_MAX : first->key;
}

/*
 * Sets the timers that are due aside before anything runs. What callbacks of
 * this turn arm goes to the other heap, so a timer that arms itself again for a
 * time in the past cannot keep the turn from ending.
 */
static void collect_due(struct etcd__reactor *reactor)
{
    struct etcd__heap_node *node;

    while ((node = etcd__heap_min(&reactor->timers)) != NULL && node->key <= reactor->now_ms) {
        etcd__heap_remove(&reactor->timers, node);
        put_timer(&reactor->due, ETCD__CONTAINER(node, struct etcd__timer, heap), node->key);
    }
}

static void run_ready(struct etcd__reactor *reactor)
{
    while (reactor->batch_pos < reactor->batch_count) {
        const struct etcd__poll_event *event = &reactor->batch[reactor->batch_pos++];
        struct etcd__io *io = event->tag;
        unsigned events = io == NULL ? 0 : event->events & io->events;

        /* Stopped, or no longer interested, since the event was taken from the poller. */
        if (events != 0)
            io->on_ready(io, events);
    }
    reactor->batch_pos = reactor->batch_count = 0;
}

static void run_timers(struct etcd__reactor *reactor)
{
    struct etcd__heap_node *node;

    while ((node = etcd__heap_min(&reactor->due)) != NULL) {
        struct etcd__timer *timer = ETCD__CONTAINER(node, struct etcd__timer, heap);

        etcd__heap_remove(&reactor->due, node);
        timer->on_expire(timer);
    }
}

void etcd__reactor_run_tasks(struct etcd__reactor *reactor)
{
    struct etcd__node *node;

    while ((node = etcd__list_pop(&reactor->tasks)) != NULL) {
        struct etcd__task *task = ETCD__CONTAINER(node, struct etcd__task, node);

        task->run(task);
    }
}

int etcd__reactor_turn(struct etcd__reactor *reactor, int64_t until_ms)
{
    const struct etcd__env *env = &reactor->env;
    int64_t next_ms = etcd__reactor_next_ms(reactor);
    int count;

    assert(reactor->batch_count == 0);
    count = env->ops->poll_wait(env->self, reactor->batch, ETCD__REACTOR_BATCH,
                                until_ms < next_ms ? until_ms : next_ms);
    /* Time goes on when the poller fails: what waits for something has a limit, and ends by it. */
    reactor->batch_count = count < 0 ? 0 : count;
    reactor->batch_pos = 0;
    reactor->now_ms = env->ops->now_ms(env->self);
    collect_due(reactor);
    run_ready(reactor);
    run_timers(reactor);
    etcd__reactor_run_tasks(reactor);
    return count < 0 && count != -EINTR ? count : 0;
}

uint64_t etcd__reactor_random(struct etcd__reactor *reactor, uint64_t limit)
{
    const struct etcd__env *env = &reactor->env;
    uint64_t value, surplus;

    assert(limit > 0);
    /* Values below 2^64 mod limit would make small results a little likelier: draw again. */
    surplus = (UINT64_MAX % limit + 1) % limit;
    do {
        env->ops->random(env->self, &value, sizeof(value));
    } while (value < surplus);
    return value % limit;
}
