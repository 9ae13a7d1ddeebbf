/* SPDX-License-Identifier: Apache-2.0 */
#include "support/watch_world.h"
#include "support/alloc_fail.h"

#include "runtime/loop.h"
#include "support/test.h"
#include "wire/messages.h"

#include <stdio.h>
#include <stdlib.h>

enum { MEMBER = 8, TERM = 2 };

/* ---- bytes ----------------------------------------------------------------------------------------- */

static void push(struct ww_line *line)
{
    uint8_t buf[4096];
    size_t len;

    while (line->server != NULL && (len = h2_server_take(line->server, buf, sizeof(buf))) > 0)
        fake_peer_write(line->peer, buf, len);
}

static void push_all(struct watch_world *world)
{
    for (size_t i = 0; i < world->line_count; i++)
        push(&world->lines[i]);
}

static void reply(struct h2_server_stream *stream, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *data = malloc(len + 1);

    assert_non_null(data);
    (void)protobuf_c_message_pack(message, data);
    h2_reply_message(stream, data, len);
    free(data);
}

static void set_header(const struct watch_world *world, Etcd__Pb__ResponseHeader *header, int64_t revision)
{
    header->cluster_id = world->cluster_id;
    header->member_id = MEMBER;
    header->raft_term = TERM;
    header->revision = revision;
}

/* ---- what the client asks -------------------------------------------------------------------------- */

static void answer_read(struct watch_world *world, struct h2_server_stream *stream, const uint8_t *data,
                        size_t len)
{
    Etcd__Pb__RangeRequest *request = etcd__pb__range_request__unpack(NULL, len, data);
    Etcd__Pb__RangeResponse response = ETCD__PB__RANGE_RESPONSE__INIT;
    Etcd__Pb__ResponseHeader header = ETCD__PB__RESPONSE_HEADER__INIT;
    const char *denied = world->denied_key;
    bool refuse;

    assert_non_null(request);
    refuse = denied != NULL && request->key.len == strlen(denied) &&
             memcmp(request->key.data, denied, request->key.len) == 0;
    world->reads++;
    etcd__pb__range_request__free_unpacked(request, NULL);
    if (refuse) {
        h2_reply_status(stream, 7, "etcdserver: permission denied");
    } else if (world->read_code != 0) {
        h2_reply_status(stream, world->read_code, world->read_message);
    } else {
        set_header(world, &header, world->revision);
        response.header = &header;
        reply(stream, &response.base);
        if (!world->reads_go_on)
            h2_reply_status(stream, 0, NULL);
    }
}

static void answer_status(struct watch_world *world, struct h2_server_stream *stream)
{
    Etcd__Pb__StatusResponse response = ETCD__PB__STATUS_RESPONSE__INIT;
    Etcd__Pb__ResponseHeader header = ETCD__PB__RESPONSE_HEADER__INIT;
    char version[32];

    world->statuses++;
    if (world->version == NULL) {
        h2_reply_status(stream, 7, "etcdserver: permission denied");
        return;
    }
    snprintf(version, sizeof(version), "%s", world->version);
    set_header(world, &header, world->revision);
    if (world->elsewhere > 0) {
        world->elsewhere--;
        header.member_id = MEMBER + 1;
    }
    response.header = &header;
    response.version = version;
    reply(stream, &response.base);
    h2_reply_status(stream, 0, NULL);
}

static void answer_login(struct watch_world *world, struct h2_server_stream *stream)
{
    Etcd__Pb__AuthenticateResponse response = ETCD__PB__AUTHENTICATE_RESPONSE__INIT;
    char token[32];

    snprintf(token, sizeof(token), "token-%zu", ++world->logins);
    response.token = token;
    reply(stream, &response.base);
    h2_reply_status(stream, 0, NULL);
}

static void note_create(struct watch_world *world, struct ww_stream *stream,
                        const Etcd__Pb__WatchCreateRequest *request)
{
    struct ww_create *create = &stream->creates[stream->create_count++];

    assert_true(stream->create_count < WW_REQUESTS && request->key.len < WW_KEY);
    create->id = request->watch_id;
    create->start_revision = request->start_revision;
    memcpy(create->key, request->key.data, request->key.len);
    create->prev_kv = request->prev_kv;
    create->fragment = request->fragment;
    create->progress_notify = request->progress_notify;
    create->filters = request->n_filters;
    if (world->automatic)
        ww_created(world, stream, create->id);
}

