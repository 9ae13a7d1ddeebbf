/* SPDX-License-Identifier: Apache-2.0 */
/* The combination that this run of a test is for; see tests/CMakeLists.txt. */
#ifndef ETCDC_TESTS_MATRIX_H
#define ETCDC_TESTS_MATRIX_H

#include "support/test.h"

/* The etcd version, for etcd_server_options; NULL (the newest) when the test is run by hand. */
const char *test_version(void);
/* Whether clients are driven by the caller; by hand: thread drive. */
bool test_caller_drive(void);

/*
 * Runs a group of tests; under caller drive without those that `need_threads` names (NULL-terminated). What
 * a combination cannot have is no test of it: it is neither run nor counted, rather than skipped.
 */
int test_run_group(const struct CMUnitTest *tests, size_t count, const char *const *need_threads,
                   CMFixtureFunction set_up, CMFixtureFunction tear_down);

#endif
