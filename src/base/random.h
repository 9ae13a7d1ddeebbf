/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chance of the real system, for what is outside of the engine; the engine asks its environment (env.h),
 * which in production asks this.
 */
#ifndef ETCD__BASE_RANDOM_H
#define ETCD__BASE_RANDOM_H

#include <stddef.h>

/* Fills buf with bytes that nobody can guess, or at least nobody else chooses too. Any thread. */
void etcd__random_bytes(void *buf, size_t len);

#endif
