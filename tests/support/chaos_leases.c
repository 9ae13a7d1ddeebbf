/* SPDX-License-Identifier: Apache-2.0 */
/* Leases, locks and a registration: what is believed of them, and what the server holds. */
#include "support/chaos_world.h"

#include "support/client.h"
#include "support/test.h"
#include "support/watching.h"

#include <inttypes.h>
#include <stdlib.h>

enum { TTL_DRAWN = 4, CALL_MS = 1500, SETTLE_MS = 15000, SLOTS = CHAOS_LEASES / CHAOS_CLIENTS };

/* On the loop's thread: nothing here may wait for somebody who closes a keep-alive. */
static void on_end(etcd_keepalive *keepalive, etcd_status status, const etcd_error *err, void *user_data)
{
    struct chaos_lease *lease = user_data;

    (void)keepalive;
    (void)status;
    (void)err;
    atomic_fetch_add(&lease->ends, 1);
}

/*
 * A leader that was stopped or cut off may answer renewals for a moment after another one was elected, which
 * knows nothing of them. What was promised in its time is counted, not judged; everything else is.
 */
static bool is_stale_word(struct chaos *chaos, int64_t sent_ms)
{
    return sent_ms >= atomic_load(&chaos->deposed_ms) && sent_ms <= atomic_load(&chaos->restored_ms);
}

/* The server deleted what was attached to a lease: nobody may believe in that any more. */
static void on_deleted(struct chaos *chaos, const etcd_event *event)
{
    int64_t id = strtoll((const char *)event->kv.key.data + 2, NULL, 16);

    (void)pthread_mutex_lock(&chaos->lease_mutex);
    for (size_t i = 0; i < CHAOS_LEASES; i++) {
        struct chaos_lease *lease = &chaos->leases[i];
        int64_t left_ms = lease->state == CHAOS_LEASE_KEPT && lease->id == id
                              ? etcd_keepalive_remaining_ms(lease->keepalive)
                              : 0;

        if (left_ms > 0 && is_stale_word(chaos, test_now_ms() + left_ms - 1000 * lease->ttl_s))
            atomic_fetch_add(&chaos->stale_words, 1);
        else if (left_ms > 0)
            chaos_broken(chaos, "lease %" PRIx64 " is gone and is believed to have %d ms", (uint64_t)id,
                         (int)left_ms);
    }
    (void)pthread_mutex_unlock(&chaos->lease_mutex);
}

static void on_lease_events(etcd_watch *watch, const etcd_events *events, etcd_status status,
                            const etcd_error *err, void *user_data)
{
    (void)watch;
    (void)err;
    if (events == NULL && status != ETCD_E_CANCELLED && status != ETCD_E_CLOSED)
        chaos_broken(user_data, "the watch of leases ended: %s", etcd_status_name(status));
    for (size_t i = 0; events != NULL && i < etcd_events_count(events); i++)
        if (etcd_events_at(events, i)->type == ETCD_EVENT_DELETE)
            on_deleted(user_data, etcd_events_at(events, i));
}

void chaos_open_leases(struct chaos *chaos)
{
    etcd_error err;

    (void)pthread_mutex_init(&chaos->lease_mutex, NULL);
    (void)pthread_mutex_init(&chaos->locks.mutex, NULL);
    chaos->lease_watch = watch_open(chaos->direct, "l/",
                                    ETCD_WATCH_OPTS(.prefix = true, .start_revision = 1,
                                                    .on_events = on_lease_events, .user_data = chaos));
    watch_ok(etcd_register(chaos->clients[0], "chaos", "one", "127.0.0.1:1",
                           ETCD_REGISTER_OPTS(.ttl_s = chaos->options->ttl_s), &chaos->registration, &err),
             &err);
}

/* ---- leases ---------------------------------------------------------------------------------------- */

static void write_key(int64_t id, char key[32])
{
    (void)snprintf(key, 32, "l/%016" PRIx64, (uint64_t)id);
}

