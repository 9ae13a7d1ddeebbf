/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGINT and SIGTERM while an application runs. Signal handlers belong to the process, so this is the one
 * place of the library with mutable state of its own; one application at a time can have it.
 */
#ifndef CAPP__SIGNALS_H
#define CAPP__SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* What was found, to be put back. */
struct capp__signals {
    bool owned;
    struct sigaction old_int, old_term;
    sigset_t old_mask; /* of the thread that took them */
};

/*
 * Takes the signals: each writes to `wake_fd`; with `exit_on_second` the second one ends
 * the process. The calling thread no longer blocks them. False when another application has them.
 */
bool capp__signals_take(struct capp__signals *signals, int wake_fd, bool exit_on_second);
/* Puts everything back, on the same thread. No handler of ours runs any more when it returns. */
void capp__signals_give_back(struct capp__signals *signals);
/* The first signal that came since they were taken; 0 when there was none. */
int capp__signals_first(const struct capp__signals *signals);

#endif
