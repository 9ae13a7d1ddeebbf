/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/loop.h"

#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    FAILURE_PAUSE_MS = 20,
    FRESH_MS = 1,
    BROKEN_MS = 1000, /* a poller that fails for so long fails for good */
};

/* A function that a caller waits for; lives on the caller's stack. */
struct run_request {
    struct etcd__work work;
    void (*fn)(void *arg);
    void *arg;
    struct etcd_loop *loop;
    bool done; /* under shared.mutex */
};

static bool on_own_thread(const struct etcd_loop *loop)
{
    return loop->has_thread && pthread_equal(loop->thread, pthread_self()) != 0;
}

int64_t etcd__loop_after_ms(const struct etcd_loop *loop, int64_t ms)
{
    const struct etcd__env *env = &loop->reactor.env;
    int64_t now_ms = env->ops->now_ms(env->self);

    return ms >= INT64_MAX - now_ms ? INT64_MAX : now_ms + ms;
}

/* ---- turns ----------------------------------------------------------------------------------------- */

static void take_work(struct etcd_loop *loop, struct etcd__list *work)
{
    (void)pthread_mutex_lock(&loop->shared.mutex);
    loop->shared.sleeping = false;
    etcd__list_splice(work, &loop->shared.work);
    (void)pthread_mutex_unlock(&loop->shared.mutex);
}

/* Under caller drive any time may have passed since the last turn; what is begun now counts from now. */
static void refresh_clock(struct etcd_loop *loop)
{
    loop->reactor.now_ms = etcd__loop_after_ms(loop, 0);
}

/* Whether there was any. */
static bool run_work(struct etcd_loop *loop)
{
    struct etcd__list work;
    struct etcd__node *node;
    bool any;

    etcd__list_init(&work);
    take_work(loop, &work);
    any = !etcd__list_empty(&work);
    if (any)
        refresh_clock(loop);
    while ((node = etcd__list_pop(&work)) != NULL) {
        struct etcd__work *item = ETCD__CONTAINER(node, struct etcd__work, node);

        item->run(item);
    }
    return any;
}

/* Says that a wake-up is needed from here on, unless work came in already. */
static bool fall_asleep(struct etcd_loop *loop)
{
    bool idle;

    (void)pthread_mutex_lock(&loop->shared.mutex);
    idle = etcd__list_empty(&loop->shared.work) && !loop->shared.stop;
    loop->shared.sleeping = idle;
    (void)pthread_mutex_unlock(&loop->shared.mutex);
    return idle;
}

/*
 * Input was looked at just now, by this thread. Otherwise it is looked at before anything is sent: a
 * connection that the peer has closed meanwhile must not be given a request, which nobody could say
 * afterwards what became of.
 */
static bool knows_input(const struct etcd_loop *loop)
{
    return loop->polled && loop->reactor.now_ms - loop->polled_ms <= FRESH_MS;
}

void etcd__loop_add_user(struct etcd_loop *loop, struct etcd__loop_user *user)
{
    etcd__list_push(&loop->users, &user->node);
}

/* What has a time limit ends by that. The rest would wait without end, so its owners end it. */
static void note_failure(struct etcd_loop *loop)
{
    int64_t now_ms = loop->reactor.now_ms;
    etcd_error why;

    if (loop->failing_ms == 0)
        loop->failing_ms = now_ms;
    if (now_ms - loop->failing_ms < BROKEN_MS)
        return;
    (void)etcd__loop_works(loop, &why);
    ETCD__LIST_FOREACH_SAFE(node, &loop->users)
    {
        struct etcd__loop_user *user = ETCD__CONTAINER(node, struct etcd__loop_user, node);

        user->on_broken(user, &why);
    }
}

static int poll_turn(struct etcd_loop *loop, int64_t until_ms)
{
    int err = etcd__reactor_turn(&loop->reactor, until_ms);

    atomic_store_explicit(&loop->failure, -err, memory_order_relaxed);
    loop->polled = true;
    loop->polled_ms = loop->reactor.now_ms;
    if (err == 0)
        loop->failing_ms = 0;
    else
        note_failure(loop);
    return err;
}

