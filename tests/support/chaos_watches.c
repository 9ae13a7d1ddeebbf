/* SPDX-License-Identifier: Apache-2.0 */
/* Watches from the first revision on, pushed and pulled, and whether they delivered the history. */
#include "support/chaos_world.h"

#include "support/client.h"
#include "support/test.h"
#include "support/watching.h"

#include <inttypes.h>
#include <stdlib.h>

enum { KEY_WATCHES = 4, SMALL_BUFFER = 32, CATCH_UP_MS = 20000, TURN_BATCHES = 16 };

/* FNV-1a */
static uint64_t hash(uint64_t before, const void *data, size_t len)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < len; i++)
        before = (before ^ bytes[i]) * UINT64_C(1099511628211);
    return before;
}

static struct chaos_event brief(const etcd_event *event)
{
    struct chaos_event brief = {.revision = event->kv.mod_revision};
    const int64_t numbers[] = {event->type, event->kv.create_revision, event->kv.version, event->kv.lease_id};

    brief.key = hash(UINT64_C(14695981039346656037), event->kv.key.data, event->kv.key.len);
    brief.all = hash(brief.key, event->kv.value.data, event->kv.value.len);
    brief.all = hash(brief.all, numbers, sizeof(numbers));
    return brief;
}

static void append(struct chaos_events *events, struct chaos_event event)
{
    if (events->count == events->room) {
        events->room = events->room == 0 ? 1024 : events->room * 2;
        events->list = realloc(events->list, events->room * sizeof(*events->list));
        if (events->list == NULL)
            abort();
    }
    events->list[events->count++] = event;
}

static void take(struct chaos_watch *watch, const etcd_events *events)
{
    for (size_t i = 0; i < etcd_events_count(events); i++) {
        append(&watch->seen, brief(etcd_events_at(events, i)));
        atomic_store(&watch->last, etcd_events_at(events, i)->kv.mod_revision);
    }
}

static void ended(struct chaos_watch *watch, etcd_status status, const etcd_error *err)
{
    if (status != ETCD_E_CLOSED)
        chaos_broken(watch->chaos, "the watch of '%s' ended: %s: %s", watch->key, etcd_status_name(status),
                     err->message);
    if (atomic_fetch_add(&watch->ends, 1) > 0)
        chaos_broken(watch->chaos, "the watch of '%s' ended twice", watch->key);
}

static void on_events(etcd_watch *handle, const etcd_events *events, etcd_status status,
                      const etcd_error *err, void *user_data)
{
    (void)handle;
    if (events != NULL)
        take(user_data, events);
    else
        ended(user_data, status, err);
}

static bool pull(struct chaos_watch *watch, int64_t timeout_ms)
{
    etcd_events *events = NULL;
    int64_t begin_ms = test_now_ms();
    etcd_error err;
    etcd_status st;

    if (atomic_load(&watch->ends) > 0)
        return false;
    st = etcd_watch_next(watch->watch, timeout_ms, &events, &err);
    if (test_now_ms() - begin_ms > timeout_ms + CHAOS_SLACK_MS * ETCDC_TIME_SCALE)
        chaos_called(watch->chaos, "watch next", begin_ms, timeout_ms, ETCD_OK, NULL);
    if (st == ETCD_OK)
        take(watch, events);
    else if (st != ETCD_E_DEADLINE)
        ended(watch, st, &err);
    etcd_events_free(events);
    return st == ETCD_OK;
}

void chaos_step_pull(struct chaos_actor *actor)
{
    struct chaos_watch *watch = &actor->chaos->watches[actor->number];

    if (etcd_client_drive(actor->client) == ETCD_DRIVE_THREAD)
        (void)pull(watch, 300);
    else
        for (int i = 0; i < TURN_BATCHES && pull(watch, 0); i++)
            ;
    /* Now and then the reader is slow: more waits than may. */
    chaos_rest(actor, chaos_draw(&actor->random, 50) == 0 ? 1000 : 10);
}

static void open_watch(struct chaos *chaos, etcd_client *client, const char *key, bool pulled)
{
    size_t number = chaos->watch_count++;
    struct chaos_watch *watch = &chaos->watches[number];

    watch->chaos = chaos;
    watch->pulled = pulled;
    (void)snprintf(watch->key, sizeof(watch->key), "%s", key);
    watch->watch = watch_open(client, key,
                              ETCD_WATCH_OPTS(.prefix = key[0] == '\0', .start_revision = 1,
                                              .max_events = pulled ? SMALL_BUFFER : 0,
                                              .on_events = pulled ? NULL : on_events, .user_data = watch));
    if (pulled)
        (void)chaos_act(chaos, client, chaos_step_pull, number);
}

void chaos_open_watches(struct chaos *chaos)
{
    for (size_t i = 0; i < CHAOS_CLIENTS; i++) {
        open_watch(chaos, chaos->clients[i], "", false);
        open_watch(chaos, chaos->clients[i], "", true);
        for (size_t j = 0; j < KEY_WATCHES; j++) {
            char key[16];

            (void)snprintf(key, sizeof(key), "c/k/%zu", j);
            open_watch(chaos, chaos->clients[i], key, j == 0);
        }
    }
}

