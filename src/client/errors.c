/* SPDX-License-Identifier: Apache-2.0 */
#include "client/errors.h"

#include "base/str.h"
#include "client/client.h"

#include <string.h>

/* ---- what servers say ------------------------------------------------------------------------------ */

/*
 * etcd's messages without the "etcdserver: " in front (rpctypes/error.go lists them), plus those
 * that only some versions send. Sorted by meaning. `maybe` matters for writes: the
 * proposal was made and may yet be committed.
 */
static const struct known {
    const char *text;
    etcd_status status;
    enum etcd__remedy remedy;
    bool retryable;
    bool maybe;
} table[] = {
    /* bad input */
    {"key is not provided", ETCD_E_INVALID_ARGUMENT, ETCD__REMEDY_NONE, false, false},
    {"value is provided", ETCD_E_INVALID_ARGUMENT, ETCD__REMEDY_NONE, false, false},
    {"lease is provided", ETCD_E_INVALID_ARGUMENT, ETCD__REMEDY_NONE, false, false},
    {"too many operations in txn request", ETCD_E_INVALID_ARGUMENT, ETCD__REMEDY_NONE, false, false},
    {"duplicate key given in txn request", ETCD_E_INVALID_ARGUMENT, ETCD__REMEDY_NONE, false, false},
    {"invalid sort option", ETCD_E_INVALID_ARGUMENT, ETCD__REMEDY_NONE, false, false},
    {"given member URLs are invalid", ETCD_E_INVALID_ARGUMENT, ETCD__REMEDY_NONE, false, false},
    {"invalid client api version", ETCD_E_INVALID_ARGUMENT, ETCD__REMEDY_NONE, false, false},
    {"role name is empty", ETCD_E_INVALID_ARGUMENT, ETCD__REMEDY_NONE, false, false},
    {"permission not given", ETCD_E_INVALID_ARGUMENT, ETCD__REMEDY_NONE, false, false},
    {"invalid auth management", ETCD_E_INVALID_ARGUMENT, ETCD__REMEDY_NONE, false, false},
    {"wrong downgrade target version format", ETCD_E_INVALID_ARGUMENT, ETCD__REMEDY_NONE, false, false},
    {"invalid downgrade target version", ETCD_E_INVALID_ARGUMENT, ETCD__REMEDY_NONE, false, false},
    {"too large lease TTL", ETCD_E_INVALID_ARGUMENT, ETCD__REMEDY_NONE, false, false},
    {"bad leader transferee", ETCD_E_INVALID_ARGUMENT, ETCD__REMEDY_NONE, false, false},
    /* limits */
    {"request is too large", ETCD_E_TOO_LARGE, ETCD__REMEDY_NONE, false, false},
    {"mvcc: database space exceeded", ETCD_E_NO_SPACE, ETCD__REMEDY_NONE, false, false},
    {"too many requests", ETCD_E_BUSY, ETCD__REMEDY_NONE, true, false},
    {"too many learner members in cluster", ETCD_E_PRECONDITION, ETCD__REMEDY_NONE, false, false},
    /* revisions */
    {"mvcc: required revision has been compacted", ETCD_E_COMPACTED, ETCD__REMEDY_NONE, false, false},
    {"mvcc: required revision is a future revision", ETCD_E_FUTURE_REVISION, ETCD__REMEDY_NONE, false, false},
    /* leases */
    {"requested lease not found", ETCD_E_LEASE_NOT_FOUND, ETCD__REMEDY_NONE, false, false},
    {"lease already exists", ETCD_E_EXISTS, ETCD__REMEDY_NONE, false, false},
    /* what is there and what is not */
    {"key not found", ETCD_E_NOT_FOUND, ETCD__REMEDY_NONE, false, false},
    {"member not found", ETCD_E_NOT_FOUND, ETCD__REMEDY_NONE, false, false},
    {"root user does not exist", ETCD_E_NOT_FOUND, ETCD__REMEDY_NONE, false, false},
    {"user name not found", ETCD_E_NOT_FOUND, ETCD__REMEDY_NONE, false, false},
    {"role name not found", ETCD_E_NOT_FOUND, ETCD__REMEDY_NONE, false, false},
    {"role is not granted to the user", ETCD_E_NOT_FOUND, ETCD__REMEDY_NONE, false, false},
    {"permission is not granted to the role", ETCD_E_NOT_FOUND, ETCD__REMEDY_NONE, false, false},
    {"no inflight downgrade job", ETCD_E_NOT_FOUND, ETCD__REMEDY_NONE, false, false},
    {"member ID already exist", ETCD_E_EXISTS, ETCD__REMEDY_NONE, false, false},
    {"Peer URLs already exists", ETCD_E_EXISTS, ETCD__REMEDY_NONE, false, false},
    {"user name already exists", ETCD_E_EXISTS, ETCD__REMEDY_NONE, false, false},
    {"role name already exists", ETCD_E_EXISTS, ETCD__REMEDY_NONE, false, false},
    {"cluster has a downgrade job in progress", ETCD_E_EXISTS, ETCD__REMEDY_NONE, false, false},
    /* access */
    {"authentication failed, invalid user ID or password", ETCD_E_AUTH, ETCD__REMEDY_NONE, false, false},
    /* No message of etcd's list: it comes as it is, with the code "unknown". */
    {"authentication failed, password was given for no password user", ETCD_E_AUTH, ETCD__REMEDY_NONE, false,
     false},
    {"permission denied", ETCD_E_DENIED, ETCD__REMEDY_NONE, false, false},
    {"user name is empty", ETCD_E_AUTH, ETCD__REMEDY_LOGIN, false, false},
    {"invalid auth token", ETCD_E_AUTH, ETCD__REMEDY_LOGIN, true, false},
    {"revision of auth store is old", ETCD_E_AUTH, ETCD__REMEDY_LOGIN, true, false},
    {"revision in header is old", ETCD_E_AUTH, ETCD__REMEDY_LOGIN, true,
     false}, /* the same, of maintenance */
    {"authentication is not enabled", ETCD_E_PRECONDITION, ETCD__REMEDY_NONE, false, false},
    {"root user does not have root role", ETCD_E_PRECONDITION, ETCD__REMEDY_NONE, false, false},
    /* the state of the cluster */
    {"no leader", ETCD_E_NO_LEADER, ETCD__REMEDY_REPEAT, true, false},
    {"not capable", ETCD_E_UNSUPPORTED, ETCD__REMEDY_NONE, false, false},
    {"rpc not supported for learner", ETCD_E_PRECONDITION, ETCD__REMEDY_REPEAT, true, false},
    {"leader changed", ETCD_E_NO_LEADER, ETCD__REMEDY_RETRY, true, true},
    {"server stopped", ETCD_E_UNAVAILABLE, ETCD__REMEDY_RETRY, true, true},
    {"request timed out", ETCD_E_UNAVAILABLE, ETCD__REMEDY_RETRY, true, true},
    {"request timed out, possibly due to previous leader failure", ETCD_E_UNAVAILABLE, ETCD__REMEDY_RETRY,
     true, true},
    {"request timed out, possibly due to connection lost", ETCD_E_UNAVAILABLE, ETCD__REMEDY_RETRY, true,
     true},
    {"request timed out, waiting for the applied index took too long", ETCD_E_UNAVAILABLE, ETCD__REMEDY_RETRY,
     true, true},
    {"request canceled", ETCD_E_UNAVAILABLE, ETCD__REMEDY_RETRY, true, true},
    {"watch canceled", ETCD_E_UNAVAILABLE, ETCD__REMEDY_RETRY, true, true},
    {"context canceled", ETCD_E_UNAVAILABLE, ETCD__REMEDY_RETRY, true, true},
    {"context deadline exceeded", ETCD_E_DEADLINE, ETCD__REMEDY_RETRY, true, true},
    /* raft's own words, which etcd passes on: the first comes before anything was proposed */
    {"raft proposal dropped", ETCD_E_NO_LEADER, ETCD__REMEDY_REPEAT, true, false},
    {"raft: stopped", ETCD_E_UNAVAILABLE, ETCD__REMEDY_RETRY, true, true},
    {"unhealthy cluster", ETCD_E_UNAVAILABLE, ETCD__REMEDY_RETRY, true, false},
    {"re-configuration failed due to not enough started members", ETCD_E_PRECONDITION, ETCD__REMEDY_NONE,
     true, false},
    {"can only promote a learner member", ETCD_E_PRECONDITION, ETCD__REMEDY_NONE, false, false},
    {"can only promote a learner member which is in sync with leader", ETCD_E_PRECONDITION, ETCD__REMEDY_NONE,
     true, false},
    {"cluster ID mismatch", ETCD_E_CLUSTER_CHANGED, ETCD__REMEDY_NONE, false, false},
    {"not leader", ETCD_E_PRECONDITION, ETCD__REMEDY_NONE, true, false},
    {"cluster version not found during downgrade", ETCD_E_PRECONDITION, ETCD__REMEDY_NONE, false, false},
    {"corrupt cluster", ETCD_E_CORRUPT, ETCD__REMEDY_NONE, false, false},
};

