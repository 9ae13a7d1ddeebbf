/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far is a watch, on request. The answer carries the id -1 and is about all watches of the stream.
 * Servers before 3.4.25 and 3.5.8 give it whether or not they have sent everything up to its revision; later
 * ones only when they have, and drop the request otherwise. So the version of the member that serves the
 * stream is learned first, and the request is repeated until it is answered. Where the answer would not be
 * certain it is not asked for (a grpc-proxy does not even know the request): then the periodic notice has to
 * do.
 */
#include "client/watch_stream.h"
#include "wire/codec.h"
#include "wire/convert.h"
#include "wire/messages.h"

#include <stdlib.h>

enum {
    ASK_TIMEOUT_MS = 5000,
    ASK_AGAIN_MS = 100, /* another member answered, or none */
    ASKS_MAX = 50,
    REPEAT_FIRST_MS = 50,
    REPEAT_MAX_MS = 2000,
};

/* Of the member that answered. */
struct answer {
    uint64_t member_id;
    bool certain;
};

static struct etcd__reactor *reactor_of(const struct etcd__watch_stream *stream)
{
    return etcd__client_reactor(stream->hub->client);
}

/* ---- the version ----------------------------------------------------------------------------------- */

static bool is_certain(const char *version)
{
    char *end;
    long part[3] = {0, 0, 0};

    for (size_t i = 0; i < ETCD__COUNT(part); i++) {
        part[i] = strtol(version, &end, 10);
        if (end == version || part[i] < 0)
            return false;
        version = *end == '.' ? end + 1 : end;
    }
    if (part[0] != 3)
        return part[0] > 3;
    if (part[1] == 4)
        return part[2] >= 25;
    return part[1] == 5 ? part[2] >= 8 : part[1] > 5;
}

static etcd_status decode(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena = {0};
    const Etcd__Pb__StatusResponse *status;
    struct answer *answer;
    etcd_status st;

    status = etcd__wire_unpack(&etcd__pb__status_response__descriptor, &arena, data, len, &st);
    answer = status == NULL ? NULL : ETCD__NEW(struct answer);
    if (answer != NULL) {
        answer->member_id = status->header == NULL ? 0 : status->header->member_id;
        answer->certain = is_certain(status->version);
        *ret_result = answer;
    } else if (status != NULL || st == ETCD_E_NO_MEMORY) {
        st = etcd__fail_memory(reterr);
    } else {
        (void)etcd__fail(reterr, st, "the answer is malformed");
    }
    etcd__arena_deinit(&arena);
    return st;
}

static const struct etcd__rpc_kind status_kind = {
    .method = {"/etcdserverpb.Maintenance/Status", "watch", false},
    .repeatable = true,
    .decode = decode,
    .free_result = etcd__free,
};

/* ---- asking ---------------------------------------------------------------------------------------- */

static void arm(struct etcd__watch_stream *stream, int64_t ms)
{
    etcd__timer_arm(reactor_of(stream), &stream->progress.timer, reactor_of(stream)->now_ms + ms);
}

/* Any answer but that of the member which serves the stream says nothing. */
static void ask_again(struct etcd__watch_stream *stream)
{
    if (++stream->progress.asks < ASKS_MAX)
        arm(stream, ASK_AGAIN_MS);
    else
        stream->progress.trust = ETCD__WATCH_PROGRESS_UNCERTAIN;
}

static void on_status(void *user, etcd_status status, void *result, const etcd_error *err)
{
    struct etcd__watch_stream *stream = user;
    const struct answer *answer = result;

    (void)err;
    stream->progress.rpc = NULL;
    if (status == ETCD_OK && answer->member_id == stream->member_id) {
        stream->progress.trust = answer->certain ? ETCD__WATCH_PROGRESS_CERTAIN
                                                 : ETCD__WATCH_PROGRESS_UNCERTAIN;
        etcd__watch_stream_ask_progress(stream);
    } else if (status == ETCD_OK || etcd__watch_passing(status)) {
        ask_again(stream);
    } else {
        stream->progress.trust = ETCD__WATCH_PROGRESS_UNCERTAIN;
    }
    etcd__free(result);
}

static void ask_version(struct etcd__watch_stream *stream)
{
    const struct etcd__rpc_options options = {.timeout_ms = ASK_TIMEOUT_MS};
    Etcd__Pb__StatusRequest request = ETCD__PB__STATUS_REQUEST__INIT;

    if (etcd__rpc_run(stream->hub->client, &status_kind, &request.base, &options, on_status, stream,
                      &stream->progress.rpc, NULL) != ETCD_OK)
        ask_again(stream);
}

static bool somebody_waits(const struct etcd__watch_stream *stream)
{
    ETCD__LIST_FOREACH(node, &stream->sent)
    {
        const struct etcd_watch *watch = ETCD__CONTAINER(node, struct etcd_watch, place);

        if (watch->progress_wanted && watch->state == ETCD__WATCH_ACTIVE)
            return true;
    }
    return false;
}

static void ask(struct etcd__watch_stream *stream)
{
    int64_t pause_ms = stream->progress.pause_ms;

    (void)etcd__watch_stream_send_progress(stream); /* without memory for it now, then the next time */
    stream->progress.pause_ms = pause_ms > REPEAT_MAX_MS / 2 ? REPEAT_MAX_MS : pause_ms * 2;
    arm(stream, pause_ms);
}

static void on_timer(struct etcd__timer *timer)
{
    struct etcd__watch_stream *stream = ETCD__CONTAINER(timer, struct etcd__watch_stream, progress.timer);

    if (!somebody_waits(stream))
        return;
    if (stream->progress.trust == ETCD__WATCH_PROGRESS_CERTAIN)
        ask(stream);
    else
        ask_version(stream);
}

void etcd__watch_stream_ask_progress(struct etcd__watch_stream *stream)
{
    if (stream->state != ETCD__WATCH_STREAM_OPEN || stream->foreign || stream->progress.rpc != NULL ||
        etcd__timer_armed(&stream->progress.timer) || !somebody_waits(stream))
        return;
    stream->progress.pause_ms = REPEAT_FIRST_MS;
    if (stream->progress.trust == ETCD__WATCH_PROGRESS_CERTAIN)
        ask(stream);
    else if (stream->progress.trust == ETCD__WATCH_PROGRESS_UNKNOWN)
        ask_version(stream);
}

void etcd__watch_stream_progress_init(struct etcd__watch_stream *stream)
{
    stream->progress.timer.on_expire = on_timer;
}

void etcd__watch_stream_progress_reset(struct etcd__watch_stream *stream)
{
    etcd__rpc_abort(stream->progress.rpc);
    stream->progress.rpc = NULL;
    stream->progress.trust = ETCD__WATCH_PROGRESS_UNKNOWN;
    stream->progress.asks = 0;
    etcd__timer_disarm(reactor_of(stream), &stream->progress.timer);
}

/* ---- the answer ------------------------------------------------------------------------------------ */

void etcd__watch_stream_progressed(struct etcd__watch_stream *stream, const etcd_header *header)
{
    if (stream->progress.trust != ETCD__WATCH_PROGRESS_CERTAIN)
        return;
    etcd__timer_disarm(reactor_of(stream), &stream->progress.timer);
    ETCD__LIST_FOREACH_SAFE(node, &stream->sent)
    {
        struct etcd_watch *watch = ETCD__CONTAINER(node, struct etcd_watch, place);

        if (watch->state == ETCD__WATCH_ACTIVE)
            etcd__watch_progressed(watch, header);
    }
    etcd__watch_stream_ask_progress(stream); /* for those without memory for it */
}
