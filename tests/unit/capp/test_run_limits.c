/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shutdown limits as promised: at most 200 ms late, and the one who is late is named.
 * What is left behind is left on purpose, so each test runs in a child that leaves with _exit().
 */
#include "fixture.h"

#include <semaphore.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SLACK_MS = 200 * ETCDC_TIME_SCALE };

/* The child's verdict is its exit status; its assertions are checks that leave with their line number. */
#define CHECK(condition)                                                    \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, #condition); \
            _exit(1);                                                       \
        }                                                                   \
    } while (0)

static void in_child(void (*scenario)(void))
{
    pid_t pid = fork();
    int status = 0;

    assert_true(pid >= 0);
    if (pid == 0) {
        scenario();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static sem_t never; /* what stuck code waits for */

static void stay(void)
{
    for (;;)
        sem_wait(&never);
}

static capp_status deaf_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)worker;
    (void)user_data;
    (void)reterr;
    stay();
    return CAPP_OK;
}

static capp_status slow_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)user_data;
    (void)reterr;
    capp_worker_wait(worker, INT64_MAX);
    usleep(50 * 1000);
    trace("slow end");
    return CAPP_OK;
}

static capp_status stopping_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)user_data;
    (void)reterr;
    capp_stop(capp_worker_app(worker));
    return CAPP_OK;
}

static capp_status stuck_stop(void *self, int64_t limit_ms, capp_error *reterr)
{
    (void)self;
    (void)reterr;
    trace("stuck stop told %s", limit_ms > 100 && limit_ms <= 300 ? "300" : "something else");
    stay();
    return CAPP_OK;
}

static capp_status stuck_start(void *self, capp_error *reterr)
{
    (void)self;
    (void)reterr;
    stay();
    return CAPP_OK;
}

static capp_status good_stop(void *self, int64_t limit_ms, capp_error *reterr)
{
    (void)limit_ms;
    (void)reterr;
    trace("stop %s", (const char *)self);
    return CAPP_OK;
}

static void never_destroy(void *self)
{
    (void)self;
    _exit(3); /* a thread may still use it */
}

static void stuck_cancel(void *user_data)
{
    (void)user_data;
    stay();
}

static capp_status configure_good(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    capp_hook hook = {
        .size = sizeof(hook), .stop = good_stop, .destroy = never_destroy, .self = module->user_data};

    (void)reterr;
    return capp_add_hook(setup, &hook);
}

static capp_status configure_hook(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)reterr;
    return capp_add_hook(setup, module->user_data);
}

static capp_status configure_stuck_cancel(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)module;
    (void)reterr;
    return capp_on_stopping(setup, stuck_cancel, NULL);
}

static struct log_text child_log;

/* Runs until capp_run() returns, and checks when it does. */
static capp_error expect_timeout(capp_builder *builder, int64_t limit_ms)
{
    capp_app *app = NULL;
    capp_error error;

    CHECK(capp_build(builder, &app, &error) == CAPP_OK);
    int64_t began = now_ms();
    CHECK(capp_run(app, &error) == CAPP_E_TIMEOUT);
    int64_t took = now_ms() - began;
    fprintf(stderr, "%s (after %lld ms)\n", error.message, (long long)took);
    CHECK(took >= limit_ms && took <= limit_ms + SLACK_MS);
    capp_free(app); /* returns, and leaves everything alone */
    return error;
}

#define CHECK_HAS(text, part) CHECK(strstr((text), (part)) != NULL)

static void deaf_workers(void)
{
    capp_builder *builder = quiet_builder(&child_log);

    capp_use_shutdown_timeout(builder, 500);
    capp_configure(builder, capp_module_of("good", configure_good, "good"));
    capp_add_worker(builder, "deaf", deaf_worker, NULL);
    capp_add_worker(builder, "deaf-too", deaf_worker, NULL);
    capp_add_worker(builder, "stopper", stopping_worker, NULL);
    capp_error error = expect_timeout(builder, 500);
    CHECK_HAS(error.message,
              "worker 'deaf', worker 'deaf-too' did not end within the shutdown limit of 500 ms");
    /* It may hold locks that the hooks would give away under its hands. */
    CHECK(!trace_has("stop good"));
    CHECK_HAS(child_log.text, "WARN app: good was not stopped any more");
}

/* It is given up after its own limit, and everybody else is stopped as if it were not there. */
static void worker_beyond_its_own_limit(void)
{
    capp_builder *builder = quiet_builder(&child_log);

    capp_configure(builder, capp_module_of("good", configure_good, "good"));
    capp_add_worker_with(builder, "deaf", deaf_worker, NULL, CAPP_WORKER_OPTS(.stop_timeout_ms = 300));
    capp_add_worker_with(builder, "other", slow_worker, NULL, CAPP_WORKER_OPTS(.stop_timeout_ms = 20000));
    capp_add_worker(builder, "stopper", stopping_worker, NULL);
    capp_error error = expect_timeout(builder, 300);
    CHECK_HAS(error.message, "worker 'deaf' did not end within its limit of 300 ms");
    CHECK(strstr(error.message, "other") == NULL);
    CHECK(trace_has("slow end, stop good"));
    CHECK_HAS(child_log.text, "ERROR app: stopped, but not all of it: a thread was left behind");
}

