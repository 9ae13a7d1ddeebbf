/* SPDX-License-Identifier: Apache-2.0 */
/* The manual page that a program prints of its configuration. */
#include "config_fixture.h"

#include "support/alloc_fail.h"

static const char golden[] = ".Dt WEB 5\n.Os\n.Sh NAME\n.Nm web\n.Nd configuration of web\n.Sh DESCRIPTION\n"
                             "An option has a key: names with dots between.\n"
                             "Upper and lower case are the same, and so are hyphen and underscore.\n"
                             "Values come from these sources; later ones win, value by value, and\n"
                             "lists are replaced whole:\n"
                             ".Pp\n.Bl -enum -compact\n"
                             ".It\nthe default\n"
                             ".It\nfiles, YAML or JSON, in which a dot is a level, and drop-in\n"
                             "directories with such files\n"
                             ".It\nsources that the program follows while it runs\n"
                             ".It\nthe environment\n"
                             ".It\narguments\n"
                             ".El\n.Pp\n"
                             "Files are read again when the program gets\n.Dv SIGHUP .\n"
                             "A configuration with a mistake in it is refused as a whole.\n"
                             ".Sh OPTIONS\n";

static const char golden_tables[] =
    ".Ss The HTTP server\n.Bl -tag -width Ds\n"
    ".It Cm http.listen\ntext; default 127.0.0.1:8080\n.br\nWhere to listen.\n"
    ".br\n.Ev WEB_HTTP__LISTEN ,\n.Fl -http.listen\n"
    ".It Cm http.tls\ntrue or false; default no\n.br\n.Ev WEB_HTTP__TLS ,\n.Fl -http.tls\n";

static const char golden_odd[] =
    ".Ss Odd things\n.Bl -tag -width Ds\n"
    ".It Cm \\&No\n"
    "one of fast, careful; required\n.br\n"
    "\\&.Dots and back\\eslashes at the beginning.\n"
    "A second sentence!\n"
    "\\&'quoted' and then a third one that is so long that no line of a page could\n"
    "ever hold the whole of it.\n"
    ".br\n.Ev WEB_NO ,\n.Fl -No\n"
    ".It Cm secret\nsecret: text, or env or file below it\n"
    ".br\n.Ev WEB_SECRET ,\n.Fl -secret\n.El\n"
    ".Sh ENVIRONMENT\nThe variable of an option is\n.Ev WEB_\n"
    "and its key in capitals, with two underscores for each dot.\n"
    "An empty value counts as none.\n";

typedef struct odd_options {
    int mode;
    capp_secret secret;
} odd_options;
CAPP_TYPE_DEFINE(odd_options);

static const capp_option odd_fields[] = {
    CAPP_CHOICE(odd_options, mode, modes, "No", .flags = CAPP_OPTION_REQUIRED,
                .help = ".Dots and back\\slashes at the beginning. A second sentence! 'quoted' and then a "
                        "third one that is so long that no line of a page could ever hold the whole of it."),
    CAPP_SECRET(odd_options, secret, "secret", .fallback = "c4n4ry-of-the-table"),
};
static const capp_options odd_def = CAPP_OPTIONS(odd_options, "", CAPP_FIELDS(odd_fields),
                                                 .help = "Odd things.");

static capp_app *web_app(void)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;
    capp_error error;

    capp_use_name(builder, "web");
    capp_add_options(builder, &http_options_def);
    capp_add_options(builder, &odd_def);
    capp_use_config_env(builder, "WEB");
    capp_use_config_file(builder, "/etc/web.yaml", CAPP_CONFIG_OPTIONAL);
    capp_use_config_dir(builder, "/etc/web.d", CAPP_CONFIG_OPTIONAL);
    capp_use_config_value(builder, "no", "fast");
    capp_use_config_value(builder, "http.token", "c4n4ry-of-the-code");
    if (capp_build(builder, &app, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    return app;
}

static const char *page_of(const capp_app *app)
{
    static char page[16384];

    assert_true(capp_config_man(app, page, sizeof(page)) < sizeof(page));
    return page;
}

static void it_says_what_the_tables_say(void **state)
{
    capp_app *app = web_app();
    const char *page = page_of(app);

    (void)state;
    assert_int_equal(strncmp(page, ".Dd ", 4), 0);
    assert_int_equal(strncmp(strchr(page, '\n') + 1, golden, strlen(golden)), 0);
    assert_has(page, golden_tables);
    assert_has(page, golden_odd);
    assert_has(page, ".It Cm app.shutdown_timeout\n");
    assert_has(page, ".Sh FILES\n.Bl -tag -width Ds\n.It Pa /etc/web.yaml\nfile, which may be missing\n"
                     ".It Pa /etc/web.d\ndrop-in directory, which may be missing\n.El\n");
    assert_null(strstr(page, "c4n4ry"));
    assert_int_equal(capp_config_man(NULL, NULL, 0), 0);
    capp_free(app);
}

/* A tool that reads such pages has nothing to say of it, where there is one. */
static void tools_accept_it(void **state)
{
    capp_app *app = web_app();
    char command[256], said[1024] = "";
    const char *path = write_file("web.5", page_of(app));
    FILE *lint;

    (void)state;
    capp_free(app);
    if (system("command -v mandoc >/dev/null 2>&1") != 0)
        return;
    snprintf(command, sizeof(command), "mandoc -T lint -W warning '%s' 2>&1", path);
    lint = popen(command, "r");
    assert_non_null(lint);
    said[fread(said, 1, sizeof(said) - 1, lint)] = '\0';
    pclose(lint);
    assert_string_equal(said, "");
    snprintf(command, sizeof(command), "mandoc -T ascii '%s' >/dev/null", path);
    assert_int_equal(system(command), 0);
}

static void write_page(size_t n, void *user)
{
    char page[16384];
    size_t len = capp_config_man(user, page, sizeof(page));

    (void)n;
    assert_int_equal(strlen(page), len); /* all or nothing */
    if (len > 0)
        assert_has(page, golden_odd);
}

static void without_memory_there_is_no_page(void **state)
{
    capp_app *app = web_app();

    (void)state;
    assert_true(alloc_fail_each(write_page, app) > 5);
    capp_free(app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_the_tables_say),
        cmocka_unit_test(tools_accept_it),
        cmocka_unit_test(without_memory_there_is_no_page),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