/*
 * Work that came in is done and what it wants to send is sent, if possible without asking the poller first:
 * it may have ended what is being waited for, or left callbacks to run, and whoever turns the loop looks at
 * that before the next turn sleeps. Every second turn asks, so that work without end cannot hold input up.
 */
static int turn(struct etcd_loop *loop, int64_t until_ms)
{
    if (run_work(loop)) {
        if (knows_input(loop)) {
            loop->polled = false;
            etcd__reactor_run_tasks(&loop->reactor);
            return 0;
        }
        until_ms = INT64_MIN;
    }
    return poll_turn(loop, fall_asleep(loop) ? until_ms : INT64_MIN);
}

/* ---- callbacks ------------------------------------------------------------------------------------- */

/*
 * A callback that runs. There are several where a callback closes an object, which runs that object's last
 * one, and with ETCD_DISPATCH_PROCESS where one thread closes while another processes.
 */
struct etcd__running {
    const struct etcd__callback *callback; /* may be freed by now */
    pthread_t thread;
    struct etcd__running *next;
};

static void add_running(struct etcd_loop *loop, struct etcd__running *running)
{
    running->next = loop->shared.running;
    loop->shared.running = running;
}

static void remove_running(struct etcd_loop *loop, const struct etcd__running *running)
{
    struct etcd__running **at = &loop->shared.running;

    while (*at != running)
        at = &(*at)->next;
    *at = running->next;
}

/* Whether this callback (NULL: any) runs, on this thread or on another one. */
static bool runs(const struct etcd_loop *loop, const struct etcd__callback *callback, bool on_this_thread)
{
    const struct etcd__running *running = loop->shared.running;

    while (running != NULL && ((callback != NULL && running->callback != callback) ||
                               (pthread_equal(running->thread, pthread_self()) != 0) != on_this_thread))
        running = running->next;
    return running != NULL;
}

/* Runs one callback that was unlinked; the mutex is held before and after, not meanwhile. */
static void run_callback_locked(struct etcd_loop *loop, struct etcd__callback *callback)
{
    struct etcd__running running = {.callback = callback, .thread = pthread_self()};

    add_running(loop, &running);
    (void)pthread_mutex_unlock(&loop->shared.mutex);
    callback->run(callback); /* may free it */
    (void)pthread_mutex_lock(&loop->shared.mutex);
    remove_running(loop, &running);
    (void)pthread_cond_broadcast(&loop->shared.callback_done);
}

/* Whether this thread is inside a callback. */
static bool in_callback(struct etcd_loop *loop)
{
    bool inside;

    (void)pthread_mutex_lock(&loop->shared.mutex);
    inside = runs(loop, NULL, true);
    (void)pthread_mutex_unlock(&loop->shared.mutex);
    return inside;
}

static void clear_notify(struct etcd_loop *loop)
{
    uint64_t count;
    ssize_t got;

    if (loop->notify_fd < 0)
        return;
    got = read(loop->notify_fd, &count, sizeof(count));
    (void)got;
}

static void run_callbacks(struct etcd_loop *loop)
{
    struct etcd__node *node;

    (void)pthread_mutex_lock(&loop->shared.mutex);
    while ((node = etcd__list_pop(&loop->shared.callbacks)) != NULL)
        run_callback_locked(loop, ETCD__CONTAINER(node, struct etcd__callback, node));
    (void)pthread_mutex_unlock(&loop->shared.mutex);
}

void etcd__loop_call_back(struct etcd_loop *loop, struct etcd__callback *callback)
{
    uint64_t one = 1;
    bool first;

    (void)pthread_mutex_lock(&loop->shared.mutex);
    first = etcd__list_empty(&loop->shared.callbacks);
    if (!etcd__node_linked(&callback->node) && !callback->finished)
        etcd__list_push(&loop->shared.callbacks, &callback->node);
    (void)pthread_mutex_unlock(&loop->shared.mutex);
    if (first && loop->notify_fd >= 0) {
        ssize_t written = write(loop->notify_fd, &one, sizeof(one));

        (void)written;
    }
}

