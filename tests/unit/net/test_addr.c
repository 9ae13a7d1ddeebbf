/* SPDX-License-Identifier: Apache-2.0 */
#include "net/addr.h"

#include "support/test.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/un.h>

static void text_and_back(void **state)
{
    static const char *const rows[][2] = {
        {"127.0.0.1", "127.0.0.1:2379"},
        {"255.255.255.255", "255.255.255.255:2379"},
        {"::1", "[::1]:2379"},
        {"2001:DB8:0::1", "[2001:db8::1]:2379"},
        {"::ffff:1.2.3.4", "[::ffff:1.2.3.4]:2379"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sockaddr_storage addr;
        char text[ETCD__ADDR_TEXT_SIZE];

        assert_true(etcd__addr_parse(rows[i][0], 1, &addr));
        etcd__addr_set_port(&addr, 2379);
        assert_string_equal(etcd__addr_text(text, sizeof(text), &addr), rows[i][1]);
        assert_int_equal(etcd__addr_len(&addr), addr.ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                                                          : sizeof(struct sockaddr_in6));
    }
}

static void other_text_is_no_address(void **state)
{
    static const char *const rows[] = {"",         "localhost", "1.2.3",  "1.2.3.4.5",
                                       "01.2.3.4", "[::1]",     "::1%lo", "1.2.3.4 "};
    struct sockaddr_storage addr = {.ss_family = 77};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_false(etcd__addr_parse(rows[i], 1, &addr));
    assert_int_equal(addr.ss_family, 77);
}

static void unix_paths_have_a_limit(void **state)
{
    struct sockaddr_storage addr;
    char path[256], text[ETCD__ADDR_TEXT_SIZE];

    (void)state;
    memset(path, 'a', sizeof(path));
    path[etcd__addr_unix_max() + 1] = '\0';
    assert_false(etcd__addr_unix(path, &addr));
    assert_false(etcd__addr_unix("", &addr));
    path[etcd__addr_unix_max()] = '\0';
    assert_true(etcd__addr_unix(path, &addr));
    assert_string_equal(etcd__addr_text(text, sizeof(text), &addr), path);
    assert_int_equal(etcd__addr_len(&addr), sizeof(struct sockaddr_un));
}

static void system_errors_have_text(void **state)
{
    char text[128];

    (void)state;
    assert_string_equal(etcd__errno_text(text, sizeof(text), ECONNREFUSED), "Connection refused");
    assert_non_null(strstr(etcd__errno_text(text, sizeof(text), 123456), "123456"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_back),
        cmocka_unit_test(other_text_is_no_address),
        cmocka_unit_test(unix_paths_have_a_limit),
        cmocka_unit_test(system_errors_have_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
