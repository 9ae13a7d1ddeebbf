/* SPDX-License-Identifier: Apache-2.0 */
/* The description of an application, for people and for Graphviz, and the arguments that ask for it. */
#include "fixture.h"

#include "support/alloc_fail.h"

#include <sys/wait.h>
#include <unistd.h>

typedef struct store_api {
    int version;
} store_api;
typedef struct memory_store {
    store_api api;
} memory_store;
typedef struct page {
    store_api *store;
    store_api *mirror;
    store_api *const *all;
    capp_scope *scope;
} page;
typedef struct http_options {
    int64_t port;
} http_options;
typedef struct server {
    store_api *store;
    capp_logger *log;
    const http_options *options;
    const capp_monitor *current;
} server;

CAPP_TYPE_DEFINE(store_api);
CAPP_TYPE_DEFINE(memory_store);
CAPP_TYPE_DEFINE(page);
CAPP_TYPE_DEFINE(server);
CAPP_TYPE_DEFINE(http_options);

static const capp_option http_fields[] = {CAPP_INT(http_options, port, "port", .fallback = "80")};
static const capp_options http_def = CAPP_OPTIONS(http_options, "http", CAPP_FIELDS(http_fields));

static const capp_provided memory_as[] = {CAPP_PROVIDES_AS(memory_store, api, store_api, "memory")};
static const capp_inject page_rows[] = {
    CAPP_INJECT(page, store, store_api),
    CAPP_INJECT_NAMED_OPT(page, mirror, store_api, "mirror"),
    CAPP_INJECT_LIST(page, all, store_api),
    CAPP_INJECT(page, scope, capp_scope),
};
static const capp_inject server_rows[] = {
    CAPP_INJECT(server, store, store_api),
    CAPP_INJECT(server, log, capp_logger),
    CAPP_INJECT(server, options, http_options),
    CAPP_INJECT_MONITOR(server, current, http_options),
};

static capp_status must_not_run(void *self, capp_error *reterr)
{
    (void)self;
    return capp_fail(reterr, CAPP_E_INTERNAL, "something was made");
}

static capp_status starts(void *self, capp_error *reterr)
{
    (void)self;
    (void)reterr;
    return CAPP_OK;
}

static capp_status works(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)worker;
    (void)user_data;
    (void)reterr;
    return CAPP_OK;
}

static const capp_service memory_def = CAPP_SERVICE(memory_store, CAPP_PROVIDED(memory_as));
static const capp_service page_def = CAPP_SERVICE(page, CAPP_INJECTS(page_rows), .lifetime = CAPP_SCOPED);
static const capp_service server_def = CAPP_SERVICE(server, CAPP_INJECTS(server_rows), .name = "main",
                                                    .start = starts);
static const capp_service silent_server_def = CAPP_SERVICE(server, CAPP_INJECTS(server_rows), .name = "main",
                                                           .start = starts, .init = must_not_run);

static capp_status configure_alias(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    capp_hook hook = {.size = sizeof(hook), .start = starts};

    (void)module;
    (void)reterr;
    capp_add_hook(setup, &hook);
    return capp_alias(setup, &store_api_type, NULL, &store_api_type, "memory");
}

/* Numbers of lines change; they are told apart from everything else by the file. */
static char *without_lines(char *text)
{
    static const char file[] = "test_describe.c:";

    for (char *s = text; (s = strstr(s, file)) != NULL;) {
        char *digits = s + strlen(file), *end = digits + strspn(digits, "0123456789");

        assert_true(end > digits);
        memmove(digits, end, strlen(end) + 1);
        s = digits;
    }
    return text;
}

static void add_all(capp_builder *builder, const capp_service *server_service)
{
    capp_use_name(builder, "shop");
    capp_add_options(builder, &http_def);
    capp_configure(builder, capp_module_of("stores", configure_alias, NULL));
    capp_add_service(builder, server_service);
    capp_add_service(builder, &page_def);
    capp_add_service(builder, &memory_def);
    capp_add_worker(builder, "sweeper", works, NULL);
}

