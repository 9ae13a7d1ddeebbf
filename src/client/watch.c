/* SPDX-License-Identifier: Apache-2.0 */
#include "etcdc/watch.h"

#include "base/str.h"
#include "client/requests.h"
#include "client/watch_core.h"

#include <inttypes.h>
#include <string.h>

enum {
    MAX_EVENTS = 10000,
    MAX_BYTES = 64 << 20,
    REQUEST_OVERHEAD = 64, /* what a create needs beside key and range_end, at most */
};

/* What the work of a watch is to do; several can be asked for before it runs. */
enum {
    ASKED_START = 1 << 0,
    ASKED_CANCEL = 1 << 1,
    ASKED_DRAINED = 1 << 2,
    ASKED_PROGRESS = 1 << 3,
};

/* ---- memory ---------------------------------------------------------------------------------------- */

static void free_watch(struct etcd_watch *watch)
{
    struct etcd_client *client = watch->client;

    etcd__watch_queue_deinit(&watch->queue);
    etcd__free(watch);
    etcd__client_unref(client);
}

static void unref(struct etcd_watch *watch)
{
    if (atomic_fetch_sub_explicit(&watch->refs, 1, memory_order_acq_rel) == 1)
        free_watch(watch);
}

static void run_work(struct etcd__work *work)
{
    struct etcd_watch *watch = ETCD__CONTAINER(work, struct etcd_watch, work);
    unsigned asked = atomic_exchange(&watch->asked, 0);

    if ((asked & ASKED_START) != 0)
        etcd__watch_start(watch);
    if ((asked & ASKED_DRAINED) != 0)
        etcd__watch_drained(watch);
    if ((asked & ASKED_PROGRESS) != 0)
        etcd__watch_want_progress(watch);
    if ((asked & ASKED_CANCEL) != 0)
        etcd__watch_end(watch, ETCD_E_CANCELLED, NULL);
    unref(watch);
}

/* Any thread. The first who asks posts the work, which holds a reference; the others find it under way. */
static void ask_for(struct etcd_watch *watch, unsigned what)
{
    if (atomic_fetch_or(&watch->asked, what) != 0)
        return;
    (void)atomic_fetch_add_explicit(&watch->refs, 1, memory_order_relaxed);
    etcd__loop_post(watch->client->loop, &watch->work);
}

/* ---- reading --------------------------------------------------------------------------------------- */

static enum etcd__watch_found take(struct etcd_watch *watch, struct etcd_events **ret_events)
{
    enum etcd__watch_found found;
    bool low;

    (void)pthread_mutex_lock(&watch->queue.mutex);
    found = etcd__watch_queue_take_locked(&watch->queue, ret_events, &low);
    /*
     * Under the lock: whoever closes the watch ends it under the lock first, and nothing is posted after
     * that.
     */
    if (low)
        ask_for(watch, ASKED_DRAINED);
    (void)pthread_mutex_unlock(&watch->queue.mutex);
    return found;
}

/* Constant once the watch has ended. */
static etcd_status outcome(const struct etcd_watch *watch, etcd_error *reterr)
{
    etcd_status status = watch->queue.status;

    if (reterr == NULL)
        return status;
    if (watch->queue.error != NULL) {
        etcd__error_copy(reterr, watch->queue.error);
    } else {
        (void)etcd__watch_fail(reterr, watch, status, etcd_status_text(status));
        reterr->revision = watch->queue.revision;
    }
    return status;
}

/* ---- push ------------------------------------------------------------------------------------------ */

static void tell_end(struct etcd_watch *watch)
{
    etcd_error err;
    etcd_status status = outcome(watch, &err);

    watch->told_end = true;
    watch->on_events(watch, NULL, status, &err, watch->user_data);
}

/*
 * Delivers what is there now; what comes meanwhile brings a callback of its own. on_events may close the
 * watch, which frees it.
 */
