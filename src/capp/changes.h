/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The change functions of an application, and how they are called: one at a time, each with the values that
 * it was called with last and the newest ones, when these differ. So none is called for a value twice, and
 * none misses the last of several that came while it ran.
 */
#ifndef CAPP__CHANGES_H
#define CAPP__CHANGES_H

#include "base/list.h"
#include "capp/monitor.h"

#include <pthread.h>

struct capp__snapshot;
struct capp__config;

struct capp_monitor_entry {
    struct etcd__node node;
    struct capp__config *config;
    size_t index; /* of the binding */
    capp_change_fn *fn;
    void *user_data;
    struct capp__snapshot *seen; /* with a reference: what it knows */
    unsigned pass;               /* of the delivery that looked at it last */
};

struct capp__changes {
    pthread_mutex_t mutex;
    pthread_cond_t changed;    /* `running` or `delivering` has ended, or there is work for the thread */
    struct etcd__list entries; /* capp_monitor_entry.node, in order of adding */
    struct capp_monitor_entry *running; /* may be freed meanwhile, by its own function */
    pthread_t thread;                   /* that runs it */
    bool delivering;
    unsigned pass;

    /* The thread for snapshots that no reload has made: see capp__changes_post(). */
    pthread_t notifier;
    bool has_notifier, pending, quit;
};

/* 0 or an errno. */
int capp__changes_init(struct capp__changes *changes);
/* The thread is stopped, and every entry removed. */
void capp__changes_deinit(struct capp__changes *changes);

/* Calls whose values have changed; returns when all were called. Not from a change function. */
void capp__changes_deliver(struct capp__config *config);
/* Makes sure of a thread for capp__changes_post(). 0 or an errno. */
int capp__changes_start(struct capp__config *config);
/* As capp__changes_deliver(), later, on that thread. */
void capp__changes_post(struct capp__config *config);
/* Ends and joins the thread; none is called any more by it. */
void capp__changes_stop(struct capp__changes *changes);

#endif
