/* SPDX-License-Identifier: Apache-2.0 */
/* Workers, as the thread in capp_run() sees them: started, started again, joined, given up. */
#include "base/random.h"
#include "base/str.h"
#include "fail.h"
#include "run.h"
#include "thread.h"

/* ---- starting -------------------------------------------------------------------------------------- */

/* False: there is no thread, and worker->error says why. */
static bool launch(struct capp__run *run, struct capp_worker *worker)
{
    worker->failed = false;
    worker->error = (capp_error){0};
    worker->began_ms = capp__now_ms();
    int code = capp__thread_start(&worker->thread, &run->mask, capp__worker_main, worker);

    if (code == 0) {
        worker->state = CAPP__WORKER_RUNS;
        return true;
    }
    worker->failed = true;
    capp__fail_sys(&worker->error, code, "cannot start a thread");
    return false;
}

/* ---- failing --------------------------------------------------------------------------------------- */

static void fail_for_good(struct capp__run *run, struct capp_worker *worker)
{
    char reason[sizeof(worker->label) + 32];

    worker->state = CAPP__WORKER_ENDED;
    capp__run_fail(run, &worker->error);
    etcd__format(reason, sizeof(reason), "%s failed", worker->label);
    capp__run_stop(run, reason);
}

/* A fifth more or less, so that what failed together does not come back together. */
static int64_t with_jitter(int64_t delay_ms)
{
    uint64_t chance;
    int64_t fifth_ms = delay_ms / 5;

    etcd__random_bytes(&chance, sizeof(chance));
    return delay_ms - fifth_ms + (int64_t)(chance % (uint64_t)(2 * fifth_ms + 1));
}

/* How long to wait after this failure: doubled with each of them in a row. */
static int64_t next_backoff(struct capp_worker *worker)
{
    const capp_worker_opts *opts = &worker->opts;
    int64_t delay_ms = opts->backoff_min_ms;

    if (capp__now_ms() - worker->began_ms > opts->backoff_max_ms)
        worker->failures = 0; /* it had recovered */
    for (uint32_t i = 0; i < worker->failures && delay_ms < opts->backoff_max_ms; i++)
        delay_ms = delay_ms > opts->backoff_max_ms / 2 ? opts->backoff_max_ms : delay_ms * 2;
    worker->failures++;
    return with_jitter(delay_ms);
}

/* Whether the worker may be started again; counts it. */
static bool take_restart(struct capp_worker *worker)
{
    const capp_worker_opts *opts = &worker->opts;
    int64_t now_ms = capp__now_ms();

    if (opts->max_restarts == 0)
        return true;
    if (worker->window_restarts == 0 || now_ms - worker->window_began_ms >= opts->restart_window_ms) {
        worker->window_began_ms = now_ms;
        worker->window_restarts = 0;
    }
    if (worker->window_restarts >= opts->max_restarts)
        return false;
    worker->window_restarts++;
    return true;
}

static void restart_later(struct capp__run *run, struct capp_worker *worker)
{
    if (!take_restart(worker)) {
        capp_error_prefix(&worker->error, "%s, restarted %u times within %lld ms", worker->label,
                          (unsigned)worker->window_restarts, (long long)worker->opts.restart_window_ms);
        fail_for_good(run, worker);
        return;
    }
    capp_error_prefix(&worker->error, "%s", worker->label);
    int64_t delay_ms = next_backoff(worker);
    worker->state = CAPP__WORKER_WAITS;
    worker->again_ms = capp__after_ms(delay_ms);
    capp_log(&run->app->logger, CAPP_LOG_WARN, "app", "%s; started again in %lld ms", worker->error.message,
             (long long)delay_ms);
}

static void handle_failure(struct capp__run *run, struct capp_worker *worker)
{
    if (!run->stopping && worker->opts.policy == CAPP_WORKER_RESTART) {
        restart_later(run, worker);
        return;
    }
    capp_error_prefix(&worker->error, "%s", worker->label);
    fail_for_good(run, worker);
}

/* ---- tending --------------------------------------------------------------------------------------- */

/* In the order in which they ended: the first failure is the one that counts. */
static struct capp_worker *take_ended(capp_app *app)
{
    pthread_mutex_lock(&app->shared.mutex);
    struct etcd__node *node = etcd__list_pop(&app->shared.ended);
    pthread_mutex_unlock(&app->shared.mutex);
    return node == NULL ? NULL : ETCD__CONTAINER(node, struct capp_worker, ended_node);
}

static void join_ended(struct capp__run *run)
{
    struct capp_worker *worker;

    while ((worker = take_ended(run->app)) != NULL) {
        if (worker->state == CAPP__WORKER_LEFT)
            continue; /* late, but it has ended */
        pthread_join(worker->thread, NULL);
        worker->state = CAPP__WORKER_ENDED;
        if (worker->failed)
            handle_failure(run, worker);
    }
}

static void restart(struct capp__run *run, struct capp_worker *worker)
{
    atomic_fetch_add(&worker->restarts, 1);
    capp_log(&run->app->logger, CAPP_LOG_DEBUG, "app", "starting %s again", worker->label);
    if (!launch(run, worker))
        handle_failure(run, worker);
}

