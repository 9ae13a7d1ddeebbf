/* SPDX-License-Identifier: Apache-2.0 */
/* Starting, running and stopping: the order of things, and what failures do to it. */
#include "fixture.h"

#include <stdatomic.h>
#include <unistd.h>

/* One component of the test: a name and what it is to do wrong. */
struct part {
    const char *name;
    bool start_fails, stop_fails;
};

static capp_status part_start(void *self, capp_error *reterr)
{
    const struct part *part = self;

    trace("start %s", part->name);
    return part->start_fails ? capp_fail(reterr, CAPP_E_UNAVAILABLE, "no luck") : CAPP_OK;
}

static capp_status part_stop(void *self, int64_t limit_ms, capp_error *reterr)
{
    const struct part *part = self;

    assert_true(limit_ms >= 1);
    trace("stop %s", part->name);
    return part->stop_fails ? capp_fail(reterr, CAPP_E_IO, "jammed") : CAPP_OK;
}

static void part_destroy(void *self)
{
    trace("destroy %s", ((const struct part *)self)->name);
}

static void on_stopping(void *user_data)
{
    trace("cancel %s", ((const struct part *)user_data)->name);
}

/* A module with one hook that is called like the part. */
static capp_status configure_part(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    struct part *part = module->user_data;
    capp_hook hook = {
        .size = sizeof(hook),
        .name = part->name,
        .start = part_start,
        .stop = part_stop,
        .destroy = part_destroy,
        .self = part,
    };

    (void)reterr;
    capp_on_stopping(setup, on_stopping, part);
    return capp_add_hook(setup, &hook);
}

typedef struct lower lower;
typedef struct upper {
    lower *below;
} upper;
struct lower {
    capp_logger *log;
};
CAPP_TYPE_DEFINE(lower);
CAPP_TYPE_DEFINE(upper);

#define TRACED(S)                                                                 \
    static capp_status S##_init(void *self, capp_error *reterr)                   \
    {                                                                             \
        (void)self;                                                               \
        (void)reterr;                                                             \
        trace("init " #S);                                                        \
        return CAPP_OK;                                                           \
    }                                                                             \
    static void S##_fini(void *self)                                              \
    {                                                                             \
        (void)self;                                                               \
        trace("fini " #S);                                                        \
    }                                                                             \
    static capp_status S##_start(void *self, capp_error *reterr)                  \
    {                                                                             \
        (void)self;                                                               \
        (void)reterr;                                                             \
        trace("start " #S);                                                       \
        return CAPP_OK;                                                           \
    }                                                                             \
    static capp_status S##_stop(void *self, int64_t limit_ms, capp_error *reterr) \
    {                                                                             \
        (void)self;                                                               \
        (void)limit_ms;                                                           \
        (void)reterr;                                                             \
        trace("stop " #S);                                                        \
        return CAPP_OK;                                                           \
    }
TRACED(lower)
TRACED(upper)

static const capp_inject lower_rows[] = {CAPP_INJECT(lower, log, capp_logger)};
static const capp_inject upper_rows[] = {CAPP_INJECT(upper, below, lower)};
static const capp_service lower_service = CAPP_SERVICE(lower, CAPP_INJECTS(lower_rows), .init = lower_init,
                                                       .fini = lower_fini, .start = lower_start,
                                                       .stop = lower_stop);
static const capp_service upper_service = CAPP_SERVICE(upper, CAPP_INJECTS(upper_rows), .init = upper_init,
                                                       .fini = upper_fini, .start = upper_start,
                                                       .stop = upper_stop);

static capp_status waiting_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)user_data;
    (void)reterr;
    while (capp_worker_wait(worker, INT64_MAX)) {
    }
    trace("end %s", capp_worker_name(worker));
    return CAPP_OK;
}

static capp_status stopping_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)reterr;
    trace("work %s", capp_worker_name(worker));
    capp_stop(capp_worker_app(worker));
    while (capp_worker_wait(worker, 1000)) {
    }
    assert_true(capp_worker_stopping(worker));
    trace("end %s", capp_worker_name(worker));
    (void)user_data;
    return CAPP_OK;
}

static void run_everything_once(char *ret_trace, size_t size, struct log_text *log)
{
    struct part first = {.name = "first"}, second = {.name = "second"};
    capp_builder *builder = quiet_builder(log);
    capp_app *app = NULL;
    capp_error error;

    trace_clear();
    capp_add_worker(builder, "stopper", stopping_worker, NULL);
    capp_add_service(builder, &upper_service); /* the order of adding is not that of need */
    capp_add_service(builder, &lower_service);
    capp_configure(builder, capp_module_of("one", configure_part, &first));
    capp_configure(builder, capp_module_of("two", configure_part, &second));
    assert_int_equal(capp_build(builder, &app, &error), CAPP_OK);
    assert_int_equal(capp_run(app, &error), CAPP_OK);
    capp_free(app);
    snprintf(ret_trace, size, "%s", the_trace.text);
}

