/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alarms. Withdrawing all of them is an operation of several calls, one after another in the engine: a list,
 * then a withdrawal for each alarm in it.
 */
#include "client/client.h"
#include "client/maintenance.h"
#include "client/results.h"
#include "wire/codec.h"
#include "wire/convert.h"

#include <inttypes.h>
#include <string.h>

struct etcd_alarm_result {
    etcd_header header;
    size_t count;
    etcd_alarm alarms[];
};

/* The withdrawal of all alarms. */
struct sweep {
    struct etcd_op op;
    struct etcd_client *client; /* referenced */
    struct etcd__work submit;
    struct etcd__rpc *rpc; /* the call under way */
    char *endpoint;        /* NULL: any */
    bool fail_fast;
    int64_t deadline_ms;
    struct etcd_alarm_result *listed; /* NULL: not asked yet */
    size_t next;                      /* of them */
    struct etcd_alarm_result *merged; /* what was withdrawn */
};

static const char disarm_name[] = "alarm disarm";

/* ---- answers --------------------------------------------------------------------------------------- */

static struct etcd_alarm_result *new_result(etcd_header header, size_t count)
{
    struct etcd_alarm_result *result = NULL;

    if (count <= (SIZE_MAX - sizeof(*result)) / sizeof(result->alarms[0]))
        result = etcd__calloc(1, sizeof(*result) + count * sizeof(result->alarms[0]));
    if (result == NULL)
        return NULL;
    result->header = header;
    result->count = count;
    return result;
}

static etcd_status decode(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena = {0};
    struct etcd_alarm_result *result = NULL;
    const Etcd__Pb__AlarmResponse *answer;
    etcd_status st;

    answer = etcd__wire_unpack(&etcd__pb__alarm_response__descriptor, &arena, data, len, &st);
    if (answer != NULL)
        result = new_result(etcd__wire_header(answer->header), answer->n_alarms);
    if (answer == NULL)
        st = etcd__fail_decode(reterr, st);
    else if (result == NULL)
        st = etcd__fail_memory(reterr);
    for (size_t i = 0; result != NULL && i < result->count; i++)
        result->alarms[i] = (etcd_alarm){.member_id = answer->alarms[i]->member_id,
                                         .type = (etcd_alarm_type)answer->alarms[i]->alarm};
    etcd__arena_deinit(&arena);
    if (st == ETCD_OK)
        *ret_result = result;
    return st;
}

static const struct etcd__rpc_kind list_kind = {
    .method = {"/etcdserverpb.Maintenance/Alarm", "alarm list", false},
    .repeatable = true,
    .needs_leader = true,
    .decode = decode,
    .free_result = etcd__free,
};

static const struct etcd__rpc_kind disarm_kind = {
    .method = {"/etcdserverpb.Maintenance/Alarm", disarm_name, false},
    .repeatable = true,
    .writes = true,
    .needs_leader = true,
    .decode = decode,
    .free_result = etcd__free,
};

/* ---- all of them ----------------------------------------------------------------------------------- */

/* Only the address matters. */
static const void *const sweep_kind = &sweep_kind;

static void go_on(struct sweep *sweep);

static void destroy_sweep(struct etcd_op *op)
{
    struct sweep *sweep = ETCD__CONTAINER(op, struct sweep, op);
    struct etcd_client *client = sweep->client;

    etcd__free(sweep->endpoint);
    etcd__free(sweep->listed);
    etcd__free(sweep->merged);
    etcd__free(sweep);
    etcd__client_unref(client);
}

static void fail_sweep(struct sweep *sweep, const etcd_error *err)
{
    etcd_error own = *err;

    if (sweep->merged != NULL && sweep->merged->count > 0)
        own.flags = (own.flags & ~(uint32_t)ETCD_ERROR_RETRYABLE) | ETCD_ERROR_MAYBE_APPLIED;
    etcd__op_complete(&sweep->op, own.status, &own);
}

