/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of components, bounded by their limits and by that of the stop. */
#include "fail.h"
#include "run.h"
#include "thread.h"

bool capp__run_await(struct capp__run *run, struct capp__runner *runner, int64_t limit_ms)
{
    while (!capp__runner_idle(runner)) {
        capp__run_notice(run);
        int64_t until_ms = limit_ms < run->deadline_ms ? limit_ms : run->deadline_ms;
        if (until_ms != INT64_MAX && capp__now_ms() >= until_ms)
            return capp__runner_idle(runner);
        capp__run_wait(run, until_ms);
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

static void give_up_runner(struct capp__run *run)
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

capp_status capp__run_call(struct capp__run *run, struct capp__component *component, bool stopping,
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
    if (!capp__run_await(run, run->runner, limit_ms)) {
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
