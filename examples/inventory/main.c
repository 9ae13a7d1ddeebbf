/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon that keeps an inventory in etcd; README.md says how to run it.
 *
 *     inventory [--config FILE] [--<option>=<value>]... [--help-config | --check-config | --dump-config]
 */
#include "api.h"
#include "counters.h"
#include "presence.h"
#include "restock.h"
#include "settings.h"
#include "status.h"
#include "stock.h"

#include <capp/etcd.h>

/*
 * Where the servers are is the configuration's to say: these are the names that the program uses. Without the
 * stock there is nothing to do; without the other two there is.
 */
static void clients(capp_etcd_builder *b, void *user_data)
{
    const capp_etcd_client_opts *spare = CAPP_ETCD_CLIENT(.health = CAPP_ETCD_HEALTH_DEGRADED);

    (void)user_data;
    capp_etcd_add_client(b, "default", NULL);
    capp_etcd_add_client_with(b, "config", NULL, spare);
    capp_etcd_add_client_with(b, "discovery", NULL, spare);
    capp_etcd_add_source(b, CAPP_ETCD_SOURCE(.client = "config", .prefix = "/config/inventory/"));
}

/* The other services have one thread each, which the host makes of their `run`. */
static void add_api_threads(capp_builder *app)
{
    capp_add_worker(app, "api-1", api_run, NULL);
    capp_add_worker(app, "api-2", api_run, NULL);
    capp_add_worker(app, "api-3", api_run, NULL);
    capp_add_worker(app, "api-4", api_run, NULL);
}

int main(int argc, char **argv)
{
    capp_builder *app = capp_builder_new();
    counters counts = {0};

    capp_use_name(app, "inventory");
    capp_use_config_file(app, "/etc/inventory/inventory.yaml", CAPP_CONFIG_OPTIONAL);
    capp_use_config_dir(app, "/etc/inventory/inventory.d", CAPP_CONFIG_OPTIONAL);
    capp_use_config_env(app, "INVENTORY");
    capp_use_config_args(app, argc, argv);
    add_settings(app);
    capp_configure(app, counters_module(&counts));
    capp_configure(app, capp_etcd(clients, NULL));
    capp_add_service(app, &stock_service);
    capp_add_service(app, &api_service);
    capp_add_service(app, &status_service);
    capp_add_service(app, &presence_service);
    capp_add_service(app, &restock_service);
    add_api_threads(app);
    return capp_main(app);
}
