/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fake server answers by itself: a store small enough to be right by looking at it. It keeps keys
 * with their revisions, hands out tokens and lists members; requests and answers are encoded messages. No
 * locks: its owner has one. Memory comes from malloc and it aborts when there is none, so alloc_fail.h does
 * not see it.
 */
#ifndef TESTS_SUPPORT_FAKE_STORE_H
#define TESTS_SUPPORT_FAKE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_store;

struct fake_member {
    const char *name; /* "": not started */
    const char *url;  /* NULL: none */
    bool learner;
};

/* What a member says of itself. */
struct fake_status {
    uint64_t member_id, leader_id, term;
    const char *version; /* must stay */
    bool learner;
};

struct fake_alarm {
    uint64_t member_id;
    int type;
};

/* An answer: bytes with status 0, or a gRPC status with its message. */
struct fake_answer_bytes {
    int code;
    const char *message; /* constant */
    uint8_t *data;       /* free() */
    size_t len;
};

struct fake_store *fake_store_new(void);
void fake_store_free(struct fake_store *store);

/* Users other than this one are refused; NULL: authentication is off. Constants. */
void fake_store_set_auth(struct fake_store *store, const char *user, const char *password);
/* Tokens handed out so far are no longer accepted. */
void fake_store_expire_tokens(struct fake_store *store);
/* `members` must stay. */
void fake_store_set_members(struct fake_store *store, const struct fake_member *members, size_t count);
/* At first: member 1, which leads in term 2, version 3.5.30. */
void fake_store_set_status(struct fake_store *store, const struct fake_status *status);
void fake_store_set_alarms(struct fake_store *store, const struct fake_alarm *alarms, size_t count);
int64_t fake_store_revision(const struct fake_store *store);

/*
 * Carries out one request of /package.Service/<method>. `token` is the call's, or NULL. Methods it does not
 * know are answered with UNIMPLEMENTED.
 */
struct fake_answer_bytes fake_store_call(struct fake_store *store, const char *method, const char *token,
                                         const uint8_t *data, size_t len);
/* An answer to Range with one pair whose value has `size` bytes. */
struct fake_answer_bytes fake_store_huge(struct fake_store *store, size_t size);

#endif
