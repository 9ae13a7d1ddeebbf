/* SPDX-License-Identifier: Apache-2.0 */
/* etcd_client_release_leases(): all leases of a client revoked at once, at the end of a program. */
#include "client/client.h"
#include "client/keepalive_stream.h"
#include "etcdc/lease.h"
#include "runtime/op.h"

struct release {
    struct etcd_client *client;
    int64_t *ids;
    size_t count;
    etcd_status status;
};

static etcd_status copy_ids(struct release *release)
{
    const struct etcd__map *leases = &release->client->lessor.leases;
    const struct etcd__lease *lease;
    size_t pos = 0;

    release->ids = etcd__calloc(leases->count + 1, sizeof(*release->ids));
    if (release->ids == NULL)
        return ETCD_E_NO_MEMORY;
    while ((lease = etcd__map_next(leases, &pos)) != NULL) {
        if (!etcd__list_empty(&lease->users))
            release->ids[release->count++] = lease->id;
    }
    return ETCD_OK;
}

/* Takes the leases away from the lessor: nobody renews them any more. */
static void take_leases(void *arg)
{
    struct release *release = arg;

    release->status = release->client->torn_down ? ETCD_E_CLOSED : copy_ids(release);
    if (release->status == ETCD_OK)
        etcd__lessor_close(&release->client->lessor);
}

/* Keeps the first failure. A lease that is gone already is what was wanted. */
static void note(etcd_status *first, etcd_status st, etcd_error *reterr, const etcd_error *err)
{
    if (st == ETCD_OK || st == ETCD_E_LEASE_NOT_FOUND || *first != ETCD_OK)
        return;
    *first = st;
    etcd__error_copy(reterr, err);
}

static etcd_status revoke_all(const struct release *release, etcd_op **ops, int64_t timeout_ms,
                              etcd_error *reterr)
{
    etcd_status first = ETCD_OK;
    int64_t deadline_ms;
    etcd_error err;

    for (size_t i = 0; i < release->count; i++)
        note(&first,
             etcd_lease_revoke_async(release->client, release->ids[i],
                                     ETCD_LEASE_OPTS(.timeout_ms = timeout_ms), NULL, NULL, &ops[i], &err),
             reterr, &err);
    deadline_ms = etcd__loop_after_ms(release->client->loop,
                                      timeout_ms == 0 ? release->client->config.timeout_ms : timeout_ms);
    for (size_t i = 0; i < release->count; i++) {
        if (ops[i] == NULL)
            continue;
        /* Each ends by its own deadline, and all began together. */
        note(&first, etcd__op_wait_overdue(ops[i], deadline_ms, "release_leases", &err), reterr, &err);
        note(&first, etcd_op_status(ops[i], &err), reterr, &err);
        etcd_op_free(ops[i]);
    }
    return first;
}

etcd_status etcd_client_release_leases(etcd_client *client, int64_t timeout_ms, etcd_error *reterr)
{
    struct release release = {.client = client};
    etcd_op **ops;
    etcd_status st = etcd__client_check(client, reterr);

    if (st != ETCD_OK)
        return st;
    if (timeout_ms < 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "release_leases: timeout_ms is %lld",
                          (long long)timeout_ms);
    if (etcd__loop_would_deadlock(client->loop))
        return etcd__fail(reterr, ETCD_E_WOULD_DEADLOCK,
                          "release_leases: a blocking call inside a callback of the same loop");
    etcd__loop_run(client->loop, take_leases, &release);
    if (release.status == ETCD_E_CLOSED)
        return etcd__fail(reterr, ETCD_E_CLOSED, "client '%s' is closed", etcd__client_label(client));
    ops = release.status == ETCD_OK ? etcd__calloc(release.count + 1, sizeof(*ops)) : NULL;
    st = ops == NULL ? etcd__fail_memory(reterr) : revoke_all(&release, ops, timeout_ms, reterr);
    etcd__free(ops);
    etcd__free(release.ids);
    return st;
}
