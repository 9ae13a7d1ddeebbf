/* SPDX-License-Identifier: Apache-2.0 */
#include "presence.h"

#include "settings.h"

#include <capp/etcd.h>

#include <stdatomic.h>
#include <stdio.h>

enum { LOOK_MS = 250, VALUE_SIZE = 512 };

struct presence {
    etcd_client *etcd;
    capp_logger *log;
    capp_app *app;
    const instance_settings *settings;
    atomic_bool registered;
};

CAPP_TYPE_DEFINE(presence);

static void format_value(const presence *self, bool ready, char value[VALUE_SIZE])
{
    const instance_settings *settings = self->settings;
    const char *address = settings->advertise == NULL ? settings->listen : settings->advertise;

    snprintf(value, VALUE_SIZE, "{\"address\":\"%s\",\"state\":\"%s\"}", address,
             ready ? "ready" : "not ready");
}

static void on_event(etcd_registration *registration, etcd_registration_event event, const etcd_error *err,
                     void *user_data)
{
    const presence *self = user_data;

    (void)registration;
    if (event == ETCD_REGISTRATION_RESTORED)
        capp_log(self->log, CAPP_LOG_INFO, "presence", "registered again");
    else
        capp_log(self->log, CAPP_LOG_WARN, "presence", "not registered: %s", err->message);
}

static capp_status register_instance(presence *self, bool ready, etcd_registration **ret_registration,
                                     capp_error *reterr)
{
    char value[VALUE_SIZE];
    etcd_error err;

    format_value(self, ready, value);
    if (etcd_register(self->etcd, "inventory", self->settings->name, value,
                      ETCD_REGISTER_OPTS(.ttl_s = self->settings->registration_ttl_ms / 1000,
                                         .on_event = on_event, .user_data = self),
                      ret_registration, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    capp_log(self->log, CAPP_LOG_INFO, "presence", "registered as '%s'", self->settings->name);
    return CAPP_OK;
}

/* Keeps the entry true until the application stops. */
static void follow(presence *self, capp_worker *worker, etcd_registration *registration, bool told)
{
    bool failed = false; /* so that an outage is one line */

    while (capp_worker_wait(worker, LOOK_MS)) {
        bool ready = capp_app_is_ready(self->app);
        char value[VALUE_SIZE];
        etcd_error err;

        atomic_store(&self->registered, etcd_registration_alive(registration));
        if (ready == told)
            continue;
        format_value(self, ready, value);
        if (etcd_registration_update(registration, value, 0, &err) == ETCD_OK) {
            told = ready;
            failed = false;
        } else if (!failed) {
            capp_log(self->log, CAPP_LOG_WARN, "presence", "%s", err.message);
            failed = true;
        }
    }
}

static capp_status presence_run(void *object, capp_worker *worker, capp_error *reterr)
{
    presence *self = object;
    etcd_registration *registration = NULL;
    bool ready = capp_app_is_ready(self->app);
    etcd_error err;

    capp_status status = register_instance(self, ready, &registration, reterr);
    if (status != CAPP_OK)
        return status;
    follow(self, worker, registration, ready);
    atomic_store(&self->registered, false);
    if (etcd_registration_close(registration, 0, &err) != ETCD_OK)
        capp_log(self->log, CAPP_LOG_WARN, "presence", "%s", err.message);
    return CAPP_OK;
}

/* Clients that know the way find it all the same: no reason to send them elsewhere. */
static void presence_health(void *object, capp_health *health)
{
    presence *self = object;

    if (!atomic_load(&self->registered))
        capp_health_set(health, CAPP_HEALTH_DEGRADED, "not registered");
}

static const capp_inject presence_deps[] = {
    CAPP_INJECT_NAMED(presence, etcd, etcd_client, "discovery"),
    CAPP_INJECT(presence, log, capp_logger),
    CAPP_INJECT(presence, app, capp_app),
    CAPP_INJECT(presence, settings, instance_settings),
};
/* What fails because servers are away succeeds when they are back. */
static const capp_worker_opts presence_again = {.size = sizeof(presence_again),
                                                .policy = CAPP_WORKER_RESTART,
                                                .backoff_min_ms = 500,
                                                .backoff_max_ms = 5000};
const capp_service presence_service = CAPP_SERVICE(presence, CAPP_INJECTS(presence_deps), .run = presence_run,
                                                   .run_opts = &presence_again, .health = presence_health);
