/* SPDX-License-Identifier: Apache-2.0 */
/* The call beneath a stream ended: what that means for its watches. */
#include "client/watch_stream.h"

enum {
    LOGINS_MAX = 5,      /* tokens in a row that a stream may find refused */
    SET_ASIDE_MS = 2000, /* how long a member that could not serve gets no new calls */
    SPLIT_MAX = 8,
    /*
     * Once may be chance: the server does not split an answer that it held back while it created the watch.
     */
    TOO_LARGE_MAX = 2,
};

static struct etcd_watch *watch_at(struct etcd__node *place)
{
    return ETCD__CONTAINER(place, struct etcd_watch, place);
}

/* Any watch of the stream, or NULL. */
static struct etcd_watch *first_watch(const struct etcd__watch_stream *stream)
{
    struct etcd__node *node = etcd__list_first(&stream->sent);

    if (node == NULL)
        node = etcd__list_first(&stream->queued);
    return node == NULL ? NULL : watch_at(node);
}

static void end_all(struct etcd__watch_stream *stream, const struct etcd__call_end *end,
                    const struct etcd__verdict *verdict)
{
    struct etcd_watch *watch;
    etcd_error err;

    (void)etcd__error_of_end(&err, stream->hub->client, "watch", end, verdict, false);
    stream->state = ETCD__WATCH_STREAM_IDLE;
    while ((watch = first_watch(stream)) != NULL)
        etcd__watch_end(watch, verdict->status, &err);
}

/* ---- answers above the receive limit --------------------------------------------------------------- */

/* It is known which watch the answer was for. */
static void too_large_alone(struct etcd__watch_stream *stream, const struct etcd__call_end *end,
                            const struct etcd__verdict *verdict)
{
    struct etcd_watch *watch = first_watch(stream);

    if (watch == NULL || ++watch->too_large < TOO_LARGE_MAX)
        etcd__watch_stream_break(stream);
    else
        end_all(stream, end, verdict);
}

/* One of many is the culprit: spread them over a few streams, and again, until it sits alone. */
static void split(struct etcd__watch_stream *stream)
{
    struct etcd__watch_stream *parts[SPLIT_MAX];
    size_t count = 0, next = 0;
    struct etcd_watch *watch;

    while (count < SPLIT_MAX && count < stream->count) {
        parts[count] = etcd__watch_stream_new(stream->hub);
        if (parts[count] == NULL)
            break;
        count++;
    }
    while (count > 0 && (watch = first_watch(stream)) != NULL) {
        etcd__watch_stream_remove(watch, false);
        if (etcd__watch_broken(watch))
            etcd__watch_stream_add(parts[next++ % count], watch);
    }
    for (size_t i = next; i < count; i++)
        etcd__watch_stream_free(parts[i]); /* nobody was left for it */
    if (stream->count > 0)
        etcd__watch_stream_break(stream); /* no memory: later */
}

static void too_large(struct etcd__watch_stream *stream, const struct etcd__call_end *end,
                      const struct etcd__verdict *verdict)
{
    stream->state = ETCD__WATCH_STREAM_IDLE;
    etcd__watch_stream_retire(stream);
    if (stream->count <= 1)
        too_large_alone(stream, end, verdict);
    else
        split(stream);
}

/* ---- the verdict ----------------------------------------------------------------------------------- */

static bool is_definite(etcd_status status)
{
    return status == ETCD_E_DENIED || status == ETCD_E_AUTH || status == ETCD_E_UNSUPPORTED;
}

static void judge(struct etcd__watch_stream *stream, const struct etcd__call_end *end,
                  const struct etcd__verdict *verdict)
{
    if (verdict->remedy == ETCD__REMEDY_LOGIN) {
        if (stream->logins++ < LOGINS_MAX &&
            etcd__auth_reject(&stream->hub->client->auth, stream->generation))
            etcd__watch_stream_break(stream);
        else
            end_all(stream, end, verdict);
    } else if (verdict->remedy != ETCD__REMEDY_NONE || verdict->retryable) {
        etcd__watch_stream_break(stream);
    } else if (is_definite(verdict->status)) {
        end_all(stream, end, verdict);
    } else {
        etcd__watch_stream_reject(stream, verdict->status, end->message);
    }
}

void etcd__watch_stream_ended(struct etcd__watch_stream *stream, const struct etcd__call_end *end)
{
    struct etcd_client *client = stream->hub->client;
    struct etcd__subchannel *subchannel = stream->call.subchannel;
    struct etcd__verdict verdict;

    etcd__log(&client->log, ETCD_LOG_DEBUG, "watch", "client '%s': a stream of %zu watches ended%s%s: %s",
              etcd__client_label(client), stream->count, end->endpoint[0] != '\0' ? ", endpoint " : "",
              end->endpoint, end->message);
    stream->avoid = subchannel;
    if (end->code == ETCD__GRPC_OK) {
        etcd__watch_stream_break(stream); /* the server goes away politely */
        return;
    }
    verdict = etcd__verdict_of(end);
    if (end->from_server && subchannel != NULL && verdict.remedy != ETCD__REMEDY_NONE &&
        verdict.remedy != ETCD__REMEDY_LOGIN)
        etcd__channel_set_aside(client->channel, subchannel, SET_ASIDE_MS);
    if (end->too_large)
        too_large(stream, end, &verdict);
    else
        judge(stream, end, &verdict);
}
