/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unary calls about leases.
 *
 * A grant whose id is chosen here can be repeated: nobody else has the id, so "lease already exists" can
 * only mean that an earlier attempt was carried out. The lease is then reported with the TTL that was asked
 * for; servers grant that or more, never less. With an id of the caller's the same answer would prove
 * nothing, so such a grant is repeated only when it provably was not processed.
 */
#include "etcdc/lease.h"

#include "client/client.h"
#include "client/results.h"
#include "client/rpc.h"
#include "wire/bulk.h"
#include "wire/codec.h"
#include "wire/convert.h"

#include <inttypes.h>

struct etcd_ttl_result {
    struct etcd__arena arena;
    int64_t ttl_s, granted_ttl_s;
    etcd_bytes *keys;
    size_t key_count;
};

struct etcd_leases_result {
    size_t count;
    int64_t ids[];
};

/* ---- answers --------------------------------------------------------------------------------------- */

static etcd_status make_lease(int64_t id, int64_t ttl_s, void **ret_result, etcd_error *reterr)
{
    etcd_lease *lease = ETCD__NEW(etcd_lease);

    if (lease == NULL)
        return etcd__fail_memory(reterr);
    *lease = (etcd_lease){.id = id, .ttl_s = ttl_s};
    *ret_result = lease;
    return ETCD_OK;
}

static etcd_status decode_grant(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__wire_lease answer;
    etcd_status st = etcd__wire_read_lease(data, len, &answer);

    if (st != ETCD_OK)
        return etcd__fail_decode(reterr, st);
    if (answer.id == 0 || answer.ttl_s <= 0)
        return etcd__fail(reterr, ETCD_E_PROTOCOL,
                          "the answer has no lease in it: id %" PRId64 ", TTL %" PRId64, answer.id,
                          answer.ttl_s);
    return make_lease(answer.id, answer.ttl_s, ret_result, reterr);
}

static etcd_status decode_grant_request(const uint8_t *data, size_t len, void **ret_result,
                                        etcd_error *reterr)
{
    struct etcd__arena arena = {0};
    const Etcd__Pb__LeaseGrantRequest *request;
    etcd_status st;

    request = etcd__wire_unpack(&etcd__pb__lease_grant_request__descriptor, &arena, data, len, &st);
    if (request == NULL)
        st = etcd__fail_decode(reterr, st);
    else
        st = make_lease(request->id, request->ttl, ret_result, reterr);
    etcd__arena_deinit(&arena);
    return st;
}

static etcd_status make_ttl_result(struct etcd__arena *arena, const Etcd__Pb__LeaseTimeToLiveResponse *answer,
                                   void **ret_result, etcd_error *reterr)
{
    struct etcd_ttl_result *result;

    /* That is how servers say it here; only here. */
    if (answer->ttl < 0)
        return etcd__fail(reterr, ETCD_E_LEASE_NOT_FOUND, "there is no such lease (any more)");
    result = etcd__arena_calloc(arena, 1, sizeof(*result));
    if (result == NULL)
        return etcd__fail_memory(reterr);
    result->keys = etcd__arena_calloc(arena, answer->n_keys, sizeof(*result->keys));
    if (result->keys == NULL)
        return etcd__fail_memory(reterr);
    for (size_t i = 0; i < answer->n_keys; i++)
        result->keys[i] = etcd__wire_bytes(answer->keys[i]);
    result->key_count = answer->n_keys;
    result->ttl_s = answer->ttl;
    result->granted_ttl_s = answer->granted_ttl;
    result->arena = *arena;
    *ret_result = result;
    return ETCD_OK;
}

static etcd_status decode_time_to_live(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena = {0};
    const Etcd__Pb__LeaseTimeToLiveResponse *answer;
    etcd_status st;

    answer = etcd__wire_unpack(&etcd__pb__lease_time_to_live_response__descriptor, &arena, data, len, &st);
    if (answer == NULL)
        st = etcd__fail_decode(reterr, st);
    else
        st = make_ttl_result(&arena, answer, ret_result, reterr);
    if (st != ETCD_OK)
        etcd__arena_deinit(&arena);
    return st;
}

