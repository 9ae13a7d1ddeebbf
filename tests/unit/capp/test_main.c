/* SPDX-License-Identifier: Apache-2.0 */
/* capp_main and signals, as a shell sees them: real signals to a child process. */
#include "child.h"

#include <locale.h>

static int empty_program(void)
{
    return capp_main(capp_builder_new());
}

static void signals_stop(void **state)
{
    static const struct {
        int number;
        const char *line;
    } rows[] = {{SIGTERM, "INFO  app: stopping (SIGTERM)\n"}, {SIGINT, "INFO  app: stopping (SIGINT)\n"}};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct child child = spawn(i < 2 ? ordinary_program : empty_program);

        read_until(&child, "INFO  app: started\n");
        kill(child.pid, rows[i % 2].number);
        assert_int_equal(reap(&child), 0);
        assert_has(child.text, rows[i % 2].line);
        assert_has(child.text, "INFO  app: stopped\n");
    }
}

static capp_status deaf_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)worker;
    (void)user_data;
    (void)reterr;
    for (;;)
        pause();
    return CAPP_OK;
}

static int deaf_program(void)
{
    capp_builder *app = capp_builder_new();

    capp_add_worker(app, "deaf", deaf_worker, NULL);
    return capp_main(app);
}

static void second_signal_leaves_at_once(void **state)
{
    static const int numbers[] = {SIGTERM, SIGINT};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct child child = spawn(deaf_program);

        read_until(&child, "app: started\n");
        kill(child.pid, SIGTERM);
        read_until(&child, "app: stopping (SIGTERM)\n");
        int64_t began = now_ms();
        kill(child.pid, numbers[i]);
        assert_int_equal(reap(&child), 128 + numbers[i]);
        assert_true(now_ms() - began < 5000 * ETCDC_TIME_SCALE); /* the limit would have been 30 s */
    }
}

static int blocked_program(void)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    int code = ordinary_program();
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    return sigismember(&now, SIGTERM) == 1 ? code : 99;
}

static void blocked_signals_arrive_all_the_same(void **state)
{
    struct child child = spawn(blocked_program);

    (void)state;
    read_until(&child, "app: started\n");
    kill(child.pid, SIGTERM);
    assert_int_equal(reap(&child), 0);
}

static int bad_program(void)
{
    capp_builder *app = capp_builder_new();

    capp_use_log(app, log_nowhere, NULL);
    capp_use_name(app, "shop");
    capp_add_worker(app, "bad name", waiting_worker, NULL);
    capp_add_service(app, NULL);
    return capp_main(app);
}

static void failed_build_prints_one_line(void **state)
{
    struct child child = spawn(bad_program);

    (void)state;
    assert_int_equal(reap(&child), 1);
    assert_string_equal(without_places(child.text),
                        "shop: 2 mistakes: capp_add_worker: name 'bad name' is not 1-63 characters of A-Z "
                        "a-z 0-9 _ -; capp_service is NULL\n");
}

static capp_status failing_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)worker;
    (void)user_data;
    return capp_fail(reterr, CAPP_E_IO, "disk\nfull");
}

static int failing_program(void)
{
    capp_builder *app = capp_builder_new();

    capp_use_name(app, "billing");
    capp_use_log_level(app, CAPP_LOG_OFF);
    capp_add_worker(app, "disk", failing_worker, NULL);
    return capp_main(app);
}

static void failed_run_prints_one_line(void **state)
{
    struct child child = spawn(failing_program);

    (void)state;
    assert_int_equal(reap(&child), 1);
    assert_string_equal(child.text, "billing: worker 'disk': disk\\x0Afull\n");
}

static int null_program(void)
{
    return capp_main(NULL);
}

static void lack_of_memory_prints_one_line(void **state)
{
    struct child child = spawn(null_program);

    (void)state;
    assert_int_equal(reap(&child), 1);
    assert_string_equal(child.text, "app: out of memory\n");
}

static void own_handler(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    (void)context;
}

static bool same_action(const struct sigaction *a, const struct sigaction *b)
{
    bool same = a->sa_handler == b->sa_handler;

    if (a->sa_handler == SIG_DFL || a->sa_handler == SIG_IGN)
        return same; /* nothing of the rest means anything */
    same = same && a->sa_flags == b->sa_flags && a->sa_sigaction == b->sa_sigaction;
    for (int number = 1; number < 32; number++)
        same = same && sigismember(&a->sa_mask, number) == sigismember(&b->sa_mask, number);
    return same;
}

static capp_status stop_at_once(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)user_data;
    (void)reterr;
    capp_stop(capp_worker_app(worker));
    return CAPP_OK;
}

/* Run with the signals taken, in a process with handlers of its own. */
static int restoring_program(void)
{
    struct sigaction term = {.sa_sigaction = own_handler, .sa_flags = SA_SIGINFO | SA_NODEFER}, before[32],
                     after[32];
    char *locale = setlocale(LC_ALL, NULL);

    sigaddset(&term.sa_mask, SIGUSR1);
    sigaction(SIGTERM, &term, NULL);
    signal(SIGINT, SIG_IGN);
    for (int number = 1; number < 32; number++)
        sigaction(number, NULL, &before[number]);
    capp_builder *app = capp_builder_new();
    capp_add_worker(app, "w", stop_at_once, NULL);
    if (capp_main(app) != 0)
        return 10;
    for (int number = 1; number < 32; number++) {
        if (number == SIGKILL || number == SIGSTOP)
            continue;
        sigaction(number, NULL, &after[number]);
        if (!same_action(&before[number], &after[number]))
            return 20 + number;
    }
    return locale == setlocale(LC_ALL, NULL) ? 0 : 11;
}

