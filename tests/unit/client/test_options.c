/* SPDX-License-Identifier: Apache-2.0 */
/* What a program sees of options is tested in tests/fake/test_options.c; here: secrets, TLS per endpoint, no
 * memory. */
#include "client/options.h"

#include "support/alloc_fail.h"
#include "support/process.h"
#include "support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct etcd__client_config make(const etcd_client_opts *opts)
{
    struct etcd__client_config config = {.name = NULL};
    etcd_error err;

    if (etcd__config_make(opts, &config, &err) != ETCD_OK)
        fail_msg("%s", err.message);
    return config;
}

static void write_file(const char *path, const char *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), (ssize_t)len);
    (void)close(fd);
}

static void test_secrets_from_files(void **state)
{
    static const struct {
        const char *content;
        size_t len;
        const char *secret; /* NULL: refused */
    } cases[] = {
        {"hush", 4, "hush"},     {"hush\n", 5, "hush"},   {"hush\n\n", 6, "hush\n"},
        {"hush\r\n", 6, "hush"}, {" hush ", 6, " hush "}, {"\n", 1, NULL},
        {"", 0, NULL},           {"a\0b", 3, NULL},       {"\xc3\xa4%s", 4, "\xc3\xa4%s"},
    };
    struct temp_dir dir;
    char path[96];

    (void)state;
    assert_true(temp_dir_make(&dir, 4096));
    (void)snprintf(path, sizeof(path), "%s/secret", dir.path);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct etcd__client_config config = {.password_kind = ETCD_SECRET_KIND_FILE};
        struct etcd__secret secret = {0};
        etcd_error err;

        write_file(path, cases[i].content, cases[i].len);
        assert_true(etcd__secret_set(&config.password, path, strlen(path)));
        if (cases[i].secret == NULL) {
            assert_int_equal(etcd__config_password(&config, &secret, &err), ETCD_E_INVALID_ARGUMENT);
            assert_non_null(strstr(err.message, path));
            assert_null(secret.data);
        } else {
            assert_int_equal(etcd__config_password(&config, &secret, &err), ETCD_OK);
            assert_string_equal(secret.data, cases[i].secret);
        }
        etcd__secret_clear(&secret);
        etcd__secret_clear(&config.password);
    }
    temp_dir_remove(&dir);
}

static void test_tls_is_decided_for_each_endpoint(void **state)
{
    const char *const list[] = {"a:1", "http://b:1", "https://c:1", NULL};
    static const bool with[] = {true, false, true}, without[] = {false, false, true};

    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;
        struct etcd__client_config config;

        opts.endpoints = list;
        opts.tls = tls == 1 ? ETCD_TLS_OPTS(.server_name = "x") : NULL;
        config = make(&opts);
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(etcd__config_uses_tls(&config, &config.endpoints.list[i]),
                             tls == 1 ? with[i] : without[i]);
        etcd__config_deinit(&config);
    }
}

static void test_local_endpoints(void **state)
{
    static const struct {
        const char *text;
        bool local;
    } cases[] = {
        {"localhost", true},        {"127.0.0.1:1", true},    {"127.1.2.3", true},
        {"[::1]:1", true},          {"unix:/x", true},        {"192.0.2.1", false},
        {"127.example.com", false}, {"[2001:db8::1]", false}, {"localhost.example", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct etcd__endpoint endpoint = {0};

        assert_int_equal(etcd__endpoint_parse(cases[i].text, &endpoint, NULL), ETCD_OK);
        print_message("%s\n", cases[i].text);
        assert_int_equal(etcd__endpoint_is_local(&endpoint), cases[i].local);
        etcd__endpoint_deinit(&endpoint);
    }
}

static void make_all(size_t n, void *user)
{
    const char *const list[] = {"a:1", "b:2", NULL};
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;
    struct etcd__client_config config = {.name = NULL};
    size_t before = alloc_live();
    etcd_status st;

    (void)n;
    (void)user;
    opts.name = "orders";
    opts.endpoints = list;
    opts.username = "u";
    opts.password = ETCD_SECRET_TEXT("p");
    opts.tls = ETCD_TLS_OPTS(.ca_file = "a", .cert_file = "b", .key_file = "c", .server_name = "d");
    st = etcd__config_make(&opts, &config, NULL);
    assert_true(st == ETCD_OK || st == ETCD_E_NO_MEMORY);
    etcd__config_deinit(&config);
    assert_int_equal(alloc_live(), before);
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(make_all, NULL) > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secrets_from_files),
        cmocka_unit_test(test_tls_is_decided_for_each_endpoint),
        cmocka_unit_test(test_local_endpoints),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