static capp_app *build_all(void)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;

    add_all(builder, &server_def);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    return app;
}

static const char as_text[] = "shop, environment development\n"
                              "\n"
                              "services, each after what it injects\n"
                              "  memory_store, singleton (test_describe.c:)\n"
                              "    as store_api 'memory'\n"
                              "  server 'main', singleton (test_describe.c:)\n"
                              "    store <- store_api, that is memory_store\n"
                              "    log <- capp_logger\n"
                              "    options <- http_options\n"
                              "    current <- http_options, current values\n"
                              "  page, scoped (test_describe.c:)\n"
                              "    store <- store_api, that is memory_store\n"
                              "    mirror <- store_api 'mirror', which is not there\n"
                              "    all <- all store_api: store_api 'memory', store_api\n"
                              "    scope <- capp_scope\n"
                              "\n"
                              "objects\n"
                              "  capp_app, the host\n"
                              "  capp_logger, the host\n"
                              "  capp_scope, scoped, the host\n"
                              "  http_options (test_describe.c:)\n"
                              "\n"
                              "other names\n"
                              "  store_api -> store_api 'memory', module stores (test_describe.c:)\n"
                              "\n"
                              "order of start\n"
                              "  1. hook stores (test_describe.c:)\n"
                              "  2. service server 'main' (test_describe.c:)\n"
                              "  3. worker sweeper (test_describe.c:)\n";

static void everything_is_described(void **state)
{
    capp_app *app = build_all();
    char text[4096];
    size_t len = capp_describe(app, CAPP_DESCRIBE_TEXT, text, sizeof(text));

    (void)state;
    assert_int_equal(strlen(text), len);
    assert_string_equal(without_lines(text), as_text);
    capp_free(app);
}

static void the_description_may_be_cut(void **state)
{
    capp_app *app = build_all();
    char text[16], one[1] = {'x'};
    size_t len = capp_describe(app, CAPP_DESCRIBE_TEXT, NULL, 0);

    (void)state;
    assert_true(len > sizeof(text));
    assert_int_equal(capp_describe(app, CAPP_DESCRIBE_TEXT, text, sizeof(text)), len);
    assert_string_equal(text, "shop, environme");
    assert_int_equal(capp_describe(app, CAPP_DESCRIBE_TEXT, one, 1), len);
    assert_int_equal(one[0], '\0');
    assert_int_equal(capp_describe(NULL, CAPP_DESCRIBE_TEXT, text, sizeof(text)), 0);
    assert_string_equal(text, "");
    assert_int_equal(capp_describe(app, (capp_describe_format)7, text, sizeof(text)), 0);
    capp_free(app);
}

/* The number of the node whose label begins like this: what stands behind "n". */
static int node_of(const char *dot, const char *label)
{
    char start[128];
    const char *found;

    snprintf(start, sizeof(start), "label=\"%s\\n", label);
    found = strstr(dot, start);
    if (found == NULL)
        fail_msg("no node '%s' in %s", label, dot);
    while (found > dot && *found != '\n')
        found--;
    assert_int_equal(strncmp(found, "\n  n", 4), 0);
    return (int)strtol(found + 4, NULL, 10);
}

