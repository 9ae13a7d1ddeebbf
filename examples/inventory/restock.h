/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The job that raises low stock. All instances want to do it; the one that holds the lock does. Each of its
 * writes is refused by the server if the lock has another holder by then, so an instance that was asleep for
 * too long, and does not know it, does no harm.
 */
#ifndef INVENTORY_RESTOCK_H
#define INVENTORY_RESTOCK_H

#include <capp.h>

typedef struct restock restock;
CAPP_TYPE_DECLARE(restock);
extern const capp_service restock_service;

#endif
