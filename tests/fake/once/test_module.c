/* SPDX-License-Identifier: Apache-2.0 */
/* The module, seen from the server: what reaches it, and what it sees of the end. */
#include "capp/etcd.h"

#include "support/fake_client.h"
#include "unit/capp/fixture.h"

#include <signal.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, PASSES = 30, BIG = 100000, CALLS = 20 };

/* The thread of a loop ends a moment after the last client of it has been closed. */
static void assert_nothing_left(size_t fds, size_t threads)
{
    int64_t deadline_ms = test_deadline_ms(PATIENCE_MS);

    while ((open_fds() != fds || fake_count_threads() != threads) && test_poll_again(deadline_ms))
        continue;
    assert_int_equal(fake_count_threads(), threads);
    assert_int_equal(open_fds(), fds);
}

static void assert_end_seen(struct fake_etcd *fake)
{
    int64_t deadline_ms = test_deadline_ms(PATIENCE_MS);

    while (fake_etcd_open_connections(fake) > 0 && test_poll_again(deadline_ms))
        continue;
    assert_int_equal(fake_etcd_open_connections(fake), 0);
}

static capp_app *build(capp_builder *builder)
{
    capp_app *app = NULL;
    capp_error error;

    if (capp_build(builder, &app, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    return app;
}

/* ---- builds that fail --------------------------------------------------------------------------------- */

static void good_and_bad(capp_etcd_builder *b, void *fake)
{
    const char *const list[] = {fake_etcd_endpoint(fake), NULL};

    capp_etcd_add_client(b, "good", ETCD_CLIENT_OPTS(.endpoints = list));
    capp_etcd_add_client(b, "one", ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("a:port")));
    capp_etcd_add_client(b, "two", ETCD_CLIENT_OPTS(.endpoints = list, .dial_timeout_ms = -5));
    capp_etcd_add_client(b, "three", ETCD_CLIENT_OPTS(.endpoints = list, .username = "admin"));
}

static void twice(capp_etcd_builder *b, void *fake)
{
    const char *const list[] = {fake_etcd_endpoint(fake), NULL};

    assert_int_equal(capp_etcd_add_client(b, "config", ETCD_CLIENT_OPTS(.endpoints = list)), CAPP_OK);
    assert_int_equal(capp_etcd_add_client(b, "config", ETCD_CLIENT_OPTS(.endpoints = list)),
                     CAPP_E_DUPLICATE);
}

static void a_failing_build_connects_nothing_and_leaves_nothing(void **state)
{
    static const struct {
        capp_etcd_fn *clients;
        const char *parts[4];
    } rows[] = {
        {good_and_bad,
         {"client 'one': endpoints[0]", "client 'two': dial_timeout_ms", "client 'three': username", ""}},
        {twice, {"client 'config' is added twice", "", "", ""}},
    };
    struct fake_etcd *fake = fake_etcd_start();
    size_t fds = open_fds(), threads = fake_count_threads();

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        capp_builder *builder = quiet_builder(NULL);
        capp_app *app = NULL;
        capp_error error;

        capp_configure(builder, capp_etcd(rows[i].clients, fake));
        assert_int_not_equal(capp_build(builder, &app, &error), CAPP_OK);
        assert_null(app);
        for (size_t part = 0; part < 4; part++)
            assert_has(error.message, rows[i].parts[part]);
        assert_nothing_left(fds, threads);
    }
    assert_int_equal(fake_etcd_connections(fake), 0);
    fake_etcd_free(fake);
}

/* ---- three clients ------------------------------------------------------------------------------------ */

typedef struct trio {
    etcd_client *etcd, *config, *discovery;
} trio;
CAPP_TYPE_DEFINE(trio);

static const capp_inject trio_deps[] = {
    CAPP_INJECT(trio, etcd, etcd_client),
    CAPP_INJECT_NAMED(trio, config, etcd_client, "config"),
    CAPP_INJECT_NAMED(trio, discovery, etcd_client, "discovery"),
};
static const capp_service trio_def = CAPP_SERVICE(trio, CAPP_INJECTS(trio_deps));
static const char *const trio_names[] = {"default", "config", "discovery"};

/* Each has a server of its own; `user` is the first of three. */
static void add_trio(capp_etcd_builder *b, void *user)
{
    struct fake_etcd **fakes = user;

    for (size_t i = 0; i < 3; i++) {
        const char *const list[] = {fake_etcd_endpoint(fakes[i]), NULL};

        assert_int_equal(capp_etcd_add_client(b, trio_names[i], ETCD_CLIENT_OPTS(.endpoints = list)),
                         CAPP_OK);
    }
}

/* Where the log tells that a client is being closed. */
static const char *closing_of(const struct log_text *log, const char *name)
{
    char line[64];
    const char *at;

    (void)snprintf(line, sizeof(line), "INFO etcd: client '%s': closing\n", name);
    at = strstr(log->text, line);
    assert_non_null(at);
    return at;
}

