/* SPDX-License-Identifier: Apache-2.0 */
#include "client/watch_stream.h"

#include "wire/codec.h"
#include "wire/convert.h"

#include <assert.h>

enum {
    /* Far from 0: a proxy hands out ids from there, and so gives itself away with the first. */
    FIRST_ID = 1 << 14,
    UNANSWERED_MAX = 1000, /* creates that may be under way together */
    PROVEN_MS = 1000,      /* a stream that served so long was a success */
    STRIKES_MAX = 3,
    /*
     * A create is answered at once, behind what is under way. So long nothing may come before the call is
     * given up for another, and so long, whatever comes, the answer may take. Doubled each time that was too
     * short.
     */
    SILENCE_MS = 5000,
    ANSWER_MS = 30000,
    STALLS_MAX = 4,
    SET_ASIDE_MS = 2000, /* as for calls */
};

static const struct etcd__method watch_method = {"/etcdserverpb.Watch/Watch", "watch", true};

static struct etcd_watch *watch_at(struct etcd__node *place)
{
    return ETCD__CONTAINER(place, struct etcd_watch, place);
}

static struct etcd__reactor *reactor_of(const struct etcd__watch_stream *stream)
{
    return etcd__client_reactor(stream->hub->client);
}

/* ---- sending --------------------------------------------------------------------------------------- */

static void release(struct etcd__outgoing *outgoing)
{
    etcd__free(outgoing->data);
    etcd__free(outgoing);
}

/* False when out of memory. */
static bool send_request(struct etcd__watch_stream *stream, const Etcd__Pb__WatchRequest *request)
{
    struct etcd__outgoing *outgoing = ETCD__NEW(struct etcd__outgoing);
    size_t len;

    if (outgoing == NULL)
        return false;
    if (etcd__wire_pack(&request->base, ETCD__FRAME_HEADER, &outgoing->data, &len) != ETCD_OK) {
        etcd__free(outgoing);
        return false;
    }
    outgoing->len = ETCD__FRAME_HEADER + len;
    outgoing->release = release;
    etcd__call_send(&stream->call, outgoing);
    return true;
}

static bool send_create(struct etcd__watch_stream *stream, const struct etcd_watch *watch)
{
    Etcd__Pb__WatchCreateRequest create = ETCD__PB__WATCH_CREATE_REQUEST__INIT;
    Etcd__Pb__WatchRequest request = ETCD__PB__WATCH_REQUEST__INIT;
    Etcd__Pb__WatchCreateRequest__Filter filters[2];

    create.key = etcd__wire_data(watch->key);
    create.range_end = etcd__wire_data(watch->range_end);
    create.start_revision = watch->next_revision;
    create.watch_id = watch->id;
    create.prev_kv = watch->prev_kv;
    create.fragment = !watch->no_fragment;
    /* Also when the program does not want to know: the resume point moves on, away from what is compacted. */
    create.progress_notify = true;
    create.filters = filters;
    if (watch->no_put)
        filters[create.n_filters++] = ETCD__PB__WATCH_CREATE_REQUEST__FILTER__NO_PUT;
    if (watch->no_delete)
        filters[create.n_filters++] = ETCD__PB__WATCH_CREATE_REQUEST__FILTER__NO_DELETE;
    request.request_case = ETCD__PB__WATCH_REQUEST__REQUEST_CREATE_REQUEST;
    request.create_request = &create;
    return send_request(stream, &request);
}

/*
 * Without memory for it the server keeps the watch until the stream ends; what it sends for it is dropped, as
 * for every id that nobody has.
 */
void etcd__watch_stream_cancel_id(struct etcd__watch_stream *stream, int64_t id)
{
    Etcd__Pb__WatchCancelRequest cancel = ETCD__PB__WATCH_CANCEL_REQUEST__INIT;
    Etcd__Pb__WatchRequest request = ETCD__PB__WATCH_REQUEST__INIT;

    if (stream->state != ETCD__WATCH_STREAM_OPEN)
        return;
    cancel.watch_id = id;
    request.request_case = ETCD__PB__WATCH_REQUEST__REQUEST_CANCEL_REQUEST;
    request.cancel_request = &cancel;
    (void)send_request(stream, &request);
}

bool etcd__watch_stream_send_progress(struct etcd__watch_stream *stream)
{
    Etcd__Pb__WatchProgressRequest progress = ETCD__PB__WATCH_PROGRESS_REQUEST__INIT;
    Etcd__Pb__WatchRequest request = ETCD__PB__WATCH_REQUEST__INIT;

    request.request_case = ETCD__PB__WATCH_REQUEST__REQUEST_PROGRESS_REQUEST;
    request.progress_request = &progress;
    return send_request(stream, &request);
}