/* The maintenance service tells of access in the words of the server's own auth package. */
static const char *without_prefix(const char *text)
{
    static const char *const prefixes[] = {"etcdserver: ", "auth: "};

    for (size_t i = 0; i < ETCD__COUNT(prefixes); i++) {
        size_t len = strlen(prefixes[i]);

        if (strncmp(text, prefixes[i], len) == 0)
            return text + len;
    }
    return text;
}

static const struct known *find_known(const char *text)
{
    text = without_prefix(text);
    for (size_t i = 0; i < ETCD__COUNT(table); i++) {
        if (strcmp(table[i].text, text) == 0)
            return &table[i];
    }
    return NULL;
}

static struct etcd__verdict verdict_of_known(const struct known *known)
{
    return (struct etcd__verdict){known->status, known->remedy, known->retryable, known->maybe};
}

/* ---- what gRPC says -------------------------------------------------------------------------------- */

static const struct etcd__verdict by_code[] = {
    [ETCD__GRPC_OK] = {ETCD_OK, ETCD__REMEDY_NONE, false, false},
    [ETCD__GRPC_CANCELLED] = {ETCD_E_UNAVAILABLE, ETCD__REMEDY_RETRY, true, true},
    [ETCD__GRPC_UNKNOWN] = {ETCD_E_PRECONDITION, ETCD__REMEDY_NONE, false, true},
    [ETCD__GRPC_INVALID_ARGUMENT] = {ETCD_E_INVALID_ARGUMENT, ETCD__REMEDY_NONE, false, false},
    [ETCD__GRPC_DEADLINE_EXCEEDED] = {ETCD_E_DEADLINE, ETCD__REMEDY_RETRY, true, true},
    [ETCD__GRPC_NOT_FOUND] = {ETCD_E_NOT_FOUND, ETCD__REMEDY_NONE, false, false},
    [ETCD__GRPC_ALREADY_EXISTS] = {ETCD_E_EXISTS, ETCD__REMEDY_NONE, false, false},
    [ETCD__GRPC_PERMISSION_DENIED] = {ETCD_E_DENIED, ETCD__REMEDY_NONE, false, false},
    [ETCD__GRPC_RESOURCE_EXHAUSTED] = {ETCD_E_TOO_LARGE, ETCD__REMEDY_NONE, false, false},
    [ETCD__GRPC_FAILED_PRECONDITION] = {ETCD_E_PRECONDITION, ETCD__REMEDY_NONE, false, false},
    [ETCD__GRPC_ABORTED] = {ETCD_E_PRECONDITION, ETCD__REMEDY_NONE, true, false},
    [ETCD__GRPC_OUT_OF_RANGE] = {ETCD_E_INVALID_ARGUMENT, ETCD__REMEDY_NONE, false, false},
    [ETCD__GRPC_UNIMPLEMENTED] = {ETCD_E_UNSUPPORTED, ETCD__REMEDY_NONE, false, false},
    [ETCD__GRPC_INTERNAL] = {ETCD_E_PROTOCOL, ETCD__REMEDY_RETRY, false, true},
    [ETCD__GRPC_UNAVAILABLE] = {ETCD_E_UNAVAILABLE, ETCD__REMEDY_RETRY, true, true},
    [ETCD__GRPC_DATA_LOSS] = {ETCD_E_CORRUPT, ETCD__REMEDY_NONE, false, true},
    [ETCD__GRPC_UNAUTHENTICATED] = {ETCD_E_AUTH, ETCD__REMEDY_NONE, false, false},
};

