/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option structs to requests, with every check that can be made before anything is sent. The single calls and
 * transactions share them. Requests are views of the arguments.
 */
#ifndef ETCD__CLIENT_REQUESTS_H
#define ETCD__CLIENT_REQUESTS_H

#include "base/error.h"
#include "etcdc/kv.h"
#include "wire/messages.h"

/*
 * The range that key and options name. `key` and `end` are views of the arguments, of constants, or of
 * `own`.
 */
struct etcd__range {
    etcd_bytes key, end;
    void *own; /* memory behind `end`, or NULL */
};

/*
 * Works out prefix, from_key and range_end. ETCD_E_INVALID_ARGUMENT when they contradict each other or the
 * key is empty without them; `what` is the operation, for the message.
 */
etcd_status etcd__range_make(const char *what, etcd_bytes key, etcd_bytes range_end, bool prefix,
                             bool from_key, struct etcd__range *ret_range, etcd_error *reterr);
void etcd__range_deinit(struct etcd__range *range);

/* A view with a length but no data is refused. */
etcd_status etcd__check_bytes(const char *what, const char *name, etcd_bytes bytes, etcd_error *reterr);

/* Import the options (NULL: defaults) into *ret_opts and fill the request, which must be initialised. */
etcd_status etcd__put_request(etcd_bytes key, etcd_bytes value, const etcd_put_opts *opts,
                              etcd_put_opts *ret_opts, Etcd__Pb__PutRequest *request, etcd_error *reterr);
etcd_status etcd__get_request(etcd_bytes key, const etcd_get_opts *opts, etcd_get_opts *ret_opts,
                              struct etcd__range *ret_range, Etcd__Pb__RangeRequest *request,
                              etcd_error *reterr);
etcd_status etcd__delete_request(etcd_bytes key, const etcd_delete_opts *opts, etcd_delete_opts *ret_opts,
                                 struct etcd__range *ret_range, Etcd__Pb__DeleteRangeRequest *request,
                                 etcd_error *reterr);

#endif
