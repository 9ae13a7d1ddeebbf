/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lease_world.h"

#include "client/client.h"
#include "support/alloc_fail.h"
#include "support/test.h"
#include "wire/messages.h"

#include <stdio.h>

struct lease_world script;

/* ---- servers --------------------------------------------------------------------------------------- */

void lease_world_answer(struct h2_server_stream *stream, int64_t id, int64_t ttl_s)
{
    Etcd__Pb__LeaseKeepAliveResponse response = ETCD__PB__LEASE_KEEP_ALIVE_RESPONSE__INIT;
    Etcd__Pb__ResponseHeader header = ETCD__PB__RESPONSE_HEADER__INIT;
    uint8_t buf[64];

    header.raft_term = script.raft_term;
    response.header = script.raft_term == 0 ? NULL : &header;
    response.id = id;
    response.ttl = ttl_s;
    h2_reply_message(stream, buf, protobuf_c_message_pack(&response.base, buf));
}

static bool is_login(struct h2_server_stream *stream)
{
    return strcmp(h2_server_field(stream, ":path"), "/etcdserverpb.Auth/Authenticate") == 0;
}

static void on_request(struct h2_server_stream *stream)
{
    if (is_login(stream))
        return;
    assert_string_equal(h2_server_field(stream, ":path"), "/etcdserverpb.Lease/LeaseKeepAlive");
    assert_string_equal(h2_server_field(stream, "hasleader"), "true");
    script.opened++;
    if (script.refusal != NULL)
        h2_reply_status(stream, script.refusal_code, script.refusal);
}

static void on_login(struct h2_server_stream *stream)
{
    Etcd__Pb__AuthenticateResponse response = ETCD__PB__AUTHENTICATE_RESPONSE__INIT;
    char token[32];
    uint8_t buf[64];

    script.logins++;
    if (script.login != NULL) {
        h2_reply_status(stream, 3, script.login);
        return;
    }
    (void)snprintf(token, sizeof(token), "token-%u", script.logins);
    response.token = token;
    h2_reply_message(stream, buf, protobuf_c_message_pack(&response.base, buf));
    h2_reply_status(stream, 0, NULL);
}

static void on_message(struct h2_server_stream *stream, const uint8_t *data, size_t len)
{
    Etcd__Pb__LeaseKeepAliveRequest *request;

    if (is_login(stream)) {
        on_login(stream);
        return;
    }
    request = etcd__pb__lease_keep_alive_request__unpack(NULL, len, data);
    assert_non_null(request);
    script.renewals++;
    if (script.on_renewal == NULL || script.on_renewal(stream, request->id))
        lease_world_answer(stream, request->id, script.ttl_s);
    etcd__pb__lease_keep_alive_request__free_unpacked(request, NULL);
}

/* ---- the world ------------------------------------------------------------------------------------- */

static void open_client(const etcd_client_opts *opts)
{
    etcd_client_opts own = *opts;
    etcd_error err;

    own.loop = script.loop;
    if (etcd_client_open(&own, &script.client, &err) != ETCD_OK)
        fail_msg("%s", err.message);
}

static void begin(size_t hosts)
{
    memset(&script, 0, sizeof(script));
    alloc_fail_at(0);
    script.live = alloc_live();
    world_init(&script.world, hosts);
    script.ttl_s = LEASE_WORLD_TTL_S;
    for (size_t i = 0; i < hosts; i++)
        script.world.hosts[i].ops = (struct h2_server_ops){.on_request = on_request,
                                                           .on_message = on_message};
    assert_int_equal(etcd__loop_new_env(fake_env_table(script.world.fake), &script.loop, NULL), ETCD_OK);
}

int lease_world_one_host(void **state)
{
    (void)state;
    begin(1);
    open_client(ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("192.0.2.1:2379")));
    return 0;
}

int lease_world_three_hosts(void **state)
{
    (void)state;
    begin(3);
    open_client(
        ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("192.0.2.1:2379", "192.0.2.2:2379", "192.0.2.3:2379")));
    return 0;
}

int lease_world_with_user(void **state)
{
    (void)state;
    begin(1);
    open_client(ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("192.0.2.1:2379"), .username = "alice",
                                 .password = ETCD_SECRET_TEXT("secret")));
    return 0;
}

int lease_world_end(void **state)
{
    (void)state;
    etcd_client_free(script.client);
    etcd_loop_free(script.loop);
    world_close(&script.world);
    assert_int_equal(alloc_live(), script.live);
    return 0;
}

void lease_world_run(int64_t ms)
{
    int64_t until_ms = fake_now(script.world.fake) + ms;

    do
        assert_int_equal(etcd_loop_wait(script.loop, until_ms - fake_now(script.world.fake), NULL), ETCD_OK);
    while (fake_now(script.world.fake) < until_ms);
    for (int i = 0; i < 10; i++)
        assert_int_equal(etcd_loop_process(script.loop, NULL), ETCD_OK);
}

void lease_world_on_end(etcd_keepalive *keepalive, etcd_status status, const etcd_error *err, void *user_data)
{
    struct ends *ends = user_data;

    ends->count++;
    ends->status = status;
    assert_int_equal(err->status, status);
    (void)snprintf(ends->message, sizeof(ends->message), "%s", err->message);
    if (ends->close)
        etcd_keepalive_close(keepalive);
}

etcd_keepalive *lease_world_keep(int64_t id, int64_t ttl_s, struct ends *ends)
{
    etcd_keepalive *keepalive = NULL;

    assert_int_equal(
        etcd_keepalive_start(script.client, (etcd_lease){.id = id, .ttl_s = ttl_s},
                             ETCD_KEEPALIVE_OPTS(.on_end = lease_world_on_end, .user_data = ends), &keepalive,
                             NULL),
        ETCD_OK);
    return keepalive;
}

size_t lease_world_streams(void)
{
    size_t count = 0;

    ETCD__LIST_FOREACH(node, &script.client->lessor.streams)
    count++;
    return count;
}