static void signal_state_is_restored(void **state)
{
    struct child child = spawn(restoring_program);

    (void)state;
    assert_int_equal(reap(&child), 0);
}

static capp_status look_at_pipe(capp_worker *worker, void *user_data, capp_error *reterr)
{
    struct sigaction pipe_action;

    sigaction(SIGPIPE, NULL, &pipe_action);
    *(bool *)user_data = pipe_action.sa_handler == SIG_DFL;
    return stop_at_once(worker, NULL, reterr);
}

static int pipe_program(void)
{
    bool untouched = false;
    capp_builder *app = capp_builder_new();

    capp_add_worker(app, "w", look_at_pipe, &untouched);
    return capp_main(app) == 0 && untouched ? 0 : 1;
}

static void sigpipe_is_left_alone(void **state)
{
    struct child child = spawn(pipe_program);

    (void)state;
    assert_int_equal(reap(&child), 0);
}

/* Without capp_main signals are the program's business, unless it asks. */
static int run_with(capp_signals signals)
{
    capp_app *app = NULL;
    capp_builder *builder = capp_builder_new();

    capp_use_signals(builder, signals);
    capp_add_worker(builder, "waits", waiting_worker, NULL);
    if (capp_build(builder, &app, NULL) != CAPP_OK)
        return 10;
    capp_status status = capp_run(app, NULL);
    capp_free(app);
    return status == CAPP_OK ? 0 : 11;
}

static int run_without_signals(void)
{
    return run_with(CAPP_SIGNALS_AUTO);
}

static int run_with_signals(void)
{
    return run_with(CAPP_SIGNALS_STOP);
}

static void run_takes_signals_only_when_asked(void **state)
{
    struct child child = spawn(run_without_signals);

    (void)state;
    read_until(&child, "app: started\n");
    kill(child.pid, SIGTERM);
    assert_int_equal(reap(&child), 128 + SIGTERM);

    child = spawn(run_with_signals);
    read_until(&child, "app: started\n");
    kill(child.pid, SIGTERM);
    assert_int_equal(reap(&child), 0);
}

static capp_app *from_handler;

static void stop_in_handler(int number)
{
    (void)number;
    capp_stop(from_handler);
}

static int handler_program(void)
{
    capp_builder *builder = capp_builder_new();

    capp_add_worker(builder, "waits", waiting_worker, NULL);
    if (capp_build(builder, &from_handler, NULL) != CAPP_OK)
        return 10;
    signal(SIGUSR1, stop_in_handler);
    capp_status status = capp_run(from_handler, NULL);
    capp_free(from_handler);
    return status == CAPP_OK ? 0 : 11;
}

static void stop_may_come_from_a_handler(void **state)
{
    struct child child = spawn(handler_program);

    (void)state;
    read_until(&child, "app: started\n");
    kill(child.pid, SIGUSR1);
    assert_int_equal(reap(&child), 0);
    assert_has(child.text, "app: stopping (capp_stop)\n");
}

static void *run_second(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)run_with(CAPP_SIGNALS_STOP);
}

/* The first application has the signals; the second one runs without, and says so. */
static capp_status start_second(capp_worker *worker, void *user_data, capp_error *reterr)
{
    pthread_t *thread = user_data;

    pthread_create(thread, NULL, run_second, NULL);
    while (capp_worker_wait(worker, INT64_MAX)) {
    }
    (void)reterr;
    return CAPP_OK;
}

static int two_programs(void)
{
    static pthread_t second;
    capp_builder *app = capp_builder_new();

    capp_add_worker(app, "second", start_second, &second);
    int code = capp_main(app);
    _exit(code); /* the second one still runs */
}

static void one_of_two_applications_has_the_signals(void **state)
{
    struct child child = spawn(two_programs);

    (void)state;
    read_until(&child, "WARN  app: another application of this process has the signals\n");
    kill(child.pid, SIGTERM);
    assert_int_equal(reap(&child), 0);
}

static int three_in_a_row(void)
{
    for (int i = 0; i < 2; i++) {
        capp_builder *app = capp_builder_new();

        capp_use_log_level(app, CAPP_LOG_WARN);
        capp_add_worker(app, "w", stop_at_once, NULL);
        if (capp_main(app) != 0)
            return 1;
    }
    return ordinary_program();
}

static void signals_can_be_taken_again(void **state)
{
    struct child child = spawn(three_in_a_row);

    (void)state;
    read_until(&child, "app: started\n");
    kill(child.pid, SIGTERM);
    assert_int_equal(reap(&child), 0);
    assert_null(strstr(child.text, "WARN"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_stop),
        cmocka_unit_test(second_signal_leaves_at_once),
        cmocka_unit_test(blocked_signals_arrive_all_the_same),
        cmocka_unit_test(failed_build_prints_one_line),
        cmocka_unit_test(failed_run_prints_one_line),
        cmocka_unit_test(lack_of_memory_prints_one_line),
        cmocka_unit_test(signal_state_is_restored),
        cmocka_unit_test(sigpipe_is_left_alone),
        cmocka_unit_test(run_takes_signals_only_when_asked),
        cmocka_unit_test(stop_may_come_from_a_handler),
        cmocka_unit_test(one_of_two_applications_has_the_signals),
        cmocka_unit_test(signals_can_be_taken_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
