/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A handler may run on any thread, and still be running on one when the application that
 * took the signals gives them back and closes its pipe. `inside` counts the handlers; who
 * gives the signals back takes the descriptor away first and then waits until the count is 0, so
 * that no handler writes to a descriptor that has been closed, or reused by then.
 */
#include "signals.h"

#include "wake.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

static atomic_bool taken;
static atomic_int target_fd = -1;
static atomic_int first_signal;
static atomic_bool second_exits;
static atomic_int inside;

static void on_signal(int number)
{
    int saved_errno = errno, none = 0;

    atomic_fetch_add(&inside, 1);
    int fd = atomic_load(&target_fd);
    if (fd >= 0) {
        bool second = !atomic_compare_exchange_strong(&first_signal, &none, number);

        if (second && atomic_load(&second_exits))
            _exit(128 + number);
        capp__wake_up(fd);
    }
    atomic_fetch_sub(&inside, 1);
    errno = saved_errno;
}

static void both(sigset_t *ret_set)
{
    sigemptyset(ret_set);
    sigaddset(ret_set, SIGINT);
    sigaddset(ret_set, SIGTERM);
}

bool capp__signals_take(struct capp__signals *signals, int wake_fd, bool exit_on_second)
{
    /* Restarting system calls keeps the stop out of code that does not expect EINTR. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    signals->owned = !atomic_exchange(&taken, true);
    if (!signals->owned)
        return false;
    both(&action.sa_mask);
    atomic_store(&first_signal, 0);
    atomic_store(&second_exits, exit_on_second);
    atomic_store(&target_fd, wake_fd);
    sigaction(SIGINT, &action, &signals->old_int);
    sigaction(SIGTERM, &action, &signals->old_term);
    pthread_sigmask(SIG_UNBLOCK, &action.sa_mask, &signals->old_mask);
    return true;
}

void capp__signals_give_back(struct capp__signals *signals)
{
    if (!signals->owned)
        return;
    pthread_sigmask(SIG_SETMASK, &signals->old_mask, NULL);
    sigaction(SIGINT, &signals->old_int, NULL);
    sigaction(SIGTERM, &signals->old_term, NULL);
    atomic_store(&target_fd, -1);
    while (atomic_load(&inside) > 0)
        sched_yield(); /* a handler is a few instructions long */
    signals->owned = false;
    atomic_store(&taken, false);
}

int capp__signals_first(const struct capp__signals *signals)
{
    return signals->owned ? atomic_load(&first_signal) : 0;
}
