/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "capp/host.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

struct seen {
    int count;
    capp_log_level level;
    char category[64], message[8192];
    size_t field_count;
    char name[CAPP_LOG_FIELDS_MAX][64];
    capp_log_field field[CAPP_LOG_FIELDS_MAX];
    char text[CAPP_LOG_FIELDS_MAX][4200];
};

static void see(void *user_data, const capp_log_record *record)
{
    struct seen *seen = user_data;

    seen->count++;
    seen->level = record->level;
    assert_int_equal(record->size, sizeof(*record));
    assert_true(record->time_ns > INT64_C(1700000000) * 1000000000);
    snprintf(seen->category, sizeof(seen->category), "%s", record->category);
    snprintf(seen->message, sizeof(seen->message), "%s", record->message);
    seen->field_count = record->field_count;
    for (size_t i = 0; i < record->field_count; i++) {
        seen->field[i] = record->fields[i];
        snprintf(seen->name[i], sizeof(seen->name[i]), "%s", record->fields[i].name);
        if (record->fields[i].kind == CAPP_LOG_FIELD_TEXT && record->fields[i].text != NULL)
            snprintf(seen->text[i], sizeof(seen->text[i]), "%s", record->fields[i].text);
    }
    errno = EPIPE;
}

/* A log to see(), or to standard error. */
static void make_logger(struct capp_logger *logger, struct seen *seen, int level)
{
    memset(logger, 0, sizeof(*logger));
    capp__logger_init(logger);
    logger->fn = see;
    logger->user_data = seen;
    logger->output = seen == NULL ? CAPP__LOG_STDERR : CAPP__LOG_FUNCTION;
    capp__logger_set_level(logger, level);
}

static void records_reach_the_function(void **state)
{
    static struct seen seen;
    struct capp_logger logger;

    (void)state;
    make_logger(&logger, &seen, CAPP_LOG_INFO);
    errno = ENOENT;
    capp_log(&logger, CAPP_LOG_WARN, "etcd", "%d of %s", 3, "four");
    assert_int_equal(errno, ENOENT);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.level, CAPP_LOG_WARN);
    assert_string_equal(seen.category, "etcd");
    assert_string_equal(seen.message, "3 of four");
    assert_int_equal(seen.field_count, 0);
    capp_log(&logger, (capp_log_level)77, NULL, "x");
    assert_int_equal(seen.level, CAPP_LOG_ERROR);
    assert_string_equal(seen.category, "app");
    assert_int_equal(logger.records[CAPP_LOG_WARN], 1);
    assert_int_equal(logger.records[CAPP_LOG_ERROR], 1);
    assert_int_equal(logger.records[CAPP_LOG_INFO], 0);
}

static void threshold_drops(void **state)
{
    static struct seen seen;
    struct capp_logger logger;

    (void)state;
    seen.count = 0;
    make_logger(&logger, &seen, CAPP_LOG_INFO);
    capp_log(&logger, CAPP_LOG_DEBUG, "app", "unseen");
    capp_log(NULL, CAPP_LOG_ERROR, "app", "unseen");
    capp__logger_set_level(&logger, CAPP_LOG_OFF);
    capp_log(&logger, CAPP_LOG_ERROR, "app", "unseen");
    capp_log(&logger, (capp_log_level)77, "app", "unseen");
    assert_int_equal(seen.count, 0);
    assert_false(capp_log_on(NULL, CAPP_LOG_ERROR));
    assert_false(capp_log_category_on(NULL, CAPP_LOG_ERROR, "app"));
    assert_false(capp_log_on(&logger, CAPP_LOG_ERROR));
    capp__logger_set_level(&logger, CAPP_LOG_TRACE);
    assert_true(capp_log_on(&logger, CAPP_LOG_TRACE));
}

