/* SPDX-License-Identifier: Apache-2.0 */
/* The module inside an application, without a server: what is built, injected, reported and ended. */
#include "capp/etcd.h"

#include "support/alloc_fail.h"
#include "support/ports.h"
#include "unit/capp/fixture.h"

#define LAZY CAPP_ETCD_CLIENT(.start = CAPP_ETCD_LAZY)
#define REQUIRED CAPP_ETCD_CLIENT(.start = CAPP_ETCD_REQUIRED)

struct holder {
    etcd_client *etcd;
    etcd_client *config;
    capp_etcd_factory *factory;
};
typedef struct holder holder;
CAPP_TYPE_DEFINE(holder);

static const capp_inject holder_deps[] = {
    CAPP_INJECT(holder, etcd, etcd_client),
    CAPP_INJECT_NAMED(holder, config, etcd_client, "config"),
    CAPP_INJECT(holder, factory, capp_etcd_factory),
};
static const capp_service holder_def = CAPP_SERVICE(holder, CAPP_INJECTS(holder_deps));

/* A service that wants the unnamed client only. */
struct plain {
    etcd_client *etcd;
};
typedef struct plain plain;
CAPP_TYPE_DEFINE(plain);

static const capp_inject plain_deps[] = {CAPP_INJECT(plain, etcd, etcd_client)};
static const capp_service plain_def = CAPP_SERVICE(plain, CAPP_INJECTS(plain_deps));

static void two_clients(capp_etcd_builder *b, void *user)
{
    (void)user;
    assert_int_equal(capp_etcd_add_client_with(b, "default", NULL, LAZY), CAPP_OK);
    assert_int_equal(capp_etcd_add_client_with(b, "config", NULL, LAZY), CAPP_OK);
}

/* Adds the client whose name is `user`. */
static void one_client(capp_etcd_builder *b, void *user)
{
    capp_etcd_add_client_with(b, user, NULL, LAZY);
}

