/* SPDX-License-Identifier: Apache-2.0 */
#include "recipes/session.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/random.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { GIVE_BACK_MAX_S = 3600 };

struct etcd__session {
    etcd_client *client;
    etcd_lease lease;
    etcd_keepalive *keepalive;
    atomic_int lost; /* an etcd_status; `why` is valid, and constant, once it is
                      not ETCD_OK */
    etcd_error why;
    struct {
        pthread_mutex_t mutex;
        etcd_watch *wait; /* to cancel when the session is lost */
        etcd__session_lost_fn *fn;
        void *user;
    } shared;
};

etcd_lease etcd__session_lease(const struct etcd__session *session)
{
    return session->lease;
}

static etcd_status lost_status(const struct etcd__session *session)
{
    return (etcd_status)atomic_load_explicit(&session->lost, memory_order_acquire);
}

bool etcd__session_alive(const struct etcd__session *session)
{
    return lost_status(session) == ETCD_OK && etcd_keepalive_remaining_ms(session->keepalive) > 0;
}

etcd_status etcd__session_told(const struct etcd__session *session, etcd_error *reterr)
{
    etcd_status lost = lost_status(session);

    if (lost != ETCD_OK)
        etcd__error_copy(reterr, &session->why);
    return lost;
}

etcd_status etcd__session_check(const struct etcd__session *session, etcd_error *reterr)
{
    etcd_status lost = etcd__session_told(session, reterr);

    if (lost != ETCD_OK)
        return lost;
    if (etcd_keepalive_remaining_ms(session->keepalive) == 0)
        return etcd__fail(reterr, ETCD_E_LEASE_LOST, "lease %" PRIx64 " has ended",
                          (uint64_t)session->lease.id);
    return ETCD_OK;
}

/* Whatever ends the renewal ends the session: what is not renewed will be gone. */
static void note_loss(struct etcd__session *session, etcd_status status, const etcd_error *err)
{
    etcd__error_copy(&session->why, err);
    if (status != ETCD_E_CLOSED && status != ETCD_E_LEASE_LOST) {
        etcd__error_prefix(&session->why, "lease %" PRIx64 " is no longer renewed",
                           (uint64_t)session->lease.id);
        status = ETCD_E_LEASE_LOST;
        session->why.status = status;
    }
    atomic_store_explicit(&session->lost, (int)status, memory_order_release);
}

void etcd__session_lose(struct etcd__session *session, etcd_status status, const etcd_error *err)
{
    etcd__session_lost_fn *fn = NULL;
    void *user = NULL;
    etcd_error why;

    pthread_mutex_lock(&session->shared.mutex);
    if (lost_status(session) == ETCD_OK) {
        note_loss(session, status, err);
        if (session->shared.wait != NULL)
            etcd_watch_cancel(session->shared.wait);
        fn = session->shared.fn;
        user = session->shared.user;
        why = session->why;
        session->shared.fn = NULL;
    }
    pthread_mutex_unlock(&session->shared.mutex);
    if (fn != NULL)
        fn(user, why.status, &why); /* the session may be gone afterwards */
}

static void on_end(etcd_keepalive *keepalive, etcd_status status, const etcd_error *err, void *user_data)
{
    (void)keepalive;
    etcd__session_lose(user_data, status, err);
}

/* The server counts the TTL from a moment between asking and its answer. */
static int64_t elapsed_since(int64_t sent_ms)
{
    int64_t elapsed_ms = etcd__clock_ms() - sent_ms;

    return elapsed_ms < 1 ? 1 : elapsed_ms; /* 0 would say that nothing is known */
}

static void session_free(struct etcd__session *session)
{
    pthread_mutex_destroy(&session->shared.mutex);
    etcd__free(session);
}

static struct etcd__session *session_new(etcd_client *client, etcd_lease lease)
{
    struct etcd__session *session = ETCD__NEW(struct etcd__session);

    if (session == NULL)
        return NULL;
    if (pthread_mutex_init(&session->shared.mutex, NULL) != 0) {
        etcd__free(session);
        return NULL;
    }
    atomic_init(&session->lost, ETCD_OK);
    session->client = client;
    session->lease = lease;
    return session;
}

etcd_status etcd__session_start(etcd_client *client, etcd_lease lease, int64_t sent_ms,
                                struct etcd__session **ret_session, etcd_error *reterr)
{
    struct etcd__session *session = session_new(client, lease);
    etcd_status st;

