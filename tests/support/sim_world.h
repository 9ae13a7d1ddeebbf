/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One simulated run: clients that work against the simulated cluster (sim_cluster.h) while things go wrong,
 * all of it from a seed, in virtual time, in one thread. The rules that hold whatever happens are checked at
 * every tick and at the end: docs/simulation.md lists them.
 *
 *   struct sim_result result;
 *   if (!sim_run(&(struct sim_config){.seed = 7}, &result))
 *       fail_msg("seed 7: %s", result.failure);
 */
#ifndef TESTS_SUPPORT_SIM_WORLD_H
#define TESTS_SUPPORT_SIM_WORLD_H

#include "support/sim_cluster.h"

#include <etcdc.h>

enum { SIM_CLIENTS = 3, SIM_LOCKS = 4, SIM_TEXT = 96, SIM_SLACK_MS = 250 };

struct sim_config {
    uint64_t seed;
    bool verbose; /* prints each step */
};

/* What a run was made of. */
struct sim_result {
    char failure[600]; /* "": none */
    uint64_t hash;     /* of the trace */
    size_t calls, calls_failed, writes_maybe, events, watches, watches_compacted, leases, leases_lost, locks,
        faults;
    int64_t virtual_ms;
};

/* False: a rule was broken, or something leaked. */
bool sim_run(const struct sim_config *config, struct sim_result *ret_result);

/* ---- between the files of the simulation ----------------------------------------------------------- */

struct sim_call;
struct sim_watching;
struct sim_keeping;

struct sim_locking {
    etcd_lock *lock; /* NULL: free */
    size_t client;
    char name[16];
};

struct sim_world {
    struct sim_config config;
    struct sim_result result;
    struct fake_env *env;
    struct sim_cluster *cluster;
    struct sim_store *store;
    etcd_loop *loop;
    etcd_client *clients[SIM_CLIENTS];
    struct sim_call *calls;
    struct sim_watching *watches;
    struct sim_keeping *keepings;
    struct sim_locking locks[SIM_LOCKS];
    int64_t last_fence[2]; /* of each name */
    uint64_t chance;
    unsigned numbers;          /* given to what must be told apart */
    int64_t known_revision;    /* the newest that an answered call told of */
    int64_t begin_ms, jump_ms; /* the clock's last jump: nobody can be blamed for what it made late */
    int64_t blocked_ms;        /* the end of the last blocking call, during which callbacks had to wait */
    int64_t probe_revision;    /* before the last writes; 0: not that far yet */
    bool calm;                 /* no more faults */
};

uint64_t sim_pick(struct sim_world *world, uint64_t n);
void sim_trace(struct sim_world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The first failure is the one that is told. */
void sim_fail(struct sim_world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
int64_t sim_now(const struct sim_world *world);
/* Lets so much virtual time pass. */
void sim_pass(struct sim_world *world, int64_t ms);
/* A key of the few that all work on. */
void sim_any_key(struct sim_world *world, char *dst, size_t size);
bool sim_same_kv(const etcd_kv *kv, const struct sim_event *event);
/* Whether the limit, with room, is over. */
bool sim_late(const struct sim_world *world, int64_t limit_ms);
/* Statuses that no fault of servers or network explains. */
void sim_check_status(struct sim_world *world, const char *what, etcd_status status, const etcd_error *err);

/* sim_calls.c */
void sim_call_begin(struct sim_world *world, size_t client);
void sim_call_disturb(struct sim_world *world); /* cancels one */
void sim_calls_tick(struct sim_world *world);
void sim_calls_step(struct sim_world *world);
bool sim_calls_done(const struct sim_world *world, size_t client); /* SIM_CLIENTS: of all */
void sim_calls_check(struct sim_world *world); /* what was written against what was said */
void sim_calls_free(struct sim_world *world);

/* sim_watches.c */
void sim_watch_begin(struct sim_world *world, size_t client);
void sim_watch_disturb(struct sim_world *world);          /* cancels or closes one */
void sim_watches_step(struct sim_world *world);           /* pulls */
unsigned sim_watch_behind(const struct sim_world *world); /* one that has not delivered everything; 0: none */
void sim_watches_close(struct sim_world *world, size_t client);
void sim_watches_free(struct sim_world *world);

/* sim_leases.c */
/* A lease that was asked for so long ago. */
void sim_keep(struct sim_world *world, size_t client, etcd_lease lease, int64_t elapsed_ms);
int64_t sim_any_lease(struct sim_world *world); /* 0: none */
void sim_lease_revoking(struct sim_world *world, int64_t id);
void sim_lease_disturb(struct sim_world *world); /* stops to keep one */
void sim_leases_tick(struct sim_world *world);
void sim_leases_check(struct sim_world *world); /* after a quiet while */
void sim_leases_close(struct sim_world *world, size_t client);
void sim_lock_acquire(struct sim_world *world, size_t client);
void sim_lock_release(struct sim_world *world, size_t at);
void sim_locks_close(struct sim_world *world, size_t client);
void sim_leases_free(struct sim_world *world);

#endif
