/* SPDX-License-Identifier: Apache-2.0 */
/* What the server sends on a stream: who is it for, and what does it say. */
#include "client/watch_stream.h"

enum { NO_ID = -1 }; /* of refusals, and of progress that was asked for */

/* ---- answers to creates ---------------------------------------------------------------------------- */

static void refuse(struct etcd__watch_stream *stream, struct etcd_watch *watch, const char *reason)
{
    struct etcd__verdict verdict = etcd__verdict_of_text(reason);
    uint64_t generation = stream->generation;

    etcd__watch_stream_remove(watch, false);
    /*
     * The token went out with the stream: what is created later needs another stream. Those that are
     * created stay.
     */
    if (verdict.remedy == ETCD__REMEDY_LOGIN)
        etcd__watch_stream_retire(stream);
    etcd__watch_refused(watch, reason, &verdict, generation);
}

/*
 * Ids that are not ours: the pairing of answers with creates cannot be trusted. Start again, one create at
 * a time.
 */
static void go_foreign(struct etcd__watch_stream *stream)
{
    stream->hub->foreign_ids = true;
    etcd__log(&stream->hub->client->log, ETCD_LOG_DEBUG, "watch",
              "client '%s': the server hands out watch ids of its own, watches are created one at a time",
              etcd__client_label(stream->hub->client));
    etcd__watch_stream_break(stream);
}

/* The one watch that is being created gets the id that the server gave it. */
static bool adopt_id(struct etcd__watch_stream *stream, struct etcd_watch *watch, int64_t id)
{
    if (id == watch->id)
        return true;
    if (!etcd__map_put(&stream->ids, (uint64_t)id, watch))
        return false;
    (void)etcd__map_remove(&stream->ids, (uint64_t)watch->id);
    watch->id = id;
    return true;
}

/*
 * `watch` is NULL when it left meanwhile; its cancel went out behind the create, unless the id was not
 * known then.
 */
static void created(struct etcd__watch_stream *stream, struct etcd_watch *watch,
                    const struct etcd__wire_watch *head)
{
    stream->answered = true;
    stream->member_id = head->header.member_id;
    if (watch == NULL) {
        if (stream->foreign)
            etcd__watch_stream_cancel_id(stream, head->watch_id);
    } else if (adopt_id(stream, watch, head->watch_id)) {
        etcd__watch_created(watch, &head->header);
    } else {
        etcd__watch_stream_cancel_id(stream, head->watch_id);
        etcd__watch_end(watch, ETCD_E_NO_MEMORY, NULL);
    }
}

static void answer_create(struct etcd__watch_stream *stream, const struct etcd__wire_watch *head)
{
    bool refused = head->canceled || head->watch_id == NO_ID;
    struct etcd_watch *watch;

    if (stream->expect_id == stream->next_id) {
        etcd__watch_stream_reject(stream, ETCD_E_PROTOCOL, "an answer to a create that was not sent");
        return;
    }
    if (!refused && !stream->foreign && head->watch_id != stream->expect_id) {
        go_foreign(stream);
        return;
    }
    watch = etcd__map_get(&stream->ids, (uint64_t)stream->expect_id);
    etcd__watch_stream_answered(stream);
    if (!refused)
        created(stream, watch, head);
    else if (watch != NULL)
        refuse(stream, watch, head->cancel_reason);
    etcd__watch_stream_create(stream);
}

/* ---- everything else ------------------------------------------------------------------------------- */

static void canceled(struct etcd__watch_stream *stream, struct etcd_watch *watch,
                     const struct etcd__wire_watch *head)
{
    if (head->compact_revision == 0) {
        refuse(stream, watch, head->cancel_reason);
        return;
    }
    etcd__watch_stream_remove(watch, false);
    etcd__watch_compacted(watch, head->compact_revision);
}

/* Returns whether the batch was taken over. */
static bool dispatch(struct etcd__watch_stream *stream, const struct etcd__wire_watch *head,
                     struct etcd_events *events)
{
    struct etcd_watch *watch;

    if (head->created) {
        answer_create(stream, head);
        return false;
    }
    if (head->watch_id == NO_ID && !head->canceled && head->event_count == 0) {
        etcd__watch_stream_progressed(stream, &head->header);
        return false;
    }
    /* Ids that nobody has are those of watches that left. */
    watch = etcd__map_get(&stream->ids, (uint64_t)head->watch_id);
    if (watch == NULL)
        return false;
    if (head->canceled) {
        canceled(stream, watch, head);
        return false;
    }
    if (!etcd__events_in_order(events, watch->carry)) {
        etcd__watch_stream_reject(stream, ETCD_E_PROTOCOL, "events whose revisions go back");
        return false;
    }
    etcd__watch_received(watch, head, events);
    return true;
}

void etcd__watch_answer(struct etcd__watch_stream *stream, const uint8_t *data, size_t len)
{
    struct etcd__wire_watch head;
    struct etcd_events *events;
    etcd_status st = etcd__events_read(data, len, &events, &head);

    stream->heard_ms = etcd__client_reactor(stream->hub->client)->now_ms;

    if (st == ETCD_OK && !etcd__namespace_leave_events(stream->hub->client->config.key_namespace,
                                                       events->events, events->count)) {
        etcd_events_free(events);
        st = ETCD_E_PROTOCOL;
    }
    if (st == ETCD_E_NO_MEMORY)
        etcd__watch_stream_break(stream); /* nothing is lost: its watches resume where they were */
    else if (st != ETCD_OK)
        etcd__watch_stream_reject(stream, st, "a malformed answer");
    else if (!dispatch(stream, &head, events))
        etcd_events_free(events);
}
