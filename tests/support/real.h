/* SPDX-License-Identifier: Apache-2.0 */
/* A client of a real server, driven as this run of the test wants it; and waiting that drives it meanwhile.
 */
#ifndef ETCDC_TESTS_REAL_H
#define ETCDC_TESTS_REAL_H

#include "support/etcd_server.h"
#include "support/matrix.h"
#include "support/process.h"

#include <etcdc.h>

/* Zeroed memory is a closed one. Under caller drive it belongs to one thread at a time. */
struct real {
    etcd_loop *loop; /* NULL under thread drive */
    etcd_client *client;
};

/* False: reason printed. `endpoints` with commas between. */
bool real_open(struct real *real, const char *endpoints);
/* The same in a namespace. */
bool real_open_in(struct real *real, const char *endpoints, etcd_bytes space);
/* Closes and frees; twice is fine. */
void real_close(struct real *real);

/*
 * Waits until `done` says so, at most `ms` (longer where the build is slower), and drives the client
 * meanwhile. False: it did not come.
 */
bool real_wait(struct real *real, bool (*done)(void *arg), void *arg, int64_t ms);
/* Lets time pass, as a program that has other things to do. */
void real_idle(struct real *real, int64_t ms);

/* How many keys begin with `prefix`, and how many leases there are; -1: not to be had (reason printed). */
int real_keys(struct real *real, const char *prefix);
int real_leases(struct real *real);
/* Waits until there are so many keys with this prefix. */
bool real_wait_keys(struct real *real, const char *prefix, int count, int64_t ms);
/* Prints a failure and says whether it is one: for assert_false(). */
bool real_failed(etcd_status status, const etcd_error *err);

#endif
