/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of the library. Every allocation of ours and of the libraries that
 * take an allocator (nghttp2) goes through these, so that a test can let the
 * n-th one fail. Out of memory is an ordinary error: callers check.
 */
#ifndef ETCD__BASE_MEM_H
#define ETCD__BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

void *etcd__malloc(size_t size);
void *etcd__calloc(size_t count, size_t size);
void *etcd__realloc(void *ptr, size_t size);
void etcd__free(void *ptr);

/* Where memory comes from; as etcd_allocator. NULL: the C library. Only while nothing is allocated. */
struct etcd__mem_source {
    void *(*malloc_fn)(void *user_data, size_t size);
    void *(*realloc_fn)(void *user_data, void *ptr, size_t size);
    void (*free_fn)(void *user_data, void *ptr);
    void *user_data;
};
void etcd__mem_use(const struct etcd__mem_source *source);

/* Copies `len` bytes and adds a NUL after them; NULL when out of memory. */
void *etcd__memdup(const void *data, size_t len);
char *etcd__strdup(const char *text);

/* Zeroes memory in a way that the compiler may not leave out. */
void etcd__wipe(void *ptr, size_t size);

#define ETCD__NEW(type) ((type *)etcd__calloc(1, sizeof(type)))

/* The object that contains `member` at address `ptr`. */
#define ETCD__CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define ETCD__COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
