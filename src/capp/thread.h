/* SPDX-License-Identifier: Apache-2.0 */
/* Threads and time of the host. */
#ifndef CAPP__THREAD_H
#define CAPP__THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stdint.h>

/* Milliseconds of a clock that never goes back. */
int64_t capp__now_ms(void);
/* The time `timeout_ms` from now; INT64_MAX when that is never. */
int64_t capp__after_ms(int64_t timeout_ms);

/* A condition variable whose timed waits go by the clock of capp__now_ms. 0 or an errno. */
int capp__cond_init(pthread_cond_t *cond);
/* Waits until signalled, at most until `until_ms`; spurious wake-ups happen. */
void capp__cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t until_ms);

/* Starts a thread with this signal mask, whatever the mask of the caller is. 0 or an errno. */
int capp__thread_start(pthread_t *ret_thread, const sigset_t *mask, void *(*fn)(void *), void *arg);
/* Names the calling thread for debuggers; the system keeps 15 bytes. */
void capp__thread_name(const char *name);

#endif