/* ---- creating watches ------------------------------------------------------------------------------ */

static bool awaits_answer(const struct etcd__watch_stream *stream)
{
    return stream->expect_id < stream->next_id;
}

/* When the answer that is waited for is overdue. */
static int64_t overdue_ms(const struct etcd__watch_stream *stream)
{
    unsigned shift = stream->stalls < STALLS_MAX ? stream->stalls : STALLS_MAX;
    int64_t last_ms = stream->heard_ms > stream->asked_ms ? stream->heard_ms : stream->asked_ms;
    int64_t silent_ms = last_ms + ((int64_t)SILENCE_MS << shift);
    int64_t latest_ms = stream->asked_ms + ((int64_t)ANSWER_MS << shift);

    return silent_ms < latest_ms ? silent_ms : latest_ms;
}

/* From now on the answer to a create is waited for, once the call has reached a server. */
static void await_answer(struct etcd__watch_stream *stream)
{
    struct etcd__reactor *reactor = reactor_of(stream);

    stream->asked_ms = reactor->now_ms;
    if (stream->call.sent_ms != 0)
        etcd__timer_arm(reactor, &stream->timer, overdue_ms(stream));
}

void etcd__watch_stream_answered(struct etcd__watch_stream *stream)
{
    stream->expect_id++;
    stream->stalls = 0;
    if (awaits_answer(stream))
        stream->asked_ms = reactor_of(stream)->now_ms;
    else
        etcd__timer_disarm(reactor_of(stream), &stream->timer);
}

static bool create_one(struct etcd__watch_stream *stream, struct etcd_watch *watch)
{
    watch->id = stream->next_id;
    if (!etcd__map_put(&stream->ids, (uint64_t)watch->id, watch))
        return false;
    if (!send_create(stream, watch)) {
        (void)etcd__map_remove(&stream->ids, (uint64_t)watch->id);
        return false;
    }
    if (!awaits_answer(stream))
        await_answer(stream);
    stream->next_id++;
    etcd__node_unlink(&watch->place);
    etcd__list_push(&stream->sent, &watch->place);
    watch->state = ETCD__WATCH_CREATING;
    return true;
}

void etcd__watch_stream_create(struct etcd__watch_stream *stream)
{
    int64_t max = stream->foreign ? 1 : UNANSWERED_MAX;
    struct etcd__node *node;

    while (stream->state == ETCD__WATCH_STREAM_OPEN && stream->next_id - stream->expect_id < max &&
           (node = etcd__list_first(&stream->queued)) != NULL) {
        if (!create_one(stream, watch_at(node)))
            etcd__watch_end(watch_at(node), ETCD_E_NO_MEMORY, NULL);
    }
}

/* ---- starting -------------------------------------------------------------------------------------- */

static void on_sent(struct etcd__call *call)
{
    struct etcd__watch_stream *stream = ETCD__CONTAINER(call, struct etcd__watch_stream, call);

    if (awaits_answer(stream))
        await_answer(stream);
}

static void on_message(struct etcd__call *call, const uint8_t *data, size_t len)
{
    etcd__watch_answer(ETCD__CONTAINER(call, struct etcd__watch_stream, call), data, len);
}

static void on_end(struct etcd__call *call, const struct etcd__call_end *end)
{
    etcd__watch_stream_ended(ETCD__CONTAINER(call, struct etcd__watch_stream, call), end);
}

static const struct etcd__call_ops stream_ops = {
    .on_sent = on_sent,
    .on_message = on_message,
    .on_end = on_end,
};

static void open_call(struct etcd__watch_stream *stream)
{
    struct etcd_client *client = stream->hub->client;
    struct etcd__call_config config = {
        .method = &watch_method,
        .ops = &stream_ops,
        .deadline_ms = INT64_MAX,
        .max_recv = client->config.max_recv_bytes,
        .require_leader = true,
        .avoid = stream->avoid,
    };

    stream->state = ETCD__WATCH_STREAM_OPEN;
    stream->generation = client->auth.generation;
    stream->next_id = stream->expect_id = FIRST_ID;
    stream->foreign = stream->hub->foreign_ids;
    stream->answered = stream->reading_paused = false;
    etcd__call_start(&stream->call, client->channel, &config);
    etcd__watch_stream_create(stream);
}

