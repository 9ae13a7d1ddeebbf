/* SPDX-License-Identifier: Apache-2.0 */
/* The effective options as text. Secrets appear as "set" or "not set", never themselves. */
#include "base/buf.h"
#include "base/str.h"
#include "client/client.h"

#include <inttypes.h>

static void add_time(struct etcd__buf *text, const char *name, int64_t ms)
{
    if (ms == INT64_MAX)
        (void)etcd__buf_printf(text, "%s: none\n", name);
    else
        (void)etcd__buf_printf(text, "%s: %" PRId64 " ms\n", name, ms);
}

static void add_optional(struct etcd__buf *text, const char *name, const char *value)
{
    (void)etcd__buf_printf(text, "%s: %s\n", name, value == NULL ? "none" : value);
}

static void add_namespace(struct etcd__buf *text, etcd_bytes space)
{
    char shown[256];

    add_optional(text, "namespace",
                 space.len == 0 ? NULL : etcd__escape(shown, sizeof(shown), space.data, space.len));
}

static void add_endpoints(struct etcd__buf *text, const struct etcd__client_config *config)
{
    (void)etcd__buf_printf(text, "endpoints: ");
    for (size_t i = 0; i < config->endpoints.count; i++)
        (void)etcd__buf_printf(text, "%s%s", i == 0 ? "" : ",", config->endpoints.list[i].text);
    (void)etcd__buf_printf(text, "%s\n", config->discovery_srv != NULL ? "by discovery_srv" : "");
    add_optional(text, "discovery_srv", config->discovery_srv);
    add_optional(text, "discovery_srv_name", config->discovery_srv_name);
}

static void add_tls(struct etcd__buf *text, const struct etcd__client_config *config)
{
    (void)etcd__buf_printf(text, "tls: %s\n", config->has_tls ? "on" : "as the endpoint's scheme says");
    if (!config->has_tls)
        return;
    add_optional(text, "tls.ca_file", config->ca_file);
    add_optional(text, "tls.cert_file", config->cert_file);
    add_optional(text, "tls.key_file", config->key_file);
    add_optional(text, "tls.server_name", config->server_name);
    (void)etcd__buf_printf(text, "tls.insecure_skip_verify: %s\n",
                           config->insecure_skip_verify ? "true" : "false");
}

static void describe(const struct etcd_client *client, struct etcd__buf *text)
{
    static const char *const preferences[] = {
        [ETCD_PREFER_NONE] = "none",
        [ETCD_PREFER_LEADER] = "leader",
        [ETCD_PREFER_NEAREST] = "nearest",
    };
    const struct etcd__client_config *config = &client->config;

    (void)etcd__buf_printf(text, "name: %s\n", config->name);
    add_endpoints(text, config);
    add_time(text, "dial_timeout", config->dial_timeout_ms);
    add_time(text, "timeout", config->timeout_ms);
    add_optional(text, "username", config->username);
    (void)etcd__buf_printf(text, "password: %s\n", config->username == NULL ? "not set" : "set");
    (void)etcd__buf_printf(text, "token: %s\n",
                           config->token_kind == ETCD_SECRET_KIND_NONE ? "not set" : "set");
    if (config->auto_sync_interval_ms == 0)
        (void)etcd__buf_printf(text, "auto_sync_interval: off\n");
    else
        add_time(text, "auto_sync_interval", config->auto_sync_interval_ms);
    (void)etcd__buf_printf(text, "max_send: %zu bytes\nmax_recv: %zu bytes\n", config->max_send_bytes,
                           config->max_recv_bytes);
    add_time(text, "keepalive_time", config->keepalive_time_ms);
    add_time(text, "keepalive_timeout", config->keepalive_timeout_ms);
    (void)etcd__buf_printf(text, "max_outstanding: %" PRIu32 "\n", config->max_outstanding);
    (void)etcd__buf_printf(text, "warn_watches: %" PRIu32 "\n", config->warn_watches);
    (void)etcd__buf_printf(text, "max_outstanding_bytes: %zu bytes\n", config->max_outstanding_bytes);
    (void)etcd__buf_printf(text, "prefer: %s\n", preferences[config->prefer]);
    (void)etcd__buf_printf(text, "require_leader: %s\n", config->require_leader ? "true" : "false");
    add_namespace(text, config->key_namespace);
    add_tls(text, config);
    (void)etcd__buf_printf(text, "drive: %s\n",
                           client->loop->drive == ETCD_DRIVE_THREAD ? "thread" : "caller");
}

size_t etcd_client_describe(const etcd_client *client, char *dst, size_t size)
{
    struct etcd__buf text;
    size_t len;

    etcd__buf_init(&text, 0);
    if (client != NULL)
        describe(client, &text);
    len = etcd__text_give(dst, size, etcd__buf_front(&text), etcd__buf_len(&text));
    etcd__buf_deinit(&text);
    return len;
}
