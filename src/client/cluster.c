/* SPDX-License-Identifier: Apache-2.0 */
#include "etcdc/cluster.h"

#include "base/str.h"
#include "client/admin.h"
#include "client/client.h"
#include "client/members.h"
#include "client/results.h"
#include "client/rpc.h"
#include "wire/codec.h"
#include "wire/convert.h"

/* ---- answers --------------------------------------------------------------------------------------- */

static etcd_status fill_member(struct etcd__arena *arena, const Etcd__Pb__Member *from, etcd_member *member)
{
    member->id = from->id;
    member->name = from->name;
    member->is_learner = from->is_learner;
    member->peer_urls = etcd__wire_texts(arena, from->peer_urls, from->n_peer_urls);
    member->client_urls = etcd__wire_texts(arena, from->client_urls, from->n_client_urls);
    return member->peer_urls == NULL || member->client_urls == NULL ? ETCD_E_NO_MEMORY : ETCD_OK;
}

static etcd_status fill_members(struct etcd__arena *arena, Etcd__Pb__Member *const *from, size_t count,
                                struct etcd_members_result *result)
{
    etcd_status st = ETCD_OK;

    result->members = etcd__arena_calloc(arena, count, sizeof(*result->members));
    if (result->members == NULL)
        return ETCD_E_NO_MEMORY;
    for (size_t i = 0; i < count && st == ETCD_OK; i++)
        st = fill_member(arena, from[i], &result->members[i]);
    result->count = count;
    return st;
}

static etcd_status make_result(struct etcd__arena *arena, const Etcd__Pb__ResponseHeader *header,
                               Etcd__Pb__Member *const *members, size_t count, const Etcd__Pb__Member *added,
                               void **ret_result)
{
    struct etcd_members_result *result = etcd__arena_calloc(arena, 1, sizeof(*result));
    etcd_status st;

    if (result == NULL)
        return ETCD_E_NO_MEMORY;
    result->header = etcd__wire_header(header);
    st = fill_members(arena, members, count, result);
    if (st == ETCD_OK && added != NULL) {
        result->added = etcd__arena_calloc(arena, 1, sizeof(*result->added));
        st = result->added == NULL ? ETCD_E_NO_MEMORY : fill_member(arena, added, result->added);
    }
    if (st != ETCD_OK)
        return st;
    result->arena = *arena;
    *ret_result = result;
    return ETCD_OK;
}

/* All four answer with the same fields, under names of their own. */
etcd_status etcd__members_decode(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena = {0};
    const Etcd__Pb__MemberListResponse *answer;
    etcd_status st;

    answer = etcd__wire_unpack(&etcd__pb__member_list_response__descriptor, &arena, data, len, &st);
    if (answer != NULL)
        st = make_result(&arena, answer->header, answer->members, answer->n_members, NULL, ret_result);
    if (st == ETCD_OK)
        return ETCD_OK;
    etcd__arena_deinit(&arena);
    return etcd__fail_decode(reterr, st);
}

static etcd_status decode_add(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena = {0};
    const Etcd__Pb__MemberAddResponse *answer;
    etcd_status st;

    answer = etcd__wire_unpack(&etcd__pb__member_add_response__descriptor, &arena, data, len, &st);
    if (answer != NULL && answer->member == NULL)
        st = ETCD_E_PROTOCOL;
    else if (answer != NULL)
        st = make_result(&arena, answer->header, answer->members, answer->n_members, answer->member,
                         ret_result);
    if (st == ETCD_OK)
        return ETCD_OK;
    etcd__arena_deinit(&arena);
    return etcd__fail_decode(reterr, st);
}

void etcd__members_release(void *result)
{
    struct etcd__arena arena = ((struct etcd_members_result *)result)->arena; /* the result lies in it */

    etcd__arena_deinit(&arena);
}

void etcd_members_result_free(etcd_members_result *result)
{
    if (result != NULL)
        etcd__members_release(result);
}

const etcd_header *etcd_members_result_header(const etcd_members_result *result)
{
    return &result->header;
}

