/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service with the factory injected: it chooses among the clients by name.
 *
 *     factory [--once]      --once ends the program after the demonstration
 */
#include <capp/etcd.h>

#include <stdio.h>
#include <string.h>

#define CONFIG_KEY "/etcdc-examples/factory/greeting"
#define SERVICES "/etcdc-examples/services/"

/* ---- the service -------------------------------------------------------------------------------------- */

typedef struct distributed_service {
    capp_etcd_factory *factory;
    etcd_registration *registration; /* kept alive from register_service() to stop */
} distributed_service;

CAPP_TYPE_DEFINE(distributed_service);

static capp_status save_config(distributed_service *self, const char *key, const char *value,
                               capp_error *reterr)
{
    etcd_client *config;
    etcd_error err;
    capp_status status = capp_etcd_factory_get(self->factory, "config", &config, reterr);

    if (status != CAPP_OK)
        return status;
    if (etcd_put(config, etcd_cstr(key), etcd_cstr(value), ETCD_PUT_OPTS(.timeout_ms = 5000), NULL, &err) !=
        ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    return CAPP_OK;
}

/*
 * The entry is renewed for as long as the registration lives, and made again if it is lost. The instance is
 * part of its key: a second instance of the service does not overwrite the first.
 */
static capp_status register_service(distributed_service *self, const char *name, const char *instance,
                                    const char *addr, capp_error *reterr)
{
    const etcd_register_opts *opts = ETCD_REGISTER_OPTS(.ttl_s = 10, .timeout_ms = 5000, .prefix = SERVICES);
    etcd_client *discovery;
    etcd_error err;
    capp_status status = capp_etcd_factory_get(self->factory, "discovery", &discovery, reterr);

    if (status != CAPP_OK)
        return status;
    if (etcd_register(discovery, name, instance, addr, opts, &self->registration, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    return CAPP_OK;
}

/* Takes the entry away, so that nobody is sent to an instance that is gone; without this the TTL would. */
static capp_status distributed_service_stop(void *object, int64_t limit_ms, capp_error *reterr)
{
    distributed_service *self = object;
    etcd_registration *registration = self->registration;
    etcd_error err;

    self->registration = NULL;
    if (etcd_registration_close(registration, limit_ms < 5000 ? limit_ms : 5000, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    return CAPP_OK;
}

static const capp_inject distributed_service_deps[] = {
    CAPP_INJECT(distributed_service, factory, capp_etcd_factory)};
static const capp_service distributed_service_def = CAPP_SERVICE(
    distributed_service, CAPP_INJECTS(distributed_service_deps), .stop = distributed_service_stop);

/* ---- the demonstration -------------------------------------------------------------------------------- */

static bool print_client(const char *name, etcd_client *client, void *user_data)
{
    char endpoints[256];

    (void)user_data;
    etcd_client_endpoints(client, endpoints, sizeof(endpoints));
    printf("client '%s': %s\n", name, endpoints);
    return true;
}

static capp_status save_and_remove(distributed_service *service, capp_error *reterr)
{
    etcd_client *config;
    etcd_error err;
    capp_status status = save_config(service, CONFIG_KEY, "hello", reterr);

    if (status == CAPP_OK)
        status = capp_etcd_factory_get(service->factory, "config", &config, reterr);
    if (status != CAPP_OK)
        return status;
    printf("saved %s with the client 'config'\n", CONFIG_KEY);
    if (etcd_delete(config, etcd_cstr(CONFIG_KEY), NULL, NULL, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    return CAPP_OK;
}

static capp_status demonstrate(capp_worker *worker, void *user_data, capp_error *reterr)
{
    const bool *once = user_data;
    distributed_service *service = capp_get(capp_worker_app(worker), distributed_service, reterr);
    etcd_client *unknown;
    capp_error error;

    if (service == NULL)
        return CAPP_E_NOT_FOUND;
    capp_etcd_factory_each(service->factory, print_client, NULL);
    if (capp_etcd_factory_get(service->factory, "cache", &unknown, &error) != CAPP_OK)
        printf("%s: %s\n", capp_status_name(error.status), error.message);
    capp_status status = save_and_remove(service, reterr);
    if (status == CAPP_OK)
        status = register_service(service, "greeter", "greeter-1", "10.0.0.7:8080", reterr);
    if (status != CAPP_OK)
        return status;
    etcd_bytes key = etcd_registration_key(service->registration);
    printf("registered %.*s with the client 'discovery'\n", (int)key.len, (const char *)key.data);
    if (*once)
        capp_stop(capp_worker_app(worker));
    return CAPP_OK;
}

static void clients(capp_etcd_builder *b, void *user)
{
    (void)user;
    capp_etcd_add_client(b, "config",
                         ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("etcd-config:2379", "etcd-config:2380"),
                                          .dial_timeout_ms = 10000, .auto_sync_interval_ms = 30000));
    capp_etcd_add_client(b, "discovery",
                         ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("etcd-discovery:2379"), .username = "admin",
                                          .password = ETCD_SECRET_ENV("ETCD_DISCOVERY_PASSWORD"),
                                          .dial_timeout_ms = 5000));
}

int main(int argc, char **argv)
{
    bool once = argc > 1 && strcmp(argv[1], "--once") == 0;
    capp_builder *app = capp_builder_new();

    setvbuf(stdout, NULL, _IOLBF, 0);
    capp_configure(app, capp_etcd(clients, NULL));
    capp_add_service(app, &distributed_service_def);
    capp_add_worker(app, "demonstration", demonstrate, &once);
    return capp_main(app);
}
