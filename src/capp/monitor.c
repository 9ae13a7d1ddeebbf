/* SPDX-License-Identifier: Apache-2.0 */
/* Current values, and who is called when they change. */
#include "capp/monitor.h"

#include "config_field.h"
#include "fail.h"
#include "host.h"
#include "thread.h"

#include <stdint.h>

/* ---- the value ------------------------------------------------------------------------------------- */

struct capp_monitor *capp__binding_monitor(struct capp__binding *binding)
{
    atomic_store(&binding->live, true);
    return &binding->monitor;
}

capp_monitor *capp_app_monitor(capp_app *app, const capp_type *options, capp_error *reterr)
{
    if (app == NULL || options == NULL) {
        capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "capp_app_monitor: %s is NULL",
                  app == NULL ? "app" : "options");
        return NULL;
    }
    struct capp__binding *binding = capp__config_find(&app->config, options);
    if (binding == NULL) {
        capp_fail(reterr, CAPP_E_NOT_FOUND, "there are no options %s: add them with capp_add_options()",
                  options->name);
        return NULL;
    }
    return capp__binding_monitor(binding);
}

const void *capp_monitor_hold(const capp_monitor *monitor)
{
    if (monitor == NULL)
        return NULL;
    return capp__snapshot_at(capp__snapshot_current(monitor->config), monitor->index)->object->bytes;
}

void capp_monitor_release(const capp_monitor *monitor, const void *options)
{
    (void)monitor;
    if (options != NULL)
        capp__snapshot_unref(
            ((const struct capp__object *)((const char *)options - offsetof(struct capp__object, bytes)))
                ->snapshot);
}

bool capp__values_differ(const struct capp__binding *binding, const struct capp__snapshot *before,
                         const struct capp__snapshot *now, size_t option)
{
    const capp_option *row = &binding->table->option[option];
    const char *a = (const char *)capp__snapshot_at(before, binding->index)->object->bytes;
    const char *b = (const char *)capp__snapshot_at(now, binding->index)->object->bytes;

    return !capp__field_same(row, a + row->offset, b + row->offset);
}

static bool differ(const struct capp__config *config, size_t index, const struct capp__snapshot *before,
                   const struct capp__snapshot *now)
{
    const struct capp__binding *binding = config->bindings.items[index];

    for (size_t i = 0; before != now && i < binding->table->count; i++) {
        if (capp__values_differ(binding, before, now, i))
            return true;
    }
    return false;
}

/* ---- coming and going ------------------------------------------------------------------------------ */

int capp__changes_init(struct capp__changes *changes)
{
    int error = pthread_cond_init(&changes->changed, NULL);

    if (error != 0)
        return error;
    error = pthread_mutex_init(&changes->mutex, NULL);
    if (error != 0)
        pthread_cond_destroy(&changes->changed);
    etcd__list_init(&changes->entries);
    return error;
}

void capp__changes_deinit(struct capp__changes *changes)
{
    pthread_cond_destroy(&changes->changed);
    pthread_mutex_destroy(&changes->mutex);
}

capp_status capp_monitor_add(capp_monitor *monitor, capp_change_fn *fn, void *user_data,
                             capp_monitor_entry **ret_entry, capp_error *reterr)
{
    if (monitor == NULL || fn == NULL || ret_entry == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "capp_monitor_add: a required argument is NULL");
    struct capp_monitor_entry *entry = ETCD__NEW(struct capp_monitor_entry);
    if (entry == NULL)
        return capp__fail_memory(reterr);
    entry->config = monitor->config;
    entry->index = monitor->index;
    entry->fn = fn;
    entry->user_data = user_data;
    entry->seen = capp__snapshot_current(monitor->config);

    struct capp__changes *changes = &monitor->config->changes;
    *ret_entry = entry; /* the function may want to remove it as soon as it is in the list */
    pthread_mutex_lock(&changes->mutex);
    etcd__list_push(&changes->entries, &entry->node);
    pthread_mutex_unlock(&changes->mutex);
    return CAPP_OK;
}