static void end_sweep(struct sweep *sweep, etcd_status status, const char *reason)
{
    etcd_error err;

    (void)etcd__fail(&err, status, "%s: client '%s': %s", disarm_name, etcd__client_label(sweep->client),
                     reason);
    if (sweep->listed != NULL)
        err.flags |= ETCD_ERROR_MAYBE_APPLIED;
    fail_sweep(sweep, &err);
}

static void cancel_sweep(struct etcd_op *op)
{
    struct sweep *sweep = ETCD__CONTAINER(op, struct sweep, op);

    etcd__rpc_abort(sweep->rpc);
    sweep->rpc = NULL;
    end_sweep(sweep, ETCD_E_CANCELLED, "cancelled");
}

static etcd_status merge(struct sweep *sweep, const struct etcd_alarm_result *answer, etcd_error *reterr)
{
    struct etcd_alarm_result *merged = new_result(answer->header, sweep->merged->count + answer->count);

    if (merged == NULL)
        return etcd__fail_memory(reterr);
    memcpy(merged->alarms, sweep->merged->alarms, sweep->merged->count * sizeof(merged->alarms[0]));
    memcpy(merged->alarms + sweep->merged->count, answer->alarms, answer->count * sizeof(merged->alarms[0]));
    etcd__free(sweep->merged);
    sweep->merged = merged;
    return ETCD_OK;
}

static etcd_status take_answer(struct sweep *sweep, struct etcd_alarm_result *answer, etcd_error *reterr)
{
    etcd_status st;

    if (sweep->listed == NULL) {
        sweep->listed = answer;
        sweep->merged = new_result(answer->header, 0);
        return sweep->merged == NULL ? etcd__fail_memory(reterr) : ETCD_OK;
    }
    st = merge(sweep, answer, reterr);
    etcd__free(answer);
    sweep->next++;
    return st;
}

static void on_answer(void *user, etcd_status status, void *result, const etcd_error *err)
{
    struct sweep *sweep = user;
    etcd_error own;

    sweep->rpc = NULL;
    if (status != ETCD_OK) {
        etcd__free(result); /* the call can fail after its answer */
        fail_sweep(sweep, err);
    } else if (take_answer(sweep, result, &own) != ETCD_OK) {
        fail_sweep(sweep, &own);
    } else {
        go_on(sweep);
    }
}

static void ask(struct sweep *sweep, const Etcd__Pb__AlarmRequest *request)
{
    struct etcd__rpc_options options = {.endpoint = sweep->endpoint, .fail_fast = sweep->fail_fast};
    int64_t now_ms = etcd__client_reactor(sweep->client)->now_ms;
    etcd_error err;

    if (sweep->deadline_ms == INT64_MAX)
        options.timeout_ms = ETCD_TIMEOUT_NONE;
    else
        options.timeout_ms = sweep->deadline_ms > now_ms ? sweep->deadline_ms - now_ms : 1;
    if (etcd__rpc_run(sweep->client, sweep->listed == NULL ? &list_kind : &disarm_kind, &request->base,
                      &options, on_answer, sweep, &sweep->rpc, &err) != ETCD_OK)
        fail_sweep(sweep, &err);
}

static void go_on(struct sweep *sweep)
{
    Etcd__Pb__AlarmRequest request = ETCD__PB__ALARM_REQUEST__INIT;

    if (sweep->listed != NULL && sweep->next == sweep->listed->count) {
        sweep->op.result = sweep->merged;
        sweep->merged = NULL;
        etcd__op_complete(&sweep->op, ETCD_OK, NULL);
        return;
    }
    if (sweep->listed != NULL) {
        request.action = ETCD__PB__ALARM_REQUEST__ACTION__DEACTIVATE;
        request.member_id = sweep->listed->alarms[sweep->next].member_id;
        request.alarm = (Etcd__Pb__AlarmType)sweep->listed->alarms[sweep->next].type;
    }
    ask(sweep, &request);
}

