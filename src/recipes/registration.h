/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registration: an entry under a lease, and what happens when the lease is lost.
 *
 *   registered --lost--> granting --> putting --> registered
 *                           ^            |
 *                           +-- pause <--+  (also when granting fails)
 *
 * The first round blocks in etcd_register() (registry.c); all later ones are callbacks (registration.c), one
 * at a time inside the gate. Nothing here waits on the loop's thread. What another thread may look at
 * meanwhile is in `shared`.
 */
#ifndef ETCD__RECIPES_REGISTRATION_H
#define ETCD__RECIPES_REGISTRATION_H

#include "etcdc/registry.h"
#include "recipes/gate.h"
#include "recipes/session.h"

struct etcd_registration {
    struct etcd__gate gate;
    etcd_client *client;
    char *key;
    int64_t ttl_s;
    bool no_restore;
    etcd_registration_fn *on_event;
    void *user_data;

    /* Whoever is inside the gate, or closes. */
    etcd_op *op;                   /* the step under way */
    struct etcd__session *session; /* of the lease that carries the entry, or will when it is put */
    int64_t stale_lease_id;        /* a lost lease that may carry the entry still, unknown to us; 0: none */
    int64_t sent_ms;               /* when the grant was asked for */
    int64_t pause_ms;              /* before the next round */
    uint64_t put_version;          /* of the address in the put under way */

    struct {
        pthread_mutex_t mutex;
        struct etcd__session *session; /* NULL while the entry is not certainly there */
        char *value;                   /* the address */
        uint64_t version;              /* of the address; grows with each update */
        bool updating;                 /* somebody is in etcd_registration_update() */
    } shared;
};

/* `key` is taken over, also when it fails (NULL: out of memory). One reference. */
struct etcd_registration *etcd__registration_new(etcd_client *client, char *key, const char *address,
                                                 const etcd_register_opts *opts);
void etcd__registration_unref(struct etcd_registration *reg);
/* Others see the entry under this session; NULL: it is not certainly there. */
void etcd__registration_show(struct etcd_registration *reg, struct etcd__session *session);
/* From here on the registration stands, unless the lease was lost already. Inside the gate. */
etcd_status etcd__registration_stand(struct etcd_registration *reg, etcd_error *err);

#endif