static struct etcd__verdict verdict_of_code(enum etcd__grpc_code code)
{
    size_t index = (size_t)code < ETCD__COUNT(by_code) ? (size_t)code : (size_t)ETCD__GRPC_UNKNOWN;

    return by_code[index];
}

static struct etcd__verdict verdict_found_here(const struct etcd__call_end *end)
{
    struct etcd__verdict verdict = verdict_of_code(end->code);

    if (end->no_memory)
        verdict = (struct etcd__verdict){ETCD_E_NO_MEMORY, ETCD__REMEDY_NONE, true, true};
    else if (end->too_large)
        verdict = (struct etcd__verdict){ETCD_E_TOO_LARGE, ETCD__REMEDY_NONE, false, true};
    else if (end->malformed)
        verdict = (struct etcd__verdict){ETCD_E_PROTOCOL, ETCD__REMEDY_NONE, false, true};
    return verdict;
}

struct etcd__verdict etcd__verdict_of(const struct etcd__call_end *end)
{
    const struct known *known = end->from_server ? find_known(end->message) : NULL;
    struct etcd__verdict verdict;

    if (known != NULL)
        verdict = verdict_of_known(known);
    else if (end->from_server)
        verdict = verdict_of_code(end->code);
    else
        verdict = verdict_found_here(end);
    if (end->sent == ETCD__NOT_SENT) {
        verdict.maybe_applied = false;
        if (verdict.remedy == ETCD__REMEDY_RETRY)
            verdict.remedy = ETCD__REMEDY_REPEAT;
    }
    return verdict;
}

