/* SPDX-License-Identifier: Apache-2.0 */
#include "health.h"

#include "base/buf.h"
#include "base/str.h"
#include "fail.h"
#include "host.h"
#include "quote.h"

#include <string.h>

static const struct capp__check *check_at(const capp_app *app, size_t i)
{
    return app->checks.items[i];
}

/* ---- registration ---------------------------------------------------------------------------------- */

void capp_health_set(capp_health *health, capp_health_state state, const char *format, ...)
{
    va_list args;

    health->state = state;
    va_start(args, format);
    etcd__vformat(health->message, sizeof(health->message), format, args);
    va_end(args);
}

static capp_status add(capp_app *app, const struct capp__check *check, capp_error *reterr)
{
    for (size_t i = 0; i < app->checks.count; i++) {
        if (strcmp(check_at(app, i)->name, check->name) == 0)
            return capp_fail(reterr, CAPP_E_DUPLICATE, "health check '%s' is added twice", check->name);
    }
    void *copy = etcd__memdup(check, sizeof(*check));
    if (copy == NULL || !capp__ptrs_push(&app->checks, copy)) {
        etcd__free(copy);
        return capp__fail_memory(reterr);
    }
    return CAPP_OK;
}

capp_status capp_setup_add_health(capp_setup *setup, const char *name, capp_health_fn *fn, void *self,
                                  uint32_t flags)
{
    struct capp__check check = {.fn = fn, .self = self, .flags = flags};
    capp_status status;
    capp_error error;

    if (setup->builder == NULL)
        return capp__setup_mistake(setup, CAPP_E_STATE,
                                   "capp_setup_add_health: the application is built already");
    status = capp__dotted_set(check.name, sizeof(check.name), name, "capp_setup_add_health: name", &error);
    if (status == CAPP_OK && fn == NULL)
        status = capp_fail(&error, CAPP_E_INVALID_ARGUMENT, "capp_setup_add_health: fn is NULL");
    if (status == CAPP_OK && (flags & ~CAPP_HEALTH_LIVENESS) != 0)
        status = capp_fail(&error, CAPP_E_INVALID_ARGUMENT,
                           "capp_setup_add_health: flags has a bit that is not known");
    if (status == CAPP_OK)
        status = add(setup->app, &check, &error);
    return status == CAPP_OK ? CAPP_OK : capp__setup_mistake(setup, status, error.message);
}

capp_status capp__health_collect(capp_app *app, capp_error *reterr)
{
    capp_status status = CAPP_OK;

    for (size_t i = 0; i < app->components.count && status == CAPP_OK; i++) {
        const struct capp__component *component = capp__component_at(app, i);
        struct capp__check check = {.fn = component->health, .self = component->self};

        if (check.fn == NULL)
            continue;
        etcd__format(check.name, sizeof(check.name), "%s", component->label);
        status = add(app, &check, reterr);
    }
    return status;
}

/* ---- asking ---------------------------------------------------------------------------------------- */

static const char *const phases[] = {
    [CAPP__BUILT] = "built",         [CAPP__STARTING] = "starting", [CAPP__RUNNING] = "running",
    [CAPP__RELOADING] = "reloading", [CAPP__STOPPING] = "stopping", [CAPP__ENDED] = "ended",
};

const char *capp__health_name(capp_health_state state)
{
    return state == CAPP_HEALTH_UP ? "up" : state == CAPP_HEALTH_DEGRADED ? "degraded" : "down";
}

static bool runs(int phase)
{
    return phase == CAPP__RUNNING || phase == CAPP__RELOADING;
}

struct capp__health capp__health_begin(const capp_app *app)
{
    struct capp__health health = {.phase = atomic_load(&app->phase)};

    health.live = health.phase != CAPP__ENDED;
    health.ready = runs(health.phase) && !atomic_load(&app->stop_requested) &&
                   !capp_cancel_requested(&app->cancel);
    return health;
}

bool capp__health_ask(struct capp__health *health, const struct capp__check *check, capp_health *ret_health)
{
    *ret_health = (capp_health){.size = sizeof(*ret_health)};
    if (!runs(health->phase))
        return false;
    check->fn(check->self, ret_health);
    ret_health->message[sizeof(ret_health->message) - 1] = '\0';
    if (ret_health->state != CAPP_HEALTH_UP && ret_health->state != CAPP_HEALTH_DEGRADED) {
        health->ready = false;
        health->live = health->live && (check->flags & CAPP_HEALTH_LIVENESS) == 0;
    }
    return true;
}

