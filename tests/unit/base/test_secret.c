/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include "support/alloc_fail.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void set_clear_equal(void **state)
{
    struct etcd__secret a = {0}, b = {0};

    (void)state;
    assert_true(etcd__secret_equal(&a, &b));
    assert_true(etcd__secret_set(&a, "", 0));
    assert_non_null(a.data);
    assert_false(etcd__secret_equal(&a, &b)); /* empty is not none */
    assert_true(etcd__secret_set(&b, "pa\0ss", 5));
    assert_false(etcd__secret_equal(&a, &b));
    assert_true(etcd__secret_set(&a, b.data, b.len));
    assert_true(etcd__secret_equal(&a, &b));
    assert_true(etcd__secret_set(&a, a.data, 2)); /* from itself */
    assert_string_equal(a.data, "pa");
    assert_true(etcd__secret_set(&b, "pb", 2));
    assert_false(etcd__secret_equal(&a, &b));
    etcd__secret_clear(&a);
    etcd__secret_clear(&a);
    etcd__secret_clear(&b);
    assert_null(a.data);
    assert_int_equal(alloc_live(), 0);
}

static void write_file(const char *path, const void *data, size_t len)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static const struct {
    const char *content;
    size_t len;
    const char *secret;
    size_t secret_len;
} file_cases[] = {
    {"", 0, "", 0},         {"\n", 1, "", 0},         {"\r\n", 2, "", 0},
    {"pw", 2, "pw", 2},     {"pw\n", 3, "pw", 2},     {"pw\r\n", 4, "pw", 2},
    {"pw\r", 3, "pw\r", 3}, {"pw\n\n", 4, "pw\n", 3}, {"p\0w", 3, "p\0w", 3},
};

static char directory[] = "/tmp/etcdc-secret-XXXXXX";
static char path[sizeof(directory) + 16];

static int make_directory(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/secret", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static void files(void **state)
{
    struct etcd__secret secret = {0};

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(file_cases); i++) {
        write_file(path, file_cases[i].content, file_cases[i].len);
        assert_int_equal(etcd__secret_read_file(&secret, path), 0);
        assert_int_equal(secret.len, file_cases[i].secret_len);
        assert_memory_equal(secret.data, file_cases[i].secret, secret.len + 1);
    }
    etcd__secret_clear(&secret);
}

static void file_size_is_limited(void **state)
{
    static char big[ETCD__SECRET_MAX + 1];
    struct etcd__secret secret = {0};

    (void)state;
    memset(big, 'x', sizeof(big));
    write_file(path, big, ETCD__SECRET_MAX);
    assert_int_equal(etcd__secret_read_file(&secret, path), 0);
    assert_int_equal(secret.len, ETCD__SECRET_MAX);
    write_file(path, big, sizeof(big));
    assert_int_equal(etcd__secret_read_file(&secret, path), -EFBIG);
    assert_int_equal(secret.len, ETCD__SECRET_MAX); /* a failure changes nothing */
    etcd__secret_clear(&secret);
}

static void files_that_cannot_be_read(void **state)
{
    struct etcd__secret secret = {0};

    (void)state;
    unlink(path);
    assert_int_equal(etcd__secret_read_file(&secret, path), -ENOENT);
    assert_int_equal(etcd__secret_read_file(&secret, directory), -EISDIR);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(etcd__secret_read_file(&secret, path), 0); /* nobody writes: no waiting, empty */
    assert_int_equal(secret.len, 0);
    unlink(path);
    etcd__secret_clear(&secret);
}

static void read_once(size_t n, void *user)
{
    struct etcd__secret secret = {0};
    int ret = etcd__secret_read_file(&secret, user);

    (void)n;
    assert_true(ret == 0 || ret == -ENOMEM);
    assert_int_equal(secret.data != NULL, ret == 0);
    etcd__secret_clear(&secret);
    assert_int_equal(alloc_live(), 0);
}

static void survives_out_of_memory(void **state)
{
    (void)state;
    write_file(path, "pw", 2);
    assert_int_equal(alloc_fail_each(read_once, path), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_clear_equal),        cmocka_unit_test(files),
        cmocka_unit_test(file_size_is_limited),   cmocka_unit_test(files_that_cannot_be_read),
        cmocka_unit_test(survives_out_of_memory),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
