/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sim_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CODE_UNAVAILABLE = 14 };
enum { LEADER_LOSS_MS = 3000, EXTEND_MS = 1000 };

static void *must(void *ptr)
{
    if (ptr == NULL)
        abort();
    return ptr;
}

/* splitmix64, as fake_env.c has it. */
uint64_t sim_chance(uint64_t *chance, uint64_t n)
{
    uint64_t z = *chance += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % n;
}

uint64_t sim_cluster_pick(struct sim_cluster *cluster, uint64_t n)
{
    return sim_chance(&cluster->chance, n);
}

int64_t sim_cluster_now(struct sim_cluster *cluster)
{
    return cluster->store->now_ms = fake_now(cluster->env);
}

void sim_cluster_trace(struct sim_cluster *cluster, const char *what, const struct sim_member *member)
{
    char text[96];

    if (cluster->trace == NULL)
        return;
    (void)snprintf(text, sizeof(text), "%s, member %d, revision %lld", what,
                   member == NULL ? SIM_NOBODY : (int)(member - cluster->members),
                   (long long)cluster->store->revision);
    cluster->trace(cluster->user, text);
}

/* ---- connections ----------------------------------------------------------------------------------- */

void sim_line_push(struct sim_line *line)
{
    uint8_t buf[4096];
    size_t len;

    if (line->member->stopped)
        return;
    while (line->server != NULL && (len = h2_server_take(line->server, buf, sizeof(buf))) > 0)
        fake_peer_write(line->peer, buf, len);
}

/* Requests that came with it are carried out all the same, or not. */
void sim_line_close(struct sim_line *line)
{
    struct sim_cluster *cluster = line->member->cluster;

    for (struct sim_request *request = cluster->requests; request != NULL; request = request->next) {
        if (request->line != line)
            continue;
        request->line = NULL;
        if (sim_cluster_pick(cluster, 2) == 0)
            request->fate = SILENT_BEFORE;
    }
    h2_server_free(line->server);
    line->server = NULL;
}

void sim_line_cut(struct sim_line *line)
{
    if (line->server == NULL)
        return;
    sim_line_close(line);
    if (sim_cluster_pick(line->member->cluster, 2) == 0)
        fake_peer_reset(line->peer);
    else
        fake_peer_close(line->peer);
}

/* Some of what was to be written still goes out. */
void sim_line_cut_inside(struct sim_line *line)
{
    uint8_t buf[64];
    size_t len = h2_server_take(line->server, buf,
                                1 + (size_t)sim_cluster_pick(line->member->cluster, sizeof(buf)));

    fake_peer_write(line->peer, buf, len);
    sim_line_cut(line);
}

const char *sim_last_name(const char *path)
{
    const char *slash = path == NULL ? NULL : strrchr(path, '/');

    return slash == NULL ? "" : slash + 1;
}

bool sim_is_method(const struct h2_server_stream *stream, const char *name)
{
    return strcmp(sim_last_name(h2_server_field(stream, ":path")), name) == 0;
}

struct h2_server_stream *sim_find_stream(const struct sim_line *line, int32_t id)
{
    struct h2_server_stream *stream = h2_server_streams(line->server);

    while (stream != NULL && stream->id != id)
        stream = stream->next;
    return stream;
}

/* ---- members --------------------------------------------------------------------------------------- */

bool sim_has_leader(struct sim_member *member)
{
    return member->cluster->election_ms == 0 && !member->partitioned;
}

bool sim_lags(struct sim_member *member)
{
    return member->lag_until_ms > member->cluster->store->now_ms;
}

static void deliver(struct sim_member *member)
{
    for (struct sim_line *line = member->cluster->lines; line != NULL; line = line->next) {
        if (line->member != member || line->server == NULL)
            continue;
        for (struct h2_server_stream *stream = h2_server_streams(line->server); stream != NULL;
             stream = stream->next) {
            if (stream->user != NULL)
                sim_watch_deliver(line, stream);
        }
        sim_line_push(line);
    }
}

/* Learns what the others have committed; compactions come after the writes before them. */
void sim_catch_up(struct sim_member *member)
{
    member->view.applied = member->cluster->store->revision;
    deliver(member);
    member->view.compacted = member->cluster->store->compacted;
}

bool sim_wants_leader(const struct h2_server_stream *stream)
{
    const char *wanted = h2_server_field(stream, "hasleader");

    return wanted != NULL && strcmp(wanted, "true") == 0;
}

/* Streams that asked for a leader are ended by a member that has had none for a while. */
static void end_streams_without_leader(struct sim_member *member)
{
    for (struct sim_line *line = member->cluster->lines; line != NULL; line = line->next) {
        if (line->member != member || line->server == NULL)
            continue;
        for (struct h2_server_stream *stream = h2_server_streams(line->server); stream != NULL;
             stream = stream->next) {
            if ((sim_is_method(stream, "Watch") || sim_is_method(stream, "LeaseKeepAlive")) &&
                sim_wants_leader(stream))
                h2_reply_status(stream, CODE_UNAVAILABLE, "etcdserver: no leader");
        }
        sim_line_push(line);
    }
}

static void look_after(struct sim_member *member)
{
    struct sim_cluster *cluster = member->cluster;
    int64_t at = cluster->store->now_ms;

    if (member->down_until_ms != 0 && member->down_until_ms <= at) {
        member->down_until_ms = 0;
        member->host->answer = FAKE_ACCEPT;
    }
    if (sim_has_leader(member))
        member->lost_leader_ms = 0;
    else if (member->lost_leader_ms == 0)
        member->lost_leader_ms = at;
    if (member->stopped)
        return;
    if (member->lost_leader_ms != 0 && at - member->lost_leader_ms > LEADER_LOSS_MS)
        end_streams_without_leader(member);
    if (sim_has_leader(member) && !sim_lags(member))
        sim_catch_up(member);
}

