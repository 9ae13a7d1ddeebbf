/* SPDX-License-Identifier: Apache-2.0 */
/* Sources, their order, and what a program gets of them. */
#include "config_fixture.h"

#include "support/alloc_fail.h"

static capp_builder *http_builder(struct log_text *log)
{
    capp_builder *builder = quiet_builder(log);

    capp_add_options(builder, &http_options_def);
    return builder;
}

/* Builds what must build. */
static capp_app *built(capp_builder *builder, const http_options **ret_options)
{
    capp_app *app = NULL;
    capp_error error;

    if (capp_build(builder, &app, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    *ret_options = capp_get(app, http_options, &error);
    assert_non_null(*ret_options);
    return app;
}

static void fallbacks(void **state)
{
    const http_options *http;
    capp_app *app = built(http_builder(NULL), &http);

    (void)state;
    assert_string_equal(http->listen, "127.0.0.1:8080");
    assert_false(http->tls);
    assert_int_equal(http->workers, 4);
    assert_int_equal(http->timeout_ms, 5000);
    assert_int_equal(http->buffer, 65536);
    assert_null(http->hosts);
    assert_int_equal(http->mode, 2);
    assert_int_equal(http->token.kind, CAPP_SECRET_NONE);
    capp_free(app);
}

/* Each source says all that the ones before it say, and one thing less than they together. */
static void later_sources_win(void **state)
{
    char drop_in[96];
    char *argv[] = {"program", "--http.hosts=args",  "--http.mode", "fast", "rest",
                    "--",      "--http.mode=careful"};
    capp_builder *builder = http_builder(NULL);
    const http_options *http;
    capp_app *app;

    (void)state;
    setenv("TESTAPP_HTTP__BUFFER_", "", 1); /* empty: none */
    setenv("TESTAPP_HTTP__LIMITS__BUFFER", "1KiB", 1);
    setenv("TESTAPP_HTTP__HOSTS", "env", 1);
    snprintf(drop_in, sizeof(drop_in), "%s/app.d", folder);
    mkdir(drop_in, 0700);
    capp_use_config_value(builder, "http.mode", "careful");
    capp_use_config_args(builder, 7, argv);
    capp_use_config_env(builder, "TESTAPP");
    capp_use_config_dir(builder, drop_in, 0);
    write_file("app.d/20-b.yaml", "http: {timeout: 3s, hosts: [drop, in]}\n");
    write_file("app.d/10-a.yml", "http: {timeout: 2s, limits.buffer: 7}\n");
    write_file("app.d/ignored.txt", "http: [\n");
    write_file("app.d/.hidden.yaml", "http: [\n");
    capp_use_config_file(builder, write_file("app.yaml", "http:\n  workers: 9\n  timeout: 1s\n  TLS: off\n"),
                         0);
    capp_use_config_default(builder, "http.workers", "8");
    capp_use_config_default(builder, "http.listen", "code:1");
    app = built(builder, &http);
    assert_string_equal(http->listen, "code:1");
    assert_int_equal(http->workers, 9);
    assert_int_equal(http->timeout_ms, 3000);
    assert_int_equal(http->buffer, 1024);
    assert_string_equal(http->hosts[0], "args");
    assert_null(http->hosts[1]);
    assert_int_equal(http->mode, 2);
    capp_free(app);
    unsetenv("TESTAPP_HTTP__BUFFER_");
    unsetenv("TESTAPP_HTTP__LIMITS__BUFFER");
    unsetenv("TESTAPP_HTTP__HOSTS");
}

static void null_takes_back(void **state)
{
    capp_builder *builder = http_builder(NULL);
    const http_options *http;
    capp_app *app;

    (void)state;
    capp_use_config_file(builder, write_file("one.yaml", "http: {workers: 9, hosts: [a]}\n"), 0);
    capp_use_config_file(builder,
                         write_file("two.json", "{\"http\": {\"workers\": null, \"hosts\": null}}\n"), 0);
    app = built(builder, &http);
    assert_int_equal(http->workers, 4);
    assert_null(http->hosts);
    capp_free(app);
}

static void texts_are_not_touched(void **state)
{
    static const char *const texts[] = {"0123", "true", "1e5", " spaces ", "\xc3\xa4%s"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        capp_builder *builder = http_builder(NULL);
        const http_options *http;
        capp_app *app;

        setenv("TESTAPP_HTTP__TOKEN", texts[i], 1);
        setenv("TESTAPP_HTTP__LISTEN", texts[i], 1);
        capp_use_config_env(builder, "TESTAPP_");
        app = built(builder, &http);
        assert_string_equal(http->token.ref, texts[i]);
        assert_int_equal(http->token.kind, CAPP_SECRET_TEXT);
        assert_string_equal(http->listen, texts[i]);
        capp_free(app);
    }
    unsetenv("TESTAPP_HTTP__TOKEN");
    unsetenv("TESTAPP_HTTP__LISTEN");
}

static void secrets_have_sources(void **state)
{
    capp_builder *builder = http_builder(NULL);
    const http_options *http;
    capp_app *app;

    (void)state;
    capp_use_config_file(builder, write_file("s.yaml", "http:\n  token: text\n"), 0);
    capp_use_config_file(builder, write_file("t.yaml", "http:\n  token: {env: HTTP_TOKEN}\n"), 0);
    app = built(builder, &http);
    assert_int_equal(http->token.kind, CAPP_SECRET_ENV);
    assert_string_equal(http->token.ref, "HTTP_TOKEN");
    capp_free(app);
    setenv("TESTAPP_HTTP__TOKEN__FILE", "/run/token", 1);
    builder = http_builder(NULL);
    capp_use_config_file(builder, write_file("s.yaml", "http:\n  token: text\n"), 0);
    capp_use_config_env(builder, "TESTAPP");
    app = built(builder, &http);
    assert_int_equal(http->token.kind, CAPP_SECRET_FILE);
    assert_string_equal(http->token.ref, "/run/token");
    capp_free(app);
    unsetenv("TESTAPP_HTTP__TOKEN__FILE");
}

/* ---- mistakes -------------------------------------------------------------------------------------- */

/* The lines that a build complains with. */
static void complaints(capp_builder *builder, struct log_text *log)
{
    capp_app *app = NULL;
    capp_error error;

    assert_int_not_equal(capp_build(builder, &app, &error), CAPP_OK);
    assert_null(app);
    assert_non_null(strstr(log->text, "ERROR build: "));
}

static void ten_mistakes_in_one_report(void **state)
{
    static struct log_text log;
    capp_builder *builder = http_builder(&log);

    (void)state;
    capp_use_config_file(builder,
                         write_file("bad.yaml", "http:\n"
                                                "  listen: {port: 80}\n"
                                                "  tls: perhaps\n"
                                                "  workers: 100\n"
                                                "  timeout: 5 parsecs\n"
                                                "  timeout: 6s\n"
                                                "  limits: {buffer: 4M}\n"
                                                "  hosts: [a, [b]]\n"
                                                "  mode: quick\n"
                                                "  token: {vault: x}\n"
                                                "  timeuot: 5s\n"
                                                "extra: &anchor x\n"),
                         0);
    complaints(builder, &log);
    assert_has(log.text, "bad.yaml:2:11: http.listen: a map of names is not a text\n");
    assert_has(log.text, "bad.yaml:3:8: http.tls: 'perhaps' is not yes or no");
    assert_has(log.text, "bad.yaml:4:12: http.workers: 100 is not between 1 and 64\n");
    assert_has(log.text, "bad.yaml:5:12: http.timeout: '5 parsecs' is not a duration");
    assert_has(log.text, "bad.yaml:6:3: the key is there already, in line 5: 'timeout'\n");
    assert_has(log.text, "bad.yaml:7:20: http.limits.buffer: '4M' is not a size");
    assert_has(log.text, "bad.yaml:8:14: http.hosts: item 2 of the list is no text\n");
    assert_has(log.text, "bad.yaml:9:9: http.mode: 'quick' is none of: fast, careful\n");
    assert_has(log.text, "bad.yaml:10:10: http.token: this is not a secret");
    assert_has(log.text, "bad.yaml:11:12: there is no option 'http.timeuot'; did you mean 'http.timeout'?\n");
    assert_has(log.text, "bad.yaml:12:8: anchors are not read: anchor 'anchor'\n");
    assert_has(log.text, "bad.yaml:12:8: there is no option 'extra'\n");
}

static void mistakes_of_other_sources_have_a_place_too(void **state)
{
    static struct log_text log;
    char *argv[] = {"program", "--http.workers=0", "--config"};
    capp_builder *builder = http_builder(&log);

    (void)state;
    setenv("TESTAPP_HTTP__TIMEOUT", "soon", 1);
    setenv("TESTAPP_HTTP__HOST", "x", 1);
    setenv("TESTAPP_HTTP__TOKEN", "c4n4ry", 1);
    setenv("TESTAPP_HTTP__TOKEN__ENV", "x", 1);
    capp_use_config_env(builder, "TESTAPP");
    capp_use_config_args(builder, 3, argv);
    capp_use_config_file(builder, "/nowhere/app.yaml", 0);
    capp_use_config_file(builder, "/nowhere/other.yaml", CAPP_CONFIG_OPTIONAL);
    capp_use_config_dir(builder, "/nowhere/app.d", 0);
    complaints(builder, &log);
    assert_has(log.text,
               "environment variable TESTAPP_HTTP__TIMEOUT: http.timeout: 'soon' is not a duration");
    assert_has(log.text,
               "environment variable TESTAPP_HTTP__HOST: there is no option 'http.host'; did you mean "
               "'http.hosts'?");
    assert_has(log.text, ": another variable is set that says otherwise");
    assert_has(log.text, "argument --http.workers: http.workers: 0 is not between 1 and 64");
    assert_has(log.text, "argument --config: no path follows");
    assert_has(log.text, "configuration file '/nowhere/app.yaml': No such file or directory");
    assert_has(log.text, "configuration directory '/nowhere/app.d': No such file or directory");
    assert_null(strstr(log.text, "other.yaml"));
    assert_null(strstr(log.text, "c4n4ry"));
    unsetenv("TESTAPP_HTTP__TIMEOUT");
    unsetenv("TESTAPP_HTTP__HOST");
    unsetenv("TESTAPP_HTTP__TOKEN");
    unsetenv("TESTAPP_HTTP__TOKEN__ENV");
}

/* It begins like the variables of options, and is none. */
static void the_variable_of_a_secret_may_have_the_prefix(void **state)
{
    static struct log_text log;
    capp_builder *builder = http_builder(NULL);
    const http_options *http;

    (void)state;
    setenv("TESTAPP_PASSWORD", "c4n4ry", 1);
    capp_use_config_file(builder, write_file("s.yaml", "http:\n  token: {env: TESTAPP_PASSWORD}\n"), 0);
    capp_use_config_env(builder, "TESTAPP");
    capp_app *app = built(builder, &http);
    assert_string_equal(http->token.ref, "TESTAPP_PASSWORD");
    capp_free(app);
    builder = http_builder(&log);
    capp_use_config_file(builder, write_file("s.yaml", "http:\n  token: {env: TESTAPP_OTHER}\n"), 0);
    capp_use_config_env(builder, "TESTAPP");
    complaints(builder, &log);
    assert_has(log.text, "environment variable TESTAPP_PASSWORD: there is no option 'password'");
    assert_null(strstr(log.text, "c4n4ry"));
    unsetenv("TESTAPP_PASSWORD");
}

static void programs_mistakes_are_reported(void **state)
{
    static const capp_option odd[] = {{.key = "a", .kind = CAPP_KIND_TEXT, .offset = 4096}, {.key = "b"}};
    static const capp_options odd_def = CAPP_OPTIONS(http_options, "odd", CAPP_FIELDS(odd));
    static struct log_text log;
    capp_builder *builder = quiet_builder(&log);

    (void)state;
    capp_use_config_file(builder, "", 0);
    capp_use_config_env(builder, "");
    capp_use_config_env(builder, "A-B");
    capp_use_config_value(builder, NULL, "x");
    capp_use_config_default(builder, "x", NULL);
    capp_use_config_args(builder, -1, NULL);
    capp_add_options(builder, &odd_def);
    capp_add_options(builder, NULL);
    complaints(builder, &log);
    assert_has(log.text, "capp_use_config_file: path is NULL or empty");
    assert_has(log.text, "capp_use_config_env: prefix must be");
    assert_has(log.text, "capp_use_config_value: key is NULL");
    assert_has(log.text, "capp_use_config_default: value is NULL");
    assert_has(log.text, "capp_use_config_args: argc is negative");
    assert_has(log.text, "options of http_options: number 0, 'a': its field lies outside of the struct");
    assert_has(log.text, "options of http_options: number 1, 'b': its kind is unknown");
    assert_has(log.text, "was not made with CAPP_OPTIONS");
}

static void a_check_sees_the_whole_struct(void **state)
{
    static struct log_text log;
    capp_builder *builder = http_builder(&log);

    (void)state;
    capp_use_config_value(builder, "http.tls", "on");
    complaints(builder, &log);
    assert_has(log.text, "http: tls needs a token\n");
}

static void required_values_are_missed(void **state)
{
    static const capp_option fields[] = {
        CAPP_TEXT(http_options, listen, "listen", .flags = CAPP_OPTION_REQUIRED)};
    static const capp_options def = CAPP_OPTIONS(http_options, "http", CAPP_FIELDS(fields));
    static struct log_text log;
    capp_builder *builder = quiet_builder(&log);

    (void)state;
    capp_add_options(builder, &def);
    complaints(builder, &log);
    assert_has(log.text, "http.listen: a value is required, and there is none");
}

/* ---- shown ----------------------------------------------------------------------------------------- */

static void the_dump_reads_back_and_hides_secrets(void **state)
{
    const http_options *http;
    capp_builder *builder = http_builder(NULL);
    capp_app *app;
    char dump[2048], again[2048];

    (void)state;
    capp_use_config_file(builder, write_file("app.yaml", "http:\n  hosts: [a, 'b\"c']\n  token: c4n4ry\n"),
                         0);
    capp_use_config_value(builder, "http.timeout", "1500ms");
    app = built(builder, &http);
    assert_true(capp_config_dump(app, dump, sizeof(dump)) < sizeof(dump));
    assert_has(dump, "http.listen: \"127.0.0.1:8080\"  # default\n");
    assert_has(dump, "http.timeout: 1500ms  # code\n");
    assert_has(dump, "app.yaml:2:10\n");
    assert_has(dump, "http.limits.buffer: 64KiB  # default\n");
    assert_has(dump, "http.mode: careful  # default\n");
    assert_has(dump, "http.token: \"***\"  # ");
    assert_null(strstr(dump, "c4n4ry"));
    capp_free(app);
    builder = http_builder(NULL);
    capp_use_config_file(builder, write_file("dump.yaml", dump), 0);
    app = built(builder, &http);
    assert_int_equal(http->timeout_ms, 1500);
    assert_string_equal(http->hosts[1], "b\"c");
    assert_true(capp_config_dump(app, again, sizeof(again)) < sizeof(again));
    assert_int_equal(capp_config_dump(NULL, again, sizeof(again)), 0);
    capp_free(app);
}

static void the_help_has_every_option(void **state)
{
    const http_options *http;
    capp_builder *builder = http_builder(NULL);
    capp_app *app;
    char help[4096];

    (void)state;
    capp_use_config_env(builder, "TESTAPP");
    app = built(builder, &http);
    assert_true(capp_config_help(app, help, sizeof(help)) < sizeof(help));
    assert_has(help, "# The HTTP server.\n");
    assert_has(help, "http.listen\n    text; default 127.0.0.1:8080\n    Where to listen.\n"
                     "    TESTAPP_HTTP__LISTEN, --http.listen\n");
    assert_has(help, "http.mode\n    one of fast, careful; default careful\n");
    assert_has(help, "TESTAPP_HTTP__LIMITS__BUFFER, --http.limits.buffer\n");
    capp_free(app);
}

/* ---- a module with names of the configuration's choice ----------------------------------------------- */

static const capp_options shelf_def = CAPP_OPTIONS(http_options, "shelf.*", CAPP_FIELDS(http_fields));

static capp_status configure_shelf(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    http_options options = {.listen = "from code", .workers = 77};
    const char *name;

    (void)module;
    (void)reterr;
    (void)capp_setup_declare(setup, &shelf_def);
    for (size_t i = 0; (name = capp_setup_section_name(setup, "shelf", i)) != NULL; i++) {
        (void)capp_setup_bind(setup, &shelf_def, name, &options);
        trace("%s=%s/%lld/%lld", name, options.listen, (long long)options.workers,
              (long long)options.timeout_ms);
    }
    return CAPP_OK;
}

static void modules_read_named_sections(void **state)
{
    static struct log_text log;
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    trace_clear();
    capp_configure(builder,
                   (capp_module){.size = sizeof(capp_module), .name = "shelf", .configure = configure_shelf});
    capp_use_config_file(builder, write_file("m.yaml", "shelf:\n  Top: {workers: 3}\n  low: {timeout: 1s}\n"),
                         0);
    assert_int_equal(capp_build(builder, &app, &error), CAPP_OK);
    assert_string_equal(the_trace.text, "Top=from code/3/0, low=from code/3/1000, ");
    capp_free(app);
    builder = quiet_builder(&log);
    capp_configure(builder,
                   (capp_module){.size = sizeof(capp_module), .name = "shelf", .configure = configure_shelf});
    capp_use_config_file(builder, write_file("m.yaml", "shelf:\n  top: {wrokers: 3}\n"), 0);
    complaints(builder, &log);
    assert_has(log.text,
               "m.yaml:2:18: there is no option 'shelf.top.wrokers'; did you mean 'shelf.top.workers'?");
}

/* ---- memory ------------------------------------------------------------------------------------------ */

struct tries {
    size_t failures, successes;
};

static void try_once(size_t n, void *user)
{
    struct tries *tries = user;
    size_t live = alloc_live();
    capp_builder *builder = capp_builder_new();
    char dump[2048];
    capp_app *app = NULL;
    capp_error error;

    (void)n;
    capp_use_log(builder, log_nowhere, NULL);
    capp_add_options(builder, &http_options_def);
    capp_use_config_file(builder, "memory.yaml", CAPP_CONFIG_OPTIONAL);
    capp_use_config_env(builder, "TESTAPP");
    capp_use_config_value(builder, "http.hosts", "a, b");
    if (capp_build(builder, &app, &error) == CAPP_OK) {
        tries->successes++;
        (void)capp_config_dump(app, dump, sizeof(dump));
    } else {
        assert_int_equal(error.status, CAPP_E_NO_MEMORY);
        tries->failures++;
    }
    capp_free(app);
    assert_int_equal(alloc_live(), live);
}

static void any_allocation_may_fail(void **state)
{
    struct tries tries = {0};
    char before[256];

    (void)state;
    write_file("memory.yaml", "http:\n  hosts: [x]\n  timeout: 1s\n  token: {env: T}\n");
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(folder), 0);
    size_t count = alloc_fail_each(try_once, &tries);
    assert_true(count > 20);
    assert_int_equal(chdir(before), 0);
    assert_true(tries.failures > 20);
    assert_true(tries.successes > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fallbacks),
        cmocka_unit_test(later_sources_win),
        cmocka_unit_test(null_takes_back),
        cmocka_unit_test(texts_are_not_touched),
        cmocka_unit_test(secrets_have_sources),
        cmocka_unit_test(the_variable_of_a_secret_may_have_the_prefix),
        cmocka_unit_test(ten_mistakes_in_one_report),
        cmocka_unit_test(mistakes_of_other_sources_have_a_place_too),
        cmocka_unit_test(programs_mistakes_are_reported),
        cmocka_unit_test(a_check_sees_the_whole_struct),
        cmocka_unit_test(required_values_are_missed),
        cmocka_unit_test(the_dump_reads_back_and_hides_secrets),
        cmocka_unit_test(the_help_has_every_option),
        cmocka_unit_test(modules_read_named_sections),
        cmocka_unit_test(any_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