static void on_submit(struct etcd__work *work)
{
    struct sweep *sweep = ETCD__CONTAINER(work, struct sweep, submit);

    if (sweep->client->torn_down)
        end_sweep(sweep, ETCD_E_CLOSED, "the client was closed");
    else
        go_on(sweep);
}

static etcd_status new_sweep(etcd_client *client, const struct etcd__rpc_options *how,
                             struct sweep **ret_sweep, etcd_error *reterr)
{
    struct sweep *sweep = ETCD__NEW(struct sweep);

    if (sweep == NULL)
        return etcd__fail_memory(reterr);
    sweep->client = client;
    etcd__client_ref(client);
    sweep->fail_fast = how->fail_fast;
    sweep->submit.run = on_submit;
    etcd__op_init(&sweep->op, client->loop, &sweep_kind, how->on_done, how->user_data);
    sweep->op.destroy = destroy_sweep;
    sweep->op.on_cancel = cancel_sweep;
    sweep->op.free_result = etcd__free;
    if (how->endpoint != NULL)
        sweep->endpoint = etcd__strdup(how->endpoint);
    if (how->endpoint != NULL && sweep->endpoint == NULL) {
        destroy_sweep(&sweep->op);
        return etcd__fail_memory(reterr);
    }
    *ret_sweep = sweep;
    return ETCD_OK;
}

static etcd_status check_endpoint(const char *endpoint, etcd_error *reterr)
{
    struct etcd__endpoint parsed;
    etcd_status st = endpoint == NULL ? ETCD_OK : etcd__endpoint_parse(endpoint, &parsed, reterr);

    if (st != ETCD_OK)
        etcd__error_prefix(reterr, "%s", disarm_name);
    else if (endpoint != NULL)
        etcd__endpoint_deinit(&parsed);
    return st;
}

static etcd_status start_sweep(etcd_client *client, const struct etcd__rpc_options *how, etcd_op **ret_op,
                               etcd_error *reterr)
{
    struct sweep *sweep = NULL;
    int64_t deadline_ms = 0;
    etcd_status st = etcd__rpc_check(client, disarm_name, how->blocking, reterr);

    if (st == ETCD_OK)
        st = etcd__rpc_deadline(client, disarm_name, how->timeout_ms, &deadline_ms, reterr);
    if (st == ETCD_OK)
        st = check_endpoint(how->endpoint, reterr);
    if (st == ETCD_OK)
        st = new_sweep(client, how, &sweep, reterr);
    if (st != ETCD_OK)
        return st;
    sweep->deadline_ms = deadline_ms;
    if (ret_op != NULL) {
        etcd__op_ref(&sweep->op);
        *ret_op = &sweep->op;
    }
    if (how->blocking)
        etcd__loop_post_and_pump(client->loop, &sweep->submit);
    else
        etcd__loop_post(client->loop, &sweep->submit);
    return ETCD_OK;
}

static etcd_status finish_sweep(struct etcd_op *op, void **ret_result, etcd_error *reterr)
{
    struct sweep *sweep = ETCD__CONTAINER(op, struct sweep, op);
    etcd_status st = etcd__op_wait_overdue(op, sweep->deadline_ms, disarm_name, reterr);

    if (st == ETCD_OK)
        st = etcd__op_take(op, &sweep_kind, ret_result, reterr);
    else if (st == ETCD_E_DEADLINE && reterr != NULL)
        reterr->flags |= ETCD_ERROR_MAYBE_APPLIED;
    etcd_op_free(op);
    return st;
}

/* ---- list ------------------------------------------------------------------------------------------ */

