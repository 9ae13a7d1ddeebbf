/* SPDX-License-Identifier: Apache-2.0 */
/* The text of one value to what it means, and back. */
#ifndef CAPP__CONFIG_VALUE_H
#define CAPP__CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CAPP__VALUE_SIZE = 64 };

/* Each is false when the text is no such value; *ret is untouched then. */
bool capp__read_bool(const char *text, bool *ret);
bool capp__read_int(const char *text, int64_t *ret);
/* Milliseconds; sums of numbers with units: "1h30m", "1.5s". Only "0" needs none. */
bool capp__read_duration(const char *text, int64_t *ret_ms);
/* Bytes; one number, with a unit or without. */
bool capp__read_size(const char *text, uint64_t *ret_bytes);

/* The shortest text that reads back as the same. Return dst. */
char *capp__show_duration(int64_t ms, char dst[CAPP__VALUE_SIZE]);
char *capp__show_size(uint64_t bytes, char dst[CAPP__VALUE_SIZE]);

/* How many characters must be added, removed or replaced to make one of the other; case and '-' aside. */
size_t capp__distance(const char *a, const char *b);

#endif
