/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

#include <string.h>

#define SECTION "etcd.clients"

/* What the table below fills. The kinds are the host's; the client has its own for some. */
struct values {
    const char *const *endpoints;
    const char *username, *discovery_srv, *discovery_srv_name;
    const char *ca_file, *cert_file, *key_file, *server_name;
    const char *key_namespace; /* NULL: the configuration does not say */
    capp_secret password, token;
    int64_t dial_timeout_ms, timeout_ms, auto_sync_ms, keepalive_time_ms, keepalive_timeout_ms;
    size_t max_send, max_recv;
    int start, health, prefer;
    bool skip_verify, require_leader;
};

static const capp_type values_type = {"etcd client"};

static const capp_choice starts[] = {
    {"eager", CAPP_ETCD_EAGER, 0}, {"required", CAPP_ETCD_REQUIRED, 0}, {"lazy", CAPP_ETCD_LAZY, 0}};
static const capp_choice healths[] = {{"down", CAPP_ETCD_HEALTH_DOWN, 0},
                                      {"degraded", CAPP_ETCD_HEALTH_DEGRADED, 0}};
static const capp_choice preferences[] = {
    {"none", ETCD_PREFER_NONE, 0}, {"leader", ETCD_PREFER_LEADER, 0}, {"nearest", ETCD_PREFER_NEAREST, 0}};

/* Names are those of the specification's option table, and of Go's client configuration files. */
static const capp_option fields[] = {
    CAPP_TEXTS(struct values, endpoints, "endpoints", .fallback = "localhost:2379",
               .help = "The members: host:port, https://host:port, unix:path."),
    CAPP_DURATION(struct values, dial_timeout_ms, "dial_timeout", .fallback = "5s",
                  .help = "One attempt to connect: names, TCP, TLS, HTTP/2 and login."),
    CAPP_DURATION(struct values, timeout_ms, "request_timeout", .fallback = "5s",
                  .help = "Every call that sets no limit of its own."),
    CAPP_TEXT(struct values, username, "username", .help = "With the password, or neither."),
    CAPP_SECRET(struct values, password, "password", .help = "Read again at each login."),
    CAPP_SECRET(struct values, token, "token",
                .help = "A token that was issued elsewhere, instead of user and password."),
    CAPP_DURATION(struct values, auto_sync_ms, "auto_sync_interval", .fallback = "0",
                  .help = "How often the endpoints are replaced by what the members advertise; 0: never."),
    CAPP_SIZE(struct values, max_send, "max_call_send_msg_size", .fallback = "2MiB",
              .help = "The largest request."),
    CAPP_SIZE(struct values, max_recv, "max_call_recv_msg_size", .fallback = "2147483647",
              .help = "The largest answer."),
    CAPP_DURATION(struct values, keepalive_time_ms, "dial_keep_alive_time", .fallback = "10s",
                  .help = "A ping so often while something is open; at least 10s."),
    CAPP_DURATION(struct values, keepalive_timeout_ms, "dial_keep_alive_timeout", .fallback = "5s",
                  .help = "How long an unanswered ping is borne."),
    CAPP_TEXT(struct values, ca_file, "trusted_ca_file", .help = "Whom to trust; else the system's roots."),
    CAPP_TEXT(struct values, cert_file, "cert_file", .help = "The client's certificate, with key_file."),
    CAPP_TEXT(struct values, key_file, "key_file", .help = "Its private key."),
    CAPP_TEXT(struct values, server_name, "server_name", .help = "Verified instead of the endpoint's host."),
    CAPP_BOOL(struct values, skip_verify, "insecure_skip_tls_verify", .fallback = "false",
              .help = "Do not verify servers. For experiments only."),
    CAPP_CHOICE(
        struct values, start, starts, "start", .fallback = "eager",
        .help = "eager: connect, warn when no server is reached; required: that is an error; lazy: connect "
                "with the first call."),
    CAPP_CHOICE(struct values, health, healths, "health", .fallback = "down",
                .help = "What the application is without its connection: down, not ready; degraded, ready."),
    CAPP_CHOICE(struct values, prefer, preferences, "prefer", .fallback = "none",
                .help = "Which of several members a call goes to."),
    CAPP_TEXT(struct values, key_namespace, "namespace",
              .help = "Put before every key that the client names, and taken off those that it is shown."),
    CAPP_BOOL(struct values, require_leader, "require_leader", .fallback = "false",
              .help = "Fail at once while no member has a leader."),
    CAPP_TEXT(struct values, discovery_srv, "discovery_srv",
              .help = "A domain whose SRV records name the endpoints, instead of them."),
    CAPP_TEXT(struct values, discovery_srv_name, "discovery_srv_name",
              .help = "Added to the service's name."),
};

#define BY_SCHEME "write https:// or http:// in front of the endpoints"
#define NO_RETRIES "what may be repeated is repeated until request_timeout"