/* ---- the judge ------------------------------------------------------------------------------------- */

/* Every revision is there; the writes are counted on the way. */
static void read_history(struct chaos *chaos, struct chaos_events *history, int64_t last)
{
    etcd_watch *watch = watch_open(chaos->direct, "", ETCD_WATCH_OPTS(.prefix = true, .start_revision = 1));
    int64_t counters[CHAOS_COUNTERS] = {0}, revision = 1;

    while (revision < last) {
        etcd_events *events = watch_next(watch);

        for (size_t i = 0; i < etcd_events_count(events); i++) {
            const etcd_event *event = etcd_events_at(events, i);

            if (event->kv.mod_revision > last)
                continue;
            if (event->kv.mod_revision != revision && event->kv.mod_revision != revision + 1)
                chaos_broken(chaos, "the history goes from revision %" PRId64 " to %" PRId64, revision,
                             event->kv.mod_revision);
            revision = event->kv.mod_revision;
            append(history, brief(event));
            chaos_count_event(chaos, event, counters);
        }
        etcd_events_free(events);
    }
    etcd_watch_close(watch);
}

/* How far the keys of this watch have to have come. */
static int64_t goal_of(const struct chaos_watch *watch, const struct chaos_events *history)
{
    uint64_t key = hash(UINT64_C(14695981039346656037), watch->key, strlen(watch->key));

    for (size_t i = history->count; i > 0; i--)
        if (watch->key[0] == '\0' || history->list[i - 1].key == key)
            return history->list[i - 1].revision;
    return 0;
}

static void catch_up(struct chaos *chaos, const struct chaos_events *history)
{
    for (size_t i = 0; i < chaos->watch_count; i++) {
        struct chaos_watch *watch = &chaos->watches[i];
        int64_t goal = goal_of(watch, history), from = atomic_load(&watch->last);
        int64_t begin_ms = test_now_ms(), deadline_ms = test_deadline_ms(CATCH_UP_MS);

        while (atomic_load(&watch->last) < goal && test_now_ms() < deadline_ms) {
            if (watch->pulled)
                (void)pull(watch, 50);
            else
                for (size_t j = 0; j < CHAOS_CLIENTS; j++)
                    test_pump(chaos->clients[j], 5);
        }
        if (atomic_load(&watch->last) < goal)
            chaos_broken(chaos, "watch %zu of '%s' is at revision %" PRId64 ", the history at %" PRId64, i,
                         watch->key, (int64_t)atomic_load(&watch->last), goal);
        chaos_log(chaos, "watch %zu went from %" PRId64 " to %" PRId64 " in %d ms", i, from,
                  (int64_t)atomic_load(&watch->last), (int)(test_now_ms() - begin_ms));
    }
}

static void compare(struct chaos *chaos, size_t number, const struct chaos_events *history, int64_t last)
{
    const struct chaos_watch *watch = &chaos->watches[number];
    uint64_t key = hash(UINT64_C(14695981039346656037), watch->key, strlen(watch->key));
    size_t at = 0;

    for (size_t i = 0; i < history->count; i++) {
        const struct chaos_event *real = &history->list[i], *seen = &watch->seen.list[at];

        if (watch->key[0] != '\0' && real->key != key)
            continue;
        if (at == watch->seen.count || seen->revision != real->revision || seen->all != real->all) {
            chaos_broken(
                chaos, "watch %zu of '%s': event %zu is of revision %" PRId64 ", and should be of %" PRId64,
                number, watch->key, at, at == watch->seen.count ? 0 : seen->revision, real->revision);
            return;
        }
        at++;
    }
    if (at < watch->seen.count && watch->seen.list[at].revision <= last)
        chaos_broken(chaos, "watch %zu of '%s': there is no event of revision %" PRId64, number, watch->key,
                     watch->seen.list[at].revision);
}

size_t chaos_judge_watches(struct chaos *chaos, int64_t last)
{
    struct chaos_events history = {0};
    size_t count;

    read_history(chaos, &history, last);
    catch_up(chaos, &history);
    /* What comes behind the last one is nobody's affair: no callback may change what is compared. */
    for (size_t i = 0; i < CHAOS_CLIENTS; i++) {
        int64_t begin_ms = test_now_ms();

        (void)etcd_client_close(chaos->clients[i], NULL);
        if (test_now_ms() - begin_ms > 1000 * ETCDC_TIME_SCALE)
            chaos_broken(chaos, "closing a client took %d ms", (int)(test_now_ms() - begin_ms));
    }
    for (size_t i = 0; i < chaos->watch_count; i++) {
        if (chaos->watches[i].pulled)
            while (pull(&chaos->watches[i], 0))
                ;
        etcd_watch_close(chaos->watches[i].watch);
        if (atomic_load(&chaos->watches[i].ends) != 1)
            chaos_broken(chaos, "watch %zu of '%s' ended %d times", i, chaos->watches[i].key,
                         atomic_load(&chaos->watches[i].ends));
        compare(chaos, i, &history, last);
        free(chaos->watches[i].seen.list);
    }
    count = history.count;
    free(history.list);
    return count;
}
