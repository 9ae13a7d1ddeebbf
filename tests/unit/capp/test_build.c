/* SPDX-License-Identifier: Apache-2.0 */
/* The build: what it makes, in which order, and how that ends. */
#include "things.h"

#include "support/alloc_fail.h"

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
    capp_use_log_file(builder, "/dev/null");
    capp_use_log_category_level(builder, "things", CAPP_LOG_DEBUG);
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
        cmocka_unit_test(builds_and_ends_without_a_run),   cmocka_unit_test(looking_up_says_what_there_is),
        cmocka_unit_test(failed_init_ends_what_was_made),  cmocka_unit_test(failed_provider_ends_the_build),
        cmocka_unit_test(looking_up_too_early_is_refused), cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_run_survives_lack_of_memory),   cmocka_unit_test(resolving_is_concurrent),
    };

    unsetenv("CAPP_ENV");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
