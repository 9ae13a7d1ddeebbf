/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file log.h
 * The log of an application.
 *
 * One record is one line: time, level, category, message, and fields, which are values with a name:
 *
 *     capp_log_with(log, CAPP_LOG_WARN, "orders",
 *                   CAPP_LOG_FIELDS(CAPP_LOG_TEXT("customer", id), CAPP_LOG_MS("took", ms)), "slow answer");
 *
 *     2026-03-01T08:15:30.123Z WARN  orders: slow answer customer=4711 took_ms=250
 *     {"time":"2026-03-01T08:15:30.123Z","level":"WARN","category":"orders","message":"slow answer",
 *      "customer":"4711","took_ms":250}                                     (JSON; one line)
 *
 * Without further ado records go to standard error at level INFO. capp_use_log_file(), capp_use_log_syslog()
 * and capp_use_log() send them elsewhere, capp_use_log_format() chooses the form, and the options
 * `app.log.*` have the last word. Each line is a single unbuffered write, so that nothing is lost on any
 * way out. Control characters and invalid UTF-8 become `\xHH` before a record is shown to anyone: a value
 * from outside cannot forge a line.
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

/** How a record is written. */
typedef enum capp_log_format {
    CAPP_LOG_FORMAT_TEXT = 0, /**< For people; see the top of this file. */
    CAPP_LOG_FORMAT_JSON = 1, /**< For programs: one JSON object per line. */
    CAPP_LOG_FORMAT_FORCE_INT32 = 0x7fffffff
} capp_log_format;

/** The facility of records in the system's log; the numbers are those of RFC 3164. */
typedef enum capp_log_facility {
    CAPP_LOG_FACILITY_DEFAULT = 0, /**< CAPP_LOG_FACILITY_DAEMON. */
    CAPP_LOG_FACILITY_USER = 1,
    CAPP_LOG_FACILITY_DAEMON = 3,
    CAPP_LOG_FACILITY_AUTH = 4,
    CAPP_LOG_FACILITY_LOCAL0 = 16,
    CAPP_LOG_FACILITY_LOCAL1 = 17,
    CAPP_LOG_FACILITY_LOCAL2 = 18,
    CAPP_LOG_FACILITY_LOCAL3 = 19,
    CAPP_LOG_FACILITY_LOCAL4 = 20,
    CAPP_LOG_FACILITY_LOCAL5 = 21,
    CAPP_LOG_FACILITY_LOCAL6 = 22,
    CAPP_LOG_FACILITY_LOCAL7 = 23,
    CAPP_LOG_FACILITY_FORCE_INT32 = 0x7fffffff
} capp_log_facility;

/** What the value of a field is. */
typedef enum capp_log_field_kind {
    CAPP_LOG_FIELD_TEXT = 1,        /**< `text`; NULL is shown as null. */
    CAPP_LOG_FIELD_INT = 2,         /**< `number`. */
    CAPP_LOG_FIELD_BOOL = 3,        /**< `number`, 0 for false. */
    CAPP_LOG_FIELD_DURATION_MS = 4, /**< `number`, milliseconds; the name gets "_ms" at its end. */
    CAPP_LOG_FIELD_KIND_FORCE_INT32 = 0x7fffffff
} capp_log_field_kind;

/** A value with a name. Made by CAPP_LOG_TEXT and its sisters. Frozen. */
typedef struct capp_log_field {
    const char *name;
    capp_log_field_kind kind;
    uint32_t reserved; /**< Zero. */
    const char *text;  /**< Never a secret. */
    int64_t number;
} capp_log_field;

/** The most fields of one record. */
#define CAPP_LOG_FIELDS_MAX 32

/* Compound literals: a C++ program fills an array of capp_log_field itself. */
#ifndef __cplusplus
/** A field that is a text: `const char *`, borrowed until the call returns. */
#define CAPP_LOG_TEXT(field_name, value) \
    ((capp_log_field){.name = (field_name), .kind = CAPP_LOG_FIELD_TEXT, .text = (value)})
