/* SPDX-License-Identifier: Apache-2.0 */
#include "client/watch_core.h"

#include "base/str.h"
#include "client/watch_stream.h"

#include <assert.h>
#include <inttypes.h>

enum {
    LOGINS_MAX = 5, /* tokens in a row that a create may find refused */
    FAILURES_MAX = 100,
};

etcd_status etcd__watch_fail(etcd_error *reterr, const struct etcd_watch *watch, etcd_status status,
                             const char *text)
{
    etcd_bytes key = watch->key;
    char shown[80];

    (void)etcd__namespace_cut(watch->client->config.key_namespace, &key);
    etcd__escape(shown, sizeof(shown), key.data, key.len);
    return etcd__fail(reterr, status, "watch '%s': client '%s': %s", shown, etcd__client_label(watch->client),
                      text);
}

/* ---- the end --------------------------------------------------------------------------------------- */

static void drop_carry(struct etcd_watch *watch)
{
    etcd_events_free(watch->carry);
    watch->carry = NULL;
}

/* Takes the watch out of whatever its state has it in. */
static void leave(struct etcd_watch *watch)
{
    switch ((enum etcd__watch_state)watch->state) {
    case ETCD__WATCH_LEARNING:
        etcd__watch_unlearn(watch);
        break;
    case ETCD__WATCH_QUEUED:
    case ETCD__WATCH_CREATING:
    case ETCD__WATCH_ACTIVE:
        if (watch->at.stream != NULL)
            etcd__watch_stream_remove(watch, true);
        break;
    case ETCD__WATCH_RESTING:
        etcd__node_unlink(&watch->place);
        break;
    case ETCD__WATCH_NEW:
    case ETCD__WATCH_LAGGING:
    case ETCD__WATCH_ENDED:
        break;
    }
}

void etcd__watch_end(struct etcd_watch *watch, etcd_status status, const etcd_error *err)
{
    if (watch->state == ETCD__WATCH_ENDED)
        return;
    leave(watch);
    drop_carry(watch);
    etcd__watch_uncount(watch);
    watch->state = ETCD__WATCH_ENDED;
    (void)etcd__watch_queue_end(&watch->queue, status, err);
    if (watch->on_events != NULL)
        etcd__loop_call_back(watch->client->loop, &watch->callback);
}

static void end_with_text(struct etcd_watch *watch, etcd_status status, const char *text)
{
    etcd_error err;

    (void)etcd__watch_fail(&err, watch, status, text);
    etcd__watch_end(watch, status, &err);
}

static void end_from_server(struct etcd_watch *watch, etcd_status status, const char *reason,
                            int64_t revision)
{
    etcd_error err;

    (void)etcd__watch_fail(&err, watch, status, reason);
    err.flags |= ETCD_ERROR_FROM_SERVER;
    err.revision = revision;
    etcd__watch_end(watch, status, &err);
}

/* A server has this revision, and nothing up to it is missing. */
static void has_seen(struct etcd_watch *watch, int64_t revision)
{
    watch->next_revision = revision < INT64_MAX ? revision + 1 : revision;
    watch->proven = true;
    watch->suspect = 0;
}

static void deliver(struct etcd_watch *watch, struct etcd_events *events);

/* An empty batch: the watch is at this revision. False when out of memory. */
static bool notify(struct etcd_watch *watch, const etcd_header *header, int64_t revision)
{
    struct etcd_events *events = ETCD__NEW(struct etcd_events);

    if (events == NULL)
        return false;
    events->header = *header;
    events->header.revision = revision;
    deliver(watch, events);
    return true;
}

/* ---- the beginning --------------------------------------------------------------------------------- */

void etcd__watch_start(struct etcd_watch *watch)
{
    struct etcd_client *client = watch->client;

    if (watch->state != ETCD__WATCH_NEW)
        return;
    etcd__watch_count(watch);
    if (client->torn_down || atomic_load(&client->closed))
        etcd__watch_end(watch, ETCD_E_CLOSED, NULL);
    else if (atomic_load(&client->waits_cancelled))
        etcd__watch_end(watch, ETCD_E_CANCELLED, NULL);
    else if (watch->at.delay_ms > 0)
        etcd__watch_rest_for(watch, watch->at.delay_ms);
    else if (watch->next_revision == 0)
        etcd__watch_learn(watch);
    else
        etcd__watch_place(watch);
}

