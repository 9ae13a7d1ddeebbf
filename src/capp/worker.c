/* SPDX-License-Identifier: Apache-2.0 */
#include "capp/worker.h"

#include "fail.h"
#include "host.h"
#include "thread.h"

bool capp_worker_wait(capp_worker *worker, int64_t timeout_ms)
{
    return !capp_cancel_wait(&worker->app->cancel, timeout_ms);
}

bool capp_worker_stopping(const capp_worker *worker)
{
    return capp_cancel_requested(&worker->app->cancel);
}

const char *capp_worker_name(const capp_worker *worker)
{
    return worker->name;
}

capp_app *capp_worker_app(const capp_worker *worker)
{
    return worker->app;
}

/* The first failure stops the application and is what capp_run() returns; the others are logged. */
static void finish(struct capp_worker *worker, bool failed)
{
    capp_app *app = worker->app;

    pthread_mutex_lock(&app->shared.mutex);
    bool first = failed && app->shared.failed == NULL;
    if (first)
        app->shared.failed = worker;
    worker->done = true;
    pthread_mutex_unlock(&app->shared.mutex);
    if (failed && !first)
        capp_log(&app->logger, CAPP_LOG_ERROR, "app", "%s", worker->error.message);
    /* The thread is joined before anything goes away, unless it was given up, and then nothing does. */
    capp__wake_up(app->wake.write_fd);
}

void *capp__worker_main(void *arg)
{
    struct capp_worker *worker = arg;

    capp__thread_name(worker->name);
    capp_status status = worker->fn(worker, worker->user_data, &worker->error);
    bool failed = status != CAPP_OK && !(status == CAPP_E_CANCELLED && capp_worker_stopping(worker));
    if (failed) {
        capp__error_settle(&worker->error, status);
        capp_error_prefix(&worker->error, "worker '%s'", worker->name);
    }
    finish(worker, failed);
    return NULL;
}
