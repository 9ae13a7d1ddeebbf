/* SPDX-License-Identifier: Apache-2.0 */
#include "client/keepalive.h"

#include "client/client.h"
#include "client/keepalive_stream.h"
#include "etcdc/lease.h"

#include <assert.h>
#include <inttypes.h>

enum {
    RENEWALS_PER_TTL = 3,
    ROUNDS_PER_PERIOD = 16, /* renewals of one period are sent in about so many rounds, at most ... */
    ROUND_MAX_MS = 512,     /* ... so long apart, so that many leases cost few wake-ups */
};

struct etcd_keepalive {
    struct etcd_client *client; /* referenced */
    int64_t lease_id;
    int64_t ttl_ms;             /* as it was given */
    _Atomic int64_t expires_ms; /* INT64_MIN: ended. Written by the engine, read by anybody */
    etcd_keepalive_fn *on_end;
    void *user_data;
    union {
        struct etcd__work start; /* until the engine has it */
        struct etcd__node node;  /* then: lease->users */
    };
    struct etcd__callback callback; /* tells on_end */
    struct etcd__work close;
    etcd_status status; /* how it ended, with the callback queued */
    atomic_bool closing;
    bool aged; /* it is known when the lease was asked for */

    /* Engine. */
    struct etcd__lease *lease; /* NULL: not begun, or ended */
    etcd_error *error;         /* NULL: there was no memory for it */
};

static struct etcd__lease *lease_due(struct etcd__heap_node *node)
{
    return ETCD__CONTAINER(node, struct etcd__lease, due);
}

static struct etcd_keepalive *user_at(struct etcd__node *node)
{
    return ETCD__CONTAINER(node, struct etcd_keepalive, node);
}

static struct etcd__lessor *lessor_of(const struct etcd__lease *lease)
{
    return lease->stream->lessor;
}

int64_t etcd__lessor_now(const struct etcd__lessor *lessor)
{
    const struct etcd__env *env = &lessor->client->loop->reactor.env;

    return env->ops->now_ms(env->self);
}

/* ---- the clock ------------------------------------------------------------------------------------- */

static void on_rearm(struct etcd__task *task)
{
    struct etcd__lessor *lessor = ETCD__CONTAINER(task, struct etcd__lessor, rearm);
    struct etcd__reactor *reactor = etcd__client_reactor(lessor->client);
    const struct etcd__heap_node *first = etcd__heap_min(&lessor->due);

    if (first == NULL)
        etcd__timer_disarm(reactor, &lessor->timer);
    else if (!etcd__timer_armed(&lessor->timer) || lessor->timer.heap.key != first->key)
        etcd__timer_arm(reactor, &lessor->timer, first->key);
}

static void rearm_later(struct etcd__lessor *lessor)
{
    etcd__task_post(etcd__client_reactor(lessor->client), &lessor->rearm);
}

