/* SPDX-License-Identifier: Apache-2.0 */
#include "client/sync.h"

#include "client/client.h"
#include "client/results.h"
#include "client/rpc.h"
#include "wire/codec.h"
#include "wire/messages.h"

enum { SYNC_TIMEOUT_MS = 5000 };

/* The endpoints that members advertise: what the member list decodes to. */
struct member_endpoints {
    struct etcd__endpoint *list;
    size_t count;
};

static void free_endpoints(void *result)
{
    struct member_endpoints *endpoints = result;

    for (size_t i = 0; i < endpoints->count; i++)
        etcd__endpoint_deinit(&endpoints->list[i]);
    etcd__free(endpoints->list);
    etcd__free(endpoints);
}

/* ---- the answer ------------------------------------------------------------------------------------ */

/* Has not started, or may not serve. */
static bool skip(const Etcd__Pb__Member *member)
{
    return member->name[0] == '\0' || member->is_learner;
}

static size_t count_urls(const Etcd__Pb__MemberListResponse *answer)
{
    size_t count = 0;

    for (size_t i = 0; i < answer->n_members; i++)
        count += skip(answer->members[i]) ? 0 : answer->members[i]->n_client_urls;
    return count;
}

static etcd_status add_member(struct member_endpoints *endpoints, const Etcd__Pb__Member *member,
                              etcd_error *reterr)
{
    for (size_t i = 0; i < member->n_client_urls; i++) {
        etcd_status st = etcd__endpoint_parse(member->client_urls[i], &endpoints->list[endpoints->count],
                                              reterr);

        if (st == ETCD_E_NO_MEMORY)
            return st;
        if (st == ETCD_OK)
            endpoints->count++; /* an address that makes no sense is left out; the others serve */
    }
    return ETCD_OK;
}

static etcd_status collect(const Etcd__Pb__MemberListResponse *answer, struct member_endpoints *endpoints,
                           etcd_error *reterr)
{
    etcd_status st = ETCD_OK;
    size_t count = count_urls(answer);

    if (count == 0)
        return etcd__fail(reterr, ETCD_E_UNAVAILABLE, "no member advertises an address for clients");
    endpoints->list = etcd__calloc(count, sizeof(*endpoints->list));
    if (endpoints->list == NULL)
        return etcd__fail_memory(reterr);
    for (size_t i = 0; i < answer->n_members && st == ETCD_OK; i++) {
        if (!skip(answer->members[i]))
            st = add_member(endpoints, answer->members[i], reterr);
    }
    if (st == ETCD_OK && endpoints->count == 0)
        st = etcd__fail(reterr, ETCD_E_UNAVAILABLE, "no address that members advertise can be used");
    return st;
}

static etcd_status decode(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena = {0};
    struct member_endpoints *endpoints;
    Etcd__Pb__MemberListResponse *answer;
    etcd_status st;

    answer = etcd__wire_unpack(&etcd__pb__member_list_response__descriptor, &arena, data, len, &st);
    endpoints = answer == NULL ? NULL : ETCD__NEW(struct member_endpoints);
    if (answer == NULL)
        st = etcd__fail_decode(reterr, st);
    else if (endpoints == NULL)
        st = etcd__fail_memory(reterr);
    else
        st = collect(answer, endpoints, reterr);
    etcd__arena_deinit(&arena);
    if (st == ETCD_OK)
        *ret_result = endpoints;
    else if (endpoints != NULL)
        free_endpoints(endpoints);
    return st;
}

static const struct etcd__rpc_kind member_list_kind = {
    .method = {"/etcdserverpb.Cluster/MemberList", "sync", false},
    .repeatable = true,
    .decode = decode,
    .free_result = free_endpoints,
};

/* ---- by the clock ---------------------------------------------------------------------------------- */

static void arm(struct etcd__sync *sync)
{
    struct etcd__reactor *reactor = etcd__client_reactor(sync->client);

    etcd__timer_arm(reactor, &sync->timer, reactor->now_ms + sync->interval_ms);
}

static void warn_once(struct etcd__sync *sync, const etcd_error *err)
{
    if (!sync->warned)
        etcd__log(&sync->client->log, ETCD_LOG_WARN, "sync",
                  "client '%s': the endpoints stay as they are: %s", etcd__client_label(sync->client),
                  err->message);
    sync->warned = true;
}

static void on_members(void *user, etcd_status status, void *result, const etcd_error *err)
{
    struct etcd__sync *sync = user;
    struct member_endpoints *endpoints = result;
    etcd_error own;

    sync->rpc = NULL;
    if (status == ETCD_OK)
        status = etcd__client_use_endpoints(sync->client, endpoints->list, endpoints->count, &own);
    else
        own = *err;
    if (status != ETCD_OK)
        warn_once(sync, &own);
    else
        sync->warned = false;
    if (endpoints != NULL)
        free_endpoints(endpoints);
    arm(sync);
}

static void on_timer(struct etcd__timer *timer)
{
    struct etcd__sync *sync = ETCD__CONTAINER(timer, struct etcd__sync, timer);
    Etcd__Pb__MemberListRequest request = ETCD__PB__MEMBER_LIST_REQUEST__INIT;
    const struct etcd__rpc_options options = {.timeout_ms = SYNC_TIMEOUT_MS};
    etcd_error err;

    request.linearizable = true;
    if (etcd__rpc_run(sync->client, &member_list_kind, &request.base, &options, on_members, sync, &sync->rpc,
                      &err) == ETCD_OK)
        return;
    warn_once(sync, &err);
    arm(sync);
}

void etcd__sync_start(struct etcd__sync *sync, struct etcd_client *client, int64_t interval_ms)
{
    sync->client = client;
    sync->interval_ms = interval_ms;
    sync->timer.on_expire = on_timer;
    if (interval_ms > 0)
        arm(sync);
}

void etcd__sync_stop(struct etcd__sync *sync)
{
    etcd__timer_disarm(etcd__client_reactor(sync->client), &sync->timer);
    etcd__rpc_abort(sync->rpc);
    sync->rpc = NULL;
}

/* ---- on request ------------------------------------------------------------------------------------ */

struct apply {
    struct etcd_client *client;
    struct member_endpoints *endpoints;
    etcd_error *reterr;
    etcd_status status;
};

static void apply_in_engine(void *arg)
{
    struct apply *apply = arg;

    if (apply->client->torn_down)
        apply->status = etcd__fail(apply->reterr, ETCD_E_CLOSED, "sync: the client was closed");
    else
        apply->status = etcd__client_use_endpoints(apply->client, apply->endpoints->list,
                                                   apply->endpoints->count, apply->reterr);
}

etcd_status etcd_client_sync(etcd_client *client, int64_t timeout_ms, etcd_error *reterr)
{
    Etcd__Pb__MemberListRequest request = ETCD__PB__MEMBER_LIST_REQUEST__INIT;
    struct apply apply = {.client = client, .reterr = reterr};
    etcd_op *op = NULL;
    void *result = NULL;
    etcd_status st;

    request.linearizable = true;
    st = etcd__rpc_start(client, &member_list_kind, &request.base,
                         &(struct etcd__rpc_options){.timeout_ms = timeout_ms, .blocking = true}, &op,
                         reterr);
    st = etcd__rpc_finish(st, op, &result, reterr);
    if (st != ETCD_OK)
        return st;
    apply.endpoints = result;
    etcd__loop_run(client->loop, apply_in_engine, &apply);
    free_endpoints(result);
    return apply.status;
}
