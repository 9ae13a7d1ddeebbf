/* SPDX-License-Identifier: Apache-2.0 */
/* The combination that this run of a test is for; see tests/CMakeLists.txt. */
#ifndef ETCDC_TESTS_MATRIX_H
#define ETCDC_TESTS_MATRIX_H

#include <stdbool.h>

/* The etcd version, for etcd_server_options; NULL (the newest) when the test is run by hand. */
const char *test_version(void);
/* Whether clients are driven by the caller; by hand: thread drive. */
bool test_caller_drive(void);

#endif