static etcd_status make_leases_result(const Etcd__Pb__LeaseLeasesResponse *answer, void **ret_result,
                                      etcd_error *reterr)
{
    struct etcd_leases_result *result = NULL;

    if (answer->n_leases <= (SIZE_MAX - sizeof(*result)) / sizeof(result->ids[0]))
        result = etcd__malloc(sizeof(*result) + answer->n_leases * sizeof(result->ids[0]));
    if (result == NULL)
        return etcd__fail_memory(reterr);
    result->count = answer->n_leases;
    for (size_t i = 0; i < answer->n_leases; i++)
        result->ids[i] = answer->leases[i]->id;
    *ret_result = result;
    return ETCD_OK;
}

static etcd_status decode_list(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena = {0};
    const Etcd__Pb__LeaseLeasesResponse *answer;
    etcd_status st;

    answer = etcd__wire_unpack(&etcd__pb__lease_leases_response__descriptor, &arena, data, len, &st);
    if (answer == NULL)
        st = etcd__fail_decode(reterr, st);
    else
        st = make_leases_result(answer, ret_result, reterr);
    etcd__arena_deinit(&arena);
    return st;
}

/* Keys of others can hang on the lease: they are left out. */
static etcd_status leave_time_to_live(etcd_bytes space, void *result, etcd_error *reterr)
{
    struct etcd_ttl_result *ttl = result;
    size_t count = 0;

    (void)reterr;
    for (size_t i = 0; i < ttl->key_count; i++) {
        etcd_bytes key = ttl->keys[i];

        if (etcd__namespace_cut(space, &key))
            ttl->keys[count++] = key;
    }
    ttl->key_count = count;
    return ETCD_OK;
}

static const struct etcd__scope ttl_scope = {NULL, leave_time_to_live};

static void release_ttl_result(void *result)
{
    etcd_ttl_result_free(result);
}

/* The id is ours. */
static const struct etcd__rpc_kind grant_kind = {
    .method = {"/etcdserverpb.Lease/LeaseGrant", "lease grant", false},
    .needs_leader = true,
    .repeatable = true,
    .writes = true,
    .decode = decode_grant,
    .free_result = etcd__free,
    .done_before = ETCD_E_EXISTS,
    .decode_request = decode_grant_request,
};

/* The id is the caller's. */
static const struct etcd__rpc_kind grant_given_kind = {
    .method = {"/etcdserverpb.Lease/LeaseGrant", "lease grant", false},
    .needs_leader = true,
    .writes = true,
    .decode = decode_grant,
    .free_result = etcd__free,
};

static const struct etcd__rpc_kind revoke_kind = {
    .method = {"/etcdserverpb.Lease/LeaseRevoke", "lease revoke", false},
    .needs_leader = true,
    .repeatable = true,
    .writes = true,
    .decode = etcd__done_decode,
    .done_before = ETCD_E_LEASE_NOT_FOUND,
};

static const struct etcd__rpc_kind time_to_live_kind = {
    .method = {"/etcdserverpb.Lease/LeaseTimeToLive", "lease time to live", false},
    .needs_leader = true,
    .repeatable = true,
    .decode = decode_time_to_live,
    .free_result = release_ttl_result,
    .scope = &ttl_scope,
};

static const struct etcd__rpc_kind list_kind = {
    .method = {"/etcdserverpb.Lease/LeaseLeases", "lease list", false},
    .repeatable = true,
    .decode = decode_list,
    .free_result = etcd__free,
};

/* ---- what the calls have in common ----------------------------------------------------------------- */

static etcd_status import_opts(const char *what, const etcd_lease_opts *opts, etcd_lease_opts *ret_opts,
                               struct etcd__rpc_options *how, etcd_error *reterr)
{
    etcd_status st = etcd__opts_import(ret_opts, sizeof(*ret_opts), opts, what, reterr);

    how->timeout_ms = ret_opts->timeout_ms;
    how->fail_fast = ret_opts->fail_fast;
    how->in_wait = ret_opts->in_wait;
    return st;
}

static etcd_status check_id(const char *what, int64_t lease_id, etcd_error *reterr)
{
    if (lease_id != 0)
        return ETCD_OK;
    return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: lease_id is 0", what);
}

/* ---- grant ----------------------------------------------------------------------------------------- */

/*
 * Positive, as the ids that servers choose. Counted from a random number on: with 63 bits nobody else comes
 * to the same ones, and asking the kernel for chance each time would be a good part of what a grant costs.
 */
