/* SPDX-License-Identifier: Apache-2.0 */
#include "client/watch_events.h"

#include <assert.h>
#include <string.h>

static struct etcd_events *new_events(void)
{
    return ETCD__NEW(struct etcd_events);
}

etcd_status etcd__events_read(const uint8_t *data, size_t len, struct etcd_events **ret_events,
                              struct etcd__wire_watch *ret_head)
{
    struct etcd_events *events = new_events();
    etcd_status st;

    if (events == NULL)
        return ETCD_E_NO_MEMORY;
    st = etcd__wire_read_watch(&events->arena, data, len, ret_head);
    if (st != ETCD_OK) {
        etcd_events_free(events);
        return st;
    }
    events->header = ret_head->header;
    events->events = ret_head->events;
    events->count = events->capacity = ret_head->event_count;
    *ret_events = events;
    return ETCD_OK;
}

bool etcd__events_in_order(const struct etcd_events *events, const struct etcd_events *before)
{
    int64_t last = before == NULL || before->count == 0 ? INT64_MIN : etcd__events_last_revision(before);

    for (size_t i = 0; i < events->count; i++) {
        if (events->events[i].kv.mod_revision < last)
            return false;
        last = events->events[i].kv.mod_revision;
    }
    return true;
}

void etcd__events_drop_before(struct etcd_events *events, int64_t revision)
{
    while (events->count > 0 && events->events[0].kv.mod_revision < revision) {
        events->events++;
        events->count--;
        events->capacity--;
    }
}

int64_t etcd__events_last_revision(const struct etcd_events *events)
{
    assert(events->count > 0);
    return events->events[events->count - 1].kv.mod_revision;
}

size_t etcd__events_footprint(const struct etcd_events *events)
{
    size_t bytes = 0;

    for (; events != NULL; events = events->part)
        bytes += sizeof(*events) + events->arena.size;
    return bytes;
}

/* ---- joining --------------------------------------------------------------------------------------- */

static bool make_room(struct etcd_events *events, size_t more)
{
    size_t wanted = events->count + more;
    etcd_event *grown;

    if (wanted <= events->capacity)
        return true;
    if (wanted > SIZE_MAX / 2 / sizeof(*grown))
        return false;
    wanted *= 2; /* a revision of many fragments is not copied once for each */
    grown = etcd__arena_alloc(&events->arena, wanted * sizeof(*grown));
    if (grown == NULL)
        return false;
    if (events->count > 0)
        memcpy(grown, events->events, events->count * sizeof(*grown));
    events->events = grown;
    events->capacity = wanted;
    return true;
}

bool etcd__events_join(struct etcd_events *events, struct etcd_events *more)
{
    assert(more->part == NULL);
    if (!make_room(events, more->count))
        return false;
    if (more->count > 0)
        memcpy(events->events + events->count, more->events, more->count * sizeof(*more->events));
    events->count += more->count;
    events->header = more->header;
    more->part = events->part;
    events->part = more;
    return true;
}

/* ---- cutting --------------------------------------------------------------------------------------- */

static bool copy_bytes(struct etcd_events *to, etcd_bytes *bytes)
{
    void *copy = etcd__arena_memdup(&to->arena, bytes->data, bytes->len);

    if (copy == NULL)
        return false;
    bytes->data = copy;
    return true;
}

static bool copy_kv(struct etcd_events *to, etcd_kv *kv)
{
    return copy_bytes(to, &kv->key) && copy_bytes(to, &kv->value);
}

/* Makes a plain copy of an event independent of the batch it came from. */
static bool own_event(struct etcd_events *to, etcd_event *event)
{
    etcd_kv *prev;

    if (!copy_kv(to, &event->kv))
        return false;
    if (event->prev_kv == NULL)
        return true;
    prev = etcd__arena_alloc(&to->arena, sizeof(*prev));
    if (prev == NULL)
        return false;
    *prev = *event->prev_kv;
    event->prev_kv = prev;
    return copy_kv(to, prev);
}

static struct etcd_events *copy_from(const struct etcd_events *from, size_t first)
{
    struct etcd_events *copy = new_events();

    if (copy == NULL)
        return NULL;
    copy->header = from->header;
    if (!make_room(copy, from->count - first))
        goto fail;
    for (size_t i = first; i < from->count; i++) {
        etcd_event *event = &copy->events[copy->count++];

        *event = from->events[i];
        if (!own_event(copy, event))
            goto fail;
    }
    return copy;
fail:
    etcd_events_free(copy);
    return NULL;
}

/* How many events come before those of the last revision. */
static size_t count_whole(const struct etcd_events *events)
{
    int64_t last = etcd__events_last_revision(events);
    size_t count = events->count;

    while (count > 0 && events->events[count - 1].kv.mod_revision == last)
        count--;
    return count;
}

bool etcd__events_cut_last(struct etcd_events *events, struct etcd_events **ret_whole,
                           struct etcd_events **ret_rest)
{
    size_t whole = events->count == 0 ? 0 : count_whole(events);
    struct etcd_events *rest = events;

    if (whole > 0) {
        rest = copy_from(events, whole);
        if (rest == NULL)
            return false;
        events->count = whole;
    }
    *ret_whole = whole > 0 ? events : NULL;
    *ret_rest = rest;
    return true;
}

/* ---- etcdc/watch.h --------------------------------------------------------------------------------- */

const etcd_header *etcd_events_header(const etcd_events *events)
{
    return events == NULL ? NULL : &events->header;
}

size_t etcd_events_count(const etcd_events *events)
{
    return events == NULL ? 0 : events->count;
}

const etcd_event *etcd_events_at(const etcd_events *events, size_t index)
{
    return events == NULL || index >= events->count ? NULL : &events->events[index];
}

void etcd_events_free(etcd_events *events)
{
    while (events != NULL) {
        struct etcd_events *part = events->part;

        etcd__arena_deinit(&events->arena);
        etcd__free(events);
        events = part;
    }
}
