/* SPDX-License-Identifier: Apache-2.0 */
#include "client/rpc.h"

#include "base/str.h"
#include "client/client.h"
#include "wire/codec.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum {
    HEDGE_MS = 1000,     /* an unanswered repeatable call is tried elsewhere as well */
    PAUSE_FIRST_MS = 25, /* between attempts; grows by 1.6, 20 % at random */
    PAUSE_MAX_MS = 1000,
    SET_ASIDE_MS = 2000, /* how long a member that could not serve gets no new calls */
    LOGINS_MAX = 2,      /* renewals of the token for one call */
};

struct attempt {
    struct etcd__call call;
    struct etcd__outgoing outgoing;
    struct etcd__rpc *rpc;
    uint64_t generation; /* of the token it went out with */
};

struct etcd__rpc {
    struct etcd_op op;
    struct etcd_client *client; /* referenced */
    const struct etcd__rpc_kind *kind;
    struct etcd__node node; /* client->rpcs, once submitted */
    struct etcd__work submit;
    uint8_t *request; /* framed */
    size_t request_len;
    int64_t deadline_ms;
    bool idempotent; /* the user says so */
    bool fail_fast, in_wait, counted;
    etcd__rpc_done_fn *done; /* the engine's own calls */
    void *done_user;

    struct attempt first;
    struct attempt *second; /* made when it is needed */
    struct etcd__timer deadline;
    struct etcd__timer step; /* a pause, or the time to try elsewhere as well */
    struct etcd__auth_waiter login;
    struct etcd__endpoint *only; /* NULL: any endpoint */
    const struct etcd__subchannel *avoid;
    unsigned attempts, logins;
    bool maybe_sent; /* some attempt may have been seen by a server */
    char cause[192]; /* why the last attempt failed; "": none did */
    etcd_status decoded;
};

static const char maybe_applied[] = " (the write may have been applied)";

static void proceed(struct etcd__rpc *rpc);
static void go_on(struct etcd__rpc *rpc);

static bool is_repeatable(const struct etcd__rpc *rpc)
{
    return rpc->kind->repeatable || rpc->idempotent;
}

static struct etcd__reactor *reactor_of(struct etcd__rpc *rpc)
{
    return etcd__client_reactor(rpc->client);
}

/* ---- the end --------------------------------------------------------------------------------------- */

static void release_request(struct etcd__rpc *rpc)
{
    if (rpc->kind->secret)
        etcd__wipe(rpc->request, rpc->request_len);
    etcd__free(rpc->request);
    rpc->request = NULL;
}

static void destroy(struct etcd_op *op)
{
    struct etcd__rpc *rpc = ETCD__CONTAINER(op, struct etcd__rpc, op);
    struct etcd_client *client = rpc->client;

    if (rpc->only != NULL)
        etcd__endpoint_deinit(rpc->only);
    etcd__free(rpc->only);
    etcd__free(rpc->second);
    release_request(rpc);
    etcd__free(rpc);
    etcd__client_unref(client);
}

static void stop_attempt(struct etcd__rpc *rpc, struct attempt *attempt)
{
    if (attempt != NULL && etcd__call_cancel(&attempt->call) == ETCD__MAYBE_SENT)
        rpc->maybe_sent = true;
}

/* Lets go of everything that could still call back. */
static void settle(struct etcd__rpc *rpc)
{
    struct etcd__reactor *reactor = reactor_of(rpc);

    stop_attempt(rpc, &rpc->first);
    stop_attempt(rpc, rpc->second);
    etcd__timer_disarm(reactor, &rpc->deadline);
    etcd__timer_disarm(reactor, &rpc->step);
    etcd__auth_unwait(&rpc->login);
    etcd__node_unlink(&rpc->node);
    if (rpc->counted)
        (void)atomic_fetch_sub_explicit(&rpc->client->outstanding, 1, memory_order_relaxed);
    rpc->counted = false;
    release_request(rpc); /* the handle may be kept for long */
}