size_t etcd_members_result_count(const etcd_members_result *result)
{
    return result->count;
}

const etcd_member *etcd_members_result_member(const etcd_members_result *result, size_t index)
{
    return index < result->count ? &result->members[index] : NULL;
}

const etcd_member *etcd_members_result_added(const etcd_members_result *result)
{
    return result->added;
}

/* ---- what the calls have in common ----------------------------------------------------------------- */

static const struct etcd__rpc_kind list_kind = {
    .method = {"/etcdserverpb.Cluster/MemberList", "member list", false},
    .repeatable = true,
    .decode = etcd__members_decode,
    .free_result = etcd__members_release,
};

static const struct etcd__rpc_kind add_kind = {
    .method = {"/etcdserverpb.Cluster/MemberAdd", "member add", false},
    .writes = true,
    .decode = decode_add,
    .free_result = etcd__members_release,
};

static const struct etcd__rpc_kind remove_kind = {
    .method = {"/etcdserverpb.Cluster/MemberRemove", "member remove", false},
    .writes = true,
    .decode = etcd__members_decode,
    .free_result = etcd__members_release,
};

static const struct etcd__rpc_kind update_kind = {
    .method = {"/etcdserverpb.Cluster/MemberUpdate", "member update", false},
    .writes = true,
    .decode = etcd__members_decode,
    .free_result = etcd__members_release,
};

static const struct etcd__rpc_kind promote_kind = {
    .method = {"/etcdserverpb.Cluster/MemberPromote", "member promote", false},
    .writes = true,
    .decode = etcd__members_decode,
    .free_result = etcd__members_release,
};

