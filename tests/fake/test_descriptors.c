/* SPDX-License-Identifier: Apache-2.0 */
/* No descriptor is left, at each place that needs one: said in words, and over as soon as there are some
 * again. */
#include "support/fake_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LIMIT = 256, HELD_MAX = LIMIT + 1 };

static int held[HELD_MAX];
static size_t held_count;

/* Takes all that is left; may be called again. */
static void exhaust(void)
{
    while (held_count < HELD_MAX) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        if (fd < 0)
            break;
        held[held_count++] = fd;
    }
    assert_in_range(held_count, 1, HELD_MAX - 1);
    assert_int_equal(open("/dev/null", O_RDONLY | O_CLOEXEC), -1);
    assert_int_equal(errno, EMFILE);
}

static void give_back(void)
{
    while (held_count > 0)
        (void)close(held[--held_count]);
}

static int lower_limit(void **state)
{
    struct rlimit limit;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = LIMIT;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    give_back();
    return 0;
}

static void expect_too_many(etcd_status st, etcd_status wanted, const etcd_error *err)
{
    assert_status(st, wanted, err);
    assert_has_text(err->message, "Too many open files");
}

static void test_opening(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = NULL;
    etcd_loop *loop = NULL;
    etcd_error err;

    (void)state;
    exhaust();
    expect_too_many(etcd_client_open(NULL, &client, &err), ETCD_E_IO, &err);
    assert_int_equal(err.sys_errno, EMFILE);
    assert_null(client);
    expect_too_many(etcd_loop_new(ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER), &loop, &err), ETCD_E_IO, &err);
    assert_int_equal(err.sys_errno, EMFILE);
    assert_null(loop);
    give_back();
    client = test_client_open(fake_etcd_endpoint(fake), NULL);
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

/* Some are there, but not enough. None of them is lost. */
static void test_opening_with_a_few(void **state)
{
    (void)state;
    exhaust();
    for (size_t left = 1; left <= 8; left++) {
        etcd_client *client = NULL;
        etcd_error err;
        size_t before;

        (void)close(held[--held_count]);
        before = fake_count_fds();
        if (etcd_client_open(NULL, &client, &err) != ETCD_OK)
            expect_too_many(err.status, ETCD_E_IO, &err);
        etcd_client_free(client);
        assert_int_equal(fake_count_fds(), before);
    }
}

static void test_connecting(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    etcd_error err;

    (void)state;
    exhaust();
    expect_too_many(fake_put(client, 300, &err), ETCD_E_UNAVAILABLE, &err);
    assert_int_equal(err.flags, ETCD_ERROR_RETRYABLE);
    give_back();
    assert_status(fake_put(client, 10000, &err), ETCD_OK, &err);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_reconnecting(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    int64_t give_up_ms = test_deadline_ms(20000);
    etcd_metrics metrics = ETCD_METRICS_INIT;
    etcd_error err;

    (void)state;
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    fake_etcd_listen(fake, false);
    fake_etcd_cut(fake);
    /* Until the client knows: a write on the old connection would be in doubt. */
    while (etcd_client_metrics(client, &metrics, &err) == ETCD_OK && metrics.losses == 0) {
        assert_true(test_now_ms() < give_up_ms);
        test_pump(client, 5);
    }
    /* An attempt that is refused just now has a descriptor, and leaves it behind: taken in the next round. */
    do {
        assert_true(test_now_ms() < give_up_ms);
        exhaust();
        assert_status(fake_put(client, 300, &err), ETCD_E_UNAVAILABLE, &err);
        assert_int_equal(err.flags & ETCD_ERROR_MAYBE_APPLIED, 0);
    } while (strstr(err.message, "Too many open files") == NULL);
    give_back();
    fake_etcd_listen(fake, true);
    assert_status(fake_put(client, 10000, &err), ETCD_OK, &err);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_reading_a_password(void **state)
{
    struct temp_dir dir;
    char path[96];
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client;
    int fd;
    etcd_error err;

    (void)state;
    assert_true(temp_dir_make(&dir, 4096));
    (void)snprintf(path, sizeof(path), "%s/password", dir.path);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "secret", 6), 6);
    (void)close(fd);
    fake_etcd_set_auth(fake, "alice", "secret");
    client = test_client_open(fake_etcd_endpoint(fake),
                              ETCD_CLIENT_OPTS(.username = "alice", .password = ETCD_SECRET_FILE(path)));
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    fake_etcd_expire_tokens(fake);
    exhaust();
    expect_too_many(fake_put(client, 5000, &err), ETCD_E_IO, &err);
    assert_has_text(err.message, path);
    give_back();
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    etcd_client_free(client);
    temp_dir_remove(&dir);
    fake_etcd_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_opening, tear_down),
        cmocka_unit_test_teardown(test_opening_with_a_few, tear_down),
        cmocka_unit_test_teardown(test_connecting, tear_down),
        cmocka_unit_test_teardown(test_reconnecting, tear_down),
        cmocka_unit_test_teardown(test_reading_a_password, tear_down),
    };

    return cmocka_run_group_tests(tests, lower_limit, NULL);
}
