/* SPDX-License-Identifier: Apache-2.0 */
#include "client/rpc_core.h"

#include "base/str.h"
#include "wire/codec.h"
#include "wire/convert.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum {
    HEDGE_MS = 1000,     /* an unanswered repeatable call is tried elsewhere as well */
    PAUSE_FIRST_MS = 25, /* between attempts; grows by 1.6, 20 % at random */
    PAUSE_MAX_MS = 1000,
    ELECTION_PAUSE_MAX_MS = 250, /* while the members elect a leader, which takes a second or two */
    ELECTION_ATTEMPTS = 12,
    SET_ASIDE_MS = 2000, /* how long a member that could not serve gets no new calls */
    /* The same for one that has no leader: it says so at once, and may have one soon. */
    SET_ASIDE_LEADERLESS_MS = 250,
    LOGINS_MAX = 5, /* renewals of the token for one call, as for a watch */
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

static void stop_attempt(struct etcd__rpc *rpc, struct etcd__attempt *attempt)
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
    etcd__rpc_uncount(rpc);
    release_request(rpc); /* the handle may be kept for long */
}

static void complete(struct etcd__rpc *rpc, etcd_status status, const etcd_error *err)
{
    void *result = NULL;

    settle(rpc);
    if (rpc->done == NULL) {
        if (status != ETCD_OK)
            etcd__count(&rpc->client->metrics.failures, 1);
        etcd__op_complete(&rpc->op, status, err);
        return;
    }
    if (status == ETCD_OK) { /* otherwise an answer whose end never came goes with the call */
        result = rpc->op.result;
        rpc->op.result = NULL;
    }
    rpc->done(rpc->done_user, status, result, err);
    atomic_store_explicit(&rpc->op.done, true, memory_order_release);
    etcd_op_free(&rpc->op);
}

/*
 * What the error says of trying again. A write that may have been applied is for its caller to look at,
 * unless doing it twice is as good as doing it once.
 */
uint32_t etcd__rpc_flags(const struct etcd__rpc *rpc, bool retryable, bool maybe)
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
    err.flags |= etcd__rpc_flags(rpc, etcd__status_retryable(status), maybe);
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

/* How long ago the attempt was sent; 0: it was not. */
static int64_t asked_ms(struct etcd__rpc *rpc, const struct etcd__attempt *attempt)
{
    return attempt->call.sent_ms == 0 ? 0 : reactor_of(rpc)->now_ms - attempt->call.sent_ms;
}

/*
 * A member that leaves a request without an answer for so long, though other things come from it, gets no
 * others for a while. One from which nothing comes is pinged, and set aside until something does (health.h):
 * to leave it alone now would put that off.
 */
