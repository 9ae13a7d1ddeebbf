/* SPDX-License-Identifier: Apache-2.0 */
/* Builder, modules, services and the build: what is accepted, refused, made and ended. */
#include "fixture.h"

#include "support/alloc_fail.h"

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

static const capp_service user_def = CAPP_SERVICE(user_service, CAPP_INJECTS(user_rows), .init = user_init,
                                                  .fini = user_fini);
static const capp_service top_def = CAPP_SERVICE(top_service, CAPP_INJECTS(top_rows), .fini = top_fini);
static const capp_service failing_top_def = CAPP_SERVICE(top_service, CAPP_INJECTS(top_rows),
                                                         .init = top_init_fails, .fini = top_fini);

/* A module that makes one thing late, publishes another at once, and owns both. */
struct things {
    thing now, later;
    bool fail_to_provide, provide_null;
    int destroyed;
};

static capp_status provide_thing(void *user_data, void **ret_object, capp_error *reterr)
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

static capp_status no_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)worker;
    (void)user_data;
    (void)reterr;
    return CAPP_OK;
}

static capp_status configure_things(capp_setup *setup, const capp_module *module, capp_error *reterr)
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
    return CAPP_OK;
}

static void builds_and_ends_without_a_run(void **state)
{
    struct things things = {0};
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;
    capp_error error;
    size_t fds = open_fds();

    (void)state;
    trace_clear();
    capp_use_name(builder, "shop");
    capp_use_environment(builder, "production");
    capp_add_service(builder, &top_def);
    capp_add_service(builder, &user_def);
    capp_configure(builder, capp_module_of("things", configure_things, &things));
    assert_int_equal(capp_build(builder, &app, &error), CAPP_OK);
    const user_service *service = capp_get(app, user_service, &error);
    assert_non_null(service);
    assert_ptr_equal(service->plain, &things.later);
    assert_ptr_equal(service->named, &things.now);
    assert_ptr_equal(service->app, app);
    assert_ptr_equal(service->log, capp_app_logger(app));
    assert_ptr_equal(capp_get(app, top_service, NULL)->below, service);
    assert_ptr_equal(capp_get_named(app, thing, "late", NULL), &things.later);
    assert_string_equal(capp_app_name(app), "shop");
    assert_string_equal(capp_app_environment(app), "production");
    assert_true(capp_app_is_environment(app, "PRODUCTION"));
    assert_false(capp_app_is_environment(app, "prod"));
    assert_false(capp_app_is_environment(app, NULL));
    capp_free(app);
    assert_string_equal(the_trace.text, "provide, init user, fini top, fini user, destroy things, ");
    assert_int_equal(open_fds(), fds);
}

static void looking_up_says_what_there_is(void **state)
{
    struct things things = {0};
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    capp_configure(builder, capp_module_of("things", configure_things, &things));
    assert_int_equal(capp_build(builder, &app, &error), CAPP_OK);
    assert_null(capp_get_named(app, thing, "other", &error));
    assert_int_equal(error.status, CAPP_E_NOT_FOUND);
    assert_string_equal(error.message,
                        "there is no thing 'other'; registered: 'named', 'late', the unnamed one");
    assert_null(capp_get(app, user_service, &error));
    assert_string_equal(error.message, "there is no unnamed user_service; none is registered");
    assert_null(capp_get(app, user_service, NULL));
    assert_null(capp_resolve(NULL, &thing_type, NULL, &error));
    assert_int_equal(error.status, CAPP_E_INVALID_ARGUMENT);
    assert_null(capp_resolve(app, NULL, NULL, &error));
    assert_int_equal(error.status, CAPP_E_INVALID_ARGUMENT);
    capp_free(app);
}

