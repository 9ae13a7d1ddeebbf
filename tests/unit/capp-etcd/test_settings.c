/* SPDX-License-Identifier: Apache-2.0 */
/* What the configuration says of clients. */
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
    BELOW "CACERT",
    "CAPP_ETCD__CLIENTS__OTHER__ENDPOINTS",
    "CAPP_ETCD__CLIENTS__OTHER__PASSWORD__ENV",
};

static char file_path[64];

static int clear(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        unsetenv(variables[i]);
    return 0;
}

static void write_file(const char *text)
{
    FILE *file = fopen(file_path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void clients(capp_etcd_builder *b, void *user)
{
    (void)user;
    capp_etcd_add_client_with(b, "read-only", ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("in-code:1")),
                              CAPP_ETCD_CLIENT(.start = CAPP_ETCD_LAZY));
}

/* How a build is made, and what it said. */
struct world {
    capp_builder *builder;
    struct log_text log;
    capp_app *app;
    capp_error error;
    char text[2048]; /* of the client that was asked for */
};

static void begin(struct world *world, capp_etcd_fn *fn)
{
    memset(world, 0, sizeof(*world));
    world->builder = quiet_builder(&world->log);
    capp_use_log_level(world->builder, CAPP_LOG_TRACE);
    capp_configure(world->builder, capp_etcd(fn, NULL));
}

/* Describes the client as it was built, or leaves the error. */
static capp_status end(struct world *world, const char *client)
{
    capp_status status = capp_build(world->builder, &world->app, &world->error);

    if (status == CAPP_OK) {
        etcd_client *found = capp_get_named(world->app, etcd_client, client, &world->error);

        if (found == NULL)
            fail_msg("%s", world->error.message);
        etcd_client_describe(found, world->text, sizeof(world->text));
    }
    capp_free(world->app);
    assert_null(strstr(world->text, CANARY));
    assert_null(strstr(world->log.text, CANARY));
    return status;
}

static void nothing_is_changed_unless_said(void **state)
{
    static struct world world;

    (void)state;
    begin(&world, clients);
    assert_int_equal(end(&world, "read-only"), CAPP_OK);
    assert_has(world.text, "endpoints: in-code:1\n");
    assert_has(world.text, "username: none\n");
}

/* What nobody has set is shown as what it stands for, not as the zero that says so. */
static void the_dump_shows_what_is_in_effect(void **state)
{
    static struct world world;
    static char dump[8192];

    (void)state;
    begin(&world, clients);
    capp_use_config_value(world.builder, "etcd.clients.read-only.auto_sync_interval", "0");
    assert_int_equal(capp_build(world.builder, &world.app, &world.error), CAPP_OK);
    assert_true(capp_config_dump(world.app, dump, sizeof(dump)) < sizeof(dump));
    assert_has(dump, ".endpoints: [\"in-code:1\"]  # code\n");
    assert_has(dump, ".start: lazy  # code\n");
    assert_has(dump, ".dial_timeout: 5s  # default\n");
    assert_has(dump, ".max_call_send_msg_size: 2MiB  # default\n");
    assert_has(dump, ".prefer: none  # default\n");
    assert_has(dump, ".health: down  # default\n");
    assert_null(strstr(dump, ".auto_sync_interval: 0  # default"));
    capp_free(world.app);
}

static void endpoints_are_replaced(void **state)
{
    static struct world world;

    (void)state;
    setenv(BELOW "ENDPOINTS", "one:1, https://two:2,[::1]:3", 1);
    begin(&world, clients);
    assert_int_equal(end(&world, "read-only"), CAPP_OK);
    assert_has(world.text, "one:1,https://two:2,");
    assert_has(world.text, "[::1]:3\n");
    assert_null(strstr(world.text, "in-code"));
}

/* The same client, once from code and once from a file, the environment and the arguments. */
static void a_client_can_come_from_the_configuration(void **state)
{
    static struct world world, coded;
    static char *argv[] = {"program", "--etcd.clients.read-only.max-call-recv-msg-size=8MiB",
                           "--etcd.clients.read-only.start", "lazy"};

    (void)state;
    write_file("etcd:\n"
               "  clients:\n"
               "    read-only:\n"
               "      endpoints: [https://a:1, https://b:2]\n"
               "      Dial-Timeout: 10s\n"
               "      request_timeout: 1500ms\n"
               "      username: ann\n"
               "      password: {file: '/nowhere'}\n"
               "      auto_sync_interval: 30s\n"
               "      max_call_send_msg_size: 4MiB\n"
               "      dial_keep_alive_time: 20s\n"
               "      insecure_skip_tls_verify: true\n"
               "      server_name: etcd.internal\n"
               "      namespace: app/\n");
    setenv(BELOW "PASSWORD", CANARY, 1);
    begin(&world, NULL);
    capp_use_config_file(world.builder, file_path, 0);
    capp_use_config_args(world.builder, 4, argv);
    if (end(&world, "read-only") != CAPP_OK)
        fail_msg("%s", world.error.message);
    assert_has(world.text, "endpoints: https://a:1,https://b:2\n");
    assert_has(world.text, "dial_timeout: 10000 ms\n");
    assert_has(world.text, "timeout: 1500 ms\n");
    assert_has(world.text, "username: ann\npassword: set\n");
    assert_has(world.text, "auto_sync_interval: 30000 ms\n");
    assert_has(world.text, "max_send: 4194304 bytes\nmax_recv: 8388608 bytes\n");
    assert_has(world.text, "keepalive_time: 20000 ms\n");
    assert_has(world.text, "tls.server_name: etcd.internal\ntls.insecure_skip_verify: true\n");
    memset(&coded, 0, sizeof(coded));
    etcd_client *client = NULL;
    assert_int_equal(
        etcd_client_open(ETCD_CLIENT_OPTS(.name = "read-only",
                                          .endpoints = ETCD_LIST("https://a:1", "https://b:2"),
                                          .dial_timeout_ms = 10000, .timeout_ms = 1500, .username = "ann",
                                          .password = ETCD_SECRET_TEXT("x"), .auto_sync_interval_ms = 30000,
                                          .max_send_bytes = 4194304, .max_recv_bytes = 8388608,
                                          .keepalive_time_ms = 20000, .key_namespace = etcd_cstr("app/"),
                                          .tls = ETCD_TLS_OPTS(.server_name = "etcd.internal",
                                                               .insecure_skip_verify = true)),
                         &client, NULL),
        ETCD_OK);
    etcd_client_describe(client, coded.text, sizeof(coded.text));
    assert_string_equal(world.text, coded.text);
    etcd_client_free(client);
}

static void credentials_come_from_each_source(void **state)
{
    static struct world world;
    char path[] = "/tmp/capp-etcd-test-XXXXXX";
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
        begin(&world, clients);
        assert_int_equal(end(&world, "read-only"), CAPP_OK);
        assert_has(world.text, "username: ann\n");
        assert_has(world.text, "password: set\n");
        unsetenv(sources[i].variable);
    }
    unlink(path);
    unsetenv("TEST_CANARY");
}

