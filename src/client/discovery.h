/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints from the SRV records of a domain: looked up when the client is first used, and again, with
 * pauses, while no endpoint can be reached. Two services are asked for, one of endpoints with TLS and one of
 * others; what either has is used. Engine.
 */
#ifndef ETCD__CLIENT_DISCOVERY_H
#define ETCD__CLIENT_DISCOVERY_H

#include "net/endpoint.h"
#include "net/resolver.h"

struct etcd_client;
struct etcd__discovery;

enum { ETCD__DISCOVERY_SERVICES = 2 };

struct etcd__discovered {
    struct etcd__discovery *discovery;
    struct etcd__lookup *lookup; /* NULL: not under way */
    const char *scheme;          /* of its endpoints */
    char service[300];
    struct etcd__endpoints endpoints;
    char error[96]; /* "": there are endpoints */
};

struct etcd__discovery {
    struct etcd_client *client; /* NULL: the endpoints come from elsewhere */
    struct etcd__discovered services[ETCD__DISCOVERY_SERVICES];
    struct etcd__task begin;
    struct etcd__timer
        timer;         /* running: the dial timeout; else the next attempt, while there are no endpoints */
    int64_t next_ms;   /* not again before */
    unsigned failures; /* look-ups in a row that led to no connection */
    bool running;
};

/* Does nothing for a client without discovery. */
void etcd__discovery_init(struct etcd__discovery *discovery, struct etcd_client *client);
/* For good: the client is closed, or the program has given a list of its own. */
void etcd__discovery_stop(struct etcd__discovery *discovery);
/* There are no endpoints, or none can be reached. */
void etcd__discovery_wanted(struct etcd__discovery *discovery);
/* An endpoint is connected. */
void etcd__discovery_settled(struct etcd__discovery *discovery);

#endif
