/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the n-th allocation of the code under test fail. Link the test with
 *
 *   -Wl,--wrap=etcd__malloc,--wrap=etcd__calloc,--wrap=etcd__realloc,--wrap=etcd__memdup,--wrap=etcd__strdup
 *   -Wl,--wrap=etcd__free
 *
 * Without the last one everything works but alloc_live(). The counters may be
 * used from several threads; set the point of failure while one is running.
 */
#ifndef TESTS_SUPPORT_ALLOC_FAIL_H
#define TESTS_SUPPORT_ALLOC_FAIL_H

#include <stdbool.h>
#include <stddef.h>

/* Lets the n-th allocation from now on fail, once; 1 is the next one, 0 none. Sets alloc_count() to 0. */
void alloc_fail_at(size_t n);
/* Lets every allocation from the n-th on fail. */
void alloc_fail_from(size_t n);
/* How many allocations were asked for since the last alloc_fail_at() or alloc_fail_from(). */
size_t alloc_count(void);
/* How many allocations of the code under test are not freed yet; 0 when etcd__free is not wrapped. */
size_t alloc_live(void);

/*
 * Runs a scenario with its first allocation failing, then the second, and so on
 * until it no longer asks for that many. The scenario must clean up and return; it is
 * told n, and learns by its own means whether it should have succeeded. Returns
 * how many allocations the whole scenario makes.
 */
size_t alloc_fail_each(void (*scenario)(size_t n, void *user), void *user);

#endif
