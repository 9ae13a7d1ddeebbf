/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a factory ends. Leases first, while the clients still work: locks and registrations stand on them, and
 * whoever waits for those should not have to wait for a TTL. Then the clients, the last one first.
 */
#include "base/error.h"
#include "base/str.h"
#include "factory.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

enum { RELEASE_MS = 3000 };

static int64_t now_ms(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void capp__etcd_combine(capp_error *all, const capp_error *error)
{
    if (all->status == CAPP_OK) {
        *all = *error;
        return;
    }
    size_t len = strlen(all->message);
    etcd__format(all->message + len, sizeof(all->message) - len, "; %s", error->message);
}

/* ---- waits ----------------------------------------------------------------------------------------- */

static void cancel_connecting_locked(const struct etcd__list *list)
{
    ETCD__LIST_FOREACH(node, list)
    {
        const struct capp__etcd_member *member = ETCD__CONTAINER(node, struct capp__etcd_member, node);

        if (member->connecting != NULL)
            etcd_op_cancel(member->connecting);
    }
}

void capp__etcd_cancel_waits(capp_etcd_factory *factory)
{
    struct capp__etcd_member *member = NULL;

    capp__etcd_lock(factory);
    factory->shared.stopping = true; /* who becomes a member from now on sees it */
    cancel_connecting_locked(&factory->shared.pending);
    cancel_connecting_locked(&factory->shared.members);
    capp__etcd_unlock(factory);
    while ((member = capp__etcd_next(factory, member)) != NULL)
        etcd_client_cancel_waits(member->client);
}

/* ---- closing --------------------------------------------------------------------------------------- */

/* Waits for the thread that closes. */
static capp_status await_closed_locked(capp_etcd_factory *factory, int64_t timeout_ms, capp_error *reterr)
{
    int64_t until_ms = timeout_ms >= INT64_MAX - now_ms() ? INT64_MAX : now_ms() + timeout_ms;
    struct timespec until = {
        .tv_sec = (time_t)(until_ms / 1000),
        .tv_nsec = (long)(until_ms % 1000) * 1000000,
    };

    while (factory->shared.phase != CAPP__ETCD_CLOSED && now_ms() < until_ms)
        (void)pthread_cond_timedwait(&factory->shared.closed, &factory->shared.mutex, &until);
    if (factory->shared.phase == CAPP__ETCD_CLOSED)
        return CAPP_OK;
    return capp_fail(reterr, CAPP_E_TIMEOUT,
                     "another thread was still closing the etcd clients after %" PRId64 " ms", timeout_ms);
}

/* True when the closing is ours. From then on the members stay as they are. */
static bool begin_close(capp_etcd_factory *factory, int64_t timeout_ms, capp_status *ret_status,
                        capp_error *reterr)
{
    bool ours;

    capp__etcd_lock(factory);
    ours = factory->shared.phase == CAPP__ETCD_OPEN;
    if (ours) {
        factory->shared.phase = CAPP__ETCD_CLOSING;
        cancel_connecting_locked(&factory->shared.pending);
        cancel_connecting_locked(&factory->shared.members);
    } else {
        *ret_status = await_closed_locked(factory, timeout_ms, reterr);
    }
    capp__etcd_unlock(factory);
    return ours;
}

/* Gives back the leases of one client. `left` clients are still to have their share of the time. */
static void release_leases(struct capp__etcd_member *member, int64_t until_ms, int64_t left, capp_error *all)
{
    int64_t share_ms = (until_ms - now_ms()) / left;
    capp_error error;
    etcd_error err;
    etcd_status st = etcd_client_release_leases(member->client, share_ms > 1 ? share_ms : 1, &err);

    if (st == ETCD_OK || st == ETCD_E_CLOSED) /* closed by the program: it has left them deliberately */
        return;
    (void)capp_error_from_etcd(&err, &error);
    capp__etcd_combine(all, &error);
}

static void release_all(capp_etcd_factory *factory, int64_t timeout_ms, capp_error *all)
{
    int64_t until_ms = timeout_ms >= INT64_MAX - now_ms() ? INT64_MAX : now_ms() + timeout_ms;
    int64_t left = (int64_t)capp_etcd_factory_list(factory, NULL, 0);

    for (struct capp__etcd_member *member = NULL; (member = capp__etcd_next(factory, member)) != NULL; left--)
        release_leases(member, until_ms, left, all);
}

static void close_clients(const capp_etcd_factory *factory)
{
    const struct etcd__node *head = &factory->shared.members.head;

    for (const struct etcd__node *node = head->prev; node != head; node = node->prev) {
        const struct capp__etcd_member *member = ETCD__CONTAINER(node, struct capp__etcd_member, node);

        (void)etcd_client_close(member->client, NULL); /* fails for NULL only */
    }
}

static void end_close(capp_etcd_factory *factory)
{
    capp__etcd_lock(factory);
    factory->shared.phase = CAPP__ETCD_CLOSED;
    (void)pthread_cond_broadcast(&factory->shared.closed);
    capp__etcd_unlock(factory);
}

capp_status capp_etcd_factory_close(capp_etcd_factory *factory, int64_t timeout_ms, capp_error *reterr)
{
    capp_error all = {0};
    capp_status status;

    if (factory == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "capp_etcd_factory_close: factory is NULL");
    if (timeout_ms < 0)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "capp_etcd_factory_close: timeout_ms is %" PRId64,
                         timeout_ms);
    if (timeout_ms == 0)
        timeout_ms = RELEASE_MS;
    if (!begin_close(factory, timeout_ms, &status, reterr))
        return status;
    release_all(factory, timeout_ms, &all);
    close_clients(factory);
    end_close(factory);
    if (all.status != CAPP_OK && reterr != NULL)
        *reterr = all;
    return all.status;
}
