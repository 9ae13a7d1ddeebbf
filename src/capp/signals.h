/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGINT, SIGTERM and SIGHUP while an application is built and runs. Signal handlers belong to the process,
 * so this is the one place of the library with mutable state of its own; one application at a time can have
 * it.
 *
 * SIGHUP means "reload", unless the program had a terminal when the signals were taken, and has lost it:
 * then it means what it says, and is a stop.
 */
#ifndef CAPP__SIGNALS_H
#define CAPP__SIGNALS_H

#include <signal.h>
#include <stdbool.h>

enum { CAPP__SIGNAL_COUNT = 3 };

/* What was found, to be put back. Zeroed: not taken. */
struct capp__signals {
    bool owned;
    bool terminal; /* whose end is to be noticed */
    struct sigaction old[CAPP__SIGNAL_COUNT];
    sigset_t old_mask; /* of the thread that took them */
};

/*
 * Takes the signals: each writes to `wake_fd`; with `exit_on_second` the second one that means a stop ends
 * the process. The calling thread no longer blocks them. False when another application has them.
 */
bool capp__signals_take(struct capp__signals *signals, int wake_fd, bool exit_on_second);
/* "SIGTERM" */
const char *capp__signal_name(int number);
/* From here on they are counted, but nobody is woken. No handler uses the descriptor when it returns. */
void capp__signals_mute(struct capp__signals *signals);
/* Puts everything back, on the same thread. No handler of ours runs any more when it returns. */
void capp__signals_give_back(struct capp__signals *signals);
/* The first signal that means a stop since they were taken; 0 when there was none. */
int capp__signals_first(const struct capp__signals *signals);
/* Whether SIGHUP has asked for a reload since the last time. */
bool capp__signals_reload(const struct capp__signals *signals);

#endif