static etcd_status start_list(etcd_client *client, const char *endpoint, const etcd_admin_opts *opts,
                              struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__AlarmRequest request = ETCD__PB__ALARM_REQUEST__INIT;
    etcd_status st = etcd__maintenance_import("alarm list", endpoint, opts, &how, reterr);

    return st != ETCD_OK ? st : etcd__rpc_start(client, &list_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_alarm_list(etcd_client *client, const char *endpoint, const etcd_admin_opts *opts,
                            etcd_alarm_result **ret_result, etcd_error *reterr)
{
    etcd_op *op = NULL;
    void *result = NULL;
    etcd_status st = start_list(client, endpoint, opts, etcd__maintenance_blocking(), &op, reterr);

    st = etcd__rpc_finish(st, op, ret_result == NULL ? NULL : &result, reterr);
    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

etcd_status etcd_alarm_list_async(etcd_client *client, const char *endpoint, const etcd_admin_opts *opts,
                                  etcd_op_fn *on_done, void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_list(client, endpoint, opts, etcd__maintenance_async(on_done, user_data), ret_op, reterr);
}

/* ---- disarm ---------------------------------------------------------------------------------------- */

static etcd_status check_disarm(uint64_t member_id, etcd_alarm_type type, etcd_error *reterr)
{
    if ((member_id == 0) != (type == ETCD_ALARM_NONE))
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                          "%s: member_id is %" PRIx64 " with type %d: both or neither", disarm_name,
                          member_id, (int)type);
    if ((int)type < 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: type is %d", disarm_name, (int)type);
    return ETCD_OK;
}

static etcd_status start_disarm(etcd_client *client, const char *endpoint, uint64_t member_id,
                                etcd_alarm_type type, const etcd_admin_opts *opts,
                                struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__AlarmRequest request = ETCD__PB__ALARM_REQUEST__INIT;
    etcd_status st = etcd__maintenance_import(disarm_name, endpoint, opts, &how, reterr);

    if (st == ETCD_OK)
        st = check_disarm(member_id, type, reterr);
    if (st != ETCD_OK)
        return st;
    if (member_id == 0)
        return start_sweep(client, &how, ret_op, reterr);
    request.action = ETCD__PB__ALARM_REQUEST__ACTION__DEACTIVATE;
    request.member_id = member_id;
    request.alarm = (Etcd__Pb__AlarmType)type;
    return etcd__rpc_start(client, &disarm_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_alarm_disarm(etcd_client *client, const char *endpoint, uint64_t member_id,
                              etcd_alarm_type type, const etcd_admin_opts *opts,
                              etcd_alarm_result **ret_result, etcd_error *reterr)
{
    etcd_op *op = NULL;
    void *result = NULL, **wanted = ret_result == NULL ? NULL : &result;
    etcd_status st = start_disarm(client, endpoint, member_id, type, opts, etcd__maintenance_blocking(), &op,
                                  reterr);

    if (st == ETCD_OK && op->kind == &sweep_kind)
        st = finish_sweep(op, wanted, reterr);
    else
        st = etcd__rpc_finish(st, op, wanted, reterr);
    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

etcd_status etcd_alarm_disarm_async(etcd_client *client, const char *endpoint, uint64_t member_id,
                                    etcd_alarm_type type, const etcd_admin_opts *opts, etcd_op_fn *on_done,
                                    void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_disarm(client, endpoint, member_id, type, opts, etcd__maintenance_async(on_done, user_data),
                        ret_op, reterr);
}

/* ---- results --------------------------------------------------------------------------------------- */

etcd_status etcd_alarm_take(etcd_op *op, etcd_alarm_result **ret_result, etcd_error *reterr)
{
    const void *kind = &list_kind;
    void *result = NULL;
    etcd_status st;

    if (op != NULL && (op->kind == &disarm_kind || op->kind == &sweep_kind))
        kind = op->kind;
    st = etcd__op_take(op, kind, ret_result == NULL ? NULL : &result, reterr);
    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

const etcd_header *etcd_alarm_result_header(const etcd_alarm_result *result)
{
    return &result->header;
}

size_t etcd_alarm_result_count(const etcd_alarm_result *result)
{
    return result->count;
}

const etcd_alarm *etcd_alarm_result_at(const etcd_alarm_result *result, size_t index)
{
    return index < result->count ? &result->alarms[index] : NULL;
}

void etcd_alarm_result_free(etcd_alarm_result *result)
{
    etcd__free(result);
}
