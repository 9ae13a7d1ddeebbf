/* SPDX-License-Identifier: Apache-2.0 */
#include "client/options.h"

#include "base/str.h"
#include "client/endpoints.h"
#include "client/secret_source.h"

#include <inttypes.h>
#include <string.h>

enum {
    DEFAULT_DIAL_TIMEOUT_MS = 5000,
    DEFAULT_TIMEOUT_MS = 5000,
    DEFAULT_KEEPALIVE_TIME_MS = 10000, /* also the least: etcd punishes pings below 5 s */
    DEFAULT_KEEPALIVE_TIMEOUT_MS = 5000,
    DEFAULT_MAX_SEND_BYTES = 2 * 1024 * 1024,
    DEFAULT_WARN_WATCHES = 10000,
    DEFAULT_MAX_OUTSTANDING = 100000,
    DEFAULT_MAX_OUTSTANDING_BYTES = 256 * 1024 * 1024,
    NAME_MAX_LEN = 255,
    LABEL_MAX_LEN = 63,   /* of a domain name */
    DOMAIN_MAX_LEN = 200, /* leaves room for the service in front */
};

static const size_t default_max_recv_bytes = INT32_MAX;

/* ---- strings and numbers --------------------------------------------------------------------------- */

static etcd_status copy_text(const char *text, char **ret_copy, etcd_error *reterr)
{
    if (text == NULL)
        return ETCD_OK;
    *ret_copy = etcd__strdup(text);
    return *ret_copy == NULL ? etcd__fail_memory(reterr) : ETCD_OK;
}

/* A time in milliseconds: 0 is the default. */
static etcd_status take_time(const char *name, int64_t value, int64_t by_default, int64_t *ret,
                             etcd_error *reterr)
{
    if (value < 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s is %" PRId64 ": it must be positive", name,
                          value);
    *ret = value == 0 ? by_default : value;
    return ETCD_OK;
}

static etcd_status take_times(const etcd_client_opts *opts, struct etcd__client_config *config,
                              etcd_error *reterr)
{
    const struct {
        const char *name;
        int64_t value, by_default;
        int64_t *ret;
    } times[] = {
        {"dial_timeout_ms", opts->dial_timeout_ms, DEFAULT_DIAL_TIMEOUT_MS, &config->dial_timeout_ms},
        {"timeout_ms", opts->timeout_ms, DEFAULT_TIMEOUT_MS, &config->timeout_ms},
        {"auto_sync_interval_ms", opts->auto_sync_interval_ms, 0, &config->auto_sync_interval_ms},
        {"keepalive_time_ms", opts->keepalive_time_ms, DEFAULT_KEEPALIVE_TIME_MS, &config->keepalive_time_ms},
        {"keepalive_timeout_ms", opts->keepalive_timeout_ms, DEFAULT_KEEPALIVE_TIMEOUT_MS,
         &config->keepalive_timeout_ms},
    };
    etcd_status st = ETCD_OK;

    for (size_t i = 0; i < ETCD__COUNT(times) && st == ETCD_OK; i++)
        st = take_time(times[i].name, times[i].value, times[i].by_default, times[i].ret, reterr);
    if (st == ETCD_OK && config->keepalive_time_ms < DEFAULT_KEEPALIVE_TIME_MS)
        st = etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                        "keepalive_time_ms is %" PRId64
                        ": the least is %d, servers cut off whoever pings more often",
                        config->keepalive_time_ms, DEFAULT_KEEPALIVE_TIME_MS);
    return st;
}

