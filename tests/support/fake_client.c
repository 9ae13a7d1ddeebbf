/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fake_client.h"

#include <dirent.h>
#include <stdio.h>

#ifndef ETCDC_TIME_SCALE
#define ETCDC_TIME_SCALE 1
#endif

enum { PATIENCE_MS = 20000, PAUSE_MS = 5 };

int64_t fake_slack_ms(void)
{
    return INT64_C(250) * ETCDC_TIME_SCALE;
}

void assert_status(etcd_status status, etcd_status wanted, const etcd_error *err)
{
    if (status != wanted)
        fail_msg("%s instead of %s: %s", etcd_status_name(status), etcd_status_name(wanted),
                 status == ETCD_OK || err == NULL ? "" : err->message);
    if (status != ETCD_OK && err != NULL)
        assert_int_equal(err->status, status);
}

void assert_has_text(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in: %s", part, text);
}

void assert_lacks_text(const char *text, const char *part)
{
    if (strstr(text, part) != NULL)
        fail_msg("'%s' is in: %s", part, text);
}

void fake_await_calls(etcd_client *client, struct fake_etcd *fake, const char *method, size_t count)
{
    int64_t until_ms = test_deadline_ms(PATIENCE_MS);

    while (fake_etcd_calls(fake, method) < count) {
        if (test_now_ms() > until_ms)
            fail_msg("%zu of %zu calls of %s came", fake_etcd_calls(fake, method), count, method);
        test_pump(client, PAUSE_MS);
    }
}

void fake_await_op(etcd_client *client, etcd_op *op)
{
    int64_t until_ms = test_deadline_ms(PATIENCE_MS);

    while (!etcd_op_done(op)) {
        assert_true(test_now_ms() < until_ms);
        test_pump(client, PAUSE_MS);
    }
}

void fake_await_count(etcd_client *client, const volatile size_t *number, size_t count)
{
    int64_t until_ms = test_deadline_ms(PATIENCE_MS);

    while (__atomic_load_n(number, __ATOMIC_ACQUIRE) < count) {
        assert_true(test_now_ms() < until_ms);
        test_pump(client, PAUSE_MS);
    }
}

etcd_status fake_put(etcd_client *client, int64_t timeout_ms, etcd_error *err)
{
    return etcd_put(client, etcd_cstr("k"), etcd_cstr("v"), ETCD_PUT_OPTS(.timeout_ms = timeout_ms), NULL,
                    err);
}

etcd_status fake_get(etcd_client *client, int64_t timeout_ms, etcd_error *err)
{
    return etcd_get(client, etcd_cstr("k"), ETCD_GET_OPTS(.timeout_ms = timeout_ms), NULL, err);
}

void fake_log_line(void *user_data, etcd_log_level level, const char *component, const char *message)
{
    struct fake_log *log = user_data;
    int len = snprintf(log->text + log->len, sizeof(log->text) - log->len, "%s: %s\n", component, message);

    if (len > 0 && log->len + (size_t)len < sizeof(log->text))
        log->len += (size_t)len;
    log->warnings += level == ETCD_LOG_WARN ? 1 : 0;
}

size_t fake_log_count(const struct fake_log *log, const char *part)
{
    size_t count = 0;

    for (const char *at = strstr(log->text, part); at != NULL; at = strstr(at + 1, part))
        count++;
    return count;
}

static size_t count_entries(const char *path)
{
    DIR *dir = opendir(path);
    size_t count = 0;

    assert_non_null(dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        count += entry->d_name[0] == '.' ? 0 : 1;
    (void)closedir(dir);
    return count;
}

size_t fake_count_fds(void)
{
    return count_entries("/proc/self/fd") - 1; /* that of the listing itself */
}

size_t fake_count_threads(void)
{
    return count_entries("/proc/self/task");
}
