/* SPDX-License-Identifier: Apache-2.0 */
/** @file admin.h  The options that calls of administration share: those that need nothing but a time limit.
 */
#ifndef ETCDC_ADMIN_H
#define ETCDC_ADMIN_H

#include <etcdc/client.h>

ETCD_BEGIN_DECLS

/** Options of calls that have none of their own. Zero means default. */
typedef struct etcd_admin_opts {
    size_t size;        /**< sizeof this struct; set by ETCD_ADMIN_OPTS. */
    int64_t timeout_ms; /**< 0: the client's default; ETCD_TIMEOUT_NONE: no limit. */
    bool fail_fast;     /**< Do not wait for a connection. */
    uint8_t pad_[7];    /**< Zero. */
} etcd_admin_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_ADMIN_OPTS_INIT {sizeof(etcd_admin_opts), 0, false, {0}}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_ADMIN_OPTS(.timeout_ms = 2000)`. */
#define ETCD_ADMIN_OPTS(...) (&(const etcd_admin_opts){.size = sizeof(etcd_admin_opts), __VA_ARGS__})
#endif

ETCD_END_DECLS

#endif