static void grant(struct chaos_actor *actor, struct chaos_lease *lease)
{
    struct chaos *chaos = actor->chaos;
    int64_t begin_ms = test_now_ms(), elapsed_ms;
    etcd_lease granted;
    char key[32];
    etcd_error err;
    etcd_status st = etcd_lease_grant(actor->client,
                                      chaos->options->ttl_s + (int64_t)chaos_draw(&actor->random, TTL_DRAWN),
                                      ETCD_LEASE_OPTS(.timeout_ms = CALL_MS), &granted, &err);

    chaos_called(chaos, "grant", begin_ms, CALL_MS, st, &err);
    if (st != ETCD_OK)
        return;
    elapsed_ms = test_now_ms() - begin_ms;
    (void)pthread_mutex_lock(&chaos->lease_mutex);
    lease->id = granted.id;
    lease->ttl_s = granted.ttl_s;
    lease->state = CHAOS_LEASE_KEPT;
    atomic_store(&lease->ends, 0);
    watch_ok(etcd_keepalive_start(
                 actor->client, granted,
                 ETCD_KEEPALIVE_OPTS(.on_end = on_end, .user_data = lease, .elapsed_ms = elapsed_ms),
                 &lease->keepalive, &err),
             &err);
    (void)pthread_mutex_unlock(&chaos->lease_mutex);
    atomic_fetch_add(&chaos->leases_granted, 1);
    write_key(granted.id, key);
    begin_ms = test_now_ms();
    st = etcd_put(actor->client, etcd_cstr(key), etcd_cstr("x"),
                  ETCD_PUT_OPTS(.timeout_ms = CALL_MS, .lease_id = granted.id), NULL, &err);
    if (st != ETCD_E_LEASE_NOT_FOUND)
        chaos_called(chaos, "put with a lease", begin_ms, CALL_MS, st, &err);
}

/*
 * A leader that was stopped or cut off, and does not know yet that it is none, has not heard of young leases.
 * What a write says is the cluster's word.
 */
static bool is_gone(struct chaos_actor *actor, int64_t id)
{
    etcd_ttl_result *ttl = NULL;
    char key[32];
    etcd_status st = etcd_lease_time_to_live(actor->chaos->direct, id, ETCD_LEASE_OPTS(.timeout_ms = CALL_MS),
                                             &ttl, NULL);

    etcd_ttl_result_free(ttl);
    if (st != ETCD_E_LEASE_NOT_FOUND)
        return false;
    write_key(id, key);
    return etcd_put(actor->chaos->direct, etcd_cstr(key), etcd_cstr("x"),
                    ETCD_PUT_OPTS(.timeout_ms = CALL_MS, .lease_id = id), NULL,
                    NULL) == ETCD_E_LEASE_NOT_FOUND;
}

/* What the cluster has no more is not believed in once it said so. */
static void sample(struct chaos_actor *actor, struct chaos_lease *lease)
{
    bool gone = is_gone(actor, lease->id);
    int64_t left_ms = etcd_keepalive_remaining_ms(lease->keepalive);

    atomic_fetch_add(&actor->chaos->leases_sampled, 1);
    if (gone && left_ms > 0 && !is_stale_word(actor->chaos, test_now_ms() + left_ms - 1000 * lease->ttl_s))
        chaos_broken(actor->chaos, "lease %" PRIx64 " is not there and is believed to have %d ms",
                     (uint64_t)lease->id, (int)left_ms);
}

static void let_go(struct chaos *chaos, struct chaos_lease *lease)
{
    int expected = atomic_load(&lease->ends);

    (void)pthread_mutex_lock(&chaos->lease_mutex);
    etcd_keepalive_close(lease->keepalive);
    if (atomic_load(&lease->ends) > 1 || atomic_load(&lease->ends) < expected)
        chaos_broken(chaos, "the end of lease %" PRIx64 " was told %d times", (uint64_t)lease->id,
                     atomic_load(&lease->ends));
    lease->state = CHAOS_LEASE_NONE;
    lease->keepalive = NULL;
    (void)pthread_mutex_unlock(&chaos->lease_mutex);
}

static void revoke(struct chaos_actor *actor, struct chaos_lease *lease)
{
    etcd_status st;

    (void)pthread_mutex_lock(&actor->chaos->lease_mutex);
    lease->state = CHAOS_LEASE_REVOKED;
    (void)pthread_mutex_unlock(&actor->chaos->lease_mutex);
    st = etcd_lease_revoke(actor->chaos->direct, lease->id, ETCD_LEASE_OPTS(.timeout_ms = CALL_MS), NULL);
    chaos_log(actor->chaos, "lease %016" PRIx64 " is revoked by somebody: %s", (uint64_t)lease->id,
              etcd_status_name(st));
}

