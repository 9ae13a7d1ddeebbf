/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of a simulated run, and what must be true of each: it ends once, in time, and what it says is so.
 */
#include "support/sim_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { PUT, DELETE, TXN, GET, GET_ALONE, GRANT, REVOKE, TIME_TO_LIVE, COMPACT, KINDS };

static const char *const names[] = {"put",   "delete", "txn", "get",    "get alone",
                                    "grant", "revoke", "ttl", "compact"};

struct sim_call {
    struct sim_call *next;
    struct sim_world *world;
    enum kind kind;
    size_t client;
    unsigned number;
    etcd_op *op; /* NULL: given back */
    bool has_callback, idempotent, prefix, cancelled, seen_done;
    unsigned ends;
    char key[SIM_TEXT], tag[SIM_TEXT]; /* a value or range end that no other write has */
    size_t tag_len;
    int64_t lease, revision_asked;
    int64_t begun_ms, limit_ms, known_revision;
    etcd_status status;
    bool maybe;
    int64_t revision; /* of the answer */
    size_t changed;   /* keys that a delete says it deleted */
};

static bool is_write(const struct sim_call *call)
{
    return call->kind <= TXN;
}

/* ---- what an answer says --------------------------------------------------------------------------- */

static void check_header(struct sim_call *call, const etcd_header *header)
{
    struct sim_world *world = call->world;

    call->revision = header->revision;
    if (call->kind != GET_ALONE && call->revision < call->known_revision)
        sim_fail(world, "%s %u answers with revision %lld, %lld was known when it began", names[call->kind],
                 call->number, (long long)call->revision, (long long)call->known_revision);
    if (call->revision > world->known_revision)
        world->known_revision = call->revision;
}

/* The pairs are those of the store at that revision, no more, no less. */
static void check_pairs(struct sim_call *call, const etcd_get_result *result)
{
    struct sim_world *world = call->world;
    int64_t at = call->revision_asked != 0 ? call->revision_asked : call->revision;
    size_t pos = 0;

    for (size_t i = 0; i < world->store->key_count; i++) {
        const struct sim_key *key = world->store->keys[i];
        const struct sim_event *event = sim_store_at(key, at);

        if (event == NULL || key->name.len < strlen(call->key) ||
            memcmp(key->name.data, call->key, strlen(call->key)) != 0 ||
            (!call->prefix && key->name.len != strlen(call->key)))
            continue;
        if (pos == etcd_get_result_count(result) || !sim_same_kv(etcd_get_result_kv(result, pos++), event)) {
            sim_fail(world, "get %u of '%s' at revision %lld is not what the store had", call->number,
                     call->key, (long long)at);
            return;
        }
    }
    if (pos != etcd_get_result_count(result))
        sim_fail(world, "get %u of '%s' has more than the store had", call->number, call->key);
}

static etcd_status take_put(struct sim_call *call, etcd_op *op, etcd_error *err)
{
    etcd_put_result *result = NULL;
    etcd_status st = etcd_put_take(op, &result, err);

    if (st == ETCD_OK)
        check_header(call, etcd_put_result_header(result));
    etcd_put_result_free(result);
    return st;
}

static etcd_status take_delete(struct sim_call *call, etcd_op *op, etcd_error *err)
{
    etcd_delete_result *result = NULL;
    etcd_status st = etcd_delete_take(op, &result, err);

    if (st == ETCD_OK) {
        check_header(call, etcd_delete_result_header(result));
        call->changed = (size_t)etcd_delete_result_deleted(result);
    }
    etcd_delete_result_free(result);
    return st;
}

static etcd_status take_txn(struct sim_call *call, etcd_op *op, etcd_error *err)
{
    etcd_txn_result *result = NULL;
    etcd_status st = etcd_txn_take(op, &result, err);

    if (st == ETCD_OK)
        check_header(call, etcd_txn_result_header(result));
    etcd_txn_result_free(result);
    return st;
}

static etcd_status take_get(struct sim_call *call, etcd_op *op, etcd_error *err)
{
    etcd_get_result *result = NULL;
    etcd_status st = etcd_get_take(op, &result, err);

    if (st == ETCD_OK) {
        check_header(call, etcd_get_result_header(result));
        check_pairs(call, result);
    }
    etcd_get_result_free(result);
    return st;
}

static etcd_status take_grant(struct sim_call *call, etcd_op *op, etcd_error *err)
{
    etcd_lease lease;
    etcd_status st = etcd_lease_grant_take(op, &lease, err);

    if (st == ETCD_OK && sim_pick(call->world, 4) != 0)
        sim_keep(call->world, call->client, lease, sim_now(call->world) - call->begun_ms);
    return st;
}

