/* SPDX-License-Identifier: Apache-2.0 */
/* From a call to a record, and from a record to where it goes. */
#include "capp/log.h"

#include "base/str.h"
#include "logger.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

CAPP_TYPE_DEFINE(capp_logger);

enum {
    NAME_SIZE = 64, /* of a field: what the caller wrote, "_ms" and a number that makes it differ */
    NAME_CUT = 55,
};

const char *capp_log_level_name(capp_log_level level)
{
    static const char *const names[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR"};

    return (int)level >= 0 && (size_t)level < ETCD__COUNT(names) ? names[level] : "ERROR";
}

/* ---- levels ---------------------------------------------------------------------------------------- */

static int level_in_range(int level)
{
    return level < CAPP_LOG_TRACE || level > CAPP_LOG_ERROR ? CAPP_LOG_ERROR : level;
}

struct capp__log_category *capp__logger_category(const struct capp_logger *logger, const char *name)
{
    const struct capp__log_levels *levels = &logger->levels;
    size_t count = atomic_load_explicit(&levels->count, memory_order_acquire);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(levels->category[i].name, name) == 0)
            return (struct capp__log_category *)(uintptr_t)&levels->category[i];
    }
    return NULL;
}

static int threshold(const struct capp_logger *logger, const char *category)
{
    const struct capp__log_category *own = capp__logger_category(logger, category);
    int level = own == NULL ? CAPP__LOG_INHERIT : atomic_load_explicit(&own->level, memory_order_relaxed);

    return level == CAPP__LOG_INHERIT ? atomic_load_explicit(&logger->levels.base, memory_order_relaxed)
                                      : level;
}

bool capp_log_category_on(const capp_logger *logger, capp_log_level level, const char *category)
{
    int wanted = level_in_range((int)level);

    /* Most of what is not shown ends at the first comparison. */
    return logger != NULL && wanted >= atomic_load_explicit(&logger->levels.lowest, memory_order_relaxed) &&
           wanted >= threshold(logger, category == NULL ? "app" : category);
}

bool capp_log_on(const capp_logger *logger, capp_log_level level)
{
    return logger != NULL &&
           level_in_range((int)level) >= atomic_load_explicit(&logger->levels.base, memory_order_relaxed);
}

static void find_lowest(struct capp__log_levels *levels)
{
    int lowest = atomic_load(&levels->base);

    for (size_t i = 0; i < atomic_load(&levels->count); i++) {
        int level = atomic_load(&levels->category[i].level);

        if (level != CAPP__LOG_INHERIT && level < lowest)
            lowest = level;
    }
    atomic_store(&levels->lowest, lowest);
}

void capp__logger_set_level(struct capp_logger *logger, int level)
{
    atomic_store(&logger->levels.base, level);
    find_lowest(&logger->levels);
}

bool capp__logger_set_category(struct capp_logger *logger, const char *name, int level)
{
    struct capp__log_levels *levels = &logger->levels;
    struct capp__log_category *category = capp__logger_category(logger, name);

    if (category == NULL) {
        size_t count = atomic_load(&levels->count);

        if (count == CAPP__LOG_CATEGORIES)
            return false;
        category = &levels->category[count];
        etcd__format(category->name, sizeof(category->name), "%s", name);
        category->coded = CAPP__LOG_INHERIT;
        atomic_store(&category->level, level);
        atomic_store_explicit(&levels->count, count + 1, memory_order_release);
    }
    atomic_store(&category->level, level);
    find_lowest(levels);
    return true;
}

void capp__logger_init(struct capp_logger *logger)
{
    logger->facility = CAPP_LOG_FACILITY_DAEMON;
    logger->sink.fd = -1;
    logger->syslog_path = "/dev/log";
    capp__logger_set_level(logger, CAPP_LOG_INFO);
}

void capp__logger_deinit(struct capp_logger *logger)
{
    capp__sink_close(&logger->sink);
    etcd__free(logger->coded_path);
    logger->coded_path = NULL;
}

/* ---- fields ---------------------------------------------------------------------------------------- */

/* The fields of one record as they are shown. */
struct shown {
    size_t count;
    capp_log_field field[CAPP_LOG_FIELDS_MAX];
    char name[CAPP_LOG_FIELDS_MAX][NAME_SIZE];
    size_t used; /* of `text` */
    char text[CAPP__LOG_SHOWN_SIZE];
};

static bool is_taken(const struct shown *shown, const char *name)
{
    static const char *const own[] = {"time", "level", "category", "message"};

    for (size_t i = 0; i < ETCD__COUNT(own); i++) {
        if (strcmp(own[i], name) == 0)
            return true;
    }
    for (size_t i = 0; i < shown->count; i++) {
        if (strcmp(shown->name[i], name) == 0)
            return true;
    }
    return false;
}

static bool ends_in_ms(const char *name, size_t len)
{
    return len >= 3 && memcmp(name + len - 3, "_ms", 3) == 0;
}

