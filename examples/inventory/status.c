/* SPDX-License-Identifier: Apache-2.0 */
#include "status.h"

#include "http.h"
#include "readiness.h"
#include "settings.h"

#include <stdlib.h>
#include <string.h>

struct status_page {
    capp_app *app;
    capp_logger *log;
    readiness *readiness;
    const instance_settings *instance;
    http_listener listener;
};

CAPP_TYPE_DEFINE(status_page);

/* ---- pages -------------------------------------------------------------------------------------------- */

typedef size_t text_fn(capp_app *app, char *dst, size_t size);

static size_t config_text(capp_app *app, char *dst, size_t size)
{
    return capp_config_dump(app, dst, size);
}

/* The text may have grown between the two calls; it is cut then. */
static void show_text(status_page *self, text_fn *text, http_answer *answer)
{
    size_t size = text(self->app, NULL, 0) + 1;
    char *copy = malloc(size);

    answer->type = "text/plain; charset=utf-8";
    if (copy == NULL) {
        answer->code = 503;
        return;
    }
    text(self->app, copy, size);
    fputs(copy, answer->content);
    free(copy);
}

static void show_flag(bool flag, const char *yes, const char *no, http_answer *answer)
{
    answer->type = "text/plain; charset=utf-8";
    answer->code = flag ? 200 : 503;
    fprintf(answer->content, "%s\n", flag ? yes : no);
}

static void handle(void *object, const http_request *request, http_answer *answer)
{
    status_page *self = object;
    const char *path = request->path;

    if (strcmp(request->method, "GET") != 0)
        http_refuse(answer, 405, "GET only");
    else if (strcmp(path, "/live") == 0)
        show_flag(true, "live", "not live", answer);
    else if (strcmp(path, "/ready") == 0)
        show_flag(readiness_now(self->readiness), "ready", "not ready", answer);
    else if (strcmp(path, "/config") == 0)
        show_text(self, config_text, answer);
    else
        http_refuse(answer, 404, "there are /live, /ready and /config");
}

/* ---- the service -------------------------------------------------------------------------------------- */

static capp_status status_start(void *object, capp_error *reterr)
{
    status_page *self = object;

    return http_open(&self->listener, self->instance->status, capp_app_cancel(self->app), reterr);
}

static capp_status status_stop(void *object, int64_t limit_ms, capp_error *reterr)
{
    status_page *self = object;

    (void)limit_ms;
    (void)reterr;
    http_close(&self->listener);
    return CAPP_OK;
}

static capp_status status_run(void *object, capp_worker *worker, capp_error *reterr)
{
    status_page *self = object;

    (void)worker;
    (void)reterr;
    http_serve(&self->listener, handle, self);
    return CAPP_OK;
}

static const capp_inject status_deps[] = {
    CAPP_INJECT(status_page, app, capp_app),
    CAPP_INJECT(status_page, log, capp_logger),
    CAPP_INJECT(status_page, readiness, readiness),
    CAPP_INJECT(status_page, instance, instance_settings),
};
const capp_service status_service = CAPP_SERVICE(
    status_page, CAPP_INJECTS(status_deps), .start = status_start, .stop = status_stop, .run = status_run);
