/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of chaos.h share. */
#ifndef TESTS_SUPPORT_CHAOS_WORLD_H
#define TESTS_SUPPORT_CHAOS_WORLD_H

#include "support/chaos.h"
#include "support/cut_relay.h"
#include "support/etcd_server.h"
#include "support/process.h"

#include <etcdc.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
    CHAOS_MEMBERS = 3,
    CHAOS_CLIENTS = 2, /* under thread drive, under caller drive */
    CHAOS_KEYS = 16,
    CHAOS_COUNTERS = 2,
    CHAOS_WRITES_MAX = 4000000,
    CHAOS_WATCHES_MAX = 16,
    CHAOS_LEASES = 12, /* of both clients together */
    CHAOS_LOCKERS = 3,
    CHAOS_SAMPLES = 20,
    CHAOS_THREADS_MAX = 48,
    CHAOS_SLACK_MS = 250, /* what a call may take beyond its limit */
};

struct chaos;

/* One who uses a client, one step after the other. */
struct chaos_actor {
    struct chaos *chaos;
    etcd_client *client;
    void (*step)(struct chaos_actor *actor);
    uint64_t random;
    size_t number; /* which lease, locker or watch is his, where he has one */
    pthread_t thread;
};

/* What the caller of one write was told, and how often the history has it. */
struct chaos_write {
    int64_t revision; /* where it succeeded */
    etcd_status status;
    uint8_t flags, kind, seen;
    bool begun, ended, refused;
};

/* An event as it is compared. */
struct chaos_event {
    int64_t revision;
    uint64_t key, all; /* hashes */
};

struct chaos_events {
    struct chaos_event *list;
    size_t count, room;
};

struct chaos_watch {
    struct chaos *chaos;
    etcd_watch *watch;
    char key[16];
    bool pulled;
    struct chaos_events seen;
    atomic_int_fast64_t last; /* revision of the newest event */
    atomic_int ends;
};

enum chaos_lease_state { CHAOS_LEASE_NONE, CHAOS_LEASE_KEPT, CHAOS_LEASE_REVOKED };

struct chaos_lease {
    enum chaos_lease_state state;
    int64_t id, ttl_s;
    etcd_keepalive *keepalive;
    atomic_int ends;
};

struct chaos_locks {
    pthread_mutex_t mutex;
    etcd_lock *held[CHAOS_LOCKERS];
    int64_t until_ms[CHAOS_LOCKERS]; /* not released before */
    int64_t fence;                   /* the largest that owned it */
    size_t acquired, lost;
};

struct chaos {
    const struct chaos_options *options;
    struct etcd_server *server;
    struct cut_relay *relays[CHAOS_MEMBERS];
    char endpoints[160]; /* the relays' */
    etcd_client *clients[CHAOS_CLIENTS];
    etcd_client *direct; /* past the relays, to look at the server */
    struct chaos_actor actors[32];
    size_t actor_count;
    atomic_bool stop;

    struct chaos_write *writes;
    atomic_size_t next_write;
    /* The newest revisions of keys that somebody was told of. */
    atomic_int_fast64_t floors[CHAOS_KEYS];

    struct chaos_watch watches[CHAOS_WATCHES_MAX];
    size_t watch_count;

    pthread_mutex_t lease_mutex; /* of the states and handles */
    struct chaos_lease leases[CHAOS_LEASES];
    etcd_watch *lease_watch;
    atomic_int_fast64_t deposed_ms, restored_ms; /* the last time in which there may have been two leaders */
    atomic_size_t leases_granted, leases_sampled, stale_words;
    struct chaos_locks locks;
    etcd_registration *registration;

    FILE *log;
    char log_path[256];
    int64_t start_ms;
    pthread_mutex_t log_mutex;
    pthread_t pulse;
    atomic_int_fast64_t delays[CHAOS_SAMPLES][CHAOS_THREADS_MAX]; /* of the last samples */
    atomic_size_t samples;
    atomic_size_t calls, failed_calls, faults, violations;
    atomic_int_fast64_t worst_ms, starved_ms;
};

/* ---- chaos.c: what all need ---- */

uint64_t chaos_draw(uint64_t *random, uint64_t below);
/* To the log, with the time. */
void chaos_log(struct chaos *chaos, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A promise that was broken: to the log and to stderr; the test fails at its end. */
void chaos_broken(struct chaos *chaos, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The end of a call that began at `begin_ms`: looks at its time and at its status. */
void chaos_called(struct chaos *chaos, const char *what, int64_t begin_ms, int64_t timeout_ms,
                  etcd_status status, const etcd_error *err);
/* Lets time pass for the actor. */
void chaos_rest(struct chaos_actor *actor, int64_t ms);
void chaos_raise(atomic_int_fast64_t *target, int64_t value);
/* One more actor. Those of the client under caller drive share a thread. */
struct chaos_actor *chaos_act(struct chaos *chaos, etcd_client *client,
                              void (*step)(struct chaos_actor *actor), size_t number);

/* ---- chaos_faults.c ---- */

/* Until the time is up; all members are well afterwards. */
void chaos_faults(struct chaos *chaos);

/* ---- chaos_writes.c ---- */

void chaos_step_write(struct chaos_actor *actor);
void chaos_step_count(struct chaos_actor *actor);
void chaos_step_read(struct chaos_actor *actor);
/* Writes every key once more, through this client: these succeed. Returns the last revision. */
int64_t chaos_last_writes(struct chaos *chaos, etcd_client *client);
/* Takes one event of the history, in its order. */
void chaos_count_event(struct chaos *chaos, const etcd_event *event, int64_t counters[CHAOS_COUNTERS]);
void chaos_judge_writes(struct chaos *chaos);

/* ---- chaos_watches.c ---- */

void chaos_open_watches(struct chaos *chaos);
void chaos_step_pull(struct chaos_actor *actor);
/*
 * Waits until all have come so far, closes the clients and compares the watches with the history. Returns the
 * number of its events.
 */
size_t chaos_judge_watches(struct chaos *chaos, int64_t last);

/* ---- chaos_leases.c ---- */

void chaos_open_leases(struct chaos *chaos);
void chaos_step_lease(struct chaos_actor *actor);
void chaos_step_lock(struct chaos_actor *actor);
void chaos_judge_leases(struct chaos *chaos);
/* Once the clients are closed. */
void chaos_close_leases(struct chaos *chaos);

#endif
