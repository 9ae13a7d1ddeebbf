/* SPDX-License-Identifier: Apache-2.0 */
/* Reloading: who is told, in which order, and what failures and a stop do to it. */
#include "config_fixture.h"

#include <semaphore.h>
#include <stdatomic.h>

/* One hook of the test. */
struct part {
    const char *name;
    bool fails;
    capp_app **stops; /* asks this application to stop while it is reloaded */
    atomic_int reloads;
    atomic_int inside; /* how many are in a reload right now */
};

static capp_status part_reload(void *self, capp_error *reterr)
{
    struct part *part = self;

    assert_int_equal(atomic_fetch_add(&part->inside, 1), 0);
    trace("reload %s", part->name);
    atomic_fetch_add(&part->reloads, 1);
    if (part->stops != NULL) {
        capp_stop(*part->stops);
        capp_cancel_wait(capp_app_cancel(*part->stops), INT64_MAX);
    }
    atomic_fetch_sub(&part->inside, 1);
    return part->fails ? capp_fail(reterr, CAPP_E_IO, "certificate\nunreadable") : CAPP_OK;
}

static capp_status part_stop(void *self, int64_t limit_ms, capp_error *reterr)
{
    (void)limit_ms;
    (void)reterr;
    assert_int_equal(atomic_load(&((struct part *)self)->inside), 0);
    trace("stop %s", ((struct part *)self)->name);
    return CAPP_OK;
}

static capp_status configure_part(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    struct part *part = module->user_data;
    capp_hook hook = {
        .size = sizeof(hook), .name = part->name, .stop = part_stop, .self = part, .reload = part_reload};

    (void)reterr;
    return capp_add_hook(setup, &hook);
}

typedef struct lower {
    capp_logger *log;
} lower;
typedef struct upper {
    lower *below;
} upper;
CAPP_TYPE_DEFINE(lower);
CAPP_TYPE_DEFINE(upper);

static capp_status lower_reload(void *self, capp_error *reterr)
{
    assert_non_null(((lower *)self)->log);
    (void)reterr;
    trace("reload lower");
    return CAPP_OK;
}

static capp_status upper_reload(void *self, capp_error *reterr)
{
    assert_non_null(((upper *)self)->below);
    (void)reterr;
    trace("reload upper");
    return CAPP_OK;
}

static const capp_inject lower_rows[] = {CAPP_INJECT(lower, log, capp_logger)};
static const capp_inject upper_rows[] = {CAPP_INJECT(upper, below, lower)};
static const capp_service lower_service = CAPP_SERVICE(lower, CAPP_INJECTS(lower_rows),
                                                       .reload = lower_reload);
static const capp_service upper_service = CAPP_SERVICE(upper, CAPP_INJECTS(upper_rows),
                                                       .reload = upper_reload);

/* Reloads `*user_data` times, each time until the log says that it is over, and stops. */
struct driver {
    struct log_text *log;
    size_t reloads;
};

static size_t count_of(struct log_text *log, const char *part)
{
    size_t count = 0;

    pthread_mutex_lock(&log->mutex);
    for (const char *at = log->text; (at = strstr(at, part)) != NULL; at++)
        count++;
    pthread_mutex_unlock(&log->mutex);
    return count;
}

static void await_reloads(capp_worker *worker, struct log_text *log, size_t count)
{
    while (count_of(log, " app: reloaded") + count_of(log, " app: the reload failed") < count &&
           capp_worker_wait(worker, 1))
        continue;
}

static capp_status drive(capp_worker *worker, void *user_data, capp_error *reterr)
{
    struct driver *driver = user_data;

    (void)reterr;
    for (size_t i = 1; i <= driver->reloads; i++) {
        capp_reload(capp_worker_app(worker));
        await_reloads(worker, driver->log, i);
    }
    capp_stop(capp_worker_app(worker));
    return CAPP_OK;
}

static void all_are_told_in_order_of_start(void **state)
{
    struct log_text log;
    struct part first = {.name = "first"}, second = {.name = "second"};
    struct driver driver = {.log = &log, .reloads = 2};
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;

    (void)state;
    trace_clear();
    capp_add_service(builder, &upper_service);
    capp_add_service(builder, &lower_service);
    capp_configure(builder, capp_module_of("one", configure_part, &first));
    capp_configure(builder, capp_module_of("two", configure_part, &second));
    capp_add_worker(builder, "driver", drive, &driver);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(capp_run(app, NULL), CAPP_OK);
    capp_free(app);
    assert_string_equal(the_trace.text, "reload first, reload second, reload lower, reload upper, "
                                        "reload first, reload second, reload lower, reload upper, "
                                        "stop second, stop first, ");
    assert_has(log.text, "INFO app: reloading\nINFO app: reloaded\n");
}

