/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * Zero bytes always give a pointer of their own: NULL means out of memory and
 * nothing else, whatever the C library does with a size of zero.
 */

void *etcd__malloc(size_t size)
{
    return malloc(size == 0 ? 1 : size);
}

void *etcd__calloc(size_t count, size_t size)
{
    if (count == 0 || size == 0)
        return calloc(1, 1);
    /* The C library checks too, but a sanitizer's allocator ends the program there. */
    return count > SIZE_MAX / size ? NULL : calloc(count, size);
}

void *etcd__realloc(void *ptr, size_t size)
{
    return realloc(ptr, size == 0 ? 1 : size);
}

void etcd__free(void *ptr)
{
    free(ptr);
}

void *etcd__memdup(const void *data, size_t len)
{
    char *copy;

    if (len == SIZE_MAX)
        return NULL;
    copy = etcd__malloc(len + 1);
    if (copy == NULL)
        return NULL;
    if (len > 0)
        memcpy(copy, data, len);
    copy[len] = '\0';
    return copy;
}

char *etcd__strdup(const char *text)
{
    return etcd__memdup(text, strlen(text));
}

void etcd__wipe(void *ptr, size_t size)
{
    if (ptr != NULL)
        explicit_bzero(ptr, size);
}
