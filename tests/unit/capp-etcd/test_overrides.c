/* SPDX-License-Identifier: Apache-2.0 */
/* What the environment says of clients. */
#include "capp/etcd.h"

#include "unit/capp/fixture.h"

#include <unistd.h>

#define BELOW "CAPP_ETCD__CLIENTS__READ_ONLY__"
#define CANARY "c4n4ry-of-the-test"

static const char *const variables[] = {
    BELOW "ENDPOINTS",
    BELOW "USERNAME",
    BELOW "PASSWORD",
    BELOW "PASSWORD__ENV",
    BELOW "PASSWORD__FILE",
    BELOW "ENDPOINT",
    "CAPP_ETCD__CLIENTS__OTHER__ENDPOINTS",
};

static int clear(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        unsetenv(variables[i]);
    return 0;
}

static void clients(capp_etcd_builder *b, void *user)
{
    (void)user;
    capp_etcd_add_client_with(b, "read-only", ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("in-code:1")),
                              CAPP_ETCD_CLIENT(.start = CAPP_ETCD_LAZY));
}

/* Describes the client as it was built, or gives the error. */
static capp_status build(char *text, size_t size, capp_error *reterr)
{
    struct log_text log = {.text = ""};
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;

    capp_use_log_level(builder, CAPP_LOG_TRACE);
    capp_configure(builder, capp_etcd(clients, NULL));
    capp_status status = capp_build(builder, &app, reterr);
    if (status == CAPP_OK) {
        etcd_client_describe(capp_get_named(app, etcd_client, "read-only", NULL), text, size);
        capp_free(app);
        assert_null(strstr(text, CANARY));
    } else {
        assert_null(strstr(reterr->message, CANARY));
    }
    assert_null(strstr(log.text, CANARY));
    return status;
}

static void nothing_is_changed_unless_said(void **state)
{
    char text[1024];
    capp_error error;

    (void)state;
    assert_int_equal(build(text, sizeof(text), &error), CAPP_OK);
    assert_has(text, "endpoints: in-code:1\n");
    assert_has(text, "username: none\n");
}

static void endpoints_are_replaced(void **state)
{
    char text[1024];
    capp_error error;

    (void)state;
    setenv(BELOW "ENDPOINTS", "one:1,https://two:2,[::1]:3", 1);
    assert_int_equal(build(text, sizeof(text), &error), CAPP_OK);
    assert_has(text, "one:1,https://two:2,");
    assert_has(text, "[::1]:3\n");
    assert_null(strstr(text, "in-code"));
}

static void credentials_come_from_each_source(void **state)
{
    char path[] = "/tmp/capp-etcd-test-XXXXXX", text[1024];
    capp_error error;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, CANARY "\n", sizeof(CANARY)), sizeof(CANARY));
    close(fd);
    setenv("TEST_CANARY", CANARY, 1);
    setenv(BELOW "USERNAME", "ann", 1);
    const struct {
        const char *variable, *value;
    } sources[] = {
        {BELOW "PASSWORD", CANARY},
        {BELOW "PASSWORD__ENV", "TEST_CANARY"},
        {BELOW "PASSWORD__FILE", path},
    };
    for (size_t i = 0; i < 3; i++) {
        setenv(sources[i].variable, sources[i].value, 1);
        assert_int_equal(build(text, sizeof(text), &error), CAPP_OK);
        assert_has(text, "username: ann\n");
        assert_has(text, "password: set\n");
        unsetenv(sources[i].variable);
    }
    unlink(path);
    unsetenv("TEST_CANARY");
}

static void what_is_wrong_names_the_variable(void **state)
{
    static const struct {
        const char *variable, *value, *expected;
    } table[] = {
        {BELOW "ENDPOINTS", "", "client 'read-only': " BELOW "ENDPOINTS is empty"},
        {BELOW "ENDPOINTS", "a:1,,b:2",
         "with " BELOW "ENDPOINTS from the environment: client 'read-only': endpoints[1]"},
        {BELOW "ENDPOINTS", "a:1, b:2", "endpoints[1]"},
        {BELOW "ENDPOINTS", "a:port", BELOW "ENDPOINTS"},
        {BELOW "ENDPOINTS", "http://u:" CANARY "@h:1", BELOW "ENDPOINTS"},
        {BELOW "USERNAME", "ann",
         "with " BELOW "USERNAME from the environment: client 'read-only': username"},
        {BELOW "PASSWORD", CANARY, BELOW "PASSWORD from the environment: client 'read-only': password"},
        {BELOW "PASSWORD", "", BELOW "PASSWORD is empty"},
    };
    capp_error error;
    char text[1024];

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        setenv(table[i].variable, table[i].value, 1);
        assert_int_equal(build(text, sizeof(text), &error), CAPP_E_INVALID_ARGUMENT);
        assert_has(error.message, table[i].expected);
        unsetenv(table[i].variable);
    }
    setenv(BELOW "USERNAME", "ann", 1);
    setenv(BELOW "PASSWORD__ENV", "NO_SUCH_VARIABLE", 1);
    assert_int_equal(build(text, sizeof(text), &error), CAPP_E_INVALID_ARGUMENT);
    assert_has(error.message, "NO_SUCH_VARIABLE is not set");
    unsetenv(BELOW "PASSWORD__ENV");
    setenv(BELOW "PASSWORD__FILE", "/nowhere/at/all", 1);
    assert_int_equal(build(text, sizeof(text), &error), CAPP_E_IO);
    assert_has(error.message, "/nowhere/at/all");
    setenv(BELOW "PASSWORD", CANARY, 1);
    assert_int_equal(build(text, sizeof(text), &error), CAPP_E_INVALID_ARGUMENT);
    assert_has(error.message, BELOW "PASSWORD and " BELOW "PASSWORD__FILE are both set");
}

static capp_status stop_at_once(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)user_data;
    (void)reterr;
    capp_stop(capp_worker_app(worker));
    return CAPP_OK;
}

static void what_nobody_reads_is_warned_of(void **state)
{
    struct log_text log = {.text = ""};
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    setenv(BELOW "ENDPOINT", CANARY, 1);
    setenv(BELOW "ENDPOINTS", "a:1", 1);
    setenv("CAPP_ETCD__CLIENTS__OTHER__ENDPOINTS", "a:1", 1);
    capp_configure(builder, capp_etcd(clients, NULL));
    capp_add_worker(builder, "stopper", stop_at_once, NULL);
    assert_int_equal(capp_build(builder, &app, &error), CAPP_OK);
    assert_int_equal(capp_run(app, &error), CAPP_OK);
    capp_free(app);
    assert_has(log.text, "WARN etcd: " BELOW "ENDPOINT is set, but there is no such client or option");
    assert_has(log.text, "WARN etcd: CAPP_ETCD__CLIENTS__OTHER__ENDPOINTS is set");
    assert_null(strstr(log.text, BELOW "ENDPOINTS is set"));
    assert_null(strstr(log.text, CANARY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_is_changed_unless_said, clear),
        cmocka_unit_test_setup_teardown(endpoints_are_replaced, clear, clear),
        cmocka_unit_test_setup_teardown(credentials_come_from_each_source, clear, clear),
        cmocka_unit_test_setup_teardown(what_is_wrong_names_the_variable, clear, clear),
        cmocka_unit_test_setup_teardown(what_nobody_reads_is_warned_of, clear, clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