void capp_monitor_remove(capp_monitor_entry *entry)
{
    if (entry == NULL)
        return;
    struct capp__changes *changes = &entry->config->changes;

    pthread_mutex_lock(&changes->mutex);
    etcd__node_unlink(&entry->node);
    while (changes->running == entry && !pthread_equal(changes->thread, pthread_self()))
        pthread_cond_wait(&changes->changed, &changes->mutex);
    pthread_mutex_unlock(&changes->mutex);
    capp__snapshot_unref(entry->seen);
    etcd__free(entry);
}

/* ---- calling --------------------------------------------------------------------------------------- */

/* Calls one function without the lock, if there is anything to tell. The entry may be gone afterwards. */
static void tell_unlocked(struct capp__changes *changes, struct capp_monitor_entry *entry)
{
    const struct capp__config *config = entry->config;
    struct capp__snapshot *before = entry->seen, *now = capp__snapshot_current(config);
    size_t index = entry->index;
    capp_change_fn *fn = entry->fn;
    void *user_data = entry->user_data;

    entry->seen = capp__snapshot_ref(now);
    changes->running = entry;
    changes->thread = pthread_self();
    pthread_mutex_unlock(&changes->mutex);
    if (differ(config, index, before, now))
        fn(capp__snapshot_at(before, index)->object->bytes, capp__snapshot_at(now, index)->object->bytes,
           user_data);
    capp__snapshot_unref(before);
    capp__snapshot_unref(now);
    pthread_mutex_lock(&changes->mutex);
    changes->running = NULL;
    pthread_cond_broadcast(&changes->changed);
}

/* The first that this pass has not come to. From the head each time: any may come and go during a call. */
static struct capp_monitor_entry *next_entry(const struct capp__changes *changes)
{
    ETCD__LIST_FOREACH(node, &changes->entries)
    {
        struct capp_monitor_entry *entry = ETCD__CONTAINER(node, struct capp_monitor_entry, node);

        if (entry->pass != changes->pass)
            return entry;
    }
    return NULL;
}

static void deliver_locked(struct capp__changes *changes)
{
    struct capp_monitor_entry *entry;

    while (changes->delivering)
        pthread_cond_wait(&changes->changed, &changes->mutex);
    changes->delivering = true;
    changes->pass++;
    while ((entry = next_entry(changes)) != NULL) {
        entry->pass = changes->pass;
        tell_unlocked(changes, entry);
    }
    changes->delivering = false;
    pthread_cond_broadcast(&changes->changed);
}

void capp__changes_deliver(struct capp__config *config)
{
    pthread_mutex_lock(&config->changes.mutex);
    deliver_locked(&config->changes);
    pthread_mutex_unlock(&config->changes.mutex);
}

/* ---- the thread ------------------------------------------------------------------------------------ */

static void *notifier_main(void *arg)
{
    struct capp__config *config = arg;
    struct capp__changes *changes = &config->changes;

    capp__thread_name("capp-config");
    pthread_mutex_lock(&changes->mutex);
    while (!changes->quit) {
        if (!changes->pending) {
            pthread_cond_wait(&changes->changed, &changes->mutex);
            continue;
        }
        changes->pending = false;
        deliver_locked(changes);
    }
    pthread_mutex_unlock(&changes->mutex);
    return NULL;
}

int capp__changes_start(struct capp__config *config)
{
    struct capp__changes *changes = &config->changes;
    sigset_t all;
    int error = 0;

    sigfillset(&all); /* signals are for the threads of the program */
    pthread_mutex_lock(&changes->mutex);
    if (!changes->has_notifier && !changes->quit)
        error = capp__thread_start(&changes->notifier, &all, notifier_main, config);
    changes->has_notifier = changes->has_notifier || (error == 0 && !changes->quit);
    pthread_mutex_unlock(&changes->mutex);
    return error;
}

void capp__changes_post(struct capp__config *config)
{
    pthread_mutex_lock(&config->changes.mutex);
    config->changes.pending = true;
    pthread_cond_broadcast(&config->changes.changed);
    pthread_mutex_unlock(&config->changes.mutex);
}

void capp__changes_stop(struct capp__changes *changes)
{
    pthread_mutex_lock(&changes->mutex);
    bool join = changes->has_notifier;
    changes->has_notifier = false;
    changes->quit = true;
    pthread_cond_broadcast(&changes->changed);
    pthread_mutex_unlock(&changes->mutex);
    if (join)
        pthread_join(changes->notifier, NULL);
}
