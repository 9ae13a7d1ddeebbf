/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot.h"

#include "config.h"

#include <stdint.h>

struct capp__snapshot *capp__snapshot_new(void)
{
    struct capp__snapshot *snapshot = ETCD__NEW(struct capp__snapshot);

    if (snapshot == NULL)
        return NULL;
    atomic_init(&snapshot->refs, 1);
    snapshot->tree.root.kind = CAPP__NODE_MAP;
    return snapshot;
}

struct capp__snapshot *capp__snapshot_ref(struct capp__snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
    return snapshot;
}

void capp__snapshot_unref(struct capp__snapshot *snapshot)
{
    if (snapshot == NULL || atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < snapshot->bounds.count; i++)
        etcd__free(capp__snapshot_at(snapshot, i)->object);
    capp__ptrs_deinit(&snapshot->bounds);
    capp__tree_deinit(&snapshot->tree);
    etcd__free(snapshot);
}

struct capp__bound *capp__snapshot_add(struct capp__snapshot *snapshot, const capp_options *table)
{
    struct etcd__arena *arena = &snapshot->tree.arena;
    struct capp__bound *bound = etcd__arena_calloc(arena, 1, sizeof(*bound));

    if (bound == NULL)
        return NULL;
    bound->settings = etcd__arena_calloc(arena, table->count, sizeof(*bound->settings));
    bound->object = table->object_size > SIZE_MAX - sizeof(*bound->object)
                        ? NULL
                        : etcd__calloc(1, sizeof(*bound->object) + table->object_size);
    if (bound->settings == NULL || bound->object == NULL || !capp__ptrs_push(&snapshot->bounds, bound)) {
        etcd__free(bound->object);
        return NULL;
    }
    bound->object->snapshot = snapshot;
    return bound;
}

void capp__snapshot_drop(struct capp__snapshot *snapshot)
{
    etcd__free(capp__snapshot_at(snapshot, --snapshot->bounds.count)->object);
}

struct capp__snapshot *capp__snapshot_current(const struct capp__config *config)
{
    pthread_mutex_t *mutex = (pthread_mutex_t *)(uintptr_t)&config->shared.mutex; /* no value, but a lock */
    struct capp__snapshot *snapshot;

    pthread_mutex_lock(mutex);
    snapshot = capp__snapshot_ref(config->shared.current);
    pthread_mutex_unlock(mutex);
    return snapshot;
}
