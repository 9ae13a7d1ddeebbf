/* SPDX-License-Identifier: Apache-2.0 */
/* Clients for tests, driven as this run of the test wants it (matrix.h). */
#ifndef ETCDC_TESTS_CLIENT_H
#define ETCDC_TESTS_CLIENT_H

#include <etcdc.h>

/*
 * Opens a client with these options (NULL: defaults); without endpoints, those given as "a,b,c". Under caller
 * drive on a loop of its own. Fails the test when it cannot.
 */
etcd_client *test_client_open(const char *endpoints, const etcd_client_opts *opts);

/* Sleeps, and under caller drive pumps the client's loop meanwhile. */
void test_pump(etcd_client *client, int64_t ms);

#endif