static etcd_status take(struct sim_call *call, etcd_op *op, etcd_error *err)
{
    etcd_ttl_result *ttl = NULL;
    etcd_status st;

    switch (call->kind) {
    case PUT:
        return take_put(call, op, err);
    case DELETE:
        return take_delete(call, op, err);
    case TXN:
        return take_txn(call, op, err);
    case GET:
    case GET_ALONE:
        return take_get(call, op, err);
    case GRANT:
        return take_grant(call, op, err);
    case TIME_TO_LIVE:
        st = etcd_lease_time_to_live_take(op, &ttl, err);
        etcd_ttl_result_free(ttl);
        return st;
    default:
        return etcd_op_status(op, err);
    }
}

static bool is_expected(const struct sim_call *call, const etcd_error *err)
{
    switch (call->status) {
    case ETCD_E_CANCELLED:
        return call->cancelled;
    case ETCD_E_CLOSED:
        return call->world->clients[call->client] == NULL;
    case ETCD_E_LEASE_NOT_FOUND:
        return call->lease != 0;
    case ETCD_E_COMPACTED:
        return call->kind == COMPACT ||
               (call->revision_asked != 0 && call->revision_asked < call->world->store->compacted);
    case ETCD_E_FUTURE_REVISION:
        return call->kind == COMPACT || call->kind == GET_ALONE;
    case ETCD_E_EXISTS:
        return false; /* a repeated grant is one grant */
    default:
        (void)err;
        return true;
    }
}

static void end(struct sim_call *call, etcd_op *op)
{
    struct sim_world *world = call->world;
    etcd_error err = {.status = ETCD_OK};

    if (++call->ends != 1)
        sim_fail(world, "%s %u ended %u times", names[call->kind], call->number, call->ends);
    call->status = take(call, op, &err);
    call->maybe = call->status != ETCD_OK && (err.flags & ETCD_ERROR_MAYBE_APPLIED) != 0;
    sim_trace(world, "%s %u: %s%s %s", names[call->kind], call->number, etcd_status_name(call->status),
              call->maybe ? " (maybe)" : "", call->status == ETCD_OK ? "" : err.message);
    world->result.calls_failed += call->status != ETCD_OK;
    world->result.writes_maybe += is_write(call) && call->maybe;
    if (call->status != ETCD_OK)
        sim_check_status(world, names[call->kind], call->status, &err);
    if (!is_expected(call, &err))
        sim_fail(world, "%s %u ended with %s: %s", names[call->kind], call->number,
                 etcd_status_name(call->status), err.message);
    if (sim_late(world, call->limit_ms) && sim_late(world, world->blocked_ms) && !call->seen_done)
        sim_fail(world, "%s %u took %lld ms, its limit was %lld", names[call->kind], call->number,
                 (long long)(sim_now(world) - call->begun_ms), (long long)(call->limit_ms - call->begun_ms));
}

static void on_done(etcd_op *op, void *user_data)
{
    struct sim_call *call = user_data;

    end(call, op);
    etcd_op_free(call->op);
    call->op = NULL;
}

/* ---- beginning ------------------------------------------------------------------------------------- */

static void fill(struct sim_world *world, struct sim_call *call)
{
    int len;

    sim_any_key(world, call->key, sizeof(call->key));
    call->idempotent = sim_pick(world, 4) == 0;
    if (call->kind == DELETE)
        len = snprintf(call->tag, sizeof(call->tag), "%s%c%u", call->key, 0, call->number);
    else
        len = snprintf(call->tag, sizeof(call->tag), "v%u", call->number);
    call->tag_len = (size_t)len;
    if (call->kind == PUT && sim_pick(world, 4) == 0)
        call->lease = sim_any_lease(world);
    if (call->kind == REVOKE || call->kind == TIME_TO_LIVE)
        call->lease = sim_any_lease(world);
    if ((call->kind == GET || call->kind == GET_ALONE) && sim_pick(world, 2) == 0) {
        call->prefix = true;
        call->key[1] = '\0';
    }
    if (call->kind == GET && sim_pick(world, 4) == 0 && world->known_revision > 10)
        call->revision_asked = world->known_revision - (int64_t)sim_pick(world, 10);
}

