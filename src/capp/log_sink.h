/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A descriptor that whole lines or datagrams are written to, by any number of threads without a lock. What
 * cannot be written is lost and counted.
 */
#ifndef CAPP__LOG_SINK_H
#define CAPP__LOG_SINK_H

#include "capp/error.h"

#include <stdatomic.h>
#include <stdbool.h>

struct capp__sink {
    int fd;               /* owned; a file that is opened again keeps the number. -1: none */
    atomic_bool plain;    /* a regular file: a write to it raises no SIGPIPE */
    atomic_bool torn;     /* the last line that reached it is not whole */
    atomic_ullong lost;   /* records, since the beginning */
    atomic_ullong unsaid; /* records that were lost and not reported yet */
    atomic_int cause;     /* errno of the last loss */
};

/* Opens a file for appending. `what` names it in the error. */
capp_status capp__sink_open_file(struct capp__sink *sink, const char *path, capp_error *reterr);
/* Opens the file again under the same number; on failure the old one stays. Any thread may write meanwhile.
 */
capp_status capp__sink_reopen_file(struct capp__sink *sink, const char *path, capp_error *reterr);
/* Connects a datagram socket to the system's log. */
capp_status capp__sink_open_socket(struct capp__sink *sink, const char *path, capp_error *reterr);
void capp__sink_close(struct capp__sink *sink);

/*
 * Writes line[1, 1 + len), which ends in a newline, at once. line[0] is the function's. False when it is
 * lost, which is counted.
 */
bool capp__sink_write(struct capp__sink *sink, char *line, size_t len);
/* The same to standard error, whatever that is at the moment. */
bool capp__sink_write_stderr(struct capp__sink *sink, char *line, size_t len);
/* Sends a datagram; connects again once when the other side was replaced. `path` is that of the socket. */
bool capp__sink_send(struct capp__sink *sink, const char *path, const char *data, size_t len);

/* How many records were lost since the last time that this was asked; *ret_cause is an errno. */
unsigned long long capp__sink_take_lost(struct capp__sink *sink, int *ret_cause);
/* They could not be reported: they stay to be. */
void capp__sink_give_lost(struct capp__sink *sink, unsigned long long count);

#endif
