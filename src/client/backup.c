/* SPDX-License-Identifier: Apache-2.0 */
/* On the thread of the caller: takes the parts out, checks them, tells the program, hands them to a sink. */
#include "client/backup.h"

#include "base/str.h"
#include "client/client.h"
#include "client/rpc.h"
#include "net/tls_digest.h"

#include <inttypes.h>
#include <string.h>

enum {
    TICK_MS = 100, /* how often the program is asked while nothing comes */
    PAGE = 512,    /* databases are multiples of it */
};

struct run {
    struct etcd_client *client;
    const etcd_backup_opts *opts;
    struct etcd__feed *feed;
    int64_t deadline_ms;
    etcd__backup_sink_fn *sink;
    void *user;
    struct etcd__sha256 *sha256; /* of all but `tail` */
    uint8_t tail[ETCD__SHA256_SIZE];
    size_t tail_len;
    int64_t remaining;
    etcd_backup_info info;
};

/* ---- checking -------------------------------------------------------------------------------------- */

static bool add(struct run *run, const void *data, size_t len)
{
    return len == 0 || etcd__sha256_add(run->sha256, data, len);
}

/* The last bytes that came are kept out of the digest: they may be it. */
static bool check_in(struct run *run, etcd_bytes data)
{
    const uint8_t *bytes = data.data;
    size_t keep = data.len < sizeof(run->tail) ? data.len : sizeof(run->tail);
    size_t room = sizeof(run->tail) - keep, pushed_out = 0;

    if (run->tail_len > room)
        pushed_out = run->tail_len - room;
    if (!add(run, run->tail, pushed_out) || !add(run, bytes, data.len - keep))
        return false;
    memmove(run->tail, run->tail + pushed_out, run->tail_len - pushed_out);
    run->tail_len -= pushed_out;
    if (keep > 0)
        memcpy(run->tail + run->tail_len, bytes + data.len - keep, keep);
    run->tail_len += keep;
    return true;
}

static etcd_status fail(const struct run *run, etcd_status status, const char *reason, etcd_error *reterr)
{
    return etcd__fail(reterr, status, "%s: client '%s': %s", etcd__backup_name,
                      etcd__client_label(run->client), reason);
}

static etcd_status check_whole(struct run *run, etcd_error *reterr)
{
    uint8_t digest[ETCD__SHA256_SIZE];
    char reason[96];

    if (run->info.bytes % PAGE != ETCD__SHA256_SIZE) {
        (void)etcd__format(reason, sizeof(reason),
                           "%" PRId64 " bytes came: that is no database with a digest", run->info.bytes);
        return fail(run, ETCD_E_CORRUPT, reason, reterr);
    }
    if (!etcd__sha256_end(run->sha256, digest))
        return etcd__fail_memory(reterr);
    if (memcmp(digest, run->tail, sizeof(digest)) != 0)
        return fail(run, ETCD_E_CORRUPT, "the digest is not that of the data: it was damaged", reterr);
    return ETCD_OK;
}

/* ---- parts ----------------------------------------------------------------------------------------- */

static etcd_status tell(struct run *run, etcd_bytes data, etcd_error *reterr)
{
    const etcd_backup_part part = {
        .data = data,
        .done = run->info.bytes,
        .remaining = run->remaining,
        .version = run->info.version,
    };

    if (run->opts->in_wait && atomic_load(&run->client->waits_cancelled))
        return fail(run, ETCD_E_CANCELLED, "the client's waits were cancelled", reterr);
    if (run->opts->on_part != NULL && !run->opts->on_part(&part, run->opts->user_data))
        return fail(run, ETCD_E_CANCELLED, "cancelled", reterr);
    return ETCD_OK;
}

static etcd_status take_in(struct run *run, const struct etcd__backup_part *part, etcd_error *reterr)
{
    etcd_status st = ETCD_OK;

    if (run->remaining < 0)
        run->info.header = part->header;
    if (part->version[0] != '\0')
        (void)etcd__format(run->info.version, sizeof(run->info.version), "%s", part->version);
    if (!check_in(run, part->data))
        return etcd__fail_memory(reterr);
    if (run->sink != NULL)
        st = run->sink(run->user, part->data, reterr);
    if (st != ETCD_OK)
        return st;
    run->info.bytes += (int64_t)part->data.len;
    run->remaining = part->remaining <= INT64_MAX ? (int64_t)part->remaining : INT64_MAX;
    return tell(run, part->data, reterr);
}

