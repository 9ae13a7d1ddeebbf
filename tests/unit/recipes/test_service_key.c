/* SPDX-License-Identifier: Apache-2.0 */
#include "recipes/service_key.h"

#include "base/mem.h"
#include "support/alloc_fail.h"
#include "support/test.h"

static void names(void **state)
{
    static const struct {
        const char *name;
        const char *message; /* NULL: fine */
    } cases[] = {
        {"web", NULL},
        {"web-2.example:8080", NULL},
        {"ünïcode", NULL},
        {"", "service is empty"},
        {NULL, "service is NULL"},
        {"a/b", "service \"a/b\" contains '/'"},
        {"a\n/", "service \"a\\x0A/\" contains '/'"},
    };

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(cases); i++) {
        etcd_error err;
        etcd_status st = etcd__service_check_name("service", cases[i].name, &err);

        if (cases[i].message == NULL) {
            assert_int_equal(st, ETCD_OK);
            continue;
        }
        assert_int_equal(st, ETCD_E_INVALID_ARGUMENT);
        assert_string_equal(err.message, cases[i].message);
        assert_int_equal(etcd__service_check_name("service", cases[i].name, NULL), ETCD_E_INVALID_ARGUMENT);
    }
}

static void prefixes(void **state)
{
    const char *prefix;
    etcd_error err;

    (void)state;
    assert_int_equal(etcd__service_check_prefix(NULL, &prefix, &err), ETCD_OK);
    assert_string_equal(prefix, "/services/");
    assert_int_equal(etcd__service_check_prefix("apps/", &prefix, &err), ETCD_OK);
    assert_string_equal(prefix, "apps/");
    assert_int_equal(etcd__service_check_prefix("/apps", &prefix, &err), ETCD_E_INVALID_ARGUMENT);
    assert_string_equal(err.message, "prefix \"/apps\" does not end in '/'");
    assert_int_equal(etcd__service_check_prefix("", &prefix, &err), ETCD_E_INVALID_ARGUMENT);
}

static void keys(void **state)
{
    char *key = etcd__service_key("/services/", "web", "1");

    (void)state;
    assert_string_equal(key, "/services/web/1");
    etcd__free(key);
    key = etcd__service_key("p/", "web", "");
    assert_string_equal(key, "p/web/");
    etcd__free(key);
    alloc_fail_at(1);
    assert_null(etcd__service_key("/services/", "web", "1"));
    alloc_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
