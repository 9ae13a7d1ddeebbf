/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a factory. A client is pending while its registration waits for a server, and a member from
 * then on until the factory is freed; so a pointer to a member stays good without the lock.
 *
 * The lock is never held while a client is opened, waited for or closed: those wait for the loop's
 * thread, and a callback there may be asking the factory for something.
 */
#ifndef CAPP__ETCD_FACTORY_H
#define CAPP__ETCD_FACTORY_H

#include "base/list.h"
#include "capp/etcd.h"
#include "name.h"

#include <pthread.h>

struct capp__etcd_member {
    struct etcd__node node; /* in `members` or `pending` */
    char name[CAPP__ETCD_NAME_SIZE];
    const capp_logger *logger; /* the factory's */
    capp_etcd_start start;
    capp_etcd_health health;
    etcd_client *client;
    etcd_op *connecting; /* under the mutex: the wait for a server, to be cancelled; NULL: there is none */
};

enum capp__etcd_phase { CAPP__ETCD_OPEN, CAPP__ETCD_CLOSING, CAPP__ETCD_CLOSED };

struct capp_etcd_factory {
    const capp_logger *logger; /* NULL: none */
    struct {
        pthread_mutex_t mutex;
        pthread_cond_t closed;
        enum capp__etcd_phase phase;
        bool stopping;             /* waits are cancelled, new ones too */
        etcd_loop *loop;           /* of all clients that bring none; made with the first of them */
        struct etcd__list members; /* in order of registration */
        struct etcd__list pending;
    } shared;
};

void capp__etcd_lock(capp_etcd_factory *factory);
void capp__etcd_unlock(capp_etcd_factory *factory);

/* The member after this one, NULL for the first: NULL at the end. For walking without the lock. */
struct capp__etcd_member *capp__etcd_next(capp_etcd_factory *factory, struct capp__etcd_member *member);

/* ---- register.c: members come ---- */

/* How a client is to be added. */
struct capp__etcd_adding {
    const char *name;
    const etcd_client_opts *opts;             /* NULL: the defaults */
    const capp_etcd_client_opts *client_opts; /* NULL: the defaults */
    bool configured;                          /* by the module: closing is on another thread */
};

/* Opens the client and makes it a member; connects nothing. `*ret_member` is NULL on failure. */
capp_status capp__etcd_add(capp_etcd_factory *factory, const struct capp__etcd_adding *adding,
                           struct capp__etcd_member **ret_member, capp_error *reterr);

/* ---- connect.c: members wait for their servers ---- */

/* Starts to wait, unless the client is lazy. */
capp_status capp__etcd_connect_begin(capp_etcd_factory *factory, struct capp__etcd_member *member,
                                     capp_error *reterr);
/* Waits to the end. A failure that the client's start policy allows is only logged. */
capp_status capp__etcd_connect_end(capp_etcd_factory *factory, struct capp__etcd_member *member,
                                   capp_error *reterr);
/* Both, for all members at the same time. One error is made of all failures. */
capp_status capp__etcd_connect_all(capp_etcd_factory *factory, capp_error *reterr);

/* ---- close.c ---- */

/* Ends every wait on a client with "cancelled", now and from now on. */
void capp__etcd_cancel_waits(capp_etcd_factory *factory);
/*
 * Collects failures: the first decides about the status, the texts stand one after the other as long as
 * there is room.
 */
void capp__etcd_combine(capp_error *all, const capp_error *error);

/* ---- health.c: for the host's reports ---- */

/* The health of a member, `self`. */
void capp__etcd_look(void *self, capp_health *health);
/* The numbers of all clients of the factory, `self`. */
void capp__etcd_write_metrics(void *self, capp_metrics *out);

/* ---- log.c ---- */

/* The log function of all clients that bring none; `user_data` is the capp_logger. */
void capp__etcd_log(void *user_data, const etcd_log_record *record);
/* The module's own words about a client. */
void capp__etcd_log_client(const struct capp__etcd_member *member, capp_log_level level, const char *text);

#endif