static void what_is_wrong_has_its_place(void **state)
{
    static const struct {
        const char *variable, *value, *expected;
    } table[] = {
        {BELOW "ENDPOINTS", "a:1,,b:2",
         "environment variable " BELOW "ENDPOINTS: etcd.clients.read-only.endpoints: "
         "item 2 of the list is empty"},
        {BELOW "ENDPOINTS", "a:port",
         "environment variable " BELOW "ENDPOINTS: client 'read-only': endpoints[0]"},
        {BELOW "ENDPOINTS", "http://u:" CANARY "@h:1", "environment variable " BELOW "ENDPOINTS: "},
        {BELOW "USERNAME", "ann", "environment variable " BELOW "USERNAME: client 'read-only': username"},
        {BELOW "PASSWORD", CANARY, "environment variable " BELOW "PASSWORD: client 'read-only': password"},
    };
    static struct world world;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        setenv(table[i].variable, table[i].value, 1);
        begin(&world, clients);
        assert_int_equal(end(&world, "read-only"), CAPP_E_INVALID_ARGUMENT);
        assert_has(world.error.message, table[i].expected);
        assert_null(strstr(world.error.message, CANARY));
        unsetenv(table[i].variable);
    }
    setenv(BELOW "USERNAME", "ann", 1);
    setenv(BELOW "PASSWORD__ENV", "NO_SUCH_VARIABLE", 1);
    begin(&world, clients);
    assert_int_equal(end(&world, "read-only"), CAPP_E_INVALID_ARGUMENT);
    assert_has(world.error.message, "NO_SUCH_VARIABLE is not set");
    unsetenv(BELOW "PASSWORD__ENV");
    setenv(BELOW "PASSWORD__FILE", "/nowhere/at/all", 1);
    begin(&world, clients);
    assert_int_equal(end(&world, "read-only"), CAPP_E_IO);
    assert_has(world.error.message, "/nowhere/at/all");
    setenv(BELOW "PASSWORD", CANARY, 1);
    begin(&world, clients);
    assert_int_equal(end(&world, "read-only"), CAPP_E_INVALID_ARGUMENT);
    assert_has(world.error.message, "another variable is set that says otherwise");
}