static void begin(struct etcd__watch_stream *stream)
{
    struct etcd__auth *auth = &stream->hub->client->auth;

    if (etcd__auth_ready(auth)) {
        open_call(stream);
        return;
    }
    stream->state = ETCD__WATCH_STREAM_LOGIN;
    etcd__auth_wait(auth, &stream->login);
}

static void rest(struct etcd__watch_stream *stream)
{
    struct etcd__reactor *reactor = reactor_of(stream);
    int64_t pause_ms = etcd__watch_pause_ms(reactor, stream->failures++);

    stream->state = ETCD__WATCH_STREAM_RESTING;
    etcd__timer_arm(reactor, &stream->timer, reactor->now_ms + pause_ms);
}

/* The connection is in order, or its pings would have told; but the server does not answer a create. */
static void look_at_creates(struct etcd__watch_stream *stream)
{
    struct etcd__reactor *reactor = reactor_of(stream);
    struct etcd_client *client = stream->hub->client;
    struct etcd__subchannel *subchannel = stream->call.subchannel;

    if (!awaits_answer(stream))
        return;
    if (stream->reading_paused)
        stream->asked_ms = reactor->now_ms; /* it is we who do not listen */
    if (reactor->now_ms < overdue_ms(stream)) {
        etcd__timer_arm(reactor, &stream->timer, overdue_ms(stream));
        return;
    }
    etcd__log(&client->log, ETCD_LOG_DEBUG, "watch",
              "client '%s': a stream of %zu watches is given up, endpoint %s: a create is not answered",
              etcd__client_label(client), stream->count,
              subchannel == NULL ? "" : etcd__subchannel_endpoint(subchannel));
    stream->stalls++;
    stream->avoid = subchannel;
    if (subchannel != NULL)
        etcd__channel_set_aside(client->channel, subchannel, SET_ASIDE_MS);
    etcd__watch_stream_break(stream);
}

static void on_timer(struct etcd__timer *timer)
{
    struct etcd__watch_stream *stream = ETCD__CONTAINER(timer, struct etcd__watch_stream, timer);

    if (stream->state == ETCD__WATCH_STREAM_OPEN) {
        look_at_creates(stream);
    } else if (stream->state == ETCD__WATCH_STREAM_RESTING) {
        stream->state = ETCD__WATCH_STREAM_IDLE;
        begin(stream);
    }
}

static void end_watches(struct etcd__watch_stream *stream, etcd_status status, const etcd_error *err);

static void on_login(struct etcd__auth_waiter *waiter, etcd_status status, const etcd_error *err)
{
    struct etcd__watch_stream *stream = ETCD__CONTAINER(waiter, struct etcd__watch_stream, login);

    stream->state = ETCD__WATCH_STREAM_IDLE;
    if (status == ETCD_OK)
        begin(stream);
    else if (etcd__watch_passing(status))
        rest(stream);
    else
        end_watches(stream, status, err);
}

/* ---- watches come and go --------------------------------------------------------------------------- */

void etcd__watch_stream_add(struct etcd__watch_stream *stream, struct etcd_watch *watch)
{
    watch->state = ETCD__WATCH_QUEUED;
    watch->at.stream = stream;
    etcd__list_push(&stream->queued, &watch->place);
    stream->count++;
    if (stream->state == ETCD__WATCH_STREAM_IDLE)
        begin(stream);
    else
        etcd__watch_stream_create(stream);
}

void etcd__watch_stream_remove(struct etcd_watch *watch, bool tell)
{
    struct etcd__watch_stream *stream = watch->at.stream;
    bool sent = watch->state != ETCD__WATCH_QUEUED;
    bool creating = watch->state == ETCD__WATCH_CREATING;

    assert(stream->count > 0);
    etcd__node_unlink(&watch->place);
    watch->at.stream = NULL;
    stream->count--;
    if (sent)
        (void)etcd__map_remove(&stream->ids, (uint64_t)watch->id);
    /* A foreign id is not known before the answer. */
    if (sent && tell && !(stream->foreign && creating))
        etcd__watch_stream_cancel_id(stream, watch->id);
    if (stream->count == 0)
        etcd__task_post(reactor_of(stream), &stream->idle);
}

static void on_idle(struct etcd__task *task)
{
    struct etcd__watch_stream *stream = ETCD__CONTAINER(task, struct etcd__watch_stream, idle);

    if (stream->count == 0)
        etcd__watch_stream_free(stream);
}

