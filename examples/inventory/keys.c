/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void item_key(const char *prefix, const char *item, char key[KEY_SIZE])
{
    snprintf(key, KEY_SIZE, "%sitems/%s", prefix, item);
}

void request_key(const char *prefix, const char *request, char key[KEY_SIZE])
{
    snprintf(key, KEY_SIZE, "%srequests/%s", prefix, request);
}

void format_quantity(char text[QUANTITY_SIZE], int64_t quantity)
{
    snprintf(text, QUANTITY_SIZE, "%" PRId64, quantity);
}

bool parse_quantity(const char *text, int64_t *ret_quantity)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0')
        return false;
    *ret_quantity = value;
    return true;
}

void format_record(char text[RECORD_SIZE], const stock_change *change, int64_t quantity)
{
    snprintf(text, RECORD_SIZE, "%s %" PRId64 " %" PRId64, change->item, change->delta, quantity);
}

bool parse_record(const char *text, const stock_change *change, int64_t *ret_quantity)
{
    char begin[RECORD_SIZE];
    int len = snprintf(begin, sizeof(begin), "%s %" PRId64 " ", change->item, change->delta);

    return strncmp(text, begin, (size_t)len) == 0 && parse_quantity(text + len, ret_quantity);
}
