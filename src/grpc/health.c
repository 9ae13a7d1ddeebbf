/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/health.h"

#include <assert.h>

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* When the unanswered ping will have been unanswered for too long in one way or the other. */
static int64_t due_for_answer(const struct etcd__health *health)
{
    int64_t due = INT64_MAX;

    if (!health->stalled)
        due = health->ping_ms + ETCD__STALL_MS;
    if (health->interval_ms > 0)
        due = min64(due, health->ping_ms + health->timeout_ms);
    return due;
}

static int64_t due_for_ping(const struct etcd__health *health)
{
    int64_t due = INT64_MAX;

    if (health->interval_ms > 0)
        due = max64(health->received_ms, health->calls_since_ms) + health->interval_ms;
    if (health->unary > 0) {
        int64_t probe = max64(health->received_ms, health->unary_since_ms) + ETCD__STALL_MS;

        if (health->ping_ms > 0)
            probe = max64(probe, health->ping_ms + health->distance_ms);
        due = min64(due, probe);
    }
    return due;
}

/*
 * Bytes move the due time away without touching the timer: it fires early then, and is armed anew. So it
 * only has to be moved when something becomes due earlier.
 */
static void arm(struct etcd__health *health)
{
    int64_t due = health->pinged ? due_for_answer(health) : due_for_ping(health);

    if (due == INT64_MAX || health->calls == 0)
        return;
    if (!etcd__timer_armed(&health->timer) || health->timer.heap.key > due)
        etcd__timer_arm(health->reactor, &health->timer, due);
}

static void expire(struct etcd__timer *timer)
{
    struct etcd__health *health = ETCD__CONTAINER(timer, struct etcd__health, timer);
    int64_t now = health->reactor->now_ms;

    if (health->pinged) {
        if (health->interval_ms > 0 && now >= health->ping_ms + health->timeout_ms) {
            health->ops->dead(health->user);
            return;
        }
        if (now >= health->ping_ms + ETCD__STALL_MS)
            health->stalled = true;
    } else if (now >= due_for_ping(health)) {
        health->pinged = true;
        health->ping_ms = now;
        health->ops->ping(health->user);
    }
    arm(health);
}

void etcd__health_init(struct etcd__health *health, struct etcd__reactor *reactor, int64_t keepalive_time_ms,
                       int64_t keepalive_timeout_ms, unsigned patience, const struct etcd__health_ops *ops,
                       void *user)
{
    assert(patience <= ETCD__MAX_PATIENCE);
    *health = (struct etcd__health){
        .ops = ops,
        .user = user,
        .reactor = reactor,
        .timer = {.on_expire = expire},
        .timeout_ms = max64(keepalive_timeout_ms, 1),
        .distance_ms = (int64_t)ETCD__PING_DISTANCE_MS << patience,
        .received_ms = reactor->now_ms,
    };
    if (keepalive_time_ms > 0)
        health->interval_ms = max64(keepalive_time_ms, ETCD__KEEPALIVE_FLOOR_MS) << patience;
}

void etcd__health_deinit(struct etcd__health *health)
{
    if (health->reactor != NULL)
        etcd__timer_disarm(health->reactor, &health->timer);
}

void etcd__health_call_started(struct etcd__health *health, bool unary)
{
    int64_t now = health->reactor->now_ms;

    if (health->calls++ == 0)
        health->calls_since_ms = now;
    if (unary && health->unary++ == 0)
        health->unary_since_ms = now;
    if (health->calls == 1 || (unary && health->unary == 1))
        arm(health);
}

void etcd__health_call_ended(struct etcd__health *health, bool unary)
{
    assert(health->calls > 0 && (!unary || health->unary > 0));
    health->calls--;
    if (unary)
        health->unary--;
    if (health->calls == 0)
        etcd__timer_disarm(health->reactor, &health->timer);
}

void etcd__health_answered(struct etcd__health *health)
{
    health->pinged = false;
    health->stalled = false;
    arm(health);
}
