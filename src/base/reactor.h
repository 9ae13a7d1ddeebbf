/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's clockwork: descriptors, timers and tasks of one loop, driven by
 * an environment table. It belongs to one thread at a time and takes no locks.
 * All callbacks run inside etcd__reactor_turn().
 */
#ifndef ETCD__BASE_REACTOR_H
#define ETCD__BASE_REACTOR_H

#include "base/env.h"
#include "base/heap.h"
#include "base/list.h"

enum { ETCD__REACTOR_BATCH = 64 }; /* events taken from the poller in one turn */

struct etcd__reactor;

/* Interest in one descriptor. Embedded in its owner; zeroed memory is idle. */
struct etcd__io {
    void (*on_ready)(struct etcd__io *io, unsigned events);
    struct etcd__reactor *reactor;
    int fd;
    unsigned events; /* 0: idle */
};

/* One-shot. Embedded in its owner; zeroed memory is disarmed. */
struct etcd__timer {
    struct etcd__heap_node heap;
    struct etcd__heap *home; /* the heap that holds it while armed */
    void (*on_expire)(struct etcd__timer *timer);
};

/*
 * Work for the end of the current turn, after descriptors and timers, in the
 * order of posting. Tasks that tasks post run in the same turn. Embedded in its
 * owner; zeroed memory is idle.
 */
struct etcd__task {
    struct etcd__node node;
    void (*run)(struct etcd__task *task);
};

struct etcd__reactor {
    struct etcd__env env;
    int64_t now_ms; /* read once a turn */
    struct etcd__heap timers;
    struct etcd__heap due; /* of this turn, not run yet */
    struct etcd__list tasks;
    struct etcd__poll_event batch[ETCD__REACTOR_BATCH];
    int batch_count, batch_pos;
};

void etcd__reactor_init(struct etcd__reactor *reactor, struct etcd__env env);

/* 0 or a negative errno. `events` may be 0: the descriptor is known but idle. */
int etcd__io_start(struct etcd__reactor *reactor, struct etcd__io *io, int fd, unsigned events);
int etcd__io_update(struct etcd__io *io, unsigned events);
/* Also forgets an event of this turn that was not delivered yet. Does not close. */
void etcd__io_stop(struct etcd__io *io);

/* Arms, or moves. A time that has passed fires in the next turn, not at once. */
void etcd__timer_arm(struct etcd__reactor *reactor, struct etcd__timer *timer, int64_t at_ms);
void etcd__timer_disarm(struct etcd__reactor *reactor, struct etcd__timer *timer);
static inline bool etcd__timer_armed(const struct etcd__timer *timer)
{
    return timer->heap.linked;
}

/* Posting twice is posting once. */
void etcd__task_post(struct etcd__reactor *reactor, struct etcd__task *task);
void etcd__task_cancel(struct etcd__task *task);

/* When the next timer is due; INT64_MAX without one; now when tasks wait. */
int64_t etcd__reactor_next_ms(const struct etcd__reactor *reactor);

/*
 * One turn: waits for events until `until_ms` or the next timer, whichever is first,
 * then runs what is ready. A time in the past polls. Returns 0 or a negative errno
 * of the poller. Not from inside a turn.
 */
int etcd__reactor_turn(struct etcd__reactor *reactor, int64_t until_ms);
/* Only the tasks, for work that was done between turns. Not from inside a turn. */
void etcd__reactor_run_tasks(struct etcd__reactor *reactor);

/* Random number in [0, limit). */
uint64_t etcd__reactor_random(struct etcd__reactor *reactor, uint64_t limit);

#endif
