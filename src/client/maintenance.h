/* SPDX-License-Identifier: Apache-2.0 */
/* What the calls about one member have in common. */
#ifndef ETCD__CLIENT_MAINTENANCE_H
#define ETCD__CLIENT_MAINTENANCE_H

#include "client/rpc.h"
#include "etcdc/maintenance.h"

/* Adds endpoint and options to how a call is to be made. */
etcd_status etcd__maintenance_import(const char *what, const char *endpoint, const etcd_admin_opts *opts,
                                     struct etcd__rpc_options *how, etcd_error *reterr);
static inline struct etcd__rpc_options etcd__maintenance_blocking(void)
{
    return (struct etcd__rpc_options){.blocking = true};
}
static inline struct etcd__rpc_options etcd__maintenance_async(etcd_op_fn *on_done, void *user_data)
{
    return (struct etcd__rpc_options){.on_done = on_done, .user_data = user_data};
}

#endif
