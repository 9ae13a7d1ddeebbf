/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock of the real system, for what is outside of the engine; the engine asks its environment (env.h),
 * which in production reads this one.
 */
#ifndef ETCD__BASE_CLOCK_H
#define ETCD__BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds that pass during suspend too and never go back. Any thread. */
int64_t etcd__clock_ms(void);

#endif
