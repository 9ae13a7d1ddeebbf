/* SPDX-License-Identifier: Apache-2.0 */
/* The time between two attempts, as an operation: nothing of ours waits on the loop's thread. */
#ifndef ETCD__RECIPES_PAUSE_H
#define ETCD__RECIPES_PAUSE_H

#include "etcdc/client.h"

/* As the other asynchronous calls. Ends after `pause_ms`, or with CLOSED or CANCELLED. */
etcd_status etcd__pause_async(etcd_client *client, int64_t pause_ms, etcd_op_fn *on_done, void *user_data,
                              etcd_op **ret_op, etcd_error *reterr);

#endif
