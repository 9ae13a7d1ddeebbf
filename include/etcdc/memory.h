/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file memory.h
 * Where the library's memory comes from.
 */
#ifndef ETCDC_MEMORY_H
#define ETCDC_MEMORY_H

#include <etcdc/error.h>

ETCD_BEGIN_DECLS

/**
 * Memory functions, with the rules of malloc(), realloc() and free(): aligned for any type; NULL when there
 * is none, and then realloc leaves the old block alone. Never asked for 0 bytes; `free_fn` never gets NULL.
 * Called by any thread, several at a time, also while the library holds a lock: must not call the library.
 */
typedef struct etcd_allocator {
    size_t size; /**< sizeof this struct; set by ETCD_ALLOCATOR_INIT. */
    void *(*malloc_fn)(void *user_data, size_t size);
    void *(*realloc_fn)(void *user_data, void *ptr, size_t size);
    void (*free_fn)(void *user_data, void *ptr);
    void *user_data;
} etcd_allocator;

/** Initialises the struct, in C and C++. */
#define ETCD_ALLOCATOR_INIT                            \
    {                                                  \
        sizeof(etcd_allocator), NULL, NULL, NULL, NULL \
    }

/**
 * Takes all memory of the library in this process from these functions: its own, and that of HTTP/2. What
 * OpenSSL and c-ares allocate for themselves stays with them; see CRYPTO_set_mem_functions() and
 * ares_library_init_mem().
 *
 * The one setting of the library that is the process's and not a client's. To be called before anything
 * else of the library, while no other thread is in it, or again after all that was made was freed.
 *
 * @param allocator  NULL: the C library's again. Copied.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK
 * @retval ETCD_E_INVALID_ARGUMENT  A function is missing.
 * @par Threads One, while no other is in the library.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_set_allocator(const etcd_allocator *allocator, etcd_error *reterr);

ETCD_END_DECLS

#endif