static capp_app *build(capp_builder *builder)
{
    capp_app *app = NULL;
    capp_error error;

    if (capp_build(builder, &app, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    return app;
}

static capp_status build_fails(capp_builder *builder, capp_error *reterr)
{
    capp_app *app = NULL;
    size_t fds = open_fds();
    capp_status status = capp_build(builder, &app, reterr);

    assert_int_not_equal(status, CAPP_OK);
    assert_null(app);
    assert_true(open_fds() <= fds);
    return status;
}

static void clients_and_factory_are_injected(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    etcd_client *config;
    capp_error error;

    (void)state;
    capp_configure(builder, capp_etcd(two_clients, NULL));
    capp_add_service(builder, &holder_def);
    capp_app *app = build(builder);
    holder *held = capp_get(app, holder, &error);
    assert_non_null(held);
    assert_ptr_equal(held->etcd, capp_get_named(app, etcd_client, "default", &error));
    assert_ptr_equal(held->etcd, capp_get(app, etcd_client, &error));
    assert_int_equal(capp_etcd_factory_get(held->factory, "config", &config, &error), CAPP_OK);
    assert_ptr_equal(held->config, config);
    assert_ptr_not_equal(held->config, held->etcd);
    assert_string_equal(etcd_client_name(held->config), "config");
    capp_free(app);
}

static void the_module_may_have_no_clients(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    etcd_client *client;
    capp_error error;

    (void)state;
    capp_configure(builder, capp_etcd(NULL, NULL));
    capp_app *app = build(builder);
    capp_etcd_factory *factory = capp_get(app, capp_etcd_factory, &error);
    assert_non_null(factory);
    assert_int_equal(capp_etcd_factory_list(factory, NULL, 0), 0);
    assert_int_equal(capp_etcd_factory_get(factory, "any", &client, &error), CAPP_E_NOT_FOUND);
    capp_free(app);
}

static void default_is_found_however_it_is_written(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    char name[] = "DEFAULT";
    capp_error error;

    (void)state;
    capp_configure(builder, capp_etcd(one_client, name));
    capp_add_service(builder, &plain_def);
    capp_app *app = build(builder);
    assert_ptr_equal(capp_get(app, plain, &error)->etcd, capp_get_named(app, etcd_client, "DEFAULT", &error));
    capp_free(app);
}

static void three_mistakes(capp_etcd_builder *b, void *user)
{
    (void)user;
    capp_etcd_add_client(b, "one", ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("a:2379", "b:port")));
    capp_etcd_add_client(b, "two", ETCD_CLIENT_OPTS(.dial_timeout_ms = -5));
    capp_etcd_add_client(b, "three", ETCD_CLIENT_OPTS(.username = "admin"));
    capp_etcd_add_client_with(b, "four", NULL, LAZY);
}

static void all_mistakes_are_reported_together(void **state)
{
    struct log_text log = {.text = ""};
    capp_builder *builder = quiet_builder(&log);
    capp_error error;

    (void)state;
    capp_configure(builder, capp_etcd(three_mistakes, NULL));
    assert_int_equal(build_fails(builder, &error), CAPP_E_INVALID_ARGUMENT);
    assert_has(error.message, "3 mistakes: module etcd: client 'one': endpoints[1]");
    assert_has(error.message, "client 'two': dial_timeout_ms is -5");
    assert_has(error.message, "client 'three': username is set without password");
    assert_has(log.text, "ERROR build: module etcd: client 'two'");
}

static void a_duplicate_leaves_the_first_alone(void **state)
{
    char name[] = "config", same[] = "Config";
    capp_builder *builder = quiet_builder(NULL);
    capp_error error;

    (void)state;
    capp_configure(builder, capp_etcd(one_client, name));
    capp_configure(builder, capp_etcd(one_client, same));
    capp_configure(builder, capp_etcd(one_client, name));
    assert_int_equal(build_fails(builder, &error), CAPP_E_DUPLICATE);
    assert_has(error.message, "2 mistakes");
    assert_has(error.message, "client 'Config' is added already as 'config'");
    assert_has(error.message, "client 'config' is added twice");
}

static void several_modules_fill_one_factory(void **state)
{
    char a[] = "a", b[] = "b";
    capp_builder *builder = quiet_builder(NULL);
    const char *names[2];
    capp_error error;

    (void)state;
    capp_configure(builder, capp_etcd(one_client, a));
    capp_configure(builder, capp_etcd(one_client, b));
    capp_app *app = build(builder);
    capp_etcd_factory *factory = capp_get(app, capp_etcd_factory, &error);
    assert_int_equal(capp_etcd_factory_list(factory, names, 2), 2);
    assert_string_equal(names[0], "a");
    assert_string_equal(names[1], "b");
    capp_free(app);
}

static void who_injects_what_is_not_there_is_named(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    char name[] = "config";
    capp_error error;

    (void)state;
    capp_configure(builder, capp_etcd(one_client, name));
    capp_add_service(builder, &plain_def);
    assert_int_equal(build_fails(builder, &error), CAPP_E_NOT_FOUND);
    assert_has(without_places(error.message), "service plain: field etcd needs the unnamed etcd_client");
    assert_has(error.message, "'config'");
}

static void bad_default(capp_etcd_builder *b, void *user)
{
    (void)user;
    capp_etcd_add_client(b, "default", ETCD_CLIENT_OPTS(.timeout_ms = -1));
    capp_etcd_add_client(b, "a.b", NULL);
    capp_etcd_add_client(b, NULL, NULL);
}

static void who_injects_a_mistake_is_not_blamed(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_error error;

    (void)state;
    capp_configure(builder, capp_etcd(bad_default, NULL));
    capp_add_service(builder, &plain_def);
    assert_int_equal(build_fails(builder, &error), CAPP_E_INVALID_ARGUMENT);
    assert_has(error.message, "3 mistakes");
    assert_has(error.message, "client 'default': timeout_ms is -1");
    assert_has(error.message, "client 'a.b': the name");
    assert_has(error.message, "name of a client is NULL");
    assert_null(strstr(error.message, "service"));
}

static void driven_by_the_program(capp_etcd_builder *b, void *loop)
{
    capp_etcd_add_client_with(b, "default", ETCD_CLIENT_OPTS(.loop = loop), LAZY);
}

static void a_loop_that_the_program_drives_is_refused(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    etcd_loop *loop = NULL;
    capp_error error;

    (void)state;
    assert_int_equal(etcd_loop_new(ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER), &loop, NULL), ETCD_OK);
    capp_configure(builder, capp_etcd(driven_by_the_program, loop));
    assert_int_equal(build_fails(builder, &error), CAPP_E_INVALID_ARGUMENT);
    assert_has(error.message, "client 'default': loop");
    etcd_loop_free(loop);
}

static capp_etcd_builder *kept;

static void uses_setup(capp_etcd_builder *b, void *user)
{
    capp_setup *setup = capp_etcd_builder_setup(b);

    (void)user;
    kept = b;
    assert_string_equal(capp_setup_environment(setup), "staging");
    assert_non_null(capp_setup_logger(setup));
    capp_setup_fail(setup, CAPP_E_IO, "no list of clients");
}

