/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A handler may run on any thread, and still be running on one when the application that
 * took the signals gives them back and closes its pipe. `inside` counts the handlers; who
 * closes the pipe takes the descriptor away first and then waits until the count is 0, so
 * that no handler writes to a descriptor that has been closed, or reused by then.
 */
#include "signals.h"

#include "wake.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

static const int numbers[CAPP__SIGNAL_COUNT] = {SIGINT, SIGTERM, SIGHUP};

static atomic_bool taken;
static atomic_int owner_pid;
static atomic_int target_fd = -1;
static atomic_int first_signal;
static atomic_bool second_exits;
static atomic_bool hung_up; /* SIGHUP came, and nobody has looked yet */
static atomic_int inside;

/* A child between fork and exec has our handlers and our pipe: the signal is for it alone. */
static void act_as_without_handler(int number)
{
    struct sigaction action = {.sa_handler = SIG_DFL};

    sigaction(number, &action, NULL);
    (void)raise(number); /* delivered when the handler returns */
}

static void note(int number)
{
    int none = 0;

    if (number == SIGHUP)
        atomic_store(&hung_up, true);
    else if (!atomic_compare_exchange_strong(&first_signal, &none, number) && atomic_load(&second_exits))
        _exit(128 + number);
}

static void on_signal(int number)
{
    int saved_errno = errno;

    atomic_fetch_add(&inside, 1);
    if (getpid() != atomic_load(&owner_pid)) {
        act_as_without_handler(number);
    } else {
        int fd = atomic_load(&target_fd);

        note(number);
        if (fd >= 0)
            capp__wake_up(fd);
    }
    atomic_fetch_sub(&inside, 1);
    errno = saved_errno;
}

static bool has_terminal(void)
{
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

bool capp__signals_take(struct capp__signals *signals, int wake_fd, bool exit_on_second)
{
    /* Restarting system calls keeps the stop out of code that does not expect EINTR. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    signals->owned = !atomic_exchange(&taken, true);
    if (!signals->owned)
        return false;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < CAPP__SIGNAL_COUNT; i++)
        sigaddset(&action.sa_mask, numbers[i]);
    atomic_store(&owner_pid, (int)getpid());
    atomic_store(&first_signal, 0);
    atomic_store(&hung_up, false);
    atomic_store(&second_exits, exit_on_second);
    atomic_store(&target_fd, wake_fd);
    for (size_t i = 0; i < CAPP__SIGNAL_COUNT; i++)
        sigaction(numbers[i], &action, &signals->old[i]);
    signals->terminal = signals->old[CAPP__SIGNAL_COUNT - 1].sa_handler != SIG_IGN && has_terminal();
    pthread_sigmask(SIG_UNBLOCK, &action.sa_mask, &signals->old_mask);
    return true;
}

const char *capp__signal_name(int number)
{
    return number == SIGINT ? "SIGINT" : number == SIGTERM ? "SIGTERM" : "SIGHUP";
}

void capp__signals_mute(struct capp__signals *signals)
{
    if (!signals->owned)
        return;
    atomic_store(&target_fd, -1);
    while (atomic_load(&inside) > 0)
        sched_yield(); /* a handler is a few instructions long */
}

void capp__signals_give_back(struct capp__signals *signals)
{
    if (!signals->owned)
        return;
    pthread_sigmask(SIG_SETMASK, &signals->old_mask, NULL);
    for (size_t i = 0; i < CAPP__SIGNAL_COUNT; i++)
        sigaction(numbers[i], &signals->old[i], NULL);
    atomic_store(&second_exits, false);
    capp__signals_mute(signals);
    signals->owned = false;
    atomic_store(&taken, false);
}

int capp__signals_first(const struct capp__signals *signals)
{
    return signals->owned ? atomic_load(&first_signal) : 0;
}

bool capp__signals_reload(const struct capp__signals *signals)
{
    int none = 0;

    if (!signals->owned || !atomic_exchange(&hung_up, false))
        return false;
    if (!signals->terminal || has_terminal())
        return true;
    atomic_compare_exchange_strong(&first_signal, &none, SIGHUP);
    return false;
}