static void complete(struct etcd__rpc *rpc, etcd_status status, const etcd_error *err)
{
    void *result;

    settle(rpc);
    if (rpc->done == NULL) {
        if (status != ETCD_OK)
            etcd__count(&rpc->client->metrics.failures, 1);
        etcd__op_complete(&rpc->op, status, err);
        return;
    }
    result = rpc->op.result;
    rpc->op.result = NULL;
    rpc->done(rpc->done_user, status, result, err);
    atomic_store_explicit(&rpc->op.done, true, memory_order_release);
    etcd_op_free(&rpc->op);
}

/*
 * What the error says of trying again. A write that may have been applied is for its caller to look at,
 * unless doing it twice is as good as doing it once.
 */
static uint32_t flags_of(const struct etcd__rpc *rpc, bool retryable, bool maybe)
{
    uint32_t flags = maybe ? ETCD_ERROR_MAYBE_APPLIED : 0;

    if (retryable && (!maybe || rpc->idempotent))
        flags |= ETCD_ERROR_RETRYABLE;
    return flags;
}

/* Ends the call for a reason of our own: cancel, close, deadline. */
static void give_up(struct etcd__rpc *rpc, etcd_status status, const char *reason)
{
    etcd_error err;
    bool maybe;

    stop_attempt(rpc, &rpc->first);
    stop_attempt(rpc, rpc->second);
    maybe = rpc->kind->writes && rpc->maybe_sent;
    (void)etcd__fail(&err, status, "%s: client '%s': %s%s", rpc->kind->method.name,
                     etcd__client_label(rpc->client), reason, maybe ? maybe_applied : "");
    err.flags |= flags_of(rpc, etcd__status_retryable(status), maybe);
    complete(rpc, status, &err);
}

static void on_cancel(struct etcd_op *op)
{
    give_up(ETCD__CONTAINER(op, struct etcd__rpc, op), ETCD_E_CANCELLED, "cancelled");
}

static bool connected(const struct etcd__rpc *rpc)
{
    const struct etcd__subchannel *target = rpc->first.call.target;

    return target != NULL ? etcd__subchannel_ready(target) : etcd__channel_connected(rpc->client->channel);
}

/* Why there is no connection. */
static const etcd_error *obstacle(const struct etcd__rpc *rpc)
{
    const struct etcd__subchannel *target = rpc->first.call.target;

    return target != NULL ? etcd__subchannel_error(target) : etcd__channel_last_error(rpc->client->channel);
}

static bool reached_a_server(struct etcd__rpc *rpc)
{
    return rpc->maybe_sent || rpc->first.call.sent_ms != 0 ||
           (rpc->second != NULL && rpc->second->call.sent_ms != 0) || connected(rpc);
}

/* What was waited for in vain, a server being connected. */
static void describe_silence(const struct etcd__rpc *rpc, char *reason, size_t size)
{
    const struct etcd__call *call = &rpc->first.call;

    if (rpc->cause[0] != '\0')
        (void)etcd__format(reason, size, "no answer in time; the last one was: %s", rpc->cause);
    else if (etcd__node_linked(&rpc->login.node))
        (void)etcd__format(reason, size, "the login was not answered in time");
    else if (etcd__call_alive(call) && call->subchannel != NULL)
        (void)etcd__format(reason, size, "no answer in time from %s",
                           etcd__subchannel_endpoint(call->subchannel));
    else
        (void)etcd__format(reason, size, "no answer in time");
}

static void on_deadline(struct etcd__timer *timer)
{
    struct etcd__rpc *rpc = ETCD__CONTAINER(timer, struct etcd__rpc, deadline);
    const etcd_error *last = obstacle(rpc);
    char reason[ETCD_ERROR_MESSAGE_SIZE];

    if (reached_a_server(rpc)) {
        describe_silence(rpc, reason, sizeof(reason));
        give_up(rpc, ETCD_E_DEADLINE, reason);
        return;
    }
    (void)snprintf(reason, sizeof(reason), "no server reached in time: %.400s",
                   last->status != ETCD_OK ? last->message : "still connecting");
    give_up(rpc, ETCD_E_UNAVAILABLE, reason);
}

