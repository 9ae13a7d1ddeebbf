/* SPDX-License-Identifier: Apache-2.0 */
/* Live, ready and the report, in every phase of an application. */
#include "json.h"

#include "capp/host.h"

#include "support/alloc_fail.h"

#include <stdatomic.h>

typedef struct queue_service {
    capp_app *app;
} queue_service;
CAPP_TYPE_DEFINE(queue_service);

/* What the checks say next, and how often they were asked. */
static struct {
    atomic_int service, module, vital;
    atomic_int asked;
    atomic_bool go_on; /* the service may end its start, or its stop */
    char message[CAPP_HEALTH_MESSAGE_SIZE];
} world;

static void service_health(void *self, capp_health *health)
{
    assert_non_null(((queue_service *)self)->app);
    assert_int_equal(health->size, sizeof(*health));
    assert_int_equal(health->state, CAPP_HEALTH_UP);
    assert_string_equal(health->message, "");
    world.asked++;
    if (world.service != CAPP_HEALTH_UP)
        capp_health_set(health, (capp_health_state)atomic_load(&world.service), "%s", world.message);
}

static void module_health(void *self, capp_health *health)
{
    assert_ptr_equal(self, &world);
    world.asked++;
    health->state = (capp_health_state)atomic_load(&world.module);
}

static void vital_health(void *self, capp_health *health)
{
    (void)self;
    world.asked++;
    health->state = (capp_health_state)atomic_load(&world.vital);
}

static void await_go(void)
{
    while (!world.go_on)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
}

static capp_status slow_start(void *self, capp_error *reterr)
{
    (void)self;
    (void)reterr;
    await_go();
    return CAPP_OK;
}

static capp_status slow_stop(void *self, int64_t limit_ms, capp_error *reterr)
{
    (void)limit_ms;
    return slow_start(self, reterr);
}

static const capp_inject queue_rows[] = {CAPP_INJECT(queue_service, app, capp_app)};
static const capp_service queue_def = CAPP_SERVICE(queue_service, CAPP_INJECTS(queue_rows),
                                                   .start = slow_start, .stop = slow_stop,
                                                   .health = service_health);

static capp_status add_checks(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)module;
    (void)reterr;
    assert_int_equal(capp_setup_add_health(setup, "etcd.config", module_health, &world, 0), CAPP_OK);
    assert_int_equal(capp_setup_add_health(setup, "vital", vital_health, NULL, CAPP_HEALTH_LIVENESS),
                     CAPP_OK);
    return CAPP_OK;
}

