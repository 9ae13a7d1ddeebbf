/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a failure is put on record inside libetcdc. The first place that knows
 * the cause fills the error; callers pass it up untouched, or translate it once
 * at a layer boundary. Every function accepts a NULL error.
 */
#ifndef ETCD__BASE_ERROR_H
#define ETCD__BASE_ERROR_H

#include "etcdc/error.h"

#include <stdarg.h>

/* Fills the error with status and text (grpc code -1, no flags) and returns the status. */
etcd_status etcd__fail(etcd_error *reterr, etcd_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Out of memory: a constant text, needs no memory. Returns ETCD_E_NO_MEMORY. */
etcd_status etcd__fail_memory(etcd_error *reterr);
/* Puts "prefix: " in front of the message, cutting the end when it gets too long. */
void etcd__error_prefix(etcd_error *reterr, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Copies what the caller's struct has room for; either may be NULL. */
void etcd__error_copy(etcd_error *reterr, const etcd_error *from);

/*
 * Copies a caller's option struct into ours, whatever version either side was
 * built with (see docs/decisions). `dst` holds the defaults, `dst_size` is
 * sizeof of our struct; `size` is the first member of both. A NULL `src` means
 * all defaults.
 */
etcd_status etcd__opts_import(void *dst, size_t dst_size, const void *src, const char *what,
                              etcd_error *reterr);

#endif
