/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to resolver*.c: lookups (resolver.c) and c-ares, which answers most of them (resolver_ares.c). */
#ifndef ETCD__NET_RESOLVER_CORE_H
#define ETCD__NET_RESOLVER_CORE_H

#include "net/resolver.h"

enum { ETCD__ANSWER_MAX = 64 }; /* addresses or records of one answer; the rest is ignored */

struct etcd__dns; /* a channel of c-ares */

struct etcd__resolver {
    struct etcd__reactor *reactor;
    struct etcd__list lookups;  /* all that will call back */
    struct etcd__list channels; /* the newest first; the others wait for their last lookup */
    const char *resolv_conf;
    const char *servers; /* NULL: those of resolv.conf */
};

struct etcd__lookup {
    struct etcd__node node; /* in resolver->lookups; unlinked when orphaned */
    struct etcd__resolver *resolver;
    etcd__resolved_fn *fn;
    void *user;
    uint16_t port;
    struct etcd__dns *dns; /* c-ares has it */
    void *env_handle;
    bool in_env; /* the environment has it */
    char env_error[96];
    struct etcd__task deliver;
    struct etcd__addresses answer;
    etcd__services_fn *services_fn; /* looked up instead of addresses; NULL: those */
    struct etcd__services services;
    struct etcd__srv_record *records;
    struct sockaddr_storage local[2]; /* for answers that need no list */
    struct sockaddr_storage *list;
};

/* Says what was found, from a task. */
void etcd__lookup_answer(struct etcd__lookup *lookup);
void etcd__lookup_free(struct etcd__lookup *lookup);

/* Hands a lookup to c-ares: of the addresses of a host, or of the records of a service. */
etcd_status etcd__dns_ask(struct etcd__lookup *lookup, const char *name, etcd_error *reterr);
void etcd__dns_free(struct etcd__dns *dns);
/* The one of the resolver's list at this node. */
struct etcd__dns *etcd__dns_at(struct etcd__node *node);

#endif