static void categories_have_levels_of_their_own(void **state)
{
    static struct seen seen;
    struct capp_logger logger;

    (void)state;
    seen.count = 0;
    make_logger(&logger, &seen, CAPP_LOG_WARN);
    assert_true(capp__logger_set_category(&logger, "etcd", CAPP_LOG_DEBUG));
    assert_true(capp__logger_set_category(&logger, "chatter", CAPP_LOG_OFF));
    capp_log(&logger, CAPP_LOG_DEBUG, "etcd", "seen");
    capp_log(&logger, CAPP_LOG_TRACE, "etcd", "unseen");
    capp_log(&logger, CAPP_LOG_INFO, "app", "unseen");
    capp_log(&logger, CAPP_LOG_ERROR, "chatter", "unseen");
    capp_log(&logger, CAPP_LOG_WARN, "app", "seen");
    assert_int_equal(seen.count, 2);
    assert_true(capp_log_category_on(&logger, CAPP_LOG_DEBUG, "etcd"));
    assert_false(capp_log_category_on(&logger, CAPP_LOG_DEBUG, NULL));
    assert_false(capp_log_on(&logger, CAPP_LOG_DEBUG));
    /* Back to the common one. */
    assert_true(capp__logger_set_category(&logger, "etcd", CAPP__LOG_INHERIT));
    assert_false(capp_log_category_on(&logger, CAPP_LOG_DEBUG, "etcd"));
    capp__logger_set_level(&logger, CAPP_LOG_TRACE);
    assert_true(capp_log_category_on(&logger, CAPP_LOG_TRACE, "etcd"));
    assert_false(capp_log_category_on(&logger, CAPP_LOG_ERROR, "chatter"));
}

static void there_are_32_of_them(void **state)
{
    struct capp_logger logger;
    char name[32];

    (void)state;
    make_logger(&logger, NULL, CAPP_LOG_INFO);
    for (int i = 0; i < CAPP__LOG_CATEGORIES; i++) {
        snprintf(name, sizeof(name), "category%d", i);
        assert_true(capp__logger_set_category(&logger, name, CAPP_LOG_ERROR));
    }
    assert_false(capp__logger_set_category(&logger, "more", CAPP_LOG_ERROR));
    assert_true(capp__logger_set_category(&logger, "category31", CAPP_LOG_DEBUG));
}

static atomic_bool levels_settled;

static void *log_meanwhile(void *arg)
{
    const struct capp_logger *logger = arg;
    char name[32];

    for (int i = 0; !levels_settled; i++) {
        snprintf(name, sizeof(name), "category%d", i % CAPP__LOG_CATEGORIES);
        capp_log(logger, CAPP_LOG_INFO, name, "line %d", i);
        assert_true(capp_log_category_on(logger, CAPP_LOG_ERROR, name));
    }
    return NULL;
}

static void count_only(void *user_data, const capp_log_record *record)
{
    (void)record;
    atomic_fetch_add((atomic_int *)user_data, 1);
}

/* A reload changes levels and adds categories while everybody logs; nobody waits, nobody sees half a name. */
static void levels_change_under_way(void **state)
{
    static struct capp_logger logger;
    atomic_int count = 0;
    pthread_t threads[4];
    char name[32];

    (void)state;
    make_logger(&logger, NULL, CAPP_LOG_WARN);
    logger.fn = count_only;
    logger.user_data = &count;
    logger.output = CAPP__LOG_FUNCTION;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_meanwhile, &logger), 0);
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "category%d", i % CAPP__LOG_CATEGORIES);
        assert_true(capp__logger_set_category(&logger, name, i % 2 == 0 ? CAPP_LOG_INFO : CAPP__LOG_INHERIT));
        capp__logger_set_level(&logger, i % 3 == 0 ? CAPP_LOG_ERROR : CAPP_LOG_WARN);
    }
    while (count == 0)
        sched_yield();
    levels_settled = true;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&logger.records[CAPP_LOG_INFO]), count);
}