static etcd_status take_sizes(const etcd_client_opts *opts, struct etcd__client_config *config,
                              etcd_error *reterr)
{
    config->max_send_bytes = opts->max_send_bytes == 0 ? DEFAULT_MAX_SEND_BYTES : opts->max_send_bytes;
    config->max_recv_bytes = opts->max_recv_bytes == 0 ? default_max_recv_bytes : opts->max_recv_bytes;
    config->max_outstanding = opts->max_outstanding == 0 ? DEFAULT_MAX_OUTSTANDING : opts->max_outstanding;
    config->warn_watches = opts->warn_watches == 0 ? DEFAULT_WARN_WATCHES : opts->warn_watches;
    config->max_outstanding_bytes = opts->max_outstanding_bytes;
    if (opts->max_outstanding_bytes == 0) /* never below what one call may need */
        config->max_outstanding_bytes = config->max_send_bytes > DEFAULT_MAX_OUTSTANDING_BYTES
                                            ? config->max_send_bytes
                                            : DEFAULT_MAX_OUTSTANDING_BYTES;
    if (opts->max_send_bytes > UINT32_MAX || opts->max_recv_bytes > UINT32_MAX)
        return etcd__fail(
            reterr, ETCD_E_INVALID_ARGUMENT, "max_%s_bytes is %zu: gRPC messages end at %" PRIu32 " bytes",
            opts->max_send_bytes > UINT32_MAX ? "send" : "recv",
            opts->max_send_bytes > UINT32_MAX ? opts->max_send_bytes : opts->max_recv_bytes, UINT32_MAX);
    if (opts->max_send_bytes != 0 && opts->max_recv_bytes != 0 && opts->max_send_bytes > opts->max_recv_bytes)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                          "max_send_bytes is %zu, above max_recv_bytes, which is %zu", opts->max_send_bytes,
                          opts->max_recv_bytes);
    if (config->max_outstanding_bytes < config->max_send_bytes)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                          "max_outstanding_bytes is %zu, below max_send_bytes, which is %zu: there would be "
                          "requests that never fit",
                          config->max_outstanding_bytes, config->max_send_bytes);
    return ETCD_OK;
}

static etcd_status take_name(const etcd_client_opts *opts, struct etcd__client_config *config,
                             etcd_error *reterr)
{
    const char *name = opts->name == NULL ? "etcd" : opts->name;

    if (name[0] == '\0' || strlen(name) > NAME_MAX_LEN || !etcd__utf8_valid(name, strlen(name)))
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "name: 1 to %d bytes of UTF-8 are needed",
                          NAME_MAX_LEN);
    return copy_text(name, &config->name, reterr);
}

/* ---- endpoints ------------------------------------------------------------------------------------- */

static etcd_status take_endpoints(const etcd_client_opts *opts, struct etcd__client_config *config,
                                  etcd_error *reterr)
{
    static const char *const by_default[] = {"localhost:2379", NULL};

    if (opts->discovery_srv != NULL && opts->endpoints != NULL)
        return etcd__fail(
            reterr, ETCD_E_INVALID_ARGUMENT,
            "discovery_srv is set together with endpoints: the names come from one or the other");
    if (opts->discovery_srv != NULL)
        return ETCD_OK;
    return etcd__endpoints_parse(opts->endpoints == NULL ? by_default : opts->endpoints, &config->endpoints,
                                 reterr);
}

/* Letters, digits, hyphens and underscores: what hosts and services are made of. */
static bool is_label(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool letter = (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z');

        if (!letter && !(text[i] >= '0' && text[i] <= '9') && text[i] != '-' && text[i] != '_')
            return false;
    }
    return len > 0 && len <= LABEL_MAX_LEN;
}

static bool is_domain(const char *text)
{
    size_t len = strlen(text);

    if (len > 0 && text[len - 1] == '.')
        len--;
    for (const char *label = text; label <= text + len;) {
        const char *dot = memchr(label, '.', (size_t)(text + len - label));
        const char *end = dot == NULL ? text + len : dot;

        if (!is_label(label, (size_t)(end - label)))
            return false;
        label = end + 1;
    }
    return len <= DOMAIN_MAX_LEN;
}