bool capp_app_is_live(const capp_app *app)
{
    struct capp__health health;
    capp_health said;

    if (app == NULL)
        return false;
    health = capp__health_begin(app);
    for (size_t i = 0; i < app->checks.count && health.live; i++) {
        if ((check_at(app, i)->flags & CAPP_HEALTH_LIVENESS) != 0)
            (void)capp__health_ask(&health, check_at(app, i), &said);
    }
    return health.live;
}

bool capp_app_is_ready(const capp_app *app)
{
    struct capp__health health;
    capp_health said;

    if (app == NULL)
        return false;
    health = capp__health_begin(app);
    for (size_t i = 0; i < app->checks.count && health.ready; i++)
        (void)capp__health_ask(&health, check_at(app, i), &said);
    return health.ready;
}

/* ---- report ---------------------------------------------------------------------------------------- */

enum {
    SHOWN_SIZE = 4 * CAPP_HEALTH_MESSAGE_SIZE, /* a message, escaped */
    QUOTED_SIZE = 2 * SHOWN_SIZE + 3,
};

/* One check: a line, or an object behind a comma if need be. */
static bool add_check(struct etcd__buf *text, const struct capp__check *check, bool asked,
                      const capp_health *said, bool json)
{
    const char *state = asked ? capp__health_name(said->state) : "unknown";
    char shown[SHOWN_SIZE], name[sizeof(check->name) * 2 + 3], message[QUOTED_SIZE];

    etcd__escape_controls(shown, sizeof(shown), said->message, strlen(said->message));
    if (!json)
        return etcd__buf_printf(text, "%s: %s%s%s\n", check->name, state, shown[0] == '\0' ? "" : ": ",
                                shown);
    name[capp__quote(name, check->name)] = '\0';
    message[capp__quote(message, shown)] = '\0';
    return etcd__buf_printf(text, "%s{\"name\":%s,\"state\":\"%s\",\"message\":%s,\"liveness\":%s}",
                            etcd__buf_len(text) == 0 ? "" : ",", name, state, message,
                            (check->flags & CAPP_HEALTH_LIVENESS) != 0 ? "true" : "false");
}

static bool write_report(const capp_app *app, bool json, struct etcd__buf *head, struct etcd__buf *checks)
{
    struct capp__health health = capp__health_begin(app);
    capp_health said;
    bool ok = true;

    for (size_t i = 0; i < app->checks.count && ok; i++) {
        bool asked = capp__health_ask(&health, check_at(app, i), &said);

        ok = add_check(checks, check_at(app, i), asked, &said, json);
    }
    if (!json)
        return ok &&
               etcd__buf_printf(head, "%s (%s): %s, %s, %s\n", app->name, app->environment,
                                phases[health.phase], health.live ? "live" : "not live",
                                health.ready ? "ready" : "not ready") &&
               etcd__buf_append(head, etcd__buf_front(checks), etcd__buf_len(checks));
    return ok &&
           etcd__buf_printf(head,
                            "{\"application\":\"%s\",\"environment\":\"%s\",\"phase\":\"%s\",\"live\":%s,"
                            "\"ready\":%s,\"checks\":[",
                            app->name, app->environment, phases[health.phase], health.live ? "true" : "false",
                            health.ready ? "true" : "false") &&
           etcd__buf_append(head, etcd__buf_front(checks), etcd__buf_len(checks)) &&
           etcd__buf_printf(head, "]}\n");
}

size_t capp_health_report(const capp_app *app, capp_health_format format, char *dst, size_t size)
{
    struct etcd__buf text, checks;

    etcd__buf_init(&text, 0);
    etcd__buf_init(&checks, 0);
    bool ok = app == NULL || write_report(app, format == CAPP_HEALTH_JSON, &text, &checks);
    size_t len = etcd__text_give(dst, size, etcd__buf_front(&text), ok ? etcd__buf_len(&text) : 0);
    etcd__buf_deinit(&text);
    etcd__buf_deinit(&checks);
    return len;
}