static void run_callback(struct etcd__callback *callback)
{
    struct etcd_watch *watch = ETCD__CONTAINER(callback, struct etcd_watch, callback);
    size_t left = etcd__watch_queue_count(&watch->queue) + 1;
    enum etcd__watch_found found = ETCD__WATCH_FOUND_EVENTS;
    bool gone = false;

    watch->gone = &gone;
    for (; left > 0 && found == ETCD__WATCH_FOUND_EVENTS; left--) {
        struct etcd_events *events = NULL;

        found = take(watch, &events);
        if (found == ETCD__WATCH_FOUND_EVENTS)
            watch->on_events(watch, events, ETCD_OK, NULL, watch->user_data);
        else if (found == ETCD__WATCH_FOUND_END && !watch->told_end && !atomic_load(&watch->closing))
            tell_end(watch);
        etcd_events_free(events);
        if (gone)
            return;
    }
    watch->gone = NULL;
}

/* ---- opening --------------------------------------------------------------------------------------- */

static etcd_status check_range_end(const struct etcd__range *range, etcd_error *reterr)
{
    const etcd_bytes *key = &range->key, *end = &range->end;
    bool to_the_end = end->len == 1 && *(const unsigned char *)end->data == 0;
    size_t common = key->len < end->len ? key->len : end->len;
    int order;

    if (end->len == 0 || to_the_end)
        return ETCD_OK;
    order = memcmp(key->data, end->data, common);
    if (order < 0 || (order == 0 && key->len < end->len))
        return ETCD_OK;
    return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                      "watch: range_end is not after key: the range is empty");
}

static etcd_status check_opts(const struct etcd_client *client, const etcd_watch_opts *opts,
                              const struct etcd__range *range, etcd_error *reterr)
{
    size_t max = client->config.max_send_bytes;

    if (opts->start_revision < 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "watch: start_revision is %" PRId64,
                          opts->start_revision);
    if (opts->delay_ms < 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "watch: delay_ms is %" PRId64, opts->delay_ms);
    if (opts->delay_ms > 0 && opts->start_revision == 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                          "watch: delay_ms is %" PRId64 " without a start_revision: events would be missed",
                          opts->delay_ms);
    if (opts->no_put && opts->no_delete && !opts->progress)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                          "watch: no_put and no_delete are both set: there would be no events");
    if (range->key.len > max || range->end.len > max ||
        range->key.len + range->end.len + REQUEST_OVERHEAD > max)
        return etcd__fail(
            reterr, ETCD_E_INVALID_ARGUMENT,
            "watch: key has %zu bytes, range_end %zu: more than max_send_bytes, %zu, has room for",
            range->key.len, range->end.len, max);
    return check_range_end(range, reterr);
}

static etcd_bytes copy_to(char *at, etcd_bytes bytes)
{
    if (bytes.len > 0)
        memcpy(at, bytes.data, bytes.len);
    return (etcd_bytes){.data = at, .len = bytes.len};
}

static struct etcd_watch *new_watch(struct etcd_client *client, const etcd_watch_opts *opts,
                                    const struct etcd__range *range)
{
    struct etcd_watch *watch = etcd__calloc(1, sizeof(*watch) + range->key.len + range->end.len);
    char *bytes;

    if (watch == NULL)
        return NULL;
    bytes = (char *)(watch + 1);
    watch->key = copy_to(bytes, range->key);
    watch->range_end = copy_to(bytes + range->key.len, range->end);
    etcd__client_ref(client);
    watch->client = client;
    etcd__watch_queue_init(&watch->queue, opts->max_events == 0 ? (size_t)MAX_EVENTS : opts->max_events,
                           opts->max_bytes == 0 ? (size_t)MAX_BYTES : opts->max_bytes);
    watch->callback.run = run_callback;
    watch->work.run = run_work;
    atomic_init(&watch->refs, 1);
    atomic_init(&watch->asked, 0);
    watch->on_events = opts->on_events;
    watch->user_data = opts->user_data;
    watch->prev_kv = opts->prev_kv;
    watch->no_put = opts->no_put;
    watch->no_delete = opts->no_delete;
    watch->progress = opts->progress;
    watch->no_fragment = opts->no_fragment;
    watch->created = opts->created;
    watch->next_revision = opts->start_revision;
    watch->state = ETCD__WATCH_NEW;
    watch->at.delay_ms = opts->delay_ms;
    watch->quiet_close = opts->quiet_close;
    atomic_init(&watch->closing, false);
    return watch;
}

