/* SPDX-License-Identifier: Apache-2.0 */
/* Workers with options, and hosted services: restarts, their limit, readiness. */
#include "fixture.h"

#include <stdatomic.h>

static void both_forms_of_the_defaults_agree(void **state)
{
    (void)state;
    const capp_worker_opts init = CAPP_WORKER_OPTS_INIT, *place = CAPP_WORKER_OPTS(.max_restarts = 0);

    assert_memory_equal(&init, place, sizeof(init));
    assert_int_equal(init.size, sizeof(init));
}

/* ---- options --------------------------------------------------------------------------------------- */

static capp_status no_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)worker;
    (void)user_data;
    (void)reterr;
    return CAPP_OK;
}

static void wrong_options_are_refused(void **state)
{
    static const struct {
        capp_worker_opts opts;
        const char *message;
    } rows[] = {
        {{.size = sizeof(capp_worker_opts), .policy = 7}, "worker 'w': policy is 7"},
        {{.size = sizeof(capp_worker_opts), .max_restarts = 3},
         "worker 'w': a limit of restarts or a back-off needs the policy CAPP_WORKER_RESTART"},
        {{.size = sizeof(capp_worker_opts), .backoff_max_ms = 3},
         "worker 'w': a limit of restarts or a back-off needs the policy CAPP_WORKER_RESTART"},
        {{.size = sizeof(capp_worker_opts), .policy = CAPP_WORKER_RESTART, .backoff_min_ms = -4},
         "worker 'w': backoff_min_ms is -4"},
        {{.size = sizeof(capp_worker_opts),
          .policy = CAPP_WORKER_RESTART,
          .backoff_min_ms = 20,
          .backoff_max_ms = 10},
         "worker 'w': backoff_min_ms, 20, is more than backoff_max_ms, 10"},
        {{.size = sizeof(capp_worker_opts), .stop_timeout_ms = -1}, "worker 'w': stop_timeout_ms is -1"},
        {{.size = sizeof(capp_worker_opts), .ready_timeout_ms = 5},
         "worker 'w': ready_timeout_ms needs wait_ready"},
        {{.size = 0}, "worker 'w': capp_worker_opts.size is 0: it was not initialised"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        capp_builder *builder = quiet_builder(NULL);
        capp_app *app = NULL;
        capp_error error;

        capp_add_worker_with(builder, "w", no_worker, NULL, &rows[i].opts);
        assert_int_equal(capp_build(builder, &app, &error), CAPP_E_INVALID_ARGUMENT);
        assert_string_equal(without_places(error.message), rows[i].message);
    }
}

typedef struct listener {
    capp_app *app;
    atomic_int value;
} listener;
CAPP_TYPE_DEFINE(listener);
static const capp_inject listener_rows[] = {CAPP_INJECT(listener, app, capp_app)};

static capp_status run_listener(void *self, capp_worker *worker, capp_error *reterr)
{
    (void)self;
    (void)worker;
    (void)reterr;
    return CAPP_OK;
}

static void wrong_options_of_a_service_are_refused(void **state)
{
    static const capp_worker_opts negative = {.size = sizeof(negative), .stop_timeout_ms = -1};
    static const capp_worker_opts defaults = CAPP_WORKER_OPTS_INIT;
    const capp_service rows[] = {
        CAPP_SERVICE(listener, .run = run_listener, .run_opts = &negative),
        CAPP_SERVICE(listener, .run_opts = &defaults),
    };
    static const char *const messages[] = {"service listener: run_opts: stop_timeout_ms is -1",
                                           "service listener: run_opts without run"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        capp_builder *builder = quiet_builder(NULL);
        capp_app *app = NULL;
        capp_error error;

        capp_add_service(builder, &rows[i]);
        assert_int_equal(capp_build(builder, &app, &error), CAPP_E_INVALID_ARGUMENT);
        assert_has(error.message, messages[i]);
    }
}

/* ---- restarts -------------------------------------------------------------------------------------- */

/* Fails `failures` times, then stops the application. */
struct flaky {
    int failures;
    int runs;
    int64_t began_ms[16];
};

static capp_status flaky_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    struct flaky *flaky = user_data;

    flaky->began_ms[flaky->runs++] = now_ms();
    if (flaky->runs <= flaky->failures)
        return capp_fail(reterr, CAPP_E_UNAVAILABLE, "away (%d)", flaky->runs);
    capp_stop(capp_worker_app(worker));
    return CAPP_OK;
}

