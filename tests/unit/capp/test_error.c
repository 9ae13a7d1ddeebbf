/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "capp/fail.h"

#include <errno.h>

static void every_status_has_name_and_text(void **state)
{
    (void)state;
    for (int i = CAPP_OK; i <= CAPP_E_INTERNAL; i++) {
        const char *name = capp_status_name((capp_status)i);

        assert_int_equal(strncmp(name, i == 0 ? "CAPP_OK" : "CAPP_E_", 7), 0);
        assert_string_not_equal(name, "CAPP_E_UNKNOWN");
        assert_true(strlen(capp_status_text((capp_status)i)) > 0);
    }
    assert_string_equal(capp_status_name((capp_status)999), "CAPP_E_UNKNOWN");
    assert_string_equal(capp_status_text((capp_status)-1), "unknown status");
}

static void numbers_are_frozen(void **state)
{
    (void)state;
    assert_int_equal(CAPP_E_INVALID_ARGUMENT, 1);
    assert_int_equal(CAPP_E_TIMEOUT, 7);
    assert_int_equal(CAPP_E_INTERNAL, 15);
    assert_int_equal(sizeof(capp_error), 512);
}

static void fail_fills_everything(void **state)
{
    capp_error error;

    (void)state;
    memset(&error, 0xa5, sizeof(error));
    assert_int_equal(capp_fail(&error, CAPP_E_DENIED, "no %s for %d", "way", 7), CAPP_E_DENIED);
    assert_int_equal(error.status, CAPP_E_DENIED);
    assert_string_equal(error.message, "no way for 7");
    assert_int_equal(error.flags, 0);
    assert_int_equal(error.sys_errno, 0);
    assert_int_equal(error.external_code, 0);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(error.reserved[i], 0);
    assert_int_equal(capp_fail(NULL, CAPP_E_IO, "nobody reads this"), CAPP_E_IO);
}

static void fail_may_quote_its_own_message(void **state)
{
    capp_error error;

    (void)state;
    capp_fail(&error, CAPP_E_IO, "inner");
    capp_fail(&error, CAPP_E_EXTERNAL, "outer: %s", error.message);
    assert_string_equal(error.message, "outer: inner");
}

static void long_messages_are_cut_between_characters(void **state)
{
    char text[2 * CAPP_ERROR_MESSAGE_SIZE];
    capp_error error;

    (void)state;
    for (size_t i = 0; i + 1 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 2); /* é */
    text[sizeof(text) - 2] = '\0';
    capp_fail(&error, CAPP_E_IO, "%s", text);
    assert_int_equal(strlen(error.message), CAPP_ERROR_MESSAGE_SIZE - 2);
    capp_fail(&error, CAPP_E_IO, "x%s", text);
    assert_int_equal(strlen(error.message), CAPP_ERROR_MESSAGE_SIZE - 1);
}

static void prefix_keeps_the_rest(void **state)
{
    capp_error error;

    (void)state;
    capp_fail(&error, CAPP_E_AUTH, "refused");
    error.flags = CAPP_ERROR_FROM_SERVER;
    error.external_code = 9;
    capp_error_prefix(&error, "client %s", "a");
    assert_string_equal(error.message, "client a: refused");
    assert_int_equal(error.status, CAPP_E_AUTH);
    assert_int_equal(error.flags, CAPP_ERROR_FROM_SERVER);
    assert_int_equal(error.external_code, 9);
    capp_error_prefix(NULL, "nothing");
    for (int i = 0; i < 100; i++)
        capp_error_prefix(&error, "again and again");
    assert_int_equal(strlen(error.message), CAPP_ERROR_MESSAGE_SIZE - 1);
}

static void system_errors_say_why(void **state)
{
    capp_error error;

    (void)state;
    assert_int_equal(capp__fail_sys(&error, ENOENT, "cannot open x"), CAPP_E_IO);
    assert_int_equal(error.sys_errno, ENOENT);
    assert_has(error.message, "cannot open x: No such file");
    assert_int_equal(capp__fail_sys(NULL, ENOENT, "x"), CAPP_E_IO);
}

static void settle_makes_an_error_presentable(void **state)
{
    capp_error error = {0};

    (void)state;
    capp__error_settle(&error, CAPP_E_CLOSED);
    assert_int_equal(error.status, CAPP_E_CLOSED);
    assert_string_equal(error.message, "closed");
    memset(error.message, 'x', sizeof(error.message));
    capp__error_settle(&error, CAPP_E_IO);
    assert_int_equal(strlen(error.message), CAPP_ERROR_MESSAGE_SIZE - 1);
}

struct import_v1 {
    size_t size;
    int64_t a;
};

struct import_v2 {
    size_t size;
    int64_t a, b;
};

static void import_accepts_both_directions(void **state)
{
    struct import_v1 old_src = {.size = sizeof(old_src), .a = 1}, old_dst = {0};
    struct import_v2 new_src = {.size = sizeof(new_src), .a = 2}, new_dst = {.b = 9};
    capp_error error;

    (void)state;
    assert_int_equal(capp__import(&new_dst, sizeof(new_dst), &old_src, "x", &error), CAPP_OK);
    assert_int_equal(new_dst.size, sizeof(new_dst));
    assert_int_equal(new_dst.a, 1);
    assert_int_equal(new_dst.b, 9); /* the default */
    assert_int_equal(capp__import(&old_dst, sizeof(old_dst), &new_src, "x", &error), CAPP_OK);
    assert_int_equal(old_dst.a, 2);

    new_src.b = 1;
    assert_int_equal(capp__import(&old_dst, sizeof(old_dst), &new_src, "x", &error), CAPP_E_INVALID_ARGUMENT);
    assert_has(error.message, "x sets byte 16");
    new_src.size = 3;
    assert_int_equal(capp__import(&old_dst, sizeof(old_dst), &new_src, "x", &error), CAPP_E_INVALID_ARGUMENT);
    assert_has(error.message, "x.size is 3");
    assert_int_equal(capp__import(&old_dst, sizeof(old_dst), NULL, "x", &error), CAPP_E_INVALID_ARGUMENT);
    assert_string_equal(error.message, "x is NULL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_name_and_text),
        cmocka_unit_test(numbers_are_frozen),
        cmocka_unit_test(fail_fills_everything),
        cmocka_unit_test(fail_may_quote_its_own_message),
        cmocka_unit_test(long_messages_are_cut_between_characters),
        cmocka_unit_test(prefix_keeps_the_rest),
        cmocka_unit_test(system_errors_say_why),
        cmocka_unit_test(settle_makes_an_error_presentable),
        cmocka_unit_test(import_accepts_both_directions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
