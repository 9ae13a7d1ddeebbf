/* SPDX-License-Identifier: Apache-2.0 */
/* What the system's environment promises beyond the system calls that it makes. */
#include "runtime/env_system.h"

#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_connection_kills_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