void etcd__watch_learned(struct etcd_watch *watch, int64_t revision)
{
    has_seen(watch, revision);
    etcd__watch_place(watch);
}

static void end_in_another_cluster(struct etcd_watch *watch, uint64_t cluster_id)
{
    char text[96];

    etcd__format(text, sizeof(text), "another cluster answers: its id is %" PRIx64 ", it was %" PRIx64,
                 cluster_id, watch->cluster_id);
    end_with_text(watch, ETCD_E_CLUSTER_CHANGED, text);
}

void etcd__watch_created(struct etcd_watch *watch, const etcd_header *header)
{
    watch->state = ETCD__WATCH_ACTIVE;
    watch->logins = 0;
    if (watch->cluster_id != 0 && watch->cluster_id != header->cluster_id) {
        end_in_another_cluster(watch, header->cluster_id);
        return;
    }
    watch->cluster_id = header->cluster_id;
    if (!watch->created_once && watch->created)
        notify(watch, header, watch->next_revision - 1);
    if (watch->created_once) {
        etcd__count(&watch->client->metrics.watch_resumes, 1);
        etcd__log(&watch->client->log, ETCD_LOG_DEBUG, "watch",
                  "client '%s': a watch goes on from revision %" PRId64, etcd__client_label(watch->client),
                  watch->next_revision);
    }
    watch->created_once = true;
    if (header->revision >= watch->next_revision - 1)
        watch->proven = true; /* also a start revision of the program's: the store has been there */
    else if (watch->proven)
        etcd__watch_verify(watch);
    if (watch->progress_wanted && watch->state == ETCD__WATCH_ACTIVE)
        etcd__watch_stream_ask_progress(watch->at.stream);
}

/* ---- what the server does not want ----------------------------------------------------------------- */

static void rest(struct etcd_watch *watch)
{
    if (watch->failures < FAILURES_MAX)
        watch->failures++;
    drop_carry(watch);
    etcd__watch_rest(watch);
}

static void log_in_again(struct etcd_watch *watch, const char *reason, uint64_t generation)
{
    if (watch->logins >= LOGINS_MAX || !etcd__auth_reject(&watch->client->auth, generation)) {
        end_from_server(watch, ETCD_E_AUTH, reason, 0);
        return;
    }
    watch->logins++;
    if (watch->logins > 1)
        rest(watch);
    else
        etcd__watch_place(watch);
}

void etcd__watch_refused(struct etcd_watch *watch, const char *reason, const struct etcd__verdict *verdict,
                         uint64_t generation)
{
    drop_carry(watch);
    if (reason[0] == '\0' || verdict->remedy == ETCD__REMEDY_RETRY || verdict->remedy == ETCD__REMEDY_REPEAT)
        rest(watch);
    else if (verdict->remedy == ETCD__REMEDY_LOGIN)
        log_in_again(watch, reason, generation);
    else
        end_from_server(watch, verdict->status, reason, 0);
}

void etcd__watch_compacted(struct etcd_watch *watch, int64_t revision)
{
    char text[128];

    etcd__format(text, sizeof(text), "revision %" PRId64 " is compacted, the oldest that is left is %" PRId64,
                 watch->next_revision, revision);
    end_from_server(watch, ETCD_E_COMPACTED, text, revision);
}

/* ---- what the server sends ------------------------------------------------------------------------- */

