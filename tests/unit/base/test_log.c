/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "support/test.h"

struct seen {
    int lines;
    etcd_log_level level;
    char component[32], message[2000];
};

static void keep(void *user_data, etcd_log_level level, const char *component, const char *message)
{
    struct seen *seen = user_data;

    seen->lines++;
    seen->level = level;
    strcpy(seen->component, component);
    strcpy(seen->message, message);
}

static void silent_without_a_function(void **state)
{
    struct etcd__log log = {0};

    (void)state;
    assert_false(etcd__log_on(&log, ETCD_LOG_ERROR));
    etcd__log(&log, ETCD_LOG_ERROR, "test", "nothing");
}

static void level_filters(void **state)
{
    struct seen seen = {0};
    struct etcd__log log = {.fn = keep, .user_data = &seen, .level = ETCD_LOG_INFO};

    (void)state;
    etcd__log(&log, ETCD_LOG_DEBUG, "test", "dropped");
    assert_int_equal(seen.lines, 0);
    etcd__log(&log, ETCD_LOG_INFO, "test", "%s %d", "kept", 1);
    assert_int_equal(seen.lines, 1);
    assert_int_equal(seen.level, ETCD_LOG_INFO);
    assert_string_equal(seen.component, "test");
    assert_string_equal(seen.message, "kept 1");
}

static void lines_are_clean_and_short(void **state)
{
    struct seen seen = {0};
    struct etcd__log log = {.fn = keep, .user_data = &seen, .level = ETCD_LOG_TRACE};
    char text[3000];

    (void)state;
    etcd__log(&log, ETCD_LOG_WARN, "test", "%s", "a\nb \"quoted\" \x1b[1m");
    assert_string_equal(seen.message, "a\\x0Ab \"quoted\" \\x1B[1m");
    memset(text, '\n', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    etcd__log(&log, ETCD_LOG_WARN, "test", "%s", text);
    assert_true(strlen(seen.message) < 1024);
    assert_string_equal(seen.message + strlen(seen.message) - 3, "...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silent_without_a_function),
        cmocka_unit_test(level_filters),
        cmocka_unit_test(lines_are_clean_and_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
