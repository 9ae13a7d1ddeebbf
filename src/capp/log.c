/* SPDX-License-Identifier: Apache-2.0 */
#include "capp/log.h"

#include "base/str.h"
#include "logger.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

CAPP_TYPE_DEFINE(capp_logger);

enum {
    TEXT_SIZE = 1024,            /* of a message before escaping */
    SHOWN_SIZE = 4 * TEXT_SIZE,  /* after it: a byte becomes four at most */
    LINE_SIZE = SHOWN_SIZE + 128 /* with time, level and category */
};

const char *capp_log_level_name(capp_log_level level)
{
    static const char *const names[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR"};

    return (int)level >= 0 && (size_t)level < ETCD__COUNT(names) ? names[level] : "ERROR";
}

bool capp_log_on(const capp_logger *logger, capp_log_level level)
{
    return logger != NULL && logger->level < CAPP_LOG_OFF && level >= logger->level;
}

size_t capp__log_line(char *dst, size_t dst_size, const capp_log_record *record)
{
    time_t seconds = (time_t)(record->time_ns / 1000000000);
    struct tm utc = {0};
    char date[32];

    assert(dst_size >= 64);
    gmtime_r(&seconds, &utc);
    /* Digits only: none of these conversions depends on the locale. */
    if (strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc) == 0)
        date[0] = '\0';
    size_t len = etcd__format(dst, dst_size - 1, "%s.%03dZ %-5s %s: %s", date,
                              (int)(record->time_ns / 1000000 % 1000), capp_log_level_name(record->level),
                              record->category, record->message);
    dst[len] = '\n';
    return len + 1;
}

/* The whole line in one write, so that lines of several threads and processes do not mix. */
static void write_stderr(const capp_log_record *record)
{
    char line[LINE_SIZE];
    size_t len = capp__log_line(line, sizeof(line), record);

    for (size_t done = 0; done < len;) {
        ssize_t n = write(STDERR_FILENO, line + done, len - done);

        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            return; /* nobody listens; there is no better place to say so */
    }
}

static int64_t wall_clock_ns(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void emit(const capp_logger *logger, capp_log_level level, const char *category, const char *message)
{
    capp_log_record record = {
        .size = sizeof(record),
        .time_ns = wall_clock_ns(),
        .level = level,
        .category = category,
        .message = message,
    };

    if (logger->fn != NULL)
        logger->fn(logger->user_data, &record);
    else
        write_stderr(&record);
}

void capp_log(const capp_logger *logger, capp_log_level level, const char *category, const char *format, ...)
{
    char text[TEXT_SIZE], shown[SHOWN_SIZE], name[64];
    int saved_errno = errno;
    va_list args;

    if (!capp_log_on(logger, level))
        return;
    if ((int)level < 0 || level > CAPP_LOG_ERROR)
        level = CAPP_LOG_ERROR;
    if (category == NULL)
        category = "app";
    va_start(args, format);
    size_t len = etcd__vformat(text, sizeof(text), format, args);
    va_end(args);
    etcd__escape_controls(shown, sizeof(shown), text, len);
    etcd__escape_controls(name, sizeof(name), category, strlen(category));
    emit(logger, level, name, shown);
    errno = saved_errno;
}
