/* SPDX-License-Identifier: Apache-2.0 */
/* What the clients have to say goes to the log of the application. */
#include "factory.h"

static capp_log_level level_of(etcd_log_level level)
{
    switch (level) {
    case ETCD_LOG_TRACE:
        return CAPP_LOG_TRACE;
    case ETCD_LOG_DEBUG:
        return CAPP_LOG_DEBUG;
    case ETCD_LOG_INFO:
        return CAPP_LOG_INFO;
    case ETCD_LOG_WARN:
        return CAPP_LOG_WARN;
    default:
        return CAPP_LOG_ERROR;
    }
}

void capp__etcd_log(void *user_data, etcd_log_level level, const char *component, const char *message)
{
    (void)component;
    capp_log(user_data, level_of(level), "etcd", "%s", message);
}

etcd_log_level capp__etcd_log_level(const capp_logger *logger)
{
    etcd_log_level level = ETCD_LOG_TRACE;

    while (level < ETCD_LOG_ERROR && !capp_log_on(logger, level_of(level)))
        level = (etcd_log_level)((int)level + 1);
    return level;
}