static void the_function_sees_the_setup(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_error error;

    (void)state;
    capp_use_environment(builder, "staging");
    capp_configure(builder, capp_etcd(uses_setup, NULL));
    assert_int_equal(build_fails(builder, &error), CAPP_E_IO);
    assert_string_equal(error.message, "module etcd: no list of clients");
    assert_null(capp_etcd_builder_setup(NULL));
    assert_int_equal(capp_etcd_add_client(NULL, "a", NULL), CAPP_E_STATE);
}

static void keeps_builder(capp_etcd_builder *b, void *user)
{
    (void)user;
    kept = b;
}

static void the_builder_ends_with_the_function(void **state)
{
    capp_builder *builder = quiet_builder(NULL);

    (void)state;
    capp_configure(builder, capp_etcd(keeps_builder, NULL));
    capp_app *app = build(builder);
    assert_int_equal(capp_etcd_add_client(kept, "late", NULL), CAPP_E_STATE);
    assert_null(capp_etcd_builder_setup(kept));
    capp_free(app);
}

/* ---- running without a server ---------------------------------------------------------------------- */

/* Clients of a port where nobody listens. */
struct away {
    struct port port;
    char endpoint[32];
    int64_t dial_timeout_ms;
    const capp_etcd_client_opts *client_opts;
};

static void away_init(struct away *away, int64_t dial_timeout_ms, const capp_etcd_client_opts *client_opts)
{
    memset(away, 0, sizeof(*away));
    assert_true(port_hold(&away->port));
    snprintf(away->endpoint, sizeof(away->endpoint), "127.0.0.1:%d", away->port.number);
    away->dial_timeout_ms = dial_timeout_ms;
    away->client_opts = client_opts;
}

static void away_clients(capp_etcd_builder *b, void *user)
{
    const struct away *away = user;
    const char *const list[] = {away->endpoint, NULL};
    const etcd_client_opts *opts =
        ETCD_CLIENT_OPTS(.endpoints = list, .dial_timeout_ms = away->dial_timeout_ms, .timeout_ms = 100);

    capp_etcd_add_client_with(b, "default", opts, away->client_opts);
    capp_etcd_add_client_with(b, "config", opts, away->client_opts);
}

static capp_status stop_at_once(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)user_data;
    (void)reterr;
    capp_stop(capp_worker_app(worker));
    return CAPP_OK;
}

static void an_eager_client_starts_without_its_server(void **state)
{
    struct log_text log = {.text = ""};
    capp_builder *builder = quiet_builder(&log);
    struct away away;
    capp_error error;
    etcd_error err;

    (void)state;
    away_init(&away, 100, NULL);
    capp_configure(builder, capp_etcd(away_clients, &away));
    capp_add_worker(builder, "stopper", stop_at_once, NULL);
    capp_app *app = build(builder);
    assert_int_equal(capp_run(app, &error), CAPP_OK);
    assert_has(log.text, "INFO etcd: client 'config': added, for 127.0.0.1:");
    assert_has(log.text, "WARN etcd: ");
    assert_has(log.text, "client 'config'");
    etcd_client *client = capp_get(app, etcd_client, &error);
    assert_int_equal(etcd_put(client, etcd_cstr("k"), etcd_cstr("v"), NULL, NULL, &err), ETCD_E_CLOSED);
    capp_etcd_factory *factory = capp_get(app, capp_etcd_factory, &error);
    assert_int_equal(capp_etcd_factory_get(factory, "config", &client, &error), CAPP_E_CLOSED);
    capp_free(app);
    port_release(&away.port);
}

static void a_required_client_does_not(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    struct away away;
    capp_error error;

    (void)state;
    away_init(&away, 100, REQUIRED);
    capp_configure(builder, capp_etcd(away_clients, &away));
    capp_app *app = build(builder);
    assert_int_equal(capp_run(app, &error), CAPP_E_UNAVAILABLE);
    assert_has(error.message, "start of etcd: ");
    assert_has(error.message, "client 'default'");
    assert_has(error.message, "client 'config'");
    capp_free(app);
    port_release(&away.port);
}

/* A log that stops the application as soon as the module starts: before or while it waits for its servers. */
static void stop_at_start(void *user_data, const capp_log_record *record)
{
    capp_app **app = user_data;

    if (strcmp(record->message, "starting etcd") == 0)
        capp_stop(*app);
}

static void a_stop_ends_the_start(void **state)
{
    capp_builder *builder = capp_builder_new();
    struct away away;
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    away_init(&away, 600000, REQUIRED);
    capp_use_log(builder, stop_at_start, &app);
    capp_use_log_level(builder, CAPP_LOG_DEBUG);
    capp_configure(builder, capp_etcd(away_clients, &away));
    app = build(builder);
    assert_int_equal(capp_run(app, &error), CAPP_OK);
    capp_free(app);
    port_release(&away.port);
}

