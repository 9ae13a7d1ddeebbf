/* SPDX-License-Identifier: Apache-2.0 */
/* The last state of a run: stopping. */
#include "base/str.h"
#include "fail.h"
#include "run.h"
#include "thread.h"

/* A check of the health is to look only; one that waits is named, and left. */
static bool await_watcher(struct capp__run *run)
{
    capp_error error;

    if (run->watcher == NULL || capp__run_await(run, run->watcher, INT64_MAX))
        return true;
    capp_fail(&error, CAPP_E_TIMEOUT,
              "a check of the health did not end within the shutdown limit of %lld ms",
              (long long)run->app->shutdown_timeout_ms);
    capp__run_fail(run, &error);
    return false;
}

static bool cancel_waits(struct capp__run *run)
{
    char label[CAPP__NAME_SIZE] = "";
    capp_error error;

    if (capp__run_await(run, run->canceller, INT64_MAX))
        return true;
    capp__cancel_running(&run->app->cancel, label);
    capp_fail(&error, CAPP_E_TIMEOUT,
              "a cancel function of %s did not end within the shutdown limit of %lld ms",
              label[0] == '\0' ? "the program" : label, (long long)run->app->shutdown_timeout_ms);
    capp__run_fail(run, &error);
    return false;
}

static void stop_component(struct capp__run *run, struct capp__component *component)
{
    capp_error error;

    if (component->stop != NULL && capp__run_call(run, component, true, &error) != CAPP_OK)
        capp__run_fail(run, &error);
    else
        capp_log(&run->app->logger, CAPP_LOG_DEBUG, "app", "stopped %s", component->label);
}

static void stop_components(struct capp__run *run)
{
    while (run->started > 0) {
        if (run->runner == NULL || capp__now_ms() >= run->deadline_ms)
            return;
        stop_component(run, capp__component_at(run->app, --run->started));
    }
}

/* Says who was not even asked, when the time is up. */
static void log_not_stopped(struct capp__run *run)
{
    while (run->started > 0)
        capp_log(&run->app->logger, CAPP_LOG_WARN, "app", "%s was not stopped any more",
                 capp__component_at(run->app, --run->started)->label);
}

void capp__run_stop_all(struct capp__run *run)
{
    bool in_time = cancel_waits(run);

    in_time = capp__run_join_workers(run) && in_time;
    in_time = capp__run_await_reload(run) && in_time;
    in_time = await_watcher(run) && in_time;
    if (in_time)
        stop_components(run);
    log_not_stopped(run);
}
