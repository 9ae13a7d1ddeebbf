/* SPDX-License-Identifier: Apache-2.0 */
/* etcd as a source of configuration. See capp/etcd.h. */
#ifndef CAPP__ETCD_SOURCE_H
#define CAPP__ETCD_SOURCE_H

#include "capp/etcd.h"
#include "capp/source.h"
#include "etcdc/view.h"

#include <pthread.h>

enum {
    CAPP__ETCD_BEHIND_MAX_MS = 1000, /* what settles no sooner is taken all the same */
    CAPP__ETCD_RETRY_MIN_MS = 1000,
};

struct capp__etcd_source {
    const capp_logger *logger;
    capp_source *source;
    void *client;  /* etcd_client; filled by the host when it exists */
    char *prefix;  /* ends with a slash */
    char name[96]; /* "etcd config" */
    capp_etcd_source_policy policy;
    int64_t load_timeout_ms, settle_ms;

    /* Of the worker, and before it of start, after it of stop. */
    etcd_view *view;
    int64_t revision; /* that is current; 0: none */
    int64_t retry_ms;
    int missing; /* how many looks in a row have found no server; 2: or more */

    struct {
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        bool dirty, ended, quit;
        bool followed;             /* there is a view */
        char refusal[200];         /* why the newest content was not taken; "": it was */
        int64_t first_ms, last_ms; /* dirty: when the changes came */
        etcd_error error;          /* ended: why */
        etcd_op *op;               /* the wait for a server, to be cancelled */
    } shared;
};

/* ---- source.c: what the host calls ---- */

capp_status capp__etcd_source_start(void *source, capp_error *reterr);
capp_status capp__etcd_source_follow(capp_worker *worker, void *source, capp_error *reterr);
/* Other sources may say what was missing. */
capp_status capp__etcd_source_reload(void *source, capp_error *reterr);
/* Never more than degraded: what was said last holds. */
void capp__etcd_source_health(void *source, capp_health *health);
/* Ends what waits. */
void capp__etcd_source_quit(void *source);
capp_status capp__etcd_source_stop(void *source, int64_t limit_ms, capp_error *reterr);

/* ---- source_add.c ---- */

/* Makes the keys known. */
capp_status capp__etcd_source_declare(capp_setup *setup);
/* Adds the source that the configuration describes, if it does and none was added. */
void capp__etcd_source_configured(capp_etcd_builder *builder);

#endif
