/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a worker. A hosted service is a worker whose function is the service's `run`. */
#ifndef CAPP__WORKERS_H
#define CAPP__WORKERS_H

#include "base/list.h"
#include "capp/worker.h"
#include "name.h"

#include <pthread.h>
#include <stdatomic.h>

struct capp__component;

enum {
    CAPP__BACKOFF_MIN_MS = 100,
    CAPP__BACKOFF_MAX_MS = 30000,
    CAPP__RESTART_WINDOW_MS = 60000,
};

enum capp__worker_state {
    CAPP__WORKER_IDLE,  /* not started yet */
    CAPP__WORKER_RUNS,  /* its thread exists */
    CAPP__WORKER_WAITS, /* it has failed, and is started again at `again_ms` */
    CAPP__WORKER_ENDED, /* for good */
    CAPP__WORKER_LEFT,  /* given up with its thread */
};

struct capp_worker {
    capp_app *app;
    char name[CAPP__NAME_SIZE];
    char place[CAPP__PLACE_SIZE]; /* where it was added */
    char label[160];              /* for messages: "worker 'sweeper'", "service http_server" */
    capp_worker_opts opts;        /* every default filled in */
    capp_worker_fn *fn;
    void *user_data;
    const struct capp__component *service; /* a hosted one; `fn` is not used then */

    /* Of the thread in capp_run(). */
    enum capp__worker_state state;
    pthread_t thread;
    int64_t began_ms, again_ms;
    int64_t window_began_ms; /* restarts are counted from here on */
    uint32_t window_restarts;
    uint32_t failures; /* in a row, for the back-off */

    atomic_bool ready;
    atomic_ullong restarts; /* in all */

    /* Written by the worker's own thread before it puts itself into capp_app.shared.ended. */
    bool failed;
    capp_error error;
    struct etcd__node ended_node; /* under capp_app.shared.mutex */
};

/* Fills the defaults of checked options. */
void capp__worker_defaults(capp_worker_opts *opts);
/* Copies and checks a program's options; NULL stands for the defaults. `what` names them in the message. */
capp_status capp__worker_import(capp_worker_opts *ret_opts, const capp_worker_opts *opts, const char *what,
                                capp_error *reterr);
/* Makes workers of the `run` functions of all components, in front of the others. */
capp_status capp__host_services(capp_app *app, capp_error *reterr);
/* The thread of a worker. */
void *capp__worker_main(void *worker);

#endif
