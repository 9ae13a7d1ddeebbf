/* SPDX-License-Identifier: Apache-2.0 */
/* A program that closes descriptors which are not its own: the loop's poller fails from then on, for good. */
#include "support/fake_client.h"
#include "support/matrix.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { FDS_MAX = 64 };

/* The pollers of this process; the fake server has none. */
static size_t find_pollers(int *fds)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;
    size_t count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL && count < FDS_MAX) {
        char path[300], target[64] = "";

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
        if (readlink(path, target, sizeof(target) - 1) > 0 && strstr(target, "eventpoll") != NULL)
            fds[count++] = (int)strtol(entry->d_name, NULL, 10);
    }
    (void)closedir(dir);
    return count;
}

static int64_t cpu_ms(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Calls under way end by their time limit, new ones are refused in words, closing works, and nothing spins.
 */
static void test_calls_end_and_nothing_spins(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    int fds[FDS_MAX];
    etcd_op *op = NULL;
    int64_t begin_ms, began_cpu_ms;
    etcd_error err;

    (void)state;
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    fake_etcd_always(fake, "Put", &(struct fake_step){.what = STEP_SILENT});
    assert_status(etcd_put_async(client, etcd_cstr("k"), etcd_cstr("v"), ETCD_PUT_OPTS(.timeout_ms = 1000),
                                 NULL, NULL, &op, &err),
                  ETCD_OK, &err);
    fake_await_calls(client, fake, "Put", 2);
    assert_int_equal(find_pollers(fds), 1);
    /* The mistake is the program's, so TSan is not told of it. */
    assert_int_equal(syscall(SYS_close, fds[0]), 0);
    begin_ms = test_now_ms();
    began_cpu_ms = cpu_ms();
    if (test_caller_drive()) {
        assert_status(etcd_op_wait(op, 5000, &err), ETCD_E_IO, &err);
    } else {
        assert_status(etcd_op_wait(op, 1000 + 5000 * ETCDC_TIME_SCALE, &err), ETCD_OK, &err);
        assert_status(etcd_op_status(op, &err), ETCD_E_DEADLINE, &err);
        assert_int_equal(err.flags, ETCD_ERROR_MAYBE_APPLIED);
        assert_true(test_now_ms() - begin_ms < 1000 + fake_slack_ms());
    }
    assert_true(cpu_ms() - began_cpu_ms < 300);
    /* The wait that was under way goes on until something ends it; the next one fails. */
    if (fake_put(client, 200, &err) != ETCD_E_IO)
        assert_status(fake_put(client, 5000, &err), ETCD_E_IO, &err);
    assert_has_text(err.message, "Bad file descriptor");
    assert_int_equal(err.sys_errno, EBADF);
    assert_int_equal(err.flags, 0);
    etcd_op_free(op);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

/* Lets the loop go on until the operation is done. Under caller drive no wait is long. */
static void await_op(etcd_op *op)
{
    int64_t until_ms = test_now_ms() + 10000 * ETCDC_TIME_SCALE;

    while (etcd_op_wait(op, 10, NULL) != ETCD_OK && test_now_ms() < until_ms)
        (void)usleep(10000);
    assert_true(etcd_op_done(op));
}

/* Nothing would ever come of them. */
static void test_what_has_no_limit_ends(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    int64_t until_ms = test_now_ms() + 10000 * ETCDC_TIME_SCALE;
    etcd_status st = ETCD_E_DEADLINE;
    etcd_events *events = NULL;
    etcd_watch *watch = NULL;
    int fds[FDS_MAX] = {-1};
    etcd_op *op = NULL;
    etcd_error err = {.status = ETCD_OK};

    (void)state;
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    fake_etcd_always(fake, "Put", &(struct fake_step){.what = STEP_SILENT});
    fake_etcd_always(fake, "Watch", &(struct fake_step){.what = STEP_HEADERS});
    assert_status(etcd_put_async(client, etcd_cstr("k"), etcd_cstr("v"),
                                 ETCD_PUT_OPTS(.timeout_ms = ETCD_TIMEOUT_NONE), NULL, NULL, &op, &err),
                  ETCD_OK, &err);
    assert_status(etcd_watch_open(client, etcd_cstr("k"), ETCD_WATCH_OPTS(.start_revision = 1), &watch, &err),
                  ETCD_OK, &err);
    fake_await_calls(client, fake, "Put", 2);
    fake_await_calls(client, fake, "Watch", 1);
    assert_int_equal(find_pollers(fds), 1);
    assert_int_equal(syscall(SYS_close, fds[0]), 0);
    (void)fake_put(client, 200, &err); /* ends the wait that is under way */
    await_op(op);
    assert_status(etcd_op_status(op, &err), ETCD_E_IO, &err);
    assert_has_text(err.message, "the loop cannot wait for events: Bad file descriptor");
    assert_int_equal(err.flags, ETCD_ERROR_MAYBE_APPLIED);
    while (st == ETCD_E_DEADLINE && test_now_ms() < until_ms)
        st = etcd_watch_next(watch, 100, &events, &err);
    assert_status(st, ETCD_E_IO, &err);
    etcd_watch_close(watch);
    etcd_op_free(op);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_end_and_nothing_spins),
        cmocka_unit_test(test_what_has_no_limit_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
