/* SPDX-License-Identifier: Apache-2.0 */
/* What this program counts, beside what the host and the etcd clients do. */
#ifndef INVENTORY_COUNTERS_H
#define INVENTORY_COUNTERS_H

#include <capp.h>

#include <stdatomic.h>

/* How a request for a change ended. */
typedef enum change_result {
    CHANGE_DONE,
    CHANGE_REPEATED,
    CHANGE_REFUSED,
    CHANGE_FAILED,
    CHANGE_UNKNOWN,
    CHANGE_RESULTS
} change_result;

/* Zeroed memory has counted nothing. */
typedef struct counters {
    atomic_uint_fast64_t changes[CHANGE_RESULTS];
    atomic_uint_fast64_t restocked;
    atomic_bool restocks; /* whether this instance does it now */
} counters;

CAPP_TYPE_DECLARE(counters);

/* Offers the counters for injection, and shows them with all other metrics. They must outlive the
 * application. */
capp_module counters_module(counters *self);

#endif