static int64_t min_ms(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What comes next, if nothing else happens. */
static int64_t next_ms(const struct etcd__lease *lease)
{
    switch (lease->state) {
    case ETCD__LEASE_RESTING:
        return min_ms(lease->renew_ms, lease->expires_ms);
    case ETCD__LEASE_SENT:
        return min_ms(etcd__lease_overdue_ms(lease), lease->expires_ms);
    case ETCD__LEASE_READY:
        break;
    }
    return lease->expires_ms;
}

void etcd__lease_schedule(struct etcd__lease *lease)
{
    struct etcd__lessor *lessor = lessor_of(lease);

    etcd__heap_remove(&lessor->due, &lease->due);
    etcd__heap_insert(&lessor->due, &lease->due, next_ms(lease));
    rearm_later(lessor);
}

static void expired(struct etcd__lease *lease)
{
    const etcd_error *last = &lease->stream->last;
    etcd_error err;

    (void)etcd__fail(&err, ETCD_E_LEASE_LOST,
                     "client '%s': lease %016" PRIx64 " expired: no renewal was answered in time%s%s",
                     etcd__client_label(lessor_of(lease)->client), (uint64_t)lease->id,
                     last->status == ETCD_OK ? "" : "; the last failure was: ",
                     last->status == ETCD_OK ? "" : last->message);
    etcd__lease_end(lease, ETCD_E_LEASE_LOST, &err);
}

/* The lease's time has come; it is not in the heap. */
static void step(struct etcd__lease *lease, int64_t now_ms)
{
    if (now_ms >= lease->expires_ms)
        expired(lease);
    else if (lease->state == ETCD__LEASE_RESTING && now_ms >= lease->renew_ms)
        etcd__lease_renew(lease);
    else if (lease->state == ETCD__LEASE_SENT && now_ms >= etcd__lease_overdue_ms(lease))
        etcd__lease_stream_stalled(lease->stream);
    else
        etcd__lease_schedule(lease);
}

static void on_timer(struct etcd__timer *timer)
{
    struct etcd__lessor *lessor = ETCD__CONTAINER(timer, struct etcd__lessor, timer);
    int64_t now_ms = etcd__client_reactor(lessor->client)->now_ms;
    struct etcd__heap_node *node;

    while ((node = etcd__heap_min(&lessor->due)) != NULL && node->key <= now_ms) {
        etcd__heap_remove(&lessor->due, node);
        step(lease_due(node), now_ms);
    }
    rearm_later(lessor);
}

/* ---- answers --------------------------------------------------------------------------------------- */

/* On a grid, earlier rather than later: leases that are due at about the same time are then due together. */
static int64_t renewal_after(int64_t sent_ms, int64_t ttl_ms)
{
    int64_t period_ms = ttl_ms / RENEWALS_PER_TTL;
    int64_t grid_ms = 1;

    while (grid_ms < ROUND_MAX_MS && grid_ms * 2 * ROUNDS_PER_PERIOD <= period_ms)
        grid_ms *= 2;
    return (sent_ms + period_ms) / grid_ms * grid_ms;
}

static void tell_expiry(struct etcd__lease *lease)
{
    ETCD__LIST_FOREACH(node, &lease->users)
    atomic_store_explicit(&user_at(node)->expires_ms, lease->expires_ms, memory_order_relaxed);
}

static int64_t ttl_to_ms(int64_t ttl_s)
{
    return min_ms(ttl_s, ETCD_LEASE_TTL_MAX) * 1000;
}

void etcd__lease_answered(struct etcd__lease *lease, int64_t ttl_s)
{
    etcd_error err;

    if (ttl_s <= 0) {
        (void)etcd__fail(&err, ETCD_E_LEASE_LOST,
                         "client '%s': lease %016" PRIx64 " is unknown to the server: expired or revoked",
                         etcd__client_label(lessor_of(lease)->client), (uint64_t)lease->id);
        err.flags = ETCD_ERROR_FROM_SERVER;
        etcd__lease_end(lease, ETCD_E_LEASE_LOST, &err);
        return;
    }
    lease->ttl_ms = ttl_to_ms(ttl_s);
    /* The server's count began when it got the renewal, which was not before it was sent. */
    lease->expires_ms = lease->sent_ms + lease->ttl_ms;
    lease->renew_ms = renewal_after(lease->sent_ms, lease->ttl_ms);
    tell_expiry(lease);
    etcd__lease_schedule(lease);
}

/* ---- the end of a keep-alive ----------------------------------------------------------------------- */

static void run_on_end(struct etcd__callback *callback)
{
    struct etcd_keepalive *keepalive = ETCD__CONTAINER(callback, struct etcd_keepalive, callback);
    etcd_error *error = keepalive->error; /* must outlive the handle, which may be closed inside */
    etcd_error bare;

    keepalive->error = NULL;
    if (error == NULL)
        (void)etcd__fail(&bare, keepalive->status, "lease %016" PRIx64 ": %s", (uint64_t)keepalive->lease_id,
                         etcd_status_text(keepalive->status));
    keepalive->on_end(keepalive, keepalive->status, error == NULL ? &bare : error, keepalive->user_data);
    etcd__free(error);
}

/* Once: the keep-alive is part of nothing afterwards. */
static void end_user(struct etcd_keepalive *keepalive, etcd_status status, const etcd_error *err)
{
    etcd__node_unlink(&keepalive->node);
    keepalive->lease = NULL;
    atomic_store_explicit(&keepalive->expires_ms, INT64_MIN, memory_order_relaxed);
    if (keepalive->on_end == NULL)
        return;
    keepalive->status = status;
    keepalive->error = err == NULL ? NULL : etcd__memdup(err, sizeof(*err));
    etcd__loop_call_back(keepalive->client->loop, &keepalive->callback);
}

static void forget(struct etcd__lease *lease)
{
    struct etcd__lessor *lessor = lessor_of(lease);

    etcd__count_down(&lessor->client->metrics.leases);
    etcd__heap_remove(&lessor->due, &lease->due);
    rearm_later(lessor);
    etcd__lease_abandon(lease);
}

void etcd__lease_end(struct etcd__lease *lease, etcd_status status, const etcd_error *err)
{
    struct etcd__node *node;

    if (status == ETCD_E_LEASE_LOST)
        etcd__count(&lessor_of(lease)->client->metrics.lease_losses, 1);
    if (status != ETCD_E_CLOSED)
        etcd__log(&lessor_of(lease)->client->log, ETCD_LOG_WARN, "lease", "%s", err->message);
    while ((node = etcd__list_first(&lease->users)) != NULL)
        end_user(user_at(node), status, err);
    forget(lease);
}

/* ---- the beginning --------------------------------------------------------------------------------- */

static struct etcd__lease *new_lease(struct etcd__lessor *lessor, int64_t id)
{
    struct etcd__lease *lease = ETCD__NEW(struct etcd__lease);

    if (lease == NULL)
        return NULL;
    etcd__list_init(&lease->users);
    lease->id = id;
    if (!etcd__map_put(&lessor->leases, (uint64_t)id, lease))
        goto fail;
    if (etcd__lease_join_stream(lessor, lease))
        return lease;
    (void)etcd__map_remove(&lessor->leases, (uint64_t)id);
fail:
    etcd__free(lease);
    return NULL;
}

/*
 * The first who wants the lease: nothing is known of it but what he says. Unless he knows how old it is, it
 * is renewed at once, so that a stale one is noticed early.
 */
static void begin(struct etcd__lease *lease, struct etcd_keepalive *keepalive)
{
    etcd__count(&keepalive->client->metrics.leases, 1);
    etcd__list_push(&lease->users, &keepalive->node);
    lease->ttl_ms = keepalive->ttl_ms;
    lease->expires_ms = atomic_load_explicit(&keepalive->expires_ms, memory_order_relaxed);
    if (lease->disowned) {
        lease->stream->leases++;
        etcd__lease_schedule(lease);
    } else if (keepalive->aged) {
        lease->renew_ms = renewal_after(lease->expires_ms - lease->ttl_ms, lease->ttl_ms);
        etcd__lease_schedule(lease);
    } else {
        etcd__lease_renew(lease);
    }
}

/* What answers said of the lease counts for more than what the newcomer was told. */
static void join(struct etcd__lease *lease, struct etcd_keepalive *keepalive)
{
    etcd__list_push(&lease->users, &keepalive->node);
    atomic_store_explicit(&keepalive->expires_ms, lease->expires_ms, memory_order_relaxed);
}

static void on_start(struct etcd__work *work)
{
    struct etcd_keepalive *keepalive = ETCD__CONTAINER(work, struct etcd_keepalive, start);
    struct etcd__lessor *lessor = &keepalive->client->lessor;
    struct etcd__lease *lease;

    if (lessor->closed) {
        end_user(keepalive, ETCD_E_CLOSED, NULL);
        return;
    }
    lease = etcd__map_get(&lessor->leases, (uint64_t)keepalive->lease_id);
    if (lease == NULL)
        lease = new_lease(lessor, keepalive->lease_id);
    if (lease == NULL) {
        end_user(keepalive, ETCD_E_NO_MEMORY, NULL);
        return;
    }
    keepalive->lease = lease;
    if (etcd__list_empty(&lease->users))
        begin(lease, keepalive);
    else
        join(lease, keepalive);
}

static void detach(void *arg)
{
    struct etcd_keepalive *keepalive = arg;
    struct etcd__lease *lease = keepalive->lease;

    etcd__node_unlink(&keepalive->node);
    keepalive->lease = NULL;
    if (lease != NULL && etcd__list_empty(&lease->users))
        forget(lease);
}

static void free_keepalive(struct etcd_keepalive *keepalive)
{
    struct etcd_client *client = keepalive->client;

    etcd__free(keepalive->error);
    etcd__free(keepalive);
    etcd__client_unref(client);
}

static void on_close(struct etcd__work *work)
{
    struct etcd_keepalive *keepalive = ETCD__CONTAINER(work, struct etcd_keepalive, close);

    detach(keepalive);
    free_keepalive(keepalive);
}

static etcd_status check_start(const struct etcd_client *client, etcd_lease lease,
                               struct etcd_keepalive **ret_keepalive, etcd_error *reterr)
{
    if (ret_keepalive == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "keep-alive: ret_keepalive is NULL");
    if (lease.id == 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "keep-alive: lease.id is 0");
    if (lease.ttl_s <= 0 || lease.ttl_s > ETCD_LEASE_TTL_MAX)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                          "keep-alive: lease.ttl_s is %" PRId64 ", not within 1 .. %" PRId64, lease.ttl_s,
                          ETCD_LEASE_TTL_MAX);
    return etcd__client_check(client, reterr);
}

