/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoints in use: those of the options, then whatever replaces them. */
#ifndef ETCD__CLIENT_ENDPOINTS_H
#define ETCD__CLIENT_ENDPOINTS_H

#include "net/endpoint.h"

struct etcd_client;

/*
 * What a user gave, as a list that ends with NULL. ETCD_E_INVALID_ARGUMENT names index and value. To be given
 * back in every case.
 */
etcd_status etcd__endpoints_parse(const char *const *list, struct etcd__endpoints *ret_endpoints,
                                  etcd_error *reterr);
/* The endpoint's host is this machine, whatever the network does. */
bool etcd__endpoint_is_local(const struct etcd__endpoint *endpoint);
/* Takes over a new list (copied); none means that they are still to be found. Engine. */
etcd_status etcd__client_use_endpoints(struct etcd_client *client, const struct etcd__endpoints *endpoints,
                                       etcd_error *reterr);

#endif