/* ---- an attempt ------------------------------------------------------------------------------------ */

static bool other_alive(const struct etcd__rpc *rpc, const struct attempt *attempt)
{
    if (attempt == &rpc->first)
        return rpc->second != NULL && etcd__call_alive(&rpc->second->call);
    return etcd__call_alive(&rpc->first.call);
}

static void answered(struct etcd__rpc *rpc);

static void on_message(struct etcd__call *call, const uint8_t *data, size_t len)
{
    struct attempt *attempt = ETCD__CONTAINER(call, struct attempt, call);
    struct etcd__rpc *rpc = attempt->rpc;

    /* The first answer counts; the other attempt is not waited for. */
    stop_attempt(rpc, attempt == &rpc->first ? rpc->second : &rpc->first);
    if (rpc->op.result != NULL)
        rpc->kind->free_result(rpc->op.result);
    rpc->op.result = NULL;
    rpc->decoded = rpc->kind->decode(data, len, &rpc->op.result, &rpc->op.error);
    if (rpc->kind->method.streaming)
        answered(rpc); /* which stops the call: the stream was there for this answer */
}

static void answered(struct etcd__rpc *rpc)
{
    etcd_error err;

    if (rpc->decoded == ETCD_OK) {
        complete(rpc, ETCD_OK, NULL);
        return;
    }
    (void)etcd__fail(&err, rpc->decoded, "%s: client '%s': %s%s", rpc->kind->method.name,
                     etcd__client_label(rpc->client), rpc->op.error.message,
                     rpc->kind->writes ? maybe_applied : "");
    err.flags |= flags_of(rpc, etcd__status_retryable(rpc->decoded), rpc->kind->writes);
    complete(rpc, rpc->decoded, &err);
}

/* 0 when the next attempt can go elsewhere at once. */
static int64_t pause_ms(struct etcd__rpc *rpc)
{
    int64_t pause = PAUSE_FIRST_MS;

    if (rpc->attempts == 1 && rpc->only == NULL && rpc->avoid != NULL &&
        etcd__channel_has_other(rpc->client->channel, rpc->avoid))
        return 0;
    for (unsigned i = 1; i < rpc->attempts && pause < PAUSE_MAX_MS; i++)
        pause = pause * 8 / 5;
    if (pause > PAUSE_MAX_MS)
        pause = PAUSE_MAX_MS;
    return pause * (int64_t)(80 + etcd__reactor_random(reactor_of(rpc), 41)) / 100;
}

static void try_again(struct etcd__rpc *rpc)
{
    int64_t pause = pause_ms(rpc);

    if (pause == 0)
        go_on(rpc);
    else
        etcd__timer_arm(reactor_of(rpc), &rpc->step, reactor_of(rpc)->now_ms + pause);
}

static bool may_repeat(const struct etcd__rpc *rpc, enum etcd__remedy remedy)
{
    if (rpc->fail_fast && !rpc->maybe_sent)
        return false;
    return remedy == ETCD__REMEDY_REPEAT || (remedy == ETCD__REMEDY_RETRY && is_repeatable(rpc));
}

/* The refusal is about our own earlier attempt, whose answer was lost or is still to come. */
static bool was_done_before(const struct etcd__rpc *rpc, const struct attempt *attempt, etcd_status status)
{
    return status != ETCD_OK && status == rpc->kind->done_before &&
           (rpc->maybe_sent || other_alive(rpc, attempt));
}

static void complete_done_before(struct etcd__rpc *rpc)
{
    if (rpc->op.result != NULL) /* the lost answer of the attempt that did it */
        rpc->kind->free_result(rpc->op.result);
    rpc->op.result = NULL;
    rpc->decoded = ETCD_OK;
    if (rpc->kind->decode_request != NULL)
        rpc->decoded = rpc->kind->decode_request(rpc->request + ETCD__FRAME_HEADER,
                                                 rpc->request_len - ETCD__FRAME_HEADER, &rpc->op.result,
                                                 &rpc->op.error);
    answered(rpc);
}