etcd_status etcd_keepalive_start(etcd_client *client, etcd_lease lease, const etcd_keepalive_opts *opts,
                                 etcd_keepalive **ret_keepalive, etcd_error *reterr)
{
    etcd_keepalive_opts own = ETCD_KEEPALIVE_OPTS_INIT;
    struct etcd_keepalive *keepalive;
    etcd_status st = check_start(client, lease, ret_keepalive, reterr);

    if (st == ETCD_OK)
        st = etcd__opts_import(&own, sizeof(own), opts, "keep-alive", reterr);
    if (st == ETCD_OK && own.elapsed_ms < 0)
        st = etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "keep-alive: elapsed_ms is %" PRId64,
                        own.elapsed_ms);
    if (st != ETCD_OK)
        return st;
    keepalive = ETCD__NEW(struct etcd_keepalive);
    if (keepalive == NULL)
        return etcd__fail_memory(reterr);
    keepalive->lease_id = lease.id;
    keepalive->ttl_ms = ttl_to_ms(lease.ttl_s);
    keepalive->on_end = own.on_end;
    keepalive->user_data = own.user_data;
    keepalive->start.run = on_start;
    keepalive->close.run = on_close;
    keepalive->callback.run = run_on_end;
    keepalive->client = client;
    atomic_init(&keepalive->closing, false);
    keepalive->aged = own.elapsed_ms > 0;
    atomic_init(&keepalive->expires_ms, etcd__lessor_now(&client->lessor) + keepalive->ttl_ms -
                                            min_ms(own.elapsed_ms, keepalive->ttl_ms));
    etcd__client_ref(client);
    *ret_keepalive = keepalive; /* before the engine knows of it: on_end may run any time after that */
    etcd__loop_post(client->loop, &keepalive->start);
    return ETCD_OK;
}