static void each_field_has_its_client(void **state)
{
    struct fake_etcd *fakes[3] = {fake_etcd_start(), fake_etcd_start(), fake_etcd_start()};
    struct log_text log = {.text = ""};
    capp_builder *builder = quiet_builder(&log);
    etcd_error err;

    (void)state;
    capp_use_log_level(builder, CAPP_LOG_DEBUG);
    capp_configure(builder, capp_etcd(add_trio, fakes));
    capp_add_service(builder, &trio_def);
    capp_app *app = build(builder);
    trio *service = capp_get(app, trio, NULL);
    etcd_client *const clients[] = {service->etcd, service->config, service->discovery};
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(etcd_client_name(clients[i]), trio_names[i]);
        assert_ptr_equal(clients[i], capp_get_named(app, etcd_client, trio_names[i], NULL));
        assert_status(fake_put(clients[i], PATIENCE_MS, &err), ETCD_OK, &err);
        for (size_t other = 0; other < 3; other++)
            assert_int_equal(fake_etcd_done(fakes[other], "Put"), other <= i);
    }
    capp_free(app);
    assert_true(closing_of(&log, "discovery") < closing_of(&log, "config"));
    assert_true(closing_of(&log, "config") < closing_of(&log, "default"));
    for (size_t i = 0; i < 3; i++) {
        assert_end_seen(fakes[i]);
        fake_etcd_free(fakes[i]);
    }
}

static void the_first_of_a_name_goes_on(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    const char *const list[] = {fake_etcd_endpoint(fake), NULL};
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;
    capp_etcd_factory *factory = NULL;
    etcd_client *client = NULL;
    capp_error error;
    etcd_error err;

    (void)state;
    opts.endpoints = list;
    assert_int_equal(capp_etcd_factory_new(NULL, &factory, &error), CAPP_OK);
    assert_int_equal(capp_etcd_factory_register(factory, "one", &opts, NULL, &error), CAPP_OK);
    assert_int_equal(capp_etcd_factory_get(factory, "one", &client, &error), CAPP_OK);
    assert_int_equal(capp_etcd_factory_register(factory, "One", &opts, NULL, &error), CAPP_E_DUPLICATE);
    assert_status(fake_put(client, PATIENCE_MS, &err), ETCD_OK, &err);
    assert_int_equal(fake_etcd_connections(fake), 1);
    capp_etcd_factory_free(factory);
    fake_etcd_free(fake);
}

/* ---- running ------------------------------------------------------------------------------------------ */

struct one {
    struct fake_etcd *fake;
    const char *username, *password;
    etcd_status put; /* of the worker */
};

static void add_one(capp_etcd_builder *b, void *user)
{
    const struct one *one = user;
    const char *const list[] = {fake_etcd_endpoint(one->fake), NULL};
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;

    opts.endpoints = list;
    opts.username = one->username;
    if (one->password != NULL)
        opts.password = ETCD_SECRET_TEXT(one->password);
    assert_int_equal(capp_etcd_add_client(b, "default", &opts), CAPP_OK);
}

/* Uses the client, and has the application ended as an operator would. */
static capp_status use_and_signal(capp_worker *worker, void *user_data, capp_error *reterr)
{
    struct one *one = user_data;

    one->put = fake_put(capp_get(capp_worker_app(worker), etcd_client, reterr), PATIENCE_MS, NULL);
    (void)kill(getpid(), SIGTERM);
    while (capp_worker_wait(worker, INT64_MAX))
        continue;
    return CAPP_OK;
}

/* Whatever is asked of a client of an application that has ended. */
static void assert_all_closed(etcd_client *client)
{
    const etcd_bytes key = etcd_cstr("k");
    etcd_registration *registration = NULL;
    etcd_keepalive *keepalive = NULL;
    etcd_services *services = NULL;
    etcd_watch *watch = NULL;
    etcd_lock *lock = NULL;
    etcd_view *view = NULL;

    assert_status(fake_put(client, 0, NULL), ETCD_E_CLOSED, NULL);
    assert_status(fake_get(client, 0, NULL), ETCD_E_CLOSED, NULL);
    assert_status(etcd_lease_grant(client, 60, NULL, NULL, NULL), ETCD_E_CLOSED, NULL);
    assert_status(etcd_lease_revoke(client, 1, NULL, NULL), ETCD_E_CLOSED, NULL);
    assert_status(etcd_lease_time_to_live(client, 1, NULL, NULL, NULL), ETCD_E_CLOSED, NULL);
    assert_status(etcd_lease_list(client, NULL, NULL, NULL), ETCD_E_CLOSED, NULL);
    assert_status(etcd_keepalive_start(client, (etcd_lease){.id = 1, .ttl_s = 60}, NULL, &keepalive, NULL),
                  ETCD_E_CLOSED, NULL);
    assert_status(etcd_watch_open(client, key, NULL, &watch, NULL), ETCD_E_CLOSED, NULL);
    assert_status(etcd_lock_acquire(client, key, NULL, &lock, NULL), ETCD_E_CLOSED, NULL);
    assert_status(etcd_register(client, "web", "1", "x", NULL, &registration, NULL), ETCD_E_CLOSED, NULL);
    assert_status(etcd_discover(client, "web", NULL, &services, NULL), ETCD_E_CLOSED, NULL);
    assert_status(etcd_view_open(client, key, NULL, &view, NULL), ETCD_E_CLOSED, NULL);
    assert_status(etcd_client_release_leases(client, 0, NULL), ETCD_E_CLOSED, NULL);
    assert_status(etcd_client_close(client, NULL), ETCD_OK, NULL);
}

