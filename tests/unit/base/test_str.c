/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include "support/test.h"

static const struct {
    const char *text;
    bool valid;
} utf8_cases[] = {
    {"", true},
    {"plain", true},
    {"\xc3\xa9", true},
    {"\xe2\x82\xac", true},
    {"\xf0\x9f\x98\x80", true},
    {"\xed\x9f\xbf", true},     /* the last before the surrogates */
    {"\xee\x80\x80", true},     /* the first after them */
    {"\xf4\x8f\xbf\xbf", true}, /* U+10FFFF */
    {"\x80", false},
    {"\xc3", false},
    {"\xc3x", false},
    {"\xe2\x82", false},
    {"\xe2\x82x", false},
    {"\xc0\xaf", false}, /* overlong */
    {"\xc1\xbf", false},
    {"\xe0\x9f\xbf", false},
    {"\xf0\x8f\xbf\xbf", false},
    {"\xed\xa0\x80", false}, /* a surrogate */
    {"\xf4\x90\x80\x80", false},
    {"\xf5\x80\x80\x80", false},
    {"\xff", false},
};

static void utf8_valid(void **state)
{
    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(utf8_cases); i++)
        assert_int_equal(etcd__utf8_valid(utf8_cases[i].text, strlen(utf8_cases[i].text)),
                         utf8_cases[i].valid);
}

static void utf8_cut(void **state)
{
    static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
    static const size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};

    (void)state;
    for (size_t max = 0; max < ETCD__COUNT(expected); max++)
        assert_int_equal(etcd__utf8_cut(text, sizeof(text) - 1, max), expected[max]);
    assert_int_equal(etcd__utf8_cut(text, sizeof(text) - 1, 1000), sizeof(text) - 1);
    assert_int_equal(etcd__utf8_cut("\x80\x80\x80\x80\x80\x80", 6, 5), 5); /* not UTF-8: anywhere */
}

static const struct {
    const char *in;
    size_t len, size;
    const char *out;
} escape_cases[] = {
    {"", 0, 1, ""},
    {"", 0, 100, ""},
    {"plain", 5, 100, "plain"},
    {"plain", 5, 6, "plain"},
    {"plain", 5, 5, "p..."},
    {"plain", 5, 4, "..."},
    {"plain", 5, 2, "."},
    {"plain", 5, 1, ""},
    {"a\0b", 3, 100, "a\\x00b"},
    {"\n\t\x7f", 3, 100, "\\x0A\\x09\\x7F"},
    {"\"'\\", 3, 100, "\\x22\\x27\\x5C"},
    {"\xc3\xa9\xff", 3, 100, "\xc3\xa9\\xFF"},
    {"\xc2\x9b", 2, 100, "\\xC2\\x9B"}, /* a control character of two bytes */
    {"\xc2\xa0", 2, 100, "\xc2\xa0"},
    {"ab\xe2\x82\xac", 5, 5, "a..."}, /* the sign does not fit, and is not cut */
    {"\xe2\x82\xac!!!!", 7, 7, "\xe2\x82\xac..."},
    {"abc\n", 4, 7, "abc..."},
};

static void escape(void **state)
{
    char out[100];

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(escape_cases); i++) {
        memset(out, 'X', sizeof(out));
        assert_ptr_equal(etcd__escape(out, escape_cases[i].size, escape_cases[i].in, escape_cases[i].len),
                         out);
        assert_string_equal(out, escape_cases[i].out);
    }
    out[0] = 'X';
    etcd__escape(out, 0, "x", 1);
    assert_int_equal(out[0], 'X');
    etcd__escape_controls(out, sizeof(out), "\"it's\\\"\n", 8);
    assert_string_equal(out, "\"it's\\\"\\x0A");
}

/* Every result for every size is terminated, within bounds and valid UTF-8. */
static void escape_any_bytes_into_any_size(void **state)
{
    char in[64], out[80];
    uint32_t chance = 1;

    (void)state;
    for (size_t round = 0; round < 2000; round++) {
        for (size_t i = 0; i < sizeof(in); i++) {
            chance = chance * 1664525 + 1013904223;
            in[i] = (char)(chance >> 24);
        }
        for (size_t size = 1; size < sizeof(out); size++) {
            memset(out, 'X', sizeof(out));
            etcd__escape(out, size, in, sizeof(in));
            assert_true(strlen(out) < size);
            assert_int_equal(out[size], 'X');
            assert_true(etcd__utf8_valid(out, strlen(out)));
        }
    }
}

static void format_terminates_and_cuts_whole(void **state)
{
    char out[8];

    (void)state;
    assert_int_equal(etcd__format(out, sizeof(out), "%d", 1234567), 7);
    assert_string_equal(out, "1234567");
    assert_int_equal(etcd__format(out, sizeof(out), "%s", "12345\xe2\x82\xac"), 5);
    assert_string_equal(out, "12345");
    assert_int_equal(etcd__format(out, sizeof(out), "%s", "1234\xe2\x82\xac!"), 7);
    assert_string_equal(out, "1234\xe2\x82\xac");
    assert_int_equal(etcd__format(out, 1, "%s", "x"), 0);
    assert_string_equal(out, "");
    assert_int_equal(etcd__format(out, 0, "%s", "x"), 0);
}

static const struct {
    const char *text;
    uint64_t min, max;
    bool ok;
    uint64_t value;
} number_cases[] = {
    {"0", 0, 10, true, 0},
    {"10", 0, 10, true, 10},
    {"11", 0, 10, false, 0},
    {"1", 2, 10, false, 0},
    {"007", 0, 10, true, 7},
    {"", 0, 10, false, 0},
    {" 1", 0, 10, false, 0},
    {"1 ", 0, 10, false, 0},
    {"+1", 0, 10, false, 0},
    {"-1", 0, 10, false, 0},
    {"0x1", 0, 10, false, 0},
    {"18446744073709551615", 0, UINT64_MAX, true, UINT64_MAX},
    {"18446744073709551616", 0, UINT64_MAX, false, 0},
    {"99999999999999999999999", 0, UINT64_MAX, false, 0},
};

static void parse_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(number_cases); i++) {
        uint64_t value = 77;
        bool ok = etcd__parse_u64(number_cases[i].text, strlen(number_cases[i].text), number_cases[i].min,
                                  number_cases[i].max, &value);

        assert_int_equal(ok, number_cases[i].ok);
        assert_true(value == (ok ? number_cases[i].value : 77));
    }
}

static void compare_without_case(void **state)
{
    (void)state;
    assert_true(etcd__equal_nocase("HTTPS", 5, "https"));
    assert_true(etcd__equal_nocase("", 0, ""));
    assert_false(etcd__equal_nocase("http", 4, "https"));
    assert_false(etcd__equal_nocase("https", 5, "http"));
    assert_false(etcd__equal_nocase("a\0c", 3, "a"));
    assert_false(etcd__equal_nocase("@", 1, "`")); /* differ by 0x20 like letters do */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_valid),
        cmocka_unit_test(utf8_cut),
        cmocka_unit_test(escape),
        cmocka_unit_test(escape_any_bytes_into_any_size),
        cmocka_unit_test(format_terminates_and_cuts_whole),
        cmocka_unit_test(parse_numbers),
        cmocka_unit_test(compare_without_case),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
