/* SPDX-License-Identifier: Apache-2.0 */
/* What a builder is told, and what it says when that is wrong. */
#include "things.h"

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
    s->lifetime = (capp_lifetime)3;
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
        {bad_lifetime, CAPP_E_INVALID_ARGUMENT, "service user_service: lifetime is 3"},
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
        without_places(error.message);
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
    assert_has(without_places(log.text), "ERROR build: capp_add_worker: fn is NULL\n");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_calls_are_refused_in_words),
        cmocka_unit_test(all_mistakes_come_together),
        cmocka_unit_test(the_variable_wins),
        cmocka_unit_test(a_null_builder_is_out_of_memory),
    };

    unsetenv("CAPP_ENV");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
