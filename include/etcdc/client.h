/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file client.h
 * Opening, closing and looking at a client.
 *
 * A client talks to one cluster over one connection per endpoint and is meant to be shared: any
 * number of threads may call it at the same time. It reconnects, logs in again and moves between endpoints by
 * itself. Every call is finite: it ends within its time limit whatever the servers do.
 */
#ifndef ETCDC_CLIENT_H
#define ETCDC_CLIENT_H

#include <etcdc/error.h>
#include <etcdc/loop.h>
#include <etcdc/op.h>
#include <etcdc/types.h>

ETCD_BEGIN_DECLS

/** A client of one etcd cluster. */
typedef struct etcd_client etcd_client;

/**
 * TLS options of a client. All paths name PEM files and are copied. Files that were replaced are used from
 * the next connection on; while they cannot be loaded the previous ones stay in use, and a line of the log
 * says so (WARN).
 */
typedef struct etcd_tls_opts {
    size_t size;               /**< sizeof this struct; set by ETCD_TLS_OPTS. */
    const char *ca_file;       /**< Whom to trust; NULL: the system's roots. */
    const char *cert_file;     /**< The client's certificate (mTLS); together with key_file. */
    const char *key_file;      /**< Its private key, not encrypted. */
    const char *server_name;   /**< Verified instead of the endpoint's host, and sent as SNI. */
    bool insecure_skip_verify; /**< Do not verify the server. For experiments only. */
    uint8_t pad_[7];           /**< Zero. */
} etcd_tls_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_TLS_OPTS_INIT {sizeof(etcd_tls_opts), NULL, NULL, NULL, NULL, false, {0}}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `.tls = ETCD_TLS_OPTS(.ca_file = "ca.pem")`. */
#define ETCD_TLS_OPTS(...) (&(const etcd_tls_opts){.size = sizeof(etcd_tls_opts), __VA_ARGS__})
#endif

/** Which of several members that are connected a call goes to. */
typedef enum etcd_prefer {
    ETCD_PREFER_NONE = 0, /**< All in turn. */
    /**
     * What needs the leader anyway - writes and linearizable reads - goes to it. While it is not known,
     * or may not be asked for (etcd_member_status() forbidden), all in turn.
     */
    ETCD_PREFER_LEADER = 1,
    /** Serializable reads go to the member that answers fastest; all other calls in turn. */
    ETCD_PREFER_NEAREST = 2,
    ETCD_PREFER_FORCE_INT32 = 0x7fffffff
} etcd_prefer;

/** Whether calls can be made at once. */
typedef enum etcd_client_state {
    ETCD_CLIENT_IDLE = 0,       /**< Nothing has asked for a connection yet. */
    ETCD_CLIENT_CONNECTING = 1, /**< Not connected; being tried. */
    ETCD_CLIENT_READY = 2,      /**< At least one endpoint is connected. */
    ETCD_CLIENT_CLOSED = 3,
    ETCD_CLIENT_STATE_FORCE_INT32 = 0x7fffffff
} etcd_client_state;

/**
 * Tells that the state changed; each change once, in order. ETCD_CLIENT_CLOSED is the last call, made before
 * etcd_client_close() returns (closed inside this very function: right after it). `err`, for CONNECTING after
 * READY, is why the last connection was lost - the newest such reason, when several changes are told
 * together; else NULL. Borrowed. Runs on the loop's thread, or inside etcd_loop_process(); what is left at
 * the end inside etcd_client_close() where nobody else would run it. Must not free the client.
 */
typedef void etcd_state_fn(etcd_client *client, etcd_client_state state, const etcd_error *err,
                           void *user_data);