struct etcd__verdict etcd__verdict_of_text(const char *text)
{
    const char *desc = strstr(text, "desc = ");
    const struct known *known = find_known(desc == NULL ? text : desc + strlen("desc = "));

    if (known != NULL)
        return verdict_of_known(known);
    return (struct etcd__verdict){ETCD_E_PRECONDITION, ETCD__REMEDY_NONE, false, false};
}

bool etcd__status_retryable(etcd_status status)
{
    switch (status) {
    case ETCD_E_UNAVAILABLE:
    case ETCD_E_DEADLINE:
    case ETCD_E_NO_LEADER:
    case ETCD_E_BUSY:
    case ETCD_E_NO_MEMORY:
        return true;
    default:
        return false;
    }
}

/* ---- the record ------------------------------------------------------------------------------------ */

static uint32_t flags_of(const struct etcd__call_end *end, const struct etcd__verdict *verdict, bool maybe)
{
    uint32_t flags = 0;

    if (maybe)
        flags |= ETCD_ERROR_MAYBE_APPLIED;
    else if (verdict->retryable)
        flags |= ETCD_ERROR_RETRYABLE;
    if (end->from_server)
        flags |= ETCD_ERROR_FROM_SERVER;
    return flags;
}

/* What the reader of a message should know besides the server's own words. */
static const char *remark(const struct etcd_client *client, const struct etcd__verdict *verdict, bool maybe)
{
    if (maybe)
        return " (the write may have been applied)";
    if (verdict->remedy != ETCD__REMEDY_LOGIN || client->config.username != NULL)
        return "";
    return client->config.token_kind == ETCD_SECRET_KIND_NONE
               ? " (no user given)"
               : " (the token is not accepted, and its source has no other)";
}

etcd_status etcd__error_of_end(etcd_error *reterr, const struct etcd_client *client, const char *operation,
                               const struct etcd__call_end *end, const struct etcd__verdict *verdict,
                               bool writes)
{
    char cause[256];
    bool maybe = writes && verdict->maybe_applied;

    if (reterr == NULL)
        return verdict->status;
    (void)etcd__escape(cause, sizeof(cause), end->message, strlen(end->message));
    (void)etcd__fail(reterr, verdict->status, "%s: client '%s'%s%s: %s%s", operation,
                     etcd__client_label(client), end->endpoint[0] != '\0' ? ", endpoint " : "", end->endpoint,
                     cause, remark(client, verdict, maybe));
    reterr->grpc_code = end->from_server ? (int32_t)end->code : -1;
    reterr->flags = flags_of(end, verdict, maybe);
    return verdict->status;
}
