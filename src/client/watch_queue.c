/* SPDX-License-Identifier: Apache-2.0 */
#include "client/watch_queue.h"

#include "base/clock.h"
#include "base/error.h"

#include <assert.h>
#include <time.h>

void etcd__watch_queue_init(struct etcd__watch_queue *queue, size_t max_events, size_t max_bytes)
{
    (void)pthread_mutex_init(&queue->mutex, NULL);
    etcd__list_init(&queue->batches);
    queue->max_events = max_events;
    queue->max_bytes = max_bytes;
}

void etcd__watch_queue_deinit(struct etcd__watch_queue *queue)
{
    struct etcd__node *node;

    while ((node = etcd__list_pop(&queue->batches)) != NULL)
        etcd_events_free(ETCD__CONTAINER(node, struct etcd_events, node));
    etcd__free(queue->error);
    (void)pthread_mutex_destroy(&queue->mutex);
}

static void wake_locked(struct etcd__watch_queue *queue)
{
    if (queue->waiter != NULL)
        (void)pthread_cond_signal(queue->waiter);
}

static bool above_limits(const struct etcd__watch_queue *queue)
{
    return queue->events > queue->max_events || queue->bytes > queue->max_bytes;
}

static bool below_half(const struct etcd__watch_queue *queue)
{
    return queue->events <= queue->max_events / 2 && queue->bytes <= queue->max_bytes / 2;
}

bool etcd__watch_queue_push(struct etcd__watch_queue *queue, struct etcd_events *events)
{
    bool full = false;

    (void)pthread_mutex_lock(&queue->mutex);
    if (!queue->ended) {
        etcd__list_push(&queue->batches, &events->node);
        queue->events += events->count;
        queue->bytes += events->bytes;
        queue->low_wanted = queue->low_wanted || above_limits(queue);
        full = queue->low_wanted;
        events = NULL;
        wake_locked(queue);
    }
    (void)pthread_mutex_unlock(&queue->mutex);
    etcd_events_free(events);
    return full;
}

bool etcd__watch_queue_full(struct etcd__watch_queue *queue)
{
    bool full;

    (void)pthread_mutex_lock(&queue->mutex);
    full = queue->low_wanted;
    (void)pthread_mutex_unlock(&queue->mutex);
    return full;
}

bool etcd__watch_queue_end(struct etcd__watch_queue *queue, etcd_status status, const etcd_error *err)
{
    /* Without memory for the details the status has to do. */
    etcd_error *copy = err == NULL ? NULL : etcd__malloc(sizeof(*copy));
    bool first;

    if (copy != NULL)
        etcd__error_copy(copy, err);
    (void)pthread_mutex_lock(&queue->mutex);
    first = !queue->ended;
    if (first) {
        queue->ended = true;
        queue->low_wanted = false;
        queue->status = status;
        queue->revision = err == NULL ? 0 : err->revision;
        queue->error = copy;
        copy = NULL;
        wake_locked(queue);
    }
    (void)pthread_mutex_unlock(&queue->mutex);
    etcd__free(copy);
    return first;
}

enum etcd__watch_found etcd__watch_queue_take_locked(struct etcd__watch_queue *queue,
                                                     struct etcd_events **ret_events, bool *ret_low)
{
    struct etcd__node *node = etcd__list_pop(&queue->batches);
    struct etcd_events *events;

    *ret_low = false;
    if (node == NULL)
        return queue->ended ? ETCD__WATCH_FOUND_END : ETCD__WATCH_FOUND_NOTHING;
    events = ETCD__CONTAINER(node, struct etcd_events, node);
    queue->events -= events->count;
    queue->bytes -= events->bytes;
    if (queue->low_wanted && below_half(queue)) {
        queue->low_wanted = false;
        *ret_low = true;
    }
    *ret_events = events;
    return ETCD__WATCH_FOUND_EVENTS;
}

size_t etcd__watch_queue_count(struct etcd__watch_queue *queue)
{
    size_t count = 0;

    (void)pthread_mutex_lock(&queue->mutex);
    ETCD__LIST_FOREACH(node, &queue->batches)
    count++;
    (void)pthread_mutex_unlock(&queue->mutex);
    return count;
}

/* ---- waiting --------------------------------------------------------------------------------------- */

static void init_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &attr);
    (void)pthread_condattr_destroy(&attr);
}

/* False when the time is over. */
static bool wait_once_locked(struct etcd__watch_queue *queue, int64_t until_ms)
{
    struct timespec at;
    int64_t left_ms;

    if (until_ms == INT64_MAX) {
        (void)pthread_cond_wait(queue->waiter, &queue->mutex);
        return true;
    }
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
    (void)pthread_cond_timedwait(queue->waiter, &queue->mutex, &at);
    return true;
}

bool etcd__watch_queue_wait(struct etcd__watch_queue *queue, int64_t until_ms)
{
    pthread_cond_t cond;
    bool in_time = true, alone;

    init_cond(&cond);
    (void)pthread_mutex_lock(&queue->mutex);
    alone = queue->waiter == NULL;
    if (alone) {
        queue->waiter = &cond;
        while (in_time && !queue->ended && etcd__list_empty(&queue->batches))
            in_time = wait_once_locked(queue, until_ms);
        queue->waiter = NULL;
    }
    (void)pthread_mutex_unlock(&queue->mutex);
    (void)pthread_cond_destroy(&cond);
    return alone;
}
