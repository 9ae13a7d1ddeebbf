/* SPDX-License-Identifier: Apache-2.0 */
/* One etcd client. The application runs until SIGINT or SIGTERM, and closes the client then. */
#include <capp/etcd.h>

static void clients(capp_etcd_builder *b, void *user)
{
    (void)user;
    capp_etcd_add_client(b, "default",
                         ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("localhost:2379"), .dial_timeout_ms = 5000));
}

int main(void)
{
    capp_builder *app = capp_builder_new();
    capp_configure(app, capp_etcd(clients, NULL));
    return capp_main(app);
}
