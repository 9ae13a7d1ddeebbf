/* SPDX-License-Identifier: Apache-2.0 */
/* The list of what is wrong with a builder, in the order it was found. Zeroed memory is an empty one. */
#ifndef CAPP__MISTAKES_H
#define CAPP__MISTAKES_H

#include "capp/error.h"
#include "capp/log.h"
#include "ptrs.h"

#include <stdarg.h>

struct capp__mistakes {
    struct capp__ptrs list; /* struct capp__mistake */
    bool no_memory;         /* some could not be noted */
};

void capp__mistakes_deinit(struct capp__mistakes *mistakes);
bool capp__mistakes_any(const struct capp__mistakes *mistakes);

/* Notes one; `origin` ("module etcd") goes in front unless it is "". Returns the status. */
capp_status capp__mistakes_add(struct capp__mistakes *mistakes, const char *origin, capp_status status,
                               const char *format, ...) __attribute__((format(printf, 4, 5)));
capp_status capp__mistakes_vadd(struct capp__mistakes *mistakes, const char *origin, capp_status status,
                                const char *format, va_list args) __attribute__((format(printf, 4, 0)));

/* One of them, from 0, as an error; its text is cut to what an error can hold. */
void capp__mistakes_get(const struct capp__mistakes *mistakes, size_t i, capp_error *ret_error);

/* Logs each of them, and makes one error of all; its status is that of the first. There is at least one. */
capp_status capp__mistakes_report(const struct capp__mistakes *mistakes, const capp_logger *logger,
                                  capp_log_level level, const char *category, capp_error *reterr);

#endif
