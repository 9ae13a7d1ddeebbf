/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backups. backup_stream.c brings the parts in (engine), backup.c takes them out, checks them and tells the
 * program (calling thread), backup_file.c writes them down (likewise).
 */
#ifndef ETCD__CLIENT_BACKUP_H
#define ETCD__CLIENT_BACKUP_H

#include "base/arena.h"
#include "client/feed.h"
#include "etcdc/backup.h"

/* One answer. */
struct etcd__backup_part {
    struct etcd__arena arena; /* holds this too */
    etcd_header header;
    etcd_bytes data;
    uint64_t remaining;
    const char *version;
};

extern const char etcd__backup_name[];

/* The stream of parts; `deadline_ms` is that of all of it. */
etcd_status etcd__backup_open(struct etcd_client *client, const char *endpoint, int64_t deadline_ms,
                              bool fail_fast, struct etcd__feed **ret_feed, etcd_error *reterr);
void etcd__backup_part_free(void *part);

/* Takes the data of a backup in its order. On the calling thread. */
typedef etcd_status etcd__backup_sink_fn(void *user, etcd_bytes data, etcd_error *reterr);
etcd_status etcd__backup_run(struct etcd_client *client, const etcd_backup_opts *opts,
                             etcd__backup_sink_fn *sink, void *user, etcd_backup_info *ret_info,
                             etcd_error *reterr);

#endif
