/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store of the simulated cluster (sim_cluster.h): every revision that ever was, leases in virtual time,
 * and etcd's calls on them. It answers as etcd does (tests/real/test_model.c holds it against the real one)
 * and keeps what etcd forgets, so that a test can look up what really happened. Memory comes from malloc; it
 * aborts when there is none.
 */
#ifndef TESTS_SUPPORT_SIM_STORE_H
#define TESTS_SUPPORT_SIM_STORE_H

#include "support/fake_store.h"
#include "wire/messages.h"

enum { SIM_CLUSTER_ID = 0x51c, SIM_FIRST_MEMBER_ID = 11 };

struct sim_key;

/* One change of one key. Lives as long as the store. */
struct sim_event {
    const struct sim_key *key;
    ProtobufCBinaryData value;
    int64_t revision, created, version, lease; /* of a deletion: only the revision */
    bool deleted;
    const struct sim_event *prev; /* of the same key */
};

struct sim_key {
    ProtobufCBinaryData name;
    const struct sim_event *last;
};

struct sim_lease {
    int64_t id, ttl_s, expires_ms;
    bool gone;
};

/* A DeleteRange that was carried out. Tests make its range end unlike any other. */
struct sim_deletion {
    ProtobufCBinaryData range_end;
    int64_t revision, deleted;
};

struct sim_store {
    struct sim_event **events; /* by revision, and in it by order */
    size_t event_count;
    struct sim_key **keys; /* by name */
    size_t key_count;
    struct sim_lease *leases;
    size_t lease_count;
    struct sim_deletion *deletions;
    size_t deletion_count;
    int64_t revision, compacted;
    int64_t now_ms; /* kept by the owner */
    uint64_t term;
};

/* Who answers, and how much of the store it knows. */
struct sim_view {
    uint64_t member_id;
    int64_t applied, compacted;
};

struct sim_store *sim_store_new(void);
void sim_store_free(struct sim_store *store);

struct fake_answer_bytes sim_store_call(struct sim_store *store, const struct sim_view *view,
                                        const char *method, const uint8_t *data, size_t len);
/* Encodes; free() the data. */
struct fake_answer_bytes sim_pack(const ProtobufCMessage *message);
void sim_header(const struct sim_store *store, const struct sim_view *view, Etcd__Pb__ResponseHeader *header);
void sim_fill_kv(Etcd__Pb__KeyValue *kv, const struct sim_event *event);

/* What was or will be a key of that name. */
struct sim_key *sim_store_key(struct sim_store *store, ProtobufCBinaryData name);
/* A change to be filled in; changes that share `written`, false at first, are at one revision. */
struct sim_event *sim_store_add(struct sim_store *store, struct sim_key *key, bool *written);
/* What the key was at that revision; NULL: it did not exist. */
const struct sim_event *sim_store_at(const struct sim_key *key, int64_t revision);
/* As etcd's requests say it: no end is one key, "\0" is everything from the key on. */
bool sim_in_range(ProtobufCBinaryData name, ProtobufCBinaryData key, ProtobufCBinaryData end);
ProtobufCBinaryData sim_text(const char *text);
int sim_compare(ProtobufCBinaryData a, ProtobufCBinaryData b);

ProtobufCBinaryData sim_copy(ProtobufCBinaryData bytes);

/* NULL: unknown, or gone. */
struct sim_lease *sim_store_lease(const struct sim_store *store, int64_t id);
/* A renewal: the TTL, 0 when there is no such lease. */
int64_t sim_store_renew(struct sim_store *store, int64_t id);
/* With the keys that are attached to it. */
void sim_store_end_lease(struct sim_store *store, struct sim_lease *lease, bool *written);
/* Ends the leases whose time has come. */
void sim_store_expire(struct sim_store *store);
/* What a new leader does: every lease begins anew, with so much more. */
void sim_store_extend(struct sim_store *store, int64_t more_ms);
/* Without a client. */
void sim_store_put(struct sim_store *store, const char *key, const char *value);
void sim_store_delete(struct sim_store *store, const char *key);
/* False: that revision is compacted already, or does not exist yet. */
bool sim_store_compact(struct sim_store *store, int64_t revision);

#endif