static void a_failure_is_logged_and_the_others_are_told(void **state)
{
    struct log_text log;
    struct part first = {.name = "first", .fails = true}, second = {.name = "second"};
    struct driver driver = {.log = &log, .reloads = 1};
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;

    (void)state;
    trace_clear();
    capp_configure(builder, capp_module_of("one", configure_part, &first));
    capp_configure(builder, capp_module_of("two", configure_part, &second));
    capp_add_worker(builder, "driver", drive, &driver);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(capp_run(app, NULL), CAPP_OK);
    capp_free(app);
    assert_string_equal(the_trace.text, "reload first, reload second, stop second, stop first, ");
    assert_has(log.text, "ERROR app: reload of first: certificate\\x0Aunreadable\n"
                         "WARN app: the reload failed\n");
}

static void a_stop_ends_a_reload_before_anything_stops(void **state)
{
    struct log_text log;
    capp_app *app = NULL;
    struct part first = {.name = "first", .stops = &app}, second = {.name = "second"};
    capp_builder *builder = quiet_builder(&log);

    (void)state;
    trace_clear();
    capp_configure(builder, capp_module_of("one", configure_part, &first));
    capp_configure(builder, capp_module_of("two", configure_part, &second));
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    capp_reload(app); /* waits for the start */
    assert_int_equal(capp_run(app, NULL), CAPP_OK);
    capp_free(app);
    assert_string_equal(the_trace.text, "reload first, stop second, stop first, ");
}

/* ---- with the configuration ------------------------------------------------------------------------ */

/* Looks at what is current while it is told. */
struct reader {
    capp_app *app;
    capp_monitor *monitor;
};

static capp_status reader_reload(void *self, capp_error *reterr)
{
    struct reader *reader = self;
    const pool_options *now = capp_current(reader->monitor, pool_options);

    (void)reterr;
    trace("told %d", (int)now->threads);
    capp_monitor_release(reader->monitor, now);
    return CAPP_OK;
}

static capp_status configure_reader(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    capp_hook hook = {.size = sizeof(hook), .self = module->user_data, .reload = reader_reload};

    (void)reterr;
    return capp_add_hook(setup, &hook);
}

static capp_status change_files(capp_worker *worker, void *user_data, capp_error *reterr)
{
    struct driver *driver = user_data;
    static const char *const texts[] = {"pool: {threads: 4}\n", "pool: {threads: many}\n",
                                        "pool: {threads: 5}\n"};

    (void)reterr;
    for (size_t i = 0; i < 3; i++) {
        write_file("app.yaml", texts[i]);
        capp_reload(capp_worker_app(worker));
        await_reloads(worker, driver->log, i + 1);
    }
    capp_stop(capp_worker_app(worker));
    return CAPP_OK;
}

static void a_bad_configuration_reloads_nothing(void **state)
{
    struct log_text log;
    struct reader reader = {0};
    struct driver driver = {.log = &log};
    capp_builder *builder = quiet_builder(&log);

    (void)state;
    trace_clear();
    capp_add_options(builder, &pool_options_def);
    capp_use_config_file(builder, write_file("app.yaml", "pool: {threads: 3}\n"), 0);
    capp_configure(builder, capp_module_of("reader", configure_reader, &reader));
    capp_add_worker(builder, "changer", change_files, &driver);
    assert_int_equal(capp_build(builder, &reader.app, NULL), CAPP_OK);
    reader.monitor = capp_app_monitor(reader.app, &pool_options_type, NULL);
    assert_int_equal(capp_run(reader.app, NULL), CAPP_OK);
    capp_free(reader.app);
    assert_string_equal(the_trace.text, "told 4, told 5, ");
    assert_has(log.text, "'many' is not a whole number\n");
    assert_has(log.text, "WARN app: the reload failed\n");
}

enum { THREADS = 8, CALLS = 1000 };

static void *call_reload(void *app)
{
    for (int i = 0; i < CALLS; i++)
        capp_reload(app);
    return NULL;
}

static capp_status reload_from_everywhere(capp_worker *worker, void *user_data, capp_error *reterr)
{
    struct part *part = user_data;
    capp_app *app = capp_worker_app(worker);
    pthread_t threads[THREADS];

    (void)reterr;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_reload, app), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    /* One more, which must not be lost although others are under way. */
    int before = atomic_load(&part->reloads);
    capp_reload(app);
    while (atomic_load(&part->reloads) == before && capp_worker_wait(worker, 1))
        continue;
    capp_stop(app);
    return CAPP_OK;
}

static void requests_from_anywhere_become_few_reloads(void **state)
{
    struct part part = {.name = "part"};
    struct log_text log;
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;

    (void)state;
    trace_clear();
    capp_use_log_level(builder, CAPP_LOG_WARN);
    capp_configure(builder, capp_module_of("one", configure_part, &part));
    capp_add_worker(builder, "everywhere", reload_from_everywhere, &part);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(capp_run(app, NULL), CAPP_OK);
    capp_reload(app); /* changes nothing any more */
    capp_free(app);
    capp_reload(NULL);
    assert_true(atomic_load(&part.reloads) <= THREADS * CALLS + 1);
    assert_string_equal(log.text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_told_in_order_of_start),
        cmocka_unit_test(a_failure_is_logged_and_the_others_are_told),
        cmocka_unit_test(a_stop_ends_a_reload_before_anything_stops),
        cmocka_unit_test(a_bad_configuration_reloads_nothing),
        cmocka_unit_test(requests_from_anywhere_become_few_reloads),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
