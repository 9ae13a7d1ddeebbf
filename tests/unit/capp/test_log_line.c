/* SPDX-License-Identifier: Apache-2.0 */
/* What records look like, in both formats and as datagrams. */
#include "json.h"

#include "capp/host.h"

#include <unistd.h>

static const capp_log_field all_kinds[] = {
    {"client", CAPP_LOG_FIELD_TEXT, 0, "config", 0},
    {"said", CAPP_LOG_FIELD_TEXT, 0, "she said \"no\"", 0},
    {"path", CAPP_LOG_FIELD_TEXT, 0, "C:\\x", 0},
    {"pair", CAPP_LOG_FIELD_TEXT, 0, "a=b", 0},
    {"empty", CAPP_LOG_FIELD_TEXT, 0, "", 0},
    {"none", CAPP_LOG_FIELD_TEXT, 0, NULL, 0},
    {"euro", CAPP_LOG_FIELD_TEXT, 0, "\xe2\x82\xac", 0},
    {"attempt", CAPP_LOG_FIELD_INT, 0, NULL, 3},
    {"least", CAPP_LOG_FIELD_INT, 0, NULL, INT64_MIN},
    {"most", CAPP_LOG_FIELD_INT, 0, NULL, INT64_MAX},
    {"ok", CAPP_LOG_FIELD_BOOL, 0, NULL, 1},
    {"bad", CAPP_LOG_FIELD_BOOL, 0, NULL, 0},
    {"took_ms", CAPP_LOG_FIELD_DURATION_MS, 0, NULL, 250},
};

static const struct {
    capp_log_record record;
    const char *text, *json, *datagram;
} rows[] = {
    {{.time_ns = 0, .level = CAPP_LOG_INFO, .category = "app", .message = "started"},
     "1970-01-01T00:00:00.000Z INFO  app: started\n",
     "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"INFO\",\"category\":\"app\",\"message\":\"started\"}"
     "\n",
     "<30>Jan  1 00:00:00 my-app[PID]: app: started"},
    {{.time_ns = 1763830081123456789,
      .level = CAPP_LOG_ERROR,
      .category = "etcd",
      .message = "a \"b\" \\x0A"},
     "2025-11-22T16:48:01.123Z ERROR etcd: a \"b\" \\x0A\n",
     "{\"time\":\"2025-11-22T16:48:01.123Z\",\"level\":\"ERROR\",\"category\":\"etcd\","
     "\"message\":\"a \\\"b\\\" \\\\x0A\"}\n",
     "<27>Nov 22 16:48:01 my-app[PID]: etcd: a \"b\" \\x0A"},
    {{.time_ns = 951782399999999999, .level = CAPP_LOG_WARN, .category = "a", .message = ""},
     "2000-02-28T23:59:59.999Z WARN  a: \n",
     "{\"time\":\"2000-02-28T23:59:59.999Z\",\"level\":\"WARN\",\"category\":\"a\",\"message\":\"\"}\n",
     "<28>Feb 28 23:59:59 my-app[PID]: a: "},
    {{.time_ns = 1763830081123456789,
      .level = CAPP_LOG_DEBUG,
      .category = "etcd",
      .message = "all kinds",
      .fields = all_kinds,
      .field_count = sizeof(all_kinds) / sizeof(all_kinds[0])},
     "2025-11-22T16:48:01.123Z DEBUG etcd: all kinds client=config said=\"she said \\\"no\\\"\" "
     "path=\"C:\\\\x\" "
     "pair=\"a=b\" empty=\"\" none=null euro=\xe2\x82\xac attempt=3 least=-9223372036854775808 "
     "most=9223372036854775807 ok=true bad=false took_ms=250\n",
     "{\"time\":\"2025-11-22T16:48:01.123Z\",\"level\":\"DEBUG\",\"category\":\"etcd\",\"message\":\"all "
     "kinds\","
     "\"client\":\"config\",\"said\":\"she said "
     "\\\"no\\\"\",\"path\":\"C:\\\\x\",\"pair\":\"a=b\",\"empty\":\"\","
     "\"none\":null,\"euro\":\"\xe2\x82\xac\",\"attempt\":3,\"least\":-9223372036854775808,"
     "\"most\":9223372036854775807,\"ok\":true,\"bad\":false,\"took_ms\":250}\n",
     "<31>Nov 22 16:48:01 my-app[PID]: etcd: all kinds client=config said=\"she said \\\"no\\\"\" "
     "path=\"C:\\\\x\" "
     "pair=\"a=b\" empty=\"\" none=null euro=\xe2\x82\xac attempt=3 least=-9223372036854775808 "
     "most=9223372036854775807 ok=true bad=false took_ms=250"},
};

static void lines_look_like_this(void **state)
{
    char line[CAPP__LOG_LINE_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = capp__log_line(line, &rows[i].record);

        line[len] = '\0';
        assert_string_equal(line, rows[i].text);
    }
}

static void json_lines_look_like_this(void **state)
{
    char line[CAPP__LOG_LINE_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = capp__log_line_json(line, &rows[i].record);

        line[len] = '\0';
        assert_string_equal(line, rows[i].json);
        line[len - 1] = '\0';
        assert_true(json_is_object(line));
    }
}

