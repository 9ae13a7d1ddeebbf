/* SPDX-License-Identifier: Apache-2.0 */
/* Signals at other times than in the middle of a run, and SIGHUP. */
#define _XOPEN_SOURCE 700 /* posix_openpt() */
#include "child.h"

#include <fcntl.h>
#include <sys/ioctl.h>

/* ---- signals before the application runs --------------------------------------------------------- */

typedef struct slow_service {
    capp_app *app;
} slow_service;
CAPP_TYPE_DEFINE(slow_service);
typedef struct next_service {
    slow_service *below;
} next_service;
CAPP_TYPE_DEFINE(next_service);

static void say(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

/* Sees to it that the signal comes while it waits, and that it ends the wait. */
static capp_status slow_init(void *self, capp_error *reterr)
{
    (void)self;
    (void)reterr;
    sigset_t both, before;

    sigemptyset(&both);
    sigaddset(&both, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &both, &before);
    say("init slow\n");
    sigdelset(&before, SIGTERM);
    sigsuspend(&before);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return CAPP_OK;
}

static void slow_fini(void *self)
{
    (void)self;
    say("fini slow\n");
}

static capp_status next_init(void *self, capp_error *reterr)
{
    (void)self;
    (void)reterr;
    say("init next\n");
    return CAPP_OK;
}

static const capp_inject slow_rows[] = {CAPP_INJECT(slow_service, app, capp_app)};
static const capp_inject next_rows[] = {CAPP_INJECT(next_service, below, slow_service)};

static int slow_build_program(void)
{
    static const capp_service slow = CAPP_SERVICE(slow_service, CAPP_INJECTS(slow_rows), .init = slow_init,
                                                  .fini = slow_fini);
    static const capp_service next = CAPP_SERVICE(next_service, CAPP_INJECTS(next_rows), .init = next_init);
    capp_builder *app = capp_builder_new();

    capp_add_service(app, &next);
    capp_add_service(app, &slow);
    return capp_main(app);
}

static void a_signal_ends_a_long_build_in_order(void **state)
{
    struct child child = spawn(slow_build_program);

    (void)state;
    read_until(&child, "init slow\n");
    kill(child.pid, SIGTERM);
    assert_int_equal(reap(&child), 0);
    assert_has(child.text, "INFO  app: stopped (SIGTERM) before it was built\nfini slow\n");
    assert_null(strstr(child.text, "init next"));
}

static capp_status slow_start(void *self, capp_error *reterr)
{
    say("start slow\n");
    if (!capp_cancel_wait(capp_app_cancel(((slow_service *)self)->app), INT64_MAX))
        return CAPP_OK;
    return capp_fail(reterr, CAPP_E_CANCELLED, "told to stop");
}

static int slow_start_program(void)
{
    static const capp_service slow = CAPP_SERVICE(slow_service, CAPP_INJECTS(slow_rows), .start = slow_start,
                                                  .fini = slow_fini);
    capp_builder *app = capp_builder_new();

    capp_add_service(app, &slow);
    return capp_main(app);
}

static void a_signal_ends_a_long_start_in_order(void **state)
{
    struct child child = spawn(slow_start_program);

    (void)state;
    read_until(&child, "start slow\n");
    kill(child.pid, SIGTERM);
    assert_int_equal(reap(&child), 0);
    assert_has(child.text, "INFO  app: stopping (SIGTERM)\n");
    assert_has(child.text, "INFO  app: stopped\nfini slow\n");
    assert_null(strstr(child.text, "started"));
}

static capp_status deaf_init(void *self, capp_error *reterr)
{
    (void)self;
    (void)reterr;
    say("init deaf\n");
    for (;;)
        pause();
    return CAPP_OK;
}

static int deaf_build_program(void)
{
    static const capp_service deaf = CAPP_SERVICE(slow_service, CAPP_INJECTS(slow_rows), .init = deaf_init);
    capp_builder *app = capp_builder_new();

    capp_add_service(app, &deaf);
    return capp_main(app);
}

/* The first one may come together with the second: nothing says that it has been seen. */
static void a_second_signal_leaves_a_build_at_once(void **state)
{
    struct child child = spawn(deaf_build_program);

    (void)state;
    read_until(&child, "init deaf\n");
    kill(child.pid, SIGTERM);
    kill(child.pid, SIGINT);
    int code = reap(&child);
    assert_true(code == 128 + SIGTERM || code == 128 + SIGINT);
}

/* ---- SIGHUP ---------------------------------------------------------------------------------------- */

static capp_status slow_reload(void *self, capp_error *reterr)
{
    (void)self;
    (void)reterr;
    say("reload slow\n");
    return CAPP_OK;
}

static int reloading_program(void)
{
    static const capp_service slow = CAPP_SERVICE(slow_service, CAPP_INJECTS(slow_rows),
                                                  .reload = slow_reload);
    capp_builder *app = capp_builder_new();

    capp_add_service(app, &slow);
    return capp_main(app);
}

static int signals_program(void)
{
    static const capp_service slow = CAPP_SERVICE(slow_service, CAPP_INJECTS(slow_rows),
                                                  .reload = slow_reload);
    capp_app *app = NULL;
    capp_builder *builder = capp_builder_new();

    capp_use_signals(builder, CAPP_SIGNALS_STOP);
    capp_add_service(builder, &slow);
    if (capp_build(builder, &app, NULL) != CAPP_OK)
        return 10;
    capp_status status = capp_run(app, NULL);
    capp_free(app);
    return status == CAPP_OK ? 0 : 11;
}

static void sighup_reloads(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct child child = spawn(i == 0 ? reloading_program : signals_program);

        read_until(&child, "app: started\n");
        kill(child.pid, SIGHUP);
        read_until(&child, "INFO  app: reloading\n");
        read_until(&child, "reload slow\n");
        read_until(&child, "INFO  app: reloaded\n");
        kill(child.pid, SIGTERM);
        assert_int_equal(reap(&child), 0);
    }
}

