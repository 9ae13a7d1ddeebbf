/* SPDX-License-Identifier: Apache-2.0 */
#include "alloc_fail.h"

#include <stdatomic.h>
#include <stdint.h>

void *__real_etcd__malloc(size_t size);
void *__real_etcd__calloc(size_t count, size_t size);
void *__real_etcd__realloc(void *ptr, size_t size);
void *__real_etcd__memdup(const void *data, size_t len);
char *__real_etcd__strdup(const char *text);
void __real_etcd__free(void *ptr) __attribute__((weak));

void *__wrap_etcd__malloc(size_t size);
void *__wrap_etcd__calloc(size_t count, size_t size);
void *__wrap_etcd__realloc(void *ptr, size_t size);
void *__wrap_etcd__memdup(const void *data, size_t len);
char *__wrap_etcd__strdup(const char *text);
void __wrap_etcd__free(void *ptr);

static atomic_size_t count, live;
static atomic_size_t first_failure, last_failure; /* 0: none */

static void set_failures(size_t first, size_t last)
{
    atomic_store(&first_failure, first);
    atomic_store(&last_failure, last);
    atomic_store(&count, 0);
}

void alloc_fail_at(size_t n)
{
    set_failures(n, n);
}

void alloc_fail_from(size_t n)
{
    set_failures(n, n == 0 ? 0 : SIZE_MAX);
}

size_t alloc_count(void)
{
    return atomic_load(&count);
}

size_t alloc_live(void)
{
    return __real_etcd__free == NULL ? 0 : atomic_load(&live);
}

size_t alloc_fail_each(void (*scenario)(size_t n, void *user), void *user)
{
    size_t n = 0, asked;

    do {
        alloc_fail_at(++n);
        scenario(n, user);
        asked = alloc_count();
    } while (asked >= n);
    alloc_fail_at(0);
    return asked;
}

static bool must_fail(void)
{
    size_t n = atomic_fetch_add(&count, 1) + 1;

    return n >= atomic_load(&first_failure) && n <= atomic_load(&last_failure);
}

static void *counted(void *ptr)
{
    if (ptr != NULL)
        atomic_fetch_add(&live, 1);
    return ptr;
}

void *__wrap_etcd__malloc(size_t size)
{
    return must_fail() ? NULL : counted(__real_etcd__malloc(size));
}

void *__wrap_etcd__calloc(size_t items, size_t size)
{
    return must_fail() ? NULL : counted(__real_etcd__calloc(items, size));
}

void *__wrap_etcd__realloc(void *ptr, size_t size)
{
    void *moved = must_fail() ? NULL : __real_etcd__realloc(ptr, size);

    return ptr == NULL ? counted(moved) : moved;
}

void *__wrap_etcd__memdup(const void *data, size_t len)
{
    return must_fail() ? NULL : counted(__real_etcd__memdup(data, len));
}

char *__wrap_etcd__strdup(const char *text)
{
    return must_fail() ? NULL : counted(__real_etcd__strdup(text));
}

void __wrap_etcd__free(void *ptr)
{
    if (ptr != NULL)
        atomic_fetch_sub(&live, 1);
    __real_etcd__free(ptr);
}