etcd_status etcd_watch_open(etcd_client *client, etcd_bytes key, const etcd_watch_opts *opts,
                            etcd_watch **ret_watch, etcd_error *reterr)
{
    etcd_watch_opts own = ETCD_WATCH_OPTS_INIT;
    struct etcd__range range = {.own = NULL};
    struct etcd_watch *watch = NULL;
    etcd_status st = etcd__client_check(client, reterr);

    if (st == ETCD_OK && ret_watch == NULL)
        st = etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "watch: ret_watch is NULL");
    if (st == ETCD_OK)
        st = etcd__opts_import(&own, sizeof(own), opts, "watch", reterr);
    if (st == ETCD_OK)
        st = etcd__range_make("watch", key, own.range_end, own.prefix, own.from_key, &range, reterr);
    if (st == ETCD_OK)
        st = etcd__namespace_range(client->config.key_namespace, &range, reterr);
    if (st == ETCD_OK)
        st = check_opts(client, &own, &range, reterr);
    if (st == ETCD_OK) {
        watch = new_watch(client, &own, &range);
        st = watch == NULL ? etcd__fail_memory(reterr) : ETCD_OK;
    }
    etcd__range_deinit(&range);
    if (st != ETCD_OK)
        return st;
    *ret_watch = watch;
    ask_for(watch, ASKED_START);
    return ETCD_OK;
}

/* ---- waiting --------------------------------------------------------------------------------------- */

static etcd_status nothing_yet(const struct etcd_watch *watch, int64_t timeout_ms, etcd_error *reterr)
{
    char text[64];

    if (reterr == NULL)
        return ETCD_E_DEADLINE;
    etcd__format(text, sizeof(text), "nothing happened within %" PRId64 " ms", timeout_ms);
    return etcd__watch_fail(reterr, watch, ETCD_E_DEADLINE, text);
}

static bool nothing_there(struct etcd_watch *watch)
{
    bool nothing;

    (void)pthread_mutex_lock(&watch->queue.mutex);
    nothing = etcd__list_empty(&watch->queue.batches) && !watch->queue.ended;
    (void)pthread_mutex_unlock(&watch->queue.mutex);
    return nothing;
}

/*
 * Caller drive: does the work itself. One turn at least, so that a program that only ever looks gets
 * somewhere.
 */
static void pump(struct etcd_watch *watch, int64_t until_ms)
{
    struct etcd_loop *loop = watch->client->loop;
    const struct etcd__env *env = &loop->reactor.env;
    int err = 0;

    while (err == 0 && nothing_there(watch)) {
        err = etcd__loop_pump(loop, until_ms);
        if (until_ms != INT64_MAX && env->ops->now_ms(env->self) >= until_ms)
            break;
    }
    etcd__loop_hand_over(loop);
}

static etcd_status wait_for(struct etcd_watch *watch, int64_t timeout_ms, etcd_error *reterr)
{
    struct etcd_loop *loop = watch->client->loop;
    const struct etcd__env *env = &loop->reactor.env;
    bool inside = etcd__loop_would_deadlock(loop);
    int64_t now_ms, until_ms;

    if (inside && timeout_ms != 0)
        return etcd__watch_fail(reterr, watch, ETCD_E_WOULD_DEADLOCK,
                                "a blocking call inside a callback of the same loop");
    if (inside || (timeout_ms == 0 && loop->drive == ETCD_DRIVE_THREAD))
        return ETCD_OK;
    now_ms = env->ops->now_ms(env->self);
    until_ms = timeout_ms >= INT64_MAX - now_ms ? INT64_MAX : now_ms + timeout_ms;
    if (loop->drive == ETCD_DRIVE_CALLER)
        pump(watch, until_ms);
    else if (!etcd__watch_queue_wait(&watch->queue, until_ms))
        return etcd__watch_fail(reterr, watch, ETCD_E_INVALID_ARGUMENT,
                                "another thread waits for this watch already");
    return ETCD_OK;
}