void chaos_step_lease(struct chaos_actor *actor)
{
    struct chaos_lease *lease =
        &actor->chaos->leases[actor->number * SLOTS + chaos_draw(&actor->random, SLOTS)];
    uint64_t what = chaos_draw(&actor->random, 40);

    if (lease->state == CHAOS_LEASE_NONE) {
        grant(actor, lease);
    } else if (atomic_load(&lease->ends) > 0) {
        if (etcd_keepalive_remaining_ms(lease->keepalive) != 0)
            chaos_broken(actor->chaos, "a lease that has ended has time left");
        if (what < 8)
            let_go(actor->chaos, lease);
    } else if (lease->state == CHAOS_LEASE_KEPT) {
        if (what == 0)
            let_go(actor->chaos, lease);
        else if (what == 1)
            revoke(actor, lease);
        else
            sample(actor, lease);
    }
    chaos_rest(actor, 100);
}

/* ---- locks ----------------------------------------------------------------------------------------- */

/* It was acquired: nobody else may believe that he has it, and its number is the largest so far. */
static void own(struct chaos *chaos, size_t number, etcd_lock *lock, int64_t until_ms)
{
    struct chaos_locks *locks = &chaos->locks;

    (void)pthread_mutex_lock(&locks->mutex);
    for (size_t i = 0; i < CHAOS_LOCKERS; i++) {
        if (locks->held[i] == NULL || !etcd_lock_held(locks->held[i]) || !etcd_lock_held(lock))
            continue;
        if (test_now_ms() - atomic_load(&chaos->restored_ms) <= chaos->options->ttl_s * 1000)
            atomic_fetch_add(&chaos->stale_words, 1);
        else
            chaos_broken(chaos, "lockers %zu and %zu both hold the lock (%" PRId64 ", %" PRId64 ")", i,
                         number, etcd_lock_fence(locks->held[i]), etcd_lock_fence(lock));
    }
    if (etcd_lock_fence(lock) <= locks->fence && etcd_lock_held(lock))
        chaos_broken(chaos, "the fencing number went from %" PRId64 " to %" PRId64, locks->fence,
                     etcd_lock_fence(lock));
    if (etcd_lock_fence(lock) > locks->fence)
        locks->fence = etcd_lock_fence(lock);
    locks->held[number] = lock;
    locks->until_ms[number] = until_ms;
    locks->acquired++;
    (void)pthread_mutex_unlock(&locks->mutex);
}

static void acquire(struct chaos_actor *actor)
{
    int64_t begin_ms = test_now_ms();
    etcd_lock *lock = NULL;
    etcd_error err;
    etcd_status st = etcd_lock_acquire(actor->client, etcd_cstr("lock"),
                                       ETCD_LOCK_OPTS(.ttl_s = actor->chaos->options->ttl_s,
                                                      .timeout_ms = CALL_MS, .allow_caller_drive = true),
                                       &lock, &err);

    if (st != ETCD_E_LEASE_LOST)
        /* The place in the line is given up within a quarter of a second more. */
        chaos_called(actor->chaos, "lock", begin_ms, CALL_MS + (st == ETCD_OK ? 0 : 250), st, &err);
    /* Now and then longer than its lease lives when no member can be reached. */
    if (st == ETCD_OK)
        own(actor->chaos, actor->number, lock,
            test_now_ms() +
                (chaos_draw(&actor->random, 10) == 0 ? 1000 * (actor->chaos->options->ttl_s + 1) : 0));
}

static void release(struct chaos_actor *actor)
{
    struct chaos_locks *locks = &actor->chaos->locks;
    etcd_lock *lock = locks->held[actor->number];
    int64_t begin_ms = test_now_ms();
    etcd_error err;
    etcd_status st;

    (void)pthread_mutex_lock(&locks->mutex);
    if (!etcd_lock_held(lock))
        locks->lost++;
    locks->held[actor->number] = NULL;
    (void)pthread_mutex_unlock(&locks->mutex);
    st = etcd_lock_release(lock, CALL_MS, &err);
    if (st != ETCD_E_LEASE_LOST)
        chaos_called(actor->chaos, "unlock", begin_ms, CALL_MS, st, &err);
}