/** A field that is a number: anything that fits into int64_t. */
#define CAPP_LOG_INT(field_name, value) \
    ((capp_log_field){.name = (field_name), .kind = CAPP_LOG_FIELD_INT, .number = (int64_t)(value)})
/** A field that is true or false. */
#define CAPP_LOG_BOOL(field_name, value) \
    ((capp_log_field){.name = (field_name), .kind = CAPP_LOG_FIELD_BOOL, .number = (value) ? 1 : 0})
/** A field that is a duration in milliseconds: `CAPP_LOG_MS("took", 250)` is shown as `took_ms=250`. */
#define CAPP_LOG_MS(field_name, value) \
    ((capp_log_field){.name = (field_name), .kind = CAPP_LOG_FIELD_DURATION_MS, .number = (int64_t)(value)})
/** The two arguments `fields` and `count` of capp_log_with(), from at least one field. */
#define CAPP_LOG_FIELDS(...)               \
    (const capp_log_field[]){__VA_ARGS__}, \
        sizeof((const capp_log_field[]){__VA_ARGS__}) / sizeof(capp_log_field)
#endif

/** Where log records go to. Belongs to the application and lives until capp_free(). */
typedef struct capp_logger capp_logger;

/** capp_logger can be injected; the host registers it. */
CAPP_API CAPP_TYPE_DECLARE(capp_logger);

/** One record as a log function sees it. Grows at its end. */
typedef struct capp_log_record {
    size_t size;                  /**< Bytes of this struct that the library filled. */
    int64_t time_ns;              /**< Nanoseconds since 1970-01-01 UTC. */
    capp_log_level level;         /**< CAPP_LOG_TRACE … CAPP_LOG_ERROR. */
    uint32_t reserved;            /**< Zero. */
    const char *category;         /**< Who speaks: "app", "build", "etcd", … Never NULL. */
    const char *message;          /**< At most 1 KiB before escaping, no newline, never a secret. */
    const capp_log_field *fields; /**< As they are shown: names are good and differ, texts are escaped. */
    size_t field_count;
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

/**
 * As capp_log(), with fields.
 *
 * A name is made of `A-Z a-z 0-9 _ - .`; other characters become `_`, and what is beyond 55 bytes is cut. A
 * name that the record has already, `time`, `level`, `category` and `message` among them, gets `_2`, `_3` and
 * so on at its end. A text is cut at 1 KiB; all texts together are cut at 4 KiB, and fields beyond
 * CAPP_LOG_FIELDS_MAX are left out.
 *
 * @param logger  Borrowed.
 * @param level  As for capp_log().
 * @param category  As for capp_log().
 * @param fields  @p count of them, borrowed; see CAPP_LOG_FIELDS. NULL when @p count is 0.
 * @param count  How many there are.
 * @param format  As for capp_log().
 *
 * @par Threads
 * As capp_log(). Allocates nothing.
 * @since 0.1
 */
CAPP_API void capp_log_with(const capp_logger *logger, capp_log_level level, const char *category,
                            const capp_log_field *fields, size_t count, const char *format, ...)
    CAPP_PRINTF(6, 7);

/**
 * Whether a record of this level would be shown, in a category that has no level of its own; false for
 * NULL. The answer changes when the level is reloaded. Any thread. @since 0.1
 */
CAPP_API bool capp_log_on(const capp_logger *logger, capp_log_level level);

/** The same for one category; NULL means "app". Any thread. @since 0.1 */
CAPP_API bool capp_log_category_on(const capp_logger *logger, capp_log_level level, const char *category);

/** "TRACE", "DEBUG", "INFO", "WARN", "ERROR"; never NULL. Any thread. @since 0.1 */
CAPP_API const char *capp_log_level_name(capp_log_level level);

CAPP_END_DECLS

#endif