static int64_t choose_id(etcd_client *client)
{
    uint64_t id;

    do {
        id = atomic_fetch_add_explicit(&client->next_lease_id, 1, memory_order_relaxed) & INT64_MAX;
    } while (id == 0);
    return (int64_t)id;
}

static etcd_status start_grant(etcd_client *client, int64_t ttl_s, const etcd_lease_opts *opts,
                               struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__LeaseGrantRequest request = ETCD__PB__LEASE_GRANT_REQUEST__INIT;
    etcd_lease_opts own = ETCD_LEASE_OPTS_INIT;
    etcd_status st = import_opts("lease grant", opts, &own, &how, reterr);

    if (st == ETCD_OK && (ttl_s <= 0 || ttl_s > ETCD_LEASE_TTL_MAX))
        st = etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                        "lease grant: ttl_s is %" PRId64 ", not within 1 .. %" PRId64, ttl_s,
                        ETCD_LEASE_TTL_MAX);
    if (st == ETCD_OK)
        st = etcd__client_check(client, reterr);
    if (st != ETCD_OK)
        return st;
    request.ttl = ttl_s;
    request.id = own.id != 0 ? own.id : choose_id(client);
    return etcd__rpc_start(client, own.id != 0 ? &grant_given_kind : &grant_kind, &request.base, &how, ret_op,
                           reterr);
}

static void hand_over_lease(void *result, etcd_lease *ret_lease)
{
    if (result != NULL)
        *ret_lease = *(const etcd_lease *)result;
    etcd__free(result);
}

etcd_status etcd_lease_grant(etcd_client *client, int64_t ttl_s, const etcd_lease_opts *opts,
                             etcd_lease *ret_lease, etcd_error *reterr)
{
    etcd_op *op = NULL;
    void *result = NULL;
    etcd_status st = start_grant(client, ttl_s, opts, etcd__rpc_blocking(), &op, reterr);

    st = etcd__rpc_finish(st, op, ret_lease == NULL ? NULL : &result, reterr);
    hand_over_lease(result, ret_lease);
    return st;
}

