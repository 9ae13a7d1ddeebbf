/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etcd_client_wait_ready(): an operation that ends when the login is done and an endpoint is connected.
 * Engine only.
 */
#ifndef ETCD__CLIENT_READY_H
#define ETCD__CLIENT_READY_H

#include "etcdc/error.h"

struct etcd_client;

/* An endpoint became ready. */
void etcd__ready_notify(struct etcd_client *client);
/* Ends every wait. */
void etcd__ready_end_all(struct etcd_client *client, etcd_status status, const char *reason);

#endif
