/* SPDX-License-Identifier: Apache-2.0 */
/* Options: defaults, every check with the argument and the value in its message, deep copies, the text that
 * shows them. */
#include "support/fake_client.h"

#include "support/matrix.h"

#include <stdio.h>
#include <stdlib.h>

static const char long_name[] =
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
    "8901234567890123456789012345678901234567890123456789012345678901234567890123456789012345"
    "678901234567890123456789012345678901234567890123456789012345678901234567890123456789";

/* ---- mistakes -------------------------------------------------------------------------------------- */

#define OPTS(...)                                     \
    {                                                 \
        .size = sizeof(etcd_client_opts), __VA_ARGS__ \
    }

struct refusal {
    etcd_client_opts opts;
    etcd_status status;
    const char *part, *value;
};

static void check(const struct refusal *refusal)
{
    etcd_client_opts opts = refusal->opts;
    etcd_client *client = NULL;
    etcd_error err;

    if (opts.name == NULL)
        opts.name = "orders";
    print_message("%s, %s\n", refusal->part, refusal->value);
    assert_status(etcd_client_open(&opts, &client, &err), refusal->status, &err);
    assert_null(client);
    assert_has_text(err.message, refusal->part);
    assert_has_text(err.message, refusal->value);
    assert_int_equal(err.flags, 0);
    if (strcmp(refusal->part, "name") != 0)
        assert_has_text(err.message, "client 'orders'");
    if (strstr(refusal->part, "hush") == NULL)
        assert_lacks_text(err.message, "hush");
    assert_status(etcd_client_open(&opts, &client, NULL), refusal->status, NULL);
}