/* A worker may end before or after the cancel functions have run: its word is taken out. */
static void remove_word(char *text, const char *word)
{
    char *at = strstr(text, word);

    assert_non_null(at);
    memmove(at, at + strlen(word), strlen(at + strlen(word)) + 1);
}

static void order_is_fixed(void **state)
{
    struct log_text log;
    char text[4096];

    (void)state;
    for (int i = 0; i < 100; i++) {
        run_everything_once(text, sizeof(text), &log);
        remove_word(text, "end stopper, ");
        assert_string_equal(text,
                            "init lower, init upper, start first, start second, start lower, start upper, "
                            "work stopper, cancel first, cancel second, stop upper, stop lower, stop second, "
                            "stop first, fini upper, fini lower, destroy second, destroy first, ");
        assert_has(log.text, "INFO app: stopping (capp_stop)\n");
        assert_has(log.text, "INFO app: stopped\n");
    }
}

static void workers_end_before_anything_stops(void **state)
{
    char text[4096];

    (void)state;
    run_everything_once(text, sizeof(text), NULL);
    assert_true(strstr(text, "end stopper") < strstr(text, "stop upper"));
}

static void descriptors_and_threads_are_given_back(void **state)
{
    char text[4096];
    size_t before = open_fds();

    (void)state;
    run_everything_once(text, sizeof(text), NULL);
    assert_int_equal(open_fds(), before);
}

static void stop_before_run_starts_nothing(void **state)
{
    struct part part = {.name = "part"};
    struct log_text log;
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;

    (void)state;
    trace_clear();
    capp_configure(builder, capp_module_of("one", configure_part, &part));
    capp_add_worker(builder, "w", waiting_worker, NULL);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    capp_stop(app);
    capp_stop(app);
    assert_int_equal(capp_run(app, NULL), CAPP_OK);
    assert_true(capp_cancel_requested(capp_app_cancel(app)));
    capp_stop(app);
    capp_free(app);
    assert_string_equal(the_trace.text, "cancel part, destroy part, ");
    assert_string_equal(log.text, "INFO app: stopping (capp_stop)\nINFO app: stopped\n");
}

static void runs_only_once(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    capp_stop(app);
    assert_int_equal(capp_run(app, NULL), CAPP_OK);
    assert_int_equal(capp_run(app, &error), CAPP_E_STATE);
    assert_string_equal(error.message, "capp_run: the application has run already");
    capp_free(app);
    assert_int_equal(capp_run(NULL, &error), CAPP_E_INVALID_ARGUMENT);
    capp_stop(NULL);
    capp_free(NULL);
}

/* Builds and runs with the given parts; the run must end by itself. */
static capp_status run_parts(struct part *parts, size_t count, struct log_text *log, capp_error *ret_error)
{
    capp_builder *builder = quiet_builder(log);
    capp_app *app = NULL;
    static const char *const modules[] = {"m0", "m1", "m2", "m3"};

    trace_clear();
    for (size_t i = 0; i < count; i++)
        capp_configure(builder, capp_module_of(modules[i], configure_part, &parts[i]));
    capp_add_worker(builder, "stopper", stopping_worker, NULL);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    capp_status status = capp_run(app, ret_error);
    capp_free(app);
    return status;
}

static void failed_start_unwinds_what_was_started(void **state)
{
    struct part parts[] = {
        {.name = "a"}, {.name = "b", .stop_fails = true}, {"c", true, false}, {.name = "d"}};
    struct log_text log;
    capp_error error;

    (void)state;
    assert_int_equal(run_parts(parts, 4, &log, &error), CAPP_E_UNAVAILABLE);
    assert_string_equal(error.message, "start of c: no luck");
    assert_string_equal(the_trace.text,
                        "start a, start b, start c, cancel a, cancel b, cancel c, cancel d, stop b, "
                        "stop a, destroy d, destroy c, destroy b, destroy a, ");
    assert_string_equal(log.text, "INFO app: stopping (start of c failed)\nERROR app: stop of b: jammed\n"
                                  "INFO app: stopped\n");
}