bool etcd__loop_finish_callback(struct etcd_loop *loop, struct etcd__callback *callback)
{
    bool inside = false;
    bool thread_runs_it = loop->drive == ETCD_DRIVE_THREAD && loop->dispatch == ETCD_DISPATCH_LOOP &&
                          !on_own_thread(loop);

    (void)pthread_mutex_lock(&loop->shared.mutex);
    callback->finished = true;
    for (;;) {
        if (runs(loop, callback, true)) {
            inside = true;
            etcd__node_unlink(&callback->node);
            break;
        }
        if (runs(loop, callback, false) || (etcd__node_linked(&callback->node) && thread_runs_it)) {
            (void)pthread_cond_wait(&loop->shared.callback_done, &loop->shared.mutex);
        } else if (etcd__node_linked(&callback->node)) {
            etcd__node_unlink(&callback->node);
            run_callback_locked(loop, callback);
            break; /* it may be gone with its owner's last reference */
        } else {
            break;
        }
    }
    (void)pthread_mutex_unlock(&loop->shared.mutex);
    return inside;
}

/* ---- work from other threads ----------------------------------------------------------------------- */

/*
 * Wakes the engine if it sleeps. With a reference: once the work can be taken it may run, and the callback
 * that it leads to may free the client, and with it the loop. And with the mutex free, which is the first
 * thing that the engine wants.
 */
static void add_work(struct etcd_loop *loop, struct etcd__work *work, bool may_wake)
{
    bool wake;

    (void)pthread_mutex_lock(&loop->shared.mutex);
    if (!etcd__node_linked(&work->node))
        etcd__list_push(&loop->shared.work, &work->node);
    wake = loop->shared.sleeping && may_wake;
    loop->shared.sleeping = false;
    if (wake)
        etcd__loop_ref(loop);
    (void)pthread_mutex_unlock(&loop->shared.mutex);
    if (!wake)
        return;
    loop->reactor.env.ops->poll_wake(loop->reactor.env.self);
    etcd__loop_unref(loop);
}

void etcd__loop_post(struct etcd_loop *loop, struct etcd__work *work)
{
    add_work(loop, work, true);
}

void etcd__loop_post_and_pump(struct etcd_loop *loop, struct etcd__work *work)
{
    add_work(loop, work, loop->drive == ETCD_DRIVE_THREAD);
}

static void on_run_request(struct etcd__work *work)
{
    struct run_request *request = ETCD__CONTAINER(work, struct run_request, work);

    struct etcd_loop *loop = request->loop;

    request->fn(request->arg);
    (void)pthread_mutex_lock(&loop->shared.mutex);
    request->done = true;
    (void)pthread_mutex_unlock(&loop->shared.mutex);
    (void)pthread_cond_broadcast(&loop->shared.run_done); /* the request is gone by now, maybe */
}

void etcd__loop_run(struct etcd_loop *loop, void (*fn)(void *arg), void *arg)
{
    struct run_request request = {.work.run = on_run_request, .fn = fn, .arg = arg, .loop = loop};

    if (!loop->has_thread || on_own_thread(loop)) {
        (void)run_work(loop); /* what was submitted before comes before */
        refresh_clock(loop);
        fn(arg);
        if (loop->drive == ETCD_DRIVE_CALLER && !loop->in_turn)
            etcd__loop_hand_over(loop);
        return;
    }
    etcd__loop_post(loop, &request.work);
    (void)pthread_mutex_lock(&loop->shared.mutex);
    while (!request.done)
        (void)pthread_cond_wait(&loop->shared.run_done, &loop->shared.mutex);
    (void)pthread_mutex_unlock(&loop->shared.mutex);
}

/* ---- thread drive ---------------------------------------------------------------------------------- */

static void free_loop(struct etcd_loop *loop);

