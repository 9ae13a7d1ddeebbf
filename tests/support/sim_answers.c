/* SPDX-License-Identifier: Apache-2.0 */
/* etcd's calls on the simulated store. */
#include "support/sim_store.h"

#include <stdlib.h>
#include <string.h>

enum { CODE_INVALID_ARGUMENT = 3, CODE_NOT_FOUND = 5, CODE_FAILED_PRECONDITION = 9, CODE_OUT_OF_RANGE = 11 };
enum { CODE_UNIMPLEMENTED = 12, CODE_INTERNAL = 13 };
enum { PATH_MAX_TXNS = 16, MIN_TTL_S = 2, SECOND_MS = 1000 };

/* What an answer is built from: all of it is freed once the answer is encoded. */
struct scrap {
    struct scrap *next;
    _Alignas(16) uint8_t data[];
};

/* One request that is being carried out. Its writes are all at one revision. */
struct call {
    struct sim_store *store;
    const struct sim_view *view;
    struct scrap *scraps;
    bool dirty;
    int code;
    const char *message;
    bool path[PATH_MAX_TXNS]; /* which way each transaction goes, nested ones too, as etcd settles it
                                 beforehand */
    size_t path_len, path_pos;
};

static void *must(void *ptr)
{
    if (ptr == NULL)
        abort();
    return ptr;
}

static void *scrap(struct call *call, size_t size)
{
    struct scrap *item = must(calloc(1, sizeof(*item) + size));

    item->next = call->scraps;
    call->scraps = item;
    return item->data;
}

static bool refuse(struct call *call, int code, const char *message)
{
    call->code = code;
    call->message = message;
    return false;
}

static const struct sim_event *find(struct sim_store *store, ProtobufCBinaryData name)
{
    return sim_store_at(sim_store_key(store, name), INT64_MAX);
}

static Etcd__Pb__KeyValue *kv_of(struct call *call, const struct sim_event *event)
{
    Etcd__Pb__KeyValue *kv = scrap(call, sizeof(*kv));

    sim_fill_kv(kv, event);
    return kv;
}

/* ---- range ----------------------------------------------------------------------------------------- */

