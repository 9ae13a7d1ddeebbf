/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/str.h"

#include <stdarg.h>

enum { LINE_SIZE = 1024 };

void etcd__log(const struct etcd__log *log, etcd_log_level level, const char *component, const char *format,
               ...)
{
    char text[LINE_SIZE], line[LINE_SIZE];
    va_list args;
    size_t len;

    if (!etcd__log_on(log, level))
        return;
    va_start(args, format);
    len = etcd__vformat(text, sizeof(text), format, args);
    va_end(args);
    log->fn(log->user_data, level, component, etcd__escape_controls(line, sizeof(line), text, len));
}
