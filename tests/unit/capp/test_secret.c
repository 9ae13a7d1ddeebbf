/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"
#include "capp/options.h"
#include "fixture.h"

#include "support/alloc_fail.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CANARY "c4n4ry-0123"

static char path[] = "/tmp/capp-secret-XXXXXX";

static void write_file(const char *text, size_t len)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static int make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void reads(capp_secret_kind kind, const char *ref, const char *expected)
{
    const capp_secret secret = {.ref = ref, .kind = kind};
    capp_error error = {0};
    char dst[64];
    size_t len = 0;

    assert_int_equal(capp_secret_read(&secret, dst, sizeof(dst), &len, &error), CAPP_OK);
    assert_string_equal(dst, expected);
    assert_int_equal(len, strlen(expected));
    assert_int_equal(capp_secret_read(&secret, dst, strlen(expected) + 1, NULL, NULL), CAPP_OK);
}

static void comes_from_everywhere(void **state)
{
    (void)state;
    reads(CAPP_SECRET_TEXT, "0123", "0123");
    assert_int_equal(setenv("CAPP_TEST_SECRET", " %s ", 1), 0);
    reads(CAPP_SECRET_ENV, "CAPP_TEST_SECRET", " %s ");
    write_file("one\n\n", 5);
    reads(CAPP_SECRET_FILE, path, "one\n");
    write_file("rotated", 7);
    reads(CAPP_SECRET_FILE, path, "rotated");
}

static void refuses(capp_status status, capp_secret_kind kind, const char *ref, size_t size, const char *why)
{
    const capp_secret secret = {.ref = ref, .kind = kind};
    capp_error error = {0};
    char dst[64] = "as it was";
    size_t len = 7;

    assert_int_equal(capp_secret_read(&secret, dst, size, &len, &error), status);
    assert_non_null(strstr(error.message, why));
    assert_null(strstr(error.message, CANARY));
    assert_string_equal(dst, "as it was");
    assert_int_equal(len, 7);
    assert_int_equal(capp_secret_read(&secret, dst, size, NULL, NULL), status);
}

static void says_why_not(void **state)
{
    char dst[8];

    (void)state;
    unsetenv("CAPP_TEST_SECRET");
    refuses(CAPP_E_INVALID_ARGUMENT, CAPP_SECRET_NONE, NULL, 64, "there is none");
    refuses(CAPP_E_INVALID_ARGUMENT, CAPP_SECRET_ENV, NULL, 64, "NULL");
    refuses(CAPP_E_INVALID_ARGUMENT, (capp_secret_kind)9, CANARY, 64, "kind 9");
    refuses(CAPP_E_INVALID_ARGUMENT, CAPP_SECRET_ENV, "CAPP_TEST_SECRET", 64,
            "the environment variable CAPP_TEST_SECRET is not set");
    refuses(CAPP_E_INVALID_ARGUMENT, CAPP_SECRET_TEXT, "", 64, "the text is empty");
    refuses(CAPP_E_INVALID_ARGUMENT, CAPP_SECRET_TEXT, CANARY, strlen(CANARY), "the text has 11 bytes");
    refuses(CAPP_E_IO, CAPP_SECRET_FILE, "/nowhere/at/all", 64, "the file /nowhere/at/all");
    write_file("\n", 1);
    refuses(CAPP_E_INVALID_ARGUMENT, CAPP_SECRET_FILE, path, 64, "is empty");
    assert_int_equal(capp_secret_read(NULL, dst, sizeof(dst), NULL, NULL), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_secret_read(&(capp_secret){"a", CAPP_SECRET_TEXT, 0}, NULL, 1, NULL, NULL),
                     CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_secret_read(&(capp_secret){"a", CAPP_SECRET_TEXT, 0}, dst, 0, NULL, NULL),
                     CAPP_E_INVALID_ARGUMENT);
}

static void a_failed_file_has_its_errno(void **state)
{
    capp_error error = {0};
    char dst[8];

    (void)state;
    assert_int_equal(
        capp_secret_read(&(capp_secret){"/nowhere", CAPP_SECRET_FILE, 0}, dst, sizeof(dst), NULL, &error),
        CAPP_E_IO);
    assert_int_equal(error.sys_errno, ENOENT);
}

static void read_one(size_t n, void *user)
{
    char dst[64] = "";
    capp_status status = capp_secret_read(user, dst, sizeof(dst), NULL, NULL);

    if (alloc_count() >= n)
        assert_int_equal(status, CAPP_E_NO_MEMORY);
    else
        assert_int_equal(status, CAPP_OK);
    assert_string_equal(dst, status == CAPP_OK ? CANARY : "");
    assert_int_equal(alloc_live(), 0);
}

static void survives_any_allocation_that_fails(void **state)
{
    capp_secret text = {CANARY, CAPP_SECRET_TEXT, 0}, file = {path, CAPP_SECRET_FILE, 0};

    (void)state;
    write_file(CANARY, strlen(CANARY));
    assert_true(alloc_fail_each(read_one, &text) >= 1);
    assert_true(alloc_fail_each(read_one, &file) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_from_everywhere),
        cmocka_unit_test(says_why_not),
        cmocka_unit_test(a_failed_file_has_its_errno),
        cmocka_unit_test(survives_any_allocation_that_fails),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