static void note_watch_request(struct watch_world *world, struct ww_stream *stream, const uint8_t *data,
                               size_t len)
{
    Etcd__Pb__WatchRequest *request = etcd__pb__watch_request__unpack(NULL, len, data);

    assert_non_null(request);
    if (request->request_case == ETCD__PB__WATCH_REQUEST__REQUEST_CREATE_REQUEST) {
        note_create(world, stream, request->create_request);
    } else if (request->request_case == ETCD__PB__WATCH_REQUEST__REQUEST_PROGRESS_REQUEST) {
        stream->progress_count++;
    } else {
        assert_int_equal(request->request_case, ETCD__PB__WATCH_REQUEST__REQUEST_CANCEL_REQUEST);
        assert_true(stream->cancel_count < WW_REQUESTS);
        stream->cancels[stream->cancel_count++] = request->cancel_request->watch_id;
    }
    etcd__pb__watch_request__free_unpacked(request, NULL);
}

static bool path_is(const struct h2_server_stream *stream, const char *path)
{
    const char *value = h2_server_field(stream, ":path");

    return value != NULL && strcmp(value, path) == 0;
}

static struct watch_world *world_of(const struct h2_server *server)
{
    return ((struct ww_line *)h2_server_user(server))->world;
}

static void on_request(struct h2_server_stream *h2)
{
    struct watch_world *world = world_of(h2->server);
    const char *leader = h2_server_field(h2, "hasleader");
    struct ww_stream *stream;

    if (!path_is(h2, "/etcdserverpb.Watch/Watch"))
        return;
    assert_true(world->stream_count < WW_STREAMS);
    stream = calloc(1, sizeof(*stream));
    assert_non_null(stream);
    stream->h2 = h2;
    stream->has_leader = leader != NULL && strcmp(leader, "true") == 0;
    world->streams[world->stream_count++] = stream;
    h2->user = stream;
    h2_reply_headers(h2);
}

static void on_message(struct h2_server_stream *h2, const uint8_t *data, size_t len)
{
    struct watch_world *world = world_of(h2->server);

    if (path_is(h2, "/etcdserverpb.Watch/Watch"))
        note_watch_request(world, h2->user, data, len);
    else if (path_is(h2, "/etcdserverpb.KV/Range"))
        answer_read(world, h2, data, len);
    else if (path_is(h2, "/etcdserverpb.Auth/Authenticate"))
        answer_login(world, h2);
    else if (path_is(h2, "/etcdserverpb.Maintenance/Status"))
        answer_status(world, h2);
    else
        h2_reply_status(h2, 12, "not here");
}

static void on_close(struct h2_server_stream *h2, uint32_t error)
{
    struct ww_stream *stream = h2->user;

    (void)error;
    if (stream != NULL)
        stream->h2 = NULL;
}

static const struct h2_server_ops server_ops = {
    .on_request = on_request,
    .on_message = on_message,
    .on_close = on_close,
};

/* ---- connections ----------------------------------------------------------------------------------- */

static void close_line(struct ww_line *line)
{
    h2_server_free(line->server);
    line->server = NULL;
}

static struct ww_line *line_of(struct fake_peer *peer)
{
    struct watch_world *world = fake_peer_host(peer)->user;

    for (size_t i = 0; i < world->line_count; i++) {
        if (world->lines[i].peer == peer)
            return &world->lines[i];
    }
    return NULL;
}

static void on_accept(struct fake_peer *peer)
{
    struct watch_world *world = fake_peer_host(peer)->user;
    struct ww_line *line = &world->lines[world->line_count++];

    assert_true(world->line_count < WW_LINES);
    *line = (struct ww_line){.world = world, .peer = peer};
    line->server = h2_server_new(NULL, &server_ops, line);
    push(line);
}

static void on_data(struct fake_peer *peer)
{
    struct ww_line *line = line_of(peer);
    uint8_t buf[4096];
    size_t len;

    while ((len = fake_peer_read(peer, buf, sizeof(buf))) > 0) {
        if (line->server != NULL)
            assert_true(h2_server_feed(line->server, buf, len));
    }
    if (line->server == NULL)
        return;
    push(line);
    if (fake_peer_ended(peer))
        close_line(line);
}

void ww_cut(struct watch_world *world)
{
    for (size_t i = 0; i < world->line_count; i++) {
        if (world->lines[i].server != NULL) {
            close_line(&world->lines[i]);
            fake_peer_reset(world->lines[i].peer);
        }
    }
}

/* ---- the world ------------------------------------------------------------------------------------- */

