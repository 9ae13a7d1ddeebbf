/* SPDX-License-Identifier: Apache-2.0 */
/* The module on real servers: injected clients at work, logging in, and secrets that stay secret. */
#include "capp/etcd.h"

#include "support/etcd_server.h"
#include "unit/capp/fixture.h"

#include <unistd.h>

#define CANARY "c4n4ry %s of-the-test"

static struct etcd_server *open_server, *auth_server;

static int start_servers(void **state)
{
    static const struct etcd_server_user users[] = {{"ann", CANARY, "/ann/"}, {NULL, NULL, NULL}};

    (void)state;
    open_server = etcd_server_start(NULL);
    auth_server = etcd_server_start(&(struct etcd_server_options){.auth = true, .users = users});
    return open_server != NULL && auth_server != NULL ? 0 : -1;
}

static int stop_servers(void **state)
{
    (void)state;
    etcd_server_free(open_server);
    etcd_server_free(auth_server);
    return 0;
}

/* One client "ann" with these options, its endpoint filled in. */
struct one {
    const struct etcd_server *server;
    etcd_client_opts opts;
};

static void one_client(capp_etcd_builder *b, void *user)
{
    struct one *one = user;

    one->opts.endpoints = ETCD_LIST(etcd_server_endpoint(one->server, 0));
    assert_int_equal(capp_etcd_add_client(b, "ann", &one->opts), CAPP_OK);
}

