/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "capp/runner.h"
#include "capp/thread.h"
#include "capp/wake.h"
#include "support/alloc_fail.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static void wake_pipe_wakes(void **state)
{
    struct capp__wake wake = {-1, -1};

    (void)state;
    assert_int_equal(capp__wake_open(&wake, NULL), CAPP_OK);
    assert_true(fcntl(wake.read_fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(wake.write_fd, F_GETFD) & FD_CLOEXEC);
    for (int i = 0; i < 100000; i++) /* more than a pipe holds: never blocks */
        capp__wake_up(wake.write_fd);
    capp__wake_wait(&wake, INT64_MAX);
    while (read(wake.read_fd, (char[4096]){0}, 4096) > 0) {
    }
    int64_t began = now_ms();
    capp__wake_wait(&wake, capp__after_ms(20));
    assert_true(now_ms() - began >= 19);
    capp__wake_wait(&wake, 0); /* a time in the past: looks, does not wait */
    capp__wake_close(&wake);
    capp__wake_close(&wake);
    assert_int_equal(wake.read_fd, -1);
}

static void wake_pipe_needs_descriptors(void **state)
{
    struct capp__wake wake = {-1, -1};
    int fds[4096];
    size_t count = 0;
    capp_error error;

    (void)state;
    while (count < 4096 && (fds[count] = dup(STDIN_FILENO)) >= 0)
        count++;
    if (count < 4096) {
        assert_int_equal(capp__wake_open(&wake, &error), CAPP_E_IO);
        assert_has(error.message, "cannot make a pipe: Too many open files");
        assert_true(error.sys_errno != 0);
    }
    while (count > 0)
        close(fds[--count]);
}

struct job {
    pthread_t thread;
    sigset_t mask;
    int runs;
};

static void do_job(void *arg)
{
    struct job *job = arg;

    job->runs++;
    job->thread = pthread_self();
    pthread_sigmask(SIG_SETMASK, NULL, &job->mask);
}

static void await(struct capp__runner *runner, const struct capp__wake *wake)
{
    while (!capp__runner_idle(runner))
        capp__wake_wait(wake, INT64_MAX);
}

static void jobs_run_on_one_other_thread(void **state)
{
    struct capp__wake wake = {-1, -1};
    struct job job = {0};
    sigset_t mask;

    (void)state;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    assert_int_equal(capp__wake_open(&wake, NULL), CAPP_OK);
    struct capp__runner *runner = capp__runner_new("test", &mask, wake.write_fd);
    assert_non_null(runner);
    assert_true(capp__runner_idle(runner));
    capp__runner_post(runner, do_job, &job);
    await(runner, &wake);
    pthread_t first = job.thread;
    assert_false(pthread_equal(first, pthread_self()));
    assert_int_equal(sigismember(&job.mask, SIGUSR2), 1);
    assert_int_equal(sigismember(&job.mask, SIGTERM), 0);
    for (int i = 0; i < 1000; i++) {
        capp__runner_post(runner, do_job, &job);
        await(runner, &wake);
    }
    assert_true(pthread_equal(first, job.thread));
    assert_int_equal(job.runs, 1001);
    capp__runner_free(runner);
    capp__runner_free(NULL);
    capp__wake_close(&wake);
    alloc_fail_at(1);
    assert_null(capp__runner_new("test", &mask, -1));
    alloc_fail_at(0);
}

static void times_do_not_overflow(void **state)
{
    (void)state;
    assert_int_equal(capp__after_ms(INT64_MAX), INT64_MAX);
    assert_true(capp__after_ms(INT64_MAX - 1) == INT64_MAX);
    int64_t now = capp__now_ms();
    assert_true(capp__after_ms(0) >= now && capp__after_ms(-7) >= now);
    assert_true(capp__after_ms(1000) >= now + 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wake_pipe_wakes),
        cmocka_unit_test(wake_pipe_needs_descriptors),
        cmocka_unit_test(jobs_run_on_one_other_thread),
        cmocka_unit_test(times_do_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
