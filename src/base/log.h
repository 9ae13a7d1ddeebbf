/* SPDX-License-Identifier: Apache-2.0 */
/* The log hook. The library itself prints nothing; without a function every line is dropped unformatted. */
#ifndef ETCD__BASE_LOG_H
#define ETCD__BASE_LOG_H

#include "etcdc/types.h"

#include <stdbool.h>

struct etcd__log {
    etcd_log_fn *fn;               /* NULL: see the next */
    etcd_log_record_fn *record_fn; /* NULL too: silent */
    const char *client;            /* for records; NULL: "" */
    void *user_data;
    etcd_log_level level; /* lines below it are dropped */
};

static inline bool etcd__log_on(const struct etcd__log *log, etcd_log_level level)
{
    return (log->fn != NULL || log->record_fn != NULL) && level >= log->level;
}

/*
 * One line, at most 1 KiB, without a newline; control characters in it are escaped.
 * `component` names the layer ("connect", "watch", ...). Never pass a secret.
 */
void etcd__log(const struct etcd__log *log, etcd_log_level level, const char *component, const char *format,
               ...) __attribute__((format(printf, 4, 5)));
/* The same about an endpoint, which the text names as well. */
void etcd__log_endpoint(const struct etcd__log *log, etcd_log_level level, const char *component,
                        const char *endpoint, const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