static int compare_int(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_kvs(const Etcd__Pb__KeyValue *a, const Etcd__Pb__KeyValue *b,
                       Etcd__Pb__RangeRequest__SortTarget target)
{
    switch (target) {
    case ETCD__PB__RANGE_REQUEST__SORT_TARGET__BY_VERSION:
        return compare_int(a->version, b->version);
    case ETCD__PB__RANGE_REQUEST__SORT_TARGET__BY_CREATE:
        return compare_int(a->create_revision, b->create_revision);
    case ETCD__PB__RANGE_REQUEST__SORT_TARGET__BY_MOD:
        return compare_int(a->mod_revision, b->mod_revision);
    case ETCD__PB__RANGE_REQUEST__SORT_TARGET__BY_VALUE:
        return sim_compare(a->value, b->value);
    default:
        return sim_compare(a->key, b->key);
    }
}

/* Short lists; equal ones keep their order, of which etcd makes no promise. */
static void sort_kvs(Etcd__Pb__RangeResponse *response, const Etcd__Pb__RangeRequest *request)
{
    bool descend = request->sort_order == ETCD__PB__RANGE_REQUEST__SORT_ORDER__DESCEND;

    for (size_t i = 1; i < response->n_kvs; i++) {
        for (size_t j = i; j > 0; j--) {
            int order = compare_kvs(response->kvs[j - 1], response->kvs[j], request->sort_target);
            Etcd__Pb__KeyValue *other = response->kvs[j];

            if (descend ? order >= 0 : order <= 0)
                break;
            response->kvs[j] = response->kvs[j - 1];
            response->kvs[j - 1] = other;
        }
    }
}

static bool passes(const struct sim_event *event, const Etcd__Pb__RangeRequest *request)
{
    return (request->min_mod_revision == 0 || event->revision >= request->min_mod_revision) &&
           (request->max_mod_revision == 0 || event->revision <= request->max_mod_revision) &&
           (request->min_create_revision == 0 || event->created >= request->min_create_revision) &&
           (request->max_create_revision == 0 || event->created <= request->max_create_revision);
}

/* Everything in the range at that revision, unsorted filters applied. */
static void collect(struct call *call, const Etcd__Pb__RangeRequest *request, int64_t revision,
                    Etcd__Pb__RangeResponse *response)
{
    response->kvs = scrap(call, (call->store->key_count + 1) * sizeof(Etcd__Pb__KeyValue *));
    for (size_t i = 0; i < call->store->key_count; i++) {
        const struct sim_key *key = call->store->keys[i];
        const struct sim_event *event = NULL;

        if (sim_in_range(key->name, request->key, request->range_end))
            event = sim_store_at(key, revision);
        if (event == NULL)
            continue;
        response->count++;
        if (!request->count_only && passes(event, request))
            response->kvs[response->n_kvs++] = kv_of(call, event);
    }
}

/* etcd means no order as ascending, but fetches no more than the limit and one then. */
static bool cuts_before_sorting(const Etcd__Pb__RangeRequest *request)
{
    return request->limit > 0 && request->sort_order == ETCD__PB__RANGE_REQUEST__SORT_ORDER__UNSORTED &&
           request->min_mod_revision == 0 && request->max_mod_revision == 0 &&
           request->min_create_revision == 0 && request->max_create_revision == 0;
}

/* What the answer says is the revision of the store: in a transaction, with what it wrote before. */
static bool do_range(struct call *call, const void *message, void *answer)
{
    const Etcd__Pb__RangeRequest *request = message;
    Etcd__Pb__RangeResponse *response = answer;
    bool alone = request->serializable && !call->dirty;
    int64_t now = alone ? call->view->applied : call->store->revision;
    int64_t compacted = alone ? call->view->compacted : call->store->compacted;

    if (request->key.len == 0)
        return refuse(call, CODE_INVALID_ARGUMENT, "etcdserver: key is not provided");
    if (request->revision > now)
        return refuse(call, CODE_OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision");
    if (request->revision > 0 && request->revision < compacted)
        return refuse(call, CODE_OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted");
    response->header->revision = now;
    collect(call, request, request->revision > 0 ? request->revision : now, response);
    if (cuts_before_sorting(request) && (int64_t)response->n_kvs > request->limit + 1)
        response->n_kvs = (size_t)request->limit + 1;
    sort_kvs(response, request);
    if (request->limit > 0 && (int64_t)response->n_kvs > request->limit) {
        response->n_kvs = (size_t)request->limit;
        response->more = true;
    }
    for (size_t i = 0; request->keys_only && i < response->n_kvs; i++)
        response->kvs[i]->value.len = 0;
    return true;
}

/* ---- writes ---------------------------------------------------------------------------------------- */

static bool do_put(struct call *call, const void *message, void *answer)
{
    const Etcd__Pb__PutRequest *request = message;
    Etcd__Pb__PutResponse *response = answer;
    const struct sim_event *old = find(call->store, request->key);
    struct sim_event *event;

    if (request->key.len == 0)
        return refuse(call, CODE_INVALID_ARGUMENT, "etcdserver: key is not provided");
    if (request->lease != 0 && sim_store_lease(call->store, request->lease) == NULL)
        return refuse(call, CODE_NOT_FOUND, "etcdserver: requested lease not found");
    if (old == NULL && (request->ignore_value || request->ignore_lease))
        return refuse(call, CODE_INVALID_ARGUMENT, "etcdserver: key not found");
    event = sim_store_add(call->store, sim_store_key(call->store, request->key), &call->dirty);
    event->value = sim_copy(request->ignore_value ? old->value : request->value);
    event->created = old == NULL ? event->revision : old->created;
    event->version = old == NULL ? 1 : old->version + 1;
    event->lease = request->ignore_lease ? old->lease : request->lease;
    if (request->prev_kv && old != NULL)
        response->prev_kv = kv_of(call, old);
    response->header->revision = call->store->revision;
    return true;
}

static void note_deletion(struct call *call, const Etcd__Pb__DeleteRangeRequest *request, int64_t deleted)
{
    struct sim_store *store = call->store;

    store->deletions =
        must(realloc(store->deletions, (store->deletion_count + 1) * sizeof(*store->deletions)));
    store->deletions[store->deletion_count++] = (struct sim_deletion){
        .range_end = sim_copy(request->range_end), .revision = store->revision, .deleted = deleted};
}

static bool do_delete(struct call *call, const void *message, void *answer)
{
    const Etcd__Pb__DeleteRangeRequest *request = message;
    Etcd__Pb__DeleteRangeResponse *response = answer;

    if (request->key.len == 0)
        return refuse(call, CODE_INVALID_ARGUMENT, "etcdserver: key is not provided");
    response->prev_kvs = scrap(call, (call->store->key_count + 1) * sizeof(Etcd__Pb__KeyValue *));
    for (size_t i = 0; i < call->store->key_count; i++) {
        struct sim_key *key = call->store->keys[i];
        const struct sim_event *old = sim_store_at(key, INT64_MAX);

        if (old == NULL || !sim_in_range(key->name, request->key, request->range_end))
            continue;
        response->deleted++;
        if (request->prev_kv)
            response->prev_kvs[response->n_prev_kvs++] = kv_of(call, old);
        sim_store_add(call->store, key, &call->dirty)->deleted = true;
    }
    response->header->revision = call->store->revision;
    note_deletion(call, request, response->deleted);
    return true;
}

static bool do_compact(struct call *call, const void *message, void *answer)
{
    const Etcd__Pb__CompactionRequest *request = message;
    Etcd__Pb__CompactionResponse *response = answer;

    if (request->revision > call->store->revision)
        return refuse(call, CODE_OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision");
    if (!sim_store_compact(call->store, request->revision))
        return refuse(call, CODE_OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted");
    response->header->revision = call->store->revision;
    return true;
}

/* ---- transactions ---------------------------------------------------------------------------------- */

static int compare_with(const Etcd__Pb__Compare *compare, const struct sim_event *event)
{
    static const struct sim_event missing;
    const struct sim_event *have = event == NULL ? &missing : event;

    switch (compare->target) {
    case ETCD__PB__COMPARE__TARGET__VERSION:
        return compare_int(have->version, compare->version);
    case ETCD__PB__COMPARE__TARGET__CREATE:
        return compare_int(have->created, compare->create_revision);
    case ETCD__PB__COMPARE__TARGET__MOD:
        return compare_int(event == NULL ? 0 : have->revision, compare->mod_revision);
    case ETCD__PB__COMPARE__TARGET__LEASE:
        return compare_int(have->lease, compare->lease);
    default:
        return sim_compare(have->value, compare->value);
    }
}

static bool holds_for(const Etcd__Pb__Compare *compare, const struct sim_event *event)
{
    int order = compare_with(compare, event);

    if (event == NULL && compare->target == ETCD__PB__COMPARE__TARGET__VALUE)
        return false; /* nil is neither equal to nor unlike anything */
    switch (compare->result) {
    case ETCD__PB__COMPARE__RESULT__EQUAL:
        return order == 0;
    case ETCD__PB__COMPARE__RESULT__GREATER:
        return order > 0;
    case ETCD__PB__COMPARE__RESULT__LESS:
        return order < 0;
    default:
        return order != 0;
    }
}

static bool holds(struct sim_store *store, const Etcd__Pb__Compare *compare)
{
    bool any = false;

    for (size_t i = 0; i < store->key_count; i++) {
        const struct sim_event *event = sim_store_at(store->keys[i], INT64_MAX);

        if (event == NULL || !sim_in_range(store->keys[i]->name, compare->key, compare->range_end))
            continue;
        any = true;
        if (!holds_for(compare, event))
            return false;
    }
    return any || holds_for(compare, NULL);
}

static bool do_txn(struct call *call, const void *message, void *answer);

static Etcd__Pb__ResponseHeader *bare_header(struct call *call)
{
    Etcd__Pb__ResponseHeader *header = scrap(call, sizeof(*header));

    etcd__pb__response_header__init(header);
    return header;
}

static bool do_op(struct call *call, const Etcd__Pb__RequestOp *request, Etcd__Pb__ResponseOp *response)
{
    etcd__pb__response_op__init(response);
    switch (request->request_case) {
    case ETCD__PB__REQUEST_OP__REQUEST_REQUEST_RANGE:
        response->response_case = ETCD__PB__RESPONSE_OP__RESPONSE_RESPONSE_RANGE;
        response->response_range = scrap(call, sizeof(*response->response_range));
        etcd__pb__range_response__init(response->response_range);
        response->response_range->header = bare_header(call);
        return do_range(call, request->request_range, response->response_range);
    case ETCD__PB__REQUEST_OP__REQUEST_REQUEST_PUT:
        response->response_case = ETCD__PB__RESPONSE_OP__RESPONSE_RESPONSE_PUT;
        response->response_put = scrap(call, sizeof(*response->response_put));
        etcd__pb__put_response__init(response->response_put);
        response->response_put->header = bare_header(call);
        return do_put(call, request->request_put, response->response_put);
    case ETCD__PB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE:
        response->response_case = ETCD__PB__RESPONSE_OP__RESPONSE_RESPONSE_DELETE_RANGE;
        response->response_delete_range = scrap(call, sizeof(*response->response_delete_range));
        etcd__pb__delete_range_response__init(response->response_delete_range);
        response->response_delete_range->header = bare_header(call);
        return do_delete(call, request->request_delete_range, response->response_delete_range);
    default:
        response->response_case = ETCD__PB__RESPONSE_OP__RESPONSE_RESPONSE_TXN;
        response->response_txn = scrap(call, sizeof(*response->response_txn));
        etcd__pb__txn_response__init(response->response_txn);
        response->response_txn->header = bare_header(call);
        return do_txn(call, request->request_txn, response->response_txn);
    }
}

static bool check_put(struct call *call, const Etcd__Pb__PutRequest *put)
{
    if ((put->ignore_value || put->ignore_lease) && find(call->store, put->key) == NULL)
        return refuse(call, CODE_INVALID_ARGUMENT, "etcdserver: key not found");
    if (put->lease != 0 && sim_store_lease(call->store, put->lease) == NULL)
        return refuse(call, CODE_NOT_FOUND, "etcdserver: requested lease not found");
    return true;
}

static bool check_range(struct call *call, const Etcd__Pb__RangeRequest *range)
{
    if (range->revision > call->store->revision)
        return refuse(call, CODE_OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision");
    if (range->revision > 0 && range->revision < call->store->compacted)
        return refuse(call, CODE_OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted");
    return true;
}

static Etcd__Pb__RequestOp **branch_of(const Etcd__Pb__TxnRequest *request, bool succeeded, size_t *ret_count)
{
    *ret_count = succeeded ? request->n_success : request->n_failure;
    return succeeded ? request->success : request->failure;
}

static void settle_path(struct call *call, const Etcd__Pb__TxnRequest *request)
{
    bool succeeded = true;
    Etcd__Pb__RequestOp **branch;
    size_t count;

    for (size_t i = 0; i < request->n_compare && succeeded; i++)
        succeeded = holds(call->store, request->compare[i]);
    if (call->path_len == PATH_MAX_TXNS)
        abort();
    call->path[call->path_len++] = succeeded;
    branch = branch_of(request, succeeded, &count);
    for (size_t i = 0; i < count; i++) {
        if (branch[i]->request_case == ETCD__PB__REQUEST_OP__REQUEST_REQUEST_TXN)
            settle_path(call, branch[i]->request_txn);
    }
}

/* What etcd looks at before it begins, first at all puts, then at all reads: after that nothing may fail. */
static bool check_txn(struct call *call, const Etcd__Pb__TxnRequest *request, bool puts)
{
    bool fine = true;
    size_t count;
    Etcd__Pb__RequestOp **branch = branch_of(request, call->path[call->path_pos++], &count);

    for (size_t i = 0; i < count && fine; i++) {
        if (branch[i]->request_case == ETCD__PB__REQUEST_OP__REQUEST_REQUEST_TXN)
            fine = check_txn(call, branch[i]->request_txn, puts);
        else if (puts && branch[i]->request_case == ETCD__PB__REQUEST_OP__REQUEST_REQUEST_PUT)
            fine = check_put(call, branch[i]->request_put);
        else if (!puts && branch[i]->request_case == ETCD__PB__REQUEST_OP__REQUEST_REQUEST_RANGE)
            fine = check_range(call, branch[i]->request_range);
    }
    return fine;
}

static bool check_all(struct call *call, const Etcd__Pb__TxnRequest *request)
{
    bool fine;

    settle_path(call, request);
    fine = check_txn(call, request, true);
    call->path_pos = 0;
    fine = fine && check_txn(call, request, false);
    call->path_pos = 0;
    return fine;
}

static bool do_txn(struct call *call, const void *message, void *answer)
{
    const Etcd__Pb__TxnRequest *request = message;
    Etcd__Pb__TxnResponse *response = answer;
    Etcd__Pb__RequestOp **branch;

    if (call->path_len == 0 && !check_all(call, request))
        return false;
    response->succeeded = call->path[call->path_pos++];
    branch = branch_of(request, response->succeeded, &response->n_responses);
    response->responses = scrap(call, (response->n_responses + 1) * sizeof(Etcd__Pb__ResponseOp *));
    for (size_t i = 0; i < response->n_responses; i++) {
        response->responses[i] = scrap(call, sizeof(Etcd__Pb__ResponseOp));
        if (!do_op(call, branch[i], response->responses[i]))
            return false;
    }
    response->header->revision = call->store->revision;
    return true;
}

/* ---- leases ---------------------------------------------------------------------------------------- */

static bool do_grant(struct call *call, const void *message, void *answer)
{
    const Etcd__Pb__LeaseGrantRequest *request = message;
    Etcd__Pb__LeaseGrantResponse *response = answer;
    struct sim_store *store = call->store;

    if (sim_store_lease(store, request->id) != NULL)
        return refuse(call, CODE_FAILED_PRECONDITION, "etcdserver: lease already exists");
    response->id = request->id != 0 ? request->id : 1000 + (int64_t)store->lease_count;
    response->ttl = request->ttl < MIN_TTL_S ? MIN_TTL_S : request->ttl;
    store->leases = must(realloc(store->leases, (store->lease_count + 1) * sizeof(*store->leases)));
    store->leases[store->lease_count++] = (struct sim_lease){
        .id = response->id, .ttl_s = response->ttl, .expires_ms = store->now_ms + response->ttl * SECOND_MS};
    response->header->revision = store->revision;
    return true;
}

static bool do_revoke(struct call *call, const void *message, void *answer)
{
    const Etcd__Pb__LeaseRevokeRequest *request = message;
    Etcd__Pb__LeaseRevokeResponse *response = answer;
    struct sim_lease *lease = sim_store_lease(call->store, request->id);

    if (lease == NULL)
        return refuse(call, CODE_NOT_FOUND, "etcdserver: requested lease not found");
    sim_store_end_lease(call->store, lease, &call->dirty);
    response->header->revision = call->store->revision;
    return true;
}

static bool do_time_to_live(struct call *call, const void *message, void *answer)
{
    const Etcd__Pb__LeaseTimeToLiveRequest *request = message;
    Etcd__Pb__LeaseTimeToLiveResponse *response = answer;
    const struct sim_lease *lease = sim_store_lease(call->store, request->id);

    response->id = request->id;
    response->ttl = -1;
    response->header->revision = call->store->revision;
    if (lease == NULL)
        return true;
    response->ttl = (lease->expires_ms - call->store->now_ms) / SECOND_MS;
    response->granted_ttl = lease->ttl_s;
    response->keys = scrap(call, (call->store->key_count + 1) * sizeof(ProtobufCBinaryData));
    for (size_t i = 0; request->keys && i < call->store->key_count; i++) {
        const struct sim_event *event = sim_store_at(call->store->keys[i], INT64_MAX);

        if (event != NULL && event->lease == lease->id)
            response->keys[response->n_keys++] = event->key->name;
    }
    return true;
}

static bool do_leases(struct call *call, const void *message, void *answer)
{
    Etcd__Pb__LeaseLeasesResponse *response = answer;
    struct sim_store *store = call->store;

    (void)message;
    response->leases = scrap(call, (store->lease_count + 1) * sizeof(Etcd__Pb__LeaseStatus *));
    for (size_t i = 0; i < store->lease_count; i++) {
        Etcd__Pb__LeaseStatus *status = scrap(call, sizeof(*status));

        etcd__pb__lease_status__init(status);
        status->id = store->leases[i].id;
        if (!store->leases[i].gone)
            response->leases[response->n_leases++] = status;
    }
    response->header->revision = store->revision;
    return true;
}

/* ---- choosing -------------------------------------------------------------------------------------- */

static const struct handler {
    const char *method;
    const ProtobufCMessageDescriptor *request, *response;
    bool (*run)(struct call *call, const void *message, void *answer);
} handlers[] = {
    {"Range", &etcd__pb__range_request__descriptor, &etcd__pb__range_response__descriptor, do_range},
    {"Put", &etcd__pb__put_request__descriptor, &etcd__pb__put_response__descriptor, do_put},
    {"DeleteRange", &etcd__pb__delete_range_request__descriptor, &etcd__pb__delete_range_response__descriptor,
     do_delete},
    {"Txn", &etcd__pb__txn_request__descriptor, &etcd__pb__txn_response__descriptor, do_txn},
    {"Compact", &etcd__pb__compaction_request__descriptor, &etcd__pb__compaction_response__descriptor,
     do_compact},
    {"LeaseGrant", &etcd__pb__lease_grant_request__descriptor, &etcd__pb__lease_grant_response__descriptor,
     do_grant},
    {"LeaseRevoke", &etcd__pb__lease_revoke_request__descriptor, &etcd__pb__lease_revoke_response__descriptor,
     do_revoke},
    {"LeaseTimeToLive", &etcd__pb__lease_time_to_live_request__descriptor,
     &etcd__pb__lease_time_to_live_response__descriptor, do_time_to_live},
    {"LeaseLeases", &etcd__pb__lease_leases_request__descriptor, &etcd__pb__lease_leases_response__descriptor,
     do_leases},
};

void sim_header(const struct sim_store *store, const struct sim_view *view, Etcd__Pb__ResponseHeader *header)
{
    etcd__pb__response_header__init(header);
    header->cluster_id = SIM_CLUSTER_ID;
    header->member_id = view->member_id;
    header->revision = view->applied;
    header->raft_term = store->term;
}

struct fake_answer_bytes sim_pack(const ProtobufCMessage *message)
{
    struct fake_answer_bytes answer = {.data = must(malloc(protobuf_c_message_get_packed_size(message) + 1))};

    answer.len = protobuf_c_message_pack(message, answer.data);
    return answer;
}

/* Every answer begins with its header. */
struct answer_base {
    ProtobufCMessage base;
    Etcd__Pb__ResponseHeader *header;
};

static struct fake_answer_bytes run(struct call *call, const struct handler *handler, const void *message)
{
    struct answer_base *answer = scrap(call, handler->response->sizeof_message);
    struct fake_answer_bytes bytes;

    protobuf_c_message_init(handler->response, answer);
    answer->header = bare_header(call);
    sim_header(call->store, call->view, answer->header);
    if (handler->run(call, message, answer))
        bytes = sim_pack(&answer->base);
    else
        bytes = (struct fake_answer_bytes){.code = call->code, .message = call->message};
    while (call->scraps != NULL) {
        struct scrap *item = call->scraps;

        call->scraps = item->next;
        free(item);
    }
    return bytes;
}

struct fake_answer_bytes sim_store_call(struct sim_store *store, const struct sim_view *view,
                                        const char *method, const uint8_t *data, size_t len)
{
    struct call call = {.store = store, .view = view};
    const struct handler *handler = NULL;
    struct fake_answer_bytes answer;
    ProtobufCMessage *message;

    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
        handler = strcmp(handlers[i].method, method) == 0 ? &handlers[i] : handler;
    if (handler == NULL)
        return (struct fake_answer_bytes){.code = CODE_UNIMPLEMENTED, .message = "unknown method"};
    message = protobuf_c_message_unpack(handler->request, NULL, len, data);
    if (message == NULL)
        return (struct fake_answer_bytes){.code = CODE_INTERNAL, .message = "the request cannot be decoded"};
    answer = run(&call, handler, message);
    protobuf_c_message_free_unpacked(message, NULL);
    return answer;
}
