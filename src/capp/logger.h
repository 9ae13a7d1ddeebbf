/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAPP__LOGGER_H
#define CAPP__LOGGER_H

#include "capp/log.h"

#include <stdarg.h>

/* Constant once the application is built, so it needs no lock. */
struct capp_logger {
    capp_log_fn *fn; /* NULL: standard error */
    void *user_data;
    capp_log_level level; /* records below it are dropped */
};

/*
 * A record as it is shown on standard error, with its newline:
 * "2025-11-22T16:48:01.123Z INFO  app: started". Returns the length; dst_size is at least 64.
 */
size_t capp__log_line(char *dst, size_t dst_size, const capp_log_record *record);

#endif