static void nothing_can_forge_a_line(void **state)
{
    static const struct {
        const char *text, *shown;
    } rows[] = {
        {"a\nINFO app: b", "a\\x0AINFO app: b"},
        {"\x1b[31mred", "\\x1B[31mred"},
        {"del\x7f", "del\\x7F"},
        {"bad \xff utf", "bad \\xFF utf"},
        {"fine \xc3\xa9 'q' \"d\" \\", "fine \xc3\xa9 'q' \"d\" \\"},
    };
    static struct seen seen;
    struct capp_logger logger;

    (void)state;
    make_logger(&logger, &seen, CAPP_LOG_TRACE);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        capp_log_with(&logger, CAPP_LOG_INFO, "app", CAPP_LOG_FIELDS(CAPP_LOG_TEXT("value", rows[i].text)),
                      "%s", rows[i].text);
        assert_string_equal(seen.message, rows[i].shown);
        assert_string_equal(seen.text[0], rows[i].shown);
    }
    capp_log(&logger, CAPP_LOG_INFO, "a\nb", "x");
    assert_string_equal(seen.category, "a\\x0Ab");
}

static void fields_keep_kind_and_value(void **state)
{
    static struct seen seen;
    struct capp_logger logger;

    (void)state;
    make_logger(&logger, &seen, CAPP_LOG_TRACE);
    errno = ENOENT;
    capp_log_with(&logger, CAPP_LOG_INFO, "app",
                  CAPP_LOG_FIELDS(CAPP_LOG_TEXT("client", "config"), CAPP_LOG_INT("attempt", 3),
                                  CAPP_LOG_BOOL("ok", true), CAPP_LOG_MS("took", 250),
                                  CAPP_LOG_TEXT("none", NULL)),
                  "done");
    assert_int_equal(errno, ENOENT);
    assert_int_equal(seen.field_count, 5);
    assert_string_equal(seen.name[0], "client");
    assert_string_equal(seen.text[0], "config");
    assert_int_equal(seen.field[1].number, 3);
    assert_int_equal(seen.field[2].kind, CAPP_LOG_FIELD_BOOL);
    assert_int_equal(seen.field[2].number, 1);
    assert_string_equal(seen.name[3], "took_ms");
    assert_int_equal(seen.field[3].number, 250);
    assert_null(seen.field[4].text);
    capp_log_with(&logger, CAPP_LOG_INFO, "app", NULL, 3, "no fields");
    assert_int_equal(seen.field_count, 0);
}

