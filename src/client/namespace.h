/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The namespace of a client: bytes that stand before every key that its calls name, and that are taken off
 * every key that comes back. A range ends inside of it, and so does one "to the end". The empty key, which no
 * call can name, is not in it: a key that is the namespace itself belongs to somebody else.
 *
 * Requests are copied as far as they lead to keys, values are not. The keys of results are views: they are
 * cut where they are.
 */
#ifndef ETCD__CLIENT_NAMESPACE_H
#define ETCD__CLIENT_NAMESPACE_H

#include "client/requests.h"
#include "client/results.h"
#include "etcdc/watch.h"

/* What a kind of call has to do with keys. */
struct etcd__scope {
    /*
     * The request with the namespace before its keys, made in `arena` of views of the given one; NULL: out of
     * memory. No such function: it names no keys.
     */
    const ProtobufCMessage *(*enter)(etcd_bytes space, const ProtobufCMessage *request,
                                     struct etcd__arena *arena);
    /* Takes it off the result's keys. ETCD_E_PROTOCOL: there is one that does not begin with it. */
    etcd_status (*leave)(etcd_bytes space, void *result, etcd_error *reterr);
};

extern const struct etcd__scope etcd__put_scope, etcd__get_scope, etcd__delete_scope, etcd__txn_scope;

/*
 * Moves a range of the arguments into the namespace; its memory is `own` then. ETCD_E_NO_MEMORY: nothing has
 * changed.
 */
etcd_status etcd__namespace_range(etcd_bytes space, struct etcd__range *range, etcd_error *reterr);
/* Takes the namespace off one key; false when the key is not inside. */
bool etcd__namespace_cut(etcd_bytes space, etcd_bytes *key);
/* The same for all pairs of a page: ETCD_OK or ETCD_E_PROTOCOL. */
etcd_status etcd__namespace_leave_get(etcd_bytes space, struct etcd_get_result *result, etcd_error *reterr);
/* The same for all events of a batch; false when one is not inside. */
bool etcd__namespace_leave_events(etcd_bytes space, etcd_event *events, size_t count);

#endif
