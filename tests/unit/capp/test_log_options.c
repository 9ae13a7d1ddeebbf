/* SPDX-License-Identifier: Apache-2.0 */
/* The options `app.log.*`: what they decide, what is refused, what a reload changes. */
#include "child.h"
#include "config_fixture.h"
#include "json.h"

#include "capp/host.h"

#include <fcntl.h>

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static const char *read_file(const char *name)
{
    static char text[16384];
    int fd = open(path_of(name), O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    ssize_t len = read(fd, text, sizeof(text) - 1);
    assert_true(len >= 0);
    text[len] = '\0';
    close(fd);
    return text;
}

/* Builds from "app.yaml" with this text, in which %s stands for the folder. */
static capp_status build(capp_builder *builder, const char *text, capp_app **ret_app, capp_error *error)
{
    char yaml[1024];
    const char *place = strstr(text, "%s");

    snprintf(yaml, sizeof(yaml), "%.*s%s%s", place == NULL ? (int)strlen(text) : (int)(place - text), text,
             place == NULL ? "" : folder, place == NULL ? "" : place + 2);
    capp_use_config_file(builder, write_file("app.yaml", yaml), 0);
    *ret_app = NULL;
    return capp_build(builder, ret_app, error);
}

static capp_app *must_build(capp_builder *builder, const char *text)
{
    capp_app *app;
    capp_error error;

    if (build(builder, text, &app, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    return app;
}

static void a_file_in_json(void **state)
{
    capp_app *app = must_build(capp_builder_new(), "app: {log: {file: %s/a.log, format: json, level: debug, "
                                                   "levels: [etcd=trace, chatter=off]}}\n");
    const capp_logger *log = capp_app_logger(app);
    char *text, value[64];

    (void)state;
    capp_log(log, CAPP_LOG_DEBUG, "app", "one");
    capp_log(log, CAPP_LOG_TRACE, "app", "unseen");
    capp_log(log, CAPP_LOG_TRACE, "etcd", "two");
    capp_log(log, CAPP_LOG_ERROR, "chatter", "unseen");
    capp_free(app);
    text = (char *)(uintptr_t)read_file("a.log");
    assert_null(strstr(text, "unseen"));
    *strchr(text, '\n') = '\0';
    assert_string_equal(json_text(text, "message", value, sizeof(value)), "one");
    text += strlen(text) + 1;
    *strchr(text, '\n') = '\0';
    assert_string_equal(json_text(text, "message", value, sizeof(value)), "two");
    assert_string_equal(text + strlen(text) + 1, "");
}

static void options_win_over_calls(void **state)
{
    static struct log_text log;
    capp_builder *builder = quiet_builder(&log);

    (void)state;
    capp_use_log_level(builder, CAPP_LOG_OFF);
    capp_use_log_format(builder, CAPP_LOG_FORMAT_JSON);
    capp_use_log_category_level(builder, "etcd", CAPP_LOG_DEBUG);
    capp_use_log_category_level(builder, "orders", CAPP_LOG_ERROR);
    capp_app *app = must_build(builder,
                               "app: {log: {output: file, file: %s/b.log, format: text, level: INFO, "
                               "levels: [orders=trace]}}\n");
    capp_log(capp_app_logger(app), CAPP_LOG_INFO, "app", "seen");
    capp_log(capp_app_logger(app), CAPP_LOG_TRACE, "orders", "seen too");
    capp_log(capp_app_logger(app), CAPP_LOG_DEBUG, "etcd", "and this");
    capp_free(app);
    assert_string_equal(log.text, "");
    assert_has(read_file("b.log"), " INFO  app: seen\n");
    assert_has(read_file("b.log"), " TRACE orders: seen too\n");
    assert_has(read_file("b.log"), " DEBUG etcd: and this\n");
}

static void without_options_the_calls_count(void **state)
{
    static struct log_text log;
    capp_app *app = must_build(quiet_builder(&log), "app: {log: {level: warn}}\n");
    char dump[4096];

    (void)state;
    capp_log(capp_app_logger(app), CAPP_LOG_INFO, "app", "unseen");
    capp_log(capp_app_logger(app), CAPP_LOG_WARN, "app", "seen");
    assert_string_equal(log.text, "WARN app: seen\n");
    assert_true(capp_config_dump(app, dump, sizeof(dump)) < sizeof(dump));
    assert_has(dump, "app.log.level: warn  # ");
    assert_has(dump, "app.log.format: text  # ");
    assert_has(dump, "app.log.output: function  # ");
    capp_free(app);
}

static void mistakes_have_their_place(void **state)
{
    static const struct {
        const char *yaml;
        capp_status status;
        const char *says;
    } rows[] = {
        {"app: {log: {output: file}}\n", CAPP_E_INVALID_ARGUMENT,
         "app.yaml:1:21: app.log.output: there is no app.log.file"},
        {"app:\n  log:\n    file: /nowhere/app.log\n", CAPP_E_IO,
         "app.yaml:3:11: app.log.file: log file '/nowhere/app.log': cannot open it: No such file or "
         "directory"},
        {"app: {log: {level: loud}}\n", CAPP_E_INVALID_ARGUMENT, "app.yaml:1:20: app.log.level: "},
        {"app: {log: {levels: [etcd]}}\n", CAPP_E_INVALID_ARGUMENT, "levels: 'etcd' is not category=level"},
        {"app: {log: {levels: [etcd=loud]}}\n", CAPP_E_INVALID_ARGUMENT,
         "levels: 'etcd=loud' is not category=level, with one of trace, debug, info, warn, error, off"},
        {"app: {log: {levels: [a b=info]}}\n", CAPP_E_INVALID_ARGUMENT,
         "levels: 'a b=info' is not category=level"},
        {"app: {log: {levle: info}}\n", CAPP_E_INVALID_ARGUMENT,
         "there is no option 'app.log.levle'; did you mean 'app.log.level'?"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        capp_app *app;
        capp_error error;

        assert_int_equal(build(quiet_builder(NULL), rows[i].yaml, &app, &error), rows[i].status);
        assert_has(error.message, rows[i].says);
    }
    capp_builder *builder = capp_builder_new();
    capp_app *app;
    capp_error error;
    capp_use_log_level(builder, CAPP_LOG_OFF);
    assert_int_equal(build(builder, "app: {log: {output: function}}\n", &app, &error),
                     CAPP_E_INVALID_ARGUMENT);
    assert_has(error.message, "app.log.output: the program has no function for its log");
}

static void a_reload_changes_levels_at_once(void **state)
{
    static struct log_text log;
    capp_builder *builder = quiet_builder(&log);

    (void)state;
    capp_use_log_category_level(builder, "orders", CAPP_LOG_ERROR);
    capp_app *app = must_build(builder, "app: {log: {levels: [etcd=debug, orders=trace]}}\n");
    const capp_logger *logger = capp_app_logger(app);
    assert_true(capp_log_category_on(logger, CAPP_LOG_DEBUG, "etcd"));
    assert_true(capp_log_category_on(logger, CAPP_LOG_TRACE, "orders"));
    write_file("app.yaml", "app: {log: {level: error, levels: [other=info]}}\n");
    must_reload(app);
    assert_false(capp_log_category_on(logger, CAPP_LOG_WARN, "etcd"));
    assert_false(capp_log_category_on(logger, CAPP_LOG_WARN, "orders")); /* as the program wants it */
    assert_true(capp_log_category_on(logger, CAPP_LOG_ERROR, "orders"));
    assert_true(capp_log_category_on(logger, CAPP_LOG_INFO, "other"));
    assert_false(capp_log_on(logger, CAPP_LOG_WARN));
    write_file("app.yaml", "{}\n");
    must_reload(app);
    assert_true(capp_log_on(logger, CAPP_LOG_INFO));
    assert_true(capp_log_category_on(logger, CAPP_LOG_INFO, "etcd"));
    assert_false(capp_log_category_on(logger, CAPP_LOG_DEBUG, "other"));
    /* A mistake changes nothing. */
    write_file("app.yaml", "app: {log: {level: debug, levels: [nonsense]}}\n");
    assert_false(capp__reload_now(app, NULL));
    assert_false(capp_log_on(logger, CAPP_LOG_DEBUG));
    /* The rest waits for the next start, and that is said. */
    write_file("app.yaml", "app: {log: {format: json}}\n");
    must_reload(app);
    assert_has(log.text, "INFO config: app.log.format changed");
    assert_has(log.text, ": takes effect at the next start\n");
    capp_free(app);
}

static capp_status rotate(capp_worker *worker, void *user_data, capp_error *reterr)
{
    capp_app *app = capp_worker_app(worker);
    char old[160];

    (void)user_data;
    (void)reterr;
    while (!capp_app_is_ready(app))
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    snprintf(old, sizeof(old), "%s.1", path_of("c.log"));
    assert_int_equal(rename(path_of("c.log"), old), 0);
    capp_reload(app);
    while (access(path_of("c.log"), F_OK) != 0)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    capp_stop(app);
    return CAPP_OK;
}

/* The whole way: rename, then what SIGHUP does. */
static void a_reload_opens_the_file_again(void **state)
{
    capp_builder *builder = capp_builder_new();

    (void)state;
    capp_add_worker(builder, "rotate", rotate, NULL);
    capp_app *app = must_build(builder, "app: {log: {file: %s/c.log}}\n");
    assert_int_equal(capp_run(app, NULL), CAPP_OK);
    capp_free(app);
    assert_has(read_file("c.log.1"), " INFO  app: started\n");
    assert_has(read_file("c.log"), " INFO  app: stopped\n");
    assert_null(strstr(read_file("c.log"), "app: started"));
}

/* ---- questions and ends ----------------------------------------------------------------------------------
 */

static const char *the_log; /* of the program in the child */

static int program_with_a_log(capp_builder *builder)
{
    capp_use_log_file(builder, the_log);
    return capp_main(builder);
}

static int asked_program(void)
{
    char program[] = "program", question[] = "--check-config";
    char *argv[] = {program, question, NULL};
    capp_builder *builder = capp_builder_new();

    capp_use_config_args(builder, 2, argv);
    return program_with_a_log(builder);
}

/* --check-config by root must not leave a file that the service then cannot write to. */
static void questions_make_no_file(void **state)
{
    the_log = path_of("asked.log");
    struct child child = spawn(asked_program);

    (void)state;
    assert_int_equal(reap(&child), 0);
    assert_int_equal(access(path_of("asked.log"), F_OK), -1);
}

static capp_status deaf(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)user_data;
    (void)reterr;
    capp_log(capp_app_logger(capp_worker_app(worker)), CAPP_LOG_INFO, "deaf", "last words");
    for (;;)
        pause();
    return CAPP_OK;
}

static capp_status fails(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)user_data;
    capp_log(capp_app_logger(capp_worker_app(worker)), CAPP_LOG_INFO, "worker", "last words");
    return capp_fail(reterr, CAPP_E_IO, "disk on fire");
}

static int deaf_program(void)
{
    capp_builder *builder = capp_builder_new();

    capp_add_worker(builder, "deaf", deaf, NULL);
    return program_with_a_log(builder);
}

static int left_program(void)
{
    capp_builder *builder = capp_builder_new();

    capp_use_shutdown_timeout(builder, 50);
    capp_add_worker(builder, "deaf", deaf, NULL);
    return program_with_a_log(builder);
}

static int failing_program(void)
{
    capp_builder *builder = capp_builder_new();

    capp_add_worker(builder, "fails", fails, NULL);
    return program_with_a_log(builder);
}

static int unbuilt_program(void)
{
    capp_builder *builder = capp_builder_new();

    capp_add_worker(builder, "bad name", fails, NULL);
    return program_with_a_log(builder);
}

/* Waits until the file says it. */
static void await_line(const char *name, const char *word)
{
    int64_t until = now_ms() + 20000 * ETCDC_TIME_SCALE;

    while (access(path_of(name), F_OK) != 0 || strstr(read_file(name), word) == NULL) {
        if (now_ms() > until)
            fail_msg("'%s' is not in %s", word, name);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
}

/* Whichever way a program ends, what it has logged is in the file: to its last line. */
static void every_end_leaves_a_whole_log(void **state)
{
    static const struct {
        const char *name;
        int (*program)(void);
        int signals, code; /* SIGTERMs that it gets, and its exit status */
        const char *lines[4], *printed;
    } rows[] = {
        {"deaf.log",
         deaf_program,
         2,
         128 + SIGTERM,
         {" INFO  deaf: last words\n", " INFO  app: stopping (SIGTERM)\n"},
         ""},
        {"left.log",
         left_program,
         1,
         1,
         {" INFO  deaf: last words\n", " ERROR app: stopped, but not all of it: a thread was left behind\n"},
         "app: worker 'deaf' did not end within the shutdown limit of 50 ms\n"},
        {"failing.log",
         failing_program,
         0,
         1,
         {" INFO  worker: last words\n", " INFO  app: stopped\n"},
         "app: worker 'fails': disk on fire\n"},
        {"unbuilt.log",
         unbuilt_program,
         0,
         1,
         {" ERROR build: ", "name 'bad name' is not"},
         "name 'bad name' is not"},
        {"killed.log",
         deaf_program,
         -1,
         128 + SIGKILL,
         {" INFO  deaf: last words\n", " INFO  app: started\n"},
         ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static char path[128];

        snprintf(path, sizeof(path), "%s", path_of(rows[i].name));
        the_log = path;
        struct child child = spawn(rows[i].program);
        if (rows[i].signals != 0) {
            await_line(rows[i].name, "app: started\n");
            await_line(rows[i].name, "last words\n");
        }
        if (rows[i].signals < 0)
            kill(child.pid, SIGKILL);
        for (int n = 0; n < rows[i].signals; n++) {
            kill(child.pid, SIGTERM);
            await_line(rows[i].name, "stopping (SIGTERM)\n");
        }
        assert_int_equal(reap(&child), rows[i].code);
        assert_has(child.text, rows[i].printed);
        for (size_t n = 0; n < 4 && rows[i].lines[n] != NULL; n++)
            assert_has(read_file(rows[i].name), rows[i].lines[n]);
        const char *text = read_file(rows[i].name);
        assert_int_equal(text[strlen(text) - 1], '\n');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_in_json),
        cmocka_unit_test(options_win_over_calls),
        cmocka_unit_test(without_options_the_calls_count),
        cmocka_unit_test(mistakes_have_their_place),
        cmocka_unit_test(a_reload_changes_levels_at_once),
        cmocka_unit_test(a_reload_opens_the_file_again),
        cmocka_unit_test(questions_make_no_file),
        cmocka_unit_test(every_end_leaves_a_whole_log),
    };

    unsetenv("CAPP_ENV");
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
