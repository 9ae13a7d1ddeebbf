/* SPDX-License-Identifier: Apache-2.0 */
/* The course of a run, and its middle state: running. See run.h. */
#include "run.h"

#include "fail.h"
#include "thread.h"

static void log_app(const struct capp__run *run, capp_log_level level, const char *text)
{
    capp_log(&run->app->logger, level, "app", "%s", text);
}

void capp__run_fail(struct capp__run *run, const capp_error *error)
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

void capp__run_stop(struct capp__run *run, const char *reason)
{
    if (run->stopping)
        return;
    run->stopping = true;
    atomic_store(&run->app->phase, CAPP__STOPPING);
    run->stop_began_ms = capp__now_ms();
    run->deadline_ms = capp__after_ms(run->app->shutdown_timeout_ms);
    capp_log(&run->app->logger, CAPP_LOG_INFO, "app", "stopping (%s)", reason);
    capp__run_tell_stopping(run);
    capp__runner_post(run->canceller, request_cancel, run->app);
}

static void notice_stop(struct capp__run *run)
{
    int number = capp__signals_first(run->signals);

    if (number != 0)
        capp__run_stop(run, capp__signal_name(number));
    else if (atomic_load(&run->app->stop_requested))
        capp__run_stop(run, "capp_stop");
}

void capp__run_notice(struct capp__run *run)
{
    run->next_ms = INT64_MAX;
    capp__run_tend_workers(run);
    capp__run_tend_reload(run);
    notice_stop(run);
    capp__run_tend_notify(run);
}

void capp__run_wait(struct capp__run *run, int64_t until_ms)
{
    capp__wake_wait(&run->app->wake, until_ms < run->next_ms ? until_ms : run->next_ms);
}

static void serve(struct capp__run *run)
{
    for (;;) {
        capp__run_notice(run);
        if (run->stopping)
            return;
        capp__run_wait(run, INT64_MAX);
    }
}

static void take_signals(struct capp__run *run)
{
    capp_app *app = run->app;

    if (run->signals != &run->own_signals)
        return; /* capp_main() has seen to it */
    if (app->signals != CAPP_SIGNALS_STOP && app->signals != CAPP_SIGNALS_STOP_OR_EXIT)
        return;
    capp__take_signals(app, run->signals);
}

static capp_status prepare(struct capp__run *run, capp_error *reterr)
{
    capp_app *app = run->app;

    run->signals = app->taken == NULL ? &run->own_signals : app->taken;
    if (run->signals->owned)
        run->mask = run->signals->old_mask;
    else
        pthread_sigmask(SIG_SETMASK, NULL, &run->mask);
    run->deadline_ms = INT64_MAX;
    run->runner = capp__runner_new("capp-life", &run->mask, app->wake.write_fd);
    run->canceller = capp__runner_new("capp-cancel", &run->mask, app->wake.write_fd);
    if (run->runner == NULL || run->canceller == NULL) {
        capp__runner_free(run->runner);
        capp__runner_free(run->canceller);
        return capp_fail(reterr, CAPP_E_IO, "cannot start the threads of the host");
    }
    take_signals(run);
    capp__run_open_notify(run);
    return CAPP_OK;
}

static void end_runner(struct capp__run *run, struct capp__runner *runner)
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

static void finish(struct capp__run *run)
{
    end_runner(run, run->runner);
    end_runner(run, run->canceller);
    end_runner(run, run->reloader);
    end_runner(run, run->watcher);
    if (run->app->left_behind)
        log_app(run, CAPP_LOG_ERROR, "stopped, but not all of it: a thread was left behind");
    else
        log_app(run, CAPP_LOG_INFO, "stopped");
    capp__notify_close(&run->notify);
    capp__signals_give_back(&run->own_signals);
}

capp_status capp_run(capp_app *app, capp_error *reterr)
{
    struct capp__run run = {.app = app};
    int built = CAPP__BUILT;

    if (app == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "capp_run: app is NULL");
    if (!atomic_compare_exchange_strong(&app->phase, &built, CAPP__STARTING))
        return capp_fail(reterr, CAPP_E_STATE, "capp_run: the application %s",
                         capp__phase_is_alive(built) ? "runs already" : "has run already");
    capp_status status = prepare(&run, reterr);
    if (status == CAPP_OK) {
        capp__run_start_all(&run);
        serve(&run);
        capp__run_stop_all(&run);
        finish(&run);
        status = run.status;
        if (status != CAPP_OK)
            capp__error_copy(reterr, &run.error);
    }
    atomic_store(&app->phase, CAPP__ENDED);
    return status;
}