static void a_signal_ends_every_connection(void **state)
{
    struct one one = {.fake = fake_etcd_start(), .put = ETCD_E_INTERNAL};
    size_t fds = open_fds(), threads = fake_count_threads();
    struct log_text log = {.text = ""};
    capp_builder *builder = quiet_builder(&log);
    capp_error error;

    (void)state;
    capp_use_signals(builder, CAPP_SIGNALS_STOP);
    capp_configure(builder, capp_etcd(add_one, &one));
    capp_add_worker(builder, "worker", use_and_signal, &one);
    capp_app *app = build(builder);
    if (capp_run(app, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    assert_status(one.put, ETCD_OK, NULL);
    assert_int_equal(fake_etcd_connections(one.fake), 1);
    assert_end_seen(one.fake); /* before anything is freed */
    assert_has(log.text, "INFO app: stopping (SIGTERM)\n");
    assert_has(log.text, "client 'default': closed");
    assert_has(log.text, "INFO app: stopped\n");
    assert_all_closed(capp_get(app, etcd_client, &error));
    capp_free(app);
    assert_nothing_left(fds, threads);
    fake_etcd_free(one.fake);
}

static void an_application_that_never_ran_ends_its_connections(void **state)
{
    struct one one = {.fake = fake_etcd_start()};
    size_t fds = open_fds(), threads = fake_count_threads();
    capp_builder *builder = quiet_builder(NULL);
    etcd_error err;

    (void)state;
    capp_configure(builder, capp_etcd(add_one, &one));
    capp_app *app = build(builder);
    assert_int_equal(fake_etcd_connections(one.fake), 0); /* a build connects nothing */
    assert_status(fake_put(capp_get(app, etcd_client, NULL), PATIENCE_MS, &err), ETCD_OK, &err);
    assert_int_equal(fake_etcd_open_connections(one.fake), 1);
    capp_free(app);
    assert_end_seen(one.fake);
    assert_nothing_left(fds, threads);
    fake_etcd_free(one.fake);
}

static void a_wrong_password_is_tried_once(void **state)
{
    struct one one = {.fake = fake_etcd_start(), .username = "ann", .password = "wrong"};
    capp_builder *builder = quiet_builder(NULL);
    capp_error error;

    (void)state;
    fake_etcd_set_auth(one.fake, "ann", "right");
    capp_configure(builder, capp_etcd(add_one, &one));
    capp_app *app = build(builder);
    assert_int_equal(capp_run(app, &error), CAPP_E_AUTH);
    assert_has(error.message, "client 'default'");
    assert_has(error.message, "user 'ann'");
    assert_int_equal(fake_etcd_calls(one.fake, "Authenticate"), 1);
    capp_free(app);
    fake_etcd_free(one.fake);
}

/* ---- signals ------------------------------------------------------------------------------------------ */

/* Writes into connections that the server has given up, with a SIGPIPE that would end the process. */
static void a_connection_that_breaks_kills_nobody(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    static char value[BIG];
    struct sigaction action;
    sigset_t blocked;
    etcd_error err;

    (void)state;
    assert_int_equal(sigaction(SIGPIPE, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
    assert_int_equal(sigismember(&blocked, SIGPIPE), 0);
    memset(value, 'v', sizeof(value));
    for (int pass = 0; pass < PASSES; pass++) {
        etcd_op *ops[CALLS];

        for (int i = 0; i < CALLS; i++)
            assert_status(etcd_put_async(client, etcd_cstr("k"), etcd_bytes_of(value, sizeof(value)), NULL,
                                         NULL, NULL, &ops[i], &err),
                          ETCD_OK, &err);
        fake_etcd_cut(fake);
        for (int i = 0; i < CALLS; i++) {
            assert_status(etcd_op_wait(ops[i], PATIENCE_MS, &err), ETCD_OK, &err);
            etcd_op_free(ops[i]);
        }
    }
    assert_true(fake_etcd_connections(fake) > 1);
    assert_status(fake_get(client, PATIENCE_MS, &err), ETCD_OK, &err);
    assert_int_equal(sigaction(SIGPIPE, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failing_build_connects_nothing_and_leaves_nothing),
        cmocka_unit_test(each_field_has_its_client),
        cmocka_unit_test(the_first_of_a_name_goes_on),
        cmocka_unit_test(a_signal_ends_every_connection),
        cmocka_unit_test(an_application_that_never_ran_ends_its_connections),
        cmocka_unit_test(a_wrong_password_is_tried_once),
        cmocka_unit_test(a_connection_that_breaks_kills_nobody),
    };

    unsetenv("CAPP_ENV");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
