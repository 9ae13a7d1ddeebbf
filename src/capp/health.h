/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of an application, and what they say. */
#ifndef CAPP__HEALTH_H
#define CAPP__HEALTH_H

#include "capp/health.h"

/* Of a service or of a module; constant once the application is built. */
struct capp__check {
    char name[128];
    capp_health_fn *fn;
    void *self;
    uint32_t flags; /* CAPP_HEALTH_… */
};

/* What the application is doing, and what one look at all checks has found. */
struct capp__health {
    int phase;        /* enum capp__phase */
    bool live, ready; /* as far as the checks were asked */
};

/* Adds the checks of the services, which exist by now. */
capp_status capp__health_collect(capp_app *app, capp_error *reterr);

/* Begins a look. */
struct capp__health capp__health_begin(const capp_app *app);
/* Asks one check, if the phase allows it: false if not, and *ret_health is empty then. */
bool capp__health_ask(struct capp__health *health, const struct capp__check *check, capp_health *ret_health);

/* "up", "degraded", "down". */
const char *capp__health_name(capp_health_state state);

#endif