static capp_status put_and_get(capp_worker *worker, void *user_data, capp_error *reterr)
{
    etcd_client *client = capp_get_named(capp_worker_app(worker), etcd_client, "ann", reterr);
    etcd_get_result *result = NULL;
    etcd_error err;

    (void)user_data;
    if (etcd_put(client, etcd_cstr("/ann/key"), etcd_cstr("value"), NULL, NULL, &err) != ETCD_OK ||
        etcd_get(client, etcd_cstr("/ann/key"), NULL, &result, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    assert_string_equal(etcd_get_result_kv(result, 0)->value.data, "value");
    etcd_get_result_free(result);
    capp_stop(capp_worker_app(worker));
    return CAPP_OK;
}

/* Runs an application with the one client and the worker above, or without one; its log at TRACE is in `log`.
 */
static capp_status run_one(struct one *one, struct log_text *log, capp_error *reterr)
{
    capp_builder *builder = quiet_builder(log);
    capp_app *app = NULL;

    capp_use_log_level(builder, CAPP_LOG_TRACE);
    capp_configure(builder, capp_etcd(one_client, one));
    capp_add_worker(builder, "worker", put_and_get, NULL);
    capp_status status = capp_build(builder, &app, reterr);
    if (status != CAPP_OK)
        return status;
    status = capp_run(app, reterr);
    capp_free(app);
    return status;
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;

    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

static void an_injected_client_works(void **state)
{
    struct one one = {.server = open_server, .opts = ETCD_CLIENT_OPTS_INIT};
    struct log_text log = {.text = ""};
    capp_error error = {.message = ""};

    (void)state;
    if (run_one(&one, &log, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    assert_has(log.text, "INFO etcd: client 'ann': added, for 127.0.0.1:");
    assert_has(log.text, "INFO etcd: client 'ann': connected to 127.0.0.1:");
    assert_has(log.text, "INFO etcd: client 'ann': closing");
    assert_has(log.text, "INFO etcd: client 'ann': closed");
}

static void the_password_comes_from_each_source_and_shows_nowhere(void **state)
{
    char path[] = "/tmp/capp-etcd-test-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, CANARY "\n", sizeof(CANARY)), sizeof(CANARY));
    close(fd);
    setenv("TEST_CANARY", CANARY, 1);
    const etcd_secret sources[] = {ETCD_SECRET_TEXT(CANARY), ETCD_SECRET_ENV("TEST_CANARY"),
                                   ETCD_SECRET_FILE(path)};
    for (size_t i = 0; i < 3; i++) {
        struct one one = {.server = auth_server, .opts = ETCD_CLIENT_OPTS_INIT};
        struct log_text log = {.text = ""};
        capp_error error = {.message = ""};

        one.opts.username = "ann";
        one.opts.password = sources[i];
        if (run_one(&one, &log, &error) != CAPP_OK)
            fail_msg("source %zu: %s", i, error.message);
        assert_has(log.text, "connected to");
        assert_null(strstr(log.text, "c4n4ry"));
    }
    unlink(path);
    unsetenv("TEST_CANARY");
}

static void a_refused_login_ends_the_start(void **state)
{
    struct one one = {.server = auth_server, .opts = ETCD_CLIENT_OPTS_INIT};
    struct log_text log = {.text = ""};
    capp_error error = {.message = ""};

    (void)state;
    one.opts.username = "ann";
    one.opts.password = ETCD_SECRET_TEXT("c4n4ry, but another");
    assert_int_equal(run_one(&one, &log, &error), CAPP_E_AUTH);
    assert_has(error.message, "start of etcd: ");
    assert_has(error.message, "client 'ann'");
    assert_has(error.message, "user 'ann'");
    assert_null(strstr(error.message, "c4n4ry"));
    assert_null(strstr(log.text, "c4n4ry"));
}

static void credentials_are_tolerated_where_none_are_needed(void **state)
{
    struct one one = {.server = open_server, .opts = ETCD_CLIENT_OPTS_INIT};
    struct log_text log = {.text = ""};
    capp_error error = {.message = ""};

    (void)state;
    one.opts.username = "ann";
    one.opts.password = ETCD_SECRET_TEXT(CANARY);
    if (run_one(&one, &log, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    assert_int_equal(count_of(log.text, "WARN"), 1);
    assert_has(log.text, "WARN etcd: client 'ann' has credentials");
    assert_null(strstr(log.text, "c4n4ry"));
}

static void a_failed_registration_leaves_nothing(void **state)
{
    const char *const endpoints[] = {etcd_server_endpoint(auth_server, 0), NULL};
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;
    capp_etcd_factory *factory = NULL;
    capp_error error;

    (void)state;
    opts.endpoints = endpoints;
    assert_int_equal(capp_etcd_factory_new(NULL, &factory, &error), CAPP_OK);
    /* The loop that all share is made with the first. */
    assert_int_equal(capp_etcd_factory_register(factory, "first", &opts,
                                                CAPP_ETCD_CLIENT(.start = CAPP_ETCD_LAZY), &error),
                     CAPP_OK);
    size_t fds = open_fds();
    opts.username = "ann";
    opts.password = ETCD_SECRET_TEXT("wrong");
    assert_int_equal(capp_etcd_factory_register(factory, "ann", &opts, NULL, &error), CAPP_E_AUTH);
    assert_has(error.message, "client 'ann'");
    assert_has(error.message, "user 'ann'");
    assert_int_equal(error.external_code, ETCD_E_AUTH);
    assert_false(capp_etcd_factory_has(factory, "ann"));
    assert_int_equal(open_fds(), fds);

    opts.password = ETCD_SECRET_TEXT(CANARY);
    assert_int_equal(capp_etcd_factory_register(factory, "ann", &opts, NULL, &error), CAPP_OK);
    assert_true(capp_etcd_factory_has(factory, "ann"));
    capp_etcd_factory_free(factory);
}

static void closing_gives_leases_back(void **state)
{
    const char *const endpoints[] = {etcd_server_endpoint(open_server, 0), NULL};
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;
    capp_etcd_factory *factory = NULL;
    etcd_client *a = NULL, *b = NULL;
    etcd_lock *lock = NULL, *next = NULL;
    capp_error error;
    etcd_error err;

    (void)state;
    opts.endpoints = endpoints;
    assert_int_equal(capp_etcd_factory_new(NULL, &factory, &error), CAPP_OK);
    assert_int_equal(capp_etcd_factory_register(factory, "a", &opts, NULL, &error), CAPP_OK);
    assert_int_equal(capp_etcd_factory_get(factory, "a", &a, &error), CAPP_OK);
    assert_int_equal(etcd_client_open(&opts, &b, &err), ETCD_OK);
    assert_int_equal(etcd_lock_acquire(a, etcd_cstr("/lock"), NULL, &lock, &err), ETCD_OK);
    assert_int_equal(capp_etcd_factory_close(factory, 0, &error), CAPP_OK);
    assert_false(etcd_lock_held(lock));
    assert_int_equal(etcd_lock_acquire(b, etcd_cstr("/lock"), ETCD_LOCK_OPTS(.try_lock = true), &next, &err),
                     ETCD_OK);
    assert_int_equal(etcd_lock_release(next, 0, &err), ETCD_OK);
    assert_int_not_equal(etcd_lock_release(lock, 0, &err), ETCD_OK);
    capp_etcd_factory_free(factory);
    etcd_client_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_injected_client_works),
        cmocka_unit_test(the_password_comes_from_each_source_and_shows_nowhere),
        cmocka_unit_test(a_refused_login_ends_the_start),
        cmocka_unit_test(credentials_are_tolerated_where_none_are_needed),
        cmocka_unit_test(a_failed_registration_leaves_nothing),
        cmocka_unit_test(closing_gives_leases_back),
    };

    return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