typedef struct deaf_service {
    capp_app *app;
} deaf_service;
CAPP_TYPE_DEFINE(deaf_service);
static const capp_inject deaf_rows[] = {CAPP_INJECT(deaf_service, app, capp_app)};

static capp_status stay_in_run(void *self, capp_worker *worker, capp_error *reterr)
{
    (void)self;
    return deaf_worker(worker, NULL, reterr);
}

static void hosted_service_beyond_the_whole_limit(void)
{
    static const capp_service deaf = CAPP_SERVICE(deaf_service, CAPP_INJECTS(deaf_rows), .name = "main",
                                                  .run = stay_in_run);
    capp_builder *builder = quiet_builder(&child_log);

    capp_use_shutdown_timeout(builder, 300);
    capp_add_service(builder, &deaf);
    capp_add_worker(builder, "stopper", stopping_worker, NULL);
    capp_error error = expect_timeout(builder, 300);
    CHECK_HAS(error.message, "service deaf_service 'main' did not end within the shutdown limit of 300 ms");
}

static sem_t reloading;

static capp_status stuck_reload(void *self, capp_error *reterr)
{
    (void)self;
    (void)reterr;
    sem_post(&reloading);
    stay();
    return CAPP_OK;
}

static capp_status reloading_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    capp_reload(capp_worker_app(worker));
    sem_wait(&reloading);
    return stopping_worker(worker, user_data, reterr);
}

static void reload_beyond_the_whole_limit(void)
{
    capp_builder *builder = quiet_builder(&child_log);
    capp_hook hook = {.size = sizeof(hook), .name = "certificates", .reload = stuck_reload};

    sem_init(&reloading, 0, 0);
    capp_use_shutdown_timeout(builder, 300);
    capp_configure(builder, capp_module_of("good", configure_good, "good"));
    capp_configure(builder, capp_module_of("stuck", configure_hook, &hook));
    capp_add_worker(builder, "reloader", reloading_worker, NULL);
    capp_error error = expect_timeout(builder, 300);
    CHECK_HAS(error.message, "reload of certificates did not end within the shutdown limit of 300 ms");
    CHECK(!trace_has("stop good"));
}

static void stop_beyond_the_whole_limit(void)
{
    capp_builder *builder = quiet_builder(&child_log);
    capp_hook hook = {.size = sizeof(hook), .name = "clients", .stop = stuck_stop};

    capp_use_shutdown_timeout(builder, 300);
    capp_configure(builder, capp_module_of("good", configure_good, "good"));
    capp_configure(builder, capp_module_of("stuck", configure_hook, &hook));
    capp_add_worker(builder, "stopper", stopping_worker, NULL);
    capp_error error = expect_timeout(builder, 300);
    CHECK_HAS(error.message, "stop of clients did not end within");
    CHECK(trace_has("stuck stop told 300"));
    CHECK(!trace_has("stop good"));
}

static void stop_beyond_its_own_limit(void)
{
    capp_builder *builder = quiet_builder(&child_log);
    capp_hook hook = {.size = sizeof(hook), .name = "clients", .stop = stuck_stop, .stop_timeout_ms = 300};

    capp_configure(builder, capp_module_of("good", configure_good, "good"));
    capp_configure(builder, capp_module_of("stuck", configure_hook, &hook));
    capp_add_worker(builder, "stopper", stopping_worker, NULL);
    capp_error error = expect_timeout(builder, 300);
    CHECK_HAS(error.message, "stop of clients did not end within 3");
    CHECK(trace_has("stop good")); /* the others get their turn */
}

static void start_beyond_its_own_limit(void)
{
    capp_builder *builder = quiet_builder(&child_log);
    capp_hook hook = {.size = sizeof(hook), .name = "clients", .start = stuck_start, .start_timeout_ms = 300};

    capp_configure(builder, capp_module_of("good", configure_good, "good"));
    capp_configure(builder, capp_module_of("stuck", configure_hook, &hook));
    capp_error error = expect_timeout(builder, 300);
    CHECK_HAS(error.message, "start of clients did not end within 3");
    CHECK(trace_has("stop good"));
}

static void *stop_later(void *app)
{
    usleep(100 * 1000);
    capp_stop(app);
    return NULL;
}

