/* SPDX-License-Identifier: Apache-2.0 */
/* The Watch streams of the simulated cluster. */
#include "support/sim_parts.h"

#include <stdlib.h>
#include <string.h>

enum { FRAGMENT_EVENTS = 2, PROGRESS_MS = 5000 };

/* One watch; a stream's user is the list of its own. */
struct watch {
    struct watch *next;
    int64_t id, next_revision, progress_ms;
    ProtobufCBinaryData key, end;
    size_t position; /* in the store's events: all before it is done with */
    bool prev_kv, fragment, progress, no_put, no_delete, over;
};

static void *must(void *ptr)
{
    if (ptr == NULL)
        abort();
    return ptr;
}

static void reply(struct sim_line *line, struct h2_server_stream *stream, Etcd__Pb__WatchResponse *response)
{
    struct sim_cluster *cluster = line->member->cluster;
    Etcd__Pb__ResponseHeader header;
    struct fake_answer_bytes bytes;

    sim_header(cluster->store, &line->member->view, &header);
    response->header = &header;
    bytes = sim_pack(&response->base);
    h2_reply_message(stream, bytes.data, bytes.len);
    free(bytes.data);
}

static void send_canceled(struct sim_line *line, struct h2_server_stream *stream, int64_t id, bool created,
                          int64_t compacted, const char *reason)
{
    Etcd__Pb__WatchResponse response = ETCD__PB__WATCH_RESPONSE__INIT;

    response.watch_id = id;
    response.created = created;
    response.canceled = true;
    response.compact_revision = compacted;
    response.cancel_reason = (char *)(uintptr_t)reason;
    reply(line, stream, &response);
}

/* ---- requests -------------------------------------------------------------------------------------- */

static struct watch *find(const struct h2_server_stream *stream, int64_t id)
{
    struct watch *watch = stream->user;

    while (watch != NULL && (watch->id != id || watch->over))
        watch = watch->next;
    return watch;
}

static void create(struct sim_line *line, struct h2_server_stream *stream,
                   const Etcd__Pb__WatchCreateRequest *request)
{
    struct sim_cluster *cluster = line->member->cluster;
    Etcd__Pb__WatchResponse response = ETCD__PB__WATCH_RESPONSE__INIT;
    struct watch *watch;

    sim_cluster_trace(cluster, "watch", line->member);
    if (find(stream, request->watch_id) != NULL)
        cluster->broken = "a watch id was used twice on a stream";
    if (request->start_revision == 0)
        cluster->broken = "a watch was created without a start revision";
    watch = must(calloc(1, sizeof(*watch)));
    *watch = (struct watch){.next = stream->user,
                            .id = request->watch_id,
                            .next_revision = request->start_revision,
                            .progress_ms = cluster->store->now_ms + PROGRESS_MS,
                            .key = sim_copy(request->key),
                            .end = sim_copy(request->range_end),
                            .prev_kv = request->prev_kv,
                            .fragment = request->fragment,
                            .progress = request->progress_notify};
    for (size_t i = 0; i < request->n_filters; i++) {
        watch->no_put |= request->filters[i] == ETCD__PB__WATCH_CREATE_REQUEST__FILTER__NO_PUT;
        watch->no_delete |= request->filters[i] == ETCD__PB__WATCH_CREATE_REQUEST__FILTER__NO_DELETE;
    }
    stream->user = watch;
    response.watch_id = watch->id;
    response.created = true;
    reply(line, stream, &response);
}

static void cancel(struct sim_line *line, struct h2_server_stream *stream, int64_t id)
{
    struct watch *watch = find(stream, id);

    if (watch == NULL)
        return;
    watch->over = true;
    send_canceled(line, stream, id, false, 0, NULL);
}

void sim_watch_request(struct sim_line *line, struct h2_server_stream *stream, const char *refusal,
                       const uint8_t *data, size_t len)
{
    Etcd__Pb__WatchRequest *request = must(etcd__pb__watch_request__unpack(NULL, len, data));

    if (request->request_case == ETCD__PB__WATCH_REQUEST__REQUEST_CANCEL_REQUEST)
        cancel(line, stream, request->cancel_request->watch_id);
    else if (request->request_case == ETCD__PB__WATCH_REQUEST__REQUEST_CREATE_REQUEST && refusal != NULL)
        send_canceled(line, stream, -1, true, 0, refusal);
    else if (request->request_case == ETCD__PB__WATCH_REQUEST__REQUEST_CREATE_REQUEST)
        create(line, stream, request->create_request);
    etcd__pb__watch_request__free_unpacked(request, NULL);
}

