/* SPDX-License-Identifier: Apache-2.0 */
#include "client/keepalive_stream.h"

#include "client/client.h"
#include "client/errors.h"
#include "wire/bulk.h"
#include "wire/codec.h"
#include "wire/messages.h"

#include <assert.h>
#include <inttypes.h>

enum {
    PAUSE_FIRST_MS = 50, /* before a broken stream is opened again; grows by 1.6, 20 % at random */
    PAUSE_MAX_MS = 1000,
    LOOK_MS = 1000,      /* how long an opening may hang on a connection that does not take it */
    OVERDUE_DIVISOR = 6, /* of the TTL */
    OVERDUE_MAX_MS = 1000,
    TERM_MEMORY_MS = 5000, /* how long a newer raft term makes answers of older ones worthless */
    SET_ASIDE_MS = 2000,   /* how long a member that could not serve gets no new calls */
};

static const struct etcd__method keep_alive = {"/etcdserverpb.Lease/LeaseKeepAlive", "lease keep-alive",
                                               true};

static void open_stream(struct etcd__lease_stream *stream, const struct etcd__subchannel *avoid);

static struct etcd__lease *queued(struct etcd__node *node)
{
    return ETCD__CONTAINER(node, struct etcd__lease, queue);
}

static struct etcd__lease_stream *stream_at(struct etcd__node *node)
{
    return ETCD__CONTAINER(node, struct etcd__lease_stream, node);
}

static struct etcd__lease_stream *stream_of_call(struct etcd__call *call)
{
    return ETCD__CONTAINER(call, struct etcd__lease_stream, call);
}

static struct etcd_client *client_of(const struct etcd__lease_stream *stream)
{
    return stream->lessor->client;
}

static struct etcd__reactor *reactor_of(const struct etcd__lease_stream *stream)
{
    return etcd__client_reactor(client_of(stream));
}

/* ---- sending --------------------------------------------------------------------------------------- */

static void fill_frame(struct etcd__lease *lease)
{
    Etcd__Pb__LeaseKeepAliveRequest request = ETCD__PB__LEASE_KEEP_ALIVE_REQUEST__INIT;

    request.id = lease->id;
    assert(protobuf_c_message_get_packed_size(&request.base) <= sizeof(lease->frame) - ETCD__FRAME_HEADER);
    lease->outgoing = (struct etcd__outgoing){
        .data = lease->frame,
        .len = ETCD__FRAME_HEADER + protobuf_c_message_pack(&request.base, lease->frame + ETCD__FRAME_HEADER),
    };
}

static void send_renewal(struct etcd__lease_stream *stream, struct etcd__lease *lease, int64_t now_ms)
{
    fill_frame(lease);
    etcd__node_unlink(&lease->queue);
    etcd__list_push(&stream->sent, &lease->queue);
    stream->sent_count++;
    lease->state = ETCD__LEASE_SENT;
    lease->sent_ms = now_ms;
    etcd__count(&client_of(stream)->metrics.lease_renewals, 1);
    etcd__call_send(&stream->call, &lease->outgoing);
    etcd__lease_schedule(lease);
}

/* Sends what is ready, as far as the stream takes it, and opens the stream where there is need. */
static void pump(struct etcd__lease_stream *stream)
{
    struct etcd__node *node = etcd__list_first(&stream->ready);
    int64_t now_ms;

    if (node == NULL)
        return;
    if (stream->state == ETCD__LEASE_STREAM_IDLE) {
        open_stream(stream, NULL);
        return;
    }
    now_ms = etcd__lessor_now(stream->lessor);
    while (stream->state == ETCD__LEASE_STREAM_OPEN && stream->sent_count < stream->window && node != NULL) {
        send_renewal(stream, queued(node), now_ms);
        node = etcd__list_first(&stream->ready);
    }
}

