/* SPDX-License-Identifier: Apache-2.0 */
#include "recipes/snapshot.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int compare_keys(etcd_bytes a, etcd_bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.data, b.data, len);

    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

/* ---- pairs ----------------------------------------------------------------------------------------- */

/* Copies `from` to `at`, with a NUL, and returns a view of the copy. */
static etcd_bytes place(char *at, etcd_bytes from)
{
    if (from.len > 0)
        memcpy(at, from.data, from.len);
    at[from.len] = '\0';
    return etcd_bytes_of(at, from.len);
}

struct etcd__pair *etcd__pair_new(const etcd_kv *kv)
{
    struct etcd__pair *pair = etcd__malloc(sizeof(*pair) + kv->key.len + kv->value.len + 2);

    if (pair == NULL)
        return NULL;
    atomic_init(&pair->refs, 1);
    pair->kv = *kv;
    pair->kv.key = place(pair->bytes, kv->key);
    pair->kv.value = place(pair->bytes + kv->key.len + 1, kv->value);
    return pair;
}

static void pair_ref(struct etcd__pair *pair)
{
    atomic_fetch_add_explicit(&pair->refs, 1, memory_order_relaxed);
}

void etcd__pair_unref(struct etcd__pair *pair)
{
    if (pair != NULL && atomic_fetch_sub_explicit(&pair->refs, 1, memory_order_acq_rel) == 1)
        etcd__free(pair);
}

bool etcd__pairs_add(struct etcd__pairs *pairs, const etcd_kv *kv)
{
    struct etcd__pair **list, *pair;
    size_t capacity;

    if (pairs->count == pairs->capacity) {
        capacity = pairs->capacity == 0 ? 64 : pairs->capacity * 2;
        list = etcd__realloc(pairs->list, capacity * sizeof(pairs->list[0]));
        if (list == NULL)
            return false;
        pairs->list = list;
        pairs->capacity = capacity;
    }
    pair = etcd__pair_new(kv);
    if (pair == NULL)
        return false;
    pairs->list[pairs->count++] = pair;
    return true;
}

void etcd__pairs_deinit(struct etcd__pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++)
        etcd__pair_unref(pairs->list[i]);
    etcd__free(pairs->list);
    *pairs = (struct etcd__pairs){0};
}

/* ---- snapshots ------------------------------------------------------------------------------------- */

static struct etcd_snapshot *snapshot_alloc(size_t count, int64_t revision)
{
    struct etcd_snapshot *snapshot = etcd__malloc(sizeof(*snapshot) + count * sizeof(snapshot->pairs[0]));

    if (snapshot == NULL)
        return NULL;
    atomic_init(&snapshot->refs, 1);
    snapshot->revision = revision;
    snapshot->count = count;
    return snapshot;
}

struct etcd_snapshot *etcd__snapshot_new(struct etcd__pairs *pairs, int64_t revision)
{
    struct etcd_snapshot *snapshot = snapshot_alloc(pairs->count, revision);

    if (snapshot == NULL) {
        etcd__pairs_deinit(pairs);
        return NULL;
    }
    if (pairs->count > 0)
        memcpy(snapshot->pairs, pairs->list, pairs->count * sizeof(pairs->list[0]));
    etcd__free(pairs->list);
    *pairs = (struct etcd__pairs){0};
    return snapshot;
}

struct etcd_snapshot *etcd__snapshot_ref(struct etcd_snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
    return snapshot;
}

void etcd_snapshot_free(etcd_snapshot *snapshot)
{
    if (snapshot == NULL || atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < snapshot->count; i++)
        etcd__pair_unref(snapshot->pairs[i]);
    etcd__free(snapshot);
}

int64_t etcd_snapshot_revision(const etcd_snapshot *snapshot)
{
    return snapshot == NULL ? 0 : snapshot->revision;
}

size_t etcd_snapshot_count(const etcd_snapshot *snapshot)
{
    return snapshot == NULL ? 0 : snapshot->count;
}

const etcd_kv *etcd_snapshot_at(const etcd_snapshot *snapshot, size_t index)
{
    return snapshot == NULL || index >= snapshot->count ? NULL : &snapshot->pairs[index]->kv;
}