static void on_request(struct h2_server_stream *stream)
{
    if (sim_is_method(stream, "Watch") || sim_is_method(stream, "LeaseKeepAlive"))
        h2_reply_headers(stream);
}

static void on_message(struct h2_server_stream *stream, const uint8_t *data, size_t len)
{
    struct sim_line *line = h2_server_user(stream->server);
    struct sim_cluster *cluster = line->member->cluster;
    const char *refusal;
    int code;

    sim_cluster_now(cluster);
    refusal = sim_token_refusal(cluster, stream, &code);
    if (sim_is_method(stream, "Watch"))
        sim_watch_request(line, stream, refusal, data, len);
    else if (refusal != NULL && !sim_is_method(stream, "Authenticate"))
        h2_reply_status(stream, code, refusal);
    else if (sim_wants_leader(stream) && !sim_has_leader(line->member) &&
             !sim_is_method(stream, "LeaseKeepAlive"))
        h2_reply_status(stream, CODE_UNAVAILABLE, "etcdserver: no leader");
    else
        sim_request_add(line, stream, data, len);
}

static void on_close(struct h2_server_stream *stream, uint32_t error)
{
    (void)error;
    sim_watch_close(stream);
}

static const struct h2_server_ops server_ops = {
    .on_request = on_request,
    .on_message = on_message,
    .on_close = on_close,
};

/* ---- the network ----------------------------------------------------------------------------------- */

static void on_accept(struct fake_peer *peer)
{
    struct sim_member *member = fake_peer_host(peer)->user;
    struct sim_line *line = must(calloc(1, sizeof(*line)));

    *line = (struct sim_line){.member = member, .peer = peer, .next = member->cluster->lines};
    member->cluster->lines = line;
    line->server = h2_server_new(NULL, &server_ops, line);
    sim_line_push(line);
}

void sim_line_read(struct sim_line *line)
{
    uint8_t buf[4096];
    size_t len;

    if (line->member->stopped)
        return;
    while ((len = fake_peer_read(line->peer, buf, sizeof(buf))) > 0) {
        if (line->server != NULL && !h2_server_feed(line->server, buf, len))
            line->member->cluster->broken = "the client broke HTTP/2";
    }
    sim_line_push(line);
    if (line->server != NULL && fake_peer_ended(line->peer))
        sim_line_close(line);
}

static void on_data(struct fake_peer *peer)
{
    struct sim_member *member = fake_peer_host(peer)->user;
    struct sim_line *line = member->cluster->lines;

    while (line != NULL && line->peer != peer)
        line = line->next;
    if (line != NULL)
        sim_line_read(line);
}

static void tick(void *user)
{
    struct sim_cluster *cluster = user;
    int64_t at = sim_cluster_now(cluster);

    if (cluster->election_ms != 0 && cluster->election_ms <= at) {
        cluster->election_ms = 0;
        cluster->store->term++;
        sim_store_extend(cluster->store, EXTEND_MS);
        sim_cluster_trace(cluster, "a leader", NULL);
    }
    if (cluster->election_ms == 0)
        sim_store_expire(cluster->store);
    sim_requests_run(cluster);
    for (size_t i = 0; i < cluster->member_count; i++)
        look_after(&cluster->members[i]);
    if (cluster->on_tick != NULL)
        cluster->on_tick(cluster->user);
    fake_at(cluster->env, at + SIM_TICK_MS, tick, cluster);
}

bool sim_cluster_settled(const struct sim_cluster *cluster)
{
    return cluster->requests == NULL && cluster->election_ms == 0;
}

/* ---- making and freeing ---------------------------------------------------------------------------- */

struct sim_cluster *sim_cluster_new(struct fake_env *env, size_t members, uint64_t seed)
{
    struct sim_cluster *cluster = must(calloc(1, sizeof(*cluster)));

    cluster->env = env;
    cluster->store = sim_store_new();
    cluster->chance = seed;
    cluster->member_count = members;
    for (size_t i = 0; i < members; i++) {
        struct sim_member *member = &cluster->members[i];
        char ip[32], name[32];

        (void)snprintf(ip, sizeof(ip), "192.0.2.%zu", i + 1);
        (void)snprintf(name, sizeof(name), "etcd%zu.example", i + 1);
        fake_name_add(env, name, ip);
        member->cluster = cluster;
        member->view = (struct sim_view){.member_id = SIM_FIRST_MEMBER_ID + i, .applied = 1};
        member->host = fake_host_add(env, ip, 2379);
        member->host->user = member;
        member->host->on_accept = on_accept;
        member->host->on_data = on_data;
    }
    tick(cluster);
    return cluster;
}

void sim_cluster_free(struct sim_cluster *cluster)
{
    while (cluster->lines != NULL) {
        struct sim_line *line = cluster->lines;

        h2_server_free(line->server);
        cluster->lines = line->next;
        free(line);
    }
    while (cluster->requests != NULL)
        sim_request_drop(cluster->requests);
    for (size_t i = 0; i < cluster->member_count; i++)
        cluster->members[i].host->on_accept = cluster->members[i].host->on_data = NULL;
    sim_store_free(cluster->store);
    free(cluster);
}
