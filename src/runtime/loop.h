/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop behind etcd_loop: one engine (a reactor), driven by a thread of ours or by the caller.
 *
 * Three kinds of things cross between threads, all through `shared`:
 *   work       caller -> engine   submitted operations, cancels; runs first in a turn
 *   callbacks  engine -> caller   what the user is to be told; runs after a turn, or inside process()
 *   runs       caller -> engine   a function that the caller waits for (closing an object)
 *
 * "Engine" below means: on the loop's thread, or under caller drive inside a turn or a call of
 * the thread that owns the loop.
 */
#ifndef ETCD__RUNTIME_LOOP_H
#define ETCD__RUNTIME_LOOP_H

#include "base/reactor.h"
#include "etcdc/loop.h"
#include "net/resolver.h"
#include "runtime/env_system.h"

#include <pthread.h>
#include <stdatomic.h>

/* Embedded in its owner; zeroed memory is idle. In one queue at most once at a time. */
struct etcd__work {
    struct etcd__node node;
    void (*run)(struct etcd__work *work);
};

struct etcd__callback {
    struct etcd__node node;
    void (*run)(struct etcd__callback *callback);
    bool finished; /* under shared.mutex: it is not queued any more */
};

/* Who is told when the loop cannot wait for events any more. Embedded in its owner. */
struct etcd__loop_user {
    struct etcd__node node;
    /* Engine; in a turn. Again after each further turn that fails. */
    void (*on_broken)(struct etcd__loop_user *user, const etcd_error *why);
};

struct etcd_loop {
    struct etcd__reactor reactor;
    struct etcd__resolver *resolver;
    struct etcd__env_system *system; /* NULL with a given environment */
    etcd_drive drive;
    atomic_int dispatch; /* an etcd_dispatch */
    atomic_int refs;
    pthread_t thread; /* thread drive */
    bool has_thread;
    atomic_int failure;         /* the errno of the last wait for events; 0: it was in order */
    int64_t failing_ms;         /* since when no wait was in order; 0: the last one was. Engine */
    struct etcd__list users;    /* engine */
    bool in_turn;               /* caller drive: a turn or a callback is running */
    bool polled;                /* the last turn asked the poller, and the program had no say since */
    int64_t polled_ms;          /* when one did last */
    int notify_fd;              /* ETCD_DISPATCH_PROCESS: readable while callbacks wait; else -1 */
    const unsigned char *alive; /* a page that a forked child sees zeroed */
    struct {
        pthread_mutex_t mutex;
        pthread_cond_t callback_done, run_done;
        struct etcd__list work;
        struct etcd__list callbacks;
        bool sleeping; /* the thread waits in the poller: wake it */
        bool stop;
        struct etcd__running *running; /* the callbacks that run now, on whichever threads */
    } shared;
};

/* A loop on a given environment, under caller drive; for tests. The environment must outlive it. */
etcd_status etcd__loop_new_env(struct etcd__env env, struct etcd_loop **ret_loop, etcd_error *reterr);

/*
 * For clients that get a loop of their own: as etcd_loop_new(), but until etcd__loop_start() there is no
 * thread, and the engine belongs to the caller.
 */
etcd_status etcd__loop_new(const etcd_loop_opts *opts, struct etcd_loop **ret_loop, etcd_error *reterr);
etcd_status etcd__loop_start(struct etcd_loop *loop, etcd_error *reterr);

struct etcd_loop *etcd__loop_ref(struct etcd_loop *loop);
/* The last reference ends the thread and frees everything; on the loop's own thread the thread is detached
 * first. */
void etcd__loop_unref(struct etcd_loop *loop);

/* In a forked child: closes the child's copies of all descriptors; connections and poller stay the parent's.
 * Once is enough. */
void etcd__loop_leave(struct etcd_loop *loop);
/* Not in a forked child. ETCD_OK, or ETCD_E_CLOSED with a text. Any thread. */
etcd_status etcd__loop_usable(const struct etcd_loop *loop, etcd_error *reterr);
/* The last wait for events was in order. ETCD_OK or ETCD_E_IO with a text. Any thread. */
etcd_status etcd__loop_works(const struct etcd_loop *loop, etcd_error *reterr);
/* From now on the user is told; unlink its node to end that. Engine. */
void etcd__loop_add_user(struct etcd_loop *loop, struct etcd__loop_user *user);
/* Waiting here for the loop could never end. Any thread. */
bool etcd__loop_would_deadlock(const struct etcd_loop *loop);

/* The time so many milliseconds from now on the loop's clock; INT64_MAX for ETCD_TIMEOUT_NONE. Any thread. */
int64_t etcd__loop_after_ms(const struct etcd_loop *loop, int64_t ms);

/* Runs the work in the engine's next turn. Any thread. */
void etcd__loop_post(struct etcd_loop *loop, struct etcd__work *work);
/* The same, by a caller who pumps next or waits: under caller drive nobody needs to be woken. */
void etcd__loop_post_and_pump(struct etcd_loop *loop, struct etcd__work *work);
/* Runs fn(arg) in the engine and waits for it; at once when this is the engine. Any thread. */
void etcd__loop_run(struct etcd_loop *loop, void (*fn)(void *arg), void *arg);
/*
 * Queues a callback; queueing it again before it ran is queueing it once, and one that is finished is not
 * queued. Engine.
 */
void etcd__loop_call_back(struct etcd_loop *loop, struct etcd__callback *callback);
/*
 * Makes sure that a callback is neither queued nor running, now and later: waits for it, or runs it here
 * where nobody else would. True when this was called from inside the very callback, which then still runs.
 * Any thread.
 */
bool etcd__loop_finish_callback(struct etcd_loop *loop, struct etcd__callback *callback);

/* Caller drive: one turn that waits at most until then, without callbacks. 0 or a negative errno. */
int etcd__loop_pump(struct etcd_loop *loop, int64_t until_ms);
/* Caller drive, outside of turns and callbacks: runs the callbacks that wait. */
void etcd__loop_deliver(struct etcd_loop *loop);
/*
 * Caller drive, after pumping: does what is left to do, but callbacks, and makes the loop's descriptor
 * readable in time for the rest.
 */
void etcd__loop_hand_over(struct etcd_loop *loop);

#endif