/* ---- events ---------------------------------------------------------------------------------------- */

static bool wants(const struct watch *watch, const struct sim_event *event)
{
    return event->revision >= watch->next_revision && !(event->deleted ? watch->no_delete : watch->no_put) &&
           sim_in_range(event->key->name, watch->key, watch->end);
}

static void fill_event(int64_t compacted, const struct watch *watch, const struct sim_event *event,
                       Etcd__Pb__Event *message, Etcd__Pb__KeyValue kvs[2])
{
    etcd__pb__event__init(message);
    message->type = event->deleted ? ETCD__PB__EVENT__TYPE__DELETE : ETCD__PB__EVENT__TYPE__PUT;
    message->kv = &kvs[0];
    sim_fill_kv(&kvs[0], event);
    if (!watch->prev_kv || event->prev == NULL || event->prev->deleted || event->revision - 1 < compacted)
        return;
    message->prev_kv = &kvs[1];
    sim_fill_kv(&kvs[1], event->prev);
}

/* In one answer, or cut into small ones where the client allows it. */
static void send_events(struct sim_line *line, struct h2_server_stream *stream, const struct watch *watch,
                        const struct sim_event **found, size_t count)
{
    size_t step = watch->fragment ? FRAGMENT_EVENTS : count;
    Etcd__Pb__Event *events = must(calloc(step, sizeof(*events))), **list = must(calloc(step, sizeof(*list)));
    Etcd__Pb__KeyValue *kvs = must(calloc(step, 2 * sizeof(*kvs)));

    for (size_t at = 0; at < count; at += step) {
        Etcd__Pb__WatchResponse response = ETCD__PB__WATCH_RESPONSE__INIT;

        response.watch_id = watch->id;
        response.fragment = at + step < count;
        response.events = list;
        for (size_t i = 0; i < step && at + i < count; i++) {
            fill_event(line->member->view.compacted, watch, found[at + i], &events[i], &kvs[2 * i]);
            list[i] = &events[i];
            response.n_events++;
        }
        reply(line, stream, &response);
    }
    free(kvs);
    free(list);
    free(events);
}

static bool is_new(const struct sim_line *line, const struct watch *watch)
{
    const struct sim_store *store = line->member->cluster->store;

    return watch->position < store->event_count &&
           store->events[watch->position]->revision <= line->member->view.applied;
}

/* Whether anything was sent. */
static bool deliver(struct sim_line *line, struct h2_server_stream *stream, struct watch *watch)
{
    const struct sim_store *store = line->member->cluster->store;
    const struct sim_event **found = NULL;
    size_t count = 0;

    if (is_new(line, watch))
        found = must(calloc(store->event_count - watch->position, sizeof(*found)));
    while (is_new(line, watch)) {
        if (wants(watch, store->events[watch->position]))
            found[count++] = store->events[watch->position];
        watch->position++;
    }
    if (count > 0)
        send_events(line, stream, watch, found, count);
    free(found);
    if (watch->next_revision <= line->member->view.applied)
        watch->next_revision = line->member->view.applied + 1;
    return count > 0;
}

static void tell_progress(struct sim_line *line, struct h2_server_stream *stream, struct watch *watch,
                          bool sent)
{
    Etcd__Pb__WatchResponse response = ETCD__PB__WATCH_RESPONSE__INIT;
    int64_t now_ms = line->member->cluster->store->now_ms;

    response.watch_id = watch->id;
    if (!sent && watch->progress && watch->progress_ms <= now_ms &&
        watch->next_revision == line->member->view.applied + 1)
        reply(line, stream, &response);
    if (sent || watch->progress_ms <= now_ms)
        watch->progress_ms = now_ms + PROGRESS_MS;
}

void sim_watch_deliver(struct sim_line *line, struct h2_server_stream *stream)
{
    const struct sim_view *view = &line->member->view;

    for (struct watch *watch = stream->user; watch != NULL; watch = watch->next) {
        if (watch->over)
            continue;
        if (watch->next_revision < view->compacted) {
            watch->over = true;
            send_canceled(line, stream, watch->id, false, view->compacted, NULL);
            continue;
        }
        tell_progress(line, stream, watch, deliver(line, stream, watch));
    }
}

void sim_watch_close(struct h2_server_stream *stream)
{
    while (stream->user != NULL) {
        struct watch *watch = stream->user;

        stream->user = watch->next;
        free(watch->key.data);
        free(watch->end.data);
        free(watch);
    }
}
