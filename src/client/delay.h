/* SPDX-License-Identifier: Apache-2.0 */
/* etcd_client_delay_async(): an operation that ends by the clock. Engine only. */
#ifndef ETCD__CLIENT_DELAY_H
#define ETCD__CLIENT_DELAY_H

struct etcd_client;

/* Ends every delay with ETCD_E_CLOSED. */
void etcd__delay_close_all(struct etcd_client *client);

#endif
