/* SPDX-License-Identifier: Apache-2.0 */
/* Two services and a module for the tests of builder, setup and build. */
#ifndef TESTS_CAPP_THINGS_H
#define TESTS_CAPP_THINGS_H

#include "fixture.h"

typedef struct thing {
    int value;
} thing;
CAPP_TYPE_DEFINE(thing);

typedef struct user_service {
    thing *plain;
    const thing *named;
    capp_app *app;
    capp_logger *log;
    int made;
} user_service;
CAPP_TYPE_DEFINE(user_service);

typedef struct top_service {
    user_service *below;
} top_service;
CAPP_TYPE_DEFINE(top_service);

static const capp_inject user_rows[] = {
    CAPP_INJECT(user_service, plain, thing),
    CAPP_INJECT_NAMED(user_service, named, thing, "named"),
    CAPP_INJECT(user_service, app, capp_app),
    CAPP_INJECT(user_service, log, capp_logger),
};
static const capp_inject top_rows[] = {CAPP_INJECT(top_service, below, user_service)};

static capp_status user_init(void *self, capp_error *reterr)
{
    user_service *service = self;

    (void)reterr;
    if (service->plain == NULL || service->named == NULL || service->app == NULL || service->log == NULL)
        return CAPP_E_INTERNAL;
    trace("init user");
    service->made = 1;
    return CAPP_OK;
}

static void user_fini(void *self)
{
    assert_int_equal(((user_service *)self)->made, 1);
    trace("fini user");
}

static capp_status top_init_fails(void *self, capp_error *reterr)
{
    assert_int_equal(((top_service *)self)->below->made, 1);
    trace("init top");
    return capp_fail(reterr, CAPP_E_DENIED, "not today");
}

static void top_fini(void *self)
{
    (void)self;
    trace("fini top");
}

__attribute__((unused)) static const capp_service user_def =
    CAPP_SERVICE(user_service, CAPP_INJECTS(user_rows), .init = user_init, .fini = user_fini);
__attribute__((unused)) static const capp_service top_def = CAPP_SERVICE(top_service, CAPP_INJECTS(top_rows),
                                                                         .fini = top_fini);
__attribute__((unused)) static const capp_service failing_top_def =
    CAPP_SERVICE(top_service, CAPP_INJECTS(top_rows), .init = top_init_fails, .fini = top_fini);

/* A module that makes one thing late, publishes another at once, and owns both. */
struct things {
    thing now, later;
    bool fail_to_provide, provide_null;
    int destroyed;
};

__attribute__((unused)) static capp_status provide_thing(void *user_data, void **ret_object,
                                                         capp_error *reterr)
{
    struct things *things = user_data;

    trace("provide");
    if (things->fail_to_provide)
        return capp_fail(reterr, CAPP_E_UNAVAILABLE, "no things left");
    *ret_object = things->provide_null ? NULL : &things->later;
    return CAPP_OK;
}

static void destroy_things(void *self)
{
    ((struct things *)self)->destroyed++;
    trace("destroy things");
}

static void ignore_stopping(void *user_data)
{
    (void)user_data;
}

__attribute__((unused)) static capp_status no_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)worker;
    (void)user_data;
    (void)reterr;
    return CAPP_OK;
}

__attribute__((unused)) static void no_health(void *self, capp_health *health)
{
    (void)self;
    (void)health;
}

__attribute__((unused)) static void no_metrics(void *self, capp_metrics *out)
{
    (void)self;
    capp_metrics_printf(out, "# HELP things Things.\n# TYPE things gauge\nthings 1\n");
}

__attribute__((unused)) static capp_status configure_things(capp_setup *setup, const capp_module *module,
                                                            capp_error *reterr)
{
    struct things *things = module->user_data;
    capp_hook hook = {.size = sizeof(hook), .destroy = destroy_things, .self = things};

    (void)reterr;
    capp_add_hook(setup, &hook);
    capp_publish(setup, &thing_type, "named", &things->now);
    capp_provide(setup, &thing_type, "late", provide_thing, things);
    capp_alias(setup, &thing_type, NULL, &thing_type, "late");
    capp_require(setup, &thing_type, "named", NULL);
    capp_on_stopping(setup, ignore_stopping, things);
    capp_setup_add_worker(setup, "things", no_worker, NULL);
    capp_setup_add_health(setup, "things", no_health, NULL, 0);
    capp_setup_add_metrics(setup, no_metrics, NULL);
    return CAPP_OK;
}

/* The `data` of a module, which is an int that is 7. */
static int data_destroyed;

__attribute__((unused)) static void destroy_data(void *data)
{
    assert_int_equal(*(int *)data, 7);
    data_destroyed++;
}

#endif
