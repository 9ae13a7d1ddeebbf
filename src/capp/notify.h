/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol in which a program tells systemd, or whoever speaks it, how it is: sd_notify(3), without its
 * library. */
#ifndef CAPP__NOTIFY_H
#define CAPP__NOTIFY_H

#include "capp/error.h"

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct capp__notify {
    int fd; /* -1: nobody listens */
    struct sockaddr_un address;
    socklen_t address_len;
    int64_t watchdog_ms; /* how often "I am alive" is to be said; 0: nobody asks */
};

/*
 * Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID of the environment. No NOTIFY_SOCKET is no failure;
 * after one nobody is told anything.
 */
capp_status capp__notify_open(struct capp__notify *notify, capp_error *reterr);
void capp__notify_close(struct capp__notify *notify);
/* Sends one message, lines of NAME=value. Waits a tenth of a second at most; what cannot be sent is lost. */
void capp__notify_send(const struct capp__notify *notify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