static void a_lazy_client_does_nothing(void **state)
{
    struct log_text log = {.text = ""};
    capp_builder *builder = quiet_builder(&log);
    struct away away;
    capp_error error;

    (void)state;
    away_init(&away, 600000, LAZY);
    capp_configure(builder, capp_etcd(away_clients, &away));
    capp_add_worker(builder, "stopper", stop_at_once, NULL);
    capp_app *app = build(builder);
    assert_int_equal(capp_run(app, &error), CAPP_OK);
    assert_null(strstr(log.text, "WARN"));
    capp_free(app);
    port_release(&away.port);
}

static capp_status register_late(capp_worker *worker, void *user_data, capp_error *reterr)
{
    capp_etcd_factory *factory = capp_get(capp_worker_app(worker), capp_etcd_factory, reterr);

    (void)user_data;
    capp_stop(capp_worker_app(worker));
    capp_worker_wait(worker, INT64_MAX);
    /* The stop ends this wait, or refuses to begin it; which of the two is not for us to say. */
    assert_int_equal(capp_etcd_factory_register(factory, "late", ETCD_CLIENT_OPTS(.dial_timeout_ms = 600000),
                                                REQUIRED, reterr),
                     CAPP_E_CANCELLED);
    return CAPP_OK;
}

static void a_stop_ends_a_registration(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_error error;

    (void)state;
    capp_configure(builder, capp_etcd(NULL, NULL));
    capp_add_worker(builder, "late", register_late, NULL);
    capp_app *app = build(builder);
    assert_int_equal(capp_run(app, &error), CAPP_OK);
    capp_free(app);
}

static void a_watch_ends_with_the_application(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    etcd_watch *watch = NULL;
    etcd_events *events = NULL;
    capp_error error;

    (void)state;
    capp_configure(builder, capp_etcd(two_clients, NULL));
    capp_add_worker(builder, "stopper", stop_at_once, NULL);
    capp_app *app = build(builder);
    etcd_client *client = capp_get(app, etcd_client, &error);
    assert_int_equal(etcd_watch_open(client, etcd_cstr("k"), NULL, &watch, NULL), ETCD_OK);
    assert_int_equal(capp_run(app, &error), CAPP_OK);
    assert_int_equal(etcd_watch_next(watch, ETCD_TIMEOUT_NONE, &events, NULL), ETCD_E_CANCELLED);
    etcd_watch_close(watch);
    capp_free(app);
}

/* ---- memory ---------------------------------------------------------------------------------------- */

static void build_once(size_t n, void *user)
{
    capp_builder *builder = capp_builder_new();
    capp_app *app = NULL;
    capp_error error;

    (void)n;
    (void)user;
    capp_use_log(builder, log_nowhere, NULL);
    capp_configure(builder, capp_etcd(three_mistakes, NULL));
    assert_int_not_equal(capp_build(builder, &app, &error), CAPP_OK);
    builder = capp_builder_new();
    capp_use_log(builder, log_nowhere, NULL);
    char name[] = "default";
    capp_configure(builder, capp_etcd(one_client, name));
    capp_add_service(builder, &plain_def);
    if (capp_build(builder, &app, &error) == CAPP_OK)
        capp_free(app);
    else
        assert_int_equal(error.status, CAPP_E_NO_MEMORY);
}

static void the_build_survives_any_allocation_that_fails(void **state)
{
    (void)state;
    size_t live = alloc_live();
    assert_true(alloc_fail_each(build_once, NULL) > 20);
    assert_int_equal(alloc_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_and_factory_are_injected),
        cmocka_unit_test(the_module_may_have_no_clients),
        cmocka_unit_test(default_is_found_however_it_is_written),
        cmocka_unit_test(all_mistakes_are_reported_together),
        cmocka_unit_test(a_duplicate_leaves_the_first_alone),
        cmocka_unit_test(several_modules_fill_one_factory),
        cmocka_unit_test(who_injects_what_is_not_there_is_named),
        cmocka_unit_test(who_injects_a_mistake_is_not_blamed),
        cmocka_unit_test(a_loop_that_the_program_drives_is_refused),
        cmocka_unit_test(the_function_sees_the_setup),
        cmocka_unit_test(the_builder_ends_with_the_function),
        cmocka_unit_test(an_eager_client_starts_without_its_server),
        cmocka_unit_test(a_required_client_does_not),
        cmocka_unit_test(a_stop_ends_the_start),
        cmocka_unit_test(a_lazy_client_does_nothing),
        cmocka_unit_test(a_stop_ends_a_registration),
        cmocka_unit_test(a_watch_ends_with_the_application),
        cmocka_unit_test(the_build_survives_any_allocation_that_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
