/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model of an etcd cluster on the scripted network of fake_env.h: one store (sim_store.h), and members that
 * each know a part of it, with etcd's ways of failing. All that happens by chance comes from one seed.
 *
 * Members are 192.0.2.1:2379, 192.0.2.2:2379 ..., with the names etcd1.example ... A request waits for its
 * time, for a leader where etcd needs one, and for the member where it lags; then it is carried out and
 * answered. With `faults` set, requests meet accidents, and sim_cluster_fault() lets one happen to the
 * cluster.
 */
#ifndef TESTS_SUPPORT_SIM_CLUSTER_H
#define TESTS_SUPPORT_SIM_CLUSTER_H

#include "support/fake_env.h"
#include "support/h2_server.h"
#include "support/sim_store.h"

enum { SIM_MEMBERS = 3, SIM_TICK_MS = 10, SIM_NOBODY = -1 };

struct sim_cluster;
struct sim_line;
struct sim_request;

struct sim_member {
    struct sim_cluster *cluster;
    struct fake_host *host;
    struct sim_view view;
    bool stopped;                        /* as by SIGSTOP: the kernel accepts, nobody reads */
    bool partitioned;                    /* has no leader */
    int64_t down_until_ms, lag_until_ms; /* not running; behind the others */
    int64_t lost_leader_ms;              /* since when; 0: it has one */
};

struct sim_cluster {
    struct fake_env *env;
    struct sim_store *store;
    struct sim_member members[SIM_MEMBERS];
    size_t member_count;
    struct sim_line *lines;
    struct sim_request *requests;
    uint64_t chance;
    bool faults;
    bool auth;           /* calls need a token */
    int64_t election_ms; /* a leader is there again; 0: it is there */
    unsigned tokens, expired_tokens;
    int64_t latency_ms; /* at most, of a request */
    void (*on_tick)(void *user);
    void *user;
    /* Tells what happens; NULL: nobody listens. */
    void (*trace)(void *user, const char *text);
    const char *lost;   /* the next request of this method is carried out, and its answer lost; NULL: none */
    const char *broken; /* a rule of etcd's protocol that the client broke; NULL: none */
};

/* The environment must outlive it. */
struct sim_cluster *sim_cluster_new(struct fake_env *env, size_t members, uint64_t seed);
void sim_cluster_free(struct sim_cluster *cluster);

/* Time and chance of recipes are those of this environment; NULL: before it is freed. */
void sim_clock_set(struct fake_env *env);

/* 0 .. n - 1; n > 0. */
uint64_t sim_chance(uint64_t *chance, uint64_t n);

/* Something goes wrong, somewhere. */
void sim_cluster_fault(struct sim_cluster *cluster);
/* Everything works again, from now on. */
void sim_cluster_heal(struct sim_cluster *cluster);
/* Nothing is under way that could still change the store, but expiring leases. */
bool sim_cluster_settled(const struct sim_cluster *cluster);

#endif
