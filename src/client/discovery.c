/* SPDX-License-Identifier: Apache-2.0 */
#include "client/discovery.h"

#include "base/str.h"
#include "client/client.h"

#include <string.h>

enum {
    PAUSE_FIRST_MS = 100, /* between two look-ups; grows by 1.6, 20 % at random */
    PAUSE_MAX_MS = 5000,
};

static struct etcd__reactor *reactor_of(struct etcd__discovery *discovery)
{
    return etcd__client_reactor(discovery->client);
}

static bool is_pending(const struct etcd__discovery *discovery)
{
    for (size_t i = 0; i < ETCD__DISCOVERY_SERVICES; i++) {
        if (discovery->services[i].lookup != NULL)
            return true;
    }
    return false;
}

/* ---- what was found -------------------------------------------------------------------------------- */

/* All in one list, those with TLS first. ETCD_E_UNAVAILABLE when there are none, with both reasons. */
static etcd_status collect(struct etcd__discovery *discovery, struct etcd__endpoints *ret_endpoints,
                           etcd_error *reterr)
{
    struct etcd__discovered *a = &discovery->services[0], *b = &discovery->services[1];
    size_t count = a->endpoints.count + b->endpoints.count;

    if (count == 0)
        return etcd__fail(reterr, ETCD_E_UNAVAILABLE, "discovery of endpoints: %s: %s; %s: %s", a->service,
                          a->error, b->service, b->error);
    ret_endpoints->list = etcd__calloc(count, sizeof(*ret_endpoints->list));
    if (ret_endpoints->list == NULL)
        return etcd__fail_memory(reterr);
    for (size_t i = 0; i < ETCD__DISCOVERY_SERVICES; i++) {
        struct etcd__endpoints *from = &discovery->services[i].endpoints;

        for (size_t j = 0; j < from->count; j++)
            ret_endpoints->list[ret_endpoints->count++] = from->list[j];
        from->count = 0; /* they have moved */
    }
    return ETCD_OK;
}

static int64_t pause_ms(struct etcd__discovery *discovery)
{
    int64_t pause = PAUSE_FIRST_MS;

    for (unsigned i = 0; i < discovery->failures && pause < PAUSE_MAX_MS; i++)
        pause = pause * 8 / 5;
    discovery->failures++;
    if (pause > PAUSE_MAX_MS)
        pause = PAUSE_MAX_MS;
    return pause * (int64_t)(80 + etcd__reactor_random(reactor_of(discovery), 41)) / 100;
}

/* The list stays as it is. Without one there is nothing whose next failure would lead here again. */
static void not_found(struct etcd__discovery *discovery, const etcd_error *err)
{
    struct etcd_client *client = discovery->client;

    etcd__log(&client->log, discovery->failures == 1 ? ETCD_LOG_WARN : ETCD_LOG_DEBUG, "discovery",
              "client '%s': %s", etcd__client_label(client), err->message);
    if (etcd__channel_count(client->channel) > 0)
        return;
    etcd__client_note_connect(client, err);
    etcd__channel_seek(client->channel, false, err);
    etcd__timer_arm(reactor_of(discovery), &discovery->timer, discovery->next_ms);
}

static void finish(struct etcd__discovery *discovery)
{
    struct etcd_client *client = discovery->client;
    struct etcd__endpoints endpoints = {.list = NULL};
    etcd_error err;
    etcd_status st;

    discovery->running = false;
    etcd__timer_disarm(reactor_of(discovery), &discovery->timer);
    discovery->next_ms = reactor_of(discovery)->now_ms + pause_ms(discovery);
    st = collect(discovery, &endpoints, &err);
    if (st == ETCD_OK)
        st = etcd__client_use_endpoints(client, &endpoints, &err);
    etcd__endpoints_deinit(&endpoints);
    for (size_t i = 0; i < ETCD__DISCOVERY_SERVICES; i++)
        etcd__endpoints_deinit(&discovery->services[i].endpoints);
    if (st != ETCD_OK) {
        not_found(discovery, &err);
        return;
    }
    etcd__log(&client->log, ETCD_LOG_DEBUG, "discovery", "client '%s': %zu endpoints of %s",
              etcd__client_label(client), etcd__channel_count(client->channel), client->config.discovery_srv);
    etcd__channel_seek(client->channel, false, NULL);
}

/* ---- one service ----------------------------------------------------------------------------------- */

/* By priority; among equals as the name server gave them, which mixes them as it likes. */
static void sort(const struct etcd__services *services, const struct etcd__srv_record **ret_records)
{
    for (size_t i = 0; i < services->count; i++) {
        size_t at = i;

        while (at > 0 && ret_records[at - 1]->priority > services->list[i].priority) {
            ret_records[at] = ret_records[at - 1];
            at--;
        }
        ret_records[at] = &services->list[i];
    }
}