/* The first index in [from, count) whose key is not below `key`. */
static size_t lower_bound(const struct etcd_snapshot *snapshot, size_t from, etcd_bytes key)
{
    size_t low = from, high = snapshot->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_keys(snapshot->pairs[middle]->kv.key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool key_is_at(const struct etcd_snapshot *snapshot, size_t index, etcd_bytes key)
{
    return index < snapshot->count && compare_keys(snapshot->pairs[index]->kv.key, key) == 0;
}

const etcd_kv *etcd_snapshot_find(const etcd_snapshot *snapshot, etcd_bytes key)
{
    size_t at;

    if (snapshot == NULL)
        return NULL;
    at = lower_bound(snapshot, 0, key);
    return key_is_at(snapshot, at, key) ? &snapshot->pairs[at]->kv : NULL;
}

/* ---- changes --------------------------------------------------------------------------------------- */

bool etcd__changes_add(struct etcd__changes *changes, const etcd_event *event)
{
    struct etcd__change *list;
    size_t capacity;

    if (changes->count == changes->capacity) {
        capacity = changes->capacity == 0 ? 16 : changes->capacity * 2;
        list = etcd__realloc(changes->list, capacity * sizeof(changes->list[0]));
        if (list == NULL)
            return false;
        changes->list = list;
        changes->capacity = capacity;
    }
    changes->list[changes->count] = (struct etcd__change){.event = event, .order = changes->count};
    changes->count++;
    if (event->kv.mod_revision > changes->revision)
        changes->revision = event->kv.mod_revision;
    return true;
}

/* By key, and the newest of a key first. */
static int compare_changes(const void *a, const void *b)
{
    const struct etcd__change *left = a, *right = b;
    int order = compare_keys(left->event->kv.key, right->event->kv.key);

    if (order != 0)
        return order;
    return left->order > right->order ? -1 : left->order < right->order;
}

/* Keeps the first of each key. */
static void drop_older(struct etcd__changes *changes)
{
    size_t kept = 0;

    for (size_t i = 0; i < changes->count; i++) {
        if (kept > 0 &&
            compare_keys(changes->list[kept - 1].event->kv.key, changes->list[i].event->kv.key) == 0)
            continue;
        changes->list[kept++] = changes->list[i];
    }
    changes->count = kept;
}

bool etcd__changes_seal(struct etcd__changes *changes)
{
    if (changes->count > 1)
        qsort(changes->list, changes->count, sizeof(changes->list[0]), compare_changes);
    drop_older(changes);
    for (size_t i = 0; i < changes->count; i++) {
        struct etcd__change *change = &changes->list[i];

        if (change->event->type == ETCD_EVENT_DELETE)
            continue;
        change->pair = etcd__pair_new(&change->event->kv);
        if (change->pair == NULL)
            return false;
    }
    return true;
}

void etcd__changes_deinit(struct etcd__changes *changes)
{
    for (size_t i = 0; i < changes->count; i++)
        etcd__pair_unref(changes->list[i].pair);
    etcd__free(changes->list);
    *changes = (struct etcd__changes){0};
}

/* Finds where each change belongs; returns how many pairs there will be. */
static size_t locate(const struct etcd_snapshot *before, struct etcd__changes *changes)
{
    size_t count = before->count, at = 0;

    for (size_t i = 0; i < changes->count; i++) {
        struct etcd__change *change = &changes->list[i];

        at = lower_bound(before, at, change->event->kv.key);
        change->at = at;
        change->replaces = key_is_at(before, at, change->event->kv.key);
        count -= change->replaces;
        count += change->pair != NULL;
    }
    return count;
}

struct etcd_snapshot *etcd__snapshot_next(const struct etcd_snapshot *before, struct etcd__changes *changes)
{
    struct etcd_snapshot *next = snapshot_alloc(locate(before, changes), changes->revision);
    size_t from = 0, to = 0;

    if (next == NULL)
        return NULL;
    for (size_t i = 0; i < changes->count; i++) {
        const struct etcd__change *change = &changes->list[i];
        size_t run = change->at - from;

        memcpy(next->pairs + to, before->pairs + from, run * sizeof(next->pairs[0]));
        to += run;
        from = change->at + change->replaces;
        if (change->pair != NULL)
            next->pairs[to++] = change->pair;
    }
    memcpy(next->pairs + to, before->pairs + from, (before->count - from) * sizeof(next->pairs[0]));
    assert(to + (before->count - from) == next->count);
    return next;
}

/*
 * Nobody else has `before`: the next snapshot has its references, but for those to the pairs that were
 * replaced.
 */
static void inherit_refs(struct etcd_snapshot *before, const struct etcd__changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        if (changes->list[i].replaces)
            etcd__pair_unref(before->pairs[changes->list[i].at]);
    }
    etcd__free(before);
}

/* Somebody reads `before`: the next snapshot gets references of its own. */
static void add_refs(struct etcd_snapshot *before, const struct etcd__changes *changes)
{
    size_t from = 0;

    for (size_t i = 0; i <= changes->count; i++) {
        size_t to = i < changes->count ? changes->list[i].at : before->count;

        for (size_t k = from; k < to; k++)
            pair_ref(before->pairs[k]);
        from = i < changes->count ? to + changes->list[i].replaces : to;
    }
    etcd_snapshot_free(before);
}

void etcd__snapshot_inherit(struct etcd_snapshot *before, struct etcd__changes *changes)
{
    if (atomic_load_explicit(&before->refs, memory_order_acquire) == 1)
        inherit_refs(before, changes);
    else
        add_refs(before, changes);
    etcd__free(changes->list); /* their pairs are the next snapshot's */
    *changes = (struct etcd__changes){0};
}
