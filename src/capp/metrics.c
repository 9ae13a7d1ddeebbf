/* SPDX-License-Identifier: Apache-2.0 */
#include "capp/metrics.h"

#include "base/buf.h"
#include "base/str.h"
#include "fail.h"
#include "health.h"
#include "host.h"
#include "thread.h"

#include <string.h>

struct capp_metrics {
    struct etcd__buf text;
    bool no_memory;
};

/* A function of a module's. */
struct source {
    capp_metrics_fn *fn;
    void *self;
};

capp_status capp_setup_add_metrics(capp_setup *setup, capp_metrics_fn *fn, void *self)
{
    const struct source source = {fn, self};
    void *copy;

    if (setup->builder == NULL)
        return capp__setup_mistake(setup, CAPP_E_STATE,
                                   "capp_setup_add_metrics: the application is built already");
    if (fn == NULL)
        return capp__setup_mistake(setup, CAPP_E_INVALID_ARGUMENT, "capp_setup_add_metrics: fn is NULL");
    copy = etcd__memdup(&source, sizeof(source));
    if (copy != NULL && capp__ptrs_push(&setup->app->metrics, copy))
        return CAPP_OK;
    etcd__free(copy);
    return capp__setup_mistake(setup, CAPP_E_NO_MEMORY, "out of memory");
}

/* ---- writing --------------------------------------------------------------------------------------- */

void capp_metrics_printf(capp_metrics *out, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (!etcd__buf_vprintf(&out->text, format, args))
        out->no_memory = true;
    va_end(args);
}

/* One character as it stands in a label; returns its length. */
static size_t label_char(char out[8], const char *text, size_t len, size_t *ret_taken)
{
    size_t step = etcd__utf8_len(text, len);

    *ret_taken = step == 0 ? 1 : step;
    if (step == 0)
        return etcd__format(out, 8, "\\\\x%02X", (unsigned)(unsigned char)*text);
    if (*text == '\n')
        return etcd__format(out, 8, "\\n");
    if (*text == '"' || *text == '\\')
        return etcd__format(out, 8, "\\%c", *text);
    memcpy(out, text, step);
    return step;
}

char *capp_metrics_label(char *dst, size_t size, const char *value)
{
    size_t left = value == NULL ? 0 : strlen(value), len = 0;

    if (size == 0)
        return dst;
    while (left > 0) {
        char out[8];
        size_t taken, part = label_char(out, value, left, &taken);

        if (part >= size - len)
            break;
        memcpy(dst + len, out, part);
        len += part;
        value += taken;
        left -= taken;
    }
    dst[len] = '\0';
    return dst;
}

static void family(capp_metrics *out, const char *name, const char *type, const char *help)
{
    capp_metrics_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void number(capp_metrics *out, const char *name, const char *type, const char *help,
                   unsigned long long value)
{
    family(out, name, type, help);
    capp_metrics_printf(out, "%s %llu\n", name, value);
}

/* ---- of the host ----------------------------------------------------------------------------------- */

static void add_checks(const capp_app *app, struct capp__health *health, capp_metrics *out)
{
    char label[256];
    capp_health said;

    family(out, "capp_health_state", "gauge", "State of a check: 0 up, 1 degraded, 2 down.");
    for (size_t i = 0; i < app->checks.count; i++) {
        const struct capp__check *check = app->checks.items[i];

        if (!capp__health_ask(health, check, &said))
            continue;
        capp_metrics_printf(out, "capp_health_state{check=\"%s\"} %d\n",
                            capp_metrics_label(label, sizeof(label), check->name),
                            said.state == CAPP_HEALTH_UP || said.state == CAPP_HEALTH_DEGRADED
                                ? (int)said.state
                                : CAPP_HEALTH_DOWN);
    }
}

static void add_application(const capp_app *app, capp_metrics *out)
{
    struct capp__health health = capp__health_begin(app);
    int64_t since_ms = atomic_load(&app->running_since_ms);
    bool up = capp__phase_is_alive(health.phase);

    add_checks(app, &health, out);
    number(out, "capp_up", "gauge",
           "Whether the application is between the begin of its start and the end of its stop.", up);
    number(out, "capp_live", "gauge", "Whether the application does not have to be restarted.", health.live);
    number(out, "capp_ready", "gauge", "Whether the application should get work.", health.ready);
    int64_t ms = up && since_ms != 0 ? capp__now_ms() - since_ms : 0;
    family(out, "capp_uptime_seconds", "gauge", "Time since everything had started.");
    capp_metrics_printf(out, "capp_uptime_seconds %lld.%03d\n", (long long)(ms / 1000), (int)(ms % 1000));
}

static void add_workers(const capp_app *app, capp_metrics *out)
{
    char label[512];

    family(out, "capp_worker_restarts_total", "counter",
           "How often a worker was started again after a failure.");
    for (size_t i = 0; i < app->workers.count; i++) {
        const struct capp_worker *worker = capp__worker_at(app, i);
        const char *name = worker->service == NULL ? worker->name : worker->label; /* "service http_server" */

        capp_metrics_printf(out, "capp_worker_restarts_total{worker=\"%s\"} %llu\n",
                            capp_metrics_label(label, sizeof(label), name),
                            (unsigned long long)atomic_load(&worker->restarts));
    }
}

static void add_reloads(const capp_app *app, capp_metrics *out)
{
    family(out, "capp_reloads_total", "counter", "How often the application was reloaded.");
    capp_metrics_printf(
        out, "capp_reloads_total{result=\"ok\"} %llu\ncapp_reloads_total{result=\"failed\"} %llu\n",
        (unsigned long long)atomic_load(&app->reload.succeeded),
        (unsigned long long)atomic_load(&app->reload.failed));
}

static void add_log(const capp_app *app, capp_metrics *out)
{
    static const char *const levels[] = {"trace", "debug", "info", "warn", "error"};

    family(out, "capp_log_records_total", "counter", "Log records that were shown or lost.");
    for (size_t i = 0; i < ETCD__COUNT(levels); i++)
        capp_metrics_printf(out, "capp_log_records_total{level=\"%s\"} %llu\n", levels[i],
                            (unsigned long long)atomic_load(&app->logger.records[i]));
    number(out, "capp_log_records_lost_total", "counter", "Log records that could not be written.",
           atomic_load(&app->logger.sink.lost));
}

static void call_module(const struct source *source, capp_metrics *out)
{
    source->fn(source->self, out);
    size_t len = etcd__buf_len(&out->text);
    if (len > 0 && etcd__buf_front(&out->text)[len - 1] != '\n')
        capp_metrics_printf(out, "\n");
}

size_t capp_metrics_text(const capp_app *app, char *dst, size_t size)
{
    capp_metrics out = {.no_memory = false};

    etcd__buf_init(&out.text, 0);
    if (app != NULL) {
        add_application(app, &out);
        add_workers(app, &out);
        add_reloads(app, &out);
        add_log(app, &out);
        for (size_t i = 0; i < app->metrics.count; i++)
            call_module(app->metrics.items[i], &out);
    }
    size_t len = etcd__text_give(dst, size, etcd__buf_front(&out.text),
                                 out.no_memory ? 0 : etcd__buf_len(&out.text));
    etcd__buf_deinit(&out.text);
    return len;
}