static void take(struct etcd__discovered *service, const struct etcd__services *services)
{
    const struct etcd__srv_record **records = etcd__calloc(services->count, sizeof(*records));

    service->endpoints.list = etcd__calloc(services->count, sizeof(*service->endpoints.list));
    if (records == NULL || service->endpoints.list == NULL) {
        etcd__free(records);
        (void)etcd__format(service->error, sizeof(service->error), "out of memory");
        return;
    }
    sort(services, records);
    for (size_t i = 0; i < services->count; i++) {
        char text[300];

        (void)etcd__format(text, sizeof(text), "%s://%s:%u", service->scheme, records[i]->target,
                           (unsigned)records[i]->port);
        /* What makes no sense is left out; the others serve. */
        if (etcd__endpoint_parse(text, &service->endpoints.list[service->endpoints.count], NULL) == ETCD_OK)
            service->endpoints.count++;
    }
    etcd__free(records);
    if (service->endpoints.count == 0)
        (void)etcd__format(service->error, sizeof(service->error), "no usable SRV record");
}

static void on_services(void *user, const struct etcd__services *services)
{
    struct etcd__discovered *service = user;
    struct etcd__discovery *discovery = service->discovery;

    service->lookup = NULL;
    service->error[0] = '\0';
    if (services->count > 0)
        take(service, services);
    else
        (void)etcd__format(service->error, sizeof(service->error), "%s", services->error);
    if (!is_pending(discovery))
        finish(discovery);
}

/* False: it failed at once. */
static bool look_up(struct etcd__discovered *service)
{
    struct etcd_client *client = service->discovery->client;
    etcd_error err;

    if (etcd__resolver_services(client->loop->resolver, service->service, on_services, service,
                                &service->lookup, &err) == ETCD_OK)
        return true;
    (void)etcd__format(service->error, sizeof(service->error), "%s", err.message);
    return false;
}

/* ---- when ------------------------------------------------------------------------------------------ */

static void run_begin(struct etcd__task *task)
{
    struct etcd__discovery *discovery = ETCD__CONTAINER(task, struct etcd__discovery, begin);
    bool any = false;

    discovery->running = true;
    for (size_t i = 0; i < ETCD__DISCOVERY_SERVICES; i++)
        any = look_up(&discovery->services[i]) || any;
    if (any)
        etcd__timer_arm(reactor_of(discovery), &discovery->timer,
                        reactor_of(discovery)->now_ms + discovery->client->config.dial_timeout_ms);
    else
        finish(discovery);
}

static void give_up(struct etcd__discovery *discovery)
{
    for (size_t i = 0; i < ETCD__DISCOVERY_SERVICES; i++) {
        struct etcd__discovered *service = &discovery->services[i];

        if (service->lookup == NULL)
            continue;
        etcd__lookup_cancel(service->lookup);
        service->lookup = NULL;
        (void)etcd__format(service->error, sizeof(service->error), "no answer in time");
    }
}

static void on_timer(struct etcd__timer *timer)
{
    struct etcd__discovery *discovery = ETCD__CONTAINER(timer, struct etcd__discovery, timer);

    if (discovery->running) {
        give_up(discovery);
        finish(discovery);
    } else {
        etcd__task_post(reactor_of(discovery), &discovery->begin);
    }
}

static void name_service(struct etcd__discovered *service, const char *kind, const char *scheme,
                         const struct etcd__client_config *config)
{
    const char *name = config->discovery_srv_name;

    service->scheme = scheme;
    (void)etcd__format(service->service, sizeof(service->service), "_%s%s%s._tcp.%s", kind,
                       name == NULL ? "" : "-", name == NULL ? "" : name, config->discovery_srv);
}

void etcd__discovery_init(struct etcd__discovery *discovery, struct etcd_client *client)
{
    *discovery = (struct etcd__discovery){.begin.run = run_begin, .timer.on_expire = on_timer};
    if (client->config.discovery_srv == NULL)
        return;
    discovery->client = client;
    for (size_t i = 0; i < ETCD__DISCOVERY_SERVICES; i++)
        discovery->services[i].discovery = discovery;
    name_service(&discovery->services[0], "etcd-client-ssl", "https", &client->config);
    name_service(&discovery->services[1], "etcd-client", "http", &client->config);
    etcd__channel_seek(client->channel, true, NULL);
}

void etcd__discovery_stop(struct etcd__discovery *discovery)
{
    if (discovery->client == NULL)
        return;
    give_up(discovery);
    for (size_t i = 0; i < ETCD__DISCOVERY_SERVICES; i++)
        etcd__endpoints_deinit(&discovery->services[i].endpoints);
    etcd__timer_disarm(reactor_of(discovery), &discovery->timer);
    etcd__task_cancel(&discovery->begin);
    discovery->client = NULL;
}

void etcd__discovery_wanted(struct etcd__discovery *discovery)
{
    if (discovery->client == NULL || discovery->running || etcd__timer_armed(&discovery->timer) ||
        reactor_of(discovery)->now_ms < discovery->next_ms)
        return;
    etcd__task_post(reactor_of(discovery), &discovery->begin);
}

void etcd__discovery_settled(struct etcd__discovery *discovery)
{
    discovery->failures = 0;
}
