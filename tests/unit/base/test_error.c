/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include "base/mem.h"
#include "base/str.h"
#include "support/test.h"

static void every_status_has_name_and_text(void **state)
{
    (void)state;
    assert_string_equal(etcd_status_name(ETCD_OK), "ETCD_OK");
    assert_string_equal(etcd_status_name(ETCD_E_DEADLINE), "ETCD_E_DEADLINE");
    for (int status = ETCD_OK; status <= ETCD_E_INTERNAL; status++) {
        assert_non_null(etcd_status_name((etcd_status)status));
        assert_true(*etcd_status_text((etcd_status)status) != '\0');
    }
    assert_string_equal(etcd_status_name((etcd_status)(ETCD_E_INTERNAL + 1)), "ETCD_E_UNKNOWN");
    assert_string_equal(etcd_status_text((etcd_status)-1), "unknown status");
}

static void fail_fills_the_record(void **state)
{
    etcd_error err;

    (void)state;
    memset(&err, 0xff, sizeof(err));
    assert_int_equal(etcd__fail(&err, ETCD_E_BUSY, "%d of %d", 3, 4), ETCD_E_BUSY);
    assert_int_equal(err.status, ETCD_E_BUSY);
    assert_int_equal(err.grpc_code, -1);
    assert_int_equal(err.flags, 0);
    assert_int_equal(err.sys_errno, 0);
    assert_true(err.revision == 0);
    assert_string_equal(err.message, "3 of 4");
    assert_int_equal(etcd__fail(NULL, ETCD_E_BUSY, "nobody listens"), ETCD_E_BUSY);
    assert_int_equal(etcd__fail_memory(&err), ETCD_E_NO_MEMORY);
    assert_int_equal(err.status, ETCD_E_NO_MEMORY);
    assert_string_equal(err.message, "out of memory");
    assert_int_equal(etcd__fail_memory(NULL), ETCD_E_NO_MEMORY);
}

static void messages_are_clean_and_cut(void **state)
{
    etcd_error err;
    char text[2000];

    (void)state;
    etcd__fail(&err, ETCD_E_IO, "%s", "bad \x1b[2J\xff byte");
    assert_string_equal(err.message, "bad \\x1B[2J\\xFF byte");
    memset(text, 'x', sizeof(text));
    memset(text + ETCD_ERROR_MESSAGE_SIZE - 3, '\xe2', 1);
    memset(text + ETCD_ERROR_MESSAGE_SIZE - 2, '\x82', 1);
    memset(text + ETCD_ERROR_MESSAGE_SIZE - 1, '\xac', 1);
    text[sizeof(text) - 1] = '\0';
    etcd__fail(&err, ETCD_E_IO, "%s", text);
    assert_int_equal(strlen(err.message), ETCD_ERROR_MESSAGE_SIZE - 3);
    assert_true(etcd__utf8_valid(err.message, strlen(err.message)));
}

static void arguments_may_lie_in_the_record(void **state)
{
    etcd_error err;

    (void)state;
    etcd__fail(&err, ETCD_E_IO, "inner");
    etcd__fail(&err, ETCD_E_UNAVAILABLE, "outer: %s", err.message);
    assert_string_equal(err.message, "outer: inner");
}

static void prefix_goes_in_front(void **state)
{
    etcd_error err;

    (void)state;
    etcd__fail(&err, ETCD_E_IO, "cause");
    err.sys_errno = 5;
    etcd__error_prefix(&err, "%s %d", "client", 1);
    assert_string_equal(err.message, "client 1: cause");
    assert_int_equal(err.sys_errno, 5);
    for (int i = 0; i < 100; i++)
        etcd__error_prefix(&err, "a long prefix, again and again");
    assert_int_equal(strlen(err.message), ETCD_ERROR_MESSAGE_SIZE - 1);
    assert_memory_equal(err.message, "a long prefix", 13);
    etcd__error_prefix(NULL, "nobody");
}

static void copy_accepts_null(void **state)
{
    etcd_error from, to = {.status = ETCD_OK};

    (void)state;
    etcd__fail(&from, ETCD_E_AUTH, "no");
    etcd__error_copy(NULL, &from);
    etcd__error_copy(&to, NULL);
    assert_int_equal(to.status, ETCD_OK);
    etcd__error_copy(&to, &from);
    etcd__error_copy(&to, &to);
    assert_memory_equal(&to, &from, sizeof(to));
}

struct opts_v1 {
    size_t size;
    int64_t first;
};

struct opts_v2 {
    size_t size;
    int64_t first;
    int64_t second;
};

static void options_of_every_age(void **state)
{
    struct opts_v2 new = {sizeof(new), 1, 2}, dst2 = {sizeof(dst2), 10, 20};
    struct opts_v1 old = {sizeof(old), 3}, dst1 = {sizeof(dst1), 10};
    etcd_error err;

    (void)state;
    assert_int_equal(etcd__opts_import(&dst2, sizeof(dst2), NULL, "put", &err), ETCD_OK);
    assert_true(dst2.first == 10 && dst2.second == 20);
    assert_int_equal(etcd__opts_import(&dst2, sizeof(dst2), &old, "put", &err), ETCD_OK);
    assert_true(dst2.size == sizeof(dst2) && dst2.first == 3 && dst2.second == 20);
    assert_int_equal(etcd__opts_import(&dst2, sizeof(dst2), &new, "put", &err), ETCD_OK);
    assert_true(dst2.first == 1 && dst2.second == 2);

    assert_int_equal(etcd__opts_import(&dst1, sizeof(dst1), &new, "put", &err), ETCD_E_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "put options use a field this library does not know"));
    assert_true(dst1.first == 10);
    new.second = 0;
    assert_int_equal(etcd__opts_import(&dst1, sizeof(dst1), &new, "put", &err), ETCD_OK);
    assert_true(dst1.size == sizeof(dst1) && dst1.first == 1);
}

static void options_nobody_initialised(void **state)
{
    static const size_t sizes[] = {0, 1, sizeof(size_t) - 1, SIZE_MAX, (size_t)1 << 40};
    struct opts_v1 dst = {sizeof(dst), 10};
    etcd_error err;

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(sizes); i++) {
        struct opts_v1 src = {sizes[i], 5};

        assert_int_equal(etcd__opts_import(&dst, sizeof(dst), &src, "put", &err), ETCD_E_INVALID_ARGUMENT);
        assert_string_equal(err.message, "put options were not initialised");
        assert_true(dst.first == 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_name_and_text), cmocka_unit_test(fail_fills_the_record),
        cmocka_unit_test(messages_are_clean_and_cut),     cmocka_unit_test(arguments_may_lie_in_the_record),
        cmocka_unit_test(prefix_goes_in_front),           cmocka_unit_test(copy_accepts_null),
        cmocka_unit_test(options_of_every_age),           cmocka_unit_test(options_nobody_initialised),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