static void failed_init_ends_what_was_made(void **state)
{
    struct things things = {0};
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    trace_clear();
    capp_add_service(builder, &failing_top_def);
    capp_add_service(builder, &user_def);
    capp_configure(builder, capp_module_of("things", configure_things, &things));
    assert_int_equal(capp_build(builder, &app, &error), CAPP_E_DENIED);
    assert_string_equal(error.message, "init of top_service: not today");
    assert_null(app);
    assert_string_equal(the_trace.text, "provide, init user, init top, fini user, destroy things, ");
}

static void failed_provider_ends_the_build(void **state)
{
    struct things things = {.fail_to_provide = true};
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    for (int i = 0; i < 2; i++) {
        capp_builder *builder = quiet_builder(NULL);

        capp_add_service(builder, &user_def);
        capp_configure(builder, capp_module_of("things", configure_things, &things));
        assert_int_equal(capp_build(builder, &app, &error), i == 0 ? CAPP_E_UNAVAILABLE : CAPP_E_INTERNAL);
        assert_string_equal(error.message, i == 0 ? "thing 'late': no things left"
                                                  : "thing 'late': its provider made nothing");
        things.fail_to_provide = false;
        things.provide_null = true;
    }
    assert_int_equal(things.destroyed, 2);
}

static int init_lookups;

static capp_status looks_up_in_init(void *self, capp_error *reterr)
{
    user_service *service = self;
    capp_error error;

    (void)reterr;
    assert_null(capp_get(service->app, user_service, &error)); /* itself */
    assert_int_equal(error.status, CAPP_E_STATE);
    assert_non_null(capp_get(service->app, thing, NULL));
    init_lookups++;
    return CAPP_OK;
}

static void looking_up_too_early_is_refused(void **state)
{
    capp_service service = user_def;
    struct things things = {0};
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;

    (void)state;
    service.init = looks_up_in_init;
    service.fini = NULL;
    capp_add_service(builder, &service);
    capp_configure(builder, capp_module_of("things", configure_things, &things));
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    capp_free(app);
    assert_int_equal(init_lookups, 1);
}