static void start_that_ignores_the_stop(void)
{
    capp_builder *builder = quiet_builder(&child_log);
    capp_hook hook = {.size = sizeof(hook), .name = "clients", .start = stuck_start};
    pthread_t stopper;
    capp_app *app = NULL;
    capp_error error;

    capp_use_shutdown_timeout(builder, 300);
    capp_configure(builder, capp_module_of("stuck", configure_hook, &hook));
    CHECK(capp_build(builder, &app, &error) == CAPP_OK);
    CHECK(pthread_create(&stopper, NULL, stop_later, app) == 0);
    int64_t began = now_ms();
    CHECK(capp_run(app, &error) == CAPP_E_TIMEOUT);
    int64_t took = now_ms() - began;
    pthread_join(stopper, NULL);
    CHECK(took >= 390 && took <= 400 + SLACK_MS);
    CHECK_HAS(error.message, "start of clients did not end within");
}

static void cancel_function_beyond_the_limit(void)
{
    capp_builder *builder = quiet_builder(&child_log);

    capp_use_shutdown_timeout(builder, 300);
    capp_configure(builder, capp_module_of("sticky", configure_stuck_cancel, NULL));
    capp_add_worker(builder, "stopper", stopping_worker, NULL);
    capp_error error = expect_timeout(builder, 300);
    CHECK_HAS(error.message, "a cancel function of sticky did not end within the shutdown limit of 300 ms");
}

static capp_status bad_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)worker;
    (void)user_data;
    return capp_fail(reterr, CAPP_E_AUTH, "refused");
}

static void first_failure_wins_over_the_limit(void)
{
    capp_builder *builder = quiet_builder(&child_log);
    capp_app *app = NULL;
    capp_error error;

    capp_use_shutdown_timeout(builder, 200);
    capp_add_worker(builder, "deaf", deaf_worker, NULL);
    capp_add_worker(builder, "bad", bad_worker, NULL);
    CHECK(capp_build(builder, &app, &error) == CAPP_OK);
    CHECK(capp_run(app, &error) == CAPP_E_AUTH);
    CHECK_HAS(error.message, "worker 'bad': refused");
    CHECK_HAS(child_log.text, "ERROR app: worker 'deaf' did not end within the shutdown limit of 200 ms");
    capp_free(app);
}

static void main_leaves_beside_the_stuck_thread(void)
{
    capp_builder *builder = quiet_builder(NULL);

    capp_use_shutdown_timeout(builder, 200);
    capp_use_name(builder, "stuck-app");
    capp_add_worker(builder, "deaf", deaf_worker, NULL);
    capp_add_worker(builder, "stopper", stopping_worker, NULL);
    int fds[2];
    CHECK(pipe(fds) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        dup2(fds[1], STDOUT_FILENO);
        printf("buffered ");
        capp_main(builder);
        _exit(77); /* it must not come back */
    }
    int status = 0;
    close(fds[1]);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    char text[1024] = "";
    for (size_t len = 0; len + 1 < sizeof(text);) {
        ssize_t n = read(fds[0], text + len, sizeof(text) - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    CHECK_HAS(text, "stuck-app: worker 'deaf' did not end within the shutdown limit of 200 ms\n");
    CHECK_HAS(text, "buffered ");
    capp_builder_free(builder);
}

#define IN_CHILD(scenario)                    \
    static void test_##scenario(void **state) \
    {                                         \
        (void)state;                          \
        in_child(scenario);                   \
    }
IN_CHILD(deaf_workers)
IN_CHILD(worker_beyond_its_own_limit)
IN_CHILD(hosted_service_beyond_the_whole_limit)
IN_CHILD(reload_beyond_the_whole_limit)
IN_CHILD(stop_beyond_the_whole_limit)
IN_CHILD(stop_beyond_its_own_limit)
IN_CHILD(start_beyond_its_own_limit)
IN_CHILD(start_that_ignores_the_stop)
IN_CHILD(cancel_function_beyond_the_limit)
IN_CHILD(first_failure_wins_over_the_limit)
IN_CHILD(main_leaves_beside_the_stuck_thread)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deaf_workers),
        cmocka_unit_test(test_worker_beyond_its_own_limit),
        cmocka_unit_test(test_hosted_service_beyond_the_whole_limit),
        cmocka_unit_test(test_reload_beyond_the_whole_limit),
        cmocka_unit_test(test_stop_beyond_the_whole_limit),
        cmocka_unit_test(test_stop_beyond_its_own_limit),
        cmocka_unit_test(test_start_beyond_its_own_limit),
        cmocka_unit_test(test_start_that_ignores_the_stop),
        cmocka_unit_test(test_cancel_function_beyond_the_limit),
        cmocka_unit_test(test_first_failure_wins_over_the_limit),
        cmocka_unit_test(test_main_leaves_beside_the_stuck_thread),
    };

    sem_init(&never, 0, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
