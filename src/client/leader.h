/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which endpoint is the leader, for clients that prefer it. Learned from the members' status when a call
 * wants to know and there is reason to ask: nothing is known yet, or answers hint that it changed. Where the
 * status may not be asked for, or no endpoint is the leader, calls go to all in turn. Nothing is asked, and
 * no timer runs, while no call wants it. Engine.
 */
#ifndef ETCD__CLIENT_LEADER_H
#define ETCD__CLIENT_LEADER_H

#include "base/reactor.h"

struct etcd_client;
struct etcd__status_probe;

struct etcd__leader {
    struct etcd_client *client;
    struct etcd__status_probe *probes; /* a question to each connected endpoint, while they are asked */
    size_t count, pending;
    struct etcd__timer timer; /* while they are asked: how long */
    uint64_t term;            /* the newest that any answer had */
    uint64_t found_term;      /* of the member that said it is the leader */
    int64_t next_ms;          /* not asked again before; 0: at any time */
    bool doubted;             /* there is a hint that it changed */
    bool refused;             /* some member did not want to tell */
    bool elsewhere;           /* the leader is none of those asked */
};

void etcd__leader_init(struct etcd__leader *leader, struct etcd_client *client);
void etcd__leader_close(struct etcd__leader *leader);
/* A call would go to the leader. */
void etcd__leader_wanted(struct etcd__leader *leader);
/* An answer had this term. */
void etcd__leader_saw_term(struct etcd__leader *leader, uint64_t term);
/* A member could not serve, as happens when the leader changes. */
void etcd__leader_doubt(struct etcd__leader *leader);
/* There is another endpoint: it may be the leader. */
void etcd__leader_news(struct etcd__leader *leader);

#endif
