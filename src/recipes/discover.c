/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/mem.h"
#include "etcdc/registry.h"
#include "etcdc/txn.h"
#include "recipes/limit.h"
#include "recipes/service_key.h"

#include <string.h>

/* What was found, as views into the answer. */
struct etcd_services {
    etcd_txn_result *result;
    size_t count;
    etcd_service list[];
};

/*
 * Both kinds of entries in one transaction, so that they are of one revision: the key of
 * the service itself, and everything below its slash.
 */
static etcd_status read_entries(etcd_client *client, const char *dir, const struct etcd__limit *limit,
                                etcd_txn_result **ret_result, etcd_error *reterr)
{
    size_t dir_len = strlen(dir);
    etcd_status st;
    etcd_txn *txn;
    int64_t left;

    st = etcd__limit_left(limit, &left, reterr);
    if (st != ETCD_OK)
        return st;
    txn = etcd_txn_new();
    etcd_txn_get(txn, ETCD_TXN_THEN, etcd_bytes_of(dir, dir_len - 1), NULL);
    etcd_txn_get(txn, ETCD_TXN_THEN, etcd_bytes_of(dir, dir_len), ETCD_GET_OPTS(.prefix = true));
    st = etcd_txn_commit(client, txn, ETCD_TXN_OPTS(.timeout_ms = left), ret_result, reterr);
    etcd_txn_free(txn);
    return st;
}

static void add_entries(etcd_services *services, const etcd_get_result *get, size_t dir_len)
{
    for (size_t i = 0; i < etcd_get_result_count(get); i++) {
        const etcd_kv *kv = etcd_get_result_kv(get, i);
        size_t skip = kv->key.len < dir_len ? kv->key.len : dir_len;

        services->list[services->count++] = (etcd_service){
            .instance = etcd_bytes_of((const char *)kv->key.data + skip, kv->key.len - skip),
            .address = kv->value,
            .lease_id = kv->lease_id,
            .mod_revision = kv->mod_revision,
        };
    }
}

/* Takes the answer over. Sorted by instance, as it comes: the entry without one first, then by key. */
static etcd_status make_services(etcd_txn_result *result, size_t dir_len, etcd_services **ret_services,
                                 etcd_error *reterr)
{
    const etcd_get_result *plain = etcd_txn_result_get(result, 0);
    const etcd_get_result *below = etcd_txn_result_get(result, 1);
    etcd_services *services;
    size_t count;

    if (plain == NULL || below == NULL) {
        etcd_txn_result_free(result);
        return etcd__fail(reterr, ETCD_E_PROTOCOL, "the answer has not the two parts that were asked for");
    }
    count = etcd_get_result_count(plain) + etcd_get_result_count(below);
    services = etcd__malloc(sizeof(*services) + count * sizeof(services->list[0]));
    if (services == NULL) {
        etcd_txn_result_free(result);
        return etcd__fail_memory(reterr);
    }
    services->result = result;
    services->count = 0;
    add_entries(services, plain, dir_len);
    add_entries(services, below, dir_len);
    *ret_services = services;
    return ETCD_OK;
}

static etcd_status discover(etcd_client *client, const char *prefix, const char *service,
                            const struct etcd__limit *limit, etcd_services **ret_services, etcd_error *reterr)
{
    etcd_txn_result *result = NULL;
    char *dir = etcd__service_key(prefix, service, "");
    etcd_status st;

    if (dir == NULL)
        return etcd__fail_memory(reterr);
    st = read_entries(client, dir, limit, &result, reterr);
    if (st == ETCD_OK)
        st = make_services(result, strlen(dir), ret_services, reterr);
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

size_t etcd_services_count(const etcd_services *services)
{
    return services == NULL ? 0 : services->count;
}

const etcd_service *etcd_services_at(const etcd_services *services, size_t index)
{
    return services == NULL || index >= services->count ? NULL : &services->list[index];
}

int64_t etcd_services_revision(const etcd_services *services)
{
    return services == NULL ? 0 : etcd_txn_result_header(services->result)->revision;
}

void etcd_services_free(etcd_services *services)
{
    if (services == NULL)
        return;
    etcd_txn_result_free(services->result);
    etcd__free(services);
}
