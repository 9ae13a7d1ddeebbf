/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay between the members of a cluster, so that one can be cut off from the others: each
 * member is told the relay's port of the others. Who calls is read from the member id in the
 * first request of a connection, as is who is called.
 */
#ifndef ETCDC_TESTS_PEER_RELAY_H
#define ETCDC_TESTS_PEER_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer_route {
    uint16_t from; /* the port that the other members are told */
    uint16_t to;   /* where the member listens */
};

struct peer_relay;

/* Member i is reached by route i. NULL: reason printed. */
struct peer_relay *peer_relay_start(const struct peer_route *routes, size_t count);
void peer_relay_stop(struct peer_relay *relay); /* NULL is ignored */

/* Ends every connection to and from a member and lets no new one through. */
bool peer_relay_cut(struct peer_relay *relay, size_t member);
bool peer_relay_heal(struct peer_relay *relay);

#endif
