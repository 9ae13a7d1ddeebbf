/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration read again: what becomes current, what is refused, and what a reload never touches. */
#include "config_fixture.h"

#include "capp/host.h"

#include "support/alloc_fail.h"

/* The threads and the queue that are current. */
static void assert_pool(capp_app *app, int64_t threads, int64_t queue)
{
    capp_monitor *monitor = capp_app_monitor(app, &pool_options_type, NULL);
    const pool_options *now = capp_current(monitor, pool_options);

    assert_int_equal(now->threads, threads);
    assert_int_equal(now->queue, queue);
    capp_monitor_release(monitor, now);
}

static void files_are_read_again(void **state)
{
    capp_app *app = app_of(NULL, "pool: {threads: 3}\n");

    (void)state;
    assert_pool(app, 3, 2);
    write_file("app.yaml", "pool: {threads: 7, queue: 8}\n");
    assert_pool(app, 3, 2);
    must_reload(app);
    assert_pool(app, 7, 8);
    assert_has(dump_of(app), "pool.threads: 7  # ");
    capp_free(app);
}

/* In the original a key that was taken out of a file survived in a map that was merged into. */
static void what_is_taken_out_is_gone(void **state)
{
    capp_app *app = app_of(NULL, "pool: {threads: 3, queue: 9}\nhttp: {hosts: [a, b], token: x}\n");
    const http_options *http;
    capp_monitor *monitor = capp_app_monitor(app, &http_options_type, NULL);

    (void)state;
    write_file("app.yaml", "pool: {queue: 9}\n");
    must_reload(app);
    assert_pool(app, 2, 9);
    http = capp_current(monitor, http_options);
    assert_null(http->hosts);
    assert_int_equal(http->token.kind, CAPP_SECRET_NONE);
    capp_monitor_release(monitor, http);
    capp_free(app);
}

static void files_of_a_directory_come_and_go(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    char drop_in[96], gone[128];
    capp_app *app = NULL;

    (void)state;
    snprintf(drop_in, sizeof(drop_in), "%s/pool.d", folder);
    assert_int_equal(mkdir(drop_in, 0700), 0);
    capp_use_config_dir(builder, drop_in, 0);
    capp_add_options(builder, &pool_options_def);
    write_file("pool.d/10.yaml", "pool: {threads: 5, queue: 5}\n");
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    write_file("pool.d/20.json", "{\"pool\": {\"threads\": 6}}\n");
    must_reload(app);
    assert_pool(app, 6, 5);
    snprintf(gone, sizeof(gone), "%s/10.yaml", drop_in);
    assert_int_equal(unlink(gone), 0);
    must_reload(app);
    assert_pool(app, 6, 2);
    capp_free(app);
}

/* The process's environment may have changed since; a reload does not look, and the arguments may be gone. */
static void environment_and_arguments_stay(void **state)
{
    char threads[] = "--pool.threads=11";
    char *argv[] = {"program", threads};
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;

    (void)state;
    setenv("RELOAD_POOL__QUEUE", "12", 1);
    capp_use_config_env(builder, "RELOAD");
    capp_use_config_args(builder, 2, argv);
    capp_use_config_file(builder, write_file("app.yaml", "pool: {threads: 1, queue: 1}\n"), 0);
    capp_add_options(builder, &pool_options_def);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    setenv("RELOAD_POOL__QUEUE", "99", 1);
    memset(threads, 'x', sizeof(threads) - 1);
    must_reload(app);
    assert_pool(app, 11, 12);
    unsetenv("RELOAD_POOL__QUEUE");
    capp_free(app);
}

static void all_mistakes_are_reported_and_nothing_changes(void **state)
{
    static struct log_text log;
    capp_app *app = app_of(&log, "pool: {threads: 3}\n");
    capp_error error = {0};

    (void)state;
    write_file("app.yaml", "pool:\n  threads: many\n  qeue: 4\nhttp:\n  tls: yes\n  timeout: c4n4ry\n");
    log.text[0] = '\0';
    assert_false(capp__reload_now(app, &error));
    assert_int_equal(error.status, CAPP_E_INVALID_ARGUMENT);
    assert_has(error.message, "3 mistakes: ");
    assert_has(log.text, "WARN config: ");
    assert_has(log.text, "app.yaml:2:12: pool.threads: 'many' is not a whole number\n");
    assert_has(log.text, "app.yaml:6:12: http.timeout: 'c4n4ry' is not a duration");
    assert_has(log.text, "app.yaml:3:9: there is no option 'pool.qeue'; did you mean 'pool.queue'?\n");
    assert_has(log.text, "WARN config: the configuration stays as it was\n");
    assert_null(strstr(log.text, "ERROR"));
    assert_pool(app, 3, 2);
    assert_has(dump_of(app), "pool.threads: 3  # ");
    write_file("app.yaml", "http: {tls: yes}\n");
    assert_false(capp__reload_now(app, &error));
    assert_string_equal(error.message, "http: tls needs a token");
    write_file("app.yaml", "pool: [\n");
    assert_false(capp__reload_now(app, NULL));
    assert_pool(app, 3, 2);
    write_file("app.yaml", "pool: {threads: 4}\n"); /* and it is not stuck */
    must_reload(app);
    assert_pool(app, 4, 2);
    capp_free(app);
}

