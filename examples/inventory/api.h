/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients ask for:
 *
 *     GET  /items                        all items
 *     GET  /items/<item>                 one
 *     POST /items/<item>/add?count=<n>   changes, which carry a name of the client's choice
 *     POST /items/<item>/take?count=<n>      in the header Idempotency-Key
 */
#ifndef INVENTORY_API_H
#define INVENTORY_API_H

#include <capp.h>

typedef struct api api;
CAPP_TYPE_DECLARE(api);
extern const capp_service api_service;

/* Worker: serves one client at a time; there are several of them. */
capp_status api_run(capp_worker *worker, void *user_data, capp_error *reterr);

#endif