static void mistakes_in_a_file_are_found_together(void **state)
{
    static struct world world;

    (void)state;
    write_file("etcd:\n"
               "  clients:\n"
               "    read_only: {dial_timeout: 5, start: later, endpoint: x}\n"
               "    other: {endpoints: [a]}\n"
               "    \"no name\": {endpoints: [a]}\n");
    begin(&world, clients);
    capp_use_config_file(world.builder, file_path, 0);
    assert_int_equal(end(&world, "read-only"), CAPP_E_INVALID_ARGUMENT);
    assert_has(world.log.text, ":3:31: etcd.clients.read-only.dial_timeout: '5' is not a duration");
    assert_has(world.log.text,
               ":3:41: etcd.clients.read-only.start: 'later' is none of: eager, required, lazy");
    assert_has(world.log.text, ":3:58: there is no option 'etcd.clients.read_only.endpoint'; did you mean "
                               "'etcd.clients.read_only.endpoints'?");
    assert_has(world.log.text, ":4:24: 'etcd.clients.other.endpoints' is of a name that is not used here");
    begin(&world, NULL);
    capp_use_config_file(world.builder, file_path, 0);
    assert_int_equal(end(&world, "other"), CAPP_E_INVALID_ARGUMENT);
    assert_has(world.log.text, "no name");
    assert_null(strstr(world.log.text, "etcd.clients.other"));
}

/* Each option of the table, with the value that is written, and what the client says of itself then. */
static const struct {
    const char *key, *value, *described;
} every_option[] = {
    {"endpoints", "[https://a:1, b:2]", "endpoints: https://a:1,b:2\n"},
    {"dial-timeout", "1500ms", "dial_timeout: 1500 ms\n"},
    {"request-timeout", "3s", "\ntimeout: 3000 ms\n"},
    {"token", CANARY, "token: set\n"},
    {"auto-sync-interval", "1m", "auto_sync_interval: 60000 ms\n"},
    {"max-call-send-msg-size", "1MiB", "max_send: 1048576 bytes\n"},
    {"max-call-recv-msg-size", "8MiB", "max_recv: 8388608 bytes\n"},
    {"dial-keep-alive-time", "20s", "keepalive_time: 20000 ms\n"},
    {"dial-keep-alive-timeout", "7s", "keepalive_timeout: 7000 ms\n"},
    {"trusted-ca-file", "/etc/ssl/certs/ca-certificates.crt",
     "tls.ca_file: /etc/ssl/certs/ca-certificates.crt\n"},
    {"server-name", "etcd.internal", "tls.server_name: etcd.internal\n"},
    {"insecure-skip-tls-verify", "true", "tls.insecure_skip_verify: true\n"},
    {"prefer", "nearest", "prefer: nearest\n"},
    {"require-leader", "true", "require_leader: true\n"},
    {"namespace", "app/", "namespace: app/\n"},
};