static bool stopping(struct etcd_loop *loop)
{
    bool stop;

    (void)pthread_mutex_lock(&loop->shared.mutex);
    stop = loop->shared.stop && etcd__list_empty(&loop->shared.work);
    (void)pthread_mutex_unlock(&loop->shared.mutex);
    return stop;
}

static void *thread_main(void *arg)
{
    struct etcd_loop *loop = arg;

    while (!stopping(loop)) {
        /* A poller that fails (the program closed its descriptor, say) does not wait, so this does. */
        if (turn(loop, INT64_MAX) != 0)
            (void)poll(NULL, 0, FAILURE_PAUSE_MS);
        if (loop->dispatch == ETCD_DISPATCH_LOOP)
            run_callbacks(loop);
    }
    if (!loop->has_thread)
        free_loop(loop); /* the last reference went away on this thread: see etcd__loop_unref() */
    return NULL;
}

static etcd_status start_thread(struct etcd_loop *loop, etcd_error *reterr)
{
    sigset_t all, old;
    int err;

    /* The program's signals are the program's: none is ever delivered to our thread. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    loop->has_thread = true;
    err = pthread_create(&loop->thread, NULL, thread_main, loop);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (err == 0)
        return ETCD_OK;
    loop->has_thread = false;
    (void)etcd__fail(reterr, ETCD_E_IO, "cannot start the loop's thread: %s", strerror(err));
    if (reterr != NULL)
        reterr->sys_errno = err;
    return ETCD_E_IO;
}

/* ---- making and freeing ---------------------------------------------------------------------------- */

static etcd_status map_alive_page(struct etcd_loop *loop, etcd_error *reterr)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return etcd__fail_memory(reterr);
    *page = 1;
    /* Without it (Linux before 4.14) a forked child is not told apart; nothing else changes. */
    (void)madvise(page, size, MADV_WIPEONFORK);
    loop->alive = page;
    return ETCD_OK;
}

static void free_loop(struct etcd_loop *loop)
{
    etcd__resolver_free(loop->resolver);
    etcd__env_system_free(loop->system);
    if (loop->notify_fd >= 0)
        (void)close(loop->notify_fd);
    if (loop->alive != NULL)
        (void)munmap((void *)(uintptr_t)loop->alive, (size_t)sysconf(_SC_PAGESIZE));
    (void)pthread_cond_destroy(&loop->shared.callback_done);
    (void)pthread_cond_destroy(&loop->shared.run_done);
    (void)pthread_mutex_destroy(&loop->shared.mutex);
    etcd__free(loop);
}

static struct etcd_loop *new_loop(etcd_error *reterr)
{
    struct etcd_loop *loop = ETCD__NEW(struct etcd_loop);

    if (loop == NULL) {
        (void)etcd__fail_memory(reterr);
        return NULL;
    }
    loop->notify_fd = -1;
    atomic_init(&loop->refs, 1);
    etcd__list_init(&loop->users);
    etcd__list_init(&loop->shared.work);
    etcd__list_init(&loop->shared.callbacks);
    (void)pthread_mutex_init(&loop->shared.mutex, NULL);
    (void)pthread_cond_init(&loop->shared.callback_done, NULL);
    (void)pthread_cond_init(&loop->shared.run_done, NULL);
    return loop;
}

static etcd_status finish_loop(struct etcd_loop *loop, struct etcd__env env, etcd_error *reterr)
{
    etcd_status st;

    etcd__reactor_init(&loop->reactor, env);
    st = map_alive_page(loop, reterr);
    if (st == ETCD_OK)
        st = etcd__resolver_new(&loop->reactor, &loop->resolver, reterr);
    if (st == ETCD_OK && loop->drive == ETCD_DRIVE_THREAD && loop->dispatch == ETCD_DISPATCH_PROCESS) {
        loop->notify_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (loop->notify_fd < 0)
            st = etcd__fail(reterr, ETCD_E_IO, "cannot make an eventfd: %s", strerror(errno));
    }
    loop->shared.sleeping = loop->drive == ETCD_DRIVE_CALLER; /* the program may wait on the descriptor */
    return st;
}

