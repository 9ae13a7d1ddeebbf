/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of capp_cancel. */
#ifndef CAPP__TOKEN_H
#define CAPP__TOKEN_H

#include "base/list.h"
#include "capp/cancel.h"
#include "name.h"

#include <pthread.h>
#include <stdatomic.h>

struct capp_cancel {
    atomic_bool requested;
    struct {
        pthread_mutex_t mutex;
        pthread_cond_t changed;            /* requested, or `running` has ended */
        struct etcd__list entries;         /* capp_cancel_entry.node; those whose turn has not come */
        struct capp_cancel_entry *running; /* may be freed meanwhile, by its own function */
        pthread_t thread;                  /* that runs it */
        char label[CAPP__NAME_SIZE];       /* of the one that runs */
    } shared;
};

struct capp_cancel_entry {
    struct etcd__node node;
    struct capp_cancel *cancel;
    capp_cancel_fn *fn;
    void *user_data;
    char label[CAPP__NAME_SIZE]; /* who registered it; "" for the program */
};

/* 0 or an errno. */
int capp__cancel_init(struct capp_cancel *cancel);
void capp__cancel_deinit(struct capp_cancel *cancel);
/* Requests the cancel and calls all functions; the second time it does nothing. */
void capp__cancel_request(struct capp_cancel *cancel);
/* Who registered the function that is running now; false when none runs. */
bool capp__cancel_running(struct capp_cancel *cancel, char ret_label[CAPP__NAME_SIZE]);

#endif