static void a_file_that_is_gone_is_a_mistake(void **state)
{
    static struct log_text log;
    capp_app *app = app_of(&log, "pool: {threads: 3}\n");
    char path[128];

    (void)state;
    snprintf(path, sizeof(path), "%s/app.yaml", folder);
    assert_int_equal(unlink(path), 0);
    assert_false(capp__reload_now(app, NULL));
    assert_has(log.text, "app.yaml': No such file or directory\n");
    assert_pool(app, 3, 2);
    capp_free(app);
}

/* A secret is a name in reports, and three stars in the dump. */
static void secrets_are_in_no_report(void **state)
{
    static struct log_text log;
    capp_app *app = app_of(&log, "http: {token: c4n4ry-1}\n");
    capp_error error = {0};

    (void)state;
    write_file("app.yaml", "http: {token: c4n4ry-2}\n");
    must_reload(app);
    assert_has(log.text, "INFO config: http.token changed (");
    assert_has(dump_of(app), "http.token: \"***\"  # ");
    write_file("app.yaml", "http: {token: [c4n4ry-3], mode: x}\n");
    assert_false(capp__reload_now(app, &error));
    write_file("app.yaml", "http: {token: {text: c4n4ry-4}}\n");
    assert_false(capp__reload_now(app, &error));
    assert_has(error.message, "http.token: this is not a secret");
    assert_null(strstr(error.message, "c4n4ry"));
    assert_null(strstr(log.text, "c4n4ry"));
    assert_null(strstr(dump_of(app), "c4n4ry"));
    capp_free(app);
}

/* ---- what is read once ------------------------------------------------------------------------------- */

static void injected_structs_stay_and_the_log_says_so(void **state)
{
    static struct log_text log;
    capp_app *app = app_of(&log, "http: {workers: 9}\npool: {threads: 3}\n");
    const http_options *http = capp_get(app, http_options, NULL);

    (void)state;
    (void)capp_app_monitor(app, &pool_options_type, NULL);
    write_file("app.yaml", "http: {workers: 10, hosts: [a]}\npool: {threads: 4}\n");
    log.text[0] = '\0';
    must_reload(app);
    assert_int_equal(http->workers, 9);
    assert_null(http->hosts);
    assert_has(log.text, "app.yaml:1:17): takes effect at the next start\n");
    assert_has(log.text, "INFO config: http.workers changed (");
    assert_has(log.text, "INFO config: http.hosts changed (");
    assert_has(log.text, "INFO config: pool.threads changed (");
    assert_null(strstr(log.text, "app.yaml:2:17): takes effect"));
    log.text[0] = '\0';
    must_reload(app); /* nothing has changed */
    assert_string_equal(log.text, "");
    capp_free(app);
}

static const capp_options shelf_def = CAPP_OPTIONS(http_options, "shelf.*", CAPP_FIELDS(http_fields));

static capp_status configure_shelf(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    char listen[] = "from code";
    http_options options = {.listen = listen, .workers = 77};

    (void)module;
    (void)reterr;
    (void)capp_setup_bind(setup, &shelf_def, "top", &options);
    memset(listen, 'x', sizeof(listen) - 1); /* the struct and its texts are the module's, and soon gone */
    return CAPP_OK;
}

static void a_modules_structs_are_checked_again(void **state)
{
    static struct log_text log;
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;

    (void)state;
    capp_configure(builder, capp_module_of("shelf", configure_shelf, NULL));
    capp_use_config_file(builder, write_file("app.yaml", "shelf:\n  top: {timeout: 3s}\n"), 0);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_has(dump_of(app), "shelf.top.listen: \"from code\"  # code\n");
    write_file("app.yaml", "shelf:\n  top: {timeout: never}\n");
    assert_false(capp__reload_now(app, NULL));
    assert_has(log.text, "app.yaml:2:18: shelf.top.timeout: 'never' is not a duration");
    write_file("app.yaml", "shelf:\n  top: {timeout: 4s}\n  low: {workers: 1}\n");
    must_reload(app);
    assert_has(log.text, "shelf.top.timeout changed (");
    assert_has(log.text,
               "'shelf.low.workers' is of a name that is not used here: at the next start it may be");
    assert_has(dump_of(app), "shelf.top.listen: \"from code\"  # code\n");
    assert_has(dump_of(app), "shelf.top.timeout: 4s  # ");
    write_file("app.yaml", "");
    must_reload(app);
    assert_has(dump_of(app), "shelf.top.workers: 77  # code\n");
    capp_free(app);
}