static void make_ready(struct etcd__lease *lease)
{
    assert(!etcd__node_linked(&lease->queue));
    lease->state = ETCD__LEASE_READY;
    etcd__list_push(&lease->stream->ready, &lease->queue);
    etcd__lease_schedule(lease);
}

void etcd__lease_renew(struct etcd__lease *lease)
{
    make_ready(lease);
    pump(lease->stream);
}

int64_t etcd__lease_overdue_ms(const struct etcd__lease *lease)
{
    const struct etcd__lease_stream *stream = lease->stream;
    int64_t limit_ms = lease->ttl_ms / OVERDUE_DIVISOR;
    int64_t since_ms = lease->sent_ms;

    if (limit_ms > OVERDUE_MAX_MS)
        limit_ms = OVERDUE_MAX_MS;
    /* While answers come in it is the queue at the server that takes time; another would not be shorter. */
    if (stream->answered_ms > since_ms)
        since_ms = stream->answered_ms;
    return since_ms + limit_ms * (1 + (int64_t)stream->patience);
}

/* ---- what was under way when a stream broke -------------------------------------------------------- */

static void free_lease(struct etcd__lessor *lessor, struct etcd__lease *lease)
{
    etcd__node_unlink(&lease->queue);
    (void)etcd__map_remove(&lessor->leases, (uint64_t)lease->id);
    etcd__free(lease);
}

static void take_from_sent(struct etcd__lease *lease)
{
    assert(lease->state == ETCD__LEASE_SENT);
    etcd__node_unlink(&lease->queue);
    lease->stream->sent_count--;
    lease->state = ETCD__LEASE_RESTING;
}

/* Its answer has come, or never will. False: nobody wants the lease any more, it is gone. */
static bool settle_disowned(struct etcd__lease *lease)
{
    lease->disowned = false;
    if (!etcd__list_empty(&lease->users))
        return true;
    free_lease(lease->stream->lessor, lease);
    return false;
}

/* The call is over: what was not answered is ready again, in front of the rest and in its order. */
static void take_back(struct etcd__lease_stream *stream)
{
    struct etcd__list rest;
    struct etcd__node *node;

    etcd__list_init(&rest);
    etcd__list_splice(&rest, &stream->ready);
    while ((node = etcd__list_first(&stream->sent)) != NULL) {
        struct etcd__lease *lease = queued(node);

        take_from_sent(lease);
        if (!lease->disowned || settle_disowned(lease))
            make_ready(lease);
    }
    etcd__list_splice(&stream->ready, &rest);
}

static void stop_call(struct etcd__lease_stream *stream)
{
    (void)etcd__call_cancel(&stream->call);
    etcd__timer_disarm(reactor_of(stream), &stream->timer);
    etcd__auth_unwait(&stream->login);
    stream->state = ETCD__LEASE_STREAM_IDLE;
}

/* ---- the streams of a lessor ----------------------------------------------------------------------- */

static void free_stream(struct etcd__lease_stream *stream)
{
    struct etcd__node *node;

    stop_call(stream);
    while ((node = etcd__list_first(&stream->sent)) != NULL)
        free_lease(stream->lessor, queued(node));
    assert(etcd__list_empty(&stream->ready));
    etcd__node_unlink(&stream->node);
    etcd__free(stream);
}

static void on_stream_timer(struct etcd__timer *timer);
static void on_login(struct etcd__auth_waiter *waiter, etcd_status status, const etcd_error *err);

static struct etcd__lease_stream *new_stream(struct etcd__lessor *lessor)
{
    struct etcd__lease_stream *stream = ETCD__NEW(struct etcd__lease_stream);

    if (stream == NULL)
        return NULL;
    stream->lessor = lessor;
    stream->window = SIZE_MAX;
    stream->timer.on_expire = on_stream_timer;
    stream->login.on_ready = on_login;
    etcd__list_init(&stream->ready);
    etcd__list_init(&stream->sent);
    etcd__list_push(&lessor->streams, &stream->node);
    return stream;
}

