/* SPDX-License-Identifier: Apache-2.0 */
/* The leases and locks of a simulated run: nothing is believed that the store does not hold. */
#include "support/sim_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_keeping {
    struct sim_keeping *next;
    struct sim_world *world;
    size_t client;
    int64_t id;
    etcd_keepalive *keepalive; /* NULL: closed */
    bool revoked;              /* by us, or that was tried */
    unsigned ends;
};

/* ---- leases ---------------------------------------------------------------------------------------- */

static void on_end(etcd_keepalive *keepalive, etcd_status status, const etcd_error *err, void *user_data)
{
    struct sim_keeping *keeping = user_data;
    struct sim_world *world = keeping->world;

    sim_trace(world, "lease %llx ends: %s", (unsigned long long)keeping->id, etcd_status_name(status));
    if (++keeping->ends != 1)
        sim_fail(world, "the loss of lease %llx is told %u times", (unsigned long long)keeping->id,
                 keeping->ends);
    if (status != ETCD_E_LEASE_LOST && (status != ETCD_E_CLOSED || world->clients[keeping->client] != NULL))
        sim_fail(world, "lease %llx ends with %s: %s", (unsigned long long)keeping->id,
                 etcd_status_name(status), err->message);
    if (etcd_keepalive_remaining_ms(keepalive) != 0)
        sim_fail(world, "lease %llx is lost and has time left", (unsigned long long)keeping->id);
    world->result.leases_lost += status == ETCD_E_LEASE_LOST;
}

void sim_keep(struct sim_world *world, size_t client, etcd_lease lease, int64_t elapsed_ms)
{
    struct sim_keeping *keeping;
    etcd_error err;

    if (world->clients[client] == NULL)
        return;
    keeping = calloc(1, sizeof(*keeping));
    if (keeping == NULL)
        abort();
    *keeping =
        (struct sim_keeping){.world = world, .client = client, .id = lease.id, .next = world->keepings};
    world->keepings = keeping;
    world->result.leases++;
    sim_trace(world, "client %zu: keeps lease %llx, %lld s", client, (unsigned long long)lease.id,
              (long long)lease.ttl_s);
    if (etcd_keepalive_start(
            world->clients[client], lease,
            ETCD_KEEPALIVE_OPTS(.on_end = on_end, .user_data = keeping, .elapsed_ms = elapsed_ms),
            &keeping->keepalive, &err) != ETCD_OK)
        sim_fail(world, "lease %llx cannot be kept: %s", (unsigned long long)lease.id, err.message);
}

static struct sim_keeping *any_keeping(struct sim_world *world)
{
    struct sim_keeping *found = NULL;
    uint64_t seen = 0;

    for (struct sim_keeping *keeping = world->keepings; keeping != NULL; keeping = keeping->next) {
        if (keeping->keepalive != NULL && sim_pick(world, ++seen) == 0)
            found = keeping;
    }
    return found;
}

int64_t sim_any_lease(struct sim_world *world)
{
    const struct sim_keeping *keeping = any_keeping(world);

    return keeping == NULL ? 0 : keeping->id;
}

void sim_lease_revoking(struct sim_world *world, int64_t id)
{
    for (struct sim_keeping *keeping = world->keepings; keeping != NULL; keeping = keeping->next)
        keeping->revoked |= keeping->id == id;
}

void sim_lease_disturb(struct sim_world *world)
{
    struct sim_keeping *keeping = any_keeping(world);

    if (keeping == NULL)
        return;
    sim_trace(world, "lease %llx is not kept any more", (unsigned long long)keeping->id);
    etcd_keepalive_close(keeping->keepalive);
    keeping->keepalive = NULL;
}

static void check_keeping(struct sim_world *world, const struct sim_keeping *keeping)
{
    const struct sim_lease *lease = sim_store_lease(world->store, keeping->id);
    int64_t left_ms = keeping->keepalive == NULL ? 0 : etcd_keepalive_remaining_ms(keeping->keepalive);

    if (left_ms == 0 || keeping->revoked)
        return;
    if (lease == NULL)
        sim_fail(world, "lease %llx is gone, %lld ms are believed to be left",
                 (unsigned long long)keeping->id, (long long)left_ms);
    else if (sim_now(world) + left_ms > lease->expires_ms)
        sim_fail(world, "lease %llx has %lld ms left, %lld are believed", (unsigned long long)keeping->id,
                 (long long)(lease->expires_ms - sim_now(world)), (long long)left_ms);
}

/* ---- locks ----------------------------------------------------------------------------------------- */

static bool held(const struct sim_world *world, size_t at)
{
    return world->locks[at].lock != NULL && etcd_lock_held(world->locks[at].lock);
}

/* Whether that key is the oldest below its lock's name. */
static bool is_first(const struct sim_world *world, const char *name, etcd_bytes key, int64_t fence)
{
    bool found = false;

    for (size_t i = 0; i < world->store->key_count; i++) {
        const struct sim_key *other = world->store->keys[i];
        const struct sim_event *event = sim_store_at(other, INT64_MAX);

        if (event == NULL || other->name.len <= strlen(name) + 1 ||
            memcmp(other->name.data, name, strlen(name)) != 0)
            continue;
        if (event->created < fence)
            return false;
        found |= event->created == fence && other->name.len == key.len &&
                 memcmp(other->name.data, key.data, key.len) == 0;
    }
    return found;
}