static void failed_stop_is_returned_and_stops_nobody(void **state)
{
    struct part parts[] = {
        {.name = "a", .stop_fails = true}, {.name = "b", .stop_fails = true}, {.name = "c"}};
    struct log_text log;
    capp_error error;

    (void)state;
    assert_int_equal(run_parts(parts, 3, &log, &error), CAPP_E_IO);
    assert_string_equal(error.message, "stop of b: jammed"); /* the first one in time */
    assert_true(trace_has("stop c, stop b, stop a, "));
    assert_has(log.text, "ERROR app: stop of a: jammed\n");
}

static capp_status failing_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)worker;
    return user_data == NULL ? CAPP_E_CLOSED : capp_fail(reterr, CAPP_E_AUTH, "%s", (const char *)user_data);
}

static capp_status late_failing_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)user_data;
    capp_worker_wait(worker, INT64_MAX);
    return capp_fail(reterr, CAPP_E_IO, "also broken");
}

static capp_status cancelled_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)user_data;
    capp_worker_wait(worker, INT64_MAX);
    return capp_fail(reterr, CAPP_E_CANCELLED, "the wait was cancelled");
}

static void failed_worker_stops_the_application(void **state)
{
    struct part part = {.name = "part"};
    struct log_text log;
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    trace_clear();
    capp_configure(builder, capp_module_of("one", configure_part, &part));
    capp_add_worker(builder, "waits", waiting_worker, NULL);
    capp_add_worker(builder, "late", late_failing_worker, NULL);
    capp_add_worker(builder, "cancelled", cancelled_worker, NULL);
    capp_add_worker(builder, "bad", failing_worker, "wrong\npassword");
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(capp_run(app, &error), CAPP_E_AUTH);
    assert_string_equal(error.message, "worker 'bad': wrong\npassword");
    capp_free(app);
    assert_has(log.text, "INFO app: stopping (worker 'bad' failed)\n");
    assert_has(log.text, "ERROR app: worker 'late': also broken\n");
    assert_null(strstr(log.text, "'cancelled'"));
    remove_word(the_trace.text, "end waits, ");
    assert_string_equal(the_trace.text, "start part, cancel part, stop part, destroy part, ");
}

static void a_worker_may_fail_without_words(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    capp_add_worker(builder, "mute", failing_worker, NULL);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(capp_run(app, &error), CAPP_E_CLOSED);
    assert_string_equal(error.message, "worker 'mute': closed");
    capp_free(app);
}

static capp_status brief_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    atomic_int *count = user_data;

    (void)worker;
    (void)reterr;
    atomic_fetch_add(count, 1);
    return CAPP_OK;
}

/* Stops when all brief workers have been seen to end: the application must still run then. */
static capp_status watching_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    atomic_int *count = user_data;

    (void)reterr;
    while (atomic_load(count) < 3)
        assert_true(capp_worker_wait(worker, 1));
    assert_true(capp_worker_wait(worker, 10));
    assert_false(capp_worker_stopping(worker));
    capp_stop(capp_worker_app(worker));
    return CAPP_OK;
}

static void a_worker_that_ends_changes_nothing(void **state)
{
    atomic_int count = 0;
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;

    (void)state;
    capp_add_worker(builder, "b1", brief_worker, &count);
    capp_add_worker(builder, "b2", brief_worker, &count);
    capp_add_worker(builder, "b3", brief_worker, &count);
    capp_add_worker(builder, "watch", watching_worker, &count);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(capp_run(app, NULL), CAPP_OK);
    capp_free(app);
    assert_int_equal(atomic_load(&count), 3);
}

static void *run_app(void *app)
{
    return (void *)(intptr_t)capp_run(app, NULL);
}

static void *stop_app(void *app)
{
    capp_stop(app);
    return NULL;
}

static void a_thousand_stops_are_one(void **state)
{
    enum { COUNT = 1000 };
    static pthread_t threads[COUNT];
    struct part part = {.name = "part"};
    pthread_t runner;
    void *result;
    capp_app *app = NULL;
    capp_builder *builder = quiet_builder(NULL);

    (void)state;
    trace_clear();
    capp_configure(builder, capp_module_of("one", configure_part, &part));
    capp_add_worker(builder, "w", waiting_worker, NULL);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(pthread_create(&runner, NULL, run_app, app), 0);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, stop_app, app), 0);
    for (size_t i = 0; i < COUNT; i++)
        pthread_join(threads[i], NULL);
    pthread_join(runner, &result);
    assert_int_equal((intptr_t)result, CAPP_OK);
    capp_free(app);
    assert_true(trace_has("cancel part, "));
}

/* A start that waits for the outside world, and is told to give up. */
struct waiter {
    capp_app *app;
    capp_cancel *cancel;
    pthread_t stopper;
};

