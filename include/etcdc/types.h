/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file types.h
 * The few types that every other header uses: byte views, key-value pairs,
 * secrets and the log function.
 */
#ifndef ETCDC_TYPES_H
#define ETCDC_TYPES_H

#include <etcdc/export.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

ETCD_BEGIN_DECLS

/** A view of bytes. etcd is binary: keys and values may hold any byte, NUL included. Never owns. */
typedef struct etcd_bytes {
    const void *data; /**< May be NULL when len is 0. */
    size_t len;       /**< In bytes. */
} etcd_bytes;

/** A view of a NUL-terminated string, without its NUL; NULL gives an empty view. @since 0.1 */
static inline etcd_bytes etcd_cstr(const char *text)
{
    etcd_bytes bytes;

    bytes.data = text;
    bytes.len = text == NULL ? 0 : strlen(text);
    return bytes;
}

/** A view of `len` bytes at `data`. @since 0.1 */
static inline etcd_bytes etcd_bytes_of(const void *data, size_t len)
{
    etcd_bytes bytes;

    bytes.data = data;
    bytes.len = len;
    return bytes;
}

/**
 * One key with its value, as the server has it. Lives as long as the result or
 * the event batch that contains it. `key.data` and `value.data` are followed by a NUL that
 * `len` does not count, so text can be used in place. Frozen: no field will be added.
 */
typedef struct etcd_kv {
    etcd_bytes key;
    etcd_bytes value;        /**< Empty for keys-only reads and for deletions. */
    int64_t create_revision; /**< Of the write that created the key; 0 for deletions. */
    int64_t mod_revision;    /**< Of the last write, or of the deletion. */
    int64_t version;         /**< Writes since the key was created, from 1; 0 for deletions. */
    int64_t lease_id;        /**< 0: none. */
} etcd_kv;

/** What every answer of the server begins with. Frozen: no field will be added. */
typedef struct etcd_header {
    uint64_t cluster_id; /**< Changes when a cluster is replaced by another. */
    uint64_t member_id;  /**< The member that answered. */
    int64_t revision;    /**< Of the store when the answer was made. */
    uint64_t raft_term;
} etcd_header;

/** Where a secret comes from. There is no function that prints one. */
typedef enum etcd_secret_kind {
    ETCD_SECRET_KIND_NONE = 0, /**< No secret. */
    ETCD_SECRET_KIND_TEXT = 1, /**< `ref` is the secret itself. */
    ETCD_SECRET_KIND_ENV = 2,  /**< `ref` names an environment variable. */
    ETCD_SECRET_KIND_FILE = 3, /**< `ref` is the path of a file; one trailing newline is dropped. */
    ETCD_SECRET_KIND_FORCE_INT32 = 0x7fffffff
} etcd_secret_kind;

/**
 * A reference to a secret, by value in option structs. Environment and file are read
 * again at each login, so that a rotated password is picked up.
 */
typedef struct etcd_secret {
    const char *ref;       /**< Borrowed during the call that takes it, then copied. */
    etcd_secret_kind kind; /**< Zero: no secret. */
    int32_t reserved;      /**< Zero. */
} etcd_secret;

/** Makes an etcd_secret. @since 0.1 */
static inline etcd_secret etcd_secret_of(etcd_secret_kind kind, const char *ref)
{
    etcd_secret secret;

    secret.ref = ref;
    secret.kind = kind;
    secret.reserved = 0;
    return secret;
}

/** No secret. */
#define ETCD_SECRET_NONE etcd_secret_of(ETCD_SECRET_KIND_NONE, NULL)
/** The text itself. Prefer the other two: a literal ends up in the binary. */
#define ETCD_SECRET_TEXT(text) etcd_secret_of(ETCD_SECRET_KIND_TEXT, (text))
/** The value of an environment variable. */
#define ETCD_SECRET_ENV(name) etcd_secret_of(ETCD_SECRET_KIND_ENV, (name))
/** The content of a file. */
#define ETCD_SECRET_FILE(path) etcd_secret_of(ETCD_SECRET_KIND_FILE, (path))

/** A list of strings in place, as option structs take it: `ETCD_LIST("a:2379", "b:2379")`. C only. */
#ifndef __cplusplus
#define ETCD_LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#endif

/** No time limit, where a limit in milliseconds is asked for. Must be asked for: 0 means the default. */
#define ETCD_TIMEOUT_NONE INT64_MAX

/** How important a log line is. */
typedef enum etcd_log_level {
    ETCD_LOG_DEFAULT = 0, /**< In options: ETCD_LOG_INFO. */
    ETCD_LOG_TRACE = 1,   /**< Each frame and state change. */
    ETCD_LOG_DEBUG = 2,   /**< Connections, retries, resumes. */
    ETCD_LOG_INFO = 3,    /**< Connected, lost, endpoint list changed. */
    ETCD_LOG_WARN = 4,    /**< Something a person should know: clear-text credentials, sync failing. */
    ETCD_LOG_ERROR = 5,   /**< The client cannot do its work. */
    ETCD_LOG_FORCE_INT32 = 0x7fffffff
} etcd_log_level;

/**
 * Receives one log line: no newline, control characters escaped, never a secret.
 * Runs on the loop's thread (or inside a call, under caller drive and while opening) and must not call
 * the client. `component` and `message` are borrowed until it returns.
 */
typedef void etcd_log_fn(void *user_data, etcd_log_level level, const char *component, const char *message);

/** One log line with what it is about, for logs that keep such things apart. Grows at its end. */
typedef struct etcd_log_record {
    size_t size;           /**< Bytes of this struct that the library filled. */
    etcd_log_level level;  /**< Never ETCD_LOG_DEFAULT. */
    uint32_t reserved;     /**< Zero. */
    const char *component; /**< Who speaks: "connect", "watch", … */
    const char *message;   /**< As of etcd_log_fn; names client and endpoint as well. */
    const char *client;    /**< The client's name. */
    const char *endpoint;  /**< "host:port"; NULL: it is about none. */
} etcd_log_record;

/** Receives one log line as a record; all else as with etcd_log_fn. Borrowed until it returns. */
typedef void etcd_log_record_fn(void *user_data, const etcd_log_record *record);

ETCD_END_DECLS

#endif
