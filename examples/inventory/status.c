/* SPDX-License-Identifier: Apache-2.0 */
#include "status.h"

#include "http.h"
#include "settings.h"

#include <stdlib.h>
#include <string.h>

struct status_page {
    capp_app *app;
    capp_logger *log;
    const instance_settings *instance;
    http_listener listener;
};

CAPP_TYPE_DEFINE(status_page);

/* ---- pages -------------------------------------------------------------------------------------------- */

/* A text of the host's, as capp_config_dump() gives it. */
typedef size_t text_fn(const capp_app *app, char *dst, size_t size);

static size_t health_text(const capp_app *app, char *dst, size_t size)
{
    return capp_health_report(app, CAPP_HEALTH_JSON, dst, size);
}

static size_t services_text(const capp_app *app, char *dst, size_t size)
{
    return capp_describe(app, CAPP_DESCRIBE_TEXT, dst, size);
}

enum { ROOM = 4096 }; /* for what a text grows by between two calls */

static void show_text(status_page *self, text_fn *text, const char *type, http_answer *answer)
{
    size_t size = text(self->app, NULL, 0) + ROOM;
    char *copy = malloc(size);

    answer->type = type;
    if (copy == NULL) {
        answer->code = 503;
        return;
    }
    text(self->app, copy, size);
    fputs(copy, answer->content);
    free(copy);
}

static void show_flag(bool flag, const char *what, http_answer *answer)
{
    answer->type = "text/plain";
    answer->code = flag ? 200 : 503;
    fprintf(answer->content, "%s%s\n", flag ? "" : "not ", what);
}

static bool show_page(status_page *self, const char *path, http_answer *answer)
{
    static const struct {
        const char *path, *type;
        text_fn *text;
    } pages[] = {
        {"/health", "application/json", health_text},
        {"/metrics", "text/plain; version=0.0.4", capp_metrics_text},
        {"/config", "text/plain; charset=utf-8", capp_config_dump},
        {"/services", "text/plain; charset=utf-8", services_text},
    };

    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        if (strcmp(path, pages[i].path) != 0)
            continue;
        show_text(self, pages[i].text, pages[i].type, answer);
        return true;
    }
    return false;
}

static void handle(void *object, const http_request *request, http_answer *answer)
{
    status_page *self = object;

    if (strcmp(request->method, "GET") != 0)
        http_refuse(answer, 405, "GET only");
    else if (strcmp(request->path, "/live") == 0)
        show_flag(capp_app_is_live(self->app), "live", answer);
    else if (strcmp(request->path, "/ready") == 0)
        show_flag(capp_app_is_ready(self->app), "ready", answer);
    else if (!show_page(self, request->path, answer))
        http_refuse(answer, 404, "there are /live, /ready, /health, /metrics, /config and /services");
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
    CAPP_INJECT(status_page, instance, instance_settings),
};
const capp_service status_service = CAPP_SERVICE(
    status_page, CAPP_INJECTS(status_deps), .start = status_start, .stop = status_stop, .run = status_run);