static void end_watches(struct etcd__watch_stream *stream, etcd_status status, const etcd_error *err)
{
    struct etcd__node *node;

    while ((node = etcd__list_first(&stream->queued)) != NULL ||
           (node = etcd__list_first(&stream->sent)) != NULL)
        etcd__watch_end(watch_at(node), status, err);
}

void etcd__watch_stream_retire(struct etcd__watch_stream *stream)
{
    struct etcd__node *node;

    if (stream->hub->shared != stream)
        return;
    stream->hub->shared = NULL;
    while ((node = etcd__list_first(&stream->queued)) != NULL) {
        etcd__watch_stream_remove(watch_at(node), false);
        etcd__watch_place(watch_at(node));
    }
}

bool etcd__watch_stream_alone(const struct etcd__watch_stream *stream)
{
    return stream->count == 1 && stream->hub->shared != stream;
}

void etcd__watch_stream_pause(struct etcd__watch_stream *stream, bool paused)
{
    if (stream->state != ETCD__WATCH_STREAM_OPEN || stream->reading_paused == paused)
        return;
    stream->reading_paused = paused;
    etcd__call_pause(&stream->call, paused);
}

/* ---- breaking -------------------------------------------------------------------------------------- */

/* Those on the broken call come first, in the order in which they were created. */
static void requeue(struct etcd__watch_stream *stream)
{
    struct etcd__list old;
    struct etcd__node *node;

    etcd__watch_stream_progress_reset(stream);
    etcd__list_init(&old);
    etcd__list_splice(&old, &stream->sent);
    etcd__list_splice(&old, &stream->queued);
    etcd__map_deinit(&stream->ids);
    while ((node = etcd__list_pop(&old)) != NULL) {
        struct etcd_watch *watch = watch_at(node);

        if (etcd__watch_broken(watch)) {
            etcd__list_push(&stream->queued, node);
        } else {
            watch->at.stream = NULL;
            stream->count--;
        }
    }
}

/*
 * A call that served for a while starts the counting anew; one that broke at once does not: nothing would
 * slow us down.
 */
static void forget_failures(struct etcd__watch_stream *stream)
{
    if (stream->answered && reactor_of(stream)->now_ms - stream->call.sent_ms >= PROVEN_MS)
        stream->failures = stream->strikes = stream->logins = 0;
}

void etcd__watch_stream_break(struct etcd__watch_stream *stream)
{
    forget_failures(stream);
    (void)etcd__call_cancel(&stream->call);
    requeue(stream);
    if (stream->count == 0)
        etcd__task_post(reactor_of(stream), &stream->idle);
    rest(stream);
}

void etcd__watch_stream_reject(struct etcd__watch_stream *stream, etcd_status status, const char *text)
{
    etcd_error err;

    forget_failures(stream);
    if (++stream->strikes < STRIKES_MAX) {
        etcd__watch_stream_break(stream);
        return;
    }
    (void)etcd__call_cancel(&stream->call);
    stream->state = ETCD__WATCH_STREAM_IDLE;
    (void)etcd__fail(&err, status, "watch: client '%s': %s", etcd__client_label(stream->hub->client), text);
    end_watches(stream, status, &err);
}

/* ---- making and freeing ---------------------------------------------------------------------------- */

struct etcd__watch_stream *etcd__watch_stream_new(struct etcd__watch_hub *hub)
{
    struct etcd__watch_stream *stream = ETCD__NEW(struct etcd__watch_stream);

    if (stream == NULL)
        return NULL;
    stream->hub = hub;
    stream->timer.on_expire = on_timer;
    stream->login.on_ready = on_login;
    stream->idle.run = on_idle;
    etcd__watch_stream_progress_init(stream);
    etcd__list_init(&stream->queued);
    etcd__list_init(&stream->sent);
    etcd__list_push(&hub->streams, &stream->node);
    return stream;
}

void etcd__watch_stream_free(struct etcd__watch_stream *stream)
{
    assert(stream->count == 0);
    if (stream->hub->shared == stream)
        stream->hub->shared = NULL;
    (void)etcd__call_cancel(&stream->call);
    etcd__timer_disarm(reactor_of(stream), &stream->timer);
    etcd__auth_unwait(&stream->login);
    etcd__watch_stream_progress_reset(stream);
    etcd__task_cancel(&stream->idle);
    etcd__map_deinit(&stream->ids);
    etcd__node_unlink(&stream->node);
    etcd__free(stream);
}
