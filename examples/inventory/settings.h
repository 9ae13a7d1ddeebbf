/* SPDX-License-Identifier: Apache-2.0 */
/* What can be configured, apart from the etcd clients: inventory.yaml names it all. */
#ifndef INVENTORY_SETTINGS_H
#define INVENTORY_SETTINGS_H

#include <capp.h>

/* Names of instances, items and requests: 1 to NAME_LEN_MAX of `A-Z a-z 0-9 _ -`. */
enum { NAME_LEN_MAX = 64, PREFIX_LEN_MAX = 128, ADDRESS_LEN_MAX = 255 };
bool name_is_valid(const char *name);

/* `instance`: who and where this instance is. */
typedef struct instance_settings {
    const char *name;
    const char *prefix;
    const char *listen;
    const char *advertise;
    const char *status;
    int64_t registration_ttl_ms;
} instance_settings;

/* `stock`: the rules of changes. */
typedef struct stock_settings {
    int64_t max_quantity;
    int64_t request_timeout_ms;
    int64_t request_memory_ms;
} stock_settings;

/* `restock`: the job that only one instance does. */
typedef struct restock_settings {
    bool enabled;
    int64_t interval_ms;
    int64_t minimum;
    int64_t target;
    int64_t lock_ttl_ms;
} restock_settings;

CAPP_TYPE_DECLARE(instance_settings);
CAPP_TYPE_DECLARE(stock_settings);
CAPP_TYPE_DECLARE(restock_settings);

void add_settings(capp_builder *app);

#endif