static bool is_readable(const char *value)
{
    return value[0] != '/' || access(value, R_OK) == 0;
}

/* As Go's files spell them; code alone says the other half. */
static void every_option_can_be_configured(void **state)
{
    static struct world world;
    char text[512];

    (void)state;
    for (size_t i = 0; i < sizeof(every_option) / sizeof(every_option[0]); i++) {
        if (!is_readable(every_option[i].value))
            continue;
        print_message("%s\n", every_option[i].key);
        snprintf(text, sizeof(text), "etcd: {clients: {read-only: {%s: %s}}}\n", every_option[i].key,
                 every_option[i].value);
        write_file(text);
        begin(&world, clients);
        capp_use_config_file(world.builder, file_path, 0);
        if (end(&world, "read-only") != CAPP_OK)
            fail_msg("%s", world.error.message);
        assert_has(world.text, every_option[i].described);
    }
}

/* Those that do not go with endpoints from code, or only in pairs, or are not the client's. */
static void other_options_can_be_configured(void **state)
{
    static struct world world;

    (void)state;
    write_file("etcd: {clients: {a: {discovery-srv: example.com, discovery-srv-name: east, start: lazy}}}\n");
    begin(&world, NULL);
    capp_use_config_file(world.builder, file_path, 0);
    assert_int_equal(end(&world, "a"), CAPP_OK);
    assert_has(world.text, "discovery_srv: example.com\ndiscovery_srv_name: east\n");
    write_file("etcd: {clients: {a: {cert-file: /nowhere/c.pem, key-file: /nowhere/k.pem}}}\n");
    begin(&world, NULL);
    capp_use_config_file(world.builder, file_path, 0);
    assert_int_equal(end(&world, "a"), CAPP_E_IO);
    assert_has(world.error.message, "/nowhere/c.pem");
    write_file("etcd: {clients: {a: {cert-file: /nowhere/c.pem}}}\n");
    begin(&world, NULL);
    capp_use_config_file(world.builder, file_path, 0);
    assert_int_equal(end(&world, "a"), CAPP_E_INVALID_ARGUMENT);
    assert_has(world.error.message, ":1:33: client 'a': tls: cert_file is set without key_file");
}

static void names_of_others_are_led_home(void **state)
{
    static const struct {
        const char *written, *expected;
    } table[] = {
        {"ca-file: x", "'etcd.clients.read_only.ca-file': write trusted_ca_file"},
        {"cacert: x", "'etcd.clients.read_only.cacert': write trusted_ca_file"},
        {"cert: x", "write cert_file"},
        {"key: x", "write key_file"},
        {"secure: {cacert: x}", "'etcd.clients.read_only.secure.cacert': write trusted_ca_file, not below"},
        {"secure: {insecure-transport: true}", "write https:// or http:// in front of the endpoints"},
        {"insecure-transport: true", "write https:// or http:// in front of the endpoints"},
        {"auth: {password: " CANARY "}", "write password, not below auth"},
        {"auth: {password: {env: " CANARY "}}", "auth.password': write password, not below auth"},
        {"keepalive-time: 10s", "write dial_keep_alive_time"},
        {"keepalive-timeout: 10s", "write dial_keep_alive_timeout"},
        {"max-request-bytes: 1", "write max_call_send_msg_size"},
        {"max-recv-bytes: 1", "write max_call_recv_msg_size"},
        {"MaxCallSendMsgSize: 1", "write max_call_send_msg_size"},
        {"DialTimeout: 5s", "did you mean 'etcd.clients.read_only.dial_timeout'?"},
        {"AutoSyncInterval: 5s", "did you mean 'etcd.clients.read_only.auto_sync_interval'?"},
        {"dial_timeout_ms: 5", "did you mean 'etcd.clients.read_only.dial_timeout'?"},
        {"permit-without-stream: true", "pings are sent only while something is open"},
        {"reject-old-cluster: true", "asks etcd_client_server_version()"},
        {"max-unary-retries: 3", "repeated until request_timeout"},
        {"backoff-wait-between: 3s", "repeated until request_timeout"},
        {"backoff-jitter-fraction: 0.1", "repeated until request_timeout"},
        {"key_namespace: a", "write namespace"},
        {"name: a", "the name is the key above"},
    };
    static struct world world;
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        print_message("%s\n", table[i].written);
        snprintf(text, sizeof(text), "etcd: {clients: {read_only: {%s}}}\n", table[i].written);
        write_file(text);
        begin(&world, clients);
        capp_use_config_file(world.builder, file_path, 0);
        assert_int_equal(end(&world, "read-only"), CAPP_E_INVALID_ARGUMENT);
        assert_has(world.error.message, table[i].expected);
        assert_null(strstr(world.error.message, CANARY));
    }
}