void chaos_step_lock(struct chaos_actor *actor)
{
    if (actor->chaos->locks.held[actor->number] == NULL)
        acquire(actor);
    else if (test_now_ms() >= actor->chaos->locks.until_ms[actor->number])
        release(actor);
    chaos_rest(actor, 20 + (int64_t)chaos_draw(&actor->random, 100));
}

/* ---- the judge ------------------------------------------------------------------------------------- */

static bool is_settled(struct chaos *chaos, struct chaos_lease *lease, const char **ret_why)
{
    etcd_ttl_result *ttl = NULL;
    etcd_status st = etcd_lease_time_to_live(chaos->direct, lease->id, NULL, &ttl, NULL);
    int ends = atomic_load(&lease->ends);
    int64_t left_ms = etcd_keepalive_remaining_ms(lease->keepalive);

    etcd_ttl_result_free(ttl);
    *ret_why = "the server does not say";
    if (st == ETCD_OK && (ends > 0 || left_ms > 0))
        return true; /* one that has ended here may live on for a while there */
    if (st == ETCD_E_LEASE_NOT_FOUND && ends == 1 && left_ms == 0)
        return true;
    if (st == ETCD_OK)
        *ret_why = "it is there, and not known to be";
    if (st == ETCD_E_LEASE_NOT_FOUND)
        *ret_why = "it is gone, and that was not told once";
    return false;
}

static void wait_settled(struct chaos *chaos, struct chaos_lease *lease, int64_t deadline_ms)
{
    const char *why = NULL;

    while (!is_settled(chaos, lease, &why) && test_now_ms() < deadline_ms)
        for (size_t i = 0; i < CHAOS_CLIENTS; i++)
            test_pump(chaos->clients[i], 20);
    if (!is_settled(chaos, lease, &why))
        chaos_broken(chaos, "lease %" PRIx64 ": %s", (uint64_t)lease->id, why);
}

static bool is_registered(struct chaos *chaos)
{
    etcd_services *found = NULL;
    bool there;

    if (etcd_discover(chaos->direct, "chaos", NULL, &found, NULL) != ETCD_OK)
        return false;
    there = etcd_services_count(found) == 1 && etcd_registration_alive(chaos->registration);
    etcd_services_free(found);
    return there;
}

void chaos_judge_leases(struct chaos *chaos)
{
    int64_t deadline_ms = test_deadline_ms(SETTLE_MS);

    for (size_t i = 0; i < CHAOS_LEASES; i++)
        if (chaos->leases[i].state != CHAOS_LEASE_NONE)
            wait_settled(chaos, &chaos->leases[i], deadline_ms);
    while (!is_registered(chaos) && test_now_ms() < deadline_ms)
        test_pump(chaos->clients[0], 20);
    if (!is_registered(chaos))
        chaos_broken(chaos, "the registration did not come back");
    if (chaos->locks.acquired < 3)
        chaos_broken(chaos, "nothing was tested: the lock was acquired %zu times", chaos->locks.acquired);
}

void chaos_close_leases(struct chaos *chaos)
{
    for (size_t i = 0; i < CHAOS_LOCKERS; i++)
        (void)etcd_lock_release(chaos->locks.held[i], 0, NULL);
    (void)etcd_registration_close(chaos->registration, 0, NULL);
    for (size_t i = 0; i < CHAOS_LEASES; i++) {
        if (chaos->leases[i].state == CHAOS_LEASE_NONE)
            continue;
        if (atomic_load(&chaos->leases[i].ends) != 1)
            chaos_broken(chaos, "of a closed client's lease %d ends were told",
                         atomic_load(&chaos->leases[i].ends));
        let_go(chaos, &chaos->leases[i]);
    }
    etcd_watch_close(chaos->lease_watch);
    (void)pthread_mutex_destroy(&chaos->lease_mutex);
    (void)pthread_mutex_destroy(&chaos->locks.mutex);
}
