/* SPDX-License-Identifier: Apache-2.0 */
/* Reloading while the application runs: the configuration, then whoever wants to know. */
#include "base/str.h"
#include "fail.h"
#include "reload.h"
#include "run.h"

void capp_reload(capp_app *app)
{
    if (app != NULL && !atomic_exchange(&app->reload.requested, true))
        capp__wake_up(app->wake.write_fd);
}

/* ---- on the thread that reloads -------------------------------------------------------------------- */

static void set_label(capp_app *app, const char *label)
{
    pthread_mutex_lock(&app->shared.mutex);
    etcd__format(app->shared.reloading, sizeof(app->shared.reloading), "%s", label);
    pthread_mutex_unlock(&app->shared.mutex);
}

static bool reload_component(capp_app *app, struct capp__component *component)
{
    capp_error error = {0};

    set_label(app, component->label);
    capp_status status = component->reload(component->self, &error);
    if (status == CAPP_OK)
        return true;
    capp__error_settle(&error, status);
    capp_log(&app->logger, CAPP_LOG_ERROR, "app", "reload of %s: %s", component->label, error.message);
    return false;
}

static void reload(void *arg)
{
    capp_app *app = arg;

    capp__logger_reopen(app); /* also where the configuration has a mistake: it may have been rotated */
    set_label(app, "the configuration");
    app->reload.succeeded_now = capp__reload_now(app, NULL);
    capp__logger_reopen(app); /* a file that was rotated, whatever the configuration says */
    if (!app->reload.succeeded_now)
        return; /* all stays as it was, for everybody */
    for (size_t i = 0; i < app->components.count; i++) {
        struct capp__component *component = capp__component_at(app, i);

        if (capp_cancel_requested(&app->cancel))
            return;
        if (component->reload != NULL && !reload_component(app, component))
            app->reload.succeeded_now = false;
    }
}

/* ---- on the thread in capp_run() ------------------------------------------------------------------- */

static void begin(struct capp__run *run)
{
    capp_app *app = run->app;

    if (run->reloader == NULL)
        run->reloader = capp__runner_new("capp-reload", &run->mask, app->wake.write_fd);
    if (run->reloader == NULL) {
        atomic_fetch_add(&app->reload.failed, 1);
        capp_log(&app->logger, CAPP_LOG_ERROR, "app", "cannot start a thread: nothing is reloaded");
        return;
    }
    run->reloading = true;
    atomic_store(&app->phase, CAPP__RELOADING);
    capp_log(&app->logger, CAPP_LOG_INFO, "app", "reloading");
    capp__run_tell_reloading(run);
    capp__runner_post(run->reloader, reload, app);
}

static void end(struct capp__run *run)
{
    capp_app *app = run->app;
    bool ok = app->reload.succeeded_now;

    run->reloading = false;
    if (run->stopping)
        return;
    atomic_fetch_add(ok ? &app->reload.succeeded : &app->reload.failed, 1);
    atomic_store(&app->phase, CAPP__RUNNING);
    capp_log(&app->logger, ok ? CAPP_LOG_INFO : CAPP_LOG_WARN, "app", ok ? "reloaded" : "the reload failed");
    capp__run_tell_ready(run);
}

void capp__run_tend_reload(struct capp__run *run)
{
    if (capp__signals_reload(run->signals))
        atomic_store(&run->app->reload.requested, true);
    if (run->reloading && capp__runner_idle(run->reloader))
        end(run);
    if (!run->reloading && !run->stopping && atomic_load(&run->app->phase) == CAPP__RUNNING &&
        atomic_exchange(&run->app->reload.requested, false))
        begin(run);
}

bool capp__run_await_reload(struct capp__run *run)
{
    char label[sizeof(run->app->shared.reloading)];
    capp_error error;

    if (!run->reloading || capp__run_await(run, run->reloader, INT64_MAX))
        return true;
    pthread_mutex_lock(&run->app->shared.mutex);
    etcd__format(label, sizeof(label), "%s", run->app->shared.reloading);
    pthread_mutex_unlock(&run->app->shared.mutex);
    capp_fail(&error, CAPP_E_TIMEOUT, "reload of %s did not end within the shutdown limit of %lld ms", label,
              (long long)run->app->shutdown_timeout_ms);
    capp__run_fail(run, &error);
    return false;
}