static void check_lock(struct sim_world *world, size_t at)
{
    const struct sim_locking *locking = &world->locks[at];

    if (!held(world, at))
        return;
    if (!is_first(world, locking->name, etcd_lock_key(locking->lock), etcd_lock_fence(locking->lock)))
        sim_fail(world, "lock '%s' is believed to be held, its key is not the first", locking->name);
    for (size_t other = 0; other < at; other++) {
        if (held(world, other) && strcmp(world->locks[other].name, locking->name) == 0)
            sim_fail(world, "lock '%s' is held twice", locking->name);
    }
}

void sim_leases_tick(struct sim_world *world)
{
    for (const struct sim_keeping *keeping = world->keepings; keeping != NULL; keeping = keeping->next)
        check_keeping(world, keeping);
    for (size_t i = 0; i < SIM_LOCKS; i++)
        check_lock(world, i);
}

static size_t free_lock(const struct sim_world *world)
{
    size_t at = 0;

    while (at < SIM_LOCKS && world->locks[at].lock != NULL)
        at++;
    return at;
}

void sim_lock_acquire(struct sim_world *world, size_t client)
{
    size_t at = free_lock(world), name = (size_t)sim_pick(world, 2);
    int64_t timeout_ms = 200 + (int64_t)sim_pick(world, 6000),
            limit_ms = sim_now(world) + timeout_ms + SIM_SLACK_MS;
    etcd_lock *lock = NULL;
    etcd_error err = {.status = ETCD_OK};
    etcd_status st;

    if (at == SIM_LOCKS)
        return;
    (void)snprintf(world->locks[at].name, sizeof(world->locks[at].name), "lock%zu", name);
    sim_trace(world, "client %zu: lock '%s'", client, world->locks[at].name);
    st = etcd_lock_acquire(world->clients[client], etcd_cstr(world->locks[at].name),
                           ETCD_LOCK_OPTS(.ttl_s = 2 + (int64_t)sim_pick(world, 8), .timeout_ms = timeout_ms,
                                          .try_lock = sim_pick(world, 3) == 0, .allow_caller_drive = true),
                           &lock, &err);
    world->blocked_ms = sim_now(world);
    sim_trace(world, "client %zu: lock '%s': %s", client, world->locks[at].name, etcd_status_name(st));
    if (sim_late(world, limit_ms))
        sim_fail(world, "locking took %lld ms longer than its limit",
                 (long long)(sim_now(world) - limit_ms + SIM_SLACK_MS));
    if (st != ETCD_OK) {
        sim_check_status(world, "lock", st, &err);
        return;
    }
    world->result.locks++;
    world->locks[at].lock = lock;
    world->locks[at].client = client;
    if (etcd_lock_fence(lock) <= world->last_fence[name])
        sim_fail(world, "the fencing number went from %lld to %lld", (long long)world->last_fence[name],
                 (long long)etcd_lock_fence(lock));
    world->last_fence[name] = etcd_lock_fence(lock);
}

void sim_lock_release(struct sim_world *world, size_t at)
{
    int64_t timeout_ms = 200 + (int64_t)sim_pick(world, 3000), limit_ms = sim_now(world) + timeout_ms;
    etcd_lock *lock = world->locks[at].lock;
    etcd_error err = {.status = ETCD_OK};
    etcd_status st;

    if (lock == NULL)
        return;
    world->locks[at].lock = NULL;
    st = etcd_lock_release(lock, timeout_ms, &err);
    world->blocked_ms = sim_now(world);
    sim_trace(world, "lock '%s' is released: %s", world->locks[at].name, etcd_status_name(st));
    if (sim_late(world, limit_ms))
        sim_fail(world, "releasing took %lld ms longer than its limit",
                 (long long)(sim_now(world) - limit_ms));
    if (st != ETCD_OK && (st != ETCD_E_CLOSED || world->clients[world->locks[at].client] != NULL))
        sim_check_status(world, "release", st, &err);
}

void sim_locks_close(struct sim_world *world, size_t client)
{
    for (size_t i = 0; i < SIM_LOCKS; i++) {
        if (client == SIM_CLIENTS || world->locks[i].client == client)
            sim_lock_release(world, i);
    }
}

/* ---- at the end ------------------------------------------------------------------------------------ */

void sim_leases_check(struct sim_world *world)
{
    for (const struct sim_keeping *keeping = world->keepings; keeping != NULL; keeping = keeping->next) {
        if (keeping->keepalive == NULL || keeping->ends > 0)
            continue;
        if (sim_store_lease(world->store, keeping->id) == NULL)
            sim_fail(world, "lease %llx is gone and nobody was told", (unsigned long long)keeping->id);
        else if (etcd_keepalive_remaining_ms(keeping->keepalive) == 0)
            sim_fail(world, "lease %llx is neither kept nor lost", (unsigned long long)keeping->id);
    }
}

void sim_leases_close(struct sim_world *world, size_t client)
{
    for (struct sim_keeping *keeping = world->keepings; keeping != NULL; keeping = keeping->next) {
        if (keeping->client != client || keeping->keepalive == NULL)
            continue;
        if (keeping->ends != 1)
            sim_fail(world, "the client is closed and lease %llx was told its end %u times",
                     (unsigned long long)keeping->id, keeping->ends);
        etcd_keepalive_close(keeping->keepalive);
        keeping->keepalive = NULL;
    }
}

void sim_leases_free(struct sim_world *world)
{
    while (world->keepings != NULL) {
        struct sim_keeping *keeping = world->keepings;

        world->keepings = keeping->next;
        etcd_keepalive_close(keeping->keepalive);
        free(keeping);
    }
}
