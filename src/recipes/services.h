/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of instances. A list that the user sees is immutable, counted, and in one piece of memory; entries
 * are what one is made from, sorted by instance, and only refer to the bytes of instances and addresses.
 */
#ifndef ETCD__RECIPES_SERVICES_H
#define ETCD__RECIPES_SERVICES_H

#include "etcdc/discovery.h"
#include "etcdc/txn.h"
#include "etcdc/watch.h"
#include "recipes/limit.h"

/* Zeroed memory is empty. */
struct etcd__entries {
    etcd_service *list;
    size_t count, capacity;
};

/* Zeroed memory is empty. */
struct etcd__service_changes {
    etcd_service_change *list;
    size_t count, capacity;
};

/* One reference; NULL when out of memory. */
struct etcd_services *etcd__services_new(const struct etcd__entries *entries, int64_t revision);
struct etcd_services *etcd__services_ref(struct etcd_services *services);

/* These return false when out of memory; the entries are to be given back all the same. */
bool etcd__entries_copy(struct etcd__entries *entries, const struct etcd_services *services);
/* Notes an event about a key whose instance begins after `dir_len` bytes, and what it changes. */
bool etcd__entries_apply(struct etcd__entries *entries, const etcd_event *event, size_t dir_len,
                         struct etcd__service_changes *changes);
void etcd__entries_deinit(struct etcd__entries *entries);

/* What is different; refers to both. False when out of memory. */
bool etcd__services_compare(const struct etcd_services *before, const struct etcd_services *after,
                            struct etcd__service_changes *changes);
void etcd__service_changes_deinit(struct etcd__service_changes *changes);

/*
 * Both kinds of entries in one transaction, so that they are of one revision: the key of the service itself,
 * which is `dir` without its slash, and everything below `dir`. etcd_txn_free().
 */
etcd_txn *etcd__services_query(const char *dir);
/* Reads its answer. PROTOCOL, NO_MEMORY. */
etcd_status etcd__services_read(const etcd_txn_result *result, size_t dir_len,
                                struct etcd_services **ret_services, etcd_error *reterr);
/* Both, blocking. */
etcd_status etcd__services_load(etcd_client *client, const char *dir, const struct etcd__limit *limit,
                                struct etcd_services **ret_services, etcd_error *reterr);

#endif
