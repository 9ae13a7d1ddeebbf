/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that runs one job at a time for the thread in capp_run(), which meanwhile can
 * watch the clock and the signals, and give the job up.
 */
#ifndef CAPP__RUNNER_H
#define CAPP__RUNNER_H

#include <signal.h>
#include <stdbool.h>

struct capp__runner;

typedef void capp__job_fn(void *arg);

/* `wake_fd` is woken after each job; see wake.h. NULL when out of memory or threads. */
struct capp__runner *capp__runner_new(const char *name, const sigset_t *mask, int wake_fd);
/* Starts a job; the runner is idle. */
void capp__runner_post(struct capp__runner *runner, capp__job_fn *fn, void *arg);
/* Whether the job is over; what it wrote may be read then. */
bool capp__runner_idle(struct capp__runner *runner);
/* Ends an idle runner; NULL is accepted. */
void capp__runner_free(struct capp__runner *runner);
/* Gives up a runner whose job does not end; its memory stays with the thread. */
void capp__runner_abandon(struct capp__runner *runner);

#endif