/* The answer is final. An attempt before it, or beside it, may have been carried out all the same. */
static void refused(struct etcd__rpc *rpc, struct attempt *attempt, const struct etcd__call_end *end,
                    struct etcd__verdict verdict)
{
    etcd_error err;
    bool maybe;

    stop_attempt(rpc, attempt == &rpc->first ? rpc->second : &rpc->first);
    maybe = rpc->kind->writes && (verdict.maybe_applied || rpc->maybe_sent);
    verdict.maybe_applied = maybe;
    (void)etcd__error_of_end(&err, rpc->client, rpc->kind->method.name, end, &verdict, rpc->kind->writes);
    err.flags |= flags_of(rpc, verdict.retryable, maybe);
    complete(rpc, verdict.status, &err);
}

static void failed(struct etcd__rpc *rpc, struct attempt *attempt, const struct etcd__call_end *end)
{
    struct etcd__verdict verdict = etcd__verdict_of(end);
    struct etcd__subchannel *subchannel = attempt->call.subchannel;

    if (end->sent == ETCD__MAYBE_SENT && verdict.maybe_applied)
        rpc->maybe_sent = true;
    (void)etcd__format(rpc->cause, sizeof(rpc->cause), "%s%s%s", end->endpoint,
                       end->endpoint[0] == '\0' ? "" : ": ", end->message);
    if (end->from_server && subchannel != NULL &&
        (verdict.remedy == ETCD__REMEDY_RETRY || verdict.remedy == ETCD__REMEDY_REPEAT))
        etcd__channel_set_aside(rpc->client->channel, subchannel, SET_ASIDE_MS);
    if (was_done_before(rpc, attempt, verdict.status)) {
        complete_done_before(rpc);
        return;
    }
    rpc->avoid = subchannel;
    if (verdict.remedy == ETCD__REMEDY_LOGIN && rpc->logins < LOGINS_MAX &&
        etcd__auth_reject(&rpc->client->auth, attempt->generation)) {
        rpc->logins++;
        stop_attempt(rpc, attempt == &rpc->first ? rpc->second : &rpc->first);
        proceed(rpc);
    } else if (may_repeat(rpc, verdict.remedy)) {
        try_again(rpc);
    } else {
        refused(rpc, attempt, end, verdict);
    }
}

static void on_end(struct etcd__call *call, const struct etcd__call_end *end)
{
    struct attempt *attempt = ETCD__CONTAINER(call, struct attempt, call);
    struct etcd__rpc *rpc = attempt->rpc;
    struct etcd__call_end own;

    if (end->code == ETCD__GRPC_OK && rpc->kind->method.streaming) {
        own = *end;
        own.code = ETCD__GRPC_UNAVAILABLE;
        own.message = "the server ended the stream without an answer";
        failed(rpc, attempt, &own);
    } else if (end->code == ETCD__GRPC_OK) {
        answered(rpc);
    } else {
        failed(rpc, attempt, end);
    }
}

static const struct etcd__call_ops attempt_ops = {
    .on_message = on_message,
    .on_end = on_end,
};

static void start_attempt(struct etcd__rpc *rpc, struct attempt *attempt)
{
    struct etcd__call_config config = {
        .method = &rpc->kind->method,
        .ops = &attempt_ops,
        .deadline_ms = rpc->deadline_ms,
        .max_recv = rpc->client->config.max_recv_bytes,
        .require_leader = rpc->kind->method.streaming,
        .fail_fast = rpc->fail_fast,
        .avoid = rpc->avoid,
        .only = rpc->only,
    };

    if (rpc->attempts > 0)
        etcd__count(other_alive(rpc, attempt) ? &rpc->client->metrics.hedges : &rpc->client->metrics.retries,
                    1);
    attempt->rpc = rpc;
    attempt->generation = rpc->client->auth.generation;
    attempt->outgoing = (struct etcd__outgoing){.data = rpc->request, .len = rpc->request_len};
    rpc->attempts++;
    rpc->decoded = ETCD_OK;
    etcd__call_start(&attempt->call, rpc->client->channel, &config);
    etcd__call_send(&attempt->call, &attempt->outgoing);
}

