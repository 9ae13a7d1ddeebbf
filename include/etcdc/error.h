/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file error.h
 * Status codes and the error record.
 *
 * Every call that can fail returns an etcd_status and takes an optional
 * `etcd_error *reterr` as its last parameter: caller-allocated, filled on
 * failure only, NULL allowed. It answers what a program wants to know of a failure:
 * what to branch on (`status`), whether to try again (ETCD_ERROR_RETRYABLE) and
 * whether the write may have happened all the same (ETCD_ERROR_MAYBE_APPLIED).
 * The numbers are part of the ABI.
 */
#ifndef ETCDC_ERROR_H
#define ETCDC_ERROR_H

#include <etcdc/export.h>

#include <stddef.h>
#include <stdint.h>

ETCD_BEGIN_DECLS

/** What a program branches on. Numbers never change; new ones are added at the end. */
typedef enum etcd_status {
    ETCD_OK = 0,
    ETCD_E_INVALID_ARGUMENT = 1, /**< Bad input; the message names argument and value. */
    ETCD_E_NO_MEMORY = 2,
    /** The client is closed, or was closed meanwhile; or this is a forked child. */
    ETCD_E_CLOSED = 3,
    ETCD_E_CANCELLED = 4,      /**< Ended by a cancel. */
    ETCD_E_DEADLINE = 5,       /**< Sent, no answer in time. */
    ETCD_E_UNAVAILABLE = 6,    /**< Never reached a server; the message has the last cause. */
    ETCD_E_WOULD_DEADLOCK = 7, /**< A blocking call inside a callback of the same loop. */
    ETCD_E_BUSY = 8,           /**< Limit on outstanding calls; a lock that is held (try). */
    ETCD_E_AUTH = 9,           /**< Login refused, or credentials missing. */
    ETCD_E_DENIED = 10,        /**< The user may not do this. */
    ETCD_E_NOT_FOUND = 11,     /**< A name, member, user, role or key that must exist does not. */
    ETCD_E_EXISTS = 12,        /**< One that must not exist does. */
    ETCD_E_LEASE_NOT_FOUND = 13,
    ETCD_E_LEASE_LOST = 14,      /**< A lease that was being kept alive ended. */
    ETCD_E_COMPACTED = 15,       /**< The revision asked for is compacted away; see etcd_error.revision. */
    ETCD_E_FUTURE_REVISION = 16, /**< The revision asked for does not exist yet. */
    ETCD_E_TOO_LARGE = 17,       /**< Above a message limit, here or at the server. */
    ETCD_E_NO_SPACE = 18,        /**< The server's space quota is used up. */
    ETCD_E_NO_LEADER = 19,
    ETCD_E_PRECONDITION = 20,    /**< The server refused for another reason of state. */
    ETCD_E_CLUSTER_CHANGED = 21, /**< Another cluster answers, or its revision went back (a restore). */
    ETCD_E_UNSUPPORTED = 22,     /**< The server does not know this call. */
    ETCD_E_PROTOCOL = 23,        /**< Nonsense from the peer. */
    ETCD_E_CORRUPT = 24,         /**< The server reports data loss. */
    ETCD_E_IO = 25,              /**< A local file or descriptor. */
    ETCD_E_INTERNAL = 26,        /**< A bug; please report it. */
    ETCD_STATUS_FORCE_INT32 = 0x7fffffff
} etcd_status;

/** The same call may succeed when it is tried again later, and doing so does no harm. */
#define ETCD_ERROR_RETRYABLE (UINT32_C(1) << 0)
/** The call was a write and the server may have carried it out. Read back before repeating it. */
#define ETCD_ERROR_MAYBE_APPLIED (UINT32_C(1) << 1)
/** The failure was reported by a server; otherwise it was found here. */
#define ETCD_ERROR_FROM_SERVER (UINT32_C(1) << 2)

/** Bytes of etcd_error.message, NUL included. */
#define ETCD_ERROR_MESSAGE_SIZE 476

/**
 * One failure. Plain data: copy it, keep it, it refers to nothing. Set on failure only.
 * 512 bytes, frozen.
 */
typedef struct etcd_error {
    etcd_status status;
    int32_t grpc_code; /**< The gRPC status code, 0..16; -1 when there was none. */
    uint32_t flags;    /**< ETCD_ERROR_… */
    int32_t sys_errno; /**< errno of the system call behind it; 0 when there was none. */
    int64_t revision;  /**< ETCD_E_COMPACTED: the oldest revision that is left, when known; else 0. */
    uint32_t reserved[3];
    /** Operation, client, endpoint and cause, for people. Valid UTF-8, NUL-terminated, no secret in it. */
    char message[ETCD_ERROR_MESSAGE_SIZE];
} etcd_error;

/**
 * The name of a status as it is written in C ("ETCD_E_DEADLINE"), for logs; never NULL. Any thread. @since
 * 0.1
 */
ETCD_API const char *etcd_status_name(etcd_status status);
/** A short English text for a status; never NULL. Any thread. @since 0.1 */
ETCD_API const char *etcd_status_text(etcd_status status);

ETCD_END_DECLS

#endif
