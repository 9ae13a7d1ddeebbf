/* SPDX-License-Identifier: Apache-2.0 */
#include "capp/config_value.h"

#include "fixture.h"

static void booleans(void **state)
{
    static const char *const yes[] = {"true", "TRUE", "yes", "On", "1"}, *const no[] = {"false", "no", "off",
                                                                                        "0"};
    bool value;

    (void)state;
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        value = false;
        assert_true(capp__read_bool(yes[i], &value) && value);
    }
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        value = true;
        assert_true(capp__read_bool(no[i], &value) && !value);
    }
    assert_false(capp__read_bool("", &value) || capp__read_bool("y", &value) || capp__read_bool("2", &value));
}

static void whole_numbers(void **state)
{
    int64_t value = 7;

    (void)state;
    assert_true(capp__read_int("-9223372036854775808", &value));
    assert_true(value == INT64_MIN);
    assert_true(capp__read_int("9223372036854775807", &value));
    assert_true(value == INT64_MAX);
    assert_true(capp__read_int("0123", &value));
    assert_int_equal(value, 123);
    value = 7;
    assert_false(capp__read_int("9223372036854775808", &value) || capp__read_int("-", &value) ||
                 capp__read_int("", &value) || capp__read_int("1e3", &value) ||
                 capp__read_int(" 1", &value) || capp__read_int("1.0", &value) ||
                 capp__read_int("--1", &value));
    assert_int_equal(value, 7);
}

static void durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"0", 0},          {"0s", 0},          {"250ms", 250},    {"5s", 5000},
        {"1m", 60000},     {"1h30m", 5400000}, {"1.5s", 1500},    {"0.25s", 250},
        {"1.5h", 5400000}, {"2d", 172800000},  {"1s1ms", 1001},   {"1S", 1000},
        {"0.0001s", 0},    {"1.999s", 1999},   {"5s0.5m", 35000}, {"9223372036854775807ms", INT64_MAX},
    };
    static const char *const bad[] = {"",
                                      "5",
                                      "s",
                                      "-5s",
                                      "5 s",
                                      "5sec",
                                      "5s ",
                                      "1.s",
                                      ".5s",
                                      "5us",
                                      "1e3ms",
                                      "0x5s",
                                      "1..5s",
                                      "9223372036854775808ms",
                                      "106751991168d",
                                      "99999999999999999999s"};
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ms = -1;
        if (!capp__read_duration(good[i].text, &ms) || ms != good[i].ms)
            fail_msg("%s: %lld", good[i].text, (long long)ms);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (capp__read_duration(bad[i], &ms))
            fail_msg("'%s' was read as %lld ms", bad[i], (long long)ms);
    }
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"512", 512},
                {"4MiB", 4194304},
                {"4mib", 4194304},
                {"64kB", 64000},
                {"64KiB", 65536},
                {"1GB", 1000000000},
                {"7B", 7},
                {"1GiB", 1073741824},
                {"9223372036854775807", INT64_MAX}};
    static const char *const bad[] = {
        "", "-1", "4 MiB", "4M", "1.5MiB", "MiB", "9223372036854775808", "8589934592GiB", "4MiB1"};
    uint64_t bytes;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        bytes = 1;
        if (!capp__read_size(good[i].text, &bytes) || bytes != good[i].bytes)
            fail_msg("%s: %llu", good[i].text, (unsigned long long)bytes);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (capp__read_size(bad[i], &bytes))
            fail_msg("'%s' was read as %llu", bad[i], (unsigned long long)bytes);
    }
}

static void what_is_shown_reads_back(void **state)
{
    static const int64_t numbers[] = {0,     1,        999,     1000,  1500,     60000,
                                      90000, 86400000, 2097152, 64000, INT64_MAX};
    char text[CAPP__VALUE_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        int64_t ms = -1;
        uint64_t bytes = 1;

        assert_true(capp__read_duration(capp__show_duration(numbers[i], text), &ms));
        assert_true(ms == numbers[i]);
        assert_true(capp__read_size(capp__show_size((uint64_t)numbers[i], text), &bytes));
        assert_true(bytes == (uint64_t)numbers[i]);
    }
    assert_string_equal(capp__show_duration(5000, text), "5s");
    assert_string_equal(capp__show_size(2097152, text), "2MiB");
}

static void distances(void **state)
{
    (void)state;
    assert_int_equal(capp__distance("dial_timeout", "Dial-Timeout"), 0);
    assert_int_equal(capp__distance("endpoint", "endpoints"), 1);
    assert_int_equal(capp__distance("dail", "dial"), 2);
    assert_int_equal(capp__distance("", "abc"), 3);
    assert_int_equal(capp__distance("abc", ""), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(booleans),
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(durations),
        cmocka_unit_test(sizes),
        cmocka_unit_test(what_is_shown_reads_back),
        cmocka_unit_test(distances),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
