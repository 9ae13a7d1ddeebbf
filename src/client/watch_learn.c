/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A watch without a start revision begins after the revision that a linearizable read brings. Watches that
 * are opened together share one read, of the key of one of them, the asker: when the asker may not read its
 * key, it ends, and the others ask each for itself. A read that fails in passing is repeated for as long as
 * somebody wants to know.
 */
#include "client/watch_core.h"
#include "wire/convert.h"

#include <assert.h>

enum { READ_TIMEOUT_MS = 10000 };

struct etcd__watch_read {
    struct etcd__watch_hub *hub;
    struct etcd__node node; /* hub->reads */
    struct etcd__list watches;
    struct etcd_watch *asker; /* NULL once it left */
    struct etcd__rpc *rpc;    /* NULL while pausing */
    struct etcd__timer timer;
    unsigned failures;
};

static void ask(struct etcd__watch_read *read);

static struct etcd_watch *watch_at(struct etcd__node *place)
{
    return ETCD__CONTAINER(place, struct etcd_watch, place);
}

/* ---- the call -------------------------------------------------------------------------------------- */

static etcd_status decode_head(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena = {0};
    struct etcd__wire_range range;
    etcd_status st = etcd__wire_read_range(&arena, data, len, &range);
    int64_t *revision = NULL;

    if (st == ETCD_OK) {
        revision = etcd__malloc(sizeof(*revision));
        st = revision == NULL ? ETCD_E_NO_MEMORY : ETCD_OK;
    }
    if (st == ETCD_E_NO_MEMORY)
        (void)etcd__fail_memory(reterr);
    else if (st != ETCD_OK)
        (void)etcd__fail(reterr, st, "watch: the answer to a read is malformed");
    if (st == ETCD_OK) {
        *revision = range.header.revision;
        *ret_result = revision;
    }
    etcd__arena_deinit(&arena);
    return st;
}

static const struct etcd__rpc_kind read_kind = {
    .method = {"/etcdserverpb.KV/Range", "watch", false},
    .needs_leader = true,
    .repeatable = true,
    .decode = decode_head,
    .free_result = etcd__free,
};

etcd_status etcd__watch_read_revision(const struct etcd_watch *watch, etcd__rpc_done_fn *done, void *user,
                                      struct etcd__rpc **ret_rpc, etcd_error *reterr)
{
    Etcd__Pb__RangeRequest request = ETCD__PB__RANGE_REQUEST__INIT;
    const struct etcd__rpc_options options = {.timeout_ms = READ_TIMEOUT_MS};

    request.key = etcd__wire_data(watch->key);
    request.count_only = true;
    return etcd__rpc_run(watch->client, &read_kind, &request.base, &options, done, user, ret_rpc, reterr);
}

/* ---- its end --------------------------------------------------------------------------------------- */

static void free_read(struct etcd__watch_read *read)
{
    etcd__rpc_abort(read->rpc);
    etcd__timer_disarm(etcd__client_reactor(read->hub->client), &read->timer);
    etcd__node_unlink(&read->node);
    etcd__free(read);
}

/* Takes the first watch out of the read, which stays. */
static struct etcd_watch *take_first(struct etcd__watch_read *read)
{
    struct etcd__node *node = etcd__list_pop(&read->watches);
    struct etcd_watch *watch = node == NULL ? NULL : watch_at(node);

    if (watch != NULL)
        watch->at.read = NULL;
    return watch;
}

static void end_all(struct etcd__watch_read *read, etcd_status status, const etcd_error *err)
{
    struct etcd_watch *watch;

    while ((watch = take_first(read)) != NULL)
        etcd__watch_end(watch, status, err);
    free_read(read);
}

static void learned(struct etcd__watch_read *read, int64_t revision)
{
    struct etcd_watch *watch;

    while ((watch = take_first(read)) != NULL)
        etcd__watch_learned(watch, revision);
    free_read(read);
}

static struct etcd__watch_read *new_read(struct etcd__watch_hub *hub);

static void join_read(struct etcd__watch_read *read, struct etcd_watch *watch)
{
    watch->at.read = read;
    etcd__list_push(&read->watches, &watch->place);
}

