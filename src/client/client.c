/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client.h"

#include "client/delay.h"
#include "client/feed.h"
#include "client/options.h"
#include "client/ready.h"
#include "client/rpc.h"
#include "etcdc/version.h"

#include <string.h>

const char *etcd_version(void)
{
    return ETCDC_VERSION;
}

/* ---- references ------------------------------------------------------------------------------------ */

void etcd__client_ref(struct etcd_client *client)
{
    (void)atomic_fetch_add_explicit(&client->refs, 1, memory_order_relaxed);
}

static void destroy(struct etcd_client *client)
{
    struct etcd_loop *loop = client->loop;

    etcd__config_deinit(&client->config);
    etcd__free(client->shared.endpoints);
    (void)pthread_mutex_destroy(&client->shared.mutex);
    etcd__free(client);
    etcd__loop_unref(loop);
}

void etcd__client_unref(struct etcd_client *client)
{
    if (atomic_fetch_sub_explicit(&client->refs, 1, memory_order_acq_rel) == 1)
        destroy(client);
}

etcd_status etcd__client_check(const struct etcd_client *client, etcd_error *reterr)
{
    if (client == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "client is NULL");
    if (atomic_load_explicit(&((struct etcd_client *)(uintptr_t)client)->closed, memory_order_acquire))
        return etcd__fail(reterr, ETCD_E_CLOSED, "client '%s' is closed", etcd__client_label(client));
    if (etcd__loop_usable(client->loop, reterr) != ETCD_OK)
        return ETCD_E_CLOSED;
    return etcd__loop_works(client->loop, reterr);
}

etcd_status etcd__client_password(const struct etcd_client *client, struct etcd__secret *ret_password,
                                  etcd_error *reterr)
{
    return etcd__config_password(&client->config, ret_password, reterr);
}

/* ---- opening --------------------------------------------------------------------------------------- */

static void on_endpoint(void *user, const struct etcd__endpoint *endpoint, enum etcd__endpoint_event event,
                        const etcd_error *err)
{
    static const char *const said[] = {
        [ETCD__ENDPOINT_CONNECTED] = "connected to",
        [ETCD__ENDPOINT_RECONNECTED] = "reconnected to",
        [ETCD__ENDPOINT_LOST] = "lost the connection:",
        [ETCD__ENDPOINT_UNREACHABLE] = "not connected:",
    };
    struct etcd_client *client = user;
    /* The first failure is news, those of the attempts that follow are not. */
    bool news = event != ETCD__ENDPOINT_UNREACHABLE || !client->in_outage;

    etcd__log_endpoint(&client->log, news ? ETCD_LOG_INFO : ETCD_LOG_DEBUG, "connect", endpoint->text,
                       "client '%s': %s %s", etcd__client_label(client), said[event],
                       err == NULL ? endpoint->text : err->message);
    client->in_outage = err != NULL;
    etcd__client_note_connect(client, err);
    etcd__count(err == NULL ? &client->metrics.connects : &client->metrics.losses, 1);
    if (err == NULL) {
        etcd__leader_news(&client->leader);
        etcd__discovery_settled(&client->discovery);
        etcd__ready_notify(client);
    } else if (etcd__channel_all_failed(client->channel)) {
        etcd__discovery_wanted(&client->discovery);
    }
}

static void on_state(void *user, enum etcd__channel_state state, const etcd_error *err)
{
    static const etcd_client_state states[] = {
        [ETCD__CHANNEL_IDLE] = ETCD_CLIENT_IDLE,
        [ETCD__CHANNEL_CONNECTING] = ETCD_CLIENT_CONNECTING,
        [ETCD__CHANNEL_READY] = ETCD_CLIENT_READY,
    };
    struct etcd_client *client = user;

    etcd__client_state_set(client, states[state], err);
    if (state == ETCD__CHANNEL_CONNECTING && err == NULL)
        etcd__discovery_wanted(&client->discovery);
}

static etcd_status make_tls(struct etcd_client *client, etcd_error *reterr)
{
    const struct etcd__client_config *config = &client->config;
    struct etcd__tls_options options = {
        .ca_file = config->ca_file,
        .cert_file = config->cert_file,
        .key_file = config->key_file,
        .server_name = config->server_name,
        .insecure_skip_verify = config->insecure_skip_verify,
    };

    return config->has_tls ? etcd__tls_new(&options, &client->tls, reterr) : ETCD_OK;
}

