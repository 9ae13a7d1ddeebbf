/* SPDX-License-Identifier: Apache-2.0 */
#include "recipes/pause.h"

etcd_status etcd__pause_async(etcd_client *client, int64_t pause_ms, etcd_op_fn *on_done, void *user_data,
                              etcd_op **ret_op, etcd_error *reterr)
{
    return etcd_client_wait_ready_async(client, pause_ms, on_done, user_data, ret_op, reterr);
}
