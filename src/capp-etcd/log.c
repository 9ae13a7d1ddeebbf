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

void capp__etcd_log(void *user_data, const etcd_log_record *record)
{
    const capp_log_field fields[] = {
        CAPP_LOG_TEXT("client", record->client),
        CAPP_LOG_TEXT("component", record->component),
        CAPP_LOG_TEXT("endpoint", record->endpoint),
    };
    size_t count = record->endpoint != NULL ? 3 : 2;

    capp_log_with(user_data, level_of(record->level), "etcd", fields, count, "%s", record->message);
}

void capp__etcd_log_client(const struct capp__etcd_member *member, capp_log_level level, const char *text)
{
    capp_log_with(member->logger, level, "etcd", CAPP_LOG_FIELDS(CAPP_LOG_TEXT("client", member->name)), "%s",
                  text);
}