etcd_status etcd__loop_new_env(struct etcd__env env, struct etcd_loop **ret_loop, etcd_error *reterr)
{
    struct etcd_loop *loop = new_loop(reterr);
    etcd_status st;

    if (loop == NULL)
        return ETCD_E_NO_MEMORY;
    loop->drive = ETCD_DRIVE_CALLER;
    st = finish_loop(loop, env, reterr);
    if (st != ETCD_OK)
        free_loop(loop);
    else
        *ret_loop = loop;
    return st;
}

static etcd_status check_opts(const etcd_loop_opts *opts, etcd_error *reterr)
{
    if (opts->drive != ETCD_DRIVE_THREAD && opts->drive != ETCD_DRIVE_CALLER)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "loop: drive is %d", (int)opts->drive);
    if (opts->dispatch != ETCD_DISPATCH_LOOP && opts->dispatch != ETCD_DISPATCH_PROCESS)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "loop: dispatch is %d", (int)opts->dispatch);
    if ((unsigned)opts->poller > ETCD_POLLER_POLL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "loop: poller is %d", (int)opts->poller);
    return ETCD_OK;
}

static etcd_status new_system(struct etcd_loop *loop, etcd_poller poller, etcd_error *reterr)
{
    int err = etcd__env_system_new(poller == ETCD_POLLER_POLL, &loop->system);

    if (err == -ENOSYS && poller == ETCD_POLLER_DEFAULT)
        err = etcd__env_system_new(true, &loop->system);
    if (err == 0)
        return ETCD_OK;
    if (err == -ENOMEM)
        return etcd__fail_memory(reterr);
    (void)etcd__fail(reterr, err == -ENOSYS ? ETCD_E_UNSUPPORTED : ETCD_E_IO, "cannot make a poller: %s",
                     strerror(-err));
    if (reterr != NULL)
        reterr->sys_errno = -err;
    return err == -ENOSYS ? ETCD_E_UNSUPPORTED : ETCD_E_IO;
}

etcd_status etcd__loop_new(const etcd_loop_opts *opts, struct etcd_loop **ret_loop, etcd_error *reterr)
{
    struct etcd_loop *loop = new_loop(reterr);
    etcd_status st;

    if (loop == NULL)
        return ETCD_E_NO_MEMORY;
    loop->drive = opts->drive;
    atomic_init(&loop->dispatch,
                opts->drive == ETCD_DRIVE_CALLER ? (int)ETCD_DISPATCH_LOOP : (int)opts->dispatch);
    st = new_system(loop, opts->poller, reterr);
    if (st == ETCD_OK)
        st = finish_loop(loop, etcd__env_system_table(loop->system), reterr);
    if (st != ETCD_OK)
        free_loop(loop);
    else
        *ret_loop = loop;
    return st;
}

etcd_status etcd__loop_start(struct etcd_loop *loop, etcd_error *reterr)
{
    return loop->drive == ETCD_DRIVE_THREAD ? start_thread(loop, reterr) : ETCD_OK;
}

etcd_status etcd_loop_new(const etcd_loop_opts *opts, etcd_loop **ret_loop, etcd_error *reterr)
{
    etcd_loop_opts own = ETCD_LOOP_OPTS_INIT;
    struct etcd_loop *loop = NULL;
    etcd_status st;

    if (ret_loop == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "loop: ret_loop is NULL");
    st = etcd__opts_import(&own, sizeof(own), opts, "loop", reterr);
    if (st == ETCD_OK)
        st = check_opts(&own, reterr);
    if (st == ETCD_OK)
        st = etcd__loop_new(&own, &loop, reterr);
    if (st != ETCD_OK)
        return st;
    st = etcd__loop_start(loop, reterr);
    if (st != ETCD_OK)
        free_loop(loop);
    else
        *ret_loop = loop;
    return st;
}

struct etcd_loop *etcd__loop_ref(struct etcd_loop *loop)
{
    (void)atomic_fetch_add_explicit(&loop->refs, 1, memory_order_relaxed);
    return loop;
}

