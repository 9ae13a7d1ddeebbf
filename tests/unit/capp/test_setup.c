/* SPDX-License-Identifier: Apache-2.0 */
/* What modules register, how they compose, and what they get wrong. */
#include "things.h"

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
    without_places(log.text);
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
    assert_has(without_places(log.text),
               "ERROR build: module late: capp_publish: the application is built already\n");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(module_mistakes_carry_its_name),
        cmocka_unit_test(registration_ends_with_the_build),
        cmocka_unit_test(modules_compose_in_order),
        cmocka_unit_test(modules_may_call_back),
        cmocka_unit_test(the_builder_may_be_used_while_modules_are_configured),
        cmocka_unit_test(module_data_is_destroyed_exactly_once),
    };

    unsetenv("CAPP_ENV");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
