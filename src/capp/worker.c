/* SPDX-License-Identifier: Apache-2.0 */
/* Workers, as their own functions and those who register them see them. */
#include "capp/worker.h"

#include "base/str.h"
#include "fail.h"
#include "host.h"
#include "setup.h"
#include "thread.h"

#include <string.h>

/* ---- from inside of one ---------------------------------------------------------------------------- */

bool capp_worker_wait(capp_worker *worker, int64_t timeout_ms)
{
    return !capp_cancel_wait(&worker->app->cancel, timeout_ms);
}

bool capp_worker_stopping(const capp_worker *worker)
{
    return capp_cancel_requested(&worker->app->cancel);
}

void capp_worker_ready(capp_worker *worker)
{
    if (!atomic_exchange(&worker->ready, true))
        capp__wake_up(worker->app->wake.write_fd);
}

const char *capp_worker_name(const capp_worker *worker)
{
    return worker->name;
}

capp_app *capp_worker_app(const capp_worker *worker)
{
    return worker->app;
}

static capp_status call(struct capp_worker *worker)
{
    if (worker->service != NULL)
        return worker->service->run(worker->service->self, worker, &worker->error);
    return worker->fn(worker, worker->user_data, &worker->error);
}

void *capp__worker_main(void *arg)
{
    struct capp_worker *worker = arg;
    capp_app *app = worker->app;

    capp__thread_name(worker->name);
    capp_status status = call(worker);
    worker->failed = status != CAPP_OK && !(status == CAPP_E_CANCELLED && capp_worker_stopping(worker));
    if (worker->failed)
        capp__error_settle(&worker->error, status);
    pthread_mutex_lock(&app->shared.mutex);
    etcd__list_push(&app->shared.ended, &worker->ended_node);
    pthread_mutex_unlock(&app->shared.mutex);
    /* The thread is joined before anything goes away, unless it was given up, and then nothing does. */
    capp__wake_up(app->wake.write_fd);
    return NULL;
}

/* ---- options --------------------------------------------------------------------------------------- */

static capp_status check_numbers(const capp_worker_opts *opts, const char *what, capp_error *reterr)
{
    const struct {
        const char *name;
        int64_t value;
    } rows[] = {
        {"restart_window_ms", opts->restart_window_ms}, {"backoff_min_ms", opts->backoff_min_ms},
        {"backoff_max_ms", opts->backoff_max_ms},       {"stop_timeout_ms", opts->stop_timeout_ms},
        {"ready_timeout_ms", opts->ready_timeout_ms},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].value < 0)
            return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "%s: %s is %lld", what, rows[i].name,
                             (long long)rows[i].value);
    }
    if (opts->backoff_max_ms != 0 && opts->backoff_min_ms > opts->backoff_max_ms)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                         "%s: backoff_min_ms, %lld, is more than backoff_max_ms, %lld", what,
                         (long long)opts->backoff_min_ms, (long long)opts->backoff_max_ms);
    return CAPP_OK;
}

/* What is set must have an effect. */
static capp_status check_opts(const capp_worker_opts *opts, const char *what, capp_error *reterr)
{
    bool restarts = opts->policy == CAPP_WORKER_RESTART;

    if ((int)opts->policy < CAPP_WORKER_FAIL || opts->policy > CAPP_WORKER_RESTART)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "%s: policy is %d", what, (int)opts->policy);
    if (!restarts && (opts->max_restarts != 0 || opts->restart_window_ms != 0 || opts->backoff_min_ms != 0 ||
                      opts->backoff_max_ms != 0))
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                         "%s: a limit of restarts or a back-off needs the policy CAPP_WORKER_RESTART", what);
    if (!opts->wait_ready && opts->ready_timeout_ms != 0)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "%s: ready_timeout_ms needs wait_ready", what);
    return check_numbers(opts, what, reterr);
}

void capp__worker_defaults(capp_worker_opts *opts)
{
    if (opts->restart_window_ms == 0)
        opts->restart_window_ms = CAPP__RESTART_WINDOW_MS;
    if (opts->backoff_max_ms == 0)
        opts->backoff_max_ms = opts->backoff_min_ms > CAPP__BACKOFF_MAX_MS ? opts->backoff_min_ms
                                                                           : CAPP__BACKOFF_MAX_MS;
    if (opts->backoff_min_ms == 0)
        opts->backoff_min_ms = opts->backoff_max_ms < CAPP__BACKOFF_MIN_MS ? opts->backoff_max_ms
                                                                           : CAPP__BACKOFF_MIN_MS;
}

