/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The one variable of the library (docs/decisions); malloc_fn NULL: the C library's functions. */
static struct etcd__mem_source source;

void etcd__mem_use(const struct etcd__mem_source *other)
{
    source = other == NULL ? (struct etcd__mem_source){0} : *other;
}

/*
 * Zero bytes always give a pointer of their own: NULL means out of memory and
 * nothing else, whatever the allocator does with a size of zero.
 */

void *etcd__malloc(size_t size)
{
    size = size == 0 ? 1 : size;
    return source.malloc_fn == NULL ? malloc(size) : source.malloc_fn(source.user_data, size);
}

static void *zeroed(size_t size)
{
    void *ptr = source.malloc_fn(source.user_data, size);

    if (ptr != NULL)
        memset(ptr, 0, size);
    return ptr;
}

void *etcd__calloc(size_t count, size_t size)
{
    if (count == 0 || size == 0)
        count = size = 1;
    if (count > SIZE_MAX / size)
        return NULL; /* the C library checks too, but a sanitizer's allocator ends the program there */
    return source.malloc_fn == NULL ? calloc(count, size) : zeroed(count * size);
}

void *etcd__realloc(void *ptr, size_t size)
{
    if (ptr == NULL)
        return etcd__malloc(size);
    size = size == 0 ? 1 : size;
    return source.realloc_fn == NULL ? realloc(ptr, size) : source.realloc_fn(source.user_data, ptr, size);
}

void etcd__free(void *ptr)
{
    if (source.free_fn == NULL)
        free(ptr);
    else if (ptr != NULL)
        source.free_fn(source.user_data, ptr);
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
