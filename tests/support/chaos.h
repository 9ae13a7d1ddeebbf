/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster of three whose members are killed, stopped, cut off from each other and from their clients, one
 * after the other, while two clients - one of each drive - do all that clients do. What they were told
 * meanwhile is compared with the server's whole history. Fails the test where the two differ.
 */
#ifndef TESTS_SUPPORT_CHAOS_H
#define TESTS_SUPPORT_CHAOS_H

#include <stdint.h>

struct chaos_options {
    const char *version; /* of etcd; NULL: the newest */
    int64_t run_ms;      /* how long there are faults; every kind comes once in about 15 s */
    int64_t fault_ms;    /* the longest fault of one member */
    int64_t ttl_s;       /* of the shortest lease */
    uint64_t seed;       /* of the sequence of faults */
};

void chaos_run(const struct chaos_options *options);

/* From the environment's ETCDC_CHAOS_SEED, or another one each time. */
uint64_t chaos_seed(void);

#endif