/* ---- the handle ------------------------------------------------------------------------------------ */

int64_t etcd_keepalive_remaining_ms(const etcd_keepalive *keepalive)
{
    int64_t expires_ms, now_ms;

    if (keepalive == NULL || etcd__loop_usable(keepalive->client->loop, NULL) != ETCD_OK)
        return 0;
    expires_ms = atomic_load_explicit(&((etcd_keepalive *)(uintptr_t)keepalive)->expires_ms,
                                      memory_order_relaxed);
    now_ms = etcd__lessor_now(&keepalive->client->lessor);
    return expires_ms > now_ms ? expires_ms - now_ms : 0;
}

int64_t etcd_keepalive_lease_id(const etcd_keepalive *keepalive)
{
    return keepalive == NULL ? 0 : keepalive->lease_id;
}

/* The loop's thread lets go of it by itself: no need to wait. As for watches. */
static bool may_close_later(struct etcd_client *client)
{
    return client->loop->drive == ETCD_DRIVE_THREAD && !etcd__loop_would_deadlock(client->loop) &&
           !atomic_load(&client->closed);
}

void etcd_keepalive_close(etcd_keepalive *keepalive)
{
    struct etcd_client *client;

    /* Closed from its on_end, while the close that came first waits for that. */
    if (keepalive == NULL || atomic_exchange(&keepalive->closing, true))
        return;
    client = keepalive->client;
    /* In a forked child the engine's state may be half-changed: it is left alone. */
    if (etcd__loop_usable(client->loop, NULL) == ETCD_OK) {
        if (may_close_later(client)) {
            (void)etcd__loop_finish_callback(client->loop, &keepalive->callback);
            etcd__loop_post(client->loop, &keepalive->close);
            return;
        }
        etcd__loop_run(client->loop, detach, keepalive);
        (void)etcd__loop_finish_callback(client->loop, &keepalive->callback);
    }
    free_keepalive(keepalive);
}

/* ---- the lessor ------------------------------------------------------------------------------------ */

void etcd__lessor_init(struct etcd__lessor *lessor, struct etcd_client *client)
{
    *lessor = (struct etcd__lessor){.client = client, .timer.on_expire = on_timer, .rearm.run = on_rearm};
    etcd__list_init(&lessor->streams);
}

void etcd__lessor_close(struct etcd__lessor *lessor)
{
    struct etcd__heap_node *node;
    etcd_error err;

    if (lessor->closed)
        return;
    lessor->closed = true;
    (void)etcd__fail(&err, ETCD_E_CLOSED, "client '%s' was closed; its leases are left to expire",
                     etcd__client_label(lessor->client));
    while ((node = etcd__heap_min(&lessor->due)) != NULL)
        etcd__lease_end(lease_due(node), ETCD_E_CLOSED, &err);
    assert(etcd__list_empty(&lessor->streams));
    etcd__map_deinit(&lessor->leases);
    etcd__task_cancel(&lessor->rearm);
    etcd__timer_disarm(etcd__client_reactor(lessor->client), &lessor->timer);
}
