/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fake_store.h"

#include "support/fake_maintenance.h"
#include "wire/messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CODE_INVALID_ARGUMENT = 3, CODE_NOT_FOUND = 5, CODE_FAILED_PRECONDITION = 9, CODE_OUT_OF_RANGE = 11 };
enum { CODE_UNIMPLEMENTED = 12, CODE_INTERNAL = 13, CODE_UNAUTHENTICATED = 16 };
enum { MAX_PAIRS = 512, MAX_LEASES = 64 };

struct pair {
    uint8_t *key, *value;
    size_t key_len, value_len;
    int64_t created, modified, version, lease;
};

struct fake_store {
    struct pair pairs[MAX_PAIRS]; /* sorted by key */
    size_t count;
    int64_t revision, compacted;
    const char *user, *password;
    unsigned tokens, expired; /* numbers of those handed out, and of those no longer accepted */
    const struct fake_member *members;
    size_t member_count;
    struct fake_status status;
    int64_t leases[MAX_LEASES];
    size_t lease_count;
    struct fake_maintenance maintenance;
    Etcd__Pb__ResponseHeader header;
    Etcd__Pb__KeyValue kvs[MAX_PAIRS]; /* of the answer being made */
    Etcd__Pb__KeyValue *list[MAX_PAIRS];
};

static void *must(void *ptr)
{
    if (ptr == NULL)
        abort();
    return ptr;
}

static uint8_t *copy(const uint8_t *data, size_t len)
{
    uint8_t *bytes = must(malloc(len + 1));

    if (len > 0)
        memcpy(bytes, data, len);
    return bytes;
}

struct fake_store *fake_store_new(void)
{
    struct fake_store *store = must(calloc(1, sizeof(*store)));

    store->revision = 1;
    store->status = (struct fake_status){.member_id = 1, .leader_id = 1, .term = 2, .version = "3.5.30"};
    return store;
}

static void pair_deinit(struct pair *pair)
{
    free(pair->key);
    free(pair->value);
}

void fake_store_free(struct fake_store *store)
{
    if (store == NULL)
        return;
    for (size_t i = 0; i < store->count; i++)
        pair_deinit(&store->pairs[i]);
    free(store);
}

void fake_store_set_auth(struct fake_store *store, const char *user, const char *password)
{
    store->user = user;
    store->password = password;
}

void fake_store_expire_tokens(struct fake_store *store)
{
    store->expired = store->tokens;
}

void fake_store_set_members(struct fake_store *store, const struct fake_member *members, size_t count)
{
    store->members = members;
    store->member_count = count;
}

void fake_store_set_alarms(struct fake_store *store, const struct fake_alarm *alarms, size_t count)
{
    if (count > FAKE_ALARMS)
        abort();
    memcpy(store->maintenance.alarms, alarms, count * sizeof(alarms[0]));
    store->maintenance.count = count;
}

void fake_store_set_status(struct fake_store *store, const struct fake_status *status)
{
    store->status = *status;
}

int64_t fake_store_revision(const struct fake_store *store)
{
    return store->revision;
}

/* ---- messages -------------------------------------------------------------------------------------- */

/* protobuf-c itself, not the code under test. */
static struct fake_answer_bytes pack(const ProtobufCMessage *message)
{
    struct fake_answer_bytes answer = {.code = 0};

    answer.data = must(malloc(protobuf_c_message_get_packed_size(message) + 1));
    answer.len = protobuf_c_message_pack(message, answer.data);
    return answer;
}

static struct fake_answer_bytes refuse(int code, const char *message)
{
    return (struct fake_answer_bytes){.code = code, .message = message};
}

static Etcd__Pb__ResponseHeader *header_of(struct fake_store *store)
{
    etcd__pb__response_header__init(&store->header);
    store->header.cluster_id = 0xfa4e;
    store->header.member_id = store->status.member_id;
    store->header.revision = store->revision;
    store->header.raft_term = store->status.term;
    return &store->header;
}

