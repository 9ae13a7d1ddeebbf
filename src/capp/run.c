/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a running application, as the thread in capp_run() directs it.
 *
 * That thread never calls code of the user. Starts and stops run as jobs of one
 * runner, cancel functions on a second one (a start that waits must not keep them
 * from running), workers on threads of their own. So it can always watch the limits and the signals.
 *
 *   starting:  components in order, then workers      -> running, or stopping
 *   running:   wait for a signal, capp_stop() or a worker that fails
 *   stopping:  cancel waits; join workers; stop components in reverse order
 *
 * `deadline_ms` is set on the way into stopping and bounds all of it. A component that exceeds a
 * limit of its own is given up with its thread, and a new runner goes on with
 * the others; when the deadline passes, everything that is left is given up.
 */
#include "base/str.h"
#include "fail.h"
#include "host.h"
#include "runner.h"
#include "signals.h"
#include "thread.h"

#include <stdio.h>

struct run {
    capp_app *app;
    sigset_t mask; /* of the caller; all our threads get it */
    struct capp__signals signals;
    struct capp__runner *runner;    /* starts and stops; NULL when it could not be replaced */
    struct capp__runner *canceller; /* cancel functions */
    size_t started;                 /* components[0, started) are to be stopped */
    bool stopping;
    bool worker_failed;  /* and that has been recorded */
    int64_t deadline_ms; /* INT64_MAX until the stop begins */
    capp_status status;  /* of the first failure */
    capp_error error;
};

static void log_app(const struct run *run, capp_log_level level, const char *text)
{
    capp_log(&run->app->logger, level, "app", "%s", text);
}

/* Keeps the first failure for the caller and logs the others. */
static void fail(struct run *run, const capp_error *error)
{
    if (run->status != CAPP_OK) {
        log_app(run, CAPP_LOG_ERROR, error->message);
        return;
    }
    run->status = error->status;
    run->error = *error;
}

static void request_cancel(void *app)
{
    capp__cancel_request(&((capp_app *)app)->cancel);
}

static void begin_stop(struct run *run, const char *reason)
{
    if (run->stopping)
        return;
    run->stopping = true;
    atomic_store(&run->app->phase, CAPP__STOPPING);
    run->deadline_ms = capp__after_ms(run->app->shutdown_timeout_ms);
    capp_log(&run->app->logger, CAPP_LOG_INFO, "app", "stopping (%s)", reason);
    capp__runner_post(run->canceller, request_cancel, run->app);
}

/* The first worker that failed, once; its error is recorded. NULL when there is none (any more). */
static const struct capp_worker *take_failed_worker(struct run *run)
{
    pthread_mutex_lock(&run->app->shared.mutex);
    const struct capp_worker *worker = run->app->shared.failed;
    pthread_mutex_unlock(&run->app->shared.mutex);
    if (worker == NULL || run->worker_failed)
        return NULL;
    run->worker_failed = true;
    fail(run, &worker->error);
    return worker;
}

/* Begins the stop if there is a reason to. */
static void notice(struct run *run)
{
    char reason[CAPP__NAME_SIZE + 32];

    if (run->stopping)
        return;
    int number = capp__signals_first(&run->signals);
    const struct capp_worker *worker = take_failed_worker(run);
    if (worker != NULL) {
        etcd__format(reason, sizeof(reason), "worker '%s' failed", worker->name);
        begin_stop(run, reason);
    } else if (number != 0) {
        begin_stop(run, number == SIGINT ? "SIGINT" : "SIGTERM");
    } else if (atomic_load(&run->app->stop_requested)) {
        begin_stop(run, "capp_stop");
    }
}

/* Waits until the runner's job is over; false when a limit passed first. */
static bool await_idle(struct run *run, struct capp__runner *runner, int64_t limit_ms)
{
    while (!capp__runner_idle(runner)) {
        notice(run);
        int64_t until_ms = limit_ms < run->deadline_ms ? limit_ms : run->deadline_ms;
        if (until_ms != INT64_MAX && capp__now_ms() >= until_ms)
            return capp__runner_idle(runner);
        capp__wake_wait(&run->app->wake, until_ms);
    }
    return true;
}

static void call_component(void *arg)
{
    struct capp__component *component = arg;

    if (component->call.stopping)
        component->call.status = component->stop(component->self, component->call.limit_ms,
                                                 &component->call.error);
    else
        component->call.status = component->start(component->self, &component->call.error);
}

static void give_up_runner(struct run *run)
{
    capp__runner_abandon(run->runner);
    run->app->left_behind = true;
    run->runner = capp__runner_new("capp-life", &run->mask, run->app->wake.write_fd);
}