void ww_open(struct watch_world *world, const etcd_client_opts *opts)
{
    etcd_client_opts own = ETCD_CLIENT_OPTS_INIT;
    const char *const endpoints[] = {"192.0.2.1:2379", NULL};
    etcd_error err;

    memset(world, 0, sizeof(*world));
    if (opts != NULL)
        own = *opts;
    world->cluster_id = 7;
    world->revision = 100;
    world->fake = fake_env_new(1);
    world->host = fake_host_add(world->fake, "192.0.2.1", 2379);
    world->host->user = world;
    world->host->on_accept = on_accept;
    world->host->on_data = on_data;
    assert_int_equal(etcd__loop_new_env(fake_env_table(world->fake), &world->loop, &err), ETCD_OK);
    own.endpoints = endpoints;
    own.loop = world->loop;
    assert_int_equal(etcd_client_open(&own, &world->client, &err), ETCD_OK);
}

void ww_close(struct watch_world *world)
{
    etcd_client_free(world->client);
    etcd_loop_free(world->loop);
    for (size_t i = 0; i < world->line_count; i++)
        close_line(&world->lines[i]);
    assert_int_equal(fake_open_sockets(world->fake), 0);
    assert_int_equal(fake_misuses(world->fake), 0);
    fake_env_free(world->fake);
    for (size_t i = 0; i < world->stream_count; i++)
        free(world->streams[i]);
}

static void nothing(void *user)
{
    (void)user;
}

void ww_run(struct watch_world *world, int64_t ms)
{
    int64_t until_ms = fake_now(world->fake) + ms;

    /* Something happens at the end of the time, so that the clock stops there. */
    fake_at(world->fake, until_ms, nothing, NULL);
    do
        assert_int_equal(etcd_loop_wait(world->loop, until_ms - fake_now(world->fake), NULL), ETCD_OK);
    while (fake_now(world->fake) < until_ms);
    for (int i = 0; i < 8; i++)
        assert_int_equal(etcd_loop_process(world->loop, NULL), ETCD_OK);
}

/* ---- streams --------------------------------------------------------------------------------------- */

struct ww_stream *ww_stream(struct watch_world *world)
{
    for (size_t i = world->stream_count; i > 0; i--) {
        if (world->streams[i - 1]->h2 != NULL)
            return world->streams[i - 1];
    }
    fail_msg("no watch stream is open");
    return NULL;
}

size_t ww_open_streams(const struct watch_world *world)
{
    size_t count = 0;

    for (size_t i = 0; i < world->stream_count; i++)
        count += world->streams[i]->h2 != NULL;
    return count;
}

/* ---- what the server says -------------------------------------------------------------------------- */

static void send_response(struct watch_world *world, struct ww_stream *stream,
                          Etcd__Pb__WatchResponse *response, int64_t revision)
{
    Etcd__Pb__ResponseHeader header = ETCD__PB__RESPONSE_HEADER__INIT;

    set_header(world, &header, revision);
    response->header = &header;
    assert_non_null(stream->h2);
    reply(stream->h2, &response->base);
    push_all(world);
}

void ww_created(struct watch_world *world, struct ww_stream *stream, int64_t id)
{
    Etcd__Pb__WatchResponse response = ETCD__PB__WATCH_RESPONSE__INIT;

    response.watch_id = id;
    response.created = true;
    send_response(world, stream, &response,
                  world->created_revision != 0 ? world->created_revision : world->revision);
}

void ww_refused(struct watch_world *world, struct ww_stream *stream, const char *reason)
{
    Etcd__Pb__WatchResponse response = ETCD__PB__WATCH_RESPONSE__INIT;
    char text[160];

    snprintf(text, sizeof(text), "%s", reason);
    response.watch_id = -1;
    response.created = response.canceled = true;
    response.cancel_reason = text;
    send_response(world, stream, &response, world->revision);
}

void ww_canceled(struct watch_world *world, struct ww_stream *stream, int64_t id, const char *reason,
                 int64_t compact_revision)
{
    Etcd__Pb__WatchResponse response = ETCD__PB__WATCH_RESPONSE__INIT;
    char text[160];

    snprintf(text, sizeof(text), "%s", reason);
    response.watch_id = id;
    response.canceled = true;
    response.compact_revision = compact_revision;
    response.cancel_reason = text;
    send_response(world, stream, &response, world->revision);
}

