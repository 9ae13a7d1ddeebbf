/* SPDX-License-Identifier: Apache-2.0 */
/* How failures are put on record inside libcapp. Every function accepts a NULL error. */
#ifndef CAPP__FAIL_H
#define CAPP__FAIL_H

#include "capp/error.h"

#include <stdarg.h>

capp_status capp__vfail(capp_error *reterr, capp_status status, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
/* Out of memory: a constant text. Returns CAPP_E_NO_MEMORY. */
capp_status capp__fail_memory(capp_error *reterr);
/* A system call failed: adds the text of `sys_errno`. Returns CAPP_E_IO. */
capp_status capp__fail_sys(capp_error *reterr, int sys_errno, const char *what);
/*
 * Makes an error that code of the user has filled (or not) fit to be shown: the
 * status is the one it returned, and there is a message.
 */
void capp__error_settle(capp_error *error, capp_status status);
/* Either may be NULL. */
void capp__error_copy(capp_error *reterr, const capp_error *from);

/*
 * Copies a caller's size-first struct into ours, whatever version either side was
 * built with: a shorter one leaves our newer fields zero, a longer one is accepted
 * while every byte that we do not know is zero. `what` names it in the message.
 */
capp_status capp__import(void *dst, size_t dst_size, const void *src, const char *what, capp_error *reterr);

#endif
