/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/str.h"

#include <stdarg.h>

enum { LINE_SIZE = 1024 };

static void give(const struct etcd__log *log, etcd_log_level level, const char *component,
                 const char *endpoint, const char *message)
{
    const etcd_log_record record = {
        .size = sizeof(record),
        .level = level,
        .component = component,
        .message = message,
        .client = log->client == NULL ? "" : log->client,
        .endpoint = endpoint,
    };

    if (log->record_fn != NULL)
        log->record_fn(log->user_data, &record);
    else
        log->fn(log->user_data, level, component, message);
}

__attribute__((format(printf, 5, 0))) static void vlog(const struct etcd__log *log, etcd_log_level level,
                                                       const char *component, const char *endpoint,
                                                       const char *format, va_list args)
{
    char text[LINE_SIZE], line[LINE_SIZE];
    size_t len = etcd__vformat(text, sizeof(text), format, args);

    give(log, level, component, endpoint, etcd__escape_controls(line, sizeof(line), text, len));
}

void etcd__log(const struct etcd__log *log, etcd_log_level level, const char *component, const char *format,
               ...)
{
    va_list args;

    if (!etcd__log_on(log, level))
        return;
    va_start(args, format);
    vlog(log, level, component, NULL, format, args);
    va_end(args);
}

void etcd__log_endpoint(const struct etcd__log *log, etcd_log_level level, const char *component,
                        const char *endpoint, const char *format, ...)
{
    va_list args;

    if (!etcd__log_on(log, level))
        return;
    va_start(args, format);
    vlog(log, level, component, endpoint, format, args);
    va_end(args);
}