void capp__run_tend_workers(struct capp__run *run)
{
    join_ended(run);
    for (size_t i = 0; i < run->app->workers.count; i++) {
        struct capp_worker *worker = capp__worker_at(run->app, i);

        if (worker->state != CAPP__WORKER_WAITS)
            continue;
        if (run->stopping)
            worker->state = CAPP__WORKER_ENDED;
        else if (worker->again_ms <= capp__now_ms())
            restart(run, worker);
        if (worker->state == CAPP__WORKER_WAITS && worker->again_ms < run->next_ms)
            run->next_ms = worker->again_ms;
    }
}

/* ---- readiness ------------------------------------------------------------------------------------- */

static bool is_settled(const struct capp__run *run, struct capp_worker *worker)
{
    return run->stopping || worker->state == CAPP__WORKER_ENDED || atomic_load(&worker->ready);
}

static void await_ready(struct capp__run *run, struct capp_worker *worker)
{
    int64_t own_ms = worker->opts.ready_timeout_ms;
    int64_t limit_ms = own_ms == 0 ? INT64_MAX : capp__after_ms(own_ms);
    char reason[sizeof(worker->label) + 32];
    capp_error error;

    for (;;) {
        capp__run_notice(run);
        if (is_settled(run, worker))
            return;
        if (limit_ms != INT64_MAX && capp__now_ms() >= limit_ms)
            break;
        capp__run_wait(run, limit_ms);
    }
    capp_fail(&error, CAPP_E_TIMEOUT, "%s was not ready within %lld ms", worker->label, (long long)own_ms);
    capp__run_fail(run, &error);
    etcd__format(reason, sizeof(reason), "%s was not ready", worker->label);
    capp__run_stop(run, reason);
}

void capp__run_start_worker(struct capp__run *run, struct capp_worker *worker)
{
    capp_log(&run->app->logger, CAPP_LOG_DEBUG, "app", "starting %s", worker->label);
    if (!launch(run, worker))
        handle_failure(run, worker);
    if (worker->opts.wait_ready)
        await_ready(run, worker);
}

/* ---- joining --------------------------------------------------------------------------------------- */

/* INT64_MAX: only that of the stop. */
static int64_t own_limit_ms(const struct capp__run *run, const struct capp_worker *worker)
{
    int64_t own_ms = worker->opts.stop_timeout_ms;

    if (own_ms == 0 || own_ms > INT64_MAX - run->stop_began_ms)
        return INT64_MAX;
    return run->stop_began_ms + own_ms;
}

static void leave_behind(struct capp__run *run, struct capp_worker *worker)
{
    pthread_detach(worker->thread);
    worker->state = CAPP__WORKER_LEFT;
    run->app->left_behind = true;
}

/* Gives up who is beyond a limit of its own; returns when the next one will be. */
static int64_t give_up_late(struct capp__run *run)
{
    int64_t next_ms = INT64_MAX, now_ms = capp__now_ms();
    capp_error error;

    for (size_t i = 0; i < run->app->workers.count; i++) {
        struct capp_worker *worker = capp__worker_at(run->app, i);
        int64_t limit_ms = own_limit_ms(run, worker);

        if (worker->state != CAPP__WORKER_RUNS || limit_ms == INT64_MAX)
            continue;
        if (now_ms < limit_ms) {
            next_ms = limit_ms < next_ms ? limit_ms : next_ms;
            continue;
        }
        leave_behind(run, worker);
        capp_fail(&error, CAPP_E_TIMEOUT, "%s did not end within its limit of %lld ms", worker->label,
                  (long long)worker->opts.stop_timeout_ms);
        capp__run_fail(run, &error);
    }
    return next_ms;
}

static void give_up_all(struct capp__run *run)
{
    capp_error error;
    char labels[384] = "";
    size_t len = 0;

    for (size_t i = 0; i < run->app->workers.count; i++) {
        struct capp_worker *worker = capp__worker_at(run->app, i);

        if (worker->state != CAPP__WORKER_RUNS)
            continue;
        leave_behind(run, worker);
        len += etcd__format(labels + len, sizeof(labels) - len, "%s%s", len == 0 ? "" : ", ", worker->label);
    }
    capp_fail(&error, CAPP_E_TIMEOUT, "%s did not end within the shutdown limit of %lld ms", labels,
              (long long)run->app->shutdown_timeout_ms);
    capp__run_fail(run, &error);
}

static bool any_runs(const capp_app *app)
{
    for (size_t i = 0; i < app->workers.count; i++) {
        if (capp__worker_at(app, i)->state == CAPP__WORKER_RUNS)
            return true;
    }
    return false;
}

bool capp__run_join_workers(struct capp__run *run)
{
    for (;;) {
        capp__run_notice(run);
        int64_t next_ms = give_up_late(run);
        if (!any_runs(run->app))
            return true;
        if (capp__now_ms() >= run->deadline_ms) {
            give_up_all(run);
            return false;
        }
        capp__run_wait(run, next_ms < run->deadline_ms ? next_ms : run->deadline_ms);
    }
}