static capp_app *new_app(void)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;
    capp_error error;

    atomic_store(&world.service, CAPP_HEALTH_UP);
    atomic_store(&world.module, CAPP_HEALTH_UP);
    atomic_store(&world.vital, CAPP_HEALTH_UP);
    atomic_store(&world.asked, 0);
    atomic_store(&world.go_on, false);
    world.message[0] = '\0';
    capp_use_name(builder, "shop");
    capp_use_environment(builder, "production");
    capp_configure(builder, capp_module_of("checks", add_checks, NULL));
    capp_add_service(builder, &queue_def);
    if (capp_build(builder, &app, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    return app;
}

static void *run(void *app)
{
    assert_int_equal(capp_run(app, NULL), CAPP_OK);
    return NULL;
}

/* Waits until the report begins with this. */
static void await_phase(const capp_app *app, const char *head)
{
    char text[4096];
    int64_t until = now_ms() + 10000 * ETCDC_TIME_SCALE;

    for (;;) {
        capp_health_report(app, CAPP_HEALTH_TEXT, text, sizeof(text));
        if (strncmp(text, head, strlen(head)) == 0)
            return;
        if (now_ms() > until)
            fail_msg("'%s' does not begin with '%s'", text, head);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
}

static void expect_report(const capp_app *app, capp_health_format format, const char *expected)
{
    char text[4096];
    size_t len = capp_health_report(app, format, text, sizeof(text));

    assert_string_equal(text, expected);
    assert_int_equal(len, strlen(expected));
    if (format == CAPP_HEALTH_JSON) {
        text[len - 1] = '\0';
        assert_true(json_is_object(text));
    }
}

/* Runs a new application until it is ready. */
static capp_app *start_app(pthread_t *thread)
{
    capp_app *app = new_app();

    world.go_on = true;
    assert_int_equal(pthread_create(thread, NULL, run, app), 0);
    await_phase(app, "shop (production): running, live, ready\n");
    return app;
}

static void end_app(capp_app *app, pthread_t thread)
{
    capp_stop(app);
    pthread_join(thread, NULL);
    capp_free(app);
}

static void each_phase_has_its_answer(void **state)
{
    static const char unknown[] = "etcd.config: unknown\nvital: unknown\nqueue_service: unknown\n";
    capp_app *app = new_app();
    pthread_t thread;
    char expected[256];

    (void)state;
    snprintf(expected, sizeof(expected), "shop (production): built, live, not ready\n%s", unknown);
    expect_report(app, CAPP_HEALTH_TEXT, expected);
    assert_true(capp_app_is_live(app));
    assert_false(capp_app_is_ready(app));
    assert_int_equal(pthread_create(&thread, NULL, run, app), 0);
    await_phase(app, "shop (production): starting, live, not ready\n");
    assert_true(capp_app_is_live(app));
    assert_false(capp_app_is_ready(app));
    assert_int_equal(world.asked, 0);
    world.go_on = true;
    await_phase(app, "shop (production): running, live, ready\n");
    assert_true(capp_app_is_ready(app));
    assert_true(world.asked > 0);
    world.go_on = false;
    capp_stop(app);
    assert_false(capp_app_is_ready(app)); /* at once, before anything else has happened */
    await_phase(app, "shop (production): stopping, live, not ready\n");
    atomic_store(&world.vital, CAPP_HEALTH_DOWN);
    atomic_store(&world.asked, 0);
    assert_true(capp_app_is_live(app)); /* nobody is asked any more */
    assert_int_equal(world.asked, 0);
    world.go_on = true;
    pthread_join(thread, NULL);
    snprintf(expected, sizeof(expected), "shop (production): ended, not live, not ready\n%s", unknown);
    expect_report(app, CAPP_HEALTH_TEXT, expected);
    assert_false(capp_app_is_live(app));
    capp_free(app);
}

static void states_decide(void **state)
{
    pthread_t thread;
    capp_app *app = start_app(&thread);

    (void)state;
    expect_report(app, CAPP_HEALTH_TEXT,
                  "shop (production): running, live, ready\netcd.config: up\nvital: up\nqueue_service: up\n");
    atomic_store(&world.service, CAPP_HEALTH_DEGRADED);
    snprintf(world.message, sizeof(world.message), "912 of 1000 places are taken");
    expect_report(app, CAPP_HEALTH_TEXT,
                  "shop (production): running, live, ready\netcd.config: up\nvital: up\n"
                  "queue_service: degraded: 912 of 1000 places are taken\n");
    assert_true(capp_app_is_ready(app));
    atomic_store(&world.module, CAPP_HEALTH_DOWN);
    expect_report(app, CAPP_HEALTH_TEXT,
                  "shop (production): running, live, not ready\netcd.config: down\nvital: up\n"
                  "queue_service: degraded: 912 of 1000 places are taken\n");
    assert_false(capp_app_is_ready(app));
    assert_true(capp_app_is_live(app));
    atomic_store(&world.vital, 77); /* what is not known cannot be good */
    expect_report(
        app, CAPP_HEALTH_JSON,
        "{\"application\":\"shop\",\"environment\":\"production\",\"phase\":\"running\",\"live\":false,"
        "\"ready\":false,\"checks\":["
        "{\"name\":\"etcd.config\",\"state\":\"down\",\"message\":\"\",\"liveness\":false},"
        "{\"name\":\"vital\",\"state\":\"down\",\"message\":\"\",\"liveness\":true},"
        "{\"name\":\"queue_service\",\"state\":\"degraded\",\"message\":\"912 of 1000 places are taken\","
        "\"liveness\":false}]}\n");
    assert_false(capp_app_is_live(app));
    end_app(app, thread);
}

static void messages_are_escaped(void **state)
{
    pthread_t thread;
    capp_app *app = start_app(&thread);
    char text[8192];

    (void)state;
    atomic_store(&world.service, CAPP_HEALTH_DOWN);
    snprintf(world.message, sizeof(world.message), "a\nvital: \"up\" \x1b[31m \xff \\");
    capp_health_report(app, CAPP_HEALTH_TEXT, text, sizeof(text));
    assert_has(text, "\nqueue_service: down: a\\x0Avital: \"up\" \\x1B[31m \\xFF \\\n");
    size_t len = capp_health_report(app, CAPP_HEALTH_JSON, text, sizeof(text));
    text[len - 1] = '\0';
    assert_true(json_is_object(text));
    assert_has(text, "\"message\":\"a\\\\x0Avital: \\\"up\\\" \\\\x1B[31m \\\\xFF \\\\\"");
    /* The longest, of what takes the most room. */
    memset(world.message, '\n', sizeof(world.message) - 1);
    len = capp_health_report(app, CAPP_HEALTH_JSON, text, sizeof(text));
    assert_true(len < sizeof(text));
    text[len - 1] = '\0';
    assert_true(json_is_object(text));
    end_app(app, thread);
}

static void texts_can_be_cut(void **state)
{
    capp_app *app = new_app();
    char text[8] = "?";
    size_t len = capp_health_report(app, CAPP_HEALTH_TEXT, NULL, 0);

    (void)state;
    assert_true(len > 50);
    assert_int_equal(capp_health_report(app, CAPP_HEALTH_TEXT, text, sizeof(text)), len);
    assert_string_equal(text, "shop (p");
    assert_int_equal(capp_health_report(NULL, CAPP_HEALTH_TEXT, text, sizeof(text)), 0);
    assert_string_equal(text, "");
    assert_false(capp_app_is_live(NULL));
    assert_false(capp_app_is_ready(NULL));
    capp_free(app);
}

static capp_status bad_checks(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)module;
    (void)reterr;
    assert_int_equal(capp_setup_add_health(setup, "a b", module_health, NULL, 0), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_setup_add_health(setup, "none", NULL, NULL, 0), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_setup_add_health(setup, "flags", module_health, NULL, 2), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_setup_add_health(setup, "twice", module_health, NULL, 0), CAPP_OK);
    assert_int_equal(capp_setup_add_health(setup, "twice", module_health, NULL, 0), CAPP_E_DUPLICATE);
    return CAPP_OK;
}

static void bad_checks_are_mistakes(void **state)
{
    static struct log_text log;
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;

    (void)state;
    capp_configure(builder, capp_module_of("bad", bad_checks, NULL));
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_E_INVALID_ARGUMENT);
    assert_has(log.text, "module bad: capp_setup_add_health: name 'a b' is not 1-127 characters of "
                         "A-Z a-z 0-9 _ - .");
    assert_has(log.text, "module bad: capp_setup_add_health: fn is NULL");
    assert_has(log.text, "module bad: capp_setup_add_health: flags has a bit that is not known");
    assert_has(log.text, "module bad: health check 'twice' is added twice");
}