    if (session == NULL) {
        etcd__lease_give_back(client, lease, 0);
        return etcd__fail_memory(reterr);
    }
    st = etcd_keepalive_start(
        client, lease,
        ETCD_KEEPALIVE_OPTS(.on_end = on_end, .user_data = session, .elapsed_ms = elapsed_since(sent_ms)),
        &session->keepalive, reterr);
    if (st != ETCD_OK) {
        etcd__lease_give_back(client, lease, 0);
        session_free(session);
        return st;
    }
    *ret_session = session;
    return ETCD_OK;
}

/* An id that nobody else will think of: 63 bits of chance, as the server would choose it. */
static int64_t choose_id(void)
{
    uint64_t id;

    etcd__random_bytes(&id, sizeof(id));
    id &= INT64_MAX;
    return id == 0 ? 1 : (int64_t)id;
}

void etcd__session_prepare(struct etcd__session_request *request, etcd_client *client, int64_t ttl_s)
{
    *request = (struct etcd__session_request){.client = client, .lease = {.id = choose_id(), .ttl_s = ttl_s}};
}

etcd_status etcd__session_send(struct etcd__session_request *request, const struct etcd__limit *limit,
                               etcd_error *reterr)
{
    etcd_status st;
    int64_t left;

    st = etcd__limit_try(limit, &left, reterr);
    if (st != ETCD_OK)
        return st;
    request->sent_ms = etcd__clock_ms();
    return etcd_lease_grant_async(
        request->client, request->lease.ttl_s,
        ETCD_LEASE_OPTS(.timeout_ms = left, .id = request->lease.id, .in_wait = true), NULL, NULL,
        &request->op, reterr);
}

/*
 * What became of the grant. An id that exists already is the one that an earlier try has made: nobody
 * else has thought of it.
 */
static etcd_status await_lease(struct etcd__session_request *request, struct etcd__limit *limit,
                               etcd_error *err)
{
    int64_t id = request->lease.id, left;
    etcd_status st;

    st = etcd__op_outcome(request->op, err);
    if (st == ETCD_OK)
        st = etcd_lease_grant_take(request->op, &request->lease, err);
    while (st != ETCD_OK && st != ETCD_E_EXISTS && etcd__limit_repeat(limit, err)) {
        int64_t sent_ms = etcd__clock_ms();

        request->repeated = true;
        st = etcd__limit_try(limit, &left, err);
        if (st == ETCD_OK)
            st = etcd_lease_grant(request->client, request->lease.ttl_s,
                                  ETCD_LEASE_OPTS(.timeout_ms = left, .id = id, .in_wait = true),
                                  &request->lease, err);
        if (st == ETCD_OK)
            request->sent_ms = sent_ms;
    }
    return st == ETCD_E_EXISTS ? ETCD_OK : st;
}

etcd_status etcd__session_finish(struct etcd__session_request *request, struct etcd__limit *limit,
                                 struct etcd__session **ret_session, etcd_error *err)
{
    etcd_status st = await_lease(request, limit, err);

    etcd_op_free(request->op);
    if (st == ETCD_OK)
        return etcd__session_start(request->client, request->lease, request->sent_ms, ret_session, err);
    etcd__lease_give_back(request->client, request->lease, 0);
    return st;
}

etcd_status etcd__session_open(etcd_client *client, int64_t ttl_s, struct etcd__limit *limit,
                               struct etcd__session **ret_session, etcd_error *err)
{
    struct etcd__session_request request;
    etcd_status st;

    etcd__session_prepare(&request, client, ttl_s);
    st = etcd__session_send(&request, limit, err);
    return st != ETCD_OK ? st : etcd__session_finish(&request, limit, ret_session, err);
}

etcd_status etcd__session_arm(struct etcd__session *session, etcd__session_lost_fn *fn, void *user,
                              etcd_error *reterr)
{
    etcd_status st;

    pthread_mutex_lock(&session->shared.mutex);
    st = etcd__session_check(session, reterr);
    if (st == ETCD_OK) {
        session->shared.fn = fn;
        session->shared.user = user;
    }
    pthread_mutex_unlock(&session->shared.mutex);
    return st;
}