/* Keys of Go's client, of its two kinds of files, of etcdctl, and of the client's own options. */
static const capp_other_key other_keys[] = {
    {"ca_file", "write trusted_ca_file"},
    {"cacert", "write trusted_ca_file"},
    {"cert", "write cert_file"},
    {"key", "write key_file"},
    {"tls", "write trusted_ca_file, cert_file, key_file, server_name, insecure_skip_tls_verify"},
    {"secure.cacert", "write trusted_ca_file, not below secure"},
    {"secure.cert", "write cert_file, not below secure"},
    {"secure.key", "write key_file, not below secure"},
    {"secure.server_name", "write server_name, not below secure"},
    {"secure.insecure_skip_tls_verify", "write insecure_skip_tls_verify, not below secure"},
    {"secure.insecure_transport", BY_SCHEME},
    {"insecure_transport", BY_SCHEME},
    {"insecure_skip_verify", "write insecure_skip_tls_verify"},
    {"auth.username", "write username, not below auth"},
    {"auth.password", "write password, not below auth"},
    {"auth.token", "write token, not below auth"},
    {"user", "write username and password"},
    {"name", "the name is the key above"},
    {"timeout", "write request_timeout"},
    {"timeout_ms", "write request_timeout"},
    {"command_timeout", "write request_timeout"},
    {"keepalive_time", "write dial_keep_alive_time"},
    {"keepalive_timeout", "write dial_keep_alive_timeout"},
    {"max_request_bytes", "write max_call_send_msg_size"},
    {"max_send_bytes", "write max_call_send_msg_size"},
    {"max_recv_bytes", "write max_call_recv_msg_size"},
    {"maxcallsendmsgsize", "write max_call_send_msg_size"},
    {"maxcallrecvmsgsize", "write max_call_recv_msg_size"},
    {"key_namespace", "write namespace"},
    {"prefix", "write namespace"},
    {"permit_without_stream", "pings are sent only while something is open"},
    {"reject_old_cluster", "a program that needs a version asks etcd_client_server_version()"},
    {"max_unary_retries", NO_RETRIES},
    {"backoff_wait_between", NO_RETRIES},
    {"backoff_jitter_fraction", NO_RETRIES},
};

static const capp_options table = {
    .size = sizeof(capp_options),
    .type = &values_type,
    .object_size = sizeof(struct values),
    .section = SECTION ".*",
    CAPP_FIELDS(fields),
    .help = "Clients of etcd, by name",
    .other_key = other_keys,
    .other_count = ETCD__COUNT(other_keys),
};

/* Where the client's own messages call an option otherwise. */
static const struct {
    const char *option, *key;
} other_names[] = {
    {"max_send_bytes", "max_call_send_msg_size"},
    {"max_recv_bytes", "max_call_recv_msg_size"},
    {"keepalive_time_ms", "dial_keep_alive_time"},
    {"keepalive_timeout_ms", "dial_keep_alive_timeout"},
    {"auto_sync_interval_ms", "auto_sync_interval"},
    {"dial_timeout_ms", "dial_timeout"},
    {"timeout_ms", "request_timeout"},
    {"ca_file", "trusted_ca_file"},
    {"key_namespace", "namespace"},
};

/* ---- there and back -------------------------------------------------------------------------------- */

static capp_secret host_secret(etcd_secret secret)
{
    return (capp_secret){.ref = secret.ref, .kind = (capp_secret_kind)secret.kind};
}

static etcd_secret client_secret(capp_secret secret)
{
    return etcd_secret_of((etcd_secret_kind)secret.kind, secret.ref);
}

_Static_assert((int)CAPP_SECRET_TEXT == (int)ETCD_SECRET_KIND_TEXT &&
                   (int)CAPP_SECRET_ENV == (int)ETCD_SECRET_KIND_ENV &&
                   (int)CAPP_SECRET_FILE == (int)ETCD_SECRET_KIND_FILE,
               "the kinds are the same");

static void to_values(const struct capp__etcd_settings *settings, struct values *values)
{
    const etcd_client_opts *opts = &settings->opts;

    *values = (struct values){
        .endpoints = opts->endpoints,
        .username = opts->username,
        .discovery_srv = opts->discovery_srv,
        .discovery_srv_name = opts->discovery_srv_name,
        .ca_file = settings->tls.ca_file,
        .cert_file = settings->tls.cert_file,
        .key_file = settings->tls.key_file,
        .server_name = settings->tls.server_name,
        .password = host_secret(opts->password),
        .token = host_secret(opts->token),
        .dial_timeout_ms = opts->dial_timeout_ms,
        .timeout_ms = opts->timeout_ms,
        .auto_sync_ms = opts->auto_sync_interval_ms,
        .keepalive_time_ms = opts->keepalive_time_ms,
        .keepalive_timeout_ms = opts->keepalive_timeout_ms,
        .max_send = opts->max_send_bytes,
        .max_recv = opts->max_recv_bytes,
        .start = (int)settings->client_opts.start,
        .health = (int)settings->client_opts.health,
        .prefer = (int)opts->prefer,
        .skip_verify = settings->tls.insecure_skip_verify,
        .require_leader = opts->require_leader,
    };
}

