/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/status.h"

#include "base/mem.h"
#include "base/str.h"
#include "h2/h2.h"
#include "support/test.h"

static void codes_have_names(void **state)
{
    (void)state;
    assert_string_equal(etcd__grpc_code_name(ETCD__GRPC_OK), "OK");
    assert_string_equal(etcd__grpc_code_name(ETCD__GRPC_DEADLINE_EXCEEDED), "DEADLINE_EXCEEDED");
    assert_string_equal(etcd__grpc_code_name(ETCD__GRPC_UNAUTHENTICATED), "UNAUTHENTICATED");
    assert_string_equal(etcd__grpc_code_name((enum etcd__grpc_code)17), "UNKNOWN");
    for (int code = 0; code <= 16; code++)
        assert_non_null(etcd__grpc_code_name((enum etcd__grpc_code)code));
}

static void http_status_gives_a_code(void **state)
{
    static const struct {
        int http;
        enum etcd__grpc_code code;
    } rows[] = {
        {200, ETCD__GRPC_UNKNOWN},           {0, ETCD__GRPC_UNKNOWN},
        {302, ETCD__GRPC_UNKNOWN},           {500, ETCD__GRPC_UNKNOWN},
        {400, ETCD__GRPC_INTERNAL},          {401, ETCD__GRPC_UNAUTHENTICATED},
        {403, ETCD__GRPC_PERMISSION_DENIED}, {404, ETCD__GRPC_UNIMPLEMENTED},
        {429, ETCD__GRPC_UNAVAILABLE},       {502, ETCD__GRPC_UNAVAILABLE},
        {503, ETCD__GRPC_UNAVAILABLE},       {504, ETCD__GRPC_UNAVAILABLE},
    };

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(rows); i++)
        assert_int_equal(etcd__grpc_code_of_http(rows[i].http), rows[i].code);
}

static void h2_error_gives_a_code(void **state)
{
    static const struct {
        uint32_t error;
        enum etcd__grpc_code code;
    } rows[] = {
        {0, ETCD__GRPC_INTERNAL},
        {1, ETCD__GRPC_INTERNAL},
        {2, ETCD__GRPC_INTERNAL},
        {7, ETCD__GRPC_UNAVAILABLE},
        {8, ETCD__GRPC_CANCELLED},
        {3, ETCD__GRPC_RESOURCE_EXHAUSTED},
        {11, ETCD__GRPC_RESOURCE_EXHAUSTED},
        {12, ETCD__GRPC_PERMISSION_DENIED},
        {99, ETCD__GRPC_INTERNAL},
    };

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(rows); i++)
        assert_int_equal(etcd__grpc_code_of_h2(rows[i].error), rows[i].code);
}

static void messages_are_decoded(void **state)
{
    static const struct {
        const char *text, *decoded;
        size_t size;
    } rows[] = {
        {"", "", 100},
        {"plain text", "plain text", 100},
        {"etcdserver: mvcc%3A required", "etcdserver: mvcc: required", 100},
        {"100%25", "100%", 100},
        {"%e2%82%ac and %E2%82%AC", "\xe2\x82\xac and \xe2\x82\xac", 100},
        {"50% of", "50% of", 100},
        {"%", "%", 100},
        {"%4", "%4", 100},
        {"%4x%zz", "%4x%zz", 100},
        {"%41%", "A%", 100},
        {"a%00b", "a?b", 100},
        {"%ff%fe", "??", 100},
        {"%e2%82", "??", 100},
        {"x%e2%82y", "x??y", 100},
        {"%c0%80", "??", 100},
        {"\xe2\x82\xac raw", "\xe2\x82\xac raw", 100},
        {"\x80 raw", "? raw", 100},
        {"abcdef", "abc", 4},
        {"ab%e2%82%ac", "ab", 5},
        {"abc", "abc", 4},
        {"abc", "", 1},
    };

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(rows); i++) {
        char dst[100];

        memset(dst, '#', sizeof dst);
        assert_ptr_equal(etcd__grpc_message_decode(dst, rows[i].size, rows[i].text, strlen(rows[i].text)),
                         dst);
        assert_string_equal(dst, rows[i].decoded);
        if (rows[i].size < sizeof dst)
            assert_int_equal(dst[rows[i].size], '#');
    }
}

/* Whatever comes, a message is valid UTF-8 without NUL, at every size of the buffer. */
static void messages_are_valid_text(void **state)
{
    static const char text[] = "a%00\xff%e2%82%ac\xe2\x82\xac%f0%9f%98%80%%%1%c3%28\xf0\x9f";
    char dst[sizeof text + 1];

    (void)state;
    for (size_t size = 1; size <= sizeof dst; size++) {
        for (size_t len = 0; len < sizeof text; len++) {
            etcd__grpc_message_decode(dst, size, text, len);
            assert_true(strlen(dst) < size);
            assert_true(etcd__utf8_valid(dst, strlen(dst)));
        }
    }
}

static void timeouts_have_eight_digits(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {INT64_MIN, "100m"},
        {-1, "100m"},
        {0, "100m"},
        {1, "100m"},
        {100, "100m"},
        {101, "200m"},
        {4999, "5000m"},
        {5000, "5000m"},
        {99999900, "99999900m"},
        {99999901, "100000S"},
        {99999999000, "99999999S"},
        {99999999001, "27778H"},
        {INT64_MAX - 1, "99999999H"},
    };

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(rows); i++) {
        char text[16];

        assert_int_equal(etcd__grpc_timeout_format(text, rows[i].ms), strlen(rows[i].text));
        assert_string_equal(text, rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_have_names),        cmocka_unit_test(http_status_gives_a_code),
        cmocka_unit_test(h2_error_gives_a_code),   cmocka_unit_test(messages_are_decoded),
        cmocka_unit_test(messages_are_valid_text), cmocka_unit_test(timeouts_have_eight_digits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