/* ---- waiting --------------------------------------------------------------------------------------- */

/* The engine ends the step in time; should its thread be held up, the caller goes all the same. */
static bool overdue(const struct run *run)
{
    enum { OVERDUE_MS = 200 };

    return run->deadline_ms < INT64_MAX - OVERDUE_MS &&
           etcd__loop_after_ms(run->client->loop, 0) > run->deadline_ms + OVERDUE_MS;
}

static etcd_status wait_for(struct run *run, struct etcd_op *op, etcd_error *reterr)
{
    const etcd_bytes nothing = {"", 0};
    etcd_status st;

    for (;;) {
        st = etcd__op_wait_until(op, etcd__loop_after_ms(run->client->loop, TICK_MS), reterr);
        if (st != ETCD_E_BUSY)
            return st;
        if (overdue(run))
            return fail(run, ETCD_E_DEADLINE, "the loop's thread did not answer in time", reterr);
        st = tell(run, nothing, reterr);
        if (st != ETCD_OK)
            return st;
    }
}

/* *ret_part NULL: the end. */
static etcd_status next_part(struct run *run, struct etcd__backup_part **ret_part, etcd_error *reterr)
{
    const struct etcd__feed_how how = {.deadline_ms = run->deadline_ms, .blocking = true};
    struct etcd_op *op = NULL;
    void *part = NULL;
    etcd_status st = etcd__feed_next(run->feed, &how, &op, reterr);

    if (st != ETCD_OK)
        return st;
    st = wait_for(run, op, reterr);
    if (st == ETCD_OK)
        st = etcd__op_take(op, etcd__backup_name, &part, reterr);
    else
        etcd_op_cancel(op);
    etcd_op_free(op);
    *ret_part = part;
    return st;
}

static etcd_status run_all(struct run *run, etcd_error *reterr)
{
    for (;;) {
        struct etcd__backup_part *part = NULL;
        etcd_status st = next_part(run, &part, reterr);

        if (st != ETCD_OK)
            return st;
        if (part == NULL)
            return check_whole(run, reterr);
        st = take_in(run, part, reterr);
        etcd__backup_part_free(part);
        if (st != ETCD_OK)
            return st;
    }
}

etcd_status etcd__backup_run(struct etcd_client *client, const etcd_backup_opts *opts,
                             etcd__backup_sink_fn *sink, void *user, etcd_backup_info *ret_info,
                             etcd_error *reterr)
{
    struct run run = {.client = client, .opts = opts, .sink = sink, .user = user, .remaining = -1};
    etcd_status st = etcd__rpc_check(client, etcd__backup_name, true, reterr);

    if (st == ETCD_OK)
        st = etcd__rpc_deadline(client, etcd__backup_name, opts->timeout_ms, &run.deadline_ms, reterr);
    if (st == ETCD_OK)
        st = etcd__backup_open(client, opts->endpoint, run.deadline_ms, opts->fail_fast, &run.feed, reterr);
    if (st != ETCD_OK)
        return st;
    run.sha256 = etcd__sha256_new();
    st = run.sha256 == NULL ? etcd__fail_memory(reterr) : run_all(&run, reterr);
    etcd__sha256_free(run.sha256);
    etcd__feed_close(run.feed);
    if (st == ETCD_OK && ret_info != NULL)
        *ret_info = run.info;
    return st;
}

etcd_status etcd_backup_read(etcd_client *client, const etcd_backup_opts *opts, etcd_backup_info *ret_info,
                             etcd_error *reterr)
{
    etcd_backup_opts own = ETCD_BACKUP_OPTS_INIT;
    etcd_status st = etcd__opts_import(&own, sizeof(own), opts, etcd__backup_name, reterr);

    if (st == ETCD_OK && own.on_part == NULL)
        st = etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: on_part is NULL", etcd__backup_name);
    if (st == ETCD_OK && own.mode != 0)
        st = etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: mode is 0%o where no file is written",
                        etcd__backup_name, (unsigned)own.mode);
    return st != ETCD_OK ? st : etcd__backup_run(client, &own, NULL, NULL, ret_info, reterr);
}