static etcd_status make_channel(struct etcd_client *client, etcd_error *reterr)
{
    const struct etcd__client_config *config = &client->config;
    struct etcd__channel_config channel = {
        .reactor = etcd__client_reactor(client),
        .resolver = client->loop->resolver,
        .tls = client->tls,
        .log = client->log,
        .user_agent = "etcdc/" ETCDC_VERSION,
        .dial_timeout_ms = config->dial_timeout_ms,
        .keepalive_time_ms = config->keepalive_time_ms,
        .keepalive_timeout_ms = config->keepalive_timeout_ms,
        .on_endpoint = on_endpoint,
        .on_state = on_state,
        .user = client,
        .sent = &client->metrics.bytes_sent,
        .received = &client->metrics.bytes_received,
    };
    etcd_status st = etcd__channel_new(&channel, &client->channel, reterr);

    if (st == ETCD_OK)
        st = etcd__client_use_endpoints(client, &config->endpoints, reterr);
    return st;
}

struct opening {
    struct etcd_client *client;
    etcd_error *reterr;
    etcd_status status;
};

static void choose_first_lease_id(struct etcd_client *client)
{
    const struct etcd__env *env = &client->loop->reactor.env;
    uint64_t id;

    env->ops->random(env->self, &id, sizeof(id));
    atomic_init(&client->next_lease_id, id);
}

/* Nothing will ever come again: what has no time limit ends here. */
static void on_broken(struct etcd__loop_user *user, const etcd_error *why)
{
    struct etcd_client *client = ETCD__CONTAINER(user, struct etcd_client, loop_user);

    etcd__watch_hub_end_all(&client->watches, ETCD_E_IO);
    etcd__ready_end_all(client, ETCD_E_IO, why->message);
    etcd__rpc_end_programs(client, ETCD_E_IO, why->message);
}

/* Runs in the engine: the channel is its property from the first moment. */
static void open_in_engine(void *arg)
{
    struct opening *opening = arg;
    struct etcd_client *client = opening->client;

    opening->status = make_tls(client, opening->reterr);
    if (opening->status == ETCD_OK)
        opening->status = make_channel(client, opening->reterr);
    if (opening->status == ETCD_OK)
        opening->status = etcd__auth_init(&client->auth, client, opening->reterr);
    if (opening->status != ETCD_OK) {
        etcd__error_prefix(opening->reterr, "client '%s'", etcd__client_label(client));
        etcd__channel_free(client->channel);
        etcd__tls_unref(client->tls);
        client->torn_down = true;
        return;
    }
    choose_first_lease_id(client);
    client->loop_user.on_broken = on_broken;
    etcd__loop_add_user(client->loop, &client->loop_user);
    etcd__leader_init(&client->leader, client);
    etcd__discovery_init(&client->discovery, client);
    etcd__watch_hub_init(&client->watches, client);
    etcd__lessor_init(&client->lessor, client);
    etcd__sync_start(&client->sync, client, client->config.auto_sync_interval_ms);
    if (etcd__config_has_credentials(&client->config))
        etcd__client_warn_of_clear_text(client);
}

static void close_in_engine(void *arg)
{
    struct etcd_client *client = arg;

    if (client->torn_down)
        return;
    client->torn_down = true;
    etcd__node_unlink(&client->loop_user.node);
    etcd__log(&client->log, ETCD_LOG_INFO, "client", "client '%s': closing", etcd__client_label(client));
    etcd__sync_stop(&client->sync);
    etcd__discovery_stop(&client->discovery);
    etcd__watch_hub_end_all(&client->watches, ETCD_E_CLOSED);
    etcd__lessor_close(&client->lessor);
    etcd__ready_end_all(client, ETCD_E_CLOSED, "the client was closed");
    etcd__delay_close_all(client);
    etcd__feed_close_all(client);
    etcd__rpc_close_all(client);
    etcd__auth_close(&client->auth, ETCD_E_CLOSED);
    etcd__leader_close(&client->leader);
    etcd__channel_free(client->channel);
    client->channel = NULL;
    etcd__tls_unref(client->tls);
    client->tls = NULL;
    etcd__log(&client->log, ETCD_LOG_INFO, "client", "client '%s': closed", etcd__client_label(client));
    etcd__client_state_set(client, ETCD_CLIENT_CLOSED, NULL);
}

static etcd_status check_log(const etcd_client_opts *opts, etcd_error *reterr)
{
    if ((unsigned)opts->log_level > ETCD_LOG_ERROR)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "client '%s': log_level is %d",
                          opts->name == NULL ? "etcd" : opts->name, (int)opts->log_level);
    if (opts->log_fn != NULL && opts->log_record_fn != NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                          "client '%s': log_fn and log_record_fn are both set: lines go to one of them",
                          opts->name == NULL ? "etcd" : opts->name);
    return ETCD_OK;
}