static void show_name(const struct shown *shown, const capp_log_field *field, char dst[NAME_SIZE])
{
    const char *name = field->name == NULL || field->name[0] == '\0' ? "field" : field->name;
    size_t len = 0;

    for (; len < NAME_CUT && name[len] != '\0'; len++) {
        char c = name[len];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                    c == '-';

        dst[len] = good ? c : '_';
    }
    dst[len] = '\0';
    if (field->kind == CAPP_LOG_FIELD_DURATION_MS && !ends_in_ms(dst, len))
        len += etcd__format(dst + len, NAME_SIZE - len, "_ms");
    for (unsigned n = 2; is_taken(shown, dst); n++)
        etcd__format(dst + len, NAME_SIZE - len, "_%u", n);
}

/* Escapes a text into what room is left; an empty one when there is none. */
static const char *show_text(struct shown *shown, const char *text)
{
    const size_t room = sizeof(shown->text) - shown->used;
    size_t len = strnlen(text, CAPP__LOG_TEXT_SIZE);
    char *dst = shown->text + shown->used;

    if (room == 0)
        return "";
    /* One byte less, because the text may go on: no sequence is cut. */
    etcd__escape_controls(dst, room, text, etcd__utf8_cut(text, len, CAPP__LOG_TEXT_SIZE - 1));
    shown->used += strlen(dst) + 1;
    return dst;
}

static void show_fields(struct shown *shown, const capp_log_field *fields, size_t count)
{
    shown->count = shown->used = 0;
    if (fields == NULL)
        return;
    for (size_t i = 0; i < count && i < CAPP_LOG_FIELDS_MAX; i++) {
        capp_log_field *field = &shown->field[i];

        *field = fields[i];
        show_name(shown, &fields[i], shown->name[i]);
        field->name = shown->name[i];
        if (field->kind == CAPP_LOG_FIELD_TEXT && field->text != NULL)
            field->text = show_text(shown, field->text);
        shown->count++;
    }
}

/* ---- to where it goes ------------------------------------------------------------------------------ */

static bool write_record(struct capp_logger *logger, const capp_log_record *record)
{
    char line[CAPP__LOG_LINE_SIZE + 1];
    bool json = logger->format == CAPP_LOG_FORMAT_JSON;

    if (logger->output == CAPP__LOG_SYSLOG)
        return capp__sink_send(&logger->sink, logger->syslog_path, line,
                               capp__log_datagram(line, record, logger->tag, logger->facility, json));
    size_t len = json ? capp__log_line_json(line + 1, record) : capp__log_line(line + 1, record);
    return (logger->output == CAPP__LOG_FILE ? capp__sink_write : capp__sink_write_stderr)(&logger->sink,
                                                                                           line, len);
}

/* Once it works again, the records that were lost are reported by their number. */
static void report_lost(struct capp_logger *logger, int64_t time_ns)
{
    char text[256], buf[128];
    int cause;
    unsigned long long count = capp__sink_take_lost(&logger->sink, &cause);
    capp_log_record record = {.size = sizeof(record),
                              .time_ns = time_ns,
                              .level = CAPP_LOG_WARN,
                              .category = "log",
                              .message = text};

    if (count == 0)
        return;
    etcd__format(text, sizeof(text), "%llu records were lost: %s", count,
                 strerror_r(cause, buf, sizeof(buf)));
    if (!write_record(logger, &record))
        capp__sink_give_lost(&logger->sink, count);
}

static void emit(struct capp_logger *logger, const capp_log_record *record)
{
    atomic_fetch_add_explicit(&logger->records[record->level], 1, memory_order_relaxed);
    if (logger->output == CAPP__LOG_FUNCTION)
        logger->fn(logger->user_data, record);
    else if (write_record(logger, record))
        report_lost(logger, record->time_ns);
}

static int64_t wall_clock_ns(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

__attribute__((format(printf, 6, 0))) static void log_record(const capp_logger *logger, int level,
                                                             const char *category,
                                                             const capp_log_field *fields, size_t count,
                                                             const char *format, va_list args)
{
    char text[CAPP__LOG_TEXT_SIZE], message[CAPP__LOG_SHOWN_SIZE], name[CAPP__NAME_SIZE];
    struct shown shown;
    size_t len = etcd__vformat(text, sizeof(text), format, args);

    etcd__escape_controls(message, sizeof(message), text, len);
    etcd__escape_controls(name, sizeof(name), category, strlen(category));
    show_fields(&shown, fields, count);
    const capp_log_record record = {
        .size = sizeof(record),
        .time_ns = wall_clock_ns(),
        .level = (capp_log_level)level,
        .category = name,
        .message = message,
        .fields = shown.field,
        .field_count = shown.count,
    };
    emit((struct capp_logger *)(uintptr_t)logger, &record); /* it counts; what it is to be does not change */
}

__attribute__((format(printf, 6, 0))) static void vlog(const capp_logger *logger, capp_log_level level,
                                                       const char *category, const capp_log_field *fields,
                                                       size_t count, const char *format, va_list args)
{
    int saved_errno = errno;

    if (category == NULL)
        category = "app";
    if (!capp_log_category_on(logger, level, category))
        return;
    log_record(logger, level_in_range((int)level), category, fields, count, format, args);
    errno = saved_errno;
}

void capp_log(const capp_logger *logger, capp_log_level level, const char *category, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vlog(logger, level, category, NULL, 0, format, args);
    va_end(args);
}

void capp_log_with(const capp_logger *logger, capp_log_level level, const char *category,
                   const capp_log_field *fields, size_t count, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vlog(logger, level, category, fields, count, format, args);
    va_end(args);
}