static etcd_status take_discovery(const etcd_client_opts *opts, struct etcd__client_config *config,
                                  etcd_error *reterr)
{
    const char *name = opts->discovery_srv_name;
    size_t longest = LABEL_MAX_LEN - (sizeof("_etcd-client-ssl-") - 1);
    char shown[64];
    etcd_status st;

    if (name != NULL && opts->discovery_srv == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "discovery_srv_name is set without discovery_srv");
    if (opts->discovery_srv != NULL && !is_domain(opts->discovery_srv))
        return etcd__fail(
            reterr, ETCD_E_INVALID_ARGUMENT, "discovery_srv is '%s': a domain name is needed",
            etcd__escape(shown, sizeof(shown), opts->discovery_srv, strlen(opts->discovery_srv)));
    if (name != NULL && (!is_label(name, strlen(name)) || strlen(name) > longest))
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                          "discovery_srv_name is '%s': 1 to %zu letters, digits and hyphens are needed",
                          etcd__escape(shown, sizeof(shown), name, strlen(name)), longest);
    st = copy_text(opts->discovery_srv, &config->discovery_srv, reterr);
    return st == ETCD_OK ? copy_text(name, &config->discovery_srv_name, reterr) : st;
}

static etcd_status take_choices(const etcd_client_opts *opts, struct etcd__client_config *config,
                                etcd_error *reterr)
{
    config->prefer = opts->prefer;
    config->require_leader = opts->require_leader;
    config->on_state = opts->on_state;
    config->state_user_data = opts->state_user_data;
    if ((unsigned)opts->prefer > ETCD_PREFER_NEAREST)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "prefer is %d", (int)opts->prefer);
    return ETCD_OK;
}

static etcd_status take_namespace(const etcd_client_opts *opts, struct etcd__client_config *config,
                                  etcd_error *reterr)
{
    etcd_bytes space = opts->key_namespace;

    if (space.len == 0)
        return ETCD_OK;
    if (space.data == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "key_namespace has %zu bytes but no data",
                          space.len);
    config->key_namespace.data = etcd__memdup(space.data, space.len);
    if (config->key_namespace.data == NULL)
        return etcd__fail_memory(reterr);
    config->key_namespace.len = space.len;
    return ETCD_OK;
}

bool etcd__config_uses_tls(const struct etcd__client_config *config, const struct etcd__endpoint *endpoint)
{
    return endpoint->tls == ETCD__TLS_ALWAYS || (endpoint->tls == ETCD__TLS_IF_CONFIGURED && config->has_tls);
}

/* ---- TLS ------------------------------------------------------------------------------------------- */

static etcd_status take_tls(const etcd_client_opts *opts, struct etcd__client_config *config,
                            etcd_error *reterr)
{
    etcd_tls_opts own = ETCD_TLS_OPTS_INIT;
    etcd_status st = etcd__opts_import(&own, sizeof(own), opts->tls, "tls", reterr);

    if (st != ETCD_OK || opts->tls == NULL)
        return st;
    config->has_tls = true;
    config->insecure_skip_verify = own.insecure_skip_verify;
    if ((own.cert_file == NULL) != (own.key_file == NULL))
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "tls: %s is set without %s",
                          own.cert_file != NULL ? "cert_file" : "key_file",
                          own.cert_file != NULL ? "key_file" : "cert_file");
    st = copy_text(own.ca_file, &config->ca_file, reterr);
    if (st == ETCD_OK)
        st = copy_text(own.cert_file, &config->cert_file, reterr);
    if (st == ETCD_OK)
        st = copy_text(own.key_file, &config->key_file, reterr);
    if (st == ETCD_OK)
        st = copy_text(own.server_name, &config->server_name, reterr);
    return st;
}

/* ---- credentials ----------------------------------------------------------------------------------- */

etcd_status etcd__config_password(const struct etcd__client_config *config, struct etcd__secret *ret_password,
                                  etcd_error *reterr)
{
    return etcd__secret_load("password", etcd_secret_of(config->password_kind, config->password.data),
                             ret_password, reterr);
}

/* A header field carries it: JWTs are letters, digits and a few signs. */
static bool is_printable(const struct etcd__secret *secret)
{
    for (size_t i = 0; i < secret->len; i++) {
        if (secret->data[i] <= ' ' || secret->data[i] > '~')
            return false;
    }
    return true;
}

