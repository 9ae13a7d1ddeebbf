/* SPDX-License-Identifier: Apache-2.0 */
/* The first state of a run: starting. */
#include "base/str.h"
#include "run.h"
#include "thread.h"

/* False when the application is to stop because of it. */
static bool start_component(struct capp__run *run, struct capp__component *component)
{
    capp_error error;
    char reason[192];

    capp_log(&run->app->logger, CAPP_LOG_DEBUG, "app", "starting %s", component->label);
    capp_status status = component->start == NULL ? CAPP_OK : capp__run_call(run, component, false, &error);
    if (status == CAPP_OK) {
        run->started++;
        return true;
    }
    /* A start that was waiting when the stop came has only done what it was told. */
    if (!(run->stopping && status == CAPP_E_CANCELLED))
        capp__run_fail(run, &error);
    etcd__format(reason, sizeof(reason), "start of %s failed", component->label);
    capp__run_stop(run, reason);
    return false;
}

void capp__run_start_all(struct capp__run *run)
{
    capp_app *app = run->app;

    for (size_t i = 0; i < app->components.count; i++) {
        capp__run_notice(run);
        if (run->stopping || !start_component(run, capp__component_at(app, i)))
            return;
    }
    for (size_t i = 0; i < app->workers.count; i++) {
        capp__run_notice(run);
        if (run->stopping)
            return;
        capp__run_start_worker(run, capp__worker_at(app, i));
    }
    capp__run_notice(run);
    if (run->stopping)
        return;
    atomic_store(&app->running_since_ms, capp__now_ms());
    atomic_store(&app->phase, CAPP__RUNNING);
    capp_log(&app->logger, CAPP_LOG_INFO, "app", "started");
    capp__run_tell_ready(run);
}