static etcd_status start_txn(struct sim_call *call, int64_t timeout_ms, etcd_op_fn *fn, etcd_error *err)
{
    etcd_bytes key = etcd_cstr(call->key), value = etcd_bytes_of(call->tag, call->tag_len);
    etcd_txn *txn = etcd_txn_new();
    etcd_status st;

    etcd_txn_if(txn, key, ETCD_CMP_VERSION, ETCD_CMP_GREATER, (int64_t)sim_pick(call->world, 4));
    etcd_txn_put(txn, ETCD_TXN_THEN, key, value, NULL);
    etcd_txn_get(txn, ETCD_TXN_THEN, key, NULL);
    etcd_txn_put(txn, ETCD_TXN_ELSE, etcd_cstr("k/else"), value, NULL);
    st = etcd_txn_commit_async(call->world->clients[call->client], txn,
                               ETCD_TXN_OPTS(.timeout_ms = timeout_ms, .idempotent = call->idempotent), fn,
                               call, &call->op, err);
    etcd_txn_free(txn);
    return st;
}

static etcd_status start_lease_call(struct sim_call *call, int64_t timeout_ms, etcd_op_fn *fn,
                                    etcd_error *err)
{
    etcd_client *client = call->world->clients[call->client];
    const etcd_lease_opts *opts = ETCD_LEASE_OPTS(.timeout_ms = timeout_ms);

    if (call->kind == GRANT)
        return etcd_lease_grant_async(client, 2 + (int64_t)sim_pick(call->world, 10), opts, fn, call,
                                      &call->op, err);
    if (call->kind == TIME_TO_LIVE)
        return etcd_lease_time_to_live_async(client, call->lease, opts, fn, call, &call->op, err);
    sim_lease_revoking(call->world, call->lease);
    return etcd_lease_revoke_async(client, call->lease, opts, fn, call, &call->op, err);
}

static etcd_status start(struct sim_call *call, int64_t timeout_ms, etcd_error *err)
{
    etcd_client *client = call->world->clients[call->client];
    etcd_bytes key = etcd_cstr(call->key), tag = etcd_bytes_of(call->tag, call->tag_len);
    etcd_op_fn *fn = call->has_callback ? on_done : NULL;
    bool fail_fast = sim_pick(call->world, 10) == 0;

    switch (call->kind) {
    case PUT:
        return etcd_put_async(client, key, tag,
                              ETCD_PUT_OPTS(.timeout_ms = timeout_ms, .lease_id = call->lease,
                                            .idempotent = call->idempotent, .fail_fast = fail_fast),
                              fn, call, &call->op, err);
    case DELETE:
        return etcd_delete_async(
            client, key,
            ETCD_DELETE_OPTS(.timeout_ms = timeout_ms, .range_end = tag, .idempotent = call->idempotent), fn,
            call, &call->op, err);
    case TXN:
        return start_txn(call, timeout_ms, fn, err);
    case GET:
    case GET_ALONE:
        return etcd_get_async(client, key,
                              ETCD_GET_OPTS(.timeout_ms = timeout_ms, .prefix = call->prefix,
                                            .serializable = call->kind == GET_ALONE,
                                            .revision = call->revision_asked, .fail_fast = fail_fast),
                              fn, call, &call->op, err);
    case COMPACT:
        return etcd_compact_async(
            client, 1 + (int64_t)sim_pick(call->world, (uint64_t)call->world->known_revision + 2),
            ETCD_COMPACT_OPTS(.timeout_ms = timeout_ms), fn, call, &call->op, err);
    default:
        return start_lease_call(call, timeout_ms, fn, err);
    }
}

static enum kind any_kind(struct sim_world *world)
{
    static const enum kind often[] = {PUT, PUT, PUT,       PUT,   TXN,   TXN,    DELETE,      DELETE,
                                      GET, GET, GET_ALONE, GRANT, GRANT, REVOKE, TIME_TO_LIVE};
    uint64_t at = sim_pick(world, 8 * sizeof(often) / sizeof(often[0]));

    return at == 0 ? COMPACT : often[at % (sizeof(often) / sizeof(often[0]))];
}

void sim_call_begin(struct sim_world *world, size_t client)
{
    struct sim_call *call = calloc(1, sizeof(*call));
    int64_t timeout_ms = 50 + (int64_t)sim_pick(world, sim_pick(world, 3) == 0 ? 500 : 8000);
    etcd_error err = {.status = ETCD_OK};
    etcd_status st;

    if (call == NULL)
        abort();
    *call = (struct sim_call){
        .world = world, .client = client, .kind = any_kind(world), .number = ++world->numbers};
    fill(world, call);
    if ((call->kind == REVOKE || call->kind == TIME_TO_LIVE) && call->lease == 0)
        call->kind = GRANT;
    call->has_callback = sim_pick(world, 2) == 0;
    call->begun_ms = sim_now(world);
    call->limit_ms = call->begun_ms + timeout_ms;
    call->known_revision = world->known_revision;
    st = start(call, timeout_ms, &err);
    sim_trace(world, "client %zu: %s %u '%s'", client, names[call->kind], call->number, call->key);
    if (st != ETCD_OK) {
        sim_fail(world, "%s %u cannot be begun: %s", names[call->kind], call->number, err.message);
        free(call);
        return;
    }
    if (call->has_callback && sim_pick(world, 8) == 0) {
        etcd_op_free(call->op); /* it goes on unobserved */
        call->op = NULL;
    }
    world->result.calls++;
    call->next = world->calls;
    world->calls = call;
}