/* The shared stream with the fewest leases, and how many shared ones there are. */
static struct etcd__lease_stream *least_used(struct etcd__lessor *lessor, size_t *ret_count)
{
    struct etcd__lease_stream *best = NULL;

    *ret_count = 0;
    ETCD__LIST_FOREACH(node, &lessor->streams)
    {
        struct etcd__lease_stream *stream = stream_at(node);

        if (stream->isolated)
            continue;
        ++*ret_count;
        if (best == NULL || stream->leases < best->leases)
            best = stream;
    }
    return best;
}

static bool wants_another(const struct etcd__lease_stream *best, size_t count)
{
    return best == NULL || (best->leases >= ETCD__LEASE_STREAM_CROWDED && count < ETCD__LEASE_STREAMS_MAX);
}

static void move(struct etcd__lease *lease, struct etcd__lease_stream *to)
{
    lease->stream = to;
    to->leases++;
}

bool etcd__lease_join_stream(struct etcd__lessor *lessor, struct etcd__lease *lease)
{
    size_t count;
    struct etcd__lease_stream *stream = least_used(lessor, &count);

    if (wants_another(stream, count)) {
        struct etcd__lease_stream *another = new_stream(lessor);

        if (another != NULL)
            stream = another;
    }
    if (stream == NULL)
        return false;
    move(lease, stream);
    return true;
}

/* The caller has no more use for the stream when this was its last lease. */
static void leave(struct etcd__lease_stream *stream)
{
    assert(stream->leases > 0);
    if (--stream->leases == 0)
        free_stream(stream);
}

void etcd__lease_abandon(struct etcd__lease *lease)
{
    struct etcd__lease_stream *stream = lease->stream;

    if (lease->state == ETCD__LEASE_SENT)
        lease->disowned = true;
    else
        free_lease(stream->lessor, lease);
    leave(stream);
}

/* ---- a stream that broke --------------------------------------------------------------------------- */

static int64_t pause_ms(const struct etcd__lease_stream *stream)
{
    int64_t pause = PAUSE_FIRST_MS;

    for (unsigned i = 1; i < stream->failures && pause < PAUSE_MAX_MS; i++)
        pause = pause * 8 / 5;
    if (pause > PAUSE_MAX_MS)
        pause = PAUSE_MAX_MS;
    return pause * (int64_t)(80 + etcd__reactor_random(reactor_of(stream), 41)) / 100;
}

/* Opens it again after a while, if there is something to send by then. */
static void pause_stream(struct etcd__lease_stream *stream)
{
    stop_call(stream);
    take_back(stream);
    stream->failures++;
    stream->state = ETCD__LEASE_STREAM_PAUSING;
    etcd__timer_arm(reactor_of(stream), &stream->timer, etcd__lessor_now(stream->lessor) + pause_ms(stream));
}

static void restart(struct etcd__lease_stream *stream, const struct etcd__subchannel *avoid)
{
    stop_call(stream);
    take_back(stream);
    if (!etcd__list_empty(&stream->ready))
        open_stream(stream, avoid);
}

/* Those that are set aside count too: they are tried when the others fail. */
static unsigned endpoints(const struct etcd_client *client)
{
    size_t count = etcd__channel_count(client->channel);

    return count == 0 ? 1 : (unsigned)count;
}

/*
 * Each endpoint gets a try within the usual limit, which is what a member that fails calls for; after that
 * the servers may just be slow, and get longer.
 */