static void tls_from_values(const struct values *values, struct capp__etcd_settings *settings)
{
    settings->tls.ca_file = values->ca_file;
    settings->tls.cert_file = values->cert_file;
    settings->tls.key_file = values->key_file;
    settings->tls.server_name = values->server_name;
    settings->tls.insecure_skip_verify = values->skip_verify;
    if (settings->opts.tls != NULL || values->ca_file != NULL || values->cert_file != NULL ||
        values->key_file != NULL || values->server_name != NULL || values->skip_verify)
        settings->opts.tls = &settings->tls;
}

static void from_values(const struct values *values, struct capp__etcd_settings *settings)
{
    etcd_client_opts *opts = &settings->opts;

    opts->endpoints = values->endpoints;
    opts->username = values->username;
    opts->discovery_srv = values->discovery_srv;
    opts->discovery_srv_name = values->discovery_srv_name;
    opts->password = client_secret(values->password);
    opts->token = client_secret(values->token);
    opts->dial_timeout_ms = values->dial_timeout_ms;
    opts->timeout_ms = values->timeout_ms;
    opts->auto_sync_interval_ms = values->auto_sync_ms;
    opts->keepalive_time_ms = values->keepalive_time_ms;
    opts->keepalive_timeout_ms = values->keepalive_timeout_ms;
    opts->max_send_bytes = values->max_send;
    opts->max_recv_bytes = values->max_recv;
    opts->prefer = (etcd_prefer)values->prefer;
    opts->require_leader = values->require_leader;
    if (values->key_namespace != NULL)
        opts->key_namespace = etcd_cstr(values->key_namespace);
    settings->client_opts.start = (capp_etcd_start)values->start;
    settings->client_opts.health = (capp_etcd_health)values->health;
    tls_from_values(values, settings);
}

/* ---- reading --------------------------------------------------------------------------------------- */

static etcd_status import(struct capp__etcd_settings *settings, const etcd_client_opts *opts,
                          const capp_etcd_client_opts *client_opts, etcd_error *err)
{
    etcd_status st = etcd__opts_import(&settings->opts, sizeof(settings->opts), opts, "its", err);

    if (st == ETCD_OK)
        st = etcd__opts_import(&settings->client_opts, sizeof(settings->client_opts), client_opts,
                               "its module", err);
    if (st == ETCD_OK)
        st = etcd__opts_import(&settings->tls, sizeof(settings->tls), settings->opts.tls, "its TLS", err);
    return st;
}

capp_status capp__etcd_settings_read(struct capp__etcd_settings *settings, capp_setup *setup,
                                     const char *name, const etcd_client_opts *opts,
                                     const capp_etcd_client_opts *client_opts, bool *ret_listed,
                                     capp_error *reterr)
{
    struct values values;
    capp_status status;
    etcd_error err;

    *ret_listed = false;
    *settings = (struct capp__etcd_settings){
        .opts = ETCD_CLIENT_OPTS_INIT, .tls = ETCD_TLS_OPTS_INIT, .client_opts = CAPP_ETCD_CLIENT_INIT};
    if (import(settings, opts, client_opts, &err) != ETCD_OK) {
        etcd__error_prefix(&err, "client '%s'", name);
        return capp_error_from_etcd(&err, reterr);
    }
    if (settings->opts.tls != NULL)
        settings->opts.tls = &settings->tls;
    to_values(settings, &values);
    status = capp_setup_bind(setup, &table, name, &values);
    *ret_listed = status != CAPP_OK;
    if (status == CAPP_OK)
        from_values(&values, settings);
    return status;
}

/* What a message is about: the option that it names first. */
struct subject {
    const char *message, *at, *key;
};

static void look_for(struct subject *subject, const char *option, const char *key)
{
    const char *at = strstr(subject->message, option);

    if (at != NULL && (subject->at == NULL || at < subject->at)) {
        subject->at = at;
        subject->key = key;
    }
}

/* The key that an error is about; NULL: it is about none. */
static const char *key_in(const char *message)
{
    struct subject subject = {.message = message};

    for (size_t i = 0; i < ETCD__COUNT(other_names); i++)
        look_for(&subject, other_names[i].option, other_names[i].key);
    for (size_t i = 0; i < ETCD__COUNT(fields); i++)
        look_for(&subject, fields[i].key, fields[i].key);
    return subject.key;
}

void capp__etcd_settings_blame(const capp_setup *setup, const char *name, capp_error *error)
{
    const char *key = key_in(error->message);
    char path[256], place[256];

    if (key == NULL)
        return;
    etcd__format(path, sizeof(path), SECTION ".%s.%s", name, key);
    if (capp_setup_place(setup, path, place, sizeof(place)))
        capp_error_prefix(error, "%s", place);
}

capp_status capp__etcd_settings_declare(capp_setup *setup)
{
    return capp_setup_declare(setup, &table);
}

const char *capp__etcd_settings_name(const capp_setup *setup, size_t index)
{
    return capp_setup_section_name(setup, SECTION, index);
}