/* An answer is overdue: asks another member as well, if there is one. */
static void try_elsewhere(struct etcd__rpc *rpc)
{
    bool first_runs = etcd__call_alive(&rpc->first.call);
    const struct etcd__subchannel *subchannel = first_runs ? rpc->first.call.subchannel
                                                           : rpc->second->call.subchannel;

    if (subchannel == NULL || !etcd__channel_has_other(rpc->client->channel, subchannel)) {
        etcd__timer_arm(reactor_of(rpc), &rpc->step, reactor_of(rpc)->now_ms + HEDGE_MS);
        return;
    }
    if (rpc->second == NULL)
        rpc->second = ETCD__NEW(struct attempt);
    if (rpc->second == NULL)
        return; /* the first attempt goes on all the same */
    rpc->avoid = subchannel;
    start_attempt(rpc, first_runs ? rpc->second : &rpc->first);
}

/* The next attempt: the only one, or company for one that goes on. */
static void go_on(struct etcd__rpc *rpc)
{
    bool first_runs = etcd__call_alive(&rpc->first.call);
    bool second_runs = rpc->second != NULL && etcd__call_alive(&rpc->second->call);

    if (!first_runs && !second_runs)
        proceed(rpc);
    else if (!first_runs || !second_runs)
        try_elsewhere(rpc);
}

static void on_step(struct etcd__timer *timer)
{
    go_on(ETCD__CONTAINER(timer, struct etcd__rpc, step));
}

static void on_login(struct etcd__auth_waiter *waiter, etcd_status status, const etcd_error *err)
{
    struct etcd__rpc *rpc = ETCD__CONTAINER(waiter, struct etcd__rpc, login);
    etcd_error own;

    if (status == ETCD_OK) {
        proceed(rpc);
        return;
    }
    own = *err;
    etcd__error_prefix(&own, "%s", rpc->kind->method.name);
    complete(rpc, status, &own);
}

static void proceed(struct etcd__rpc *rpc)
{
    if (!etcd__auth_ready(&rpc->client->auth)) {
        etcd__auth_wait(&rpc->client->auth, &rpc->login);
        return;
    }
    start_attempt(rpc, &rpc->first);
    if (is_repeatable(rpc) && rpc->only == NULL)
        etcd__timer_arm(reactor_of(rpc), &rpc->step, reactor_of(rpc)->now_ms + HEDGE_MS);
}

static void begin(struct etcd__rpc *rpc)
{
    etcd__list_push(&rpc->client->rpcs, &rpc->node);
    if (rpc->deadline_ms != INT64_MAX)
        etcd__timer_arm(reactor_of(rpc), &rpc->deadline, rpc->deadline_ms);
    if (rpc->kind->secret)
        etcd__client_warn_of_clear_text(rpc->client);
    proceed(rpc);
}

static void on_submit(struct etcd__work *work)
{
    struct etcd__rpc *rpc = ETCD__CONTAINER(work, struct etcd__rpc, submit);

    etcd__count(&rpc->client->metrics.calls, 1);
    if (rpc->client->torn_down)
        give_up(rpc, ETCD_E_CLOSED, "the client was closed");
    else if (rpc->in_wait && atomic_load(&rpc->client->waits_cancelled))
        give_up(rpc, ETCD_E_CANCELLED, "the client's waits were cancelled");
    else
        begin(rpc);
}

/* ---- starting -------------------------------------------------------------------------------------- */

