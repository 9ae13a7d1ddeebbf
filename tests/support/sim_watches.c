/* SPDX-License-Identifier: Apache-2.0 */
/* The watches of a simulated run: each is compared, event by event, with the history of the store. */
#include "support/sim_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_watching {
    struct sim_watching *next;
    struct sim_world *world;
    unsigned number;
    size_t client;
    etcd_watch *watch; /* NULL: closed */
    char key[SIM_TEXT];
    bool prefix, prev_kv, no_put, no_delete, progress, push, cancelled, closing;
    size_t position; /* in the store's events: the next one to come is here or later */
    /* Whether it is known where it began. Without a start revision the first event tells; until then any
     * beginning is right that is later than the call, and earlier than the last writes of the run. */
    bool known;
    int64_t after_revision; /* events up to it are not for this watch */
    int64_t last_revision;  /* everything up to it was delivered, or came before the start */
    unsigned ends;
    etcd_status status;
};

static bool wants(const struct sim_watching *watching, const struct sim_event *event)
{
    size_t len = strlen(watching->key);

    if (event->revision <= watching->after_revision ||
        (event->deleted ? watching->no_delete : watching->no_put))
        return false;
    return event->key->name.len >= len && memcmp(event->key->name.data, watching->key, len) == 0 &&
           (watching->prefix || event->key->name.len == len);
}

/* The next event that it has to deliver; NULL: none so far. */
static const struct sim_event *expected(struct sim_watching *watching)
{
    const struct sim_store *store = watching->world->store;

    while (watching->position < store->event_count && !wants(watching, store->events[watching->position]))
        watching->position++;
    return watching->position < store->event_count ? store->events[watching->position] : NULL;
}

/* ---- what is delivered ----------------------------------------------------------------------------- */

static bool same_prev(const struct sim_watching *watching, const etcd_kv *prev, const struct sim_event *event)
{
    bool had_one = event->prev != NULL && !event->prev->deleted;

    if (prev != NULL)
        return watching->prev_kv && had_one && sim_same_kv(prev, event->prev);
    return !watching->prev_kv || !had_one || event->revision - 1 < watching->world->store->compacted;
}

static bool is_event(const struct sim_watching *watching, const etcd_event *got,
                     const struct sim_event *event)
{
    return (got->type == ETCD_EVENT_DELETE) == event->deleted && sim_same_kv(&got->kv, event) &&
           same_prev(watching, got->prev_kv, event);
}

static bool may_have_begun_after(const struct sim_watching *watching, const struct sim_event *event)
{
    return watching->world->probe_revision == 0 || event->revision <= watching->world->probe_revision;
}

static void check_event(struct sim_watching *watching, const etcd_event *got)
{
    const struct sim_event *event = expected(watching);

    while (!watching->known && event != NULL && event->revision < got->kv.mod_revision &&
           may_have_begun_after(watching, event)) {
        watching->position++;
        event = expected(watching);
    }
    watching->known = true;
    if (event == NULL || !is_event(watching, got, event)) {
        sim_fail(watching->world, "watch %u of '%s' delivers revision %lld of '%.*s', next is %lld (of %lld)",
                 watching->number, watching->key, (long long)got->kv.mod_revision, (int)got->kv.key.len,
                 (const char *)got->kv.key.data, event == NULL ? -1LL : (long long)event->revision,
                 (long long)watching->world->store->revision);
        return;
    }
    watching->position++;
    watching->last_revision = event->revision;
}