static void stop_thread(struct etcd_loop *loop)
{
    pthread_t thread = loop->thread;
    bool own = on_own_thread(loop);

    if (own) {
        /* The thread cannot wait for itself: it frees the loop when it leaves its main function. */
        (void)pthread_detach(thread);
        loop->has_thread = false;
    }
    (void)pthread_mutex_lock(&loop->shared.mutex);
    loop->shared.stop = true;
    loop->shared.sleeping = false;
    (void)pthread_mutex_unlock(&loop->shared.mutex);
    if (own)
        return;
    loop->reactor.env.ops->poll_wake(loop->reactor.env.self);
    (void)pthread_join(thread, NULL);
    free_loop(loop);
}

void etcd__loop_leave(struct etcd_loop *loop)
{
    if (loop->system != NULL)
        etcd__env_system_leave(loop->system);
}

void etcd__loop_unref(struct etcd_loop *loop)
{
    if (loop == NULL || atomic_fetch_sub_explicit(&loop->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (etcd__loop_usable(loop, NULL) != ETCD_OK) {
        etcd__loop_leave(loop); /* the thread is the parent's, and so are the callbacks */
        free_loop(loop);
    } else if (loop->has_thread) {
        stop_thread(loop);
    } else {
        run_callbacks(loop);
        free_loop(loop);
    }
}

/* Nobody can call process() any more: what waits is told now, what comes later on the loop's thread. */
static void stop_deferring(struct etcd_loop *loop)
{
    if (!in_callback(loop))
        run_callbacks(loop);
    atomic_store(&loop->dispatch, ETCD_DISPATCH_LOOP);
    loop->reactor.env.ops->poll_wake(loop->reactor.env.self);
}

void etcd_loop_free(etcd_loop *loop)
{
    if (loop != NULL && atomic_load(&loop->dispatch) == ETCD_DISPATCH_PROCESS &&
        etcd__loop_usable(loop, NULL) == ETCD_OK)
        stop_deferring(loop);
    etcd__loop_unref(loop);
}

/* ---- caller drive, deferred dispatch --------------------------------------------------------------- */

etcd_status etcd__loop_usable(const struct etcd_loop *loop, etcd_error *reterr)
{
    if (*(const volatile unsigned char *)loop->alive == 1)
        return ETCD_OK;
    return etcd__fail(reterr, ETCD_E_CLOSED,
                      "this process was forked after the client was opened: open a client of its own");
}

etcd_status etcd__loop_works(const struct etcd_loop *loop, etcd_error *reterr)
{
    int failure = atomic_load_explicit(&((struct etcd_loop *)(uintptr_t)loop)->failure, memory_order_relaxed);

    if (failure == 0)
        return ETCD_OK;
    (void)etcd__fail(reterr, ETCD_E_IO, "the loop cannot wait for events: %s", strerror(failure));
    if (reterr != NULL)
        reterr->sys_errno = failure;
    return ETCD_E_IO;
}

bool etcd__loop_would_deadlock(const struct etcd_loop *loop)
{
    return loop->drive == ETCD_DRIVE_CALLER ? loop->in_turn : on_own_thread(loop);
}

int etcd_loop_fd(const etcd_loop *loop)
{
    if (loop == NULL)
        return -1;
    if (loop->drive == ETCD_DRIVE_THREAD)
        return loop->notify_fd;
    return loop->reactor.env.ops->poll_fd(loop->reactor.env.self);
}

/* What callbacks and the program's calls have left to the engine, so that nobody has to be woken for it. */
static void finish_work(struct etcd_loop *loop)
{
    refresh_clock(loop);
    if (!knows_input(loop))
        return;
    loop->in_turn = true;
    (void)run_work(loop);
    etcd__reactor_run_tasks(&loop->reactor);
    loop->in_turn = false;
}

void etcd__loop_hand_over(struct etcd_loop *loop)
{
    const struct etcd__env *env = &loop->reactor.env;
    int64_t next_ms;
    bool waiting;

    finish_work(loop);
    next_ms = etcd__reactor_next_ms(&loop->reactor);
    (void)pthread_mutex_lock(&loop->shared.mutex);
    waiting = !etcd__list_empty(&loop->shared.callbacks) || !etcd__list_empty(&loop->shared.work);
    loop->shared.sleeping = !waiting;
    (void)pthread_mutex_unlock(&loop->shared.mutex);
    /* A timer for what is due already would be an interrupt. */
    if (waiting || next_ms <= loop->reactor.now_ms)
        env->ops->poll_wake(env->self);
    else
        env->ops->poll_deadline(env->self, next_ms);
    loop->polled = false;
}

int etcd__loop_pump(struct etcd_loop *loop, int64_t until_ms)
{
    int err;

    assert(loop->drive == ETCD_DRIVE_CALLER && !loop->in_turn);
    loop->in_turn = true;
    err = turn(loop, until_ms);
    loop->in_turn = false;
    return err;
}

static etcd_status process_deferred(struct etcd_loop *loop, etcd_error *reterr)
{
    if (loop->dispatch != ETCD_DISPATCH_PROCESS)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "loop: its own thread does the work");
    clear_notify(loop);
    run_callbacks(loop);
    return ETCD_OK;
}

void etcd__loop_deliver(struct etcd_loop *loop)
{
    assert(loop->drive == ETCD_DRIVE_CALLER && !loop->in_turn);
    loop->in_turn = true;
    run_callbacks(loop);
    loop->in_turn = false;
}

static bool callbacks_wait(struct etcd_loop *loop)
{
    bool waiting;

    (void)pthread_mutex_lock(&loop->shared.mutex);
    waiting = !etcd__list_empty(&loop->shared.callbacks);
    (void)pthread_mutex_unlock(&loop->shared.mutex);
    return waiting;
}

static etcd_status process_until(struct etcd_loop *loop, int64_t until_ms, etcd_error *reterr)
{
    int err = etcd__loop_pump(loop, callbacks_wait(loop) ? INT64_MIN : until_ms);

    if (err == 0 && !loop->polled)
        err = etcd__loop_pump(loop, callbacks_wait(loop) ? INT64_MIN : until_ms);
    etcd__loop_deliver(loop);
    etcd__loop_hand_over(loop);
    if (err == 0)
        return ETCD_OK;
    return etcd__loop_works(loop, reterr);
}

static etcd_status check_process(struct etcd_loop *loop, etcd_error *reterr)
{
    if (loop == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "loop is NULL");
    if (etcd__loop_would_deadlock(loop))
        return etcd__fail(reterr, ETCD_E_WOULD_DEADLOCK, "loop: processed from one of its own callbacks");
    return etcd__loop_usable(loop, reterr);
}

etcd_status etcd_loop_process(etcd_loop *loop, etcd_error *reterr)
{
    etcd_status st = check_process(loop, reterr);

    if (st != ETCD_OK)
        return st;
    if (loop->drive == ETCD_DRIVE_THREAD)
        return process_deferred(loop, reterr);
    return process_until(loop, INT64_MIN, reterr);
}

static void wait_readable(int fd, int64_t timeout_ms)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};

    (void)poll(&entry, 1, timeout_ms > INT32_MAX ? -1 : (int)timeout_ms);
}

etcd_status etcd_loop_wait(etcd_loop *loop, int64_t timeout_ms, etcd_error *reterr)
{
    etcd_status st = check_process(loop, reterr);

    if (st != ETCD_OK)
        return st;
    if (timeout_ms < 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "loop: timeout_ms is %lld", (long long)timeout_ms);
    if (loop->drive == ETCD_DRIVE_THREAD) {
        if (loop->dispatch == ETCD_DISPATCH_PROCESS)
            wait_readable(loop->notify_fd, timeout_ms);
        return process_deferred(loop, reterr);
    }
    return process_until(loop, etcd__loop_after_ms(loop, timeout_ms), reterr);
}