static void names_never_collide(void **state)
{
    static const char *const shown[] = {"time_2", "level_2", "category_2", "message_2", "a_b",   "a_b_2",
                                        "a_b_3",  "took_ms", "took_ms_2",  "field",     "x.y-z", "field_2"};
    static struct seen seen;
    struct capp_logger logger;
    char longest[200];

    (void)state;
    make_logger(&logger, &seen, CAPP_LOG_TRACE);
    capp_log_with(&logger, CAPP_LOG_INFO, "app",
                  CAPP_LOG_FIELDS(CAPP_LOG_INT("time", 1), CAPP_LOG_INT("level", 1),
                                  CAPP_LOG_INT("category", 1), CAPP_LOG_INT("message", 1),
                                  CAPP_LOG_INT("a b", 1), CAPP_LOG_INT("a\"b", 1), CAPP_LOG_INT("a_b", 1),
                                  CAPP_LOG_INT("took_ms", 1), CAPP_LOG_MS("took", 1), CAPP_LOG_INT("", 1),
                                  CAPP_LOG_INT("x.y-z", 1), CAPP_LOG_INT(NULL, 1)),
                  "x");
    assert_int_equal(seen.field_count, sizeof(shown) / sizeof(shown[0]));
    for (size_t i = 0; i < seen.field_count; i++)
        assert_string_equal(seen.name[i], shown[i]);
    memset(longest, 'n', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    capp_log_with(&logger, CAPP_LOG_INFO, "app",
                  CAPP_LOG_FIELDS(CAPP_LOG_MS(longest, 1), CAPP_LOG_MS(longest, 1)), "x");
    assert_int_equal(strlen(seen.name[0]), 58);
    assert_int_equal(strlen(seen.name[1]), 60);
}

static void long_texts_are_cut(void **state)
{
    static char text[8192];
    static struct seen seen;
    struct capp_logger logger;
    capp_log_field fields[CAPP_LOG_FIELDS_MAX + 5];
    size_t sum = 0;

    (void)state;
    make_logger(&logger, &seen, CAPP_LOG_TRACE);
    memset(text, '\n', sizeof(text) - 1);
    capp_log(&logger, CAPP_LOG_INFO, "app", "%s", text);
    assert_true(strlen(seen.message) > 4000);
    assert_true(strlen(seen.message) < 4096);
    memset(text, 'x', sizeof(text) - 1);
    for (size_t i = 0; i < CAPP_LOG_FIELDS_MAX + 5; i++)
        fields[i] = CAPP_LOG_TEXT("f", text);
    capp_log_with(&logger, CAPP_LOG_INFO, "app", fields, CAPP_LOG_FIELDS_MAX + 5, "x");
    assert_int_equal(seen.field_count, CAPP_LOG_FIELDS_MAX);
    assert_int_equal(strlen(seen.text[0]), 1023);
    for (size_t i = 0; i < CAPP_LOG_FIELDS_MAX; i++)
        sum += strlen(seen.text[i]);
    assert_in_range(sum, 4000, 4096);
    /* A text is never cut inside of a character. */
    for (size_t i = 0; i + 3 < sizeof(text); i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3);
    capp_log_with(&logger, CAPP_LOG_INFO, "app", CAPP_LOG_FIELDS(CAPP_LOG_TEXT("euro", text)), "x");
    assert_int_equal(strlen(seen.text[0]), 1023);
    assert_null(strstr(seen.text[0], "\\x"));
}

/* Standard error is a pipe for the time of one call. */
static void default_goes_to_standard_error(void **state)
{
    struct capp_logger logger;
    int fds[2], saved = dup(STDERR_FILENO);
    char text[256];

    (void)state;
    make_logger(&logger, NULL, CAPP_LOG_INFO);
    assert_int_equal(pipe(fds), 0);
    dup2(fds[1], STDERR_FILENO);
    capp_log(&logger, CAPP_LOG_INFO, "app", "hello");
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(fds[1]);
    ssize_t len = read(fds[0], text, sizeof(text) - 1);
    close(fds[0]);
    assert_true(len > 0);
    text[len] = '\0';
    assert_string_equal(text + 24, " INFO  app: hello\n");
}

static void closed_standard_error_is_survived(void **state)
{
    struct capp_logger logger;
    int saved = dup(STDERR_FILENO);

    (void)state;
    make_logger(&logger, NULL, CAPP_LOG_INFO);
    close(STDERR_FILENO);
    capp_log(&logger, CAPP_LOG_INFO, "app", "hello");
    dup2(saved, STDERR_FILENO);
    close(saved);
    assert_int_equal(logger.sink.lost, 1);
}

/* Nobody reads standard error any more: that is no reason to die, and leaves no signal behind. */
static void broken_standard_error_is_survived(void **state)
{
    struct capp_logger logger;
    int fds[2], saved = dup(STDERR_FILENO);
    sigset_t before, after, pending;

    (void)state;
    make_logger(&logger, NULL, CAPP_LOG_INFO);
    assert_int_equal(pipe(fds), 0);
    dup2(fds[1], STDERR_FILENO);
    close(fds[0]);
    close(fds[1]);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    capp_log(&logger, CAPP_LOG_INFO, "app", "hello");
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    dup2(saved, STDERR_FILENO);
    close(saved);
    assert_int_equal(logger.sink.lost, 1);
    assert_int_equal(sigismember(&before, SIGPIPE), sigismember(&after, SIGPIPE));
    sigpending(&pending);
    assert_false(sigismember(&pending, SIGPIPE));
}

static void levels_have_names(void **state)
{
    (void)state;
    assert_string_equal(capp_log_level_name(CAPP_LOG_TRACE), "TRACE");
    assert_string_equal(capp_log_level_name(CAPP_LOG_ERROR), "ERROR");
    assert_string_equal(capp_log_level_name((capp_log_level)-3), "ERROR");
}

/* ---- how a program says what it wants ------------------------------------------------------------------ */

static void bad_wishes_are_mistakes(void **state)
{
    static const char *const expected[] = {
        "capp_use_log_level: level is 6",
        "capp_use_log_file: path is NULL or empty",
        "capp_use_log_syslog: facility is 24",
        "capp_use_log_format: format is 2",
        "capp_use_log_category_level: category 'a b' is not 1-63 characters of A-Z a-z 0-9 _ - .",
        "capp_use_log_category_level: level is -1",
    };
    static struct log_text log;
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    capp_use_log_level(builder, (capp_log_level)6);
    capp_use_log_file(builder, "");
    capp_use_log_syslog(builder, (capp_log_facility)24);
    capp_use_log_format(builder, (capp_log_format)2);
    capp_use_log_category_level(builder, "a b", CAPP_LOG_INFO);
    capp_use_log_category_level(builder, "good", (capp_log_level)-1);
    assert_int_equal(capp_build(builder, &app, &error), CAPP_E_INVALID_ARGUMENT);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_has(log.text, expected[i]);
    capp_use_log_level(NULL, CAPP_LOG_INFO);
    capp_use_log_file(NULL, "x");
    capp_use_log_syslog(NULL, CAPP_LOG_FACILITY_DEFAULT);
    capp_use_log_format(NULL, CAPP_LOG_FORMAT_JSON);
    capp_use_log_category_level(NULL, "x", CAPP_LOG_INFO);
}

static void a_file_that_cannot_be_opened_is_a_mistake(void **state)
{
    capp_builder *builder = capp_builder_new();
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    capp_use_log_level(builder, CAPP_LOG_OFF);
    capp_use_log_file(builder, "/nowhere/at all/app.log");
    assert_int_equal(capp_build(builder, &app, &error), CAPP_E_IO);
    assert_string_equal(
        error.message,
        "capp_use_log_file: log file '/nowhere/at all/app.log': cannot open it: No such file or directory");
}

static void the_last_call_counts(void **state)
{
    static struct log_text log;
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;

    (void)state;
    capp_use_log_file(builder, "/nowhere/app.log");
    capp_use_log(builder, log_collect, &log);
    capp_use_log_category_level(builder, "orders", CAPP_LOG_TRACE);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    capp_log(capp_app_logger(app), CAPP_LOG_TRACE, "orders", "seen");
    capp_log(capp_app_logger(app), CAPP_LOG_TRACE, "other", "unseen");
    assert_string_equal(log.text, "TRACE orders: seen\n");
    capp_free(app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_reach_the_function),
        cmocka_unit_test(threshold_drops),
        cmocka_unit_test(categories_have_levels_of_their_own),
        cmocka_unit_test(there_are_32_of_them),
        cmocka_unit_test(levels_change_under_way),
        cmocka_unit_test(nothing_can_forge_a_line),
        cmocka_unit_test(fields_keep_kind_and_value),
        cmocka_unit_test(names_never_collide),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(default_goes_to_standard_error),
        cmocka_unit_test(closed_standard_error_is_survived),
        cmocka_unit_test(broken_standard_error_is_survived),
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test(bad_wishes_are_mistakes),
        cmocka_unit_test(a_file_that_cannot_be_opened_is_a_mistake),
        cmocka_unit_test(the_last_call_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