etcd_status etcd_lease_grant_async(etcd_client *client, int64_t ttl_s, const etcd_lease_opts *opts,
                                   etcd_op_fn *on_done, void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_grant(client, ttl_s, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

etcd_status etcd_lease_grant_take(etcd_op *op, etcd_lease *ret_lease, etcd_error *reterr)
{
    const void *kind = op != NULL && op->kind == &grant_given_kind ? &grant_given_kind : &grant_kind;
    void *result = NULL;
    etcd_status st = etcd__op_take(op, kind, ret_lease == NULL ? NULL : &result, reterr);

    hand_over_lease(result, ret_lease);
    return st;
}

/* ---- revoke ---------------------------------------------------------------------------------------- */

static etcd_status start_revoke(etcd_client *client, int64_t lease_id, const etcd_lease_opts *opts,
                                struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__LeaseRevokeRequest request = ETCD__PB__LEASE_REVOKE_REQUEST__INIT;
    etcd_lease_opts own = ETCD_LEASE_OPTS_INIT;
    etcd_status st = import_opts("lease revoke", opts, &own, &how, reterr);

    if (st == ETCD_OK)
        st = check_id("lease revoke", lease_id, reterr);
    request.id = lease_id;
    return st != ETCD_OK ? st : etcd__rpc_start(client, &revoke_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_lease_revoke(etcd_client *client, int64_t lease_id, const etcd_lease_opts *opts,
                              etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_revoke(client, lease_id, opts, etcd__rpc_blocking(), &op, reterr);

    return etcd__rpc_finish(st, op, NULL, reterr);
}

etcd_status etcd_lease_revoke_async(etcd_client *client, int64_t lease_id, const etcd_lease_opts *opts,
                                    etcd_op_fn *on_done, void *user_data, etcd_op **ret_op,
                                    etcd_error *reterr)
{
    return start_revoke(client, lease_id, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

/* ---- time to live ---------------------------------------------------------------------------------- */

static etcd_status start_time_to_live(etcd_client *client, int64_t lease_id, const etcd_lease_opts *opts,
                                      struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__LeaseTimeToLiveRequest request = ETCD__PB__LEASE_TIME_TO_LIVE_REQUEST__INIT;
    etcd_lease_opts own = ETCD_LEASE_OPTS_INIT;
    etcd_status st = import_opts("lease time to live", opts, &own, &how, reterr);

    if (st == ETCD_OK)
        st = check_id("lease time to live", lease_id, reterr);
    request.id = lease_id;
    request.keys = own.keys;
    return st != ETCD_OK ? st
                         : etcd__rpc_start(client, &time_to_live_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_lease_time_to_live(etcd_client *client, int64_t lease_id, const etcd_lease_opts *opts,
                                    etcd_ttl_result **ret_result, etcd_error *reterr)
{
    etcd_op *op = NULL;
    void *result = NULL;
    etcd_status st = start_time_to_live(client, lease_id, opts, etcd__rpc_blocking(), &op, reterr);

    st = etcd__rpc_finish(st, op, ret_result == NULL ? NULL : &result, reterr);
    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

etcd_status etcd_lease_time_to_live_async(etcd_client *client, int64_t lease_id, const etcd_lease_opts *opts,
                                          etcd_op_fn *on_done, void *user_data, etcd_op **ret_op,
                                          etcd_error *reterr)
{
    return start_time_to_live(client, lease_id, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

etcd_status etcd_lease_time_to_live_take(etcd_op *op, etcd_ttl_result **ret_result, etcd_error *reterr)
{
    void *result = NULL;
    etcd_status st = etcd__op_take(op, &time_to_live_kind, ret_result == NULL ? NULL : &result, reterr);

    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

int64_t etcd_ttl_result_ttl_s(const etcd_ttl_result *result)
{
    return result == NULL ? 0 : result->ttl_s;
}

int64_t etcd_ttl_result_granted_ttl_s(const etcd_ttl_result *result)
{
    return result == NULL ? 0 : result->granted_ttl_s;
}

size_t etcd_ttl_result_key_count(const etcd_ttl_result *result)
{
    return result == NULL ? 0 : result->key_count;
}

etcd_bytes etcd_ttl_result_key(const etcd_ttl_result *result, size_t index)
{
    return result == NULL || index >= result->key_count ? etcd_cstr("") : result->keys[index];
}

void etcd_ttl_result_free(etcd_ttl_result *result)
{
    struct etcd__arena arena;

    if (result == NULL)
        return;
    arena = result->arena; /* the result itself lies in it */
    etcd__arena_deinit(&arena);
}

/* ---- list ------------------------------------------------------------------------------------------ */

static etcd_status start_list(etcd_client *client, const etcd_lease_opts *opts, struct etcd__rpc_options how,
                              etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__LeaseLeasesRequest request = ETCD__PB__LEASE_LEASES_REQUEST__INIT;
    etcd_lease_opts own = ETCD_LEASE_OPTS_INIT;
    etcd_status st = import_opts("lease list", opts, &own, &how, reterr);

    return st != ETCD_OK ? st : etcd__rpc_start(client, &list_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_lease_list(etcd_client *client, const etcd_lease_opts *opts, etcd_leases_result **ret_result,
                            etcd_error *reterr)
{
    etcd_op *op = NULL;
    void *result = NULL;
    etcd_status st = start_list(client, opts, etcd__rpc_blocking(), &op, reterr);

    st = etcd__rpc_finish(st, op, ret_result == NULL ? NULL : &result, reterr);
    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

etcd_status etcd_lease_list_async(etcd_client *client, const etcd_lease_opts *opts, etcd_op_fn *on_done,
                                  void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_list(client, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

etcd_status etcd_lease_list_take(etcd_op *op, etcd_leases_result **ret_result, etcd_error *reterr)
{
    void *result = NULL;
    etcd_status st = etcd__op_take(op, &list_kind, ret_result == NULL ? NULL : &result, reterr);

    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

size_t etcd_leases_result_count(const etcd_leases_result *result)
{
    return result == NULL ? 0 : result->count;
}

int64_t etcd_leases_result_id(const etcd_leases_result *result, size_t index)
{
    return result == NULL || index >= result->count ? 0 : result->ids[index];
}

void etcd_leases_result_free(etcd_leases_result *result)
{
    etcd__free(result);
}
