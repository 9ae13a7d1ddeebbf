/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Service registration and discovery, over a client that logs in.
 *
 *     service_discovery [--once]      --once ends the program after the demonstration
 */
#include <capp/etcd.h>

#include <stdio.h>
#include <string.h>

#define SERVICES "/etcdc-examples/services/"

/* ---- the service -------------------------------------------------------------------------------------- */

typedef struct service_discovery {
    etcd_client *client;
} service_discovery;

CAPP_TYPE_DEFINE(service_discovery);

static const capp_inject service_discovery_deps[] = {
    CAPP_INJECT_NAMED(service_discovery, client, etcd_client, "discovery")};
static const capp_service service_discovery_def =
    CAPP_SERVICE(service_discovery, CAPP_INJECTS(service_discovery_deps), .lifetime = CAPP_SINGLETON);

static void on_event(etcd_registration *registration, etcd_registration_event event, const etcd_error *err,
                     void *user_data)
{
    static const char *const names[] = {
        [ETCD_REGISTRATION_LOST] = "lost, trying again",
        [ETCD_REGISTRATION_RESTORED] = "restored",
        [ETCD_REGISTRATION_ENDED] = "ended",
    };
    etcd_bytes key = etcd_registration_key(registration);

    (void)user_data;
    printf("%.*s: %s%s%s\n", (int)key.len, (const char *)key.data, names[event], err == NULL ? "" : ": ",
           err == NULL ? "" : err->message);
}

/* Kept alive, and made again if it is lost, until it is closed or the application ends. */
static capp_status register_instance(service_discovery *self, const char *service, const char *instance,
                                     const char *address, int64_t ttl_s, etcd_registration **ret_registration,
                                     capp_error *reterr)
{
    etcd_error err;

    if (etcd_register(
            self->client, service, instance, address,
            ETCD_REGISTER_OPTS(.ttl_s = ttl_s, .timeout_ms = 5000, .prefix = SERVICES, .on_event = on_event),
            ret_registration, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    printf("registered %s/%s at %s\n", service, instance, address);
    return CAPP_OK;
}

/* Exactly this service: "web" is not "web2". None is no error. To be freed with etcd_services_free(). */
static capp_status discover(service_discovery *self, const char *service, etcd_services **ret_services,
                            capp_error *reterr)
{
    etcd_error err;

    if (etcd_discover(self->client, service, ETCD_DISCOVER_OPTS(.timeout_ms = 5000, .prefix = SERVICES),
                      ret_services, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    return CAPP_OK;
}

/* ---- the demonstration -------------------------------------------------------------------------------- */

static capp_status expect(service_discovery *discovery, const char *service, size_t count, capp_error *reterr)
{
    etcd_services *services = NULL;
    capp_status status = discover(discovery, service, &services, reterr);

    if (status != CAPP_OK)
        return status;
    printf("%s: %zu found\n", service, etcd_services_count(services));
    for (size_t i = 0; i < etcd_services_count(services); i++) {
        const etcd_service *one = etcd_services_at(services, i);

        printf("  %s at %s\n", (const char *)one->instance.data, (const char *)one->address.data);
    }
    if (etcd_services_count(services) != count)
        status = capp_fail(reterr, CAPP_E_INTERNAL, "%s: there should be %zu", service, count);
    etcd_services_free(services);
    return status;
}

struct registrations {
    etcd_registration *web_1, *web_2, *web2_1;
};

static capp_status run(service_discovery *discovery, struct registrations *all, capp_error *reterr)
{
    etcd_error err;
    capp_status status = register_instance(discovery, "web", "web-1", "10.0.0.1:80", 10, &all->web_1, reterr);

    if (status == CAPP_OK)
        status = register_instance(discovery, "web", "web-2", "10.0.0.2:80", 10, &all->web_2, reterr);
    if (status == CAPP_OK)
        status = register_instance(discovery, "web2", "web2-1", "10.0.0.9:80", 10, &all->web2_1, reterr);
    if (status == CAPP_OK)
        status = expect(discovery, "web", 2, reterr);
    if (status != CAPP_OK)
        return status;
    etcd_registration *leaving = all->web_1;
    all->web_1 = NULL;
    if (etcd_registration_close(leaving, 5000, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    printf("web/web-1 has left\n");
    status = expect(discovery, "web", 1, reterr);
    return status == CAPP_OK ? expect(discovery, "nobody", 0, reterr) : status;
}

static capp_status demonstrate(capp_worker *worker, void *user_data, capp_error *reterr)
{
    const bool *once = user_data;
    struct registrations all = {NULL, NULL, NULL};
    service_discovery *discovery = capp_get(capp_worker_app(worker), service_discovery, reterr);

    if (discovery == NULL)
        return CAPP_E_NOT_FOUND;
    capp_status status = run(discovery, &all, reterr);
    if (status == CAPP_OK && *once)
        capp_stop(capp_worker_app(worker));
    if (status == CAPP_OK)
        capp_worker_wait(worker,
                         INT64_MAX); /* until the application stops: the instances are there as long */
    etcd_registration_close(all.web_1, 5000, NULL);
    etcd_registration_close(all.web_2, 5000, NULL);
    etcd_registration_close(all.web2_1, 5000, NULL);
    return status;
}

static void clients(capp_etcd_builder *b, void *user)
{
    (void)user;
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
    capp_add_service(app, &service_discovery_def);
    capp_add_worker(app, "demonstration", demonstrate, &once);
    return capp_main(app);
}
