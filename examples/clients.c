/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several etcd clients: the default one, one for a configuration centre, and one that logs in for service
 * discovery.
 */
#include <capp/etcd.h>

static void clients(capp_etcd_builder *b, void *user)
{
    (void)user;
    capp_etcd_add_client(b, "default",
                         ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("localhost:2379"), .dial_timeout_ms = 5000));

    capp_etcd_add_client(b, "config",
                         ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("etcd-config:2379", "etcd-config:2380"),
                                          .dial_timeout_ms = 10000, .auto_sync_interval_ms = 30000));

    /* The password stays out of the source: it is read from the environment, again at each login. */
    capp_etcd_add_client(b, "discovery",
                         ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("etcd-discovery:2379"), .username = "admin",
                                          .password = ETCD_SECRET_ENV("ETCD_DISCOVERY_PASSWORD"),
                                          .dial_timeout_ms = 5000));
}

int main(void)
{
    capp_builder *app = capp_builder_new();
    capp_configure(app, capp_etcd(clients, NULL));
    return capp_main(app);
}
