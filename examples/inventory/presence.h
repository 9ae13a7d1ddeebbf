/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells other programs that this instance is there, and whether it is ready:
 *
 *     /services/inventory/<instance>   {"address":"10.0.0.1:7070","state":"ready"}
 */
#ifndef INVENTORY_PRESENCE_H
#define INVENTORY_PRESENCE_H

#include <capp.h>

typedef struct presence presence;
CAPP_TYPE_DECLARE(presence);
extern const capp_service presence_service;

#endif