/* ---- keys ------------------------------------------------------------------------------------------ */

static int compare_bytes(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    size_t common = a_len < b_len ? a_len : b_len;
    int order = common == 0 ? 0 : memcmp(a, b, common);

    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static bool in_range(const struct pair *pair, ProtobufCBinaryData key, ProtobufCBinaryData end)
{
    int from = compare_bytes(pair->key, pair->key_len, key.data, key.len);

    if (end.len == 0)
        return from == 0;
    if (end.len == 1 && end.data[0] == 0)
        return from >= 0;
    return from >= 0 && compare_bytes(pair->key, pair->key_len, end.data, end.len) < 0;
}

static struct pair *find(struct fake_store *store, ProtobufCBinaryData key)
{
    for (size_t i = 0; i < store->count; i++) {
        if (compare_bytes(store->pairs[i].key, store->pairs[i].key_len, key.data, key.len) == 0)
            return &store->pairs[i];
    }
    return NULL;
}

static struct pair *insert(struct fake_store *store, ProtobufCBinaryData key)
{
    size_t at = 0;

    if (store->count == MAX_PAIRS)
        abort();
    while (at < store->count &&
           compare_bytes(store->pairs[at].key, store->pairs[at].key_len, key.data, key.len) < 0)
        at++;
    memmove(&store->pairs[at + 1], &store->pairs[at], (store->count - at) * sizeof(store->pairs[0]));
    store->count++;
    store->pairs[at] = (struct pair){.key = copy(key.data, key.len), .key_len = key.len};
    store->pairs[at].created = store->revision;
    return &store->pairs[at];
}

static void fill_kv(Etcd__Pb__KeyValue *kv, const struct pair *pair)
{
    etcd__pb__key_value__init(kv);
    kv->key = (ProtobufCBinaryData){.data = pair->key, .len = pair->key_len};
    kv->value = (ProtobufCBinaryData){.data = pair->value, .len = pair->value_len};
    kv->create_revision = pair->created;
    kv->mod_revision = pair->modified;
    kv->version = pair->version;
    kv->lease = pair->lease;
}

/* At the store's present revision. */
static void put(struct fake_store *store, const Etcd__Pb__PutRequest *request)
{
    struct pair *pair = find(store, request->key);

    if (pair == NULL)
        pair = insert(store, request->key);
    if (!request->ignore_value) {
        free(pair->value);
        pair->value = copy(request->value.data, request->value.len);
        pair->value_len = request->value.len;
    }
    pair->modified = store->revision;
    pair->version++;
    pair->lease = request->lease;
}

static int64_t delete_range(struct fake_store *store, ProtobufCBinaryData key, ProtobufCBinaryData end)
{
    int64_t deleted = 0;
    size_t kept = 0;

    for (size_t i = 0; i < store->count; i++) {
        if (in_range(&store->pairs[i], key, end)) {
            pair_deinit(&store->pairs[i]);
            deleted++;
        } else {
            store->pairs[kept++] = store->pairs[i];
        }
    }
    store->count = kept;
    return deleted;
}

static void range(struct fake_store *store, const Etcd__Pb__RangeRequest *request,
                  Etcd__Pb__RangeResponse *response)
{
    for (size_t i = 0; i < store->count; i++) {
        if (!in_range(&store->pairs[i], request->key, request->range_end))
            continue;
        response->count++;
        if (request->count_only || (request->limit > 0 && (int64_t)response->n_kvs >= request->limit))
            continue;
        fill_kv(&store->kvs[response->n_kvs], &store->pairs[i]);
        store->list[response->n_kvs] = &store->kvs[response->n_kvs];
        response->n_kvs++;
    }
    response->kvs = store->list;
    response->more = (int64_t)response->n_kvs < response->count;
}

/* ---- the calls ------------------------------------------------------------------------------------------
 */

static struct fake_answer_bytes do_range(struct fake_store *store, const void *message)
{
    const Etcd__Pb__RangeRequest *request = message;
    Etcd__Pb__RangeResponse response = ETCD__PB__RANGE_RESPONSE__INIT;

    if (request->key.len == 0)
        return refuse(CODE_INVALID_ARGUMENT, "etcdserver: key is not provided");
    if (request->revision != 0 && request->revision < store->compacted)
        return refuse(CODE_OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted");
    if (request->revision > store->revision)
        return refuse(CODE_OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision");
    response.header = header_of(store);
    range(store, request, &response);
    return pack(&response.base);
}

static struct fake_answer_bytes do_put(struct fake_store *store, const void *message)
{
    const Etcd__Pb__PutRequest *request = message;
    Etcd__Pb__PutResponse response = ETCD__PB__PUT_RESPONSE__INIT;
    Etcd__Pb__KeyValue prev;
    struct pair *old = find(store, request->key);
    struct fake_answer_bytes answer;
    struct pair before = {.key = NULL};

    if (old != NULL && request->prev_kv) {
        before = *old;
        before.key = copy(old->key, old->key_len);
        before.value = copy(old->value, old->value_len);
        fill_kv(&prev, &before);
        response.prev_kv = &prev;
    }
    store->revision++;
    put(store, request);
    response.header = header_of(store);
    answer = pack(&response.base);
    pair_deinit(&before);
    return answer;
}

static struct fake_answer_bytes do_delete(struct fake_store *store, const void *message)
{
    const Etcd__Pb__DeleteRangeRequest *request = message;
    Etcd__Pb__DeleteRangeResponse response = ETCD__PB__DELETE_RANGE_RESPONSE__INIT;

    response.deleted = delete_range(store, request->key, request->range_end);
    store->revision += response.deleted > 0 ? 1 : 0;
    response.header = header_of(store);
    return pack(&response.base);
}

static struct fake_answer_bytes do_compact(struct fake_store *store, const void *message)
{
    const Etcd__Pb__CompactionRequest *request = message;
    Etcd__Pb__CompactionResponse response = ETCD__PB__COMPACTION_RESPONSE__INIT;

    store->compacted = request->revision;
    response.header = header_of(store);
    return pack(&response.base);
}

/* Versions and revisions compared for equality are all that tests ask. */
static bool holds(struct fake_store *store, const Etcd__Pb__Compare *compare)
{
    const struct pair *pair = find(store, compare->key);
    int64_t have = 0, want = 0;

    if (compare->target == ETCD__PB__COMPARE__TARGET__VERSION) {
        have = pair == NULL ? 0 : pair->version;
        want = compare->version;
    } else if (compare->target == ETCD__PB__COMPARE__TARGET__MOD) {
        have = pair == NULL ? 0 : pair->modified;
        want = compare->mod_revision;
    } else if (compare->target == ETCD__PB__COMPARE__TARGET__CREATE) {
        have = pair == NULL ? 0 : pair->created;
        want = compare->create_revision;
    }
    switch (compare->result) {
    case ETCD__PB__COMPARE__RESULT__EQUAL:
        return have == want;
    case ETCD__PB__COMPARE__RESULT__GREATER:
        return have > want;
    case ETCD__PB__COMPARE__RESULT__LESS:
        return have < want;
    default:
        return have != want;
    }
}

/* Puts are answered; other operations answer as puts do, without a body of their own. */
static struct fake_answer_bytes do_txn(struct fake_store *store, const void *message)
{
    const Etcd__Pb__TxnRequest *request = message;
    Etcd__Pb__TxnResponse response = ETCD__PB__TXN_RESPONSE__INIT;
    Etcd__Pb__PutResponse put_response = ETCD__PB__PUT_RESPONSE__INIT;
    Etcd__Pb__ResponseOp op = ETCD__PB__RESPONSE_OP__INIT;
    Etcd__Pb__ResponseOp *ops[128];
    Etcd__Pb__RequestOp **branch;

    response.succeeded = true;
    for (size_t i = 0; i < request->n_compare; i++)
        response.succeeded = response.succeeded && holds(store, request->compare[i]);
    branch = response.succeeded ? request->success : request->failure;
    response.n_responses = response.succeeded ? request->n_success : request->n_failure;
    store->revision += response.n_responses > 0 ? 1 : 0;
    for (size_t i = 0; i < response.n_responses; i++) {
        if (branch[i]->request_case == ETCD__PB__REQUEST_OP__REQUEST_REQUEST_PUT)
            put(store, branch[i]->request_put);
        ops[i] = &op;
    }
    put_response.header = header_of(store);
    op.response_case = ETCD__PB__RESPONSE_OP__RESPONSE_RESPONSE_PUT;
    op.response_put = &put_response;
    response.responses = ops;
    response.header = &store->header;
    return pack(&response.base);
}

static struct fake_answer_bytes do_authenticate(struct fake_store *store, const void *message)
{
    const Etcd__Pb__AuthenticateRequest *request = message;
    Etcd__Pb__AuthenticateResponse response = ETCD__PB__AUTHENTICATE_RESPONSE__INIT;
    char token[32];

    if (store->user == NULL)
        return refuse(CODE_FAILED_PRECONDITION, "etcdserver: authentication is not enabled");
    if (strcmp(request->name, store->user) != 0 || strcmp(request->password, store->password) != 0)
        return refuse(CODE_INVALID_ARGUMENT,
                      "etcdserver: authentication failed, invalid user ID or password");
    (void)snprintf(token, sizeof(token), "fake.%u", ++store->tokens);
    response.token = token;
    response.header = header_of(store);
    return pack(&response.base);
}

static struct fake_answer_bytes do_member_list(struct fake_store *store, const void *message)
{
    Etcd__Pb__MemberListResponse response = ETCD__PB__MEMBER_LIST_RESPONSE__INIT;
    Etcd__Pb__Member members[16], *list[16];
    char *urls[16];

    (void)message;
    for (size_t i = 0; i < store->member_count && i < 16; i++) {
        etcd__pb__member__init(&members[i]);
        members[i].id = i + 1;
        members[i].name = (char *)(uintptr_t)store->members[i].name;
        members[i].is_learner = store->members[i].learner;
        urls[i] = (char *)(uintptr_t)store->members[i].url;
        members[i].client_urls = &urls[i];
        members[i].n_client_urls = urls[i] == NULL ? 0 : 1;
        list[i] = &members[i];
        response.n_members++;
    }
    response.members = list;
    response.header = header_of(store);
    return pack(&response.base);
}

static struct fake_answer_bytes do_status(struct fake_store *store, const void *message)
{
    Etcd__Pb__StatusResponse response = ETCD__PB__STATUS_RESPONSE__INIT;
    Etcd__Pb__DowngradeInfo downgrade;

    (void)message;
    fake_maintenance_status(&response, &downgrade);
    response.version = (char *)(uintptr_t)store->status.version;
    response.leader = store->status.leader_id;
    response.raft_term = store->status.term;
    response.is_learner = store->status.learner;
    response.header = header_of(store);
    return pack(&response.base);
}

static struct fake_answer_bytes do_grant(struct fake_store *store, const void *message)
{
    const Etcd__Pb__LeaseGrantRequest *request = message;
    Etcd__Pb__LeaseGrantResponse response = ETCD__PB__LEASE_GRANT_RESPONSE__INIT;

    for (size_t i = 0; i < store->lease_count; i++) {
        if (store->leases[i] == request->id)
            return refuse(CODE_FAILED_PRECONDITION, "etcdserver: lease already exists");
    }
    if (store->lease_count == MAX_LEASES)
        abort();
    response.id = request->id != 0 ? request->id : 1000 + (int64_t)store->lease_count;
    response.ttl = request->ttl;
    store->leases[store->lease_count++] = response.id;
    response.header = header_of(store);
    return pack(&response.base);
}

static struct fake_answer_bytes do_revoke(struct fake_store *store, const void *message)
{
    const Etcd__Pb__LeaseRevokeRequest *request = message;
    Etcd__Pb__LeaseRevokeResponse response = ETCD__PB__LEASE_REVOKE_RESPONSE__INIT;

    for (size_t i = 0; i < store->lease_count; i++) {
        if (store->leases[i] != request->id)
            continue;
        store->leases[i] = store->leases[--store->lease_count];
        response.header = header_of(store);
        return pack(&response.base);
    }
    return refuse(CODE_NOT_FOUND, "etcdserver: requested lease not found");
}

/* ---- choosing -------------------------------------------------------------------------------------------
 */

static const struct handler {
    const char *method;
    const ProtobufCMessageDescriptor *request;
    struct fake_answer_bytes (*run)(struct fake_store *store, const void *message);
} handlers[] = {
    {"Range", &etcd__pb__range_request__descriptor, do_range},
    {"Put", &etcd__pb__put_request__descriptor, do_put},
    {"DeleteRange", &etcd__pb__delete_range_request__descriptor, do_delete},
    {"Compact", &etcd__pb__compaction_request__descriptor, do_compact},
    {"Txn", &etcd__pb__txn_request__descriptor, do_txn},
    {"Authenticate", &etcd__pb__authenticate_request__descriptor, do_authenticate},
    {"MemberList", &etcd__pb__member_list_request__descriptor, do_member_list},
    {"Status", &etcd__pb__status_request__descriptor, do_status},
    {"LeaseGrant", &etcd__pb__lease_grant_request__descriptor, do_grant},
    {"LeaseRevoke", &etcd__pb__lease_revoke_request__descriptor, do_revoke},
};

static bool token_is_good(const struct fake_store *store, const char *token)
{
    unsigned number = 0;

    return sscanf(token, "fake.%u", &number) == 1 && number > store->expired && number <= store->tokens;
}

struct fake_answer_bytes fake_store_call(struct fake_store *store, const char *method, const char *token,
                                         const uint8_t *data, size_t len)
{
    struct fake_answer_bytes answer = refuse(CODE_UNIMPLEMENTED, "unknown method");
    const struct handler *handler = NULL;
    ProtobufCMessage *message;

    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
        handler = strcmp(handlers[i].method, method) == 0 ? &handlers[i] : handler;
    if (store->user != NULL && strcmp(method, "Authenticate") != 0) {
        if (token == NULL || token[0] == '\0')
            return refuse(CODE_INVALID_ARGUMENT, "etcdserver: user name is empty");
        if (!token_is_good(store, token))
            return refuse(CODE_UNAUTHENTICATED, "etcdserver: invalid auth token");
    }
    if (handler == NULL) {
        (void)fake_maintenance_call(&store->maintenance, header_of(store), method, data, len, &answer);
        return answer;
    }
    message = protobuf_c_message_unpack(handler->request, NULL, len, data);
    if (message == NULL)
        return refuse(CODE_INTERNAL, "the request cannot be decoded");
    answer = handler->run(store, message);
    protobuf_c_message_free_unpacked(message, NULL);
    return answer;
}

struct fake_answer_bytes fake_store_huge(struct fake_store *store, size_t size)
{
    Etcd__Pb__RangeResponse response = ETCD__PB__RANGE_RESPONSE__INIT;
    Etcd__Pb__KeyValue kv = ETCD__PB__KEY_VALUE__INIT, *list[] = {&kv};
    struct fake_answer_bytes answer;

    kv.key = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t) "k", .len = 1};
    kv.value.data = must(calloc(1, size + 1));
    kv.value.len = size;
    response.kvs = list;
    response.n_kvs = 1;
    response.count = 1;
    response.header = header_of(store);
    answer = pack(&response.base);
    free(kv.value.data);
    return answer;
}
