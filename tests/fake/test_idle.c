/* SPDX-License-Identifier: Apache-2.0 */
/* A client that has nothing to do does nothing: its thread sleeps, its descriptor stays quiet. */
#include "support/fake_client.h"

#include "support/matrix.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { IDLE_MS = 2000, SETTLE_MS = 1500, MAX_THREADS = 64 };

static size_t list_threads(long *ids)
{
    DIR *dir = opendir("/proc/self/task");
    size_t count = 0;

    assert_non_null(dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL && count < MAX_THREADS;
         entry = readdir(dir)) {
        if (entry->d_name[0] != '.')
            ids[count++] = strtol(entry->d_name, NULL, 10);
    }
    (void)closedir(dir);
    return count;
}

/* The thread that is there now and was not before. */
static long new_thread(const long *before, size_t count)
{
    long now[MAX_THREADS];
    size_t now_count = list_threads(now);

    for (size_t i = 0; i < now_count; i++) {
        size_t j = 0;

        while (j < count && before[j] != now[i])
            j++;
        if (j == count)
            return now[i];
    }
    fail_msg("there is no new thread");
    return 0;
}

static unsigned long long status_field(long thread, const char *name, int base)
{
    char path[64], line[256];
    unsigned long long value = 0;
    bool found = false;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%ld/status", thread);
    file = fopen(path, "re");
    assert_non_null(file);
    while (!found && fgets(line, sizeof(line), file) != NULL) {
        found = strncmp(line, name, strlen(name)) == 0;
        if (found)
            value = strtoull(line + strlen(name), NULL, base);
    }
    (void)fclose(file);
    assert_true(found);
    return value;
}

static void test_the_thread_sleeps(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    long threads[MAX_THREADS];
    size_t count = list_threads(threads);
    etcd_client *client;
    unsigned long long before;
    long thread;
    etcd_error err;

    (void)state;
    client = test_client_open(fake_etcd_endpoint(fake), NULL);
    thread = new_thread(threads, count);
    assert_status(fake_put(client, 500, &err), ETCD_OK, &err);
    assert_status(fake_get(client, 500, &err), ETCD_OK, &err);
    test_pump(client, SETTLE_MS);
    before = status_field(thread, "voluntary_ctxt_switches:", 10);
    test_pump(client, IDLE_MS);
    assert_int_equal(status_field(thread, "voluntary_ctxt_switches:", 10), before);
    assert_int_equal(fake_etcd_open_connections(fake), 1);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_the_thread_takes_no_signals(void **state)
{
    long threads[MAX_THREADS];
    size_t count = list_threads(threads);
    etcd_client *client;
    unsigned long long blocked;

    (void)state;
    client = test_client_open("127.0.0.1:1", NULL);
    blocked = status_field(new_thread(threads, count), "SigBlk:", 16);
    for (int signal_number = SIGHUP; signal_number < SIGSYS; signal_number++) {
        if (signal_number != SIGKILL && signal_number != SIGSTOP)
            assert_true((blocked >> (signal_number - 1) & 1) != 0);
    }
    etcd_client_free(client);
}

static void test_the_descriptor_is_quiet(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_loop *loop = NULL;
    etcd_client *client;
    etcd_error err;
    struct pollfd entry;
    int64_t until_ms;

    (void)state;
    assert_status(etcd_loop_new(ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER), &loop, &err), ETCD_OK, &err);
    client = test_client_open(fake_etcd_endpoint(fake), ETCD_CLIENT_OPTS(.loop = loop));
    assert_status(fake_put(client, 500, &err), ETCD_OK, &err);
    until_ms = test_now_ms() + SETTLE_MS;
    while (test_now_ms() < until_ms)
        assert_status(etcd_loop_wait(loop, 50, &err), ETCD_OK, &err);
    entry = (struct pollfd){.fd = etcd_loop_fd(loop), .events = POLLIN};
    assert_int_equal(poll(&entry, 1, IDLE_MS), 0);
    etcd_client_free(client);
    etcd_loop_free(loop);
    fake_etcd_free(fake);
}

/* Under caller drive a client belongs to one thread. */
static const char *const need_threads[] = {
    "test_the_thread_sleeps",
    "test_the_thread_takes_no_signals",
    NULL,
};

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_thread_sleeps),
        cmocka_unit_test(test_the_thread_takes_no_signals),
        cmocka_unit_test(test_the_descriptor_is_quiet),
    };

    return test_run_group(tests, sizeof(tests) / sizeof(tests[0]), need_threads, NULL, NULL);
}
