/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "capp/logger.h"

#include <errno.h>
#include <unistd.h>

static void lines_look_like_this(void **state)
{
    static const struct {
        capp_log_record record;
        const char *line;
    } rows[] = {
        {{.time_ns = 0, .level = CAPP_LOG_INFO, .category = "app", .message = "started"},
         "1970-01-01T00:00:00.000Z INFO  app: started\n"},
        {{.time_ns = 1763830081123456789, .level = CAPP_LOG_ERROR, .category = "etcd", .message = "x"},
         "2025-11-22T16:48:01.123Z ERROR etcd: x\n"},
        {{.time_ns = 951782399999999999, .level = CAPP_LOG_WARN, .category = "a", .message = ""},
         "2000-02-28T23:59:59.999Z WARN  a: \n"},
    };
    char line[256];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = capp__log_line(line, sizeof(line), &rows[i].record);

        assert_int_equal(len, strlen(rows[i].line));
        assert_memory_equal(line, rows[i].line, len);
    }
}

static void line_keeps_its_newline_when_cut(void **state)
{
    char line[64], text[200];
    capp_log_record record = {.level = CAPP_LOG_INFO, .category = "app", .message = text};

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    size_t len = capp__log_line(line, sizeof(line), &record);
    assert_true(len <= sizeof(line));
    assert_int_equal(line[len - 1], '\n');
}

struct seen {
    int count;
    capp_log_level level;
    char category[64], message[8192];
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
    errno = EPIPE;
}

static void records_reach_the_function(void **state)
{
    struct seen seen = {0};
    struct capp_logger logger = {.fn = see, .user_data = &seen, .level = CAPP_LOG_INFO};

    (void)state;
    errno = ENOENT;
    capp_log(&logger, CAPP_LOG_WARN, "etcd", "%d of %s", 3, "four");
    assert_int_equal(errno, ENOENT);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.level, CAPP_LOG_WARN);
    assert_string_equal(seen.category, "etcd");
    assert_string_equal(seen.message, "3 of four");
    capp_log(&logger, (capp_log_level)77, NULL, "x");
    assert_int_equal(seen.level, CAPP_LOG_ERROR);
    assert_string_equal(seen.category, "app");
}

static void threshold_drops(void **state)
{
    struct seen seen = {0};
    struct capp_logger logger = {.fn = see, .user_data = &seen, .level = CAPP_LOG_INFO};

    (void)state;
    capp_log(&logger, CAPP_LOG_DEBUG, "app", "unseen");
    capp_log(NULL, CAPP_LOG_ERROR, "app", "unseen");
    logger.level = CAPP_LOG_OFF;
    capp_log(&logger, CAPP_LOG_ERROR, "app", "unseen");
    capp_log(&logger, (capp_log_level)77, "app", "unseen");
    assert_int_equal(seen.count, 0);
    assert_false(capp_log_on(NULL, CAPP_LOG_ERROR));
    assert_false(capp_log_on(&logger, CAPP_LOG_ERROR));
    logger.level = CAPP_LOG_TRACE;
    assert_true(capp_log_on(&logger, CAPP_LOG_TRACE));
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
    struct seen seen = {0};
    struct capp_logger logger = {.fn = see, .user_data = &seen};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        capp_log(&logger, CAPP_LOG_INFO, "app", "%s", rows[i].text);
        assert_string_equal(seen.message, rows[i].shown);
    }
    capp_log(&logger, CAPP_LOG_INFO, "a\nb", "x");
    assert_string_equal(seen.category, "a\\x0Ab");
}

static void long_messages_are_cut(void **state)
{
    char text[4096];
    struct seen seen = {0};
    struct capp_logger logger = {.fn = see, .user_data = &seen};

    (void)state;
    memset(text, '\n', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    capp_log(&logger, CAPP_LOG_INFO, "app", "%s", text);
    assert_true(strlen(seen.message) > 4000);
    assert_true(strlen(seen.message) < 4096);
}

/* Standard error is a pipe for the time of one call. */
static void default_goes_to_standard_error(void **state)
{
    struct capp_logger logger = {.level = CAPP_LOG_INFO};
    int fds[2], saved = dup(STDERR_FILENO);
    char text[256];

    (void)state;
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
    struct capp_logger logger = {.level = CAPP_LOG_INFO};
    int saved = dup(STDERR_FILENO);

    (void)state;
    close(STDERR_FILENO);
    capp_log(&logger, CAPP_LOG_INFO, "app", "hello");
    dup2(saved, STDERR_FILENO);
    close(saved);
}

static void levels_have_names(void **state)
{
    (void)state;
    assert_string_equal(capp_log_level_name(CAPP_LOG_TRACE), "TRACE");
    assert_string_equal(capp_log_level_name(CAPP_LOG_ERROR), "ERROR");
    assert_string_equal(capp_log_level_name((capp_log_level)-3), "ERROR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_look_like_this),
        cmocka_unit_test(line_keeps_its_newline_when_cut),
        cmocka_unit_test(records_reach_the_function),
        cmocka_unit_test(threshold_drops),
        cmocka_unit_test(nothing_can_forge_a_line),
        cmocka_unit_test(long_messages_are_cut),
        cmocka_unit_test(default_goes_to_standard_error),
        cmocka_unit_test(closed_standard_error_is_survived),
        cmocka_unit_test(levels_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
