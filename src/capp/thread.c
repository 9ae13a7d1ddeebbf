/* SPDX-License-Identifier: Apache-2.0 */
#include "thread.h"

#include "base/str.h"

#include <time.h>

int64_t capp__now_ms(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t capp__after_ms(int64_t timeout_ms)
{
    int64_t now = capp__now_ms();

    if (timeout_ms <= 0)
        return now;
    return timeout_ms > INT64_MAX - now ? INT64_MAX : now + timeout_ms;
}

int capp__cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    int error = pthread_condattr_init(&attr);

    if (error != 0)
        return error;
    error = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (error == 0)
        error = pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
    return error;
}

void capp__cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t until_ms)
{
    struct timespec at = {.tv_sec = (time_t)(until_ms / 1000), .tv_nsec = (long)(until_ms % 1000) * 1000000};

    if (until_ms == INT64_MAX)
        pthread_cond_wait(cond, mutex);
    else
        pthread_cond_timedwait(cond, mutex, &at);
}

int capp__thread_start(pthread_t *ret_thread, const sigset_t *mask, void *(*fn)(void *), void *arg)
{
    sigset_t own;

    pthread_sigmask(SIG_SETMASK, mask, &own);
    int error = pthread_create(ret_thread, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &own, NULL);
    return error;
}

void capp__thread_name(const char *name)
{
    char cut[16];

    etcd__format(cut, sizeof(cut), "%s", name);
    pthread_setname_np(pthread_self(), cut);
}
