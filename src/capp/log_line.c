/* SPDX-License-Identifier: Apache-2.0 */
/* What a record looks like. Its texts are escaped by now; here they are put between quotes at most. */
#include "base/str.h"
#include "logger.h"
#include "quote.h"

#include <assert.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A line that grows; there is room for the longest one. */
struct line {
    char *dst;
    size_t len;
};

static void put(struct line *line, const char *text, size_t len)
{
    assert(len <= CAPP__LOG_LINE_SIZE - line->len);
    memcpy(line->dst + line->len, text, len);
    line->len += len;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

static void put_number(struct line *line, int64_t number)
{
    char digits[32];

    put(line, digits, etcd__format(digits, sizeof(digits), "%lld", (long long)number));
}

/* "2025-11-22T16:48:01.123Z" */
static void put_time(struct line *line, int64_t time_ns)
{
    time_t seconds = (time_t)(time_ns / 1000000000);
    struct tm utc = {0};
    char date[48];

    gmtime_r(&seconds, &utc);
    /* Digits only: none of these conversions depends on the locale. */
    size_t len = strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
    len += etcd__format(date + len, sizeof(date) - len, ".%03dZ", (int)(time_ns / 1000000 % 1000));
    put(line, date, len);
}

/* In quotes. What is in it has no control characters: only quotes and backslashes are in the way. */
static void put_quoted(struct line *line, const char *text)
{
    assert(2 * strlen(text) + 2 <= CAPP__LOG_LINE_SIZE - line->len);
    line->len += capp__quote(line->dst + line->len, text);
}

static bool needs_quotes(const char *text)
{
    return text[0] == '\0' || strpbrk(text, " \"=\\") != NULL;
}

static void put_value(struct line *line, const capp_log_field *field, bool json)
{
    if (field->kind == CAPP_LOG_FIELD_BOOL)
        put_text(line, field->number != 0 ? "true" : "false");
    else if (field->kind != CAPP_LOG_FIELD_TEXT)
        put_number(line, field->number);
    else if (field->text == NULL)
        put_text(line, "null");
    else if (json || needs_quotes(field->text))
        put_quoted(line, field->text);
    else
        put_text(line, field->text);
}

/* "app: started key=value" */
static void put_message(struct line *line, const capp_log_record *record)
{
    put_text(line, record->category);
    put_text(line, ": ");
    put_text(line, record->message);
    for (size_t i = 0; i < record->field_count; i++) {
        put_text(line, " ");
        put_text(line, record->fields[i].name);
        put_text(line, "=");
        put_value(line, &record->fields[i], false);
    }
}

/* {"time":"…","level":"INFO","category":"app","message":"started","key":"value"} */
static void put_object(struct line *line, const capp_log_record *record)
{
    put_text(line, "{\"time\":\"");
    put_time(line, record->time_ns);
    put_text(line, "\",\"level\":\"");
    put_text(line, capp_log_level_name(record->level));
    put_text(line, "\",\"category\":");
    put_quoted(line, record->category);
    put_text(line, ",\"message\":");
    put_quoted(line, record->message);
    for (size_t i = 0; i < record->field_count; i++) {
        put_text(line, ",\"");
        put_text(line, record->fields[i].name);
        put_text(line, "\":");
        put_value(line, &record->fields[i], true);
    }
    put_text(line, "}");
}

size_t capp__log_line(char *dst, const capp_log_record *record)
{
    struct line line = {.dst = dst};
    char level[16];

    put_time(&line, record->time_ns);
    put(&line, level, etcd__format(level, sizeof(level), " %-5s ", capp_log_level_name(record->level)));
    put_message(&line, record);
    put_text(&line, "\n");
    return line.len;
}

size_t capp__log_line_json(char *dst, const capp_log_record *record)
{
    struct line line = {.dst = dst};

    put_object(&line, record);
    put_text(&line, "\n");
    return line.len;
}

static int severity(capp_log_level level)
{
    switch (level) {
    case CAPP_LOG_TRACE:
    case CAPP_LOG_DEBUG:
        return 7;
    case CAPP_LOG_INFO:
        return 6;
    case CAPP_LOG_WARN:
        return 4;
    default:
        return 3;
    }
}

size_t capp__log_datagram(char *dst, const capp_log_record *record, const char *tag, int facility, bool json)
{
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct line line = {.dst = dst};
    time_t seconds = (time_t)(record->time_ns / 1000000000);
    struct tm local = {0};
    char head[160];

    localtime_r(&seconds, &local); /* as the format has it */
    put(&line, head,
        etcd__format(head, sizeof(head), "<%d>%s %2d %02d:%02d:%02d %s[%ld]: ",
                     facility * 8 + severity(record->level), months[local.tm_mon], local.tm_mday,
                     local.tm_hour, local.tm_min, local.tm_sec, tag, (long)getpid()));
    if (json)
        put_object(&line, record);
    else
        put_message(&line, record);
    return line.len;
}
