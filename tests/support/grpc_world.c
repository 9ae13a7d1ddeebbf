/* SPDX-License-Identifier: Apache-2.0 */
#include "support/grpc_world.h"

#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const struct etcd__method world_unary = {.path = "/test.Echo/Unary", .name = "unary"};
const struct etcd__method world_stream = {.path = "/test.Echo/Stream", .name = "stream", .streaming = true};

/* --- Servers --- */

static void echo(struct h2_server_stream *stream, const uint8_t *data, size_t len)
{
    h2_reply_message(stream, data, len);
}

static void end_well(struct h2_server_stream *stream)
{
    h2_reply_headers(stream);
    h2_reply_status(stream, 0, NULL);
}

static struct world_connection *connection_of(struct fake_peer *peer)
{
    struct world_host *host = fake_peer_host(peer)->user;

    for (size_t i = host->count; i > 0; i--) {
        if (host->connections[i - 1].peer == peer)
            return &host->connections[i - 1];
    }
    return NULL;
}

static void on_accept(struct fake_peer *peer)
{
    struct world_host *host = fake_peer_host(peer)->user;

    assert_true(host->count < WORLD_CONNECTIONS);

    struct world_connection *connection = &host->connections[host->count++];

    connection->host = host;
    connection->peer = peer;
    connection->server = h2_server_new(&host->config, &host->ops, connection);
    if (!host->silent)
        world_push(connection);
}

static void drop_server(struct world_connection *connection)
{
    h2_server_free(connection->server);
    connection->server = NULL;
}

static void on_data(struct fake_peer *peer)
{
    struct world_connection *connection = connection_of(peer);
    uint8_t buf[4096];
    size_t len;

    if (connection == NULL || connection->server == NULL || connection->host->silent)
        return;
    while ((len = fake_peer_read(peer, buf, sizeof buf)) > 0)
        assert_true(h2_server_feed(connection->server, buf, len));
    world_push(connection);
    if (fake_peer_ended(peer))
        drop_server(connection);
}

void world_push(struct world_connection *connection)
{
    uint8_t buf[4096];
    size_t len;

    while ((len = h2_server_take(connection->server, buf, sizeof buf)) > 0)
        fake_peer_write(connection->peer, buf, len);
}

struct world_connection *world_newest(struct world_host *host)
{
    return host->count == 0 ? NULL : &host->connections[host->count - 1];
}

struct h2_server_stream *world_request(struct world_host *host)
{
    return h2_server_streams(world_newest(host)->server);
}

size_t world_streams(const struct world_host *host)
{
    size_t count = 0;

    for (size_t i = 0; i < host->count; i++) {
        if (host->connections[i].server == NULL)
            continue;
        for (struct h2_server_stream *s = h2_server_streams(host->connections[i].server); s != NULL;
             s = s->next)
            count++;
    }
    return count;
}

size_t world_requests(const struct world_host *host)
{
    size_t count = 0;

    for (size_t i = 0; i < host->count; i++) {
        if (host->connections[i].server != NULL)
            count += h2_server_requests(host->connections[i].server);
    }
    return count;
}

/* --- The world --- */

static void on_endpoint(void *user, const struct etcd__endpoint *endpoint, enum etcd__endpoint_event event,
                        const etcd_error *err)
{
    struct world *world = user;
    bool up = event == ETCD__ENDPOINT_CONNECTED || event == ETCD__ENDPOINT_RECONNECTED;

    assert_non_null(endpoint->text);
    assert_int_equal(up, err == NULL);
    if (up)
        world->ups++;
    else
        world->downs++;
}

void world_init(struct world *world, size_t hosts)
{
    memset(world, 0, sizeof *world);
    world->fake = fake_env_new(1);
    world->host_count = hosts;
    etcd__reactor_init(&world->reactor, fake_env_table(world->fake));
    for (size_t i = 0; i < hosts; i++) {
        struct world_host *host = &world->hosts[i];
        char ip[48];

        snprintf(ip, sizeof ip, "192.0.2.%zu", i + 1);
        host->world = world;
        host->net = fake_host_add(world->fake, ip, 2379);
        host->net->user = host;
        host->net->on_accept = on_accept;
        host->net->on_data = on_data;
        host->ops = (struct h2_server_ops){.on_message = echo, .on_half_close = end_well};
    }
    world->config = (struct etcd__channel_config){
        .reactor = &world->reactor,
        .user_agent = "etcdc-test",
        .dial_timeout_ms = 5000,
        .keepalive_time_ms = 10000,
        .keepalive_timeout_ms = 5000,
        .on_endpoint = on_endpoint,
        .user = world,
    };
}