static capp_status take_name(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)module;
    (void)reterr;
    return capp_setup_add_health(setup, "queue_service", module_health, &world, 0);
}

static void a_module_cannot_take_the_name_of_a_service(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    capp_configure(builder, capp_module_of("thief", take_name, NULL));
    capp_add_service(builder, &queue_def);
    assert_int_equal(capp_build(builder, &app, &error), CAPP_E_DUPLICATE);
    assert_string_equal(error.message, "health check 'queue_service' is added twice");
}

/* Either the whole text or none. */
static void ask_with_a_failing_allocation(size_t n, void *user)
{
    static char whole[4096], text[4096];
    const capp_app *app = user;

    alloc_fail_at(0);
    size_t len = capp_health_report(app, CAPP_HEALTH_JSON, whole, sizeof(whole));
    alloc_fail_at(n);
    size_t got = capp_health_report(app, CAPP_HEALTH_JSON, text, sizeof(text));
    assert_true(got == len || got == 0);
    assert_string_equal(text, got == 0 ? "" : whole);
    got = capp_metrics_text(app, text, sizeof(text));
    assert_true(got == 0 ? text[0] == '\0' : strstr(text, "capp_log_records_lost_total 0\n") != NULL);
}

static void texts_survive_lack_of_memory(void **state)
{
    capp_app *app = new_app();

    (void)state;
    assert_true(alloc_fail_each(ask_with_a_failing_allocation, app) > 3);
    alloc_fail_at(0);
    capp_free(app);
}

/* ---- many at the same time ------------------------------------------------------------------------------
 */

static void *ask_often(void *app)
{
    char text[4096];

    for (int i = 0; i < 2000; i++) {
        (void)capp_app_is_live(app);
        (void)capp_app_is_ready(app);
        (void)capp_health_report(app, i % 2 == 0 ? CAPP_HEALTH_TEXT : CAPP_HEALTH_JSON, text, sizeof(text));
        (void)capp_metrics_text(app, text, sizeof(text));
    }
    return NULL;
}

static void any_thread_may_ask_at_any_time(void **state)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS], runner;
    capp_app *app = new_app();

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, app), 0);
    world.go_on = true;
    assert_int_equal(pthread_create(&runner, NULL, run, app), 0);
    for (int i = 0; i < 20; i++) {
        atomic_store(&world.vital, i % 3);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    capp_stop(app);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(runner, NULL);
    capp_free(app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_phase_has_its_answer),
        cmocka_unit_test(states_decide),
        cmocka_unit_test(messages_are_escaped),
        cmocka_unit_test(texts_can_be_cut),
        cmocka_unit_test(bad_checks_are_mistakes),
        cmocka_unit_test(a_module_cannot_take_the_name_of_a_service),
        cmocka_unit_test(texts_survive_lack_of_memory),
        cmocka_unit_test(any_thread_may_ask_at_any_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
