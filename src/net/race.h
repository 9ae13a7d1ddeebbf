/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connects to the first address of several that answers (RFC 8305): families take turns, a new attempt
 * starts every 250 ms, and at once when one fails. Attempts under way go on until one has won.
 */
#ifndef ETCD__NET_RACE_H
#define ETCD__NET_RACE_H

#include "base/error.h"
#include "base/reactor.h"

enum {
    ETCD__RACE_STAGGER_MS = 250,
    ETCD__RACE_ADDRESSES_MAX = 32, /* the rest is left out */
};

struct etcd__race;
struct etcd__race_attempt;

/*
 * The end of the race: the connected socket, which now belongs to the receiver, and its address; or -1,
 * NULL and why.
 * Never called from inside etcd__race_start(). May cancel the race, free it, and start another.
 */
typedef void etcd__race_done_fn(struct etcd__race *race, int fd, const struct sockaddr_storage *addr,
                                const etcd_error *err);

/* Embedded in its owner; zeroed memory is idle. */
struct etcd__race {
    struct etcd__reactor *reactor;
    etcd__race_done_fn *on_done;
    struct etcd__race_attempt *attempts; /* in the order of starting; NULL: idle */
    size_t count, next, running;
    struct etcd__timer stagger;
    struct etcd__task finish;
    etcd_error error; /* of the attempt that failed last */
};

/* `addresses` is not empty; it is copied. ETCD_OK or ETCD_E_NO_MEMORY. */
etcd_status etcd__race_start(struct etcd__race *race, struct etcd__reactor *reactor,
                             const struct etcd__addresses *addresses, etcd__race_done_fn *on_done,
                             etcd_error *reterr);
/* Closes what is under way; on_done is not called any more. Fine when idle. */
void etcd__race_cancel(struct etcd__race *race);
/* The address that was started last; NULL when idle. */
const struct sockaddr_storage *etcd__race_current(const struct etcd__race *race);

#endif