void etcd__lease_stream_stalled(struct etcd__lease_stream *stream)
{
    struct etcd_client *client = client_of(stream);
    struct etcd__subchannel *subchannel = stream->call.subchannel;

    (void)etcd__fail(&stream->last, ETCD_E_DEADLINE, "lease keep-alive: client '%s'%s%s: no answer in time",
                     etcd__client_label(client), subchannel == NULL ? "" : ", endpoint ",
                     subchannel == NULL ? "" : etcd__subchannel_endpoint(subchannel));
    etcd__log(&client->log, ETCD_LOG_INFO, "lease", "%s", stream->last.message);
    /* Nothing at all came from there meanwhile, so others need not find out for themselves. */
    if (subchannel != NULL && etcd__subchannel_silence_ms(subchannel) >= OVERDUE_MAX_MS)
        etcd__channel_set_aside(client->channel, subchannel, SET_ASIDE_MS);
    stream->stalls++;
    stream->patience = stream->stalls / endpoints(client);
    restart(stream, subchannel);
}

/* Ends every lease that waits for the stream. It may be gone afterwards. */
static void end_ready(struct etcd__lease_stream *stream, etcd_status status, const etcd_error *err)
{
    struct etcd__node *node;
    bool gone = false;

    while (!gone && (node = etcd__list_first(&stream->ready)) != NULL) {
        gone = stream->leases == 1;
        etcd__lease_end(queued(node), status, err);
    }
}

/* ---- refusals -------------------------------------------------------------------------------------- */

/* Verdicts about one lease; anything else is about the server or the way to it. */
static bool is_refusal(const struct etcd__verdict *verdict)
{
    return verdict->remedy == ETCD__REMEDY_NONE &&
           (verdict->status == ETCD_E_DENIED || verdict->status == ETCD_E_AUTH ||
            verdict->status == ETCD_E_LEASE_NOT_FOUND);
}

static void end_refused(struct etcd__lease *lease, etcd_status status)
{
    etcd_error err = lease->stream->last;

    if (status == ETCD_E_LEASE_NOT_FOUND)
        err.status = ETCD_E_LEASE_LOST;
    etcd__lease_end(lease, err.status, &err);
}

/* Puts a lease that is under suspicion on a stream of its own. False when out of memory. */
static bool isolate(struct etcd__lease *lease)
{
    struct etcd__lease_stream *old = lease->stream;
    struct etcd__lease_stream *own = old;

    if (old->leases > 1)
        own = new_stream(old->lessor);
    if (own == NULL)
        return false;
    own->isolated = true;
    if (own == old)
        return true;
    own->last = old->last;
    take_from_sent(lease);
    move(lease, own);
    old->leases--;
    etcd__lease_renew(lease);
    return true;
}

/*
 * The server has ended the stream because of a lease. It answers in order, so that is the first
 * one without an answer.
 */
static void on_refusal(struct etcd__lease_stream *stream, etcd_status status)
{
    struct etcd__node *first = etcd__list_first(&stream->sent);
    struct etcd__lease *suspect = first == NULL ? NULL : queued(first);

    if (suspect != NULL && stream->isolated && !suspect->disowned) {
        end_refused(suspect, status);
        return;
    }
    if (suspect == NULL || (!suspect->disowned && !isolate(suspect))) {
        pause_stream(stream);
        return;
    }
    /* Each such restart settles one lease, so it needs no pause. */
    stream->window = 1;
    restart(stream, NULL);
}

/* The lease under suspicion was answered: back among the others, or its stream is theirs from now on. */
static void acquit(struct etcd__lease *lease)
{
    struct etcd__lease_stream *stream = lease->stream;
    size_t count;
    struct etcd__lease_stream *shared = least_used(stream->lessor, &count);

    if (wants_another(shared, count)) {
        stream->isolated = false;
        return;
    }
    move(lease, shared);
    leave(stream);
}

static void on_token_refused(struct etcd__lease_stream *stream)
{
    etcd_error err;

    if (!etcd__auth_reject(&client_of(stream)->auth, stream->generation)) {
        err = stream->last;
        stop_call(stream);
        take_back(stream);
        end_ready(stream, ETCD_E_AUTH, &err);
    } else if (stream->failures > 0) {
        pause_stream(stream); /* the newest token is not accepted either */
    } else {
        stream->failures++;
        restart(stream, NULL);
    }
}