static capp_status run_flaky(struct flaky *flaky, const capp_worker_opts *opts, struct log_text *log,
                             capp_error *reterr)
{
    capp_builder *builder = quiet_builder(log);
    capp_app *app = NULL;

    capp_add_worker_with(builder, "flaky", flaky_worker, flaky, opts);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    capp_status status = capp_run(app, reterr);
    capp_free(app);
    return status;
}

static void a_failed_worker_is_started_again(void **state)
{
    struct flaky flaky = {.failures = 3};
    struct log_text log;
    capp_error error = {.message = ""};

    (void)state;
    assert_int_equal(run_flaky(&flaky, CAPP_WORKER_OPTS(.policy = CAPP_WORKER_RESTART, .backoff_min_ms = 10),
                               &log, &error),
                     CAPP_OK);
    assert_int_equal(flaky.runs, 4);
    assert_has(log.text, "WARN app: worker 'flaky': away (1); started again in ");
    assert_has(log.text, "WARN app: worker 'flaky': away (3); started again in ");
    /* Never sooner than four fifths of 10, 20 and 40 ms. */
    assert_true(flaky.began_ms[1] - flaky.began_ms[0] >= 7);
    assert_true(flaky.began_ms[2] - flaky.began_ms[1] >= 15);
    assert_true(flaky.began_ms[3] - flaky.began_ms[2] >= 31);
}

static void restarts_have_a_limit(void **state)
{
    struct flaky flaky = {.failures = 100};
    struct log_text log;
    capp_error error = {.message = ""};

    (void)state;
    assert_int_equal(run_flaky(&flaky,
                               CAPP_WORKER_OPTS(.policy = CAPP_WORKER_RESTART, .max_restarts = 3,
                                                .backoff_min_ms = 1, .backoff_max_ms = 2),
                               &log, &error),
                     CAPP_E_UNAVAILABLE);
    assert_int_equal(flaky.runs, 4);
    assert_string_equal(error.message, "worker 'flaky', restarted 3 times within 60000 ms: away (4)");
    assert_has(log.text, "INFO app: stopping (worker 'flaky' failed)\n");
}

static void the_limit_counts_in_its_window_only(void **state)
{
    struct flaky flaky = {.failures = 6};
    capp_error error = {.message = ""};

    (void)state;
    /* Two restarts take longer than the window, so that it never has three. */
    assert_int_equal(
        run_flaky(&flaky,
                  CAPP_WORKER_OPTS(.policy = CAPP_WORKER_RESTART, .max_restarts = 2, .restart_window_ms = 15,
                                   .backoff_min_ms = 10, .backoff_max_ms = 10),
                  NULL, &error),
        CAPP_OK);
    assert_int_equal(flaky.runs, 7);
}

static capp_status doomed_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    capp_stop(capp_worker_app(worker));
    capp_worker_wait(worker, INT64_MAX);
    (*(int *)user_data)++;
    return capp_fail(reterr, CAPP_E_IO, "too late");
}

static void nothing_is_started_again_in_a_stop(void **state)
{
    int runs = 0;
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    capp_add_worker_with(builder, "doomed", doomed_worker, &runs,
                         CAPP_WORKER_OPTS(.policy = CAPP_WORKER_RESTART));
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(capp_run(app, &error), CAPP_E_IO);
    assert_string_equal(error.message, "worker 'doomed': too late");
    capp_free(app);
    assert_int_equal(runs, 1);
}

