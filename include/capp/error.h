/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file error.h
 * Status codes and the error record of the application host.
 *
 * Every call that can fail returns a capp_status and takes an optional
 * `capp_error *reterr` as its last parameter: caller-allocated, filled on
 * failure only, NULL allowed. Functions that a program or a module hands to the
 * host (a worker, a service's init, ...) follow the same rule and use
 * capp_fail() to fill it. The numbers are part of the ABI.
 */
#ifndef CAPP_ERROR_H
#define CAPP_ERROR_H

#include <capp/export.h>

#include <stddef.h>
#include <stdint.h>

CAPP_BEGIN_DECLS

/** What a program branches on. Numbers never change; new ones are added at the end. */
typedef enum capp_status {
    CAPP_OK = 0,
    CAPP_E_INVALID_ARGUMENT = 1, /**< Bad input; the message names argument and value. */
    CAPP_E_NO_MEMORY = 2,
    CAPP_E_DUPLICATE = 3,   /**< A (type, name) or a worker's name is registered twice. */
    CAPP_E_NOT_FOUND = 4,   /**< Nothing is registered under this (type, name). */
    CAPP_E_CYCLE = 5,       /**< Services need each other in a circle; the message has the whole path. */
    CAPP_E_STATE = 6,       /**< Not now: registering after the build, running twice, ... */
    CAPP_E_TIMEOUT = 7,     /**< A limit passed; the message names who did not end in time. */
    CAPP_E_CANCELLED = 8,   /**< Ended by a cancel, or because the application stops. */
    CAPP_E_UNAVAILABLE = 9, /**< Something outside of the process cannot be reached. */
    CAPP_E_AUTH = 10,       /**< Login refused, or credentials missing. */
    CAPP_E_DENIED = 11,     /**< Known, but not allowed to. */
    CAPP_E_IO = 12,         /**< A file, a descriptor, a thread; see capp_error.sys_errno. */
    CAPP_E_CLOSED = 13,     /**< The object is closed, or was closed meanwhile. */
    CAPP_E_EXTERNAL = 14,   /**< Another library's failure that fits none of these; see external_code. */
    CAPP_E_INTERNAL = 15,   /**< A bug; please report it. */
    CAPP_STATUS_FORCE_INT32 = 0x7fffffff
} capp_status;

/** The same call may succeed when it is tried again later, and doing so does no harm. */
#define CAPP_ERROR_RETRYABLE (UINT32_C(1) << 0)
/** The call was a write that may have been carried out. Read back before repeating it. */
#define CAPP_ERROR_MAYBE_APPLIED (UINT32_C(1) << 1)
/** The failure was reported by a server; otherwise it was found in this process. */
#define CAPP_ERROR_FROM_SERVER (UINT32_C(1) << 2)

/** Bytes of capp_error.message, NUL included. */
#define CAPP_ERROR_MESSAGE_SIZE 476

/**
 * One failure. Plain data: copy it, keep it, it refers to nothing. Set on failure only.
 * 512 bytes, frozen.
 */
typedef struct capp_error {
    capp_status status;
    uint32_t flags;        /**< CAPP_ERROR_… */
    int32_t sys_errno;     /**< errno of the system call behind it; 0 when there was none. */
    int32_t external_code; /**< The status in the library that found it, where a module translated it. */
    uint32_t reserved[5];  /**< Zero. */
    /** What failed and why, for people. Valid UTF-8, NUL-terminated, no secret in it. */
    char message[CAPP_ERROR_MESSAGE_SIZE];
} capp_error;

/** The name of a status as written in C ("CAPP_E_TIMEOUT"); never NULL. Any thread. @since 0.1 */
CAPP_API const char *capp_status_name(capp_status status);

/** A short English text for a status; never NULL. Any thread. @since 0.1 */
CAPP_API const char *capp_status_text(capp_status status);

/**
 * Fills @p reterr (status and text; everything else zero) and returns @p status,
 * so that a function can fail in one line: `return capp_fail(reterr, CAPP_E_IO, "…", …);`.
 *
 * @param reterr  The error to fill; NULL to fill none.
 * @param status  Not CAPP_OK.
 * @param format  printf format of the message. A text that does not fit is cut
 *                between two characters. Never pass a secret.
 * @return @p status.
 *
 * @par Threads
 * Any thread. Allocates nothing.
 * @since 0.1
 */
CAPP_API capp_status capp_fail(capp_error *reterr, capp_status status, const char *format, ...)
    CAPP_PRINTF(3, 4);

/**
 * Puts "prefix: " in front of the message of an error that is on its way up.
 *
 * The end of the message is cut when the whole gets too long.
 *
 * @param error   The error; NULL is accepted and nothing happens.
 * @param format  printf format of the prefix.
 *
 * @par Threads
 * Any thread. Allocates nothing.
 * @since 0.1
 */
CAPP_API void capp_error_prefix(capp_error *error, const char *format, ...) CAPP_PRINTF(2, 3);

CAPP_END_DECLS

#endif
