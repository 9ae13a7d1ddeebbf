/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inject macros refuse a field of the wrong type when they are compiled: each case is
 * given to every compiler that is installed. The headers are also compiled as C++.
 */
#include "fixture.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char include_option[4096];

static const char preamble[] =
    "#include <capp.h>\n"
    "typedef struct dep dep; typedef struct other other;\n"
    "CAPP_TYPE_DECLARE(dep); CAPP_TYPE_DEFINE(dep);\n"
    "CAPP_TYPE_DECLARE(svc);\n"
    "typedef struct part { int x; } part; CAPP_TYPE_DEFINE(part);\n"
    "typedef struct svc { dep *right; const dep *constant; other *wrong; void *any; int number;"
    " dep **twice; dep *const *list; other *const *wrong_list; part member; } svc;\n"
    "CAPP_TYPE_DEFINE(svc);\n";

/* Compiles a program from standard input; -1 when there is no such compiler. */
static int compile(const char *compiler, const char *language, const char *standard, const char *text)
{
    char path[] = "/tmp/capp-test-XXXXXX";
    int fd = mkstemp(path), status = 0;
    pid_t pid;
    posix_spawn_file_actions_t actions;
    char *const argv[] = {(char *)compiler, (char *)standard,
                          "-Wall",          "-Wextra",
                          "-Wpedantic",     "-Werror",
                          include_option,   "-x",
                          (char *)language, "-",
                          "-fsyntax-only",  NULL};

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, path, O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int error = posix_spawnp(&pid, compiler, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error == 0)
        assert_int_equal(waitpid(pid, &status, 0), pid);
    unlink(path);
    if (error != 0 || WEXITSTATUS(status) == 127)
        return -1;
    return WEXITSTATUS(status);
}

static void wrong_field_types_do_not_compile(void **state)
{
    static const struct {
        const char *row;
        bool good, provided;
    } rows[] = {
        {"CAPP_INJECT(svc, right, dep)", true, false},
        {"CAPP_INJECT(svc, constant, dep)", true, false},
        {"CAPP_INJECT_NAMED(svc, right, dep, \"a\")", true, false},
        {"CAPP_INJECT_OPT(svc, right, dep)", true, false},
        {"CAPP_INJECT_NAMED_OPT(svc, right, dep, \"a\")", true, false},
        {"CAPP_INJECT(svc, wrong, dep)", false, false},
        {"CAPP_INJECT(svc, any, dep)", false, false},
        {"CAPP_INJECT(svc, number, dep)", false, false},
        {"CAPP_INJECT(svc, twice, dep)", false, false},
        {"CAPP_INJECT(svc, absent, dep)", false, false},
        {"CAPP_INJECT_NAMED(svc, wrong, dep, \"a\")", false, false},
        {"CAPP_INJECT_OPT(svc, wrong, dep)", false, false},
        {"CAPP_INJECT_NAMED_OPT(svc, wrong, dep, \"a\")", false, false},
        {"CAPP_INJECT_LIST(svc, list, dep)", true, false},
        {"CAPP_INJECT_LIST(svc, twice, dep)", true, false},
        {"CAPP_INJECT_LIST(svc, right, dep)", false, false},
        {"CAPP_INJECT_LIST(svc, wrong_list, dep)", false, false},
        {"CAPP_INJECT_LIST(svc, any, dep)", false, false},
        {"CAPP_PROVIDES(svc, member, part)", true, true},
        {"CAPP_PROVIDES_AS(svc, member, part, \"a\")", true, true},
        {"CAPP_PROVIDES(svc, number, part)", false, true},
        {"CAPP_PROVIDES(svc, right, dep)", false, true},
        {"CAPP_PROVIDES_AS(svc, wrong, part, \"a\")", false, true},
    };
    static const char *const compilers[] = {"gcc", "clang", "cc"};
    char text[2048];
    int tried = 0;

    (void)state;
    for (size_t c = 0; c < sizeof(compilers) / sizeof(compilers[0]); c++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            snprintf(text, sizeof(text),
                     "%sstatic const capp_%s rows[] = {%s};\n"
                     "extern const capp_service def;\n"
                     "const capp_service def = CAPP_SERVICE(svc, CAPP_%s(rows));\n",
                     preamble, rows[i].provided ? "provided" : "inject", rows[i].row,
                     rows[i].provided ? "PROVIDED" : "INJECTS");
            int code = compile(compilers[c], "c", "-std=c11", text);

            if (code < 0)
                break;
            tried++;
            if ((code == 0) != rows[i].good)
                fail_msg("%s %s %s", compilers[c], rows[i].good ? "refuses" : "accepts", rows[i].row);
        }
    }
    if (tried == 0)
        skip();
}