static capp_status failing_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)worker;
    trace("failed");
    atomic_fetch_add((atomic_int *)user_data, 1);
    return capp_fail(reterr, CAPP_E_IO, "no");
}

static capp_status stop_when_it_failed(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)reterr;
    while (atomic_load((atomic_int *)user_data) == 0)
        capp_worker_wait(worker, 1);
    capp_stop(capp_worker_app(worker));
    return CAPP_OK;
}

/* The worker would come back in half an hour. */
static void a_stop_does_not_wait_for_a_backoff(void **state)
{
    atomic_int failures = 0;
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;

    (void)state;
    capp_add_worker_with(builder, "failing", failing_worker, &failures,
                         CAPP_WORKER_OPTS(.policy = CAPP_WORKER_RESTART, .backoff_min_ms = 1800000));
    capp_add_worker(builder, "stopper", stop_when_it_failed, &failures);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(capp_run(app, NULL), CAPP_OK);
    capp_free(app);
    assert_int_equal(atomic_load(&failures), 1);
}

/* ---- readiness ------------------------------------------------------------------------------------- */

static capp_status slowly_ready(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)user_data;
    (void)reterr;
    capp_worker_wait(worker, 20);
    trace("ready");
    capp_worker_ready(worker);
    capp_worker_ready(worker);
    capp_worker_wait(worker, INT64_MAX);
    return CAPP_OK;
}

static capp_status next_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)user_data;
    (void)reterr;
    trace("next");
    capp_stop(capp_worker_app(worker));
    return CAPP_OK;
}

static void the_start_waits_for_who_is_to_be_ready(void **state)
{
    struct log_text log;
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;

    (void)state;
    trace_clear();
    capp_add_worker_with(builder, "slow", slowly_ready, NULL, CAPP_WORKER_OPTS(.wait_ready = true));
    capp_add_worker_with(builder, "ends", no_worker, NULL, CAPP_WORKER_OPTS(.wait_ready = true));
    capp_add_worker(builder, "next", next_worker, NULL);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(capp_run(app, NULL), CAPP_OK);
    capp_free(app);
    assert_string_equal(the_trace.text, "ready, next, ");
}

static capp_status never_ready(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)user_data;
    (void)reterr;
    capp_worker_wait(worker, INT64_MAX);
    return CAPP_OK;
}

static void who_is_not_ready_in_time_fails_the_start(void **state)
{
    struct log_text log;
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    trace_clear();
    capp_add_worker_with(builder, "never", never_ready, NULL,
                         CAPP_WORKER_OPTS(.wait_ready = true, .ready_timeout_ms = 30));
    capp_add_worker(builder, "next", next_worker, NULL);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(capp_run(app, &error), CAPP_E_TIMEOUT);
    capp_free(app);
    assert_string_equal(error.message, "worker 'never' was not ready within 30 ms");
    assert_string_equal(the_trace.text, "");
    assert_string_equal(log.text, "INFO app: stopping (worker 'never' was not ready)\nINFO app: stopped\n");
}

static void who_fails_before_it_is_ready_fails_the_start(void **state)
{
    atomic_int failures = 0;
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    trace_clear();
    capp_add_worker_with(builder, "failing", failing_worker, &failures, CAPP_WORKER_OPTS(.wait_ready = true));
    capp_add_worker(builder, "next", next_worker, NULL);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(capp_run(app, &error), CAPP_E_IO);
    capp_free(app);
    assert_string_equal(the_trace.text, "failed, ");
}

/* ---- hosted services ------------------------------------------------------------------------------- */

typedef struct server {
    listener *below;
    int runs;
} server;
CAPP_TYPE_DEFINE(server);
static const capp_inject server_rows[] = {CAPP_INJECT(server, below, listener)};