static void test_every_mistake_is_named(void **state)
{
    static const char *const none[] = {NULL};
    const struct refusal cases[] = {
        {OPTS(.name = ""), ETCD_E_INVALID_ARGUMENT, "name", ""},
        {OPTS(.name = long_name), ETCD_E_INVALID_ARGUMENT, "name", "255"},
        {OPTS(.name = "\xff\xfe"), ETCD_E_INVALID_ARGUMENT, "name", ""},
        {OPTS(.endpoints = none), ETCD_E_INVALID_ARGUMENT, "endpoints", "empty"},
        {OPTS(.endpoints = ETCD_LIST("a:1", "")), ETCD_E_INVALID_ARGUMENT, "endpoints[1]", ""},
        {OPTS(.endpoints = ETCD_LIST("a:0")), ETCD_E_INVALID_ARGUMENT, "endpoints[0]", "a:0"},
        {OPTS(.endpoints = ETCD_LIST("a:65536")), ETCD_E_INVALID_ARGUMENT, "endpoints[0]", "a:65536"},
        {OPTS(.endpoints = ETCD_LIST("a:abc")), ETCD_E_INVALID_ARGUMENT, "endpoints[0]", "a:abc"},
        {OPTS(.endpoints = ETCD_LIST("a b:1")), ETCD_E_INVALID_ARGUMENT, "endpoints[0]", "a b:1"},
        {OPTS(.endpoints = ETCD_LIST("ok:1", "ok:2", "ftp://x")), ETCD_E_INVALID_ARGUMENT, "endpoints[2]",
         "ftp"},
        {OPTS(.endpoints = ETCD_LIST("http://bob:hush@a:1")), ETCD_E_INVALID_ARGUMENT, "endpoints[0]", ""},
        {OPTS(.dial_timeout_ms = -1), ETCD_E_INVALID_ARGUMENT, "dial_timeout_ms", "-1"},
        {OPTS(.timeout_ms = -2), ETCD_E_INVALID_ARGUMENT, "timeout_ms", "-2"},
        {OPTS(.auto_sync_interval_ms = -3), ETCD_E_INVALID_ARGUMENT, "auto_sync_interval_ms", "-3"},
        {OPTS(.keepalive_time_ms = -4), ETCD_E_INVALID_ARGUMENT, "keepalive_time_ms", "-4"},
        {OPTS(.keepalive_time_ms = 9999), ETCD_E_INVALID_ARGUMENT, "keepalive_time_ms", "9999"},
        {OPTS(.keepalive_timeout_ms = -5), ETCD_E_INVALID_ARGUMENT, "keepalive_timeout_ms", "-5"},
        {OPTS(.max_send_bytes = 10, .max_recv_bytes = 9), ETCD_E_INVALID_ARGUMENT, "max_send_bytes is 10",
         "9"},
        {OPTS(.max_send_bytes = (size_t)5 << 30), ETCD_E_INVALID_ARGUMENT, "max_send_bytes", "5368709120"},
        {OPTS(.max_recv_bytes = (size_t)5 << 30), ETCD_E_INVALID_ARGUMENT, "max_recv_bytes", "5368709120"},
        {OPTS(.username = "bob"), ETCD_E_INVALID_ARGUMENT, "username", "password"},
        {OPTS(.password = {"hush", ETCD_SECRET_KIND_TEXT, 0}), ETCD_E_INVALID_ARGUMENT, "password",
         "username"},
        {OPTS(.username = "bob", .password = {"hush", (etcd_secret_kind)9, 0}), ETCD_E_INVALID_ARGUMENT,
         "password", "9"},
        {OPTS(.username = "bob", .password = {NULL, ETCD_SECRET_KIND_TEXT, 0}), ETCD_E_INVALID_ARGUMENT,
         "password", "NULL"},
        {OPTS(.username = "bob", .password = {"", ETCD_SECRET_KIND_TEXT, 0}), ETCD_E_INVALID_ARGUMENT,
         "password", "empty"},
        {OPTS(.username = "bob", .password = {"ETCDC_TEST_UNSET", ETCD_SECRET_KIND_ENV, 0}),
         ETCD_E_INVALID_ARGUMENT, "ETCDC_TEST_UNSET", "not set"},
        {OPTS(.username = "bob", .password = {"ETCDC_TEST_EMPTY", ETCD_SECRET_KIND_ENV, 0}),
         ETCD_E_INVALID_ARGUMENT, "ETCDC_TEST_EMPTY", "empty"},
        {OPTS(.username = "bob", .password = {"/nonexistent/hush", ETCD_SECRET_KIND_FILE, 0}), ETCD_E_IO,
         "/nonexistent/hush", "No such file"},
        {OPTS(.username = "bob", .password = {"/dev/null", ETCD_SECRET_KIND_FILE, 0}),
         ETCD_E_INVALID_ARGUMENT, "/dev/null", "empty"},
        {OPTS(.tls = ETCD_TLS_OPTS(.cert_file = "c.pem")), ETCD_E_INVALID_ARGUMENT, "cert_file", "key_file"},
        {OPTS(.tls = ETCD_TLS_OPTS(.key_file = "k.pem")), ETCD_E_INVALID_ARGUMENT, "key_file", "cert_file"},
        {OPTS(.tls = ETCD_TLS_OPTS(.ca_file = "/nonexistent/ca.pem")), ETCD_E_IO, "/nonexistent/ca.pem", ""},
        {OPTS(.log_level = (etcd_log_level)42), ETCD_E_INVALID_ARGUMENT, "log_level", "42"},
    };

    (void)state;
    assert_int_equal(setenv("ETCDC_TEST_EMPTY", "", 1), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check(&cases[i]);
}

static void test_mistakes_about_endpoints_and_limits(void **state)
{
    const struct refusal cases[] = {
        {OPTS(.max_send_bytes = 10, .max_outstanding_bytes = 9), ETCD_E_INVALID_ARGUMENT,
         "max_outstanding_bytes is 9", "max_send_bytes, which is 10"},
        {OPTS(.max_outstanding_bytes = 1 << 20), ETCD_E_INVALID_ARGUMENT, "max_outstanding_bytes", "2097152"},
        {OPTS(.prefer = (etcd_prefer)3), ETCD_E_INVALID_ARGUMENT, "prefer", "3"},
        {OPTS(.key_namespace = {NULL, 4}), ETCD_E_INVALID_ARGUMENT, "key_namespace", "4 bytes but no data"},
        {OPTS(.discovery_srv = "example.com", .endpoints = ETCD_LIST("a:1")), ETCD_E_INVALID_ARGUMENT,
         "discovery_srv", "endpoints"},
        {OPTS(.discovery_srv = ""), ETCD_E_INVALID_ARGUMENT, "discovery_srv", "''"},
        {OPTS(.discovery_srv = "a..b"), ETCD_E_INVALID_ARGUMENT, "discovery_srv", "'a..b'"},
        {OPTS(.discovery_srv = "exam ple"), ETCD_E_INVALID_ARGUMENT, "discovery_srv", "'exam ple'"},
        {OPTS(.discovery_srv = "https://example.com"), ETCD_E_INVALID_ARGUMENT, "discovery_srv", "https"},
        {OPTS(.discovery_srv = long_name), ETCD_E_INVALID_ARGUMENT, "discovery_srv", "..."},
        {OPTS(.discovery_srv_name = "east"), ETCD_E_INVALID_ARGUMENT, "discovery_srv_name",
         "without discovery_srv"},
        {OPTS(.discovery_srv = "example.com", .discovery_srv_name = "a.b"), ETCD_E_INVALID_ARGUMENT,
         "discovery_srv_name", "'a.b'"},
        {OPTS(.discovery_srv = "example.com", .discovery_srv_name = ""), ETCD_E_INVALID_ARGUMENT,
         "discovery_srv_name", "1 to 46"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check(&cases[i]);
}

static void test_option_structs(void **state)
{
    union {
        etcd_client_opts opts;
        unsigned char bytes[sizeof(etcd_client_opts) + 16];
    } newer;
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;
    etcd_client *client = NULL;
    etcd_error err;

    (void)state;
    opts.size = 0;
    assert_status(etcd_client_open(&opts, &client, &err), ETCD_E_INVALID_ARGUMENT, &err);
    assert_has_text(err.message, "client options were not initialised");
    opts.size = (size_t)-1;
    assert_status(etcd_client_open(&opts, &client, &err), ETCD_E_INVALID_ARGUMENT, &err);
    /* A program built against a newer header: fine as long as it uses nothing new. */
    memset(&newer, 0, sizeof(newer));
    newer.opts.size = sizeof(newer);
    assert_status(etcd_client_open(&newer.opts, &client, &err), ETCD_OK, &err);
    etcd_client_free(client);
    client = NULL;
    newer.bytes[sizeof(etcd_client_opts) + 3] = 1;
    assert_status(etcd_client_open(&newer.opts, &client, &err), ETCD_E_INVALID_ARGUMENT, &err);
    assert_has_text(err.message, "does not know");
    /* And against an older one, whose struct ended after the name. */
    memset(&opts, 0xff, sizeof(opts));
    opts.size = offsetof(etcd_client_opts, endpoints);
    opts.name = "old";
    assert_status(etcd_client_open(&opts, &client, &err), ETCD_OK, &err);
    assert_string_equal(etcd_client_name(client), "old");
    etcd_client_free(client);
    assert_status(etcd_client_open(NULL, NULL, &err), ETCD_E_INVALID_ARGUMENT, &err);
    assert_has_text(err.message, "ret_client is NULL");
    assert_string_equal(etcd_client_name(NULL), "");
    assert_int_equal(etcd_client_timeout_ms(NULL), 0);
    assert_int_equal(etcd_client_describe(NULL, NULL, 0), 0);
    assert_int_equal(etcd_client_endpoints(NULL, NULL, 0), 0);
}

/* ---- what came of them ----------------------------------------------------------------------------- */

static void assert_described(etcd_client *client, const char *wanted)
{
    char text[4096], cut[8];
    size_t len = etcd_client_describe(client, text, sizeof(text));

    assert_int_equal(len, strlen(text));
    assert_string_equal(text, wanted);
    assert_int_equal(etcd_client_describe(client, NULL, 0), strlen(text));
    assert_int_equal(etcd_client_describe(client, cut, sizeof(cut)), len);
    assert_int_equal(strlen(cut), sizeof(cut) - 1);
    assert_memory_equal(cut, text, sizeof(cut) - 1);
}

static void test_defaults(void **state)
{
    etcd_client *client = NULL;
    etcd_error err;

    (void)state;
    assert_status(etcd_client_open(NULL, &client, &err), ETCD_OK, &err);
    assert_described(client, "name: etcd\n"
                             "endpoints: localhost:2379\n"
                             "discovery_srv: none\n"
                             "discovery_srv_name: none\n"
                             "dial_timeout: 5000 ms\n"
                             "timeout: 5000 ms\n"
                             "username: none\n"
                             "password: not set\ntoken: not set\n"
                             "auto_sync_interval: off\n"
                             "max_send: 2097152 bytes\n"
                             "max_recv: 2147483647 bytes\n"
                             "keepalive_time: 10000 ms\n"
                             "keepalive_timeout: 5000 ms\n"
                             "max_outstanding: 100000\n"
                             "warn_watches: 10000\n"
                             "max_outstanding_bytes: 268435456 bytes\n"
                             "prefer: none\n"
                             "require_leader: false\n"
                             "namespace: none\n"
                             "tls: as the endpoint's scheme says\n"
                             "drive: thread\n");
    assert_string_equal(etcd_client_name(client), "etcd");
    assert_int_equal(etcd_client_timeout_ms(client), 5000);
    assert_int_equal(etcd_client_drive(client), ETCD_DRIVE_THREAD);
    etcd_client_free(client);
}

static char *copy(const char *text)
{
    char *result = strdup(text);

    assert_non_null(result);
    return result;
}

/* The options may be overwritten and freed as soon as the client is open. */
static void test_deep_copies(void **state)
{
    char *name = copy("orders"), *a = copy("192.0.2.1:2379"), *b = copy("[2001:db8::1]"),
         *user = copy("alice");
    char *password = copy("hush"), *server = copy("etcd.example"), *space = copy("app/\xff");
    const char *list[] = {a, b, NULL};
    etcd_tls_opts tls = ETCD_TLS_OPTS_INIT;
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;
    etcd_client *client = NULL;
    char text[256];
    etcd_error err;

    (void)state;
    tls.server_name = server;
    tls.insecure_skip_verify = true;
    opts.name = name;
    opts.endpoints = list;
    opts.username = user;
    opts.password = ETCD_SECRET_TEXT(password);
    opts.timeout_ms = ETCD_TIMEOUT_NONE;
    opts.dial_timeout_ms = 1234;
    opts.auto_sync_interval_ms = 60000;
    opts.max_send_bytes = 1000;
    opts.max_recv_bytes = 1000;
    opts.keepalive_time_ms = 20000;
    opts.keepalive_timeout_ms = 1;
    opts.max_outstanding = 7;
    opts.max_outstanding_bytes = 1001;
    opts.prefer = ETCD_PREFER_NEAREST;
    opts.require_leader = true;
    opts.key_namespace = etcd_bytes_of(space, strlen(space));
    opts.tls = &tls;
    assert_status(etcd_client_open(&opts, &client, &err), ETCD_OK, &err);
    memset(&opts, 0xff, sizeof(opts));
    memset(&tls, 0xff, sizeof(tls));
    list[0] = list[1] = NULL;
    free(name);
    free(a);
    free(b);
    free(user);
    free(password);
    free(server);
    free(space);
    assert_described(client, "name: orders\n"
                             "endpoints: 192.0.2.1:2379,[2001:db8::1]:2379\n"
                             "discovery_srv: none\n"
                             "discovery_srv_name: none\n"
                             "dial_timeout: 1234 ms\n"
                             "timeout: none\n"
                             "username: alice\n"
                             "password: set\ntoken: not set\n"
                             "auto_sync_interval: 60000 ms\n"
                             "max_send: 1000 bytes\n"
                             "max_recv: 1000 bytes\n"
                             "keepalive_time: 20000 ms\n"
                             "keepalive_timeout: 1 ms\n"
                             "max_outstanding: 7\n"
                             "warn_watches: 10000\n"
                             "max_outstanding_bytes: 1001 bytes\n"
                             "prefer: nearest\n"
                             "require_leader: true\n"
                             "namespace: app/\\xFF\n"
                             "tls: on\n"
                             "tls.ca_file: none\n"
                             "tls.cert_file: none\n"
                             "tls.key_file: none\n"
                             "tls.server_name: etcd.example\n"
                             "tls.insecure_skip_verify: true\n"
                             "drive: thread\n");
    assert_int_equal(etcd_client_endpoints(client, text, sizeof(text)),
                     strlen("192.0.2.1:2379,[2001:db8::1]:2379"));
    assert_string_equal(text, "192.0.2.1:2379,[2001:db8::1]:2379");
    etcd_client_free(client);
}

static void test_no_credentials_no_login(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), ETCD_CLIENT_OPTS(.username = ""));
    etcd_error err;

    (void)state;
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    assert_int_equal(fake_etcd_calls(fake, "Authenticate"), 0);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

/* ---- options of calls -----------------------------------------------------------------------------------
 */

static void assert_refused(etcd_status st, const etcd_error *err, const char *part)
{
    assert_status(st, ETCD_E_INVALID_ARGUMENT, err);
    assert_has_text(err->message, part);
}

static void test_arguments_of_calls(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    const etcd_bytes k = etcd_cstr("k"), v = etcd_cstr("v"), none = {NULL, 0}, wild = {NULL, 5};
    etcd_put_opts put_opts = ETCD_PUT_OPTS_INIT;
    etcd_error err;

    (void)state;
    assert_refused(etcd_put(NULL, k, v, NULL, NULL, &err), &err, "client is NULL");
    assert_refused(etcd_get(NULL, k, NULL, NULL, &err), &err, "client is NULL");
    assert_refused(etcd_put(client, none, v, NULL, NULL, &err), &err, "put: key is empty");
    assert_refused(etcd_put(client, wild, v, NULL, NULL, &err), &err, "put: key has 5 bytes but no data");
    assert_refused(etcd_put(client, k, wild, NULL, NULL, &err), &err, "put: value has 5 bytes but no data");
    assert_refused(etcd_put(client, k, v, ETCD_PUT_OPTS(.ignore_value = true), NULL, &err), &err,
                   "ignore_value");
    assert_refused(etcd_put(client, k, v, ETCD_PUT_OPTS(.ignore_lease = true, .lease_id = 0x1f), NULL, &err),
                   &err, "lease_id is 1f");
    assert_refused(etcd_put(client, k, v, ETCD_PUT_OPTS(.timeout_ms = -7), NULL, &err), &err,
                   "timeout_ms is -7");
    put_opts.size = 1;
    assert_refused(etcd_put(client, k, v, &put_opts, NULL, &err), &err, "put options were not initialised");
    assert_refused(etcd_get(client, none, NULL, NULL, &err), &err, "get: key is empty");
    assert_refused(etcd_get(client, wild, NULL, NULL, &err), &err, "get: key has 5 bytes");
    assert_refused(etcd_get(client, k, ETCD_GET_OPTS(.range_end = {NULL, 3}), NULL, &err), &err,
                   "range_end has 3 bytes");
    assert_refused(etcd_get(client, k, ETCD_GET_OPTS(.prefix = true, .from_key = true), NULL, &err), &err,
                   "only one of");
    assert_refused(
        etcd_get(client, k, ETCD_GET_OPTS(.prefix = true, .range_end = etcd_cstr("z")), NULL, &err), &err,
        "only one of");
    assert_refused(etcd_get(client, k, ETCD_GET_OPTS(.limit = -1), NULL, &err), &err, "limit is -1");
    assert_refused(etcd_get(client, k, ETCD_GET_OPTS(.revision = -2), NULL, &err), &err, "revision is -2");
    assert_refused(etcd_get(client, k, ETCD_GET_OPTS(.max_create_revision = -3), NULL, &err), &err,
                   "max_create_revision is -3");
    assert_refused(etcd_get(client, k, ETCD_GET_OPTS(.sort_target = (etcd_sort_target)5), NULL, &err), &err,
                   "sort_target is 5");
    assert_refused(etcd_get(client, k, ETCD_GET_OPTS(.sort_order = (etcd_sort_order)3), NULL, &err), &err,
                   "sort_order is 3");
    assert_refused(etcd_delete(client, none, NULL, NULL, &err), &err, "delete: key is empty");
    assert_refused(etcd_delete(client, k, ETCD_DELETE_OPTS(.prefix = true, .from_key = true), NULL, &err),
                   &err, "only one of");
    assert_refused(etcd_compact(client, 0, NULL, &err), &err, "revision is 0");
    assert_refused(etcd_compact(client, -9, NULL, &err), &err, "revision is -9");
    assert_status(etcd_txn_commit(client, NULL, NULL, NULL, &err), ETCD_E_NO_MEMORY, &err);
    assert_refused(etcd_client_sync(client, -1, &err), &err, "timeout_ms is -1");
    /* Nothing was sent, no record of the failure is needed. */
    assert_int_equal(fake_etcd_calls(fake, NULL), 0);
    assert_status(etcd_put(client, none, v, NULL, NULL, NULL), ETCD_E_INVALID_ARGUMENT, NULL);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void commit_refused(etcd_client *client, etcd_txn *txn, const char *part)
{
    etcd_txn_result *result = NULL;
    etcd_error err;

    /* What comes after the first mistake changes nothing. */
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("k"), etcd_cstr("v"), NULL);
    etcd_txn_if(txn, etcd_bytes_of(NULL, 0), ETCD_CMP_VERSION, ETCD_CMP_EQUAL, 0);
    for (int i = 0; i < 2; i++)
        assert_refused(etcd_txn_commit(client, txn, NULL, &result, &err), &err, part);
    assert_null(result);
    etcd_txn_free(txn);
}

static void test_mistakes_in_transactions(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    const etcd_bytes k = etcd_cstr("k"), v = etcd_cstr("v"), none = {NULL, 0}, wild = {NULL, 5};
    etcd_txn *txn, *nested;

    (void)state;
    txn = etcd_txn_new();
    etcd_txn_if(txn, none, ETCD_CMP_VERSION, ETCD_CMP_EQUAL, 0);
    commit_refused(client, txn, "key of a comparison is empty");
    txn = etcd_txn_new();
    etcd_txn_if(txn, k, (etcd_cmp_target)3, ETCD_CMP_EQUAL, 0); /* the value has a function of its own */
    commit_refused(client, txn, "target is 3");
    txn = etcd_txn_new();
    etcd_txn_if(txn, k, ETCD_CMP_VERSION, (etcd_cmp)4, 0);
    commit_refused(client, txn, "cmp is 4");
    txn = etcd_txn_new();
    etcd_txn_if_value(txn, k, ETCD_CMP_EQUAL, wild);
    commit_refused(client, txn, "value has 5 bytes");
    txn = etcd_txn_new();
    etcd_txn_if_range(txn, v);
    commit_refused(client, txn, "without a comparison");
    txn = etcd_txn_new();
    etcd_txn_put(txn, (etcd_txn_branch)2, k, v, NULL);
    commit_refused(client, txn, "branch is 2");
    txn = etcd_txn_new();
    etcd_txn_put(txn, ETCD_TXN_THEN, none, v, NULL);
    commit_refused(client, txn, "key is empty");
    txn = etcd_txn_new();
    etcd_txn_get(txn, ETCD_TXN_ELSE, k, ETCD_GET_OPTS(.limit = -1));
    commit_refused(client, txn, "limit is -1");
    txn = etcd_txn_new();
    etcd_txn_delete(txn, ETCD_TXN_ELSE, none, NULL);
    commit_refused(client, txn, "key is empty");
    nested = etcd_txn_new();
    etcd_txn_delete(nested, ETCD_TXN_THEN, none, NULL);
    txn = etcd_txn_new();
    etcd_txn_nest(txn, ETCD_TXN_THEN, nested);
    commit_refused(client, txn, "key is empty");
    etcd_txn_free(nested);
    assert_int_equal(fake_etcd_calls(fake, NULL), 0);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_mistake_is_named),
        cmocka_unit_test(test_mistakes_about_endpoints_and_limits),
        cmocka_unit_test(test_option_structs),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_deep_copies),
        cmocka_unit_test(test_no_credentials_no_login),
        cmocka_unit_test(test_arguments_of_calls),
        cmocka_unit_test(test_mistakes_in_transactions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
