/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file log.h
 * The log of an application.
 *
 * One record is one line: time, level, category, message. Without further ado it goes
 * to standard error at level INFO, each line in a single unbuffered write, so that
 * nothing is lost on any way out. capp_use_log() sends the records to a
 * function of the program instead. Control characters and invalid UTF-8 are escaped
 * before a record is shown to anyone: a value from outside cannot forge a line.
 *
 * A service gets the log by injection: `CAPP_INJECT(my_service, log, capp_logger)`.
 */
#ifndef CAPP_LOG_H
#define CAPP_LOG_H

#include <capp/export.h>
#include <capp/type.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CAPP_BEGIN_DECLS

/** How important a record is. */
typedef enum capp_log_level {
    CAPP_LOG_TRACE = 0, /**< Everything. */
    CAPP_LOG_DEBUG = 1, /**< Each step of start and stop. */
    CAPP_LOG_INFO = 2,  /**< What an operator wants to see of a healthy application. */
    CAPP_LOG_WARN = 3,  /**< Something a person should look at. */
    CAPP_LOG_ERROR = 4, /**< Something failed. */
    CAPP_LOG_OFF = 5,   /**< As a threshold: nothing at all. Not a level of a record. */
    CAPP_LOG_FORCE_INT32 = 0x7fffffff
} capp_log_level;

/** Where log records go to. Belongs to the application and lives until capp_free(). */
typedef struct capp_logger capp_logger;

/** capp_logger can be injected; the host registers it. */
CAPP_API CAPP_TYPE_DECLARE(capp_logger);

/** One record as a log function sees it. Grows at its end. */
typedef struct capp_log_record {
    size_t size;          /**< Bytes of this struct that the library filled. */
    int64_t time_ns;      /**< Nanoseconds since 1970-01-01 UTC. */
    capp_log_level level; /**< CAPP_LOG_TRACE … CAPP_LOG_ERROR. */
    uint32_t reserved;    /**< Zero. */
    const char *category; /**< Who speaks: "app", "build", "etcd", … Never NULL. */
    const char *message;  /**< At most 1 KiB before escaping, no newline, never a secret. */
} capp_log_record;

/**
 * Receives one record. `record` and its texts are borrowed until it returns.
 *
 * @par Threads
 * Called on whichever thread logs, by several at the same time, and under no lock
 * of the host: the function does its own locking. It must not call capp_log() on
 * the same application.
 */
typedef void capp_log_fn(void *user_data, const capp_log_record *record);

/**
 * Logs one record; below the threshold it is dropped without being formatted.
 *
 * @param logger    NULL drops the record.
 * @param level     Values out of range count as CAPP_LOG_ERROR.
 * @param category  Short, without spaces by custom; NULL means "app". Borrowed.
 * @param format    printf format. Never pass a secret.
 *
 * @par Threads
 * Any thread. Not from a signal handler. Does not change errno.
 * @since 0.1
 */
CAPP_API void capp_log(const capp_logger *logger, capp_log_level level, const char *category,
                       const char *format, ...) CAPP_PRINTF(4, 5);

/** Whether a record of this level would be shown; false for NULL. Any thread. @since 0.1 */
CAPP_API bool capp_log_on(const capp_logger *logger, capp_log_level level);

/** "TRACE", "DEBUG", "INFO", "WARN", "ERROR"; never NULL. Any thread. @since 0.1 */
CAPP_API const char *capp_log_level_name(capp_log_level level);

CAPP_END_DECLS

#endif
