/* SPDX-License-Identifier: Apache-2.0 */
#include "client/endpoints.h"

#include "base/buf.h"
#include "base/str.h"
#include "client/client.h"
#include "client/options.h"

#include <string.h>

static size_t list_length(const char *const *list)
{
    size_t count = 0;

    while (list[count] != NULL)
        count++;
    return count;
}

etcd_status etcd__endpoints_parse(const char *const *list, struct etcd__endpoints *ret_endpoints,
                                  etcd_error *reterr)
{
    size_t count = list_length(list);

    if (count == 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "endpoints: the list is empty");
    ret_endpoints->list = etcd__calloc(count, sizeof(*ret_endpoints->list));
    if (ret_endpoints->list == NULL)
        return etcd__fail_memory(reterr);
    for (size_t i = 0; i < count; i++) {
        etcd_status st = etcd__endpoint_parse(list[i], &ret_endpoints->list[i], reterr);

        if (st != ETCD_OK) {
            etcd__error_prefix(reterr, "endpoints[%zu]", i);
            return st;
        }
        ret_endpoints->count++;
    }
    return ETCD_OK;
}

bool etcd__endpoint_is_local(const struct etcd__endpoint *endpoint)
{
    return endpoint->is_unix || strcmp(endpoint->host, "localhost") == 0 ||
           strcmp(endpoint->host, "::1") == 0 ||
           (endpoint->is_address && strncmp(endpoint->host, "127.", 4) == 0);
}

/* ---- taking a list over ---------------------------------------------------------------------------- */

/* NULL: out of memory. */
static char *text_of(const struct etcd__endpoints *endpoints)
{
    struct etcd__buf text;
    char *copy = NULL;
    bool ok = true;

    etcd__buf_init(&text, 0);
    for (size_t i = 0; i < endpoints->count && ok; i++)
        ok = etcd__buf_printf(&text, "%s%s", i == 0 ? "" : ",", endpoints->list[i].text);
    if (ok)
        copy = etcd__memdup(etcd__buf_front(&text), etcd__buf_len(&text));
    etcd__buf_deinit(&text);
    return copy;
}

static void warn(void *user, const struct etcd__endpoint *endpoint)
{
    struct etcd_client *client = user;

    if (client->warned_of_clear_text || etcd__config_uses_tls(&client->config, endpoint) ||
        etcd__endpoint_is_local(endpoint))
        return;
    client->warned_of_clear_text = true;
    etcd__log_endpoint(&client->log, ETCD_LOG_WARN, "auth", endpoint->text,
                       "client '%s' sends its credentials in clear to %s: use https://",
                       etcd__client_label(client), endpoint->text);
}

void etcd__client_warn_of_clear_text(struct etcd_client *client)
{
    client->sends_secrets = true;
    etcd__channel_each(client->channel, warn, client);
}

etcd_status etcd__client_use_endpoints(struct etcd_client *client, const struct etcd__endpoints *endpoints,
                                       etcd_error *reterr)
{
    char *text = text_of(endpoints);
    etcd_status st;

    if (text == NULL)
        return etcd__fail_memory(reterr);
    for (size_t i = 0; i < endpoints->count && client->sends_secrets; i++)
        warn(client, &endpoints->list[i]); /* before anything is sent there */
    st = etcd__channel_set_endpoints(client->channel, endpoints->list, endpoints->count, reterr);
    if (st == ETCD_OK) {
        char *old;

        (void)pthread_mutex_lock(&client->shared.mutex);
        old = client->shared.endpoints;
        client->shared.endpoints = text;
        (void)pthread_mutex_unlock(&client->shared.mutex);
        text = old;
    }
    etcd__free(text);
    return st;
}

/* ---- for the user ---------------------------------------------------------------------------------- */

struct replacement {
    struct etcd_client *client;
    struct etcd__endpoints endpoints;
    etcd_error *reterr;
    etcd_status status;
};

static void replace_in_engine(void *arg)
{
    struct replacement *replacement = arg;
    struct etcd_client *client = replacement->client;

    if (client->torn_down) {
        replacement->status = etcd__fail(replacement->reterr, ETCD_E_CLOSED, "client '%s' is closed",
                                         etcd__client_label(client));
        return;
    }
    replacement->status = etcd__client_use_endpoints(client, &replacement->endpoints, replacement->reterr);
    if (replacement->status == ETCD_OK) {
        etcd__discovery_stop(&client->discovery);
        etcd__channel_seek(client->channel, false, NULL);
    }
}

etcd_status etcd_client_set_endpoints(etcd_client *client, const char *const *endpoints, etcd_error *reterr)
{
    struct replacement replacement = {.client = client, .reterr = reterr};
    etcd_status st = etcd__client_check(client, reterr);

    if (st != ETCD_OK)
        return st;
    if (endpoints == NULL)
        st = etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "endpoints is NULL");
    else
        st = etcd__endpoints_parse(endpoints, &replacement.endpoints, reterr);
    if (st == ETCD_OK) {
        etcd__loop_run(client->loop, replace_in_engine, &replacement);
        st = replacement.status;
    }
    if (st != ETCD_OK && st != ETCD_E_NO_MEMORY && st != ETCD_E_CLOSED)
        etcd__error_prefix(reterr, "set_endpoints: client '%s'", etcd__client_label(client));
    etcd__endpoints_deinit(&replacement.endpoints);
    return st;
}

size_t etcd_client_endpoints(const etcd_client *client, char *dst, size_t size)
{
    struct etcd_client *own = (struct etcd_client *)(uintptr_t)client; /* for its mutex */
    size_t len;

    if (client == NULL || etcd__loop_usable(client->loop, NULL) != ETCD_OK)
        return etcd__text_give(dst, size, "", 0); /* in a forked child nobody would ever unlock it */
    (void)pthread_mutex_lock(&own->shared.mutex);
    len = etcd__text_give(dst, size, own->shared.endpoints, strlen(own->shared.endpoints));
    (void)pthread_mutex_unlock(&own->shared.mutex);
    return len;
}