/** Options of a client. Zero means default; all strings are copied. */
typedef struct etcd_client_opts {
    size_t size; /**< sizeof this struct; set by ETCD_CLIENT_OPTS. */
    /** For logs and errors; NULL: "etcd". */
    const char *name;
    /**
     * Ends with NULL: ETCD_LIST("a:2379", "b:2379"). NULL: "localhost:2379"; an empty list is refused.
     * `host`, `host:port`, `[v6]:port`, with `http://` or `https://` in front, `unix:path`. Port 2379 by
     * default. The scheme decides about TLS for each endpoint; without a scheme, TLS is used iff `tls` is
     * set.
     */
    const char *const *endpoints;
    /** One attempt to connect: names, TCP, TLS, HTTP/2 and login. Milliseconds; 0: 5,000. */
    int64_t dial_timeout_ms;
    /** Of every call that sets none of its own. Milliseconds; 0: 5,000; ETCD_TIMEOUT_NONE: none. */
    int64_t timeout_ms;
    /** Both or none of these two. */
    const char *username;
    etcd_secret password;
    /** Replaces the endpoints by those that the members advertise, so often. Milliseconds; 0: never. */
    int64_t auto_sync_interval_ms;
    /** Largest request. Bytes; 0: 2 MiB. */
    size_t max_send_bytes;
    /** Largest answer. Bytes; 0: 2^31 - 1. Not below max_send_bytes when both are set. */
    size_t max_recv_bytes;
    /**
     * A ping so often while a call or watch is open. Milliseconds; 0: 10,000; at least 10,000 (servers
     * punish more).
     */
    int64_t keepalive_time_ms;
    /** How long an unanswered ping is borne before the connection is given up. Milliseconds; 0: 5,000. */
    int64_t keepalive_timeout_ms;
    /** NULL: TLS with the system's roots for https:// endpoints, none for others. Copied. */
    const etcd_tls_opts *tls;
    /** NULL: a loop of the client's own, thread drive. */
    etcd_loop *loop;
    /** NULL: silent. */
    etcd_log_fn *log_fn;
    void *log_user_data;
    etcd_log_level log_level; /**< Lines below it are dropped; 0: INFO. */
    /** Calls that may be under way at once; one more is refused with ETCD_E_BUSY. 0: 100,000. */
    uint32_t max_outstanding;
    /** Watches above this number are told of in one log line (WARN). 0: 10,000. */
    uint32_t warn_watches;
    /**
     * Bytes of the requests under way; a call beyond is refused with ETCD_E_BUSY. 0: 256 MiB. Not below
     * max_send_bytes.
     */
    size_t max_outstanding_bytes;
    /**
     * A domain whose SRV records name the endpoints: `_etcd-client-ssl._tcp` (https) and
     * `_etcd-client._tcp` (http), both as far as they exist. Instead of `endpoints`. Looked up at the first
     * connection and again whenever no endpoint can be reached.
     */
    const char *discovery_srv;
    const char *discovery_srv_name; /**< Added to the service: `_etcd-client-ssl-NAME._tcp`. NULL: none. */
    /**
     * A token that was issued elsewhere (JWT), instead of username and password. Never renewed by a login;
     * its source is read when the client is opened, and again whenever a server refuses the token.
     */
    etcd_secret token;
    etcd_state_fn *on_state; /**< NULL: not wanted. */
    void *state_user_data;
    etcd_prefer prefer;
    /**
     * Calls, serializable reads too, end with ETCD_E_NO_LEADER as soon as every member that can be reached
     * says that it has no leader, instead of waiting for one until their time limit. Watches and keep-alives
     * never stay on a member without a leader, whatever this says: they move, and wait for a better one.
     */
    bool require_leader;
    uint8_t pad_[3]; /**< Zero. */
    /**
     * The namespace of the client: put before every key that its calls name and taken off every key that
     * comes back, so that it sees nothing outside, and a range ends inside. Bytes, copied; the separator is
     * part of it: etcd_cstr("app/"). Empty: none. Holds for keys and values, transactions, watches, ranges,
     * the keys of a lease, and all that stands on them: locks, elections, registrations, views. It does not
     * hold for what is the cluster's: backups, hashes, and the keys that roles permit, which are whole keys.
     * (Not `namespace`, which C++ keeps for itself; in a configuration it is.)
     */
    etcd_bytes key_namespace;
    etcd_log_record_fn *log_record_fn; /**< Instead of log_fn, with the same log_user_data; NULL: log_fn. */
} etcd_client_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_CLIENT_OPTS_INIT                                                                              \
    {                                                                                                      \
        sizeof(etcd_client_opts), NULL, NULL, 0, 0, NULL, {NULL, ETCD_SECRET_KIND_NONE, 0}, 0, 0, 0, 0, 0, \
            NULL, NULL, NULL, NULL, ETCD_LOG_DEFAULT, 0, 0, 0, NULL, NULL,                                 \
            {NULL, ETCD_SECRET_KIND_NONE, 0}, NULL, NULL, ETCD_PREFER_NONE, false, {0}, {NULL, 0}, NULL          \
    }
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("localhost:2379"))`. */
#define ETCD_CLIENT_OPTS(...) (&(const etcd_client_opts){.size = sizeof(etcd_client_opts), __VA_ARGS__})
#endif

/**
 * Opens a client. Checks everything, connects nothing: the first call, or etcd_client_wait_ready(), does.
 *
 * @param opts            NULL for the defaults. Borrowed, copied.
 * @param[out] ret_client Close it with etcd_client_close(), give it back with etcd_client_free().
 * @param[out] reterr     NULL if not wanted.
 * @retval ETCD_OK
 * @retval ETCD_E_INVALID_ARGUMENT  An option is wrong, or a secret's source is missing or empty; the
 *     message names it.
 * @retval ETCD_E_IO                A certificate, key or password file cannot be read; no descriptor or
 *     thread.
 * @retval ETCD_E_NO_MEMORY
 * @par Threads Any.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_client_open(const etcd_client_opts *opts, etcd_client **ret_client,
                                                     etcd_error *reterr);

/**
 * Waits until a server is connected and, with credentials, the login has succeeded.
 *
 * @param client  Borrowed.
 * @param timeout_ms  0: the dial timeout.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK
 * @retval ETCD_E_UNAVAILABLE  No server reached in time; the message has the last cause.
 * @retval ETCD_E_DEADLINE     A server was reached, the login was not answered in time.
 * @retval ETCD_E_AUTH         The login was refused.
 * @retval ETCD_E_CLOSED, ETCD_E_WOULD_DEADLOCK, ETCD_E_INVALID_ARGUMENT, ETCD_E_NO_MEMORY
 * @par Threads Any.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_client_wait_ready(etcd_client *client, int64_t timeout_ms,
                                                           etcd_error *reterr);

/** etcd_client_wait_ready() without waiting: watch the operation; its status is the outcome. @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_client_wait_ready_async(etcd_client *client, int64_t timeout_ms,
                                                                 etcd_op_fn *on_done, void *user_data,
                                                                 etcd_op **ret_op, etcd_error *reterr);

/**
 * Does nothing for a while: an operation that ends with ETCD_OK after `delay_ms` milliseconds, for what
 * callbacks want to do later, a next attempt say. Needs no server. Unlike a watch it is not ended by
 * etcd_client_cancel_waits().
 *
 * @param client  Borrowed.
 * @param delay_ms  Milliseconds; 0 or less: at once.
 * @param on_done, user_data, ret_op, reterr  As for etcd_put_async(). The outcome is etcd_op_status():
 *     ETCD_OK, ETCD_E_CANCELLED or ETCD_E_CLOSED.
 * @retval ETCD_OK, ETCD_E_INVALID_ARGUMENT, ETCD_E_CLOSED, ETCD_E_NO_MEMORY
 * @par Threads Any, also from callbacks.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_client_delay_async(etcd_client *client, int64_t delay_ms,
                                                            etcd_op_fn *on_done, void *user_data,
                                                            etcd_op **ret_op, etcd_error *reterr);

/**
 * Ends every wait of this client - watches, lock waits, calls made with `in_wait` - with ETCD_E_CANCELLED,
 * now and from now on: those begun later end the same way. Ordinary calls go on working. For the orderly
 * stop of a program, before etcd_client_close(). Any thread.
 * @since 0.1
 */
ETCD_API void etcd_client_cancel_waits(etcd_client *client);

/**
 * Revokes every lease that this client keeps alive, all at once, and with them locks and registrations:
 * nothing is left for others to wait for. Their keep-alives end with ETCD_E_CLOSED, and new ones are
 * refused. For the orderly stop of a program, after etcd_client_cancel_waits() and before
 * etcd_client_close().
 *
 * @param client  Borrowed.
 * @param timeout_ms  0: the client's default.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK  Nothing is left; also when there was no lease.
 * @retval ETCD_E_DEADLINE, ETCD_E_UNAVAILABLE, ...  Of the first lease that could not be revoked; it
 *     expires by itself.
 * @retval ETCD_E_CLOSED, ETCD_E_WOULD_DEADLOCK, ETCD_E_INVALID_ARGUMENT, ETCD_E_NO_MEMORY
 * @par Threads Any, not from a callback.
 * @since 0.1
 */
ETCD_API etcd_status etcd_client_release_leases(etcd_client *client, int64_t timeout_ms, etcd_error *reterr);

/**
 * Closes the client: every pending call, watch and keep-alive ends once, with ETCD_E_CLOSED; connections
 * are closed. Their handles, and the client's, still answer with that status until they are freed. Leases
 * are left as they are. Idempotent. Does not wait for callbacks of other objects; bounded by local work,
 * never by a server. Under caller drive the callbacks that wait run before it returns, unless it is called
 * from one.
 *
 * @retval ETCD_OK  Closed, now or before.
 * @par Threads Any, also from a callback.
 * @since 0.1
 */
ETCD_API etcd_status etcd_client_close(etcd_client *client, etcd_error *reterr);

/**
 * Closes the client if need be and gives the handle back. Handles of its watches, leases and operations
 * stay valid. NULL is
 * fine. Any thread. @since 0.1 */
ETCD_API void etcd_client_free(etcd_client *client);

/** The name from the options. Lives as long as the client. @since 0.1 */
ETCD_API const char *etcd_client_name(const etcd_client *client);

/**
 * The time limit of calls that set none of their own, in milliseconds; ETCD_TIMEOUT_NONE: none. Any thread.
 * @since 0.1
 */
ETCD_API int64_t etcd_client_timeout_ms(const etcd_client *client);

/** How the client's loop is driven. Any thread. @since 0.1 */
ETCD_API etcd_drive etcd_client_drive(const etcd_client *client);

/**
 * Writes the effective options as text, one `key: value` a line, with a NUL; secrets are shown as "set" or
 * "not set". Returns the length of the whole text, which was cut if it is >= size. Any thread.
 * @since 0.1
 */
ETCD_API size_t etcd_client_describe(const etcd_client *client, char *dst, size_t size);

/**
 * Replaces the endpoints by what the members advertise, as auto_sync_interval_ms does. Learners and members
 * that have not started are left out; an empty answer changes nothing and is ETCD_E_UNAVAILABLE.
 *
 * @param client  Borrowed.
 * @param timeout_ms  0: the client's default.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK, ETCD_E_UNAVAILABLE, ETCD_E_DEADLINE, ETCD_E_AUTH, ETCD_E_DENIED, ETCD_E_NO_LEADER,
 *         ETCD_E_CLOSED, ETCD_E_WOULD_DEADLOCK, ETCD_E_INVALID_ARGUMENT, ETCD_E_NO_MEMORY
 * @par Threads Any.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_client_sync(etcd_client *client, int64_t timeout_ms,
                                                     etcd_error *reterr);

/**
 * Writes the endpoints in use now, comma-separated, with a NUL. Returns the length of the whole text. Any
 * thread. In a forked child there are none.
 * @since 0.1
 */
ETCD_API size_t etcd_client_endpoints(const etcd_client *client, char *dst, size_t size);

/**
 * Replaces the endpoints. Those that stay keep their connection; calls under way on removed ones finish
 * there, watches and keep-alives move at once to one that is left. Automatic sync may replace them again;
 * discovery_srv is over.
 *
 * @param client  Borrowed.
 * @param endpoints  As in etcd_client_opts; neither NULL nor empty. Copied.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK  In force: a call made from now on goes to one of these.
 * @retval ETCD_E_INVALID_ARGUMENT  The message names index and value; the list stays as it was.
 * @retval ETCD_E_IO  https:// and the system's roots cannot be read; the list stays as it was.
 * @retval ETCD_E_CLOSED, ETCD_E_NO_MEMORY
 * @par Threads Any, also from callbacks.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_client_set_endpoints(etcd_client *client,
                                                              const char *const *endpoints,
                                                              etcd_error *reterr);

/** Whether calls can be made at once, now. Any thread. @since 0.1 */
ETCD_API etcd_client_state etcd_client_state_now(const etcd_client *client);

/**
 * What is known to keep calls from succeeding, now: for the state of health of a program. Looks, and asks
 * nobody. A server that has stopped without a word is found out by calls and pings, not by this.
 *
 * @param client  Borrowed.
 * @param[out] reterr  What is wrong, with the newest cause. NULL if not wanted.
 * @retval ETCD_OK             Nothing: connected and not refused, or nothing has asked for a connection yet.
 * @retval ETCD_E_UNAVAILABLE  Not connected.
 * @retval ETCD_E_AUTH, other  Connected, but the last login was refused.
 * @retval ETCD_E_CLOSED, ETCD_E_INVALID_ARGUMENT
 * @par Threads Any, also from callbacks.
 * @since 0.1
 */
ETCD_API etcd_status etcd_client_trouble(const etcd_client *client, etcd_error *reterr);

/**
 * The version of etcd that a member reports, "3.5.30" say, as text with a NUL; members may differ during an
 * upgrade: the lowest of those that answer is given.
 *
 * @param client  Borrowed.
 * @param timeout_ms  0: the client's default. Once one has answered, the others have a second at most.
 * @param[out] dst    `size` bytes; 16 are enough for any release.
 * @param size  Bytes of @p dst.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK
 * @retval ETCD_E_INVALID_ARGUMENT  `dst` is NULL, `size` 0.
 * @retval common  See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_client_server_version(etcd_client *client, int64_t timeout_ms,
                                                               char *dst, size_t size, etcd_error *reterr);

ETCD_END_DECLS

#endif