static void send_events(struct watch_world *world, struct ww_stream *stream, int64_t id, int64_t first,
                        int64_t step, size_t count, size_t value_size, bool fragment)
{
    Etcd__Pb__WatchResponse response = ETCD__PB__WATCH_RESPONSE__INIT;
    Etcd__Pb__Event *events = calloc(count, sizeof(*events)), **list = calloc(count, sizeof(*list));
    Etcd__Pb__KeyValue *kvs = calloc(count, sizeof(*kvs));
    uint8_t key[] = "k", *value = calloc(1, value_size + 1);

    assert_true(events != NULL && list != NULL && kvs != NULL && value != NULL);
    for (size_t i = 0; i < count; i++) {
        etcd__pb__event__init(&events[i]);
        etcd__pb__key_value__init(&kvs[i]);
        kvs[i].key = (ProtobufCBinaryData){.len = 1, .data = key};
        kvs[i].value = (ProtobufCBinaryData){.len = value_size, .data = value};
        kvs[i].mod_revision = first + (int64_t)i * step;
        events[i].kv = &kvs[i];
        list[i] = &events[i];
    }
    response.watch_id = id;
    response.fragment = fragment;
    response.n_events = count;
    response.events = list;
    send_response(world, stream, &response, first + (int64_t)(count - 1) * step);
    free(value);
    free(kvs);
    free(list);
    free(events);
}

void ww_events(struct watch_world *world, struct ww_stream *stream, int64_t id, int64_t first, int64_t last)
{
    send_events(world, stream, id, first, 1, (size_t)(last - first + 1), 4, false);
}

void ww_fragment(struct watch_world *world, struct ww_stream *stream, int64_t id, int64_t revision,
                 size_t count, bool more)
{
    send_events(world, stream, id, revision, 0, count, 4, more);
}

void ww_large(struct watch_world *world, struct ww_stream *stream, int64_t id, int64_t revision, size_t size)
{
    send_events(world, stream, id, revision, 1, 1, size, false);
}

void ww_progress(struct watch_world *world, struct ww_stream *stream, int64_t id, int64_t revision)
{
    Etcd__Pb__WatchResponse response = ETCD__PB__WATCH_RESPONSE__INIT;

    response.watch_id = id;
    send_response(world, stream, &response, revision);
}

void ww_message(struct watch_world *world, struct ww_stream *stream, const void *data, size_t len)
{
    h2_reply_message(stream->h2, data, len);
    push_all(world);
}

void ww_garbage(struct watch_world *world, struct ww_stream *stream)
{
    ww_message(world, stream, "\xff\xff\xff", 3);
}

void ww_status(struct watch_world *world, struct ww_stream *stream, int code, const char *message)
{
    h2_reply_status(stream->h2, code, message);
    push_all(world);
}

/* ---- one world at a time --------------------------------------------------------------------------- */

struct watch_world ww;

int ww_set_up(void **state)
{
    (void)state;
    ww_open(&ww, NULL);
    return 0;
}

int ww_tear_down(void **state)
{
    (void)state;
    ww_close(&ww);
    assert_int_equal(alloc_live(), 0);
    return 0;
}

etcd_watch *ww_watch(const char *key, int64_t start_revision)
{
    etcd_watch *watch = NULL;
    etcd_error err;

    if (etcd_watch_open(ww.client, etcd_cstr(key), ETCD_WATCH_OPTS(.start_revision = start_revision), &watch,
                        &err) != ETCD_OK)
        fail_msg("%s", err.message);
    return watch;
}

etcd_status ww_look(etcd_watch *watch, etcd_events **ret_events, etcd_error *err)
{
    *ret_events = NULL;
    return etcd_watch_next(watch, 0, ret_events, err);
}

void ww_expect_nothing(etcd_watch *watch)
{
    etcd_events *events;
    etcd_error err;

    assert_int_equal(ww_look(watch, &events, &err), ETCD_E_DEADLINE);
}

void ww_expect_end(etcd_watch *watch, etcd_status wanted, const char *text)
{
    etcd_events *events;
    etcd_error err;

    assert_int_equal(ww_look(watch, &events, &err), wanted);
    assert_non_null(strstr(err.message, text));
}

void ww_expect_batch(etcd_watch *watch, int64_t first, int64_t last)
{
    etcd_events *events;
    etcd_error err;

    assert_int_equal(ww_look(watch, &events, &err), ETCD_OK);
    assert_int_equal(etcd_events_at(events, 0)->kv.mod_revision, first);
    assert_int_equal(etcd_events_at(events, etcd_events_count(events) - 1)->kv.mod_revision, last);
    etcd_events_free(events);
}