static etcd_status finish(etcd_status started, etcd_op *op, etcd_members_result **ret_result,
                          etcd_error *reterr)
{
    void *result = NULL;
    etcd_status st = etcd__rpc_finish(started, op, ret_result == NULL ? NULL : &result, reterr);

    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

static etcd_status take(etcd_op *op, const struct etcd__rpc_kind *kind, etcd_members_result **ret_result,
                        etcd_error *reterr)
{
    void *result = NULL;
    etcd_status st = etcd__op_take(op, kind, ret_result == NULL ? NULL : &result, reterr);

    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

static etcd_status check_id(const char *what, uint64_t member_id, etcd_error *reterr)
{
    if (member_id != 0)
        return ETCD_OK;
    return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: member_id is 0", what);
}

/* ---- peer URLs ------------------------------------------------------------------------------------- */

static bool has_port(const char *url)
{
    const char *rest = strstr(url, "://") + 3;
    const char *bracket = strchr(rest, ']'); /* the end of an IPv6 address */

    return strchr(bracket == NULL ? rest : bracket, ':') != NULL;
}

/* What an endpoint may leave out, and a member's address may not. `url` is an endpoint otherwise. */
static const char *missing_of(const char *url, const struct etcd__endpoint *endpoint)
{
    if (endpoint->is_unix)
        return NULL;
    if (endpoint->tls == ETCD__TLS_IF_CONFIGURED)
        return "the scheme is missing: one of http, https, unix, unixs";
    if (!has_port(url))
        return "the port is missing";
    return url[strlen(url) - 1] == '/' ? "has a path" : NULL;
}

static etcd_status check_url(const char *url, etcd_error *reterr)
{
    struct etcd__endpoint endpoint = {0};
    const char *missing;
    etcd_status st = etcd__endpoint_parse(url, &endpoint, reterr);

    if (st != ETCD_OK)
        return st;
    missing = missing_of(url, &endpoint);
    if (missing != NULL)
        st = etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "\"%s\": %s", url, missing);
    etcd__endpoint_deinit(&endpoint);
    return st;
}

/* As etcd's own client does; a server would only say "given member URLs are invalid". */
static etcd_status check_urls(const char *what, const char *const *peer_urls, size_t *ret_count,
                              etcd_error *reterr)
{
    size_t count = 0;

    if (peer_urls == NULL || peer_urls[0] == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: peer_urls has no address in it", what);
    for (; peer_urls[count] != NULL; count++) {
        etcd_status st = check_url(peer_urls[count], reterr);

        if (st != ETCD_OK) {
            etcd__error_prefix(reterr, "%s: peer_urls[%zu]", what, count);
            return st;
        }
    }
    *ret_count = count;
    return ETCD_OK;
}

/* The generated struct wants pointers to what it may change; encoding changes nothing. */
static char **wire_urls(const char *const *peer_urls)
{
    union {
        const char *const *in;
        char **out;
    } urls = {.in = peer_urls};

    return urls.out;
}

/* ---- list ------------------------------------------------------------------------------------------ */

static etcd_status start_list(etcd_client *client, const etcd_member_list_opts *opts,
                              struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__MemberListRequest request = ETCD__PB__MEMBER_LIST_REQUEST__INIT;
    etcd_member_list_opts own = ETCD_MEMBER_LIST_OPTS_INIT;
    etcd_status st = etcd__opts_import(&own, sizeof(own), opts, "member list", reterr);

    request.linearizable = !own.serializable;
    how.timeout_ms = own.timeout_ms;
    how.fail_fast = own.fail_fast;
    return st != ETCD_OK ? st : etcd__rpc_start(client, &list_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_member_list(etcd_client *client, const etcd_member_list_opts *opts,
                             etcd_members_result **ret_result, etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_list(client, opts, etcd__rpc_blocking(), &op, reterr);

    return finish(st, op, ret_result, reterr);
}

etcd_status etcd_member_list_async(etcd_client *client, const etcd_member_list_opts *opts,
                                   etcd_op_fn *on_done, void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_list(client, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

etcd_status etcd_member_list_take(etcd_op *op, etcd_members_result **ret_result, etcd_error *reterr)
{
    return take(op, &list_kind, ret_result, reterr);
}

/* ---- add ------------------------------------------------------------------------------------------- */

static etcd_status start_add(etcd_client *client, const char *const *peer_urls,
                             const etcd_member_add_opts *opts, struct etcd__rpc_options how, etcd_op **ret_op,
                             etcd_error *reterr)
{
    Etcd__Pb__MemberAddRequest request = ETCD__PB__MEMBER_ADD_REQUEST__INIT;
    etcd_member_add_opts own = ETCD_MEMBER_ADD_OPTS_INIT;
    etcd_status st = etcd__opts_import(&own, sizeof(own), opts, "member add", reterr);

    if (st == ETCD_OK)
        st = check_urls("member add", peer_urls, &request.n_peer_urls, reterr);
    if (st != ETCD_OK)
        return st;
    request.peer_urls = wire_urls(peer_urls);
    request.is_learner = own.learner;
    how.timeout_ms = own.timeout_ms;
    how.fail_fast = own.fail_fast;
    return etcd__rpc_start(client, &add_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_member_add(etcd_client *client, const char *const *peer_urls,
                            const etcd_member_add_opts *opts, etcd_members_result **ret_result,
                            etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_add(client, peer_urls, opts, etcd__rpc_blocking(), &op, reterr);

    return finish(st, op, ret_result, reterr);
}

etcd_status etcd_member_add_async(etcd_client *client, const char *const *peer_urls,
                                  const etcd_member_add_opts *opts, etcd_op_fn *on_done, void *user_data,
                                  etcd_op **ret_op, etcd_error *reterr)
{
    return start_add(client, peer_urls, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

etcd_status etcd_member_add_take(etcd_op *op, etcd_members_result **ret_result, etcd_error *reterr)
{
    return take(op, &add_kind, ret_result, reterr);
}

/* ---- remove ---------------------------------------------------------------------------------------- */

static etcd_status start_remove(etcd_client *client, uint64_t member_id, const etcd_admin_opts *opts,
                                struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__MemberRemoveRequest request = ETCD__PB__MEMBER_REMOVE_REQUEST__INIT;
    etcd_status st = etcd__admin_import("member remove", opts, &how, reterr);

    if (st == ETCD_OK)
        st = check_id("member remove", member_id, reterr);
    request.id = member_id;
    return st != ETCD_OK ? st : etcd__rpc_start(client, &remove_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_member_remove(etcd_client *client, uint64_t member_id, const etcd_admin_opts *opts,
                               etcd_members_result **ret_result, etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_remove(client, member_id, opts, etcd__rpc_blocking(), &op, reterr);

    return finish(st, op, ret_result, reterr);
}

etcd_status etcd_member_remove_async(etcd_client *client, uint64_t member_id, const etcd_admin_opts *opts,
                                     etcd_op_fn *on_done, void *user_data, etcd_op **ret_op,
                                     etcd_error *reterr)
{
    return start_remove(client, member_id, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

etcd_status etcd_member_remove_take(etcd_op *op, etcd_members_result **ret_result, etcd_error *reterr)
{
    return take(op, &remove_kind, ret_result, reterr);
}

/* ---- update ---------------------------------------------------------------------------------------- */

static etcd_status start_update(etcd_client *client, uint64_t member_id, const char *const *peer_urls,
                                const etcd_admin_opts *opts, struct etcd__rpc_options how, etcd_op **ret_op,
                                etcd_error *reterr)
{
    Etcd__Pb__MemberUpdateRequest request = ETCD__PB__MEMBER_UPDATE_REQUEST__INIT;
    etcd_status st = etcd__admin_import("member update", opts, &how, reterr);

    if (st == ETCD_OK)
        st = check_id("member update", member_id, reterr);
    if (st == ETCD_OK)
        st = check_urls("member update", peer_urls, &request.n_peer_urls, reterr);
    if (st != ETCD_OK)
        return st;
    request.id = member_id;
    request.peer_urls = wire_urls(peer_urls);
    return etcd__rpc_start(client, &update_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_member_update(etcd_client *client, uint64_t member_id, const char *const *peer_urls,
                               const etcd_admin_opts *opts, etcd_members_result **ret_result,
                               etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_update(client, member_id, peer_urls, opts, etcd__rpc_blocking(), &op, reterr);

    return finish(st, op, ret_result, reterr);
}

etcd_status etcd_member_update_async(etcd_client *client, uint64_t member_id, const char *const *peer_urls,
                                     const etcd_admin_opts *opts, etcd_op_fn *on_done, void *user_data,
                                     etcd_op **ret_op, etcd_error *reterr)
{
    return start_update(client, member_id, peer_urls, opts, etcd__rpc_async(on_done, user_data), ret_op,
                        reterr);
}

etcd_status etcd_member_update_take(etcd_op *op, etcd_members_result **ret_result, etcd_error *reterr)
{
    return take(op, &update_kind, ret_result, reterr);
}

/* ---- promote --------------------------------------------------------------------------------------- */

static etcd_status start_promote(etcd_client *client, uint64_t member_id, const etcd_admin_opts *opts,
                                 struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__MemberPromoteRequest request = ETCD__PB__MEMBER_PROMOTE_REQUEST__INIT;
    etcd_status st = etcd__admin_import("member promote", opts, &how, reterr);

    if (st == ETCD_OK)
        st = check_id("member promote", member_id, reterr);
    request.id = member_id;
    return st != ETCD_OK ? st : etcd__rpc_start(client, &promote_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_member_promote(etcd_client *client, uint64_t member_id, const etcd_admin_opts *opts,
                                etcd_members_result **ret_result, etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_promote(client, member_id, opts, etcd__rpc_blocking(), &op, reterr);

    return finish(st, op, ret_result, reterr);
}

etcd_status etcd_member_promote_async(etcd_client *client, uint64_t member_id, const etcd_admin_opts *opts,
                                      etcd_op_fn *on_done, void *user_data, etcd_op **ret_op,
                                      etcd_error *reterr)
{
    return start_promote(client, member_id, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

etcd_status etcd_member_promote_take(etcd_op *op, etcd_members_result **ret_result, etcd_error *reterr)
{
    return take(op, &promote_kind, ret_result, reterr);
}
