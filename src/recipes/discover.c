/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/mem.h"
#include "recipes/service_key.h"
#include "recipes/services.h"

static etcd_status discover(etcd_client *client, const char *prefix, const char *service,
                            const struct etcd__limit *limit, etcd_services **ret_services, etcd_error *reterr)
{
    char *dir = etcd__service_key(prefix, service, "");
    etcd_status st;

    if (dir == NULL)
        return etcd__fail_memory(reterr);
    st = etcd__services_load(client, dir, limit, ret_services, reterr);
    etcd__free(dir);
    return st;
}

etcd_status etcd_discover(etcd_client *client, const char *service, const etcd_discover_opts *opts,
                          etcd_services **ret_services, etcd_error *reterr)
{
    etcd_discover_opts own = ETCD_DISCOVER_OPTS_INIT;
    const char *prefix = NULL;
    struct etcd__limit limit;
    etcd_status st;

    st = etcd__opts_import(&own, sizeof(own), opts, "discover", reterr);
    if (st == ETCD_OK && (client == NULL || ret_services == NULL))
        st = etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s is NULL",
                        client == NULL ? "client" : "ret_services");
    if (st == ETCD_OK)
        st = etcd__service_check_name("service", service, reterr);
    if (st == ETCD_OK)
        st = etcd__service_check_prefix(own.prefix, &prefix, reterr);
    if (st == ETCD_OK)
        st = etcd__limit_start(&limit, client, own.timeout_ms, reterr);
    if (st != ETCD_OK)
        return st;
    st = discover(client, prefix, service, &limit, ret_services, reterr);
    if (st != ETCD_OK)
        etcd__error_prefix(reterr, "discover \"%s%s\"", prefix, service);
    return st;
}