/* What a stop function is told: at least 1, INT64_MAX for no limit. */
static int64_t time_left(int64_t now_ms, int64_t limit_ms)
{
    if (limit_ms == INT64_MAX)
        return INT64_MAX;
    return limit_ms > now_ms ? limit_ms - now_ms : 1;
}

/* Calls a start or stop and waits for it; *ret_error is set unless the result is CAPP_OK. */
static capp_status call_and_wait(struct run *run, struct capp__component *component, bool stopping,
                                 capp_error *ret_error)
{
    const char *what = stopping ? "stop" : "start";
    int64_t own_ms = stopping ? component->stop_timeout_ms : component->start_timeout_ms;
    int64_t began_ms = capp__now_ms();
    int64_t limit_ms = own_ms == 0 ? INT64_MAX : capp__after_ms(own_ms);

    if (limit_ms > run->deadline_ms)
        limit_ms = run->deadline_ms;
    component->call.stopping = stopping;
    component->call.limit_ms = time_left(began_ms, limit_ms);
    component->call.error = (capp_error){0};
    capp__runner_post(run->runner, call_component, component);
    if (!await_idle(run, run->runner, limit_ms)) {
        give_up_runner(run);
        return capp_fail(ret_error, CAPP_E_TIMEOUT, "%s of %s did not end within %lld ms", what,
                         component->label, (long long)(capp__now_ms() - began_ms));
    }
    if (component->call.status == CAPP_OK)
        return CAPP_OK;
    *ret_error = component->call.error;
    capp__error_settle(ret_error, component->call.status);
    capp_error_prefix(ret_error, "%s of %s", what, component->label);
    return component->call.status;
}

/* False when the application is to stop because of it. */
static bool start_component(struct run *run, struct capp__component *component)
{
    capp_error error;
    char reason[192];

    capp_log(&run->app->logger, CAPP_LOG_DEBUG, "app", "starting %s", component->label);
    capp_status status = component->start == NULL ? CAPP_OK : call_and_wait(run, component, false, &error);
    if (status == CAPP_OK) {
        run->started++;
        return true;
    }
    /* A start that was waiting when the stop came has only done what it was told. */
    if (!(run->stopping && status == CAPP_E_CANCELLED))
        fail(run, &error);
    etcd__format(reason, sizeof(reason), "start of %s failed", component->label);
    begin_stop(run, reason);
    return false;
}

static bool start_worker(struct run *run, struct capp_worker *worker)
{
    capp_error error;
    int code = capp__thread_start(&worker->thread, &run->mask, capp__worker_main, worker);

    worker->started = code == 0;
    if (worker->started)
        return true;
    capp__fail_sys(&error, code, "cannot start a thread");
    capp_error_prefix(&error, "worker '%s'", worker->name);
    fail(run, &error);
    begin_stop(run, "a worker cannot be started");
    return false;
}

static void start_all(struct run *run)
{
    capp_app *app = run->app;

    for (size_t i = 0; i < app->components.count; i++) {
        notice(run);
        if (run->stopping || !start_component(run, capp__component_at(app, i)))
            return;
    }
    for (size_t i = 0; i < app->workers.count; i++) {
        notice(run);
        if (run->stopping || !start_worker(run, capp__worker_at(app, i)))
            return;
    }
    notice(run);
    if (run->stopping)
        return;
    atomic_store(&app->phase, CAPP__RUNNING);
    log_app(run, CAPP_LOG_INFO, "started");
}

static bool worker_done(struct capp_worker *worker)
{
    pthread_mutex_lock(&worker->app->shared.mutex);
    bool done = worker->done;
    pthread_mutex_unlock(&worker->app->shared.mutex);
    return done;
}

/* Joins those that have ended; returns how many still run. */
static size_t join_ended(capp_app *app)
{
    size_t running = 0;

    for (size_t i = 0; i < app->workers.count; i++) {
        struct capp_worker *worker = capp__worker_at(app, i);

        if (!worker->started)
            continue;
        if (!worker_done(worker)) {
            running++;
            continue;
        }
        pthread_join(worker->thread, NULL);
        worker->started = false;
    }
    return running;
}

static void give_up_workers(struct run *run)
{
    capp_error error;
    char names[256];
    size_t len = 0;

    for (size_t i = 0; i < run->app->workers.count; i++) {
        struct capp_worker *worker = capp__worker_at(run->app, i);

        if (!worker->started)
            continue;
        pthread_detach(worker->thread);
        worker->started = false;
        len += etcd__format(names + len, sizeof(names) - len, "%s'%s'", len == 0 ? "" : ", ", worker->name);
    }
    run->app->left_behind = true;
    capp_fail(&error, CAPP_E_TIMEOUT, "worker %s did not end within the shutdown limit of %lld ms", names,
              (long long)run->app->shutdown_timeout_ms);
    fail(run, &error);
}