/* ---- events ---------------------------------------------------------------------------------------- */

static void on_sent(struct etcd__call *call)
{
    struct etcd__lease_stream *stream = stream_of_call(call);

    etcd__timer_disarm(reactor_of(stream), &stream->timer);
    stream->state = ETCD__LEASE_STREAM_OPEN;
    stream->generation = client_of(stream)->auth.generation;
    pump(stream);
}

static void on_unreadable(struct etcd__lease_stream *stream, etcd_status st)
{
    (void)etcd__fail(&stream->last, st, "lease keep-alive: client '%s': the answer is malformed",
                     etcd__client_label(client_of(stream)));
    pause_stream(stream);
}

/* An answer to a renewal that was sent on this stream and is still waited for; NULL: to none. */
static struct etcd__lease *find_sent(const struct etcd__lease_stream *stream, int64_t id)
{
    struct etcd__lease *lease = etcd__map_get(&stream->lessor->leases, (uint64_t)id);

    if (lease == NULL || lease->stream != stream || lease->state != ETCD__LEASE_SENT)
        return NULL;
    /* Not written yet: the server cannot have seen it, whatever it says. */
    return etcd__node_linked(&lease->outgoing.node) ? NULL : lease;
}

static void note_sign_of_life(struct etcd__lease_stream *stream)
{
    stream->answered_ms = reactor_of(stream)->now_ms;
    stream->failures = stream->stalls = stream->patience = 0;
    stream->window = stream->window > SIZE_MAX / 2 ? SIZE_MAX : stream->window * 2;
}

/*
 * A leader that was deposed while it was stopped or cut off does not know it at once: it goes on renewing
 * leases that the new leader lets expire, and says that others are gone. Its word counts for nothing; the
 * renewal becomes overdue and is made elsewhere. Only while the newer term was seen lately: in a cluster that
 * was restored from a backup terms begin anew.
 */
static bool is_of_the_past(const struct etcd__lease_stream *stream, const struct etcd__wire_lease *answer)
{
    struct etcd__lessor *lessor = stream->lessor;
    int64_t now_ms = etcd__lessor_now(lessor);

    if (answer->header.raft_term == 0)
        return false; /* the member that answered does not say */
    if (answer->header.raft_term < lessor->raft_term && now_ms - lessor->raft_term_ms < TERM_MEMORY_MS) {
        etcd__log(&client_of(stream)->log, ETCD_LOG_DEBUG, "lease",
                  "client '%s': a renewal of raft term %" PRIu64 " is not believed: term %" PRIu64
                  " was seen",
                  etcd__client_label(client_of(stream)), answer->header.raft_term, lessor->raft_term);
        return true;
    }
    lessor->raft_term = answer->header.raft_term;
    lessor->raft_term_ms = now_ms;
    return false;
}

static void on_message(struct etcd__call *call, const uint8_t *data, size_t len)
{
    struct etcd__lease_stream *stream = stream_of_call(call);
    struct etcd__lease *lease;
    struct etcd__wire_lease answer;
    etcd_status st = etcd__wire_read_lease(data, len, &answer);

    if (st != ETCD_OK) {
        on_unreadable(stream, st);
        return;
    }
    if (is_of_the_past(stream, &answer))
        return;
    note_sign_of_life(stream);
    lease = find_sent(stream, answer.id);
    if (lease == NULL)
        return;
    take_from_sent(lease);
    pump(stream);
    if (!lease->disowned) {
        if (answer.ttl_s > 0 && stream->isolated)
            acquit(lease);
        etcd__lease_answered(lease, answer.ttl_s);
    } else if (settle_disowned(lease)) {
        etcd__lease_renew(lease);
    }
}

