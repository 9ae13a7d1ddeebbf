/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line in front of something that one at a time may have: a lock, or the lead. Every contender has a
 * lease and a key `<name>/<lease id>` attached to it; the key that was created first is the owner's. A
 * contender waits for the newest key that is older than its own, so that a release wakes one of them.
 */
#ifndef ETCD__RECIPES_LINE_H
#define ETCD__RECIPES_LINE_H

#include "etcdc/watch.h"
#include "recipes/session.h"

enum { ETCD__LEASE_HEX_MAX = 16 };

/* A place in a line. */
struct etcd__line {
    etcd_client *client;
    struct etcd__session *session; /* NULL: none yet */
    etcd_watch *guard;             /* of our key, while we are the owner */
    etcd_bytes value;              /* of our key; borrowed while it is being written */
    int64_t fence;                 /* create revision of our key; 0 while it is not known */
    int64_t owned_at;              /* a revision at which our key was the oldest */
    size_t prefix_len;
    size_t key_len;
    char key[]; /* <name>/<lease id in hex>, with a NUL */
};

static inline etcd_bytes etcd__line_key(const struct etcd__line *line)
{
    return etcd_bytes_of(line->key, line->key_len);
}
static inline etcd_bytes etcd__line_name(const struct etcd__line *line)
{
    return etcd_bytes_of(line->key, line->prefix_len - 1);
}

/* ---- line.c: queueing up and waiting --------------------------------------------------------------- */

/*
 * Makes the session and queues up, both at once: the lease's id is chosen here, so its grant need not be
 * answered before it is used. Tells whether that made us the owner. On failure the session may be there or
 * not.
 */
etcd_status etcd__line_join(struct etcd__line *line, int64_t ttl_s, struct etcd__limit *limit,
                            bool *ret_owner, etcd_error *err);
/* Waits until nobody is before us; our key is there then. LEASE_LOST when it, or the session, is not. */
etcd_status etcd__line_await_turn(struct etcd__line *line, const struct etcd__limit *limit, etcd_error *err);

/* ---- line_hold.c: the whole way, for lock.c and election.c ------------------------------------------ */

/* How to become the owner. */
struct etcd__line_opts {
    const char *what; /* "lock", "election": for messages */
    int64_t ttl_s;    /* 0: 60, as Go's sessions */
    int64_t timeout_ms;
    bool try_only; /* do not wait: ETCD_E_BUSY when there is an owner */
    bool allow_caller_drive;
    etcd_bytes value; /* of our key */
};

/*
 * Queues up and waits. From success on a loss is told to `on_lost`, once. On failure nothing is left, at the
 * latest after the TTL; `reterr` names what and whose.
 */
etcd_status etcd__line_acquire(etcd_client *client, etcd_bytes name, const struct etcd__line_opts *opts,
                               etcd__session_lost_fn *on_lost, void *user, struct etcd__line **ret_line,
                               etcd_error *reterr);
/*
 * Gives the place up: deletes the key if it is still ours, revokes the lease, frees the line, whatever is
 * returned. LEASE_LOST when it was lost before.
 */
etcd_status etcd__line_release(struct etcd__line *line, const char *what, int64_t timeout_ms,
                               etcd_error *reterr);

#endif