static void datagrams_look_like_this(void **state)
{
    char line[CAPP__LOG_LINE_SIZE], expected[CAPP__LOG_LINE_SIZE];

    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = capp__log_datagram(line, &rows[i].record, "my-app", CAPP_LOG_FACILITY_DAEMON, false);

        line[len] = '\0';
        const char *pid = strstr(rows[i].datagram, "PID");

        snprintf(expected, sizeof(expected), "%.*s%ld%s", (int)(pid - rows[i].datagram), rows[i].datagram,
                 (long)getpid(), pid + 3);
        assert_string_equal(line, expected);
    }
    size_t len = capp__log_datagram(line, &rows[0].record, "x", CAPP_LOG_FACILITY_LOCAL7, true);
    line[len] = '\0';
    snprintf(expected, sizeof(expected), "<190>Jan  1 00:00:00 x[%ld]: %.*s", (long)getpid(),
             (int)strlen(rows[0].json) - 1, rows[0].json);
    assert_string_equal(line, expected);
    /* The date is that of the place, as the format wants it. */
    setenv("TZ", "XYZ-02:30", 1);
    tzset();
    len = capp__log_datagram(line, &rows[0].record, "x", CAPP_LOG_FACILITY_USER, false);
    line[len] = '\0';
    assert_non_null(strstr(line, "<14>Jan  1 02:30:00 x["));
    unsetenv("TZ");
    tzset();
}

/* ---- whatever the bytes ----------------------------------------------------------------------------------
 */

struct written {
    char text[CAPP__LOG_LINE_SIZE], json[CAPP__LOG_LINE_SIZE];
};

static void write_both(void *user_data, const capp_log_record *record)
{
    struct written *written = user_data;

    written->text[capp__log_line(written->text, record)] = '\0';
    written->json[capp__log_line_json(written->json, record)] = '\0';
}

static void make_logger(struct capp_logger *logger, struct written *written)
{
    memset(logger, 0, sizeof(*logger));
    capp__logger_init(logger);
    logger->fn = write_both;
    logger->user_data = written;
    logger->output = CAPP__LOG_FUNCTION;
}

/* One line, whose only newline is its last byte, with nothing in it that moves a cursor. */
static void assert_clean(const char *line)
{
    size_t len = strlen(line);

    assert_true(len > 0 && line[len - 1] == '\n');
    assert_true(etcd__utf8_valid(line, len));
    for (size_t i = 0; i + 1 < len; i++) {
        unsigned char c = (unsigned char)line[i];

        assert_true(c >= 0x20 && c != 0x7f);
        assert_false(c == 0xc2 && (unsigned char)line[i + 1] < 0xa0);
    }
}

static void check_hostile(struct written *written, const struct capp_logger *logger, const char *bytes)
{
    char shown[CAPP__LOG_SHOWN_SIZE], read_back[CAPP__LOG_SHOWN_SIZE];

    capp_log_with(logger, CAPP_LOG_INFO, bytes,
                  CAPP_LOG_FIELDS(CAPP_LOG_TEXT(bytes, bytes), CAPP_LOG_TEXT("v", bytes)), "%s", bytes);
    assert_clean(written->text);
    assert_clean(written->json);
    written->json[strlen(written->json) - 1] = '\0';
    assert_true(json_is_object(written->json));
    /* Who reads the JSON gets what the text shows. */
    etcd__escape_controls(shown, sizeof(shown), bytes, strlen(bytes));
    assert_string_equal(json_text(written->json, "message", read_back, sizeof(read_back)), shown);
    assert_string_equal(json_text(written->json, "v", read_back, sizeof(read_back)), shown);
}

static void every_byte_can_be_logged(void **state)
{
    static struct written written;
    struct capp_logger logger;
    char bytes[8];

    (void)state;
    make_logger(&logger, &written);
    for (int a = 1; a < 256; a++) {
        snprintf(bytes, sizeof(bytes), "x%cy", a);
        check_hostile(&written, &logger, bytes);
        snprintf(bytes, sizeof(bytes), "\xc2%c", a);
        check_hostile(&written, &logger, bytes);
        snprintf(bytes, sizeof(bytes), "%c\"\\", a);
        check_hostile(&written, &logger, bytes);
    }
}

static void random_bytes_can_be_logged(void **state)
{
    static struct written written;
    struct capp_logger logger;
    char bytes[200];
    unsigned seed = 1;

    (void)state;
    make_logger(&logger, &written);
    for (int round = 0; round < 2000; round++) {
        size_t len = (size_t)rand_r(&seed) % (sizeof(bytes) - 1);

        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)(1 + rand_r(&seed) % 255);
        bytes[len] = '\0';
        check_hostile(&written, &logger, bytes);
    }
}

/* The longest record there is, of what takes the most room in each format. */
static void longest_records_fit(void **state)
{
    static const char *const worst[] = {"\\", "\"", "\n", "\xff", "x", "= "};
    static struct written written;
    struct capp_logger logger;
    capp_log_field fields[CAPP_LOG_FIELDS_MAX];
    static char text[2048];

    (void)state;
    make_logger(&logger, &written);
    for (size_t w = 0; w < sizeof(worst) / sizeof(worst[0]); w++) {
        for (size_t i = 0; i < sizeof(text) - 1; i++)
            text[i] = worst[w][i % strlen(worst[w])];
        for (size_t i = 0; i < CAPP_LOG_FIELDS_MAX; i++)
            fields[i] = CAPP_LOG_TEXT(text, text);
        capp_log_with(&logger, CAPP_LOG_INFO, text, fields, CAPP_LOG_FIELDS_MAX, "%s", text);
        assert_clean(written.text);
        assert_clean(written.json);
        written.json[strlen(written.json) - 1] = '\0';
        assert_true(json_is_object(written.json));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_look_like_this),       cmocka_unit_test(json_lines_look_like_this),
        cmocka_unit_test(datagrams_look_like_this),   cmocka_unit_test(every_byte_can_be_logged),
        cmocka_unit_test(random_bytes_can_be_logged), cmocka_unit_test(longest_records_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