static void record(struct etcd__lease_stream *stream, const struct etcd__call_end *end,
                   const struct etcd__verdict *verdict)
{
    struct etcd_client *client = client_of(stream);

    if (end->code == ETCD__GRPC_OK)
        (void)etcd__fail(&stream->last, ETCD_E_UNAVAILABLE,
                         "lease keep-alive: client '%s', endpoint %s: the server ended the stream",
                         etcd__client_label(client), end->endpoint);
    else
        (void)etcd__error_of_end(&stream->last, client, keep_alive.name, end, verdict, false);
    etcd__log(&client->log, ETCD_LOG_DEBUG, "lease", "%s", stream->last.message);
}

static void on_end(struct etcd__call *call, const struct etcd__call_end *end)
{
    struct etcd__lease_stream *stream = stream_of_call(call);
    struct etcd__verdict verdict = {ETCD_E_UNAVAILABLE, ETCD__REMEDY_RETRY, true, false};

    if (end->code != ETCD__GRPC_OK)
        verdict = etcd__verdict_of(end);
    record(stream, end, &verdict);
    if (is_refusal(&verdict)) {
        on_refusal(stream, verdict.status);
    } else if (verdict.remedy == ETCD__REMEDY_LOGIN) {
        on_token_refused(stream);
    } else {
        if (end->from_server && call->subchannel != NULL)
            etcd__channel_set_aside(client_of(stream)->channel, call->subchannel, SET_ASIDE_MS);
        pause_stream(stream);
    }
}

static const struct etcd__call_ops stream_ops = {
    .on_sent = on_sent,
    .on_message = on_message,
    .on_end = on_end,
};

static void on_login(struct etcd__auth_waiter *waiter, etcd_status status, const etcd_error *err)
{
    struct etcd__lease_stream *stream = ETCD__CONTAINER(waiter, struct etcd__lease_stream, login);

    stream->state = ETCD__LEASE_STREAM_IDLE;
    switch (status) {
    case ETCD_OK:
        pump(stream);
        break;
    case ETCD_E_CLOSED:
        break; /* the lessor is being closed too */
    case ETCD_E_AUTH:
    case ETCD_E_DENIED:
        end_ready(stream, status, err);
        break;
    default:
        etcd__error_copy(&stream->last, err);
        pause_stream(stream);
        break;
    }
}

static void on_stream_timer(struct etcd__timer *timer)
{
    struct etcd__lease_stream *stream = ETCD__CONTAINER(timer, struct etcd__lease_stream, timer);

    if (stream->state == ETCD__LEASE_STREAM_PAUSING) {
        stream->state = ETCD__LEASE_STREAM_IDLE;
        pump(stream);
    } else if (stream->call.state == ETCD__CALL_ACTIVE) {
        etcd__lease_stream_stalled(stream); /* the connection takes nothing */
    } else {
        etcd__timer_arm(reactor_of(stream), timer, reactor_of(stream)->now_ms + LOOK_MS);
    }
}

static void open_stream(struct etcd__lease_stream *stream, const struct etcd__subchannel *avoid)
{
    struct etcd_client *client = client_of(stream);
    const struct etcd__call_config config = {
        .method = &keep_alive,
        .ops = &stream_ops,
        .deadline_ms = INT64_MAX,
        .max_recv = client->config.max_recv_bytes,
        .require_leader = true,
        .avoid = avoid,
    };

    assert(stream->state == ETCD__LEASE_STREAM_IDLE);
    if (!etcd__auth_ready(&client->auth)) {
        stream->state = ETCD__LEASE_STREAM_LOGIN;
        etcd__auth_wait(&client->auth, &stream->login);
        return;
    }
    stream->state = ETCD__LEASE_STREAM_OPENING;
    stream->generation = client->auth.generation;
    etcd__call_start(&stream->call, client->channel, &config);
    etcd__timer_arm(reactor_of(stream), &stream->timer, etcd__lessor_now(stream->lessor) + LOOK_MS);
}
