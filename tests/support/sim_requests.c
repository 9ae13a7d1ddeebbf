/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of the simulated cluster, and what becomes of it. */
#include "support/sim_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CODE_INVALID_ARGUMENT = 3, CODE_EXHAUSTED = 8, CODE_UNAVAILABLE = 14, CODE_UNAUTHENTICATED = 16 };
enum { H2_INTERNAL = 2, H2_REFUSED = 7, H2_CANCEL = 8, SERVER_TIMEOUT_MS = 7000 };

static void *must(void *ptr)
{
    if (ptr == NULL)
        abort();
    return ptr;
}

/* ---- requests -------------------------------------------------------------------------------------- */

const char *sim_token_refusal(struct sim_cluster *cluster, const struct h2_server_stream *stream, int *code)
{
    const char *token = h2_server_field(stream, "token");
    unsigned number = 0;

    *code = CODE_INVALID_ARGUMENT;
    if (!cluster->auth)
        return NULL;
    if (token == NULL)
        return "etcdserver: user name is empty";
    *code = CODE_UNAUTHENTICATED;
    if (sscanf(token, "sim.%u", &number) != 1 || number <= cluster->expired_tokens)
        return "etcdserver: invalid auth token";
    return NULL;
}

static bool is_alone(const char *method, const uint8_t *data, size_t len)
{
    Etcd__Pb__RangeRequest *range;
    bool alone;

    if (strcmp(method, "Range") != 0)
        return strcmp(method, "MemberList") == 0 || strcmp(method, "Status") == 0;
    range = must(etcd__pb__range_request__unpack(NULL, len, data));
    alone = range->serializable;
    etcd__pb__range_request__free_unpacked(range, NULL);
    return alone;
}

void sim_request_add(struct sim_line *line, const struct h2_server_stream *stream, const uint8_t *data,
                     size_t len)
{
    struct sim_cluster *cluster = line->member->cluster;
    struct sim_request *request = must(calloc(1, sizeof(*request))), **place = &cluster->requests;
    bool streamed = sim_is_method(stream, "LeaseKeepAlive");

    *request = (struct sim_request){.member = line->member, .line = line, .stream = stream->id, .len = len};
    request->arrived_ms = sim_cluster_now(cluster);
    request->due_ms = request->arrived_ms +
                      (streamed ? 0 : (int64_t)sim_cluster_pick(cluster, (uint64_t)cluster->latency_ms + 1));
    (void)snprintf(request->method, sizeof(request->method), "%s",
                   sim_last_name(h2_server_field(stream, ":path")));
    request->data = must(malloc(len + 1));
    memcpy(request->data, data, len);
    request->alone = is_alone(request->method, data, len);
    if (cluster->faults && sim_cluster_pick(cluster, 12) == 0)
        request->fate = (enum sim_fate)sim_cluster_pick(cluster, FATES);
    if (cluster->lost != NULL && strcmp(cluster->lost, request->method) == 0) {
        cluster->lost = NULL;
        request->fate = SILENT_AFTER;
    }
    while (*place != NULL)
        place = &(*place)->next;
    *place = request;
}

void sim_request_drop(struct sim_request *request)
{
    struct sim_request **place = &request->member->cluster->requests;

    while (*place != request)
        place = &(*place)->next;
    *place = request->next;
    free(request->data);
    free(request);
}

static struct fake_answer_bytes authenticate(struct sim_cluster *cluster)
{
    Etcd__Pb__AuthenticateResponse response = ETCD__PB__AUTHENTICATE_RESPONSE__INIT;
    char token[32];

    (void)snprintf(token, sizeof(token), "sim.%u", ++cluster->tokens);
    response.token = token;
    return sim_pack(&response.base);
}

static struct fake_answer_bytes list_members(struct sim_member *member)
{
    Etcd__Pb__MemberListResponse response = ETCD__PB__MEMBER_LIST_RESPONSE__INIT;
    Etcd__Pb__Member members[SIM_MEMBERS], *list[SIM_MEMBERS];
    Etcd__Pb__ResponseHeader header;
    char urls[SIM_MEMBERS][32], *url_list[SIM_MEMBERS];

    for (size_t i = 0; i < member->cluster->member_count; i++) {
        (void)snprintf(urls[i], sizeof(urls[i]), "http://192.0.2.%zu:2379", i + 1);
        etcd__pb__member__init(&members[i]);
        members[i].id = SIM_FIRST_MEMBER_ID + i;
        members[i].name = urls[i];
        url_list[i] = urls[i];
        members[i].client_urls = &url_list[i];
        members[i].n_client_urls = 1;
        list[i] = &members[i];
    }
    response.members = list;
    response.n_members = member->cluster->member_count;
    sim_header(member->cluster->store, &member->view, &header);
    response.header = &header;
    return sim_pack(&response.base);
}

static struct fake_answer_bytes renew(struct sim_request *request)
{
    struct sim_member *member = request->member;
    Etcd__Pb__LeaseKeepAliveRequest *message =
        must(etcd__pb__lease_keep_alive_request__unpack(NULL, request->len, request->data));
    Etcd__Pb__LeaseKeepAliveResponse response = ETCD__PB__LEASE_KEEP_ALIVE_RESPONSE__INIT;
    Etcd__Pb__ResponseHeader header;

    response.id = message->id;
    response.ttl = sim_store_renew(member->cluster->store, message->id);
    sim_header(member->cluster->store, &member->view, &header);
    response.header = &header;
    etcd__pb__lease_keep_alive_request__free_unpacked(message, NULL);
    return sim_pack(&response.base);
}

