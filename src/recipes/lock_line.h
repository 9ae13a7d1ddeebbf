/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line in front of a lock. Every contender has a lease and a key `<name>/<lease id>` attached to it;
 * the key that was created first is the owner's. A contender waits for the newest key that is older than
 * its own, so that a release wakes one of them.
 */
#ifndef ETCD__RECIPES_LOCK_LINE_H
#define ETCD__RECIPES_LOCK_LINE_H

#include "etcdc/lock.h"
#include "etcdc/watch.h"
#include "recipes/session.h"

enum { ETCD__LEASE_HEX_MAX = 16 };

struct etcd_lock {
    etcd_client *client;
    struct etcd__session *session; /* NULL: none yet */
    etcd_watch *guard;             /* of our key, while the lock is held */
    etcd_lock_lost_fn *on_lost;
    void *user_data;
    int64_t fence;    /* create revision of our key; 0 while it is not known */
    int64_t owned_at; /* a revision at which our key was the oldest */
    size_t prefix_len;
    size_t key_len;
    char key[]; /* <name>/<lease id in hex>, with a NUL */
};

static inline etcd_bytes etcd__lock_key(const struct etcd_lock *lock)
{
    return etcd_bytes_of(lock->key, lock->key_len);
}

/*
 * Makes the session and queues up, both at once: the lease's id is chosen here, so its grant need not be
 * answered before it is used. Tells whether that made us the owner. On failure the session may be there or
 * not.
 */
etcd_status etcd__lock_join(struct etcd_lock *lock, int64_t ttl_s, struct etcd__limit *limit, bool *ret_owner,
                            etcd_error *err);
/* Waits until nobody is before us; our key is there then. LEASE_LOST when it, or the session, is not. */
etcd_status etcd__lock_await_turn(struct etcd_lock *lock, const struct etcd__limit *limit, etcd_error *err);

#endif