/* Every refused call, with what the build says about it. */
static void bad_name(capp_builder *b)
{
    capp_use_name(b, "two words");
}
static void null_name(capp_builder *b)
{
    capp_use_name(b, NULL);
}
static void bad_environment(capp_builder *b)
{
    capp_use_environment(b, "");
}
static void long_name(capp_builder *b)
{
    char name[65];

    memset(name, 'x', 64);
    name[64] = '\0';
    capp_add_worker(b, name, no_worker, NULL);
}
static void bad_timeout(capp_builder *b)
{
    capp_use_shutdown_timeout(b, -1);
}
static void bad_signals(capp_builder *b)
{
    capp_use_signals(b, (capp_signals)9);
}
static void bad_level(capp_builder *b)
{
    capp_use_log_level(b, (capp_log_level)-1);
}
static void null_worker(capp_builder *b)
{
    capp_add_worker(b, "w", NULL, NULL);
}
static void double_worker(capp_builder *b)
{
    capp_add_worker(b, "w", no_worker, NULL);
    capp_add_worker(b, "w", no_worker, NULL);
}
static void null_service(capp_builder *b)
{
    capp_add_service(b, NULL);
}
static void add_changed(capp_builder *b, void (*change)(capp_service *))
{
    capp_service service = CAPP_SERVICE(user_service, CAPP_INJECTS(user_rows));

    change(&service);
    capp_add_service(b, &service);
}
static void change_size(capp_service *s)
{
    s->size = 0;
}
static void change_type(capp_service *s)
{
    s->type = NULL;
}
static void change_object_size(capp_service *s)
{
    s->object_size = 0;
}
static void change_lifetime(capp_service *s)
{
    s->lifetime = (capp_lifetime)1;
}
static void change_inject(capp_service *s)
{
    s->inject = NULL;
}
static void change_service_name(capp_service *s)
{
    s->name = "a.b";
}
static void change_limit(capp_service *s)
{
    s->stop_timeout_ms = -5;
}
static void change_small(capp_service *s)
{
    s->object_size = sizeof(void *);
}
#define CHANGED(what)                       \
    static void bad_##what(capp_builder *b) \
    {                                       \
        add_changed(b, change_##what);      \
    }
CHANGED(size)
CHANGED(type)
CHANGED(object_size)
CHANGED(lifetime)
CHANGED(inject)
CHANGED(service_name)
CHANGED(limit)
CHANGED(small)
static void double_service(capp_builder *b)
{
    static const capp_service plain = CAPP_SERVICE(thing, .lifetime = CAPP_SINGLETON);
    static const capp_service named = CAPP_SERVICE(thing, .name = "x");

    capp_add_service(b, &plain);
    capp_add_service(b, &named);
    capp_add_service(b, &named);
}
static void host_type(capp_builder *b)
{
    capp_service service = CAPP_SERVICE(thing, .lifetime = CAPP_SINGLETON);

    service.type = &capp_app_type;
    capp_add_service(b, &service);
}
static void bad_module(capp_builder *b)
{
    capp_configure(b, (capp_module){0});
}
static void nameless_module(capp_builder *b)
{
    capp_configure(b, capp_module_of(NULL, configure_things, NULL));
}

static void bad_calls_are_refused_in_words(void **state)
{
    static const struct {
        void (*call)(capp_builder *);
        capp_status status;
        const char *message;
    } rows[] = {
        {bad_name, CAPP_E_INVALID_ARGUMENT, "capp_use_name: name 'two words' is not 1-63 characters"},
        {null_name, CAPP_E_INVALID_ARGUMENT, "capp_use_name: name is NULL"},
        {bad_environment, CAPP_E_INVALID_ARGUMENT, "capp_use_environment: environment '' is not"},
        {long_name, CAPP_E_INVALID_ARGUMENT, "capp_add_worker: name 'xxx"},
        {bad_timeout, CAPP_E_INVALID_ARGUMENT, "capp_use_shutdown_timeout: timeout_ms is -1"},
        {bad_signals, CAPP_E_INVALID_ARGUMENT, "capp_use_signals: signals is 9"},
        {bad_level, CAPP_E_INVALID_ARGUMENT, "capp_use_log_level: level is -1"},
        {null_worker, CAPP_E_INVALID_ARGUMENT, "capp_add_worker: fn is NULL"},
        {double_worker, CAPP_E_DUPLICATE, "worker 'w' is added twice"},
        {null_service, CAPP_E_INVALID_ARGUMENT, "capp_service is NULL"},
        {bad_size, CAPP_E_INVALID_ARGUMENT, "capp_service.size is 0"},
        {bad_type, CAPP_E_INVALID_ARGUMENT, "capp_add_service: type is NULL"},
        {bad_object_size, CAPP_E_INVALID_ARGUMENT, "service user_service: object_size is 0"},
        {bad_lifetime, CAPP_E_INVALID_ARGUMENT,
         "service user_service: lifetime must be CAPP_SINGLETON, it is 1"},
        {bad_inject, CAPP_E_INVALID_ARGUMENT, "service user_service: inject is NULL but inject_count is 4"},
        {bad_service_name, CAPP_E_INVALID_ARGUMENT, "capp_add_service: name 'a.b' is not 1-63"},
        {bad_limit, CAPP_E_INVALID_ARGUMENT, "service user_service: limits: stop_timeout_ms is negative"},
        {bad_small, CAPP_E_INVALID_ARGUMENT,
         "service user_service: field named at byte 8 is no pointer inside"},
        {double_service, CAPP_E_DUPLICATE,
         "thing 'x' is registered twice, by the program and by the program"},
        {host_type, CAPP_E_DUPLICATE, "capp_app is registered twice, by the host and by the program"},
        {bad_module, CAPP_E_INVALID_ARGUMENT, "capp_configure: the module was not initialised"},
        {nameless_module, CAPP_E_INVALID_ARGUMENT, "capp_configure: module.name is NULL"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        capp_builder *builder = quiet_builder(NULL);
        capp_app *app = NULL;
        capp_error error;

        rows[i].call(builder);
        assert_int_equal(capp_build(builder, &app, &error), rows[i].status);
        assert_int_equal(strncmp(error.message, rows[i].message, strlen(rows[i].message)), 0);
    }
}

static void all_mistakes_come_together(void **state)
{
    static struct log_text log;
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    for (int i = 0; i < 40; i++)
        capp_use_shutdown_timeout(builder, -1 - i);
    capp_add_worker(builder, "w", NULL, NULL);
    assert_int_equal(capp_build(builder, &app, &error), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(strncmp(error.message, "41 mistakes: capp_use_shutdown_timeout: timeout_ms is -1; ", 58),
                     0);
    assert_int_equal(strlen(error.message), CAPP_ERROR_MESSAGE_SIZE - 1);                /* cut */
    assert_has(log.text, "ERROR build: capp_use_shutdown_timeout: timeout_ms is -40\n"); /* but logged */
    assert_has(log.text, "ERROR build: capp_add_worker: fn is NULL\n");
}

static capp_setup *kept;

/* Everything that a module can get wrong; each call says so at once, and the build says all of it. */
static capp_status configure_badly(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    static thing object;
    capp_hook hook = {
        .size = sizeof(hook), .destroy = destroy_things, .self = module->user_data, .name = "a b"};

    assert_int_equal(capp_publish(setup, NULL, NULL, &object), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_publish(setup, &thing_type, NULL, NULL), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_publish(setup, &thing_type, "dup", &object), CAPP_OK);
    assert_int_equal(capp_publish(setup, &thing_type, "dup", &object), CAPP_E_DUPLICATE);
    assert_int_equal(capp_provide(setup, &thing_type, NULL, NULL, NULL), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_alias(setup, &thing_type, NULL, NULL, NULL), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_alias(setup, &thing_type, NULL, &thing_type, "?"), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_require(setup, NULL, NULL, NULL), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_on_stopping(setup, NULL, NULL), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_add_hook(setup, NULL), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_add_hook(setup, &hook), CAPP_E_INVALID_ARGUMENT);
    hook.name = NULL;
    hook.stop_timeout_ms = -1;
    assert_int_equal(capp_add_hook(setup, &hook), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_setup_add_service(setup, NULL), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_setup_add_worker(setup, "w", NULL, NULL), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_setup_fail(setup, CAPP_E_AUTH, "client '%s'", "a"), CAPP_E_AUTH);
    assert_ptr_equal(capp_setup_find(setup, &thing_type, "dup"), &object);
    assert_null(capp_setup_find(setup, &thing_type, "other"));
    return capp_fail(reterr, CAPP_E_CLOSED, "and that is that");
}

static void module_mistakes_carry_its_name(void **state)
{
    static struct log_text log;
    struct things things = {0};
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    capp_configure(builder, capp_module_of("bad", configure_badly, &things));
    assert_int_equal(capp_build(builder, &app, &error), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(strncmp(error.message, "15 mistakes: module bad: capp_publish: type is NULL", 50), 0);
    assert_has(log.text, "module bad: thing 'dup' is registered twice, by module bad and by module bad\n");
    assert_has(log.text, "module bad: client 'a'\n");
    assert_has(log.text, "module bad: and that is that\n");
    assert_int_equal(things.destroyed, 2); /* the hooks that were refused */
}

static capp_status keep_setup(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)module;
    (void)reterr;
    kept = setup;
    return CAPP_OK;
}

static void registration_ends_with_the_build(void **state)
{
    static struct log_text log;
    struct things things = {0};
    capp_hook hook = {.size = sizeof(hook), .destroy = destroy_things, .self = &things};
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;

    (void)state;
    capp_configure(builder, capp_module_of("late", keep_setup, NULL));
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(capp_publish(kept, &thing_type, NULL, &things.now), CAPP_E_STATE);
    assert_int_equal(capp_provide(kept, &thing_type, NULL, provide_thing, &things), CAPP_E_STATE);
    assert_int_equal(capp_alias(kept, &thing_type, NULL, &thing_type, "x"), CAPP_E_STATE);
    assert_int_equal(capp_require(kept, &thing_type, NULL, NULL), CAPP_E_STATE);
    assert_int_equal(capp_add_hook(kept, &hook), CAPP_E_STATE);
    assert_int_equal(capp_on_stopping(kept, destroy_things, &things), CAPP_E_STATE);
    assert_int_equal(capp_setup_add_service(kept, &user_def), CAPP_E_STATE);
    assert_int_equal(capp_setup_add_worker(kept, "w", no_worker, NULL), CAPP_E_STATE);
    assert_int_equal(things.destroyed, 1);
    assert_null(capp_get(app, thing, NULL));
    assert_has(log.text, "ERROR build: module late: capp_publish: the application is built already\n");
    assert_string_equal(capp_setup_environment(kept), "development"); /* asking is allowed */
    capp_free(app);
}

/* A second use of the same module finds what the first made. */
static capp_status configure_shared(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    thing *shared = capp_setup_find(setup, &thing_type, NULL);

    (void)reterr;
    if (shared == NULL) {
        shared = module->user_data;
        capp_publish(setup, &thing_type, NULL, shared);
    }
    shared->value++;
    trace("configure %s in %s", module->name, capp_setup_environment(setup));
    assert_non_null(capp_setup_logger(setup));
    assert_string_equal(capp_setup_name(setup), "app");
    assert_true(capp_setup_is_environment(setup, "Development"));
    return CAPP_OK;
}

static void modules_compose_in_order(void **state)
{
    thing shared = {0};
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;

    (void)state;
    trace_clear();
    capp_configure(builder, capp_module_of("one", configure_shared, &shared));
    capp_configure(builder, capp_module_of("two", configure_shared, &shared));
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(shared.value, 2);
    assert_string_equal(the_trace.text, "configure one in development, configure two in development, ");
    capp_free(app);
}

/* A module in the manner of capp_etcd(): it takes a function of the user and calls it while it configures. */
typedef struct shelf shelf;
struct shelf {
    capp_setup *setup;
    thing things[2];
    size_t used;
};
typedef void fill_fn(shelf *to, void *user_data);

static void shelf_add(shelf *to, const char *name)
{
    if (to->used == 2)
        capp_setup_fail(to->setup, CAPP_E_INVALID_ARGUMENT, "no room for '%s'", name);
    else
        capp_publish(to->setup, &thing_type, name, &to->things[to->used++]);
}

static capp_status configure_shelf(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    shelf *to = module->data;

    (void)reterr;
    to->setup = setup;
    ((fill_fn *)module->callback)(to, module->user_data);
    return CAPP_OK;
}

static capp_module shelf_module(shelf *to, fill_fn *fill, void *user_data)
{
    return (capp_module){
        .size = sizeof(capp_module),
        .name = "shelf",
        .configure = configure_shelf,
        .callback = (capp_any_fn *)fill,
        .user_data = user_data,
        .data = to,
    };
}

static void fill_shelf(shelf *to, void *user_data)
{
    const size_t *count = user_data;
    static const char *const names[] = {"a", "b", "c", "d"};

    for (size_t i = 0; i < *count; i++)
        shelf_add(to, names[i]);
}

static void modules_may_call_back(void **state)
{
    shelf to = {0};
    size_t count = 2;
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    capp_configure(builder, shelf_module(&to, fill_shelf, &count));
    assert_int_equal(capp_build(builder, &app, &error), CAPP_OK);
    assert_ptr_equal(capp_get_named(app, thing, "b", NULL), &to.things[1]);
    capp_free(app);

    count = 4;
    to.used = 0;
    builder = quiet_builder(NULL);
    capp_configure(builder, shelf_module(&to, fill_shelf, &count));
    assert_int_equal(capp_build(builder, &app, &error), CAPP_E_INVALID_ARGUMENT);
    assert_string_equal(error.message,
                        "2 mistakes: module shelf: no room for 'c'; module shelf: no room for 'd'");
}

/* A module whose configuring adds more to the builder it is configured by. */
static capp_status configure_more(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    static struct things things;
    capp_builder *builder = module->user_data;

    (void)setup;
    (void)reterr;
    capp_configure(builder, capp_module_of("things", configure_things, &things));
    capp_add_service(builder, &user_def);
    return CAPP_OK;
}

static void the_builder_may_be_used_while_modules_are_configured(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;

    (void)state;
    capp_configure(builder, capp_module_of("more", configure_more, builder));
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_non_null(capp_get(app, user_service, NULL));
    capp_free(app);
}

static void the_variable_wins(void **state)
{
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    setenv("CAPP_ENV", "staging", 1);
    capp_builder *builder = quiet_builder(NULL);
    capp_use_environment(builder, "production");
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_string_equal(capp_app_environment(app), "staging");
    capp_free(app);

    setenv("CAPP_ENV", "not good", 1);
    assert_int_equal(capp_build(quiet_builder(NULL), &app, &error), CAPP_E_INVALID_ARGUMENT);
    assert_has(error.message, "CAPP_ENV 'not good' is not");

    setenv("CAPP_ENV", "", 1);
    assert_int_equal(capp_build(quiet_builder(NULL), &app, NULL), CAPP_OK);
    assert_string_equal(capp_app_environment(app), "development");
    capp_free(app);
    unsetenv("CAPP_ENV");
}

static int data_destroyed;

static void destroy_data(void *data)
{
    assert_int_equal(*(int *)data, 7);
    data_destroyed++;
}

static void module_data_is_destroyed_exactly_once(void **state)
{
    int data = 7;
    thing shared = {0};
    capp_module module = capp_module_of("m", configure_shared, &shared);
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;

    (void)state;
    module.data = &data;
    module.destroy = destroy_data;
    capp_configure(builder, module);
    capp_builder_free(builder);
    assert_int_equal(data_destroyed, 1);
    builder = quiet_builder(NULL);
    capp_configure(builder, module);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(data_destroyed, 2);
    capp_free(app);
    assert_int_equal(data_destroyed, 2);
    capp_configure(NULL, module);
    assert_int_equal(data_destroyed, 3);
}

static void a_null_builder_is_out_of_memory(void **state)
{
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    capp_use_name(NULL, "x");
    capp_use_environment(NULL, "x");
    capp_use_shutdown_timeout(NULL, 1);
    capp_use_signals(NULL, CAPP_SIGNALS_NONE);
    capp_use_log(NULL, NULL, NULL);
    capp_use_log_level(NULL, CAPP_LOG_INFO);
    capp_add_service(NULL, &user_def);
    capp_add_worker(NULL, "w", no_worker, NULL);
    capp_builder_free(NULL);
    assert_int_equal(capp_build(NULL, &app, &error), CAPP_E_NO_MEMORY);
    assert_null(app);
    assert_int_equal(capp_build(quiet_builder(NULL), NULL, &error), CAPP_E_INVALID_ARGUMENT);
}

/* One allocation fails; whatever happens, nothing leaks and nothing is destroyed twice or never. */
static void build_with_a_failing_allocation(size_t n, void *user)
{
    size_t *succeeded = user;
    struct things things = {0};
    int data = 7;
    capp_module module = capp_module_of("things", configure_things, &things);
    capp_app *app = NULL;
    capp_error error;
    int destroyed_before = data_destroyed;

    module.data = &data;
    module.destroy = destroy_data;
    (void)n;
    trace_clear();
    capp_builder *builder = capp_builder_new();
    capp_use_log(builder, log_nowhere, NULL);
    capp_configure(builder, module);
    capp_add_service(builder, &top_def);
    capp_add_service(builder, &user_def);
    capp_add_worker(builder, "w", no_worker, NULL);
    capp_status status = capp_build(builder, &app, &error);
    assert_int_equal(data_destroyed, destroyed_before + 1);
    if (status == CAPP_OK) {
        *succeeded += 1;
        assert_non_null(capp_get(app, user_service, NULL));
        capp_free(app);
        assert_int_equal(things.destroyed, 1);
        return;
    }
    assert_int_equal(status, CAPP_E_NO_MEMORY);
    assert_string_equal(error.message, "out of memory");
    assert_null(app);
    assert_true(things.destroyed <= 1);
}

static void every_allocation_may_fail(void **state)
{
    size_t live = alloc_live(), succeeded = 0;

    (void)state;
    size_t count = alloc_fail_each(build_with_a_failing_allocation, &succeeded);
    assert_true(count > 20);
    assert_int_equal(succeeded, 1); /* only the run without a failure */
    assert_int_equal(alloc_live(), live);
}

/* A run with one allocation failing: the two threads of the host need memory. */
static void run_with_a_failing_allocation(size_t n, void *user)
{
    capp_app *app = NULL;

    (void)n;
    (void)user;
    alloc_fail_at(0);
    assert_int_equal(capp_build(quiet_builder(NULL), &app, NULL), CAPP_OK);
    alloc_fail_at(n);
    capp_stop(app);
    capp_status status = capp_run(app, NULL);
    assert_true(status == (n <= 2 ? CAPP_E_IO : CAPP_OK));
    capp_free(app);
}

static void a_run_survives_lack_of_memory(void **state)
{
    (void)state;
    alloc_fail_each(run_with_a_failing_allocation, NULL);
}

static void *resolve_often(void *arg)
{
    const capp_app *app = arg;
    const void *first = capp_get(app, thing, NULL);

    for (int i = 0; i < 100000; i++) {
        if (capp_get(app, thing, NULL) != first || capp_get_named(app, thing, "absent", NULL) != NULL)
            return NULL;
    }
    return (void *)app;
}

static void resolving_is_concurrent(void **state)
{
    struct things things = {0};
    pthread_t threads[8];
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;

    (void)state;
    capp_configure(builder, capp_module_of("things", configure_things, &things));
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, resolve_often, app), 0);
    for (size_t i = 0; i < 8; i++) {
        void *result;

        pthread_join(threads[i], &result);
        assert_ptr_equal(result, app);
    }
    capp_free(app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builds_and_ends_without_a_run),
        cmocka_unit_test(looking_up_says_what_there_is),
        cmocka_unit_test(failed_init_ends_what_was_made),
        cmocka_unit_test(failed_provider_ends_the_build),
        cmocka_unit_test(looking_up_too_early_is_refused),
        cmocka_unit_test(bad_calls_are_refused_in_words),
        cmocka_unit_test(all_mistakes_come_together),
        cmocka_unit_test(module_mistakes_carry_its_name),
        cmocka_unit_test(registration_ends_with_the_build),
        cmocka_unit_test(modules_compose_in_order),
        cmocka_unit_test(modules_may_call_back),
        cmocka_unit_test(the_builder_may_be_used_while_modules_are_configured),
        cmocka_unit_test(the_variable_wins),
        cmocka_unit_test(module_data_is_destroyed_exactly_once),
        cmocka_unit_test(a_null_builder_is_out_of_memory),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_run_survives_lack_of_memory),
        cmocka_unit_test(resolving_is_concurrent),
    };

    unsetenv("CAPP_ENV");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
