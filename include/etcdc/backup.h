/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file backup.h
 * Backups: a member's whole database, as `etcdutl snapshot restore` takes it.
 *
 * The member sends its database as it was at one moment, while it goes on serving; the last 32 bytes are the
 * SHA-256 of all before them. The library checks them, and that the size is one that a database can have:
 * what comes out whole was not damaged on the way.
 *
 * These calls block, and what they do with the data - your function, the file - they do on the calling
 * thread: a slow disk holds up nobody but its caller, as flow control then holds up the member. To go on
 * meanwhile call them on a thread of your own.
 *
 * A database of gigabytes takes its time. The client's default time limit (5 s) holds here too and is rarely
 * enough: set `timeout_ms`, to minutes, or to ETCD_TIMEOUT_NONE together with an `on_part` that knows when to
 * stop.
 *
 * With authentication on, a backup wants the root user. "Common" statuses are listed at the head of kv.h.
 */
#ifndef ETCDC_BACKUP_H
#define ETCDC_BACKUP_H

#include <etcdc/client.h>

ETCD_BEGIN_DECLS

/** A part of a backup. All of it is borrowed until the function returns. Later versions may add fields. */
typedef struct etcd_backup_part {
    etcd_bytes data;   /**< Comes next in the file; empty: nothing came for a while. */
    int64_t done;      /**< Bytes that came so far, these among them. */
    int64_t remaining; /**< Bytes that are still to come; -1: not known yet. */
    const char
        *version; /**< Of the database's form, "3.6.0"; "" where the server does not tell (before 3.6). */
} etcd_backup_part;

/**
 * Told of each part in turn, and at least every 100 ms while none comes, on the thread that made the call.
 * False ends the call with ETCD_E_CANCELLED. May make other calls on the client.
 */
typedef bool etcd_backup_fn(const etcd_backup_part *part, void *user_data);

/** Options of a backup. Zero means default. */
typedef struct etcd_backup_opts {
    size_t size;             /**< sizeof this struct; set by ETCD_BACKUP_OPTS. */
    int64_t timeout_ms;      /**< Of all of it; 0: the client's default; ETCD_TIMEOUT_NONE: no limit. */
    const char *endpoint;    /**< The member, as in maintenance.h; NULL: some member. Borrowed. */
    etcd_backup_fn *on_part; /**< NULL only for etcd_backup_save(): nobody looks on. */
    void *user_data;         /**< For `on_part`. */
    uint32_t mode;   /**< etcd_backup_save(): permissions of the file; 0: 0600. All secrets are in it. */
    bool fail_fast;  /**< Do not wait for a connection. */
    bool in_wait;    /**< Part of a wait: etcd_client_cancel_waits() ends it. */
    uint8_t pad_[2]; /**< Zero. */
} etcd_backup_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_BACKUP_OPTS_INIT {sizeof(etcd_backup_opts), 0, NULL, NULL, NULL, 0, false, false, {0}}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_BACKUP_OPTS(.endpoint = "10.0.0.1:2379", .timeout_ms = 600000)`. */
#define ETCD_BACKUP_OPTS(...) (&(const etcd_backup_opts){.size = sizeof(etcd_backup_opts), __VA_ARGS__})
#endif

/** What a backup was. A plain value; nothing to free. Frozen. */
typedef struct etcd_backup_info {
    etcd_header header; /**< Of the first part: the member; the revision is 0 before 3.6. */
    int64_t bytes;      /**< All of it. */
    char version[32];   /**< As etcd_backup_part.version. */
} etcd_backup_info;

/**
 * Reads a backup, part by part.
 *
 * It is tried again, in time, only until the first part has come: what follows is of one moment.
 *
 * @param client         Borrowed.
 * @param opts           Borrowed. `on_part` is needed.
 * @param[out] ret_info  Set on success. NULL if not wanted.
 * @param[out] reterr    Set on failure. NULL if not wanted.
 * @retval ETCD_OK           All of it came, and it is whole. Before that nothing is certain.
 * @retval ETCD_E_CANCELLED  `on_part` said so, or the client's waits were cancelled.
 * @retval ETCD_E_CORRUPT    The size or the digest is wrong.
 * @retval common            See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_backup_read(etcd_client *client, const etcd_backup_opts *opts,
                                                     etcd_backup_info *ret_info, etcd_error *reterr);

/**
 * Saves a backup as a file.
 *
 * Written as `<path>.part` beside it, made certain to be on the disk, and only then renamed, so that `path`
 * is either what it was or a whole backup. After a failure the part is removed. Two calls for the same path
 * do not meet: the second one is refused.
 *
 * @param client         Borrowed.
 * @param path           Replaced when it exists. Borrowed.
 * @param opts           NULL for the defaults. Borrowed.
 * @param[out] ret_info  Set on success. NULL if not wanted.
 * @param[out] reterr    Set on failure: for ETCD_E_IO with the path, and errno in sys_errno. NULL if not
 * wanted.
 * @retval ETCD_OK           It is there.
 * @retval ETCD_E_IO         The file: no such directory, no permission, disk full ...
 * @retval ETCD_E_BUSY       Another call, in any process, saves to the same path. Also as in kv.h.
 * @retval ETCD_E_CANCELLED, ETCD_E_CORRUPT, common  As for etcd_backup_read().
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_backup_save(etcd_client *client, const char *path,
                                                     const etcd_backup_opts *opts, etcd_backup_info *ret_info,
                                                     etcd_error *reterr);

ETCD_END_DECLS

#endif