void etcd__session_disarm(struct etcd__session *session)
{
    pthread_mutex_lock(&session->shared.mutex);
    session->shared.fn = NULL;
    pthread_mutex_unlock(&session->shared.mutex);
}

/*
 * Waits until the limit, but wakes when the lease would have run out: where callbacks wait for the
 * program to process them, nobody else would notice in time.
 */
static etcd_status next_or_lost(struct etcd__session *session, etcd_watch *watch,
                                const struct etcd__limit *limit, etcd_events **ret_events, etcd_error *reterr)
{
    int64_t left, lease_left;
    etcd_status st;

    st = etcd__session_told(session, reterr);
    if (st != ETCD_OK)
        return st;
    for (;;) {
        st = etcd__limit_left(limit, &left, reterr);
        if (st != ETCD_OK)
            return st;
        lease_left = etcd_keepalive_remaining_ms(session->keepalive) + 1;
        st = etcd_watch_next(watch, left < lease_left ? left : lease_left, ret_events, reterr);
        if (st == ETCD_E_CANCELLED && lost_status(session) != ETCD_OK)
            return etcd__session_told(session, reterr);
        if (st != ETCD_E_DEADLINE)
            return st;
        st = etcd__session_check(session, reterr);
        if (st != ETCD_OK)
            return st;
    }
}

etcd_status etcd__session_watch_next(struct etcd__session *session, etcd_watch *watch,
                                     const struct etcd__limit *limit, etcd_events **ret_events,
                                     etcd_error *reterr)
{
    etcd_status st;

    pthread_mutex_lock(&session->shared.mutex);
    assert(session->shared.wait == NULL);
    session->shared.wait = watch;
    pthread_mutex_unlock(&session->shared.mutex);

    st = next_or_lost(session, watch, limit, ret_events, reterr);

    pthread_mutex_lock(&session->shared.mutex);
    session->shared.wait = NULL;
    pthread_mutex_unlock(&session->shared.mutex);
    return st;
}

void etcd__session_close(struct etcd__session *session)
{
    etcd_keepalive_close(session->keepalive);
    session_free(session);
}

etcd_status etcd__session_end(struct etcd__session *session, const struct etcd__limit *limit,
                              etcd_error *reterr)
{
    etcd_client *client = session->client;
    etcd_lease lease = session->lease;
    int64_t left;
    etcd_status st;

    etcd__session_close(session);
    st = etcd__limit_left(limit, &left, reterr);
    if (st == ETCD_OK)
        st = etcd_lease_revoke(client, lease.id, ETCD_LEASE_OPTS(.timeout_ms = left), reterr);
    if (st == ETCD_OK || st == ETCD_E_LEASE_NOT_FOUND)
        return ETCD_OK;
    etcd__lease_give_back(client, lease, 0);
    return st;
}

void etcd__session_abandon(struct etcd__session *session, int64_t grace_ms)
{
    etcd_client *client;
    etcd_lease lease;
    bool closed;

    if (session == NULL)
        return;
    client = session->client;
    lease = session->lease;
    closed = lost_status(session) == ETCD_E_CLOSED;
    etcd__session_close(session);
    if (!closed)
        etcd__lease_give_back(client, lease, grace_ms);
}

etcd_status etcd__op_outcome(etcd_op *op, etcd_error *reterr)
{
    etcd_status st = etcd_op_wait(op, ETCD_TIMEOUT_NONE, reterr);

    if (st == ETCD_OK)
        return etcd_op_status(op, reterr);
    etcd_op_cancel(op); /* nobody will look at it: a call from inside a callback,
                         or in a forked child */
    return st;
}

void etcd__lease_give_back(etcd_client *client, etcd_lease lease, int64_t grace_ms)
{
    int64_t life_s = lease.ttl_s < GIVE_BACK_MAX_S ? lease.ttl_s : GIVE_BACK_MAX_S;
    etcd_op *op = NULL;
    etcd_status st;

    st = etcd_lease_revoke_async(client, lease.id, ETCD_LEASE_OPTS(.timeout_ms = life_s * 1000), NULL, NULL,
                                 &op, NULL);
    if (st == ETCD_OK && grace_ms > 0)
        st = etcd_op_wait(op, grace_ms, NULL);
    (void)st; /* under way it goes on unobserved; else the lease ends by itself */
    etcd_op_free(op);
}
