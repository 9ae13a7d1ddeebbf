/* SPDX-License-Identifier: Apache-2.0 */
/* Which etcd programs there are: what tests/support/fetch-etcd unpacked, or what ETCD_BIN names. */
#ifndef ETCDC_TESTS_ETCD_BINARY_H
#define ETCDC_TESTS_ETCD_BINARY_H

#include <limits.h>
#include <stdbool.h>

struct etcd_binary {
    char version[32]; /* "3.5.30" */
    int major, minor, patch;
    char etcd[PATH_MAX];
    char etcdctl[PATH_MAX];
};

/*
 * "3.4" is the newest 3.4; "3.5.16" that one or, where it is not there, the next one of its
 * minor; NULL the newest of all. False (reason printed) when there is none.
 */
bool etcd_binary_find(const char *version, struct etcd_binary *ret_binary);
bool etcd_binary_at_least(const struct etcd_binary *binary, int major, int minor, int patch);

#endif