static void check_events(struct sim_watching *watching, const etcd_events *events)
{
    struct sim_world *world = watching->world;
    size_t count = etcd_events_count(events);
    const struct sim_event *next;

    if (watching->ends > 0)
        sim_fail(world, "watch %u delivers events after its end", watching->number);
    for (size_t i = 0; i < count && world->result.failure[0] == '\0'; i++)
        check_event(watching, etcd_events_at(events, i));
    world->result.events += count;
    sim_trace(world, "watch %u: %zu events, up to %lld", watching->number, count,
              (long long)watching->last_revision);
    next = expected(watching);
    if (count > 0 && next != NULL && next->revision == watching->last_revision)
        sim_fail(world, "watch %u delivers half of revision %lld", watching->number,
                 (long long)next->revision);
    if (count > 0)
        return;
    if (!watching->progress)
        sim_fail(world, "watch %u tells of progress, which was not asked for", watching->number);
    if (watching->known && next != NULL && next->revision <= etcd_events_header(events)->revision)
        sim_fail(world, "watch %u says that it is at %lld, revision %lld is missing", watching->number,
                 (long long)etcd_events_header(events)->revision, (long long)next->revision);
}

static bool is_expected(const struct sim_watching *watching, etcd_status status, const etcd_error *err)
{
    switch (status) {
    case ETCD_E_CANCELLED:
        return watching->cancelled || watching->closing;
    case ETCD_E_CLOSED:
        return watching->world->clients[watching->client] == NULL;
    case ETCD_E_COMPACTED:
        return watching->world->store->compacted > watching->last_revision + 1 &&
               err->revision <= watching->world->store->compacted;
    default:
        return false;
    }
}

static void check_end(struct sim_watching *watching, etcd_status status, const etcd_error *err)
{
    struct sim_world *world = watching->world;

    watching->status = status;
    sim_trace(world, "watch %u ends: %s", watching->number, etcd_status_name(status));
    if (++watching->ends != 1)
        sim_fail(world, "watch %u ended %u times", watching->number, watching->ends);
    if (!is_expected(watching, status, err))
        sim_fail(world, "watch %u of '%s', at revision %lld, ended with %s: %s", watching->number,
                 watching->key, (long long)watching->last_revision, etcd_status_name(status), err->message);
    world->result.watches_compacted += status == ETCD_E_COMPACTED;
}

static void on_events(etcd_watch *watch, const etcd_events *events, etcd_status status, const etcd_error *err,
                      void *user_data)
{
    struct sim_watching *watching = user_data;

    (void)watch;
    if (events != NULL)
        check_events(watching, events);
    else
        check_end(watching, status, err);
}

static void pull(struct sim_watching *watching)
{
    for (;;) {
        etcd_events *events = NULL;
        etcd_error err = {.status = ETCD_OK};
        etcd_status st = etcd_watch_next(watching->watch, 0, &events, &err);

        if (st == ETCD_OK)
            check_events(watching, events);
        else if (st != ETCD_E_DEADLINE && watching->ends == 0)
            check_end(watching, st, &err);
        etcd_events_free(events);
        if (st != ETCD_OK)
            return;
    }
}

void sim_watches_step(struct sim_world *world)
{
    for (struct sim_watching *watching = world->watches; watching != NULL; watching = watching->next) {
        /* A slow reader looks seldom. */
        if (watching->watch != NULL && !watching->push && (world->calm || sim_pick(world, 4) == 0))
            pull(watching);
    }
}

/* ---- beginning and ending -------------------------------------------------------------------------- */

static void choose(struct sim_world *world, struct sim_watching *watching)
{
    sim_any_key(world, watching->key, sizeof(watching->key));
    watching->prefix = sim_pick(world, 2) == 0;
    if (watching->prefix)
        watching->key[sim_pick(world, 3) == 0 ? 0 : 2] = '\0';
    watching->prev_kv = sim_pick(world, 3) == 0;
    watching->no_put = sim_pick(world, 8) == 0;
    watching->no_delete = !watching->no_put && sim_pick(world, 8) == 0;
    watching->progress = sim_pick(world, 3) == 0;
    watching->push = sim_pick(world, 2) == 0;
}

static int64_t choose_start(struct sim_world *world, struct sim_watching *watching)
{
    int64_t start = 0;

    if (sim_pick(world, 2) == 0)
        start = 1 + (int64_t)sim_pick(world, (uint64_t)world->store->revision + 4);
    watching->known = start != 0;
    watching->last_revision = start != 0 ? start - 1 : world->store->revision;
    watching->after_revision = watching->last_revision;
    return start;
}