capp_status capp__worker_import(capp_worker_opts *ret_opts, const capp_worker_opts *opts, const char *what,
                                capp_error *reterr)
{
    const capp_worker_opts defaults = CAPP_WORKER_OPTS_INIT;
    capp_status status = capp__import(ret_opts, sizeof(*ret_opts), opts == NULL ? &defaults : opts,
                                      "capp_worker_opts", reterr);

    if (status != CAPP_OK) {
        capp_error_prefix(reterr, "%s", what);
        return status;
    }
    status = check_opts(ret_opts, what, reterr);
    if (status == CAPP_OK)
        capp__worker_defaults(ret_opts);
    return status;
}

/* ---- registration ---------------------------------------------------------------------------------- */

static capp_status check_worker(const capp_setup *setup, struct capp_worker *worker, const char *name,
                                const capp_worker_opts *opts, capp_error *reterr)
{
    capp_status status = capp__name_set(worker->name, name, "capp_add_worker: name", reterr);

    if (status != CAPP_OK)
        return status;
    if (worker->fn == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "capp_add_worker: fn is NULL");
    etcd__format(worker->label, sizeof(worker->label), "worker '%s'", worker->name);
    for (size_t i = 0; i < setup->app->workers.count; i++) {
        if (strcmp(capp__worker_at(setup->app, i)->name, worker->name) == 0)
            return capp_fail(reterr, CAPP_E_DUPLICATE, "%s is added twice", worker->label);
    }
    return capp__worker_import(&worker->opts, opts, worker->label, reterr);
}

capp_status capp_setup_add_worker_with(capp_setup *setup, const char *name, capp_worker_fn *fn,
                                       void *user_data, const capp_worker_opts *opts)
{
    struct capp_worker worker = {.app = setup->app, .fn = fn, .user_data = user_data};
    capp_error error;

    capp_status status = capp__setup_check_open(setup, "capp_add_worker");
    if (status != CAPP_OK)
        return status;
    status = check_worker(setup, &worker, name, opts, &error);
    if (status != CAPP_OK)
        return capp__setup_refuse(setup, status, error.message);
    capp__setup_take_place(setup, worker.place);
    void *copy = etcd__memdup(&worker, sizeof(worker));
    if (copy == NULL || !capp__ptrs_push(&setup->app->workers, copy)) {
        etcd__free(copy);
        return capp__setup_no_memory(setup);
    }
    return CAPP_OK;
}

capp_status capp_setup_add_worker(capp_setup *setup, const char *name, capp_worker_fn *fn, void *user_data)
{
    return capp_setup_add_worker_with(setup, name, fn, user_data, NULL);
}

/* ---- hosted services ------------------------------------------------------------------------------- */

static struct capp_worker *new_hosted(capp_app *app, const struct capp__component *component)
{
    struct capp_worker *worker = ETCD__NEW(struct capp_worker);

    if (worker == NULL)
        return NULL;
    worker->app = app;
    worker->service = component;
    etcd__format(worker->name, sizeof(worker->name), "%s", component->label);
    etcd__format(worker->label, sizeof(worker->label), "service %s", component->label);
    /* Checked when the service was added. */
    if (capp__worker_import(&worker->opts, component->run_opts, worker->label, NULL) == CAPP_OK)
        return worker;
    etcd__free(worker);
    return NULL;
}

capp_status capp__host_services(capp_app *app, capp_error *reterr)
{
    struct capp__ptrs own = app->workers;

    app->workers = (struct capp__ptrs){0};
    bool ok = true;
    for (size_t i = 0; i < app->components.count; i++) {
        const struct capp__component *component = capp__component_at(app, i);
        struct capp_worker *worker = component->run == NULL ? NULL : new_hosted(app, component);

        if (component->run == NULL)
            continue;
        if (worker == NULL || !capp__ptrs_push(&app->workers, worker)) {
            etcd__free(worker);
            ok = false;
        }
    }
    for (size_t i = 0; i < own.count; i++) {
        if (capp__ptrs_push(&app->workers, own.items[i]))
            continue;
        etcd__free(own.items[i]);
        ok = false;
    }
    capp__ptrs_deinit(&own);
    return ok ? CAPP_OK : capp__fail_memory(reterr);
}
