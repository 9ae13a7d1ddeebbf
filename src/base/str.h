/* SPDX-License-Identifier: Apache-2.0 */
/* Text helpers that never read past what they are given and never depend on the locale. */
#ifndef ETCD__BASE_STR_H
#define ETCD__BASE_STR_H

#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>

/* The length of the longest prefix of text[0, len) that is at most `max` bytes and cuts no UTF-8 sequence. */
size_t etcd__utf8_cut(const char *text, size_t len, size_t max);
/* How many bytes the UTF-8 sequence at the front of text[0, len) has: 1..4; 0 when it is not valid. */
size_t etcd__utf8_len(const char *text, size_t len);
/* Whether data[0, len) is valid UTF-8. */
bool etcd__utf8_valid(const char *data, size_t len);
/*
 * Writes data[0, len) as printable text with a NUL: control characters, quotes, backslashes and invalid
 * UTF-8 become \xHH; a text that does not fit ends in "...". Returns dst.
 */
char *etcd__escape(char *dst, size_t dst_size, const void *data, size_t len);
/* The same for a text that is printable but for stray bytes: quotes and backslashes stay. */
char *etcd__escape_controls(char *dst, size_t dst_size, const void *data, size_t len);
/* snprintf that always terminates and never cuts a UTF-8 sequence. Returns the length written. */
size_t etcd__format(char *dst, size_t dst_size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
size_t etcd__vformat(char *dst, size_t dst_size, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
/* Decimal digits only, the whole text, in [min, max]. False otherwise; *ret is untouched then. */
bool etcd__parse_u64(const char *text, size_t len, uint64_t min, uint64_t max, uint64_t *ret);
/* ASCII comparison without case, as for header names and schemes. */
bool etcd__equal_nocase(const char *a, size_t a_len, const char *b);

/* For functions that write a text of any length: copies what fits, with a NUL, and returns `len`. */
size_t etcd__text_give(char *dst, size_t size, const void *text, size_t len);

#endif