static etcd_status check_next(struct etcd_watch *watch, int64_t timeout_ms, struct etcd_events **ret_events,
                              etcd_error *reterr)
{
    if (watch == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "watch is NULL");
    if (ret_events == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "watch: ret_events is NULL");
    if (timeout_ms < 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "watch: timeout_ms is %" PRId64, timeout_ms);
    if (watch->on_events != NULL)
        return etcd__watch_fail(reterr, watch, ETCD_E_INVALID_ARGUMENT, "its events are pushed");
    return etcd__loop_usable(watch->client->loop, reterr);
}

etcd_status etcd_watch_next(etcd_watch *watch, int64_t timeout_ms, etcd_events **ret_events,
                            etcd_error *reterr)
{
    etcd_status st = check_next(watch, timeout_ms, ret_events, reterr);
    enum etcd__watch_found found;

    if (st != ETCD_OK)
        return st;
    found = take(watch, ret_events);
    if (found == ETCD__WATCH_FOUND_NOTHING) {
        st = wait_for(watch, timeout_ms, reterr);
        if (st != ETCD_OK)
            return st;
        found = take(watch, ret_events);
    }
    if (found == ETCD__WATCH_FOUND_EVENTS)
        return ETCD_OK;
    return found == ETCD__WATCH_FOUND_END ? outcome(watch, reterr) : nothing_yet(watch, timeout_ms, reterr);
}

/* ---- how far --------------------------------------------------------------------------------------- */

etcd_status etcd_watch_request_progress(etcd_watch *watch, etcd_error *reterr)
{
    etcd_status st;
    bool ended;

    if (watch == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "watch is NULL");
    st = etcd__loop_usable(watch->client->loop, reterr);
    if (st != ETCD_OK)
        return st;
    (void)pthread_mutex_lock(&watch->queue.mutex);
    ended = watch->queue.ended;
    if (!ended)
        ask_for(watch, ASKED_PROGRESS);
    (void)pthread_mutex_unlock(&watch->queue.mutex);
    return ended ? outcome(watch, reterr) : ETCD_OK;
}

/* ---- ending ---------------------------------------------------------------------------------------- */

void etcd_watch_cancel(etcd_watch *watch)
{
    if (watch == NULL || etcd__loop_usable(watch->client->loop, NULL) != ETCD_OK)
        return;
    /* The reader need not wait until the engine has time for it. */
    if (etcd__watch_queue_end(&watch->queue, ETCD_E_CANCELLED, NULL))
        ask_for(watch, ASKED_CANCEL);
}

static void close_in_engine(void *arg)
{
    struct etcd_watch *watch = arg;

    etcd__watch_end(watch, ETCD_E_CANCELLED, NULL);
}

/*
 * Nobody is called when it ends, and the loop's thread lets go of it by itself: no need to wait for that.
 * (Once the client is closed this may be the last reference, which the loop's thread had better not drop.)
 */
static bool may_close_later(const struct etcd_watch *watch)
{
    return (watch->on_events == NULL || watch->quiet_close) &&
           watch->client->loop->drive == ETCD_DRIVE_THREAD &&
           !etcd__loop_would_deadlock(watch->client->loop) && !atomic_load(&watch->client->closed);
}

static void close_later(struct etcd_watch *watch)
{
    struct etcd_loop *loop = watch->client->loop;

    (void)etcd__watch_queue_end(&watch->queue, ETCD_E_CANCELLED, NULL);
    if (watch->on_events != NULL && etcd__loop_finish_callback(loop, &watch->callback))
        *watch->gone = true;
    ask_for(watch, ASKED_CANCEL);
    unref(watch);
}

void etcd_watch_close(etcd_watch *watch)
{
    struct etcd_loop *loop;

    if (watch == NULL)
        return;
    loop = watch->client->loop;
    if (etcd__loop_usable(loop, NULL) != ETCD_OK) {
        free_watch(watch); /* the other thread that may hold references is the parent's */
        return;
    }
    atomic_store(&watch->closing, watch->quiet_close);
    if (may_close_later(watch)) {
        close_later(watch);
        return;
    }
    etcd__loop_run(loop, close_in_engine, watch);
    if (watch->on_events != NULL && etcd__loop_finish_callback(loop, &watch->callback))
        *watch->gone = true;
    if (loop->drive == ETCD_DRIVE_CALLER && !loop->in_turn)
        etcd__loop_hand_over(loop);
    unref(watch);
}