static bool join_workers(struct run *run)
{
    while (join_ended(run->app) > 0) {
        if (capp__now_ms() >= run->deadline_ms) {
            give_up_workers(run);
            return false;
        }
        capp__wake_wait(&run->app->wake, run->deadline_ms);
    }
    return true;
}

static bool cancel_waits(struct run *run)
{
    char label[CAPP__NAME_SIZE] = "";
    capp_error error;

    if (await_idle(run, run->canceller, INT64_MAX))
        return true;
    capp__cancel_running(&run->app->cancel, label);
    capp_fail(&error, CAPP_E_TIMEOUT,
              "a cancel function of %s did not end within the shutdown limit of %lld ms",
              label[0] == '\0' ? "the program" : label, (long long)run->app->shutdown_timeout_ms);
    fail(run, &error);
    return false;
}

static void stop_component(struct run *run, struct capp__component *component)
{
    capp_error error;

    if (component->stop != NULL && call_and_wait(run, component, true, &error) != CAPP_OK)
        fail(run, &error);
    else
        capp_log(&run->app->logger, CAPP_LOG_DEBUG, "app", "stopped %s", component->label);
}

static void stop_components(struct run *run)
{
    while (run->started > 0) {
        if (run->runner == NULL || capp__now_ms() >= run->deadline_ms)
            return;
        stop_component(run, capp__component_at(run->app, --run->started));
    }
}

/* Says who was not even asked, when the time is up. */
static void log_not_stopped(struct run *run)
{
    while (run->started > 0)
        capp_log(&run->app->logger, CAPP_LOG_WARN, "app", "%s was not stopped any more",
                 capp__component_at(run->app, --run->started)->label);
}

static void await_stop(struct run *run)
{
    notice(run);
    while (!run->stopping) {
        capp__wake_wait(&run->app->wake, INT64_MAX);
        join_ended(run->app);
        notice(run);
    }
}

static void stop_all(struct run *run)
{
    bool in_time = cancel_waits(run);

    in_time = join_workers(run) && in_time;
    take_failed_worker(run);
    if (in_time)
        stop_components(run);
    log_not_stopped(run);
}

static capp_status prepare(struct run *run, capp_error *reterr)
{
    capp_app *app = run->app;

    pthread_sigmask(SIG_SETMASK, NULL, &run->mask);
    run->deadline_ms = INT64_MAX;
    run->runner = capp__runner_new("capp-life", &run->mask, app->wake.write_fd);
    run->canceller = capp__runner_new("capp-cancel", &run->mask, app->wake.write_fd);
    if (run->runner == NULL || run->canceller == NULL) {
        capp__runner_free(run->runner);
        capp__runner_free(run->canceller);
        return capp_fail(reterr, CAPP_E_IO, "cannot start the threads of the host");
    }
    if (app->signals != CAPP_SIGNALS_STOP && app->signals != CAPP_SIGNALS_STOP_OR_EXIT)
        return CAPP_OK;
    if (!capp__signals_take(&run->signals, app->wake.write_fd, app->signals == CAPP_SIGNALS_STOP_OR_EXIT))
        log_app(run, CAPP_LOG_WARN, "another application of this process has the signals");
    return CAPP_OK;
}

static void end_runner(struct run *run, struct capp__runner *runner)
{
    if (runner == NULL)
        return;
    if (capp__runner_idle(runner)) {
        capp__runner_free(runner);
        return;
    }
    capp__runner_abandon(runner);
    run->app->left_behind = true;
}

static void finish(struct run *run)
{
    end_runner(run, run->runner);
    end_runner(run, run->canceller);
    if (run->app->left_behind)
        log_app(run, CAPP_LOG_ERROR, "stopped, but not all of it: a thread was left behind");
    else
        log_app(run, CAPP_LOG_INFO, "stopped");
    capp__signals_give_back(&run->signals);
}

capp_status capp_run(capp_app *app, capp_error *reterr)
{
    struct run run = {.app = app};
    int built = CAPP__BUILT;

    if (app == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "capp_run: app is NULL");
    if (!atomic_compare_exchange_strong(&app->phase, &built, CAPP__STARTING))
        return capp_fail(reterr, CAPP_E_STATE, "capp_run: the application %s",
                         capp__phase_is_alive(built) ? "runs already" : "has run already");
    capp_status status = prepare(&run, reterr);
    if (status == CAPP_OK) {
        start_all(&run);
        await_stop(&run);
        stop_all(&run);
        finish(&run);
        status = run.status;
        if (status != CAPP_OK)
            capp__error_copy(reterr, &run.error);
    }
    atomic_store(&app->phase, CAPP__ENDED);
    return status;
}