/* Wherever the names come from: the environment's are tolerated, with the same words. */
static void names_of_others_in_the_environment(void **state)
{
    static struct world world;

    (void)state;
    setenv(BELOW "CACERT", "x", 1);
    begin(&world, clients);
    assert_int_equal(end(&world, "read-only"), CAPP_OK);
    assert_has(world.log.text, "WARN config: environment variable " BELOW "CACERT: there is no option "
                               "'etcd.clients.read_only.cacert': write trusted_ca_file");
}

static void what_nobody_reads_is_warned_of(void **state)
{
    static struct world world;

    (void)state;
    setenv(BELOW "ENDPOINT", CANARY, 1);
    setenv(BELOW "ENDPOINTS", "a:1", 1);
    setenv("CAPP_ETCD__CLIENTS__OTHER__ENDPOINTS", "a:1", 1);
    setenv("CAPP_ETCD__CLIENTS__OTHER__PASSWORD__ENV", CANARY, 1);
    begin(&world, clients);
    assert_int_equal(end(&world, "read-only"), CAPP_OK);
    assert_has(world.log.text,
               "WARN config: environment variable " BELOW "ENDPOINT: there is no option "
               "'etcd.clients.read_only.endpoint'; did you mean 'etcd.clients.read_only.endpoints'?");
    assert_has(world.log.text, "WARN config: environment variable CAPP_ETCD__CLIENTS__OTHER__ENDPOINTS: "
                               "'etcd.clients.other.endpoints' is of a name that is not used here");
    assert_has(world.log.text, "'etcd.clients.other.password' is of a name that is not used here");
}

static int make_file(void **state)
{
    int fd;

    (void)state;
    snprintf(file_path, sizeof(file_path), "/tmp/capp-etcd-XXXXXX");
    fd = mkstemp(file_path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(file_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_is_changed_unless_said, clear),
        cmocka_unit_test_setup(the_dump_shows_what_is_in_effect, clear),
        cmocka_unit_test_setup_teardown(endpoints_are_replaced, clear, clear),
        cmocka_unit_test_setup_teardown(a_client_can_come_from_the_configuration, clear, clear),
        cmocka_unit_test_setup_teardown(credentials_come_from_each_source, clear, clear),
        cmocka_unit_test_setup_teardown(what_is_wrong_has_its_place, clear, clear),
        cmocka_unit_test_setup_teardown(mistakes_in_a_file_are_found_together, clear, clear),
        cmocka_unit_test_setup_teardown(every_option_can_be_configured, clear, clear),
        cmocka_unit_test_setup_teardown(other_options_can_be_configured, clear, clear),
        cmocka_unit_test_setup_teardown(names_of_others_are_led_home, clear, clear),
        cmocka_unit_test_setup_teardown(names_of_others_in_the_environment, clear, clear),
        cmocka_unit_test_setup_teardown(what_nobody_reads_is_warned_of, clear, clear),
    };

    return cmocka_run_group_tests(tests, make_file, remove_file);
}
