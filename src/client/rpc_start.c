/* SPDX-License-Identifier: Apache-2.0 */
/* How a call begins: checked, encoded, counted, handed to the engine. */
#include "client/rpc_core.h"

#include <assert.h>
#include <inttypes.h>

/* ---- how many there may be ------------------------------------------------------------------------------
 */

/* Without the frame around it. */
static size_t message_len(const struct etcd__rpc *rpc)
{
    return rpc->request_len - ETCD__FRAME_HEADER;
}

void etcd__rpc_uncount(struct etcd__rpc *rpc)
{
    struct etcd_client *client = rpc->client;

    if (!rpc->counted)
        return;
    (void)atomic_fetch_sub_explicit(&client->outstanding, 1, memory_order_relaxed);
    (void)atomic_fetch_sub_explicit(&client->outstanding_bytes, message_len(rpc), memory_order_relaxed);
    rpc->counted = false;
}

static bool count_bytes(struct etcd_client *client, size_t len)
{
    size_t max = client->config.max_outstanding_bytes;
    size_t now = atomic_load_explicit(&client->outstanding_bytes, memory_order_relaxed);

    /* Never above the limit, not even for a moment: it would refuse a call that fits. */
    do {
        if (len > max || now > max - len)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&client->outstanding_bytes, &now, now + len,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

static etcd_status fail_busy(const struct etcd__rpc *rpc, etcd_error *reterr)
{
    (void)etcd__fail(reterr, ETCD_E_BUSY, "%s: client '%s' has %u calls under way, its limit",
                     rpc->kind->method.name, etcd__client_label(rpc->client),
                     rpc->client->config.max_outstanding);
    if (reterr != NULL)
        reterr->flags |= ETCD_ERROR_RETRYABLE;
    return ETCD_E_BUSY;
}

static etcd_status fail_too_much(const struct etcd__rpc *rpc, etcd_error *reterr)
{
    (void)etcd__fail(
        reterr, ETCD_E_BUSY,
        "%s: client '%s': %zu bytes more would be above its limit of %zu bytes of requests under way",
        rpc->kind->method.name, etcd__client_label(rpc->client), message_len(rpc),
        rpc->client->config.max_outstanding_bytes);
    if (reterr != NULL)
        reterr->flags |= ETCD_ERROR_RETRYABLE;
    return ETCD_E_BUSY;
}

/* Makes room for the call, or refuses it. */
static etcd_status count(struct etcd__rpc *rpc, etcd_error *reterr)
{
    const struct etcd__client_config *config = &rpc->client->config;
    atomic_uint *outstanding = &rpc->client->outstanding;

    if (atomic_fetch_add_explicit(outstanding, 1, memory_order_relaxed) >= config->max_outstanding) {
        (void)atomic_fetch_sub_explicit(outstanding, 1, memory_order_relaxed);
        return fail_busy(rpc, reterr);
    }
    if (!count_bytes(rpc->client, message_len(rpc))) {
        (void)atomic_fetch_sub_explicit(outstanding, 1, memory_order_relaxed);
        return fail_too_much(rpc, reterr);
    }
    rpc->counted = true;
    return ETCD_OK;
}

/* ---- starting -------------------------------------------------------------------------------------- */

static bool pack_inside(struct etcd__rpc *rpc, const ProtobufCMessage *request, size_t *ret_len)
{
    struct etcd__arena arena = {0};
    const ProtobufCMessage *inside = rpc->kind->scope->enter(rpc->client->config.key_namespace, request,
                                                             &arena);
    bool packed = inside != NULL &&
                  etcd__wire_pack(inside, ETCD__FRAME_HEADER, &rpc->request, ret_len) == ETCD_OK;

    etcd__arena_deinit(&arena);
    return packed;
}

static bool pack(struct etcd__rpc *rpc, const ProtobufCMessage *request, size_t *ret_len)
{
    const struct etcd__scope *scope = rpc->kind->scope;

    if (scope != NULL && scope->enter != NULL && rpc->client->config.key_namespace.len > 0)
        return pack_inside(rpc, request, ret_len);
    return etcd__wire_pack(request, ETCD__FRAME_HEADER, &rpc->request, ret_len) == ETCD_OK;
}

static etcd_status encode(struct etcd__rpc *rpc, const ProtobufCMessage *request, etcd_error *reterr)
{
    size_t max = rpc->client->config.max_send_bytes;

    size_t len;

    if (!pack(rpc, request, &len))
        return etcd__fail_memory(reterr);
    rpc->request_len = len + ETCD__FRAME_HEADER;
    if (len <= max)
        return ETCD_OK;
    return etcd__fail(reterr, ETCD_E_TOO_LARGE, "%s: the request has %zu bytes, max_send_bytes is %zu",
                      rpc->kind->method.name, len, max);
}

etcd_status etcd__rpc_deadline(const struct etcd_client *client, const char *what, int64_t timeout_ms,
                               int64_t *ret_deadline_ms, etcd_error *reterr)
{
    if (timeout_ms < 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: timeout_ms is %" PRId64, what, timeout_ms);
    if (timeout_ms == 0)
        timeout_ms = client->config.timeout_ms;
    *ret_deadline_ms = etcd__loop_after_ms(client->loop, timeout_ms);
    return ETCD_OK;
}

static etcd_status bind_to(struct etcd__rpc *rpc, const char *endpoint, etcd_error *reterr)
{
    etcd_status st;

    if (endpoint == NULL)
        return ETCD_OK;
    rpc->only = ETCD__NEW(struct etcd__endpoint);
    if (rpc->only == NULL)
        return etcd__fail_memory(reterr);
    st = etcd__endpoint_parse(endpoint, rpc->only, reterr);
    if (st != ETCD_OK)
        etcd__error_prefix(reterr, "%s", rpc->kind->method.name);
    return st;
}

/* What is bound to one member is about that member, whatever the others say. */
static void choose_way(struct etcd__rpc *rpc, const struct etcd__rpc_options *options)
{
    const struct etcd__client_config *config = &rpc->client->config;
    bool needs_leader = rpc->kind->needs_leader && !options->serializable;

    rpc->require_leader = rpc->kind->method.streaming;
    if (options->endpoint != NULL)
        return;
    rpc->require_leader = rpc->require_leader || needs_leader || config->require_leader;
    if (needs_leader && config->prefer == ETCD_PREFER_LEADER)
        rpc->route = ETCD__ROUTE_LEADER;
    else if (options->serializable && config->prefer == ETCD_PREFER_NEAREST)
        rpc->route = ETCD__ROUTE_NEAREST;
}

static etcd_status new_rpc(struct etcd_client *client, const struct etcd__rpc_kind *kind,
                           const ProtobufCMessage *request, const struct etcd__rpc_options *options,
                           struct etcd__rpc **ret_rpc, etcd_error *reterr)
{
    struct etcd__rpc *rpc = ETCD__NEW(struct etcd__rpc);
    etcd_status st;

    if (rpc == NULL)
        return etcd__fail_memory(reterr);
    etcd__client_ref(client);
    rpc->client = client;
    rpc->kind = kind;
    rpc->idempotent = options->idempotent;
    rpc->fail_fast = options->fail_fast;
    rpc->in_wait = options->in_wait;
    choose_way(rpc, options);
    etcd__rpc_init(rpc, options->on_done, options->user_data);
    st = etcd__rpc_deadline(client, kind->method.name, options->timeout_ms, &rpc->deadline_ms, reterr);
    if (st == ETCD_OK)
        st = bind_to(rpc, options->endpoint, reterr);
    if (st == ETCD_OK)
        st = encode(rpc, request, reterr);
    if (st != ETCD_OK) {
        etcd__rpc_discard(rpc);
        return st;
    }
    *ret_rpc = rpc;
    return ETCD_OK;
}

etcd_status etcd__rpc_check(struct etcd_client *client, const char *what, bool blocking, etcd_error *reterr)
{
    etcd_status st = etcd__client_check(client, reterr);

    if (st == ETCD_OK && blocking && etcd__loop_would_deadlock(client->loop))
        return etcd__fail(reterr, ETCD_E_WOULD_DEADLOCK,
                          "%s: a blocking call inside a callback of the same loop", what);
    return st;
}

etcd_status etcd__rpc_start(struct etcd_client *client, const struct etcd__rpc_kind *kind,
                            const ProtobufCMessage *request, const struct etcd__rpc_options *options,
                            struct etcd_op **ret_op, etcd_error *reterr)
{
    struct etcd__rpc *rpc = NULL;
    etcd_status st = etcd__rpc_check(client, kind->method.name, options->blocking, reterr);

    if (st == ETCD_OK)
        st = new_rpc(client, kind, request, options, &rpc, reterr);
    if (st != ETCD_OK)
        return st;
    st = count(rpc, reterr);
    if (st != ETCD_OK) {
        etcd__rpc_discard(rpc);
        return st;
    }
    if (ret_op != NULL) {
        etcd__op_ref(&rpc->op);
        *ret_op = &rpc->op;
    }
    if (options->blocking)
        etcd__loop_post_and_pump(client->loop, &rpc->submit);
    else
        etcd__loop_post(client->loop, &rpc->submit);
    return ETCD_OK;
}

/* The engine ends every call by its deadline; should its thread be held up, the caller goes all the same. */
static etcd_status wait_for(struct etcd__rpc *rpc, etcd_error *reterr)
{
    etcd_status st = etcd__op_wait_overdue(&rpc->op, rpc->deadline_ms, rpc->kind->method.name, reterr);

    if (st != ETCD_E_DEADLINE && st != ETCD_E_IO)
        return st;
    etcd__error_prefix(reterr, "client '%s'", etcd__client_label(rpc->client));
    if (reterr != NULL)
        reterr->flags |= etcd__rpc_flags(rpc, true, rpc->kind->writes);
    return st;
}

etcd_status etcd__rpc_finish(etcd_status started, struct etcd_op *op, void **ret_result, etcd_error *reterr)
{
    etcd_status st;

    if (started != ETCD_OK)
        return started;
    st = wait_for(ETCD__CONTAINER(op, struct etcd__rpc, op), reterr);
    if (st == ETCD_OK)
        st = etcd__op_take(op, op->kind, ret_result, reterr);
    etcd_op_free(op);
    return st;
}

etcd_status etcd__rpc_run(struct etcd_client *client, const struct etcd__rpc_kind *kind,
                          const ProtobufCMessage *request, const struct etcd__rpc_options *options,
                          etcd__rpc_done_fn *done, void *user, struct etcd__rpc **ret_rpc, etcd_error *reterr)
{
    struct etcd__rpc *rpc = NULL;
    etcd_status st;

    assert(!client->torn_down);
    st = new_rpc(client, kind, request, options, &rpc, reterr);
    if (st != ETCD_OK)
        return st;
    rpc->done = done;
    rpc->done_user = user;
    *ret_rpc = rpc;
    etcd__rpc_begin(rpc);
    return ETCD_OK;
}