static etcd_status open_client(struct etcd_client *client, const etcd_client_opts *opts, etcd_error *reterr)
{
    struct opening opening = {.client = client, .reterr = reterr};
    etcd_status st = etcd__config_make(opts, &client->config, reterr);

    if (st == ETCD_OK)
        st = check_log(opts, reterr);
    if (st != ETCD_OK)
        return st;
    client->log = (struct etcd__log){
        .fn = opts->log_fn,
        .record_fn = opts->log_record_fn,
        .client = client->config.name,
        .user_data = opts->log_user_data,
        .level = opts->log_level == ETCD_LOG_DEFAULT ? ETCD_LOG_INFO : opts->log_level,
    };
    if (opts->loop != NULL) {
        st = etcd__loop_usable(opts->loop, reterr);
        if (st != ETCD_OK)
            return st;
        client->loop = etcd__loop_ref(opts->loop);
    } else {
        st = etcd__loop_new(&(const etcd_loop_opts)ETCD_LOOP_OPTS_INIT, &client->loop, reterr);
        if (st != ETCD_OK)
            return st;
    }
    etcd__loop_run(client->loop, open_in_engine, &opening);
    if (opening.status != ETCD_OK || opts->loop != NULL)
        return opening.status;
    st = etcd__loop_start(client->loop, reterr);
    if (st != ETCD_OK) {
        client->config.on_state = NULL; /* it was never open */
        close_in_engine(client);
    }
    return st;
}

etcd_status etcd_client_open(const etcd_client_opts *opts, etcd_client **ret_client, etcd_error *reterr)
{
    etcd_client_opts own = ETCD_CLIENT_OPTS_INIT;
    struct etcd_client *client;
    etcd_status st = etcd__opts_import(&own, sizeof(own), opts, "client", reterr);

    if (st != ETCD_OK)
        return st;
    if (ret_client == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "client: ret_client is NULL");
    client = ETCD__NEW(struct etcd_client);
    if (client == NULL)
        return etcd__fail_memory(reterr);
    atomic_init(&client->refs, 1);
    etcd__list_init(&client->rpcs);
    etcd__list_init(&client->ready_waiters);
    etcd__list_init(&client->delays);
    etcd__list_init(&client->feeds);
    etcd__client_state_init(&client->state);
    (void)pthread_mutex_init(&client->shared.mutex, NULL);
    st = open_client(client, &own, reterr);
    if (st != ETCD_OK)
        etcd__client_unref(client);
    else
        *ret_client = client;
    return st;
}

/* ---- closing --------------------------------------------------------------------------------------- */

etcd_status etcd_client_close(etcd_client *client, etcd_error *reterr)
{
    struct etcd_loop *loop;

    if (client == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "client is NULL");
    etcd__client_ref(client); /* a callback may free the client */
    atomic_store_explicit(&client->closed, true, memory_order_release);
    loop = client->loop;
    if (etcd__loop_usable(loop, NULL) != ETCD_OK) {
        etcd__loop_leave(loop);
    } else {
        etcd__loop_run(loop, close_in_engine, client);
        if (loop->drive == ETCD_DRIVE_CALLER && !etcd__loop_would_deadlock(loop))
            etcd__loop_deliver(loop);
        etcd__client_state_finish(client);
    }
    etcd__client_unref(client);
    return ETCD_OK;
}

void etcd_client_free(etcd_client *client)
{
    if (client == NULL)
        return;
    (void)etcd_client_close(client, NULL);
    etcd__client_unref(client);
}

static void cancel_waits_in_engine(void *arg)
{
    struct etcd_client *client = arg;

    if (client->torn_down)
        return;
    etcd__watch_hub_end_all(&client->watches, ETCD_E_CANCELLED);
    etcd__rpc_cancel_waits(client);
}

void etcd_client_cancel_waits(etcd_client *client)
{
    if (client == NULL || etcd__client_check(client, NULL) != ETCD_OK)
        return;
    atomic_store_explicit(&client->waits_cancelled, true, memory_order_release);
    etcd__loop_run(client->loop, cancel_waits_in_engine, client);
}

/* ---- looking at it --------------------------------------------------------------------------------- */

const char *etcd_client_name(const etcd_client *client)
{
    return client == NULL ? "" : client->config.name;
}

int64_t etcd_client_timeout_ms(const etcd_client *client)
{
    return client == NULL ? 0 : client->config.timeout_ms;
}

etcd_drive etcd_client_drive(const etcd_client *client)
{
    return client->loop->drive;
}
