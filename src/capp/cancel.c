/* SPDX-License-Identifier: Apache-2.0 */
#include "capp/cancel.h"

#include "fail.h"
#include "thread.h"
#include "token.h"

#include <string.h>

int capp__cancel_init(struct capp_cancel *cancel)
{
    atomic_init(&cancel->requested, false);
    etcd__list_init(&cancel->shared.entries);
    cancel->shared.running = NULL;
    int error = capp__cond_init(&cancel->shared.changed);
    if (error != 0)
        return error;
    error = pthread_mutex_init(&cancel->shared.mutex, NULL);
    if (error != 0)
        pthread_cond_destroy(&cancel->shared.changed);
    return error;
}

void capp__cancel_deinit(struct capp_cancel *cancel)
{
    pthread_cond_destroy(&cancel->shared.changed);
    pthread_mutex_destroy(&cancel->shared.mutex);
}

bool capp_cancel_requested(const capp_cancel *cancel)
{
    return atomic_load(&cancel->requested);
}

bool capp_cancel_wait(capp_cancel *cancel, int64_t timeout_ms)
{
    if (timeout_ms <= 0)
        return capp_cancel_requested(cancel);
    int64_t until_ms = capp__after_ms(timeout_ms);
    pthread_mutex_lock(&cancel->shared.mutex);
    while (!atomic_load(&cancel->requested) && capp__now_ms() < until_ms)
        capp__cond_wait_until(&cancel->shared.changed, &cancel->shared.mutex, until_ms);
    pthread_mutex_unlock(&cancel->shared.mutex);
    return capp_cancel_requested(cancel);
}

capp_status capp_cancel_add(capp_cancel *cancel, capp_cancel_fn *fn, void *user_data,
                            capp_cancel_entry **ret_entry, capp_error *reterr)
{
    if (cancel == NULL || fn == NULL || ret_entry == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "capp_cancel_add: a required argument is NULL");
    struct capp_cancel_entry *entry = ETCD__NEW(struct capp_cancel_entry);
    if (entry == NULL)
        return capp__fail_memory(reterr);
    entry->cancel = cancel;
    entry->fn = fn;
    entry->user_data = user_data;

    pthread_mutex_lock(&cancel->shared.mutex);
    bool late = atomic_load(&cancel->requested);
    if (!late)
        etcd__list_push(&cancel->shared.entries, &entry->node);
    pthread_mutex_unlock(&cancel->shared.mutex);

    if (late) {
        etcd__free(entry);
        return capp_fail(reterr, CAPP_E_CANCELLED, "the application is stopping");
    }
    *ret_entry = entry;
    return CAPP_OK;
}

void capp_cancel_remove(capp_cancel_entry *entry)
{
    if (entry == NULL)
        return;
    struct capp_cancel *cancel = entry->cancel;

    pthread_mutex_lock(&cancel->shared.mutex);
    etcd__node_unlink(&entry->node);
    while (cancel->shared.running == entry && !pthread_equal(cancel->shared.thread, pthread_self()))
        pthread_cond_wait(&cancel->shared.changed, &cancel->shared.mutex);
    pthread_mutex_unlock(&cancel->shared.mutex);
    etcd__free(entry);
}

/* Calls one function without the lock. The entry may be gone afterwards. */
static void run_entry_unlocked(struct capp_cancel *cancel, struct capp_cancel_entry *entry)
{
    capp_cancel_fn *fn = entry->fn;
    void *user_data = entry->user_data;

    cancel->shared.running = entry;
    cancel->shared.thread = pthread_self();
    memcpy(cancel->shared.label, entry->label, sizeof(entry->label));
    pthread_mutex_unlock(&cancel->shared.mutex);
    fn(user_data);
    pthread_mutex_lock(&cancel->shared.mutex);
    cancel->shared.running = NULL;
    pthread_cond_broadcast(&cancel->shared.changed);
}

void capp__cancel_request(struct capp_cancel *cancel)
{
    struct etcd__node *node;

    pthread_mutex_lock(&cancel->shared.mutex);
    if (!atomic_exchange(&cancel->requested, true)) {
        pthread_cond_broadcast(&cancel->shared.changed);
        while ((node = etcd__list_pop(&cancel->shared.entries)) != NULL)
            run_entry_unlocked(cancel, ETCD__CONTAINER(node, struct capp_cancel_entry, node));
    }
    pthread_mutex_unlock(&cancel->shared.mutex);
}

bool capp__cancel_running(struct capp_cancel *cancel, char ret_label[CAPP__NAME_SIZE])
{
    pthread_mutex_lock(&cancel->shared.mutex);
    bool running = cancel->shared.running != NULL;
    if (running)
        memcpy(ret_label, cancel->shared.label, CAPP__NAME_SIZE);
    pthread_mutex_unlock(&cancel->shared.mutex);
    return running;
}