bool world_open(struct world *world)
{
    if (etcd__resolver_new(&world->reactor, &world->resolver, NULL) != ETCD_OK)
        return false;
    world->config.resolver = world->resolver;
    for (size_t i = 0; i < world->host_count; i++) {
        char text[64];

        snprintf(text, sizeof text, "192.0.2.%zu:2379", i + 1);
        if (etcd__endpoint_parse(text, &world->endpoints[i], NULL) != ETCD_OK)
            return false;
    }
    if (etcd__channel_new(&world->config, &world->channel, NULL) != ETCD_OK)
        return false;
    return etcd__channel_set_endpoints(world->channel, world->endpoints, world->host_count, NULL) == ETCD_OK;
}

void world_close(struct world *world)
{
    etcd__channel_free(world->channel);
    if (world->resolver != NULL)
        etcd__resolver_free(world->resolver);
    for (size_t i = 0; i < world->host_count; i++) {
        etcd__endpoint_deinit(&world->endpoints[i]);
        for (size_t j = 0; j < world->hosts[i].count; j++)
            drop_server(&world->hosts[i].connections[j]);
    }
    assert_int_equal(etcd__reactor_next_ms(&world->reactor), INT64_MAX);
    assert_int_equal(fake_open_sockets(world->fake), 0);
    assert_int_equal(fake_misuses(world->fake), 0);
    fake_env_free(world->fake);
}

static bool turn(struct world *world, int64_t until)
{
    int ret = etcd__reactor_turn(&world->reactor, until);

    assert_true(ret == 0 || ret == -EDEADLK);
    return ret == 0;
}

void world_run(struct world *world, int64_t ms)
{
    int64_t until = fake_now(world->fake) + ms;

    while (fake_now(world->fake) < until)
        turn(world, until);
    world_settle(world);
}

void world_until(struct world *world, const unsigned *flag, int64_t ms)
{
    int64_t until = fake_now(world->fake) + ms;

    while (*flag == 0 && fake_now(world->fake) < until)
        turn(world, until);
    if (*flag == 0)
        fail_msg("not within %lld ms", (long long)ms);
}

void world_settle(struct world *world)
{
    for (int i = 0; i < 20; i++)
        turn(world, fake_now(world->fake));
}

/* --- Calls --- */

static struct world_call *call_of(struct etcd__call *call)
{
    return ETCD__CONTAINER(call, struct world_call, call);
}

static void on_sent(struct etcd__call *call)
{
    call_of(call)->sents++;
}

static void on_headers(struct etcd__call *call)
{
    call_of(call)->headers++;
}

static void on_message(struct etcd__call *base, const uint8_t *data, size_t len)
{
    struct world_call *call = call_of(base);

    assert_true(etcd__call_alive(base));
    call->messages++;
    call->last_len = len;
    len = len < sizeof call->last ? len : sizeof call->last - 1;
    memcpy(call->last, data, len);
    call->last[len] = '\0';
    if (call->then_message != NULL)
        call->then_message(call);
}

static void on_end(struct etcd__call *base, const struct etcd__call_end *end)
{
    struct world_call *call = call_of(base);

    assert_false(etcd__call_alive(base));
    call->ends++;
    call->end = *end;
    snprintf(call->end_message, sizeof call->end_message, "%s", end->message);
    snprintf(call->end_endpoint, sizeof call->end_endpoint, "%s", end->endpoint);
    call->end.message = call->end_message;
    call->end.endpoint = call->end_endpoint;
    if (call->then_end != NULL)
        call->then_end(call);
}

static const struct etcd__call_ops call_ops = {
    .on_sent = on_sent,
    .on_headers = on_headers,
    .on_message = on_message,
    .on_end = on_end,
};

struct etcd__call_config world_call_config(const struct etcd__method *method)
{
    return (struct etcd__call_config){
        .method = method,
        .ops = &call_ops,
        .deadline_ms = INT64_MAX,
        .max_recv = 1 << 20,
    };
}

void world_start_config(struct world *world, struct world_call *call, const struct etcd__call_config *config)
{
    call->world = world;
    etcd__call_start(&call->call, world->channel, config);
}

void world_start(struct world *world, struct world_call *call, const struct etcd__method *method)
{
    const struct etcd__call_config config = world_call_config(method);

    world_start_config(world, call, &config);
}

static void release(struct etcd__outgoing *outgoing)
{
    struct world_call *call = ETCD__CONTAINER(outgoing, struct world_call, outgoing);

    assert_false(etcd__node_linked(&outgoing->node));
    call->releases++;
    free(outgoing->data);
    outgoing->data = NULL;
}

void world_send(struct world_call *call, const char *text)
{
    struct etcd__outgoing *outgoing = &call->outgoing;

    assert_null(outgoing->data);
    outgoing->len = ETCD__FRAME_HEADER + strlen(text);
    outgoing->data = malloc(outgoing->len);
    assert_non_null(outgoing->data);
    memcpy(outgoing->data + ETCD__FRAME_HEADER, text, strlen(text));
    outgoing->release = release;
    etcd__call_send(&call->call, outgoing);
}

void world_unary_call(struct world *world, struct world_call *call, const char *text)
{
    world_start(world, call, &world_unary);
    world_send(call, text);
}