static void note_silence(struct etcd__rpc *rpc, const struct etcd__attempt *attempt)
{
    if (attempt != NULL && etcd__call_alive(&attempt->call) && attempt->call.subchannel != NULL &&
        asked_ms(rpc, attempt) >= HEDGE_MS &&
        etcd__subchannel_silence_ms(attempt->call.subchannel) < asked_ms(rpc, attempt))
        etcd__channel_set_aside(rpc->client->channel, attempt->call.subchannel, SET_ASIDE_MS);
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

    note_silence(rpc, &rpc->first);
    note_silence(rpc, rpc->second);
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

static struct etcd__attempt *other_than(struct etcd__rpc *rpc, const struct etcd__attempt *attempt)
{
    return attempt == &rpc->first ? rpc->second : &rpc->first;
}

static bool other_alive(struct etcd__rpc *rpc, const struct etcd__attempt *attempt)
{
    const struct etcd__attempt *other = other_than(rpc, attempt);

    return other != NULL && etcd__call_alive(&other->call);
}

static void note_time(struct etcd__rpc *rpc, const struct etcd__attempt *attempt)
{
    if (attempt->call.subchannel != NULL)
        etcd__channel_took(rpc->client->channel, attempt->call.subchannel, asked_ms(rpc, attempt));
}

/* The attempt has an answer. An older one without shows that its member is the worse choice for now. */
static void outdo(struct etcd__rpc *rpc, const struct etcd__attempt *attempt)
{
    const struct etcd__attempt *other = other_than(rpc, attempt);

    if (!other_alive(rpc, attempt) || asked_ms(rpc, other) < 2 * asked_ms(rpc, attempt))
        return;
    if (rpc->route == ETCD__ROUTE_NEAREST)
        note_time(rpc, other);
    note_silence(rpc, other);
}

static void answered(struct etcd__rpc *rpc);

static void decode(struct etcd__rpc *rpc, struct etcd__call *call, const uint8_t *data, size_t len)
{
    const struct etcd__scope *scope = rpc->kind->scope;
    etcd_bytes space = rpc->client->config.key_namespace;
    struct etcd__buf large;

    if (rpc->kind->decode_large != NULL && etcd__deframer_take(&call->deframer, &large))
        rpc->decoded = rpc->kind->decode_large(&large, &rpc->op.result, &rpc->op.error);
    else
        rpc->decoded = rpc->kind->decode(data, len, &rpc->op.result, &rpc->op.error);
    if (rpc->decoded == ETCD_OK && space.len > 0 && scope != NULL)
        rpc->decoded = scope->leave(space, rpc->op.result, &rpc->op.error);
}

static void on_message(struct etcd__call *call, const uint8_t *data, size_t len)
{
    struct etcd__attempt *attempt = ETCD__CONTAINER(call, struct etcd__attempt, call);
    struct etcd__rpc *rpc = attempt->rpc;

    if (rpc->client->config.prefer == ETCD_PREFER_LEADER)
        etcd__leader_saw_term(&rpc->client->leader, etcd__wire_raft_term(data, len));
    if (rpc->require_leader && call->subchannel != NULL)
        etcd__subchannel_served(call->subchannel);
    if (rpc->route == ETCD__ROUTE_NEAREST)
        note_time(rpc, attempt);
    outdo(rpc, attempt);
    /* The first answer counts; the other attempt is not waited for. */
    stop_attempt(rpc, other_than(rpc, attempt));
    if (rpc->op.result != NULL)
        rpc->kind->free_result(rpc->op.result);
    rpc->op.result = NULL;
    decode(rpc, call, data, len);
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
    err.flags |= etcd__rpc_flags(rpc, etcd__status_retryable(rpc->decoded), rpc->kind->writes);
    complete(rpc, rpc->decoded, &err);
}

/* 0 when the next attempt can go elsewhere at once. */
static int64_t pause_ms(struct etcd__rpc *rpc)
{
    int64_t pause = PAUSE_FIRST_MS, max_ms = PAUSE_MAX_MS;

    if (rpc->leaderless && rpc->attempts <= ELECTION_ATTEMPTS)
        max_ms = ELECTION_PAUSE_MAX_MS;
    if (rpc->attempts == 1 && rpc->only == NULL && rpc->avoid != NULL &&
        etcd__channel_has_other(rpc->client->channel, rpc->avoid))
        return 0;
    for (unsigned i = 1; i < rpc->attempts && pause < max_ms; i++)
        pause = pause * 8 / 5;
    if (pause > max_ms)
        pause = max_ms;
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

/* No member that can be reached has a leader, and the program does not want to wait for one. */
static bool is_leaderless(struct etcd__rpc *rpc, const struct etcd__attempt *attempt,
                          const struct etcd__verdict *verdict)
{
    const struct etcd__channel *channel = rpc->client->channel;
    const struct etcd__subchannel *subchannel = attempt->call.subchannel;

    return rpc->require_leader && rpc->client->config.require_leader && verdict->status == ETCD_E_NO_LEADER &&
           verdict->remedy == ETCD__REMEDY_REPEAT && !other_alive(rpc, attempt) &&
           !etcd__channel_has_other(channel, subchannel) && !etcd__channel_has_hope(channel, subchannel);
}

/* The refusal is about our own earlier attempt, whose answer was lost or is still to come. */
static bool was_done_before(struct etcd__rpc *rpc, const struct etcd__attempt *attempt, etcd_status status)
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
static void refused(struct etcd__rpc *rpc, struct etcd__attempt *attempt, const struct etcd__call_end *end,
                    struct etcd__verdict verdict)
{
    etcd_error err;
    bool maybe;

    stop_attempt(rpc, other_than(rpc, attempt));
    maybe = rpc->kind->writes && (verdict.maybe_applied || rpc->maybe_sent);
    verdict.maybe_applied = maybe;
    (void)etcd__error_of_end(&err, rpc->client, rpc->kind->method.name, end, &verdict, rpc->kind->writes);
    err.flags |= etcd__rpc_flags(rpc, verdict.retryable, maybe);
    complete(rpc, verdict.status, &err);
}

static void failed(struct etcd__rpc *rpc, struct etcd__attempt *attempt, const struct etcd__call_end *end)
{
    struct etcd__verdict verdict = etcd__verdict_of(end);
    struct etcd__subchannel *subchannel = attempt->call.subchannel;

    if (end->sent == ETCD__MAYBE_SENT && verdict.maybe_applied)
        rpc->maybe_sent = true;
    (void)etcd__format(rpc->cause, sizeof(rpc->cause), "%s%s%s", end->endpoint,
                       end->endpoint[0] == '\0' ? "" : ": ", end->message);
    if (end->from_server && subchannel != NULL &&
        (verdict.remedy == ETCD__REMEDY_RETRY || verdict.remedy == ETCD__REMEDY_REPEAT)) {
        etcd__channel_set_aside(rpc->client->channel, subchannel,
                                verdict.status == ETCD_E_NO_LEADER && verdict.remedy == ETCD__REMEDY_REPEAT
                                    ? SET_ASIDE_LEADERLESS_MS
                                    : SET_ASIDE_MS);
        etcd__leader_doubt(&rpc->client->leader);
    }
    if (was_done_before(rpc, attempt, verdict.status)) {
        complete_done_before(rpc);
        return;
    }
    rpc->avoid = subchannel;
    rpc->leaderless = verdict.status == ETCD_E_NO_LEADER;
    if (verdict.remedy == ETCD__REMEDY_LOGIN && rpc->logins < LOGINS_MAX &&
        etcd__auth_reject(&rpc->client->auth, attempt->generation)) {
        rpc->logins++;
        stop_attempt(rpc, other_than(rpc, attempt));
        proceed(rpc);
    } else if (may_repeat(rpc, verdict.remedy) && !is_leaderless(rpc, attempt, &verdict)) {
        try_again(rpc);
    } else {
        refused(rpc, attempt, end, verdict);
    }
}

static void on_end(struct etcd__call *call, const struct etcd__call_end *end)
{
    struct etcd__attempt *attempt = ETCD__CONTAINER(call, struct etcd__attempt, call);
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

static void start_attempt(struct etcd__rpc *rpc, struct etcd__attempt *attempt)
{
    struct etcd__call_config config = {
        .method = &rpc->kind->method,
        .ops = &attempt_ops,
        .deadline_ms = rpc->deadline_ms,
        .max_recv = rpc->client->config.max_recv_bytes,
        .require_leader = rpc->require_leader,
        .fail_fast = rpc->fail_fast,
        .avoid = rpc->avoid,
        .only = rpc->only,
        .route = rpc->route,
    };

    if (rpc->attempts > 0)
        etcd__count(other_alive(rpc, attempt) ? &rpc->client->metrics.hedges : &rpc->client->metrics.retries,
                    1);
    if (rpc->route == ETCD__ROUTE_LEADER)
        etcd__leader_wanted(&rpc->client->leader);
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

    if (subchannel == NULL || !etcd__channel_has_second(rpc->client->channel, subchannel)) {
        etcd__timer_arm(reactor_of(rpc), &rpc->step, reactor_of(rpc)->now_ms + HEDGE_MS);
        return;
    }
    if (rpc->second == NULL)
        rpc->second = ETCD__NEW(struct etcd__attempt);
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
    bool maybe = rpc->kind->writes && rpc->maybe_sent; /* by an attempt before the token was refused */
    etcd_error own;

    if (status == ETCD_OK) {
        proceed(rpc);
        return;
    }
    own = *err;
    etcd__error_prefix(&own, "%s%s", rpc->kind->method.name, maybe ? maybe_applied : "");
    own.flags = etcd__rpc_flags(rpc, (err->flags & ETCD_ERROR_RETRYABLE) != 0, maybe) |
                (err->flags & ETCD_ERROR_FROM_SERVER);
    complete(rpc, status, &own);
}

static void proceed(struct etcd__rpc *rpc)
{
    if (!etcd__auth_ready(&rpc->client->auth)) {
        etcd__timer_disarm(reactor_of(rpc), &rpc->step); /* the login says when it goes on */
        etcd__auth_wait(&rpc->client->auth, &rpc->login);
        return;
    }
    start_attempt(rpc, &rpc->first);
    if (is_repeatable(rpc) && rpc->only == NULL)
        etcd__timer_arm(reactor_of(rpc), &rpc->step, reactor_of(rpc)->now_ms + HEDGE_MS);
}

void etcd__rpc_begin(struct etcd__rpc *rpc)
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
        etcd__rpc_begin(rpc);
}

/* ---- for rpc_start.c and the client ------------------------------------------------------------------ */

void etcd__rpc_init(struct etcd__rpc *rpc, etcd_op_fn *on_done, void *user_data)
{
    rpc->submit.run = on_submit;
    rpc->deadline.on_expire = on_deadline;
    rpc->step.on_expire = on_step;
    rpc->login.on_ready = on_login;
    etcd__op_init(&rpc->op, rpc->client->loop, rpc->kind, on_done, user_data);
    rpc->op.destroy = destroy;
    rpc->op.on_cancel = on_cancel;
    rpc->op.free_result = rpc->kind->free_result;
}

void etcd__rpc_discard(struct etcd__rpc *rpc)
{
    destroy(&rpc->op);
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

void etcd__rpc_end_programs(struct etcd_client *client, etcd_status status, const char *reason)
{
    ETCD__LIST_FOREACH_SAFE(node, &client->rpcs)
    {
        struct etcd__rpc *rpc = ETCD__CONTAINER(node, struct etcd__rpc, node);

        if (rpc->done == NULL)
            give_up(rpc, status, reason);
    }
}

void etcd__rpc_close_all(struct etcd_client *client)
{
    struct etcd__node *node;

    while ((node = etcd__list_first(&client->rpcs)) != NULL)
        give_up(ETCD__CONTAINER(node, struct etcd__rpc, node), ETCD_E_CLOSED, "the client was closed");
}
