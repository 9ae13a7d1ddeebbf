/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests against the fake server have in common. */
#ifndef TESTS_SUPPORT_FAKE_CLIENT_H
#define TESTS_SUPPORT_FAKE_CLIENT_H

#include "support/client.h"
#include "support/fake_etcd.h"
#include "support/process.h"
#include "support/test.h"

/* Room beside a limit that is promised: as the requirements say, and what slower builds need. */
int64_t fake_slack_ms(void);
/* Fails the test unless the status is this one; `err` belongs to it. */
void assert_status(etcd_status status, etcd_status wanted, const etcd_error *err);
void assert_has_text(const char *text, const char *part);
void assert_lacks_text(const char *text, const char *part);

/* Waits, pumping the client, until the fake has seen so many calls of the method. */
void fake_await_calls(etcd_client *client, struct fake_etcd *fake, const char *method, size_t count);
/* Waits, pumping the client, until the operation is done. */
void fake_await_op(etcd_client *client, etcd_op *op);
/* Waits, pumping the client, until the number is reached. */
void fake_await_count(etcd_client *client, const volatile size_t *number, size_t count);

/* One put of k = v, one get of k; nothing but their status. */
etcd_status fake_put(etcd_client *client, int64_t timeout_ms, etcd_error *err);
etcd_status fake_get(etcd_client *client, int64_t timeout_ms, etcd_error *err);

/* Log lines of a client, in memory. */
struct fake_log {
    char text[1 << 18];
    size_t len, warnings;
};
void fake_log_line(void *user_data, etcd_log_level level, const char *component, const char *message);
/* Call it when nothing logs any more. */
size_t fake_log_count(const struct fake_log *log, const char *part);

/* How many descriptors and threads this process has. */
size_t fake_count_fds(void);
size_t fake_count_threads(void);

#endif