etcd_status etcd__config_token(const struct etcd__client_config *config, struct etcd__secret *ret_token,
                               etcd_error *reterr)
{
    etcd_status st = etcd__secret_load("token", etcd_secret_of(config->token_kind, config->token.data),
                                       ret_token, reterr);

    if (st != ETCD_OK || is_printable(ret_token))
        return st;
    etcd__secret_clear(ret_token);
    return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                      "token: it has a character that no token can have (a space or a line break, say)");
}

static etcd_status take_token(const etcd_client_opts *opts, struct etcd__client_config *config,
                              etcd_error *reterr)
{
    struct etcd__secret probe = {0};
    etcd_status st;

    if (opts->token.kind == ETCD_SECRET_KIND_NONE)
        return ETCD_OK;
    if (config->username != NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                          "token is set together with username and password: only one of them can be");
    st = etcd__secret_load("token", opts->token, &probe, reterr);
    etcd__secret_clear(&probe);
    if (st != ETCD_OK)
        return st;
    config->token_kind = opts->token.kind;
    if (!etcd__secret_set(&config->token, opts->token.ref, strlen(opts->token.ref)))
        return etcd__fail_memory(reterr);
    st = etcd__config_token(config, &probe, reterr);
    etcd__secret_clear(&probe);
    return st;
}

static etcd_status take_credentials(const etcd_client_opts *opts, struct etcd__client_config *config,
                                    etcd_error *reterr)
{
    bool user = opts->username != NULL && opts->username[0] != '\0';
    bool password = opts->password.kind != ETCD_SECRET_KIND_NONE;
    struct etcd__secret probe = {0};
    etcd_status st;

    if (user != password)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s is set without %s",
                          user ? "username" : "password", user ? "password" : "username");
    if (!user)
        return ETCD_OK;
    st = etcd__secret_load("password", opts->password, &probe, reterr);
    etcd__secret_clear(&probe);
    if (st == ETCD_OK)
        st = copy_text(opts->username, &config->username, reterr);
    if (st != ETCD_OK)
        return st;
    config->password_kind = opts->password.kind;
    if (!etcd__secret_set(&config->password, opts->password.ref, strlen(opts->password.ref)))
        return etcd__fail_memory(reterr);
    return ETCD_OK;
}

/* ---- all of it ------------------------------------------------------------------------------------- */

static etcd_status take_all(const etcd_client_opts *opts, struct etcd__client_config *config,
                            etcd_error *reterr)
{
    static etcd_status (*const parts[])(const etcd_client_opts *, struct etcd__client_config *,
                                        etcd_error *) = {
        take_name, take_times,       take_sizes, take_endpoints, take_discovery,
        take_tls,  take_credentials, take_token, take_choices,   take_namespace,
    };
    etcd_status st = ETCD_OK;

    for (size_t i = 0; i < ETCD__COUNT(parts) && st == ETCD_OK; i++)
        st = parts[i](opts, config, reterr);
    return st;
}

etcd_status etcd__config_make(const etcd_client_opts *opts, struct etcd__client_config *config,
                              etcd_error *reterr)
{
    etcd_status st = take_all(opts, config, reterr);

    if (st != ETCD_OK && st != ETCD_E_NO_MEMORY)
        etcd__error_prefix(reterr, "client '%s'", config->name == NULL ? "" : config->name);
    return st;
}

void etcd__config_deinit(struct etcd__client_config *config)
{
    etcd__endpoints_deinit(&config->endpoints);
    etcd__free(config->discovery_srv);
    etcd__free(config->discovery_srv_name);
    etcd__free(config->name);
    etcd__free(config->username);
    etcd__secret_clear(&config->password);
    etcd__secret_clear(&config->token);
    etcd__free(config->ca_file);
    etcd__free(config->cert_file);
    etcd__free(config->key_file);
    etcd__free(config->server_name);
    etcd__free((void *)(uintptr_t)config->key_namespace.data);
}