/* The reader is slow. On a stream of its own the server is held back; a shared one must not wait for it. */
static void lag(struct etcd_watch *watch)
{
    struct etcd__watch_stream *stream = watch->at.stream;

    if (etcd__watch_stream_alone(stream)) {
        etcd__watch_stream_pause(stream, true);
        return;
    }
    etcd__watch_stream_remove(watch, true);
    drop_carry(watch);
    watch->state = ETCD__WATCH_LAGGING;
    etcd__log(&watch->client->log, ETCD_LOG_DEBUG, "watch",
              "client '%s': a slow watch leaves the shared stream at revision %" PRId64,
              etcd__client_label(watch->client), watch->next_revision);
}

static void deliver(struct etcd_watch *watch, struct etcd_events *events)
{
    bool full;

    etcd__count(&watch->client->metrics.watch_events, events->count);
    events->bytes = etcd__events_footprint(events);
    full = etcd__watch_queue_push(&watch->queue, events);

    if (watch->on_events != NULL)
        etcd__loop_call_back(watch->client->loop, &watch->callback);
    if (full)
        lag(watch);
}

/* How far the watch is: everything up to that revision was sent before. */
static void received_progress(struct etcd_watch *watch, struct etcd_events *events)
{
    if (watch->next_revision <= events->header.revision)
        has_seen(watch, events->header.revision);
    if (watch->progress || watch->progress_wanted) {
        watch->progress_wanted = false;
        deliver(watch, events);
    } else {
        etcd_events_free(events);
    }
}

void etcd__watch_want_progress(struct etcd_watch *watch)
{
    watch->progress_wanted = true;
    if (watch->state == ETCD__WATCH_ACTIVE)
        etcd__watch_stream_ask_progress(watch->at.stream);
}

void etcd__watch_progressed(struct etcd_watch *watch, const etcd_header *header)
{
    if (watch->carry != NULL)
        return;
    if (watch->next_revision <= header->revision)
        has_seen(watch, header->revision);
    if ((watch->progress || watch->progress_wanted) && notify(watch, header, header->revision))
        watch->progress_wanted = false;
}

/*
 * Puts what is there together; *ret_whole gets the revisions that are whole, or NULL. False when out of
 * memory.
 */
static bool assemble(struct etcd_watch *watch, bool fragment, struct etcd_events *events,
                     struct etcd_events **ret_whole)
{
    if (watch->carry != NULL) {
        if (!etcd__events_join(watch->carry, events)) {
            etcd_events_free(events);
            return false;
        }
        events = watch->carry;
        watch->carry = NULL;
    }
    *ret_whole = events;
    if (!fragment)
        return true;
    if (etcd__events_cut_last(events, ret_whole, &watch->carry))
        return true;
    etcd_events_free(events);
    return false;
}

void etcd__watch_received(struct etcd_watch *watch, const struct etcd__wire_watch *head,
                          struct etcd_events *events)
{
    struct etcd_events *whole = NULL;

    watch->failures = watch->too_large = 0;
    if (events->count == 0 && !head->fragment && watch->carry == NULL) {
        received_progress(watch, events);
        return;
    }
    etcd__events_drop_before(events, watch->next_revision);
    if (!assemble(watch, head->fragment, events, &whole)) {
        end_with_text(watch, ETCD_E_NO_MEMORY, "no memory for its events");
        return;
    }
    if (whole == NULL || whole->count == 0) {
        etcd_events_free(whole);
        return;
    }
    has_seen(watch, etcd__events_last_revision(whole));
    deliver(watch, whole);
}

/* ---- what happens around it ------------------------------------------------------------------------ */

bool etcd__watch_broken(struct etcd_watch *watch)
{
    drop_carry(watch);
    watch->state = ETCD__WATCH_QUEUED;
    if (!etcd__watch_queue_full(&watch->queue))
        return true;
    watch->state = ETCD__WATCH_LAGGING;
    return false;
}

void etcd__watch_drained(struct etcd_watch *watch)
{
    if (watch->state == ETCD__WATCH_LAGGING)
        etcd__watch_place_alone(watch);
    else if (watch->state == ETCD__WATCH_QUEUED || watch->state == ETCD__WATCH_CREATING ||
             watch->state == ETCD__WATCH_ACTIVE)
        etcd__watch_stream_pause(watch->at.stream, false);
}
