/* SPDX-License-Identifier: Apache-2.0 */
#include "client/sync.h"

#include "client/client.h"
#include "client/errors.h"
#include "client/members.h"
#include "client/rpc.h"
#include "wire/messages.h"

enum { SYNC_TIMEOUT_MS = 5000 };

static const struct etcd__rpc_kind member_list_kind = {
    .method = {"/etcdserverpb.Cluster/MemberList", "sync", false},
    .repeatable = true,
    .decode = etcd__members_decode,
    .free_result = etcd__members_release,
};

/* ---- from members to endpoints --------------------------------------------------------------------- */

/* Has not started, or may not serve. */
static bool skip(const etcd_member *member)
{
    return member->name[0] == '\0' || member->is_learner;
}

static size_t count_urls(const struct etcd_members_result *members)
{
    size_t count = 0;

    for (size_t i = 0; i < members->count; i++) {
        const char *const *url = members->members[i].client_urls;

        while (!skip(&members->members[i]) && *url != NULL) {
            url++;
            count++;
        }
    }
    return count;
}

static etcd_status add_member(struct etcd__endpoints *endpoints, const etcd_member *member,
                              etcd_error *reterr)
{
    for (const char *const *url = member->client_urls; *url != NULL; url++) {
        etcd_status st = etcd__endpoint_parse(*url, &endpoints->list[endpoints->count], reterr);

        if (st == ETCD_E_NO_MEMORY)
            return st;
        if (st == ETCD_OK)
            endpoints->count++; /* an address that makes no sense is left out; the others serve */
    }
    return ETCD_OK;
}

static etcd_status collect(const struct etcd_members_result *members, struct etcd__endpoints *endpoints,
                           etcd_error *reterr)
{
    etcd_status st = ETCD_OK;
    size_t count = count_urls(members);

    if (count == 0)
        return etcd__fail(reterr, ETCD_E_UNAVAILABLE, "no member advertises an address for clients");
    endpoints->list = etcd__calloc(count, sizeof(*endpoints->list));
    if (endpoints->list == NULL)
        return etcd__fail_memory(reterr);
    for (size_t i = 0; i < members->count && st == ETCD_OK; i++) {
        if (!skip(&members->members[i]))
            st = add_member(endpoints, &members->members[i], reterr);
    }
    if (st == ETCD_OK && endpoints->count == 0)
        st = etcd__fail(reterr, ETCD_E_UNAVAILABLE, "no address that members advertise can be used");
    return st;
}

/* The endpoints that these members advertise become the client's. */
static etcd_status use_members(struct etcd_client *client, const struct etcd_members_result *members,
                               etcd_error *reterr)
{
    struct etcd__endpoints endpoints = {.list = NULL};
    etcd_status st = collect(members, &endpoints, reterr);

    if (st == ETCD_OK)
        st = etcd__client_use_endpoints(client, &endpoints, reterr);
    etcd__endpoints_deinit(&endpoints);
    if (st == ETCD_OK)
        return ETCD_OK;
    etcd__error_prefix(reterr, "sync: client '%s'", etcd__client_label(client));
    if (reterr != NULL && etcd__status_retryable(st))
        reterr->flags |= ETCD_ERROR_RETRYABLE;
    return st;
}

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
    etcd_error own;

    sync->rpc = NULL;
    if (status == ETCD_OK)
        status = use_members(sync->client, result, &own);
    else
        own = *err;
    if (status != ETCD_OK)
        warn_once(sync, &own);
    else
        sync->warned = false;
    etcd_members_result_free(result);
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
    etcd_members_result *members;
    etcd_error *reterr;
    etcd_status status;
};

static void apply_in_engine(void *arg)
{
    struct apply *apply = arg;

    if (apply->client->torn_down)
        apply->status = etcd__fail(apply->reterr, ETCD_E_CLOSED, "sync: the client was closed");
    else
        apply->status = use_members(apply->client, apply->members, apply->reterr);
}

etcd_status etcd_client_sync(etcd_client *client, int64_t timeout_ms, etcd_error *reterr)
{
    Etcd__Pb__MemberListRequest request = ETCD__PB__MEMBER_LIST_REQUEST__INIT;
    struct etcd__rpc_options how = etcd__rpc_blocking();
    struct apply apply = {.client = client, .reterr = reterr};
    etcd_op *op = NULL;
    void *result = NULL;
    etcd_status st;

    request.linearizable = true;
    how.timeout_ms = timeout_ms;
    st = etcd__rpc_start(client, &member_list_kind, &request.base, &how, &op, reterr);
    st = etcd__rpc_finish(st, op, &result, reterr);
    if (st != ETCD_OK)
        return st;
    apply.members = result;
    etcd__loop_run(client->loop, apply_in_engine, &apply);
    etcd_members_result_free(result);
    return apply.status;
}