static void the_graph_has_nodes_and_arrows(void **state)
{
    capp_app *app = build_all();
    char dot[8192], arrow[128];

    (void)state;
    assert_true(capp_describe(app, CAPP_DESCRIBE_DOT, dot, sizeof(dot)) < sizeof(dot));
    without_lines(dot);
    assert_int_equal(strncmp(dot, "digraph \"shop\" {\n", 17), 0);
    assert_string_equal(dot + strlen(dot) - 2, "}\n");
    int store = node_of(dot, "memory_store"), page_node = node_of(dot, "page");
    int alias = node_of(dot, "store_api"), interface = node_of(dot, "store_api 'memory'");
    int main_node = node_of(dot, "server 'main'");
    const struct {
        int from, to;
        const char *how;
    } arrows[] = {
        {interface, store, "[style=dotted]"},        {alias, interface, "[style=dotted]"},
        {page_node, alias, "[label=\"store\"]"},     {page_node, alias, "[label=\"all[]\"]"},
        {page_node, interface, "[label=\"all[]\"]"}, {main_node, alias, "[label=\"store\"]"},
    };
    for (size_t i = 0; i < sizeof(arrows) / sizeof(arrows[0]); i++) {
        snprintf(arrow, sizeof(arrow), "  n%d -> n%d %s;\n", arrows[i].from, arrows[i].to, arrows[i].how);
        assert_has(dot, arrow);
    }
    assert_has(dot, "style=dashed, label=\"page\\nscoped\\ntest_describe.c:\"];\n");
    assert_has(dot, "  s1 [shape=cds, label=\"1. hook stores\"];\n");
    snprintf(arrow, sizeof(arrow), "  s2 -> n%d [style=dotted];\n", main_node);
    assert_has(dot, arrow);
    assert_has(dot, "  s2 -> s3 [style=bold];\n");
    capp_free(app);
}

static void describe_with_a_failing_allocation(size_t n, void *user)
{
    char text[64];
    size_t len = capp_describe(user, n % 2 == 0 ? CAPP_DESCRIBE_TEXT : CAPP_DESCRIBE_DOT, text, sizeof(text));

    assert_true(len == 0 ? text[0] == '\0' : len > sizeof(text));
}

static void describing_survives_failing_allocations(void **state)
{
    capp_app *app = build_all();

    (void)state;
    assert_true(alloc_fail_each(describe_with_a_failing_allocation, app) > 1);
    capp_free(app);
}

/* ---- under capp_main() ------------------------------------------------------------------------------- */

/* Runs a program with one argument; gives back its exit status and what it printed. */
static int run_main(const char *argument, bool sound, char *text, size_t size)
{
    int out[2], status = 0;
    size_t len = 0;
    ssize_t got;

    assert_int_equal(pipe(out), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char name[] = "shop", own[32];
        char *argv[] = {name, own, NULL};
        capp_builder *builder = capp_builder_new();

        snprintf(own, sizeof(own), "%s", argument);
        dup2(out[1], STDOUT_FILENO);
        dup2(out[1], STDERR_FILENO);
        add_all(builder, &silent_server_def);
        capp_use_config_args(builder, 2, argv);
        if (!sound)
            capp_add_service(builder, &page_def);
        _exit(capp_main(builder));
    }
    close(out[1]);
    while ((got = read(out[0], text + len, size - 1 - len)) > 0)
        len += (size_t)got;
    text[len] = '\0';
    close(out[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void arguments_ask_for_it(void **state)
{
    char text[8192];

    (void)state;
    assert_int_equal(run_main("--describe", true, text, sizeof(text)), 0);
    assert_string_equal(without_lines(text), as_text); /* and nothing was made */
    assert_int_equal(run_main("--describe-dot", true, text, sizeof(text)), 0);
    assert_int_equal(strncmp(text, "digraph \"shop\" {\n", 17), 0);
}

static void mistakes_come_with_it(void **state)
{
    char text[8192];

    (void)state;
    assert_int_equal(run_main("--describe", false, text, sizeof(text)), 1);
    without_lines(text);
    assert_has(text, "shop: page is registered twice, by the program (test_describe.c:) and by the program "
                     "(test_describe.c:)\n");
    assert_has(text, "  page, scoped (test_describe.c:)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_described),
        cmocka_unit_test(the_description_may_be_cut),
        cmocka_unit_test(the_graph_has_nodes_and_arrows),
        cmocka_unit_test(describing_survives_failing_allocations),
        cmocka_unit_test(arguments_ask_for_it),
        cmocka_unit_test(mistakes_come_with_it),
    };

    unsetenv("CAPP_ENV");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
