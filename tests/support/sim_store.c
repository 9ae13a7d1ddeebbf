/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sim_store.h"

#include <stdlib.h>
#include <string.h>

enum { SECOND_MS = 1000 };

static void *must(void *ptr)
{
    if (ptr == NULL)
        abort();
    return ptr;
}

/* ---- bytes ----------------------------------------------------------------------------------------- */

ProtobufCBinaryData sim_text(const char *text)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)text, .len = strlen(text)};
}

ProtobufCBinaryData sim_copy(ProtobufCBinaryData bytes)
{
    uint8_t *data = must(malloc(bytes.len + 1));

    if (bytes.len > 0)
        memcpy(data, bytes.data, bytes.len);
    return (ProtobufCBinaryData){.data = data, .len = bytes.len};
}

int sim_compare(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

bool sim_in_range(ProtobufCBinaryData name, ProtobufCBinaryData key, ProtobufCBinaryData end)
{
    int from = sim_compare(name, key);

    if (end.len == 0)
        return from == 0;
    if (end.len == 1 && end.data[0] == 0)
        return from >= 0;
    return from >= 0 && sim_compare(name, end) < 0;
}

/* ---- history --------------------------------------------------------------------------------------- */

const struct sim_event *sim_store_at(const struct sim_key *key, int64_t revision)
{
    const struct sim_event *event = key->last;

    while (event != NULL && event->revision > revision)
        event = event->prev;
    return event == NULL || event->deleted ? NULL : event;
}

struct sim_key *sim_store_key(struct sim_store *store, ProtobufCBinaryData name)
{
    size_t at = 0;

    while (at < store->key_count && sim_compare(store->keys[at]->name, name) < 0)
        at++;
    if (at < store->key_count && sim_compare(store->keys[at]->name, name) == 0)
        return store->keys[at];
    store->keys = must(realloc(store->keys, (store->key_count + 1) * sizeof(*store->keys)));
    memmove(&store->keys[at + 1], &store->keys[at], (store->key_count - at) * sizeof(*store->keys));
    store->key_count++;
    store->keys[at] = must(calloc(1, sizeof(**store->keys)));
    store->keys[at]->name = sim_copy(name);
    return store->keys[at];
}

struct sim_event *sim_store_add(struct sim_store *store, struct sim_key *key, bool *written)
{
    struct sim_event *event = must(calloc(1, sizeof(*event)));

    if (!*written)
        store->revision++;
    *written = true;
    if ((store->event_count & (store->event_count - 1)) == 0)
        store->events = must(realloc(store->events, (store->event_count * 2 + 1) * sizeof(*store->events)));
    store->events[store->event_count++] = event;
    *event = (struct sim_event){.key = key, .revision = store->revision, .prev = key->last};
    key->last = event;
    return event;
}

void sim_fill_kv(Etcd__Pb__KeyValue *kv, const struct sim_event *event)
{
    etcd__pb__key_value__init(kv);
    kv->key = event->key->name;
    kv->mod_revision = event->revision;
    if (event->deleted)
        return;
    kv->value = event->value;
    kv->create_revision = event->created;
    kv->version = event->version;
    kv->lease = event->lease;
}

bool sim_store_compact(struct sim_store *store, int64_t revision)
{
    if (revision <= store->compacted || revision > store->revision)
        return false;
    store->compacted = revision;
    return true;
}

/* ---- leases ---------------------------------------------------------------------------------------- */

struct sim_lease *sim_store_lease(const struct sim_store *store, int64_t id)
{
    for (size_t i = 0; i < store->lease_count; i++) {
        if (store->leases[i].id == id && !store->leases[i].gone)
            return &store->leases[i];
    }
    return NULL;
}

void sim_store_end_lease(struct sim_store *store, struct sim_lease *lease, bool *written)
{
    lease->gone = true;
    for (size_t i = 0; i < store->key_count; i++) {
        const struct sim_event *event = sim_store_at(store->keys[i], INT64_MAX);

        if (event != NULL && event->lease == lease->id)
            sim_store_add(store, store->keys[i], written)->deleted = true;
    }
}

int64_t sim_store_renew(struct sim_store *store, int64_t id)
{
    struct sim_lease *lease;

    sim_store_expire(store);
    lease = sim_store_lease(store, id);
    if (lease == NULL)
        return 0;
    lease->expires_ms = store->now_ms + lease->ttl_s * SECOND_MS;
    return lease->ttl_s;
}

void sim_store_expire(struct sim_store *store)
{
    for (size_t i = 0; i < store->lease_count; i++) {
        bool written = false;

        if (!store->leases[i].gone && store->leases[i].expires_ms <= store->now_ms)
            sim_store_end_lease(store, &store->leases[i], &written);
    }
}

void sim_store_extend(struct sim_store *store, int64_t more_ms)
{
    for (size_t i = 0; i < store->lease_count; i++)
        store->leases[i].expires_ms = store->now_ms + store->leases[i].ttl_s * SECOND_MS + more_ms;
}

/* ---- without a client ------------------------------------------------------------------------------ */

void sim_store_put(struct sim_store *store, const char *key, const char *value)
{
    bool written = false;
    struct sim_key *entry = sim_store_key(store, sim_text(key));
    const struct sim_event *old = sim_store_at(entry, INT64_MAX);
    struct sim_event *event = sim_store_add(store, entry, &written);

    event->value = sim_copy(sim_text(value));
    event->created = old == NULL ? event->revision : old->created;
    event->version = old == NULL ? 1 : old->version + 1;
}

void sim_store_delete(struct sim_store *store, const char *key)
{
    bool written = false;
    struct sim_key *entry = sim_store_key(store, sim_text(key));

    if (sim_store_at(entry, INT64_MAX) != NULL)
        sim_store_add(store, entry, &written)->deleted = true;
}

struct sim_store *sim_store_new(void)
{
    struct sim_store *store = must(calloc(1, sizeof(*store)));

    store->revision = 1;
    store->term = 2;
    return store;
}

void sim_store_free(struct sim_store *store)
{
    for (size_t i = 0; i < store->event_count; i++) {
        free(store->events[i]->value.data);
        free(store->events[i]);
    }
    for (size_t i = 0; i < store->key_count; i++) {
        free(store->keys[i]->name.data);
        free(store->keys[i]);
    }
    for (size_t i = 0; i < store->deletion_count; i++)
        free(store->deletions[i].range_end.data);
    free(store->deletions);
    free(store->leases);
    free(store->keys);
    free(store->events);
    free(store);
}
