/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program takes out piece by piece while the engine brings it in: the pages of a range, the parts of a
 * backup. Each step of the program is an operation of its own ("next"), one at a time. The owner embeds the
 * feed, brings pieces when somebody wants one, and may bring more than one; how many is its affair.
 *
 * References: the user's handle, and one for each operation. Closing the handle stops the owner in the
 * engine; the last reference frees it.
 */
#ifndef ETCD__CLIENT_FEED_H
#define ETCD__CLIENT_FEED_H

#include "runtime/op.h"

struct etcd_client;
struct etcd__feed;
struct etcd__feed_next;

struct etcd__feed_ops {
    const char *name; /* of the operation, for error texts; its address is the operations' kind */
    /*
     * Somebody waits and nothing is here: etcd__feed_push(), _end() or _fail() is to follow, now or later.
     * True: the feed keeps the deadline; false: the owner does, by failing in time. Engine.
     */
    bool (*want)(struct etcd__feed *feed, int64_t deadline_ms);
    /* Nobody waits any longer: what is under way for this step alone can go. May be NULL. Engine. */
    void (*unwant)(struct etcd__feed *feed);
    /* A piece was taken, and none is left. May be NULL. Engine. */
    void (*drained)(struct etcd__feed *feed);
    /* Stops all that could still bring something. Engine, once. */
    void (*stop)(struct etcd__feed *feed);
    /* Any thread. */
    void (*destroy)(struct etcd__feed *feed);
    void (*free_item)(void *item);
};

struct etcd__feed {
    const struct etcd__feed_ops *ops;
    struct etcd_client *client; /* referenced */
    atomic_int refs;

    /* Engine. */
    struct etcd__node node;          /* client->feeds */
    struct etcd__list items;         /* pieces that wait */
    void *spare;                     /* room for one more */
    struct etcd__feed_next *waiting; /* the step that waits for one */
    bool ended;                      /* no more pieces after those */
    bool stopped;
    bool closed; /* by the user */
};

/* How a step is to be made. */
struct etcd__feed_how {
    int64_t deadline_ms;
    bool blocking;
    etcd_op_fn *on_done;
    void *user_data;
};

/* With one reference, the handle's. Any thread. */
void etcd__feed_init(struct etcd__feed *feed, struct etcd_client *client, const struct etcd__feed_ops *ops);
/* Stops it and gives the handle's reference back. Any thread. */
void etcd__feed_close(struct etcd__feed *feed);
/* Client closed: every step ends with ETCD_E_CLOSED. Engine. */
void etcd__feed_close_all(struct etcd_client *client);

/*
 * Starts a step. A piece that is not taken from its operation is the next one again. ETCD_E_CLOSED,
 * ETCD_E_NO_MEMORY, ETCD_E_WOULD_DEADLOCK; everything else is told by the operation: the result is a piece,
 * or NULL at the end. ETCD_E_BUSY: another step waits. Any thread.
 */
etcd_status etcd__feed_next(struct etcd__feed *feed, const struct etcd__feed_how *how,
                            struct etcd_op **ret_op, etcd_error *reterr);

/* For the owner, in the engine. */

/* Makes sure that one piece can be pushed, whether somebody waits or not. False: out of memory. */
bool etcd__feed_reserve(struct etcd__feed *feed);
/* After etcd__feed_reserve(), or while somebody waits. Takes the piece over. */
void etcd__feed_push(struct etcd__feed *feed, void *item);
/* There is nothing after what was pushed. */
void etcd__feed_end(struct etcd__feed *feed);
/* Ends the step that waits, if one does; the next one will ask again. */
void etcd__feed_fail(struct etcd__feed *feed, const etcd_error *err);
static inline bool etcd__feed_wanted(const struct etcd__feed *feed)
{
    return feed->waiting != NULL;
}

#endif