static void headers_compile_alone_and_as_cpp(void **state)
{
    static const char *const headers[] = {
        "capp.h",        "capp/scope.h",   "capp/describe.h", "capp/app.h",   "capp/builder.h",
        "capp/cancel.h", "capp/error.h",   "capp/health.h",   "capp/log.h",   "capp/metrics.h",
        "capp/module.h", "capp/service.h", "capp/type.h",     "capp/worker.h"};
    static const struct {
        const char *compiler, *language, *standard;
    } ways[] = {
        {"gcc", "c", "-std=c11"},
        {"clang", "c", "-std=c11"},
        {"g++", "c++", "-std=c++17"},
        {"clang++", "c++", "-std=c++17"},
    };
    char text[256];

    (void)state;
    for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
        for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
            snprintf(text, sizeof(text), "#include <%s>\n", headers[i]);
            int code = compile(ways[w].compiler, ways[w].language, ways[w].standard, text);

            if (code < 0)
                break;
            if (code != 0)
                fail_msg("%s does not compile with %s", headers[i], ways[w].compiler);
        }
    }
}

static void cpp_can_use_the_host(void **state)
{
    static const char text[] = "#include <capp.h>\n"
                               "struct dep;\n"
                               "extern \"C\" { CAPP_TYPE_DECLARE(dep); }\n"
                               "int main()\n{\n"
                               "    capp_builder *builder = capp_builder_new();\n"
                               "    capp_service service = {};\n"
                               "    service.size = sizeof(service);\n"
                               "    service.lifetime = CAPP_SCOPED;\n"
                               "    capp_add_service(builder, &service);\n"
                               "    capp_configure(builder, capp_module_of(\"m\", nullptr, nullptr));\n"
                               "    capp_app *app = nullptr;\n"
                               "    capp_error error;\n"
                               "    if (capp_build(builder, &app, &error) != CAPP_OK) return 1;\n"
                               "    dep *one = capp_get(app, dep, &error);\n"
                               "    dep *two = capp_get_named(app, dep, \"two\", &error);\n"
                               "    capp_scope *scope = nullptr;\n"
                               "    if (capp_scope_new(app, &scope, &error) != CAPP_OK) return 1;\n"
                               "    dep *three = capp_scope_get(scope, dep, &error);\n"
                               "    void *all[1] = {three};\n"
                               "    size_t count = capp_resolve_all(app, &dep_type, all, 1);\n"
                               "    count += capp_describe(app, CAPP_DESCRIBE_DOT, nullptr, 0);\n"
                               "    capp_scope_free(scope);\n"
                               "    capp_free(app);\n"
                               "    return one == two && count > 0;\n}\n";

    (void)state;
    assert_true(compile("g++", "c++", "-std=c++17", text) <= 0);
    assert_true(compile("clang++", "c++", "-std=c++17", text) <= 0);
}

static void structs_of_the_abi_keep_their_size(void **state)
{
    (void)state;
    if (sizeof(void *) != 8)
        skip();
    assert_int_equal(sizeof(capp_inject), 40);
    assert_int_equal(sizeof(capp_provided), 32);
    assert_int_equal(sizeof(capp_module), 96);
    assert_int_equal(sizeof(capp_type), 8);
    assert_int_equal(sizeof(capp_service), 168);
    assert_int_equal(sizeof(capp_hook), 72);
    assert_int_equal(sizeof(capp_log_record), 56);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_field_types_do_not_compile),
        cmocka_unit_test(headers_compile_alone_and_as_cpp),
        cmocka_unit_test(cpp_can_use_the_host),
        cmocka_unit_test(structs_of_the_abi_keep_their_size),
    };
    char file[] = __FILE__;
    char *slash = strrchr(file, '/');

    if (slash != NULL)
        *slash = '\0';
    /* This file lies three folders below the root. */
    snprintf(include_option, sizeof(include_option), "-I%s/../../../include", slash == NULL ? "." : file);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
