/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pipe through which other threads and signal handlers wake the one in capp_run(). It
 * carries no meaning: who is woken looks at the state that the others changed before they wrote.
 */
#ifndef CAPP__WAKE_H
#define CAPP__WAKE_H

#include "capp/error.h"

struct capp__wake {
    int read_fd, write_fd; /* -1 when not open */
};

capp_status capp__wake_open(struct capp__wake *wake, capp_error *reterr);
void capp__wake_close(struct capp__wake *wake);
/* Ends a wait, or the next one if none is running. Any thread, any signal handler; keeps errno. */
void capp__wake_up(int write_fd);
/* Waits to be woken, at most until `until_ms`. May also return for no reason. */
void capp__wake_wait(const struct capp__wake *wake, int64_t until_ms);

#endif