void sim_watch_begin(struct sim_world *world, size_t client)
{
    struct sim_watching *watching = calloc(1, sizeof(*watching));
    etcd_watch_opts opts = ETCD_WATCH_OPTS_INIT;
    etcd_error err;

    if (watching == NULL)
        abort();
    *watching = (struct sim_watching){.world = world, .client = client, .number = ++world->numbers};
    choose(world, watching);
    opts.start_revision = choose_start(world, watching);
    opts.prefix = watching->prefix;
    opts.prev_kv = watching->prev_kv;
    opts.no_put = watching->no_put;
    opts.no_delete = watching->no_delete;
    opts.progress = watching->progress;
    opts.no_fragment = sim_pick(world, 3) == 0;
    opts.max_events = sim_pick(world, 2) == 0 ? 1 + (size_t)sim_pick(world, 3) : 0;
    opts.on_events = watching->push ? on_events : NULL;
    opts.user_data = watching;
    watching->next = world->watches;
    world->watches = watching;
    sim_trace(world, "client %zu: watch %u of '%s'%s from %lld%s%s", client, watching->number, watching->key,
              watching->prefix ? "..." : "", (long long)opts.start_revision, watching->push ? ", pushed" : "",
              opts.max_events != 0 ? ", small" : "");
    world->result.watches++;
    if (etcd_watch_open(world->clients[client], etcd_cstr(watching->key), &opts, &watching->watch, &err) !=
        ETCD_OK)
        sim_fail(world, "watch %u cannot be begun: %s", watching->number, err.message);
}

static void close_watch(struct sim_watching *watching)
{
    if (watching->watch == NULL)
        return;
    if (!watching->push)
        pull(watching);
    watching->closing = true;
    etcd_watch_close(watching->watch);
    watching->watch = NULL;
    if (watching->push && watching->ends != 1)
        sim_fail(watching->world, "watch %u is closed and has told of its end %u times", watching->number,
                 watching->ends);
}

void sim_watch_disturb(struct sim_world *world)
{
    struct sim_watching *found = NULL;
    uint64_t seen = 0;

    for (struct sim_watching *watching = world->watches; watching != NULL; watching = watching->next) {
        if (watching->watch != NULL && sim_pick(world, ++seen) == 0)
            found = watching;
    }
    if (found == NULL)
        return;
    sim_trace(world, "watch %u is given up", found->number);
    if (sim_pick(world, 2) == 0) {
        found->cancelled = true;
        etcd_watch_cancel(found->watch);
    } else {
        close_watch(found);
    }
}

/* The first event that it must deliver and has not; NULL: none. */
static const struct sim_event *missing(struct sim_watching *watching)
{
    const struct sim_store *store = watching->world->store;

    if (watching->known)
        return expected(watching);
    for (size_t i = watching->position; watching->world->probe_revision != 0 && i < store->event_count; i++) {
        if (wants(watching, store->events[i]) && !may_have_begun_after(watching, store->events[i]))
            return store->events[i];
    }
    return NULL;
}

unsigned sim_watch_behind(const struct sim_world *world)
{
    for (struct sim_watching *watching = world->watches; watching != NULL; watching = watching->next) {
        if (watching->watch != NULL && watching->ends == 0 && missing(watching) != NULL)
            return watching->number;
    }
    return 0;
}

void sim_watches_close(struct sim_world *world, size_t client)
{
    for (struct sim_watching *watching = world->watches; watching != NULL; watching = watching->next) {
        if (watching->client != client || watching->watch == NULL)
            continue;
        close_watch(watching);
        if (watching->ends != 1)
            sim_fail(world, "watch %u outlives its client", watching->number);
    }
}

void sim_watches_free(struct sim_world *world)
{
    while (world->watches != NULL) {
        struct sim_watching *watching = world->watches;

        world->watches = watching->next;
        close_watch(watching);
        free(watching);
    }
}
