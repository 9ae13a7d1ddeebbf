/* SPDX-License-Identifier: Apache-2.0 */
/* Whether this instance can do its work now. */
#ifndef INVENTORY_READINESS_H
#define INVENTORY_READINESS_H

#include <capp.h>

typedef struct readiness readiness;
CAPP_TYPE_DECLARE(readiness);
extern const capp_service readiness_service;

bool readiness_now(readiness *self);

#endif
