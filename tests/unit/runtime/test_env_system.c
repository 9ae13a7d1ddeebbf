/* SPDX-License-Identifier: Apache-2.0 */
/* What the system's environment promises beyond the system calls that it makes. */
#include "runtime/env_system.h"

#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What getrandom() fails with; 0: it works. */
static int random_error;

/* Stands in for the C library's. */
ssize_t getrandom(void *buf, size_t size, unsigned flags)
{
    if (random_error == 0)
        return syscall(SYS_getrandom, buf, size, flags);
    errno = random_error;
    if (random_error == EINTR)
        random_error = 0;
    return -1;
}

/* SIGPIPE would end this process; writing to an end that is gone is an ordinary error all the same. */
static void a_broken_connection_kills_nobody(void **state)
{
    struct etcd__env_system *system = NULL;
    struct sigaction action;
    struct etcd__env env;
    sigset_t blocked;
    int ends[2];

    (void)state;
    assert_int_equal(sigaction(SIGPIPE, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
    assert_int_equal(sigismember(&blocked, SIGPIPE), 0);
    assert_int_equal(etcd__env_system_new(false, &system), 0);
    env = etcd__env_system_table(system);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(env.ops->send(env.self, ends[0], "x", 1), 1);
    assert_int_equal(close(ends[1]), 0);
    assert_int_equal(env.ops->send(env.self, ends[0], "x", 1), -EPIPE);
    assert_int_equal(close(ends[0]), 0);
    etcd__env_system_free(system);
}

/* A sandbox without it (ENOSYS, EPERM), and a signal: there is an answer, and never the same one. */
static void chance_without_getrandom(void **state)
{
    static const int errors[] = {EINTR, ENOSYS, EPERM};
    struct etcd__env_system *system = NULL;
    struct etcd__env env;
    uint8_t all[2 * sizeof(errors) / sizeof(errors[0])][16];
    size_t count = 0;

    (void)state;
    assert_int_equal(etcd__env_system_new(false, &system), 0);
    env = etcd__env_system_table(system);
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        random_error = errors[i];
        for (int again = 0; again < 2; again++) {
            env.ops->random(env.self, all[count], sizeof(all[count]));
            for (size_t j = 0; j < count; j++)
                assert_memory_not_equal(all[count], all[j], sizeof(all[j]));
            count++;
        }
    }
    random_error = 0;
    etcd__env_system_free(system);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_connection_kills_nobody),
        cmocka_unit_test(chance_without_getrandom),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