static void the_host_has_an_option_of_its_own(void **state)
{
    static struct log_text log;
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    capp_use_shutdown_timeout(builder, 7000); /* the configuration counts more */
    capp_use_config_file(builder, write_file("app.yaml", "app: {shutdown_timeout: 2s}\n"), 0);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(app->shutdown_timeout_ms, 2000);
    write_file("app.yaml", "");
    must_reload(app);
    assert_int_equal(app->shutdown_timeout_ms, 2000);
    assert_has(log.text,
               "INFO config: app.shutdown_timeout changed (code): takes effect at the next start\n");
    assert_has(dump_of(app), "app.shutdown_timeout: 7s  # code\n");
    capp_free(app);
    builder = quiet_builder(NULL);
    capp_use_config_value(builder, "app.shutdown_timeout", "0");
    assert_int_equal(capp_build(builder, &app, &error), CAPP_E_INVALID_ARGUMENT);
    assert_string_equal(error.message, "code: app.shutdown_timeout: 0 is too little: at least 1ms");
}

/* ---- memory ------------------------------------------------------------------------------------------ */

struct tries {
    capp_app *app;
    int64_t threads; /* of the last good one */
    size_t failures, successes;
};

static void try_once(size_t n, void *user)
{
    struct tries *tries = user;
    capp_error error = {0};
    char text[128];

    snprintf(text, sizeof(text), "pool: {threads: %zu}\nhttp: {hosts: [a, b], token: {env: X}, workers: 6}\n",
             n + 10);
    write_file("app.yaml", text);
    if (capp__reload_now(tries->app, &error)) {
        tries->successes++;
        tries->threads = (int64_t)n + 10;
    } else {
        assert_int_equal(error.status, CAPP_E_NO_MEMORY);
        tries->failures++;
    }
    assert_pool(tries->app, tries->threads, 2);
}

static void out_of_memory_keeps_the_last_good_one(void **state)
{
    struct tries tries = {.app = app_of(NULL, "pool: {threads: 3}\n"), .threads = 3};

    (void)state;
    size_t count = alloc_fail_each(try_once, &tries);
    assert_true(count > 20);
    assert_true(tries.failures > 20);
    assert_true(tries.successes > 0);
    capp_free(tries.app);
}

/* What nobody holds is gone: a thousand reloads cost what one does. */
static void old_ones_are_not_kept(void **state)
{
    size_t before = alloc_live();
    capp_app *app = app_of(NULL, "pool: {threads: 3}\n");
    capp_monitor *monitor = capp_app_monitor(app, &pool_options_type, NULL);
    const pool_options *held;

    (void)state;
    must_reload(app);
    size_t live = alloc_live();
    held = capp_current(monitor, pool_options);
    for (int i = 0; i < 100; i++) {
        write_file("app.yaml", i % 2 == 0 ? "pool: {threads: 4}\n" : "pool: {threads: 5}\n");
        must_reload(app);
    }
    assert_int_equal(held->threads, 3);
    assert_true(alloc_live() > live);
    write_file("app.yaml", "pool: {threads: 3}\n");
    must_reload(app);
    capp_monitor_release(monitor, held);
    assert_int_equal(alloc_live(), live);
    capp_free(app);
    assert_int_equal(alloc_live(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read_again),
        cmocka_unit_test(what_is_taken_out_is_gone),
        cmocka_unit_test(files_of_a_directory_come_and_go),
        cmocka_unit_test(environment_and_arguments_stay),
        cmocka_unit_test(all_mistakes_are_reported_and_nothing_changes),
        cmocka_unit_test(a_file_that_is_gone_is_a_mistake),
        cmocka_unit_test(secrets_are_in_no_report),
        cmocka_unit_test(injected_structs_stay_and_the_log_says_so),
        cmocka_unit_test(a_modules_structs_are_checked_again),
        cmocka_unit_test(the_host_has_an_option_of_its_own),
        cmocka_unit_test(out_of_memory_keeps_the_last_good_one),
        cmocka_unit_test(old_ones_are_not_kept),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