static struct fake_answer_bytes carry_out(struct sim_request *request)
{
    struct sim_cluster *cluster = request->member->cluster;
    struct fake_answer_bytes answer;

    if (strcmp(request->method, "Authenticate") == 0)
        return authenticate(cluster);
    if (strcmp(request->method, "MemberList") == 0)
        return list_members(request->member);
    if (strcmp(request->method, "LeaseKeepAlive") == 0)
        return renew(request);
    if (!request->alone) {
        sim_store_expire(cluster->store);
        sim_catch_up(request->member);
    }
    answer = sim_store_call(cluster->store, &request->member->view, request->method, request->data,
                            request->len);
    if (!request->alone)
        sim_catch_up(request->member);
    return answer;
}

static void answer(struct sim_request *request, struct h2_server_stream *stream,
                   const struct fake_answer_bytes *bytes)
{
    if (bytes->code == 0)
        h2_reply_message(stream, bytes->data, bytes->len);
    if (bytes->code != 0 || strcmp(request->method, "LeaseKeepAlive") != 0)
        h2_reply_status(stream, bytes->code, bytes->message);
}

/* Says that this request and later ones were not looked at; then they must not be. */
static void go_away_before(struct sim_line *line, struct h2_server_stream *stream)
{
    if (line->carried_out >= stream->id) {
        h2_reply_reset(stream, H2_REFUSED);
        return;
    }
    for (struct sim_request *request = line->member->cluster->requests; request != NULL;
         request = request->next) {
        if (request->line == line && request->stream >= stream->id)
            request->fate = SILENT_BEFORE;
    }
    h2_server_goaway(line->server, stream->id > 2 ? stream->id - 2 : 0, 0, "");
}

/* Accidents; the answer, if there is one, is dropped. */
static void end_badly(struct sim_request *request, struct h2_server_stream *stream)
{
    struct sim_line *line = request->line;

    switch (request->fate) {
    case REFUSED_STREAM:
        h2_reply_reset(stream, H2_REFUSED);
        break;
    case GOAWAY_WITHOUT:
        go_away_before(line, stream);
        break;
    case NO_LEADER:
        h2_reply_status(stream, CODE_UNAVAILABLE, "etcdserver: no leader");
        break;
    case TOO_MANY:
        h2_reply_status(stream, CODE_EXHAUSTED, "etcdserver: too many requests");
        break;
    case RESET_BEFORE:
    case RESET_AFTER:
        h2_reply_reset(stream, sim_cluster_pick(line->member->cluster, 2) == 0 ? H2_INTERNAL : H2_CANCEL);
        break;
    case TIMED_OUT_BEFORE:
    case TIMED_OUT_AFTER:
        h2_reply_status(stream, CODE_UNAVAILABLE,
                        "etcdserver: request timed out, possibly due to previous leader failure");
        break;
    case CUT_BEFORE:
    case CUT_AFTER:
        sim_line_cut(line);
        break;
    default: /* silent */
        break;
    }
}

static void finish(struct sim_request *request)
{
    struct sim_line *line = request->line;
    struct h2_server_stream *stream = line == NULL ? NULL : sim_find_stream(line, request->stream);
    bool before = request->fate >= REFUSED_STREAM && request->fate <= SILENT_BEFORE;
    struct fake_answer_bytes bytes = {.data = NULL};

    sim_cluster_trace(request->member->cluster, request->method, request->member);
    if (!before && line != NULL && line->carried_out < request->stream)
        line->carried_out = request->stream;
    if (!before)
        bytes = carry_out(request);
    if (stream != NULL && (request->fate == ANSWERED || request->fate == CUT_INSIDE))
        answer(request, stream, &bytes);
    else if (stream != NULL)
        end_badly(request, stream);
    if (stream != NULL && request->fate == CUT_INSIDE)
        sim_line_cut_inside(line);
    if (line != NULL && line->server != NULL)
        sim_line_push(line);
    free(bytes.data);
    sim_request_drop(request);
}

/* The server gives up: the proposal may yet come true. */
static void give_up(struct sim_request *request)
{
    struct sim_cluster *cluster = request->member->cluster;
    struct h2_server_stream *stream = NULL;

    if (request->line != NULL)
        stream = sim_find_stream(request->line, request->stream);
    if (stream != NULL) {
        h2_reply_status(stream, CODE_UNAVAILABLE, "etcdserver: request timed out");
        sim_line_push(request->line);
    }
    if (sim_cluster_pick(cluster, 2) == 0 || strcmp(request->method, "LeaseKeepAlive") == 0) {
        sim_request_drop(request);
        return;
    }
    if (request->line != NULL && request->line->carried_out < request->stream)
        request->line->carried_out = request->stream;
    request->line = NULL;
}

/* Whether it is over. */
static bool try_request(struct sim_request *request)
{
    struct sim_cluster *cluster = request->member->cluster;
    int64_t at = cluster->store->now_ms;

    if (request->due_ms > at || (request->member->stopped && request->line != NULL))
        return false;
    if (request->alone || request->line == NULL) {
        if (!request->alone && cluster->election_ms != 0)
            return false;
    } else if (!sim_has_leader(request->member) || sim_lags(request->member)) {
        if (at - request->arrived_ms < SERVER_TIMEOUT_MS)
            return false;
        give_up(request);
        return true;
    }
    finish(request);
    return true;
}

void sim_requests_run(struct sim_cluster *cluster)
{
    bool again = true;

    /* Each that ends may take others with it; begin anew. */
    while (again) {
        again = false;
        for (struct sim_request *request = cluster->requests; request != NULL && !again;
             request = request->next)
            again = try_request(request);
    }
}