/* ---- under way ------------------------------------------------------------------------------------- */

void sim_call_disturb(struct sim_world *world)
{
    struct sim_call *found = NULL;
    uint64_t seen = 0;

    for (struct sim_call *call = world->calls; call != NULL; call = call->next) {
        if (call->ends == 0 && call->op != NULL && sim_pick(world, ++seen) == 0)
            found = call;
    }
    if (found == NULL)
        return;
    sim_trace(world, "cancel of %s %u", names[found->kind], found->number);
    found->cancelled = true;
    etcd_op_cancel(found->op);
}

void sim_calls_tick(struct sim_world *world)
{
    for (struct sim_call *call = world->calls; call != NULL; call = call->next) {
        if (call->ends != 0 || call->op == NULL || call->seen_done)
            continue;
        call->seen_done = etcd_op_done(call->op);
        if (!call->seen_done && sim_late(world, call->limit_ms))
            sim_fail(world, "%s %u is not done %lld ms after its limit", names[call->kind], call->number,
                     (long long)(sim_now(world) - call->limit_ms));
    }
}

void sim_calls_step(struct sim_world *world)
{
    for (struct sim_call *call = world->calls; call != NULL; call = call->next) {
        if (call->has_callback || call->op == NULL || !etcd_op_done(call->op))
            continue;
        end(call, call->op);
        etcd_op_free(call->op);
        call->op = NULL;
    }
}

bool sim_calls_done(const struct sim_world *world, size_t client)
{
    for (const struct sim_call *call = world->calls; call != NULL; call = call->next) {
        if (call->ends == 0 && (client == SIM_CLIENTS || call->client == client))
            return false;
    }
    return true;
}

/* ---- at the end ------------------------------------------------------------------------------------ */

/* How often it was carried out, and at which revision last. */
static size_t count_done(const struct sim_call *call, int64_t *ret_revision)
{
    const struct sim_store *store = call->world->store;
    ProtobufCBinaryData tag = {.data = (uint8_t *)(uintptr_t)call->tag, .len = call->tag_len};
    size_t count = 0;

    for (size_t i = 0; call->kind == DELETE && i < store->deletion_count; i++) {
        if (sim_compare(store->deletions[i].range_end, tag) != 0)
            continue;
        count++;
        *ret_revision = store->deletions[i].revision;
    }
    for (size_t i = 0; call->kind != DELETE && i < store->event_count; i++) {
        if (store->events[i]->deleted || sim_compare(store->events[i]->value, tag) != 0)
            continue;
        count++;
        *ret_revision = store->events[i]->revision;
    }
    return count;
}

static void check_write(struct sim_world *world, const struct sim_call *call)
{
    int64_t revision = 0;
    size_t count = count_done(call, &revision);
    const char *wrong = NULL;

    if (call->ends != 1)
        wrong = "has not ended";
    else if (count > 1 && !call->idempotent)
        wrong = "was carried out more than once";
    else if (call->status == ETCD_OK && count == 0)
        wrong = "succeeded and is not in the history";
    else if (call->status == ETCD_OK && !call->idempotent && revision != call->revision)
        wrong = "succeeded at another revision than it says";
    else if (call->status != ETCD_OK && !call->maybe && count > 0)
        wrong = "failed, was carried out, and does not say that it may have been";
    if (wrong != NULL)
        sim_fail(world, "%s %u of '%s' (%s%s, %zu times, revision %lld, answer %lld) %s", names[call->kind],
                 call->number, call->key, etcd_status_name(call->status),
                 call->idempotent ? ", idempotent" : "", count, (long long)revision,
                 (long long)call->revision, wrong);
}

void sim_calls_check(struct sim_world *world)
{
    for (const struct sim_call *call = world->calls; call != NULL; call = call->next) {
        if (is_write(call))
            check_write(world, call);
        else if (call->ends != 1)
            sim_fail(world, "%s %u has not ended", names[call->kind], call->number);
    }
}

void sim_calls_free(struct sim_world *world)
{
    while (world->calls != NULL) {
        struct sim_call *call = world->calls;

        world->calls = call->next;
        etcd_op_free(call->op);
        free(call);
    }
}
