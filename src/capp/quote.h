/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAPP__QUOTE_H
#define CAPP__QUOTE_H

#include <stddef.h>
#include <string.h>

/*
 * Puts a text without control characters between quotes, as JSON and others want it: quotes and backslashes
 * get a backslash. There is room for 2 * strlen(text) + 2 bytes; no NUL is written. Returns the length.
 */
static inline size_t capp__quote(char *dst, const char *text)
{
    size_t len = 0;

    dst[len++] = '"';
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            dst[len++] = '\\';
        dst[len++] = *text;
    }
    dst[len++] = '"';
    return len;
}

#endif