static int terminal_fd; /* the other end of the child's terminal */

/* Takes the terminal that belongs to `terminal_fd` as its own, as a login does. */
static int on_a_terminal(void)
{
    setsid();
    int fd = open(ptsname(terminal_fd), O_RDWR);
    close(terminal_fd);
    return fd >= 0 && ioctl(fd, TIOCSCTTY, 0) == 0 ? ordinary_program() : 9;
}

static void a_lost_terminal_is_a_stop(void **state)
{
    (void)state;
    terminal_fd = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(terminal_fd >= 0 && grantpt(terminal_fd) == 0 && unlockpt(terminal_fd) == 0);
    struct child child = spawn(on_a_terminal);
    read_until(&child, "app: started\n");
    close(terminal_fd);
    assert_int_equal(reap(&child), 0);
    assert_has(child.text, "INFO  app: stopping (SIGHUP)\n");
}

/* ---- a child of the application -------------------------------------------------------------------- */

/* A program that a worker is about to start, killed before it is: that is no stop of the application. */
static capp_status forking_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    int status = 0;
    pid_t pid = fork(), ended;

    (void)user_data;
    if (pid == 0)
        for (;;)
            pause();
    kill(pid, SIGTERM);
    ended = waitpid(pid, &status, 0);
    if (ended != pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGTERM)
        return capp_fail(reterr, CAPP_E_INTERNAL, "the child did not end by the signal: %d", status);
    if (!capp_worker_wait(worker, 100))
        return capp_fail(reterr, CAPP_E_INTERNAL, "the child's signal stopped the application");
    capp_stop(capp_worker_app(worker));
    return CAPP_OK;
}

static int forking_program(void)
{
    capp_builder *app = capp_builder_new();

    capp_add_worker(app, "forks", forking_worker, NULL);
    return capp_main(app);
}

static void a_signal_to_a_child_is_for_it_alone(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* no handler runs any more in a child of several threads */
#endif
    struct child child = spawn(forking_program);

    assert_int_equal(reap(&child), 0);
    assert_has(child.text, "stopping (capp_stop)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_ends_a_long_build_in_order),
        cmocka_unit_test(a_signal_ends_a_long_start_in_order),
        cmocka_unit_test(a_second_signal_leaves_a_build_at_once),
        cmocka_unit_test(sighup_reloads),
        cmocka_unit_test(a_lost_terminal_is_a_stop),
        cmocka_unit_test(a_signal_to_a_child_is_for_it_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