/* The asker's key was refused: that says nothing about the keys of the others. */
static void ask_each(struct etcd__watch_read *read)
{
    struct etcd_watch *watch;

    while ((watch = take_first(read)) != NULL) {
        struct etcd__watch_read *own = new_read(read->hub);

        if (own == NULL) {
            etcd__watch_end(watch, ETCD_E_NO_MEMORY, NULL);
            continue;
        }
        join_read(own, watch);
        ask(own);
    }
    free_read(read);
}

static void refused(struct etcd__watch_read *read, etcd_status status, const etcd_error *err)
{
    struct etcd_watch *asker = read->asker;

    if (asker == NULL) {
        ask(read); /* as somebody else */
        return;
    }
    etcd__node_unlink(&asker->place);
    asker->at.read = NULL;
    read->asker = NULL;
    etcd__watch_end(asker, status, err);
    ask_each(read);
}

static void failed(struct etcd__watch_read *read, etcd_status status, const etcd_error *err)
{
    struct etcd__reactor *reactor = etcd__client_reactor(read->hub->client);

    if (etcd__watch_passing(status))
        etcd__timer_arm(reactor, &read->timer,
                        reactor->now_ms + etcd__watch_pause_ms(reactor, read->failures++));
    else if (status == ETCD_E_AUTH || status == ETCD_E_CLOSED)
        end_all(read, status, err); /* no matter which key */
    else
        refused(read, status, err);
}

static void on_done(void *user, etcd_status status, void *result, const etcd_error *err)
{
    struct etcd__watch_read *read = user;

    read->rpc = NULL;
    if (status == ETCD_OK) {
        int64_t revision = *(int64_t *)result;

        etcd__free(result);
        learned(read, revision);
    } else {
        failed(read, status, err);
    }
}

static void on_timer(struct etcd__timer *timer)
{
    ask(ETCD__CONTAINER(timer, struct etcd__watch_read, timer));
}

/* ---- its beginning --------------------------------------------------------------------------------- */

static struct etcd__watch_read *new_read(struct etcd__watch_hub *hub)
{
    struct etcd__watch_read *read = ETCD__NEW(struct etcd__watch_read);

    if (read == NULL)
        return NULL;
    read->hub = hub;
    read->timer.on_expire = on_timer;
    etcd__list_init(&read->watches);
    etcd__list_push(&hub->reads, &read->node);
    return read;
}

/* There is a watch that wants to know. */
static void ask(struct etcd__watch_read *read)
{
    etcd_error err;
    etcd_status st;

    read->asker = watch_at(etcd__list_first(&read->watches));
    st = etcd__watch_read_revision(read->asker, on_done, read, &read->rpc, &err);
    if (st != ETCD_OK)
        failed(read, st, &err);
}

static void read_for_newcomers(struct etcd__task *task)
{
    struct etcd__watch_hub *hub = ETCD__CONTAINER(task, struct etcd__watch_hub, read_task);
    struct etcd__watch_read *read;
    struct etcd__node *node;

    if (etcd__list_empty(&hub->newcomers))
        return;
    read = new_read(hub);
    while ((node = etcd__list_pop(&hub->newcomers)) != NULL) {
        if (read == NULL)
            etcd__watch_end(watch_at(node), ETCD_E_NO_MEMORY, NULL);
        else
            join_read(read, watch_at(node));
    }
    if (read != NULL)
        ask(read);
}

void etcd__watch_learn_init(struct etcd__watch_hub *hub)
{
    etcd__list_init(&hub->newcomers);
    etcd__list_init(&hub->reads);
    hub->read_task.run = read_for_newcomers;
}

void etcd__watch_learn(struct etcd_watch *watch)
{
    struct etcd__watch_hub *hub = &watch->client->watches;

    watch->state = ETCD__WATCH_LEARNING;
    watch->at.read = NULL;
    etcd__list_push(&hub->newcomers, &watch->place);
    etcd__task_post(etcd__client_reactor(hub->client), &hub->read_task);
}

void etcd__watch_unlearn(struct etcd_watch *watch)
{
    struct etcd__watch_read *read = watch->at.read;

    assert(watch->state == ETCD__WATCH_LEARNING);
    etcd__node_unlink(&watch->place);
    watch->at.read = NULL;
    if (read == NULL)
        return;
    if (read->asker == watch)
        read->asker = NULL;
    if (etcd__list_empty(&read->watches))
        free_read(read);
}