static etcd_status encode(struct etcd__rpc *rpc, const ProtobufCMessage *request, etcd_error *reterr)
{
    size_t max = rpc->client->config.max_send_bytes;

    size_t len;

    if (etcd__wire_pack(request, ETCD__FRAME_HEADER, &rpc->request, &len) != ETCD_OK)
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

static bool count(struct etcd__rpc *rpc)
{
    atomic_uint *outstanding = &rpc->client->outstanding;

    if (atomic_fetch_add_explicit(outstanding, 1, memory_order_relaxed) <
        rpc->client->config.max_outstanding) {
        rpc->counted = true;
        return true;
    }
    (void)atomic_fetch_sub_explicit(outstanding, 1, memory_order_relaxed);
    return false;
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
    rpc->submit.run = on_submit;
    rpc->deadline.on_expire = on_deadline;
    rpc->step.on_expire = on_step;
    rpc->login.on_ready = on_login;
    etcd__op_init(&rpc->op, client->loop, kind, options->on_done, options->user_data);
    rpc->op.destroy = destroy;
    rpc->op.on_cancel = on_cancel;
    rpc->op.free_result = kind->free_result;
    st = etcd__rpc_deadline(client, kind->method.name, options->timeout_ms, &rpc->deadline_ms, reterr);
    if (st == ETCD_OK)
        st = bind_to(rpc, options->endpoint, reterr);
    if (st == ETCD_OK)
        st = encode(rpc, request, reterr);
    if (st != ETCD_OK) {
        destroy(&rpc->op);
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

static etcd_status fail_busy(const struct etcd_client *client, const struct etcd__rpc_kind *kind,
                             etcd_error *reterr)
{
    (void)etcd__fail(reterr, ETCD_E_BUSY, "%s: client '%s' has %u calls under way, its limit",
                     kind->method.name, etcd__client_label(client), client->config.max_outstanding);
    if (reterr != NULL)
        reterr->flags |= ETCD_ERROR_RETRYABLE;
    return ETCD_E_BUSY;
}

etcd_status etcd__rpc_start(struct etcd_client *client, const struct etcd__rpc_kind *kind,
                            const ProtobufCMessage *request, const struct etcd__rpc_options *options,
                            struct etcd_op **ret_op, etcd_error *reterr)
{
    struct etcd__rpc *rpc = NULL;
    etcd_status st = etcd__rpc_check(client, kind->method.name, options->blocking, reterr);

    if (st == ETCD_OK)
        st = new_rpc(client, kind, request, options, &rpc, reterr);
    if (st == ETCD_OK && !count(rpc)) {
        destroy(&rpc->op);
        st = fail_busy(client, kind, reterr);
    }
    if (st != ETCD_OK)
        return st;
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

    if (st != ETCD_E_DEADLINE)
        return st;
    etcd__error_prefix(reterr, "client '%s'", etcd__client_label(rpc->client));
    if (reterr != NULL)
        reterr->flags |= flags_of(rpc, true, rpc->kind->writes);
    return ETCD_E_DEADLINE;
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
    begin(rpc);
    return ETCD_OK;
}

void etcd__rpc_abort(struct etcd__rpc *rpc)
{
    if (rpc == NULL)
        return;
    settle(rpc);
    etcd_op_free(&rpc->op);
}

void etcd__rpc_cancel_waits(struct etcd_client *client)
{
    ETCD__LIST_FOREACH_SAFE(node, &client->rpcs)
    {
        struct etcd__rpc *rpc = ETCD__CONTAINER(node, struct etcd__rpc, node);

        if (rpc->in_wait)
            give_up(rpc, ETCD_E_CANCELLED, "the client's waits were cancelled");
    }
}

void etcd__rpc_close_all(struct etcd_client *client)
{
    struct etcd__node *node;

    while ((node = etcd__list_first(&client->rpcs)) != NULL)
        give_up(ETCD__CONTAINER(node, struct etcd__rpc, node), ETCD_E_CLOSED, "the client was closed");
}