static capp_status listener_start(void *self, capp_error *reterr)
{
    (void)self;
    (void)reterr;
    trace("start listener");
    return CAPP_OK;
}

static capp_status listener_stop(void *self, int64_t limit_ms, capp_error *reterr)
{
    (void)self;
    (void)limit_ms;
    (void)reterr;
    trace("stop listener");
    return CAPP_OK;
}

static capp_status host_listener(void *self, capp_worker *worker, capp_error *reterr)
{
    (void)reterr;
    atomic_store(&((listener *)self)->value, 7);
    trace("run %s", capp_worker_name(worker));
    capp_worker_ready(worker);
    capp_worker_wait(worker, INT64_MAX);
    return CAPP_OK;
}

static capp_status host_server(void *self, capp_worker *worker, capp_error *reterr)
{
    server *host = self;

    trace("run %s, found %d", capp_worker_name(worker), atomic_load(&host->below->value));
    if (++host->runs < 3)
        return capp_fail(reterr, CAPP_E_IO, "port taken");
    capp_worker_ready(worker);
    capp_worker_wait(worker, INT64_MAX);
    return CAPP_OK;
}

/* In order of dependency, before workers, joined before anything stops. */
static void hosted_services_run(void **state)
{
    static const capp_worker_opts ready = {.size = sizeof(ready), .wait_ready = true};
    static const capp_worker_opts again = {
        .size = sizeof(again), .wait_ready = true, .policy = CAPP_WORKER_RESTART, .backoff_min_ms = 1};
    const capp_service upper = CAPP_SERVICE(server, CAPP_INJECTS(server_rows), .name = "main",
                                            .run = host_server, .run_opts = &again);
    const capp_service lower = CAPP_SERVICE(listener, CAPP_INJECTS(listener_rows), .start = listener_start,
                                            .stop = listener_stop, .run = host_listener, .run_opts = &ready);
    struct log_text log;
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;

    (void)state;
    trace_clear();
    capp_add_worker(builder, "next", next_worker, NULL);
    capp_add_service(builder, &upper);
    capp_add_service(builder, &lower);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(capp_run(app, NULL), CAPP_OK);
    capp_free(app);
    assert_string_equal(the_trace.text,
                        "start listener, run listener, run server 'main', found 7, run server 'main', "
                        "found 7, run server 'main', found 7, next, stop listener, ");
    assert_has(log.text, "WARN app: service server 'main': port taken; started again in ");
}

static void a_failed_hosted_service_stops_the_application(void **state)
{
    static const capp_service lower = CAPP_SERVICE(listener, CAPP_INJECTS(listener_rows),
                                                   .run = host_listener);
    static const capp_service upper = CAPP_SERVICE(server, CAPP_INJECTS(server_rows), .run = host_server);
    struct log_text log;
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    capp_add_service(builder, &lower);
    capp_add_service(builder, &upper);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(capp_run(app, &error), CAPP_E_IO);
    capp_free(app);
    assert_string_equal(error.message, "service server: port taken");
    assert_has(log.text, "INFO app: stopping (service server failed)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms_of_the_defaults_agree),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(wrong_options_of_a_service_are_refused),
        cmocka_unit_test(a_failed_worker_is_started_again),
        cmocka_unit_test(restarts_have_a_limit),
        cmocka_unit_test(the_limit_counts_in_its_window_only),
        cmocka_unit_test(nothing_is_started_again_in_a_stop),
        cmocka_unit_test(a_stop_does_not_wait_for_a_backoff),
        cmocka_unit_test(the_start_waits_for_who_is_to_be_ready),
        cmocka_unit_test(who_is_not_ready_in_time_fails_the_start),
        cmocka_unit_test(who_fails_before_it_is_ready_fails_the_start),
        cmocka_unit_test(hosted_services_run),
        cmocka_unit_test(a_failed_hosted_service_stops_the_application),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