static capp_status waiting_start(void *self, capp_error *reterr)
{
    struct waiter *waiter = self;

    trace("waiting");
    capp_stop(waiter->app);
    assert_true(capp_cancel_wait(waiter->cancel, INT64_MAX));
    return capp_fail(reterr, CAPP_E_CANCELLED, "gave up");
}

static capp_status configure_waiter(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    struct waiter *waiter = module->user_data;
    capp_hook hook = {.size = sizeof(hook), .start = waiting_start, .self = waiter};

    (void)reterr;
    waiter->cancel = capp_setup_cancel(setup);
    return capp_add_hook(setup, &hook);
}

static void stop_reaches_a_start_that_waits(void **state)
{
    struct waiter waiter = {0};
    struct part part = {.name = "part"};
    struct log_text log;
    capp_builder *builder = quiet_builder(&log);

    (void)state;
    trace_clear();
    capp_configure(builder, capp_module_of("one", configure_part, &part));
    capp_configure(builder, capp_module_of("waits", configure_waiter, &waiter));
    assert_int_equal(capp_build(builder, &waiter.app, NULL), CAPP_OK);
    assert_int_equal(capp_run(waiter.app, NULL), CAPP_OK);
    capp_free(waiter.app);
    assert_string_equal(the_trace.text, "start part, waiting, cancel part, stop part, destroy part, ");
    assert_null(strstr(log.text, "started"));
}

static void two_applications_run_side_by_side(void **state)
{
    capp_app *apps[2];
    pthread_t threads[2];
    struct part parts[2] = {{.name = "left"}, {.name = "right"}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        capp_builder *builder = quiet_builder(NULL);

        capp_configure(builder, capp_module_of("m", configure_part, &parts[i]));
        capp_add_worker(builder, "w", waiting_worker, NULL);
        assert_int_equal(capp_build(builder, &apps[i], NULL), CAPP_OK);
        assert_int_equal(pthread_create(&threads[i], NULL, run_app, apps[i]), 0);
    }
    capp_stop(apps[0]);
    pthread_join(threads[0], NULL);
    capp_free(apps[0]);
    assert_false(capp_cancel_requested(capp_app_cancel(apps[1])));
    capp_stop(apps[1]);
    pthread_join(threads[1], NULL);
    capp_free(apps[1]);
}

/* A worker that does to its application what nobody should. */
static capp_status misusing_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    capp_app *app = capp_worker_app(worker);
    capp_error *run_again = user_data;

    (void)reterr;
    if (capp_run(app, run_again) == CAPP_OK)
        run_again->status = CAPP_OK;
    capp_free(app);
    capp_stop(app);
    return CAPP_OK;
}

static void misuse_while_it_runs_is_refused(void **state)
{
    struct log_text log;
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;
    capp_error error = {0};

    (void)state;
    capp_add_worker(builder, "misuser", misusing_worker, &error);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(capp_run(app, NULL), CAPP_OK);
    capp_free(app);
    assert_int_equal(error.status, CAPP_E_STATE);
    assert_string_equal(error.message, "capp_run: the application runs already");
    assert_has(log.text, "ERROR app: capp_free: it still runs; nothing is freed\n");
}

static void debug_log_shows_each_step(void **state)
{
    struct part part = {.name = "part"};
    struct log_text log;
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;

    (void)state;
    capp_use_log_level(builder, CAPP_LOG_DEBUG);
    capp_configure(builder, capp_module_of("one", configure_part, &part));
    capp_add_worker(builder, "stopper", stopping_worker, NULL);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(capp_run(app, NULL), CAPP_OK);
    capp_free(app);
    assert_has(log.text, "DEBUG app: starting part\n");
    assert_has(log.text, "DEBUG app: stopped part\nINFO app: stopped\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_fixed),
        cmocka_unit_test(workers_end_before_anything_stops),
        cmocka_unit_test(descriptors_and_threads_are_given_back),
        cmocka_unit_test(stop_before_run_starts_nothing),
        cmocka_unit_test(runs_only_once),
        cmocka_unit_test(failed_start_unwinds_what_was_started),
        cmocka_unit_test(failed_stop_is_returned_and_stops_nobody),
        cmocka_unit_test(failed_worker_stops_the_application),
        cmocka_unit_test(a_worker_may_fail_without_words),
        cmocka_unit_test(a_worker_that_ends_changes_nothing),
        cmocka_unit_test(a_thousand_stops_are_one),
        cmocka_unit_test(stop_reaches_a_start_that_waits),
        cmocka_unit_test(two_applications_run_side_by_side),
        cmocka_unit_test(misuse_while_it_runs_is_refused),
        cmocka_unit_test(debug_log_shows_each_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
