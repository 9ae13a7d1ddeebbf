/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A range is read in pages, all at the revision of the first. How large a page is to be follows from what the
 * pages before had in them; one above the receive limit is asked for again at half its size.
 */
#include "client/range.h"

#include "client/client.h"
#include "wire/convert.h"

#include <inttypes.h>
#include <string.h>

enum {
    PAGE_FIRST = 500,     /* pairs, before anything is known about their size */
    PAGE_MAX = 10000,     /* pairs */
    PAGE_BYTES = 2 << 20, /* what a page is meant to have */
    PAGE_GROWTH = 8,      /* at most, from one page to the next */
    PAIR_OVERHEAD = 48,   /* bytes of a pair beside key and value */
};

static const char range_name[] = "range";

static const struct etcd__rpc_kind page_kind = {
    .method = {"/etcdserverpb.KV/Range", range_name, false},
    .repeatable = true,
    .needs_leader = true,
    .decode = etcd__get_decode,
    .decode_large = etcd__get_decode_large,
    .free_result = etcd__get_result_release,
};

static struct etcd_range *range_of(struct etcd__feed *feed)
{
    return ETCD__CONTAINER(feed, struct etcd_range, feed);
}

/* ---- where it stands ------------------------------------------------------------------------------- */

void etcd__range_request(const struct etcd_range *range, Etcd__Pb__RangeRequest *request)
{
    etcd_bytes key = range->bounds.key;

    if (range->next_key != NULL)
        key = etcd_bytes_of(range->next_key, range->next_len);
    request->key = etcd__wire_data(key);
    request->range_end = etcd__wire_data(range->bounds.end);
    request->limit = range->left == INT64_MAX ? 0 : range->left;
    request->revision = atomic_load(&range->revision);
    request->serializable = range->opts.serializable;
    request->keys_only = range->opts.keys_only;
}

/* Behind `last`: the first key that can follow it is itself with a zero byte. */
static bool go_behind(struct etcd_range *range, etcd_bytes last)
{
    char *key = etcd__realloc(range->next_key, last.len + 1);

    if (key == NULL)
        return false;
    memcpy(key, last.data, last.len);
    key[last.len] = '\0';
    range->next_key = key;
    range->next_len = last.len + 1;
    return true;
}

bool etcd__range_advance(struct etcd_range *range, const struct etcd_get_result *page)
{
    if (page->count == 0)
        return true;
    if (!go_behind(range, page->kvs[page->count - 1].key))
        return false;
    if (range->left != INT64_MAX)
        range->left = range->left > (int64_t)page->count ? range->left - (int64_t)page->count : 0;
    return true;
}

/* ---- pages ----------------------------------------------------------------------------------------- */

static int64_t page_max(const struct etcd_range *range)
{
    return range->opts.page_size > 0 ? range->opts.page_size : PAGE_MAX;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* From what the pairs had so far to how many of them are enough. */
static void adapt(struct etcd_range *range, const struct etcd_get_result *page)
{
    size_t bytes = 0;
    int64_t fitting;

    for (size_t i = 0; i < page->count; i++)
        bytes += page->kvs[i].key.len + page->kvs[i].value.len + PAIR_OVERHEAD;
    if (bytes == 0)
        return;
    fitting = (int64_t)(PAGE_BYTES * page->count / bytes);
    fitting = smaller(fitting, (int64_t)page->count * PAGE_GROWTH);
    range->page_size = smaller(fitting > 0 ? fitting : 1, page_max(range));
}

/* The page that was too large is asked for again at half its size. */
static bool shrink(struct etcd_range *range)
{
    int64_t size = smaller(range->page_size, range->left);

    if (size <= 1)
        return false;
    range->page_size = size / 2;
    return true;
}

static etcd_status take_page(struct etcd_range *range, struct etcd_get_result *page, etcd_error *reterr)
{
    if (page->more && page->count == 0)
        return etcd__fail(reterr, ETCD_E_PROTOCOL, "%s: a page without pairs says that there are more",
                          range_name);
    if (!etcd__range_advance(range, page))
        return etcd__fail_memory(reterr);
    if (etcd__namespace_leave_get(range->feed.client->config.key_namespace, page, reterr) != ETCD_OK)
        return ETCD_E_PROTOCOL;
    if (!range->begun) {
        range->begun = true;
        range->header = page->header;
        range->total = page->total;
        if (atomic_load(&range->revision) == 0)
            atomic_store(&range->revision, page->header.revision);
    }
    page->total = range->total; /* later pages count what follows them */
    adapt(range, page);
    return ETCD_OK;
}

static void hand_over(struct etcd_range *range, struct etcd_get_result *page)
{
    bool last = !page->more || range->left == 0;

    if (page->count == 0)
        etcd_get_result_free(page);
    else
        etcd__feed_push(&range->feed, page); /* somebody waits, or it would not have been asked for */
    if (last)
        etcd__feed_end(&range->feed);
}

static void on_page(void *user, etcd_status status, void *result, const etcd_error *err)
{
    struct etcd_range *range = user;
    etcd_error own;

    range->rpc = NULL;
    if (status != ETCD_OK) {
        etcd_get_result_free(result); /* the call can fail after its answer */
        if (status == ETCD_E_TOO_LARGE && shrink(range))
            etcd__range_ask(range);
        else
            etcd__feed_fail(&range->feed, err);
    } else if (take_page(range, result, &own) != ETCD_OK) {
        etcd_get_result_free(result);
        etcd__feed_fail(&range->feed, &own);
    } else {
        hand_over(range, result);
    }
}

void etcd__range_ask(struct etcd_range *range)
{
    int64_t now_ms = etcd__client_reactor(range->feed.client)->now_ms;
    struct etcd__rpc_options options = {
        .timeout_ms = ETCD_TIMEOUT_NONE,
        .fail_fast = range->opts.fail_fast,
        .serializable = range->opts.serializable,
    };
    Etcd__Pb__RangeRequest request = ETCD__PB__RANGE_REQUEST__INIT;
    etcd_error err;

    etcd__range_request(range, &request);
    request.limit = smaller(range->page_size, range->left);
    if (range->wanted_until_ms != INT64_MAX)
        options.timeout_ms = range->wanted_until_ms > now_ms ? range->wanted_until_ms - now_ms : 1;
    if (etcd__rpc_run(range->feed.client, &page_kind, &request.base, &options, on_page, range, &range->rpc,
                      &err) != ETCD_OK)
        etcd__feed_fail(&range->feed, &err);
}

/* ---- the feed's side ------------------------------------------------------------------------------- */

static bool want(struct etcd__feed *feed, int64_t deadline_ms)
{
    struct etcd_range *range = range_of(feed);

    range->wanted_until_ms = deadline_ms;
    if (etcd__range_streams(range)) {
        etcd__range_stream_resume(range);
        return true;
    }
    if (etcd__range_can_stream(range)) {
        etcd__range_stream_start(range);
        return true;
    }
    etcd__range_ask(range);
    return false;
}

static void unwant(struct etcd__feed *feed)
{
    struct etcd_range *range = range_of(feed);

    etcd__rpc_abort(range->rpc);
    range->rpc = NULL;
    if (etcd__range_streams(range)) { /* it did not bring in time what another member may have */
        etcd__range_stream_stop(range);
        range->stream.broken = true;
    }
}

static void drained(struct etcd__feed *feed)
{
    etcd__range_stream_resume(range_of(feed));
}

static void stop(struct etcd__feed *feed)
{
    unwant(feed);
}

static void destroy(struct etcd__feed *feed)
{
    struct etcd_range *range = range_of(feed);

    etcd__free(range->next_key);
    etcd__free(range->key_copy);
    etcd__free(range->end_copy);
    etcd__free(range);
}

static const struct etcd__feed_ops feed_ops = {
    .name = range_name,
    .want = want,
    .unwant = unwant,
    .drained = drained,
    .stop = stop,
    .destroy = destroy,
    .free_item = etcd__get_result_release,
};

/* ---- opening --------------------------------------------------------------------------------------- */

static etcd_status check_numbers(const etcd_range_opts *opts, etcd_error *reterr)
{
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {
        {"timeout_ms", opts->timeout_ms}, {"total_timeout_ms", opts->total_timeout_ms},
        {"limit", opts->limit},           {"page_size", opts->page_size},
        {"revision", opts->revision},
    };

    for (size_t i = 0; i < ETCD__COUNT(numbers); i++) {
        if (numbers[i].value < 0)
            return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: %s is %" PRId64, range_name,
                              numbers[i].name, numbers[i].value);
    }
    return ETCD_OK;
}

/* Views of the caller's bytes become views of our own. */
static etcd_status own_bounds(struct etcd_range *range, etcd_error *reterr)
{
    struct etcd__range *bounds = &range->bounds;

    range->key_copy = etcd__memdup(bounds->key.data, bounds->key.len);
    range->end_copy = etcd__memdup(bounds->end.data, bounds->end.len);
    if (range->key_copy == NULL || range->end_copy == NULL)
        return etcd__fail_memory(reterr);
    bounds->key.data = range->key_copy;
    bounds->end.data = range->end_copy;
    return ETCD_OK;
}

static etcd_status new_range(etcd_client *client, etcd_bytes key, const etcd_range_opts *opts,
                             struct etcd_range **ret_range, etcd_error *reterr)
{
    struct etcd_range *range = ETCD__NEW(struct etcd_range);
    etcd_status st;

    if (range == NULL)
        return etcd__fail_memory(reterr);
    st = etcd__range_make(range_name, key, opts->range_end, opts->prefix, opts->from_key, &range->bounds,
                          reterr);
    if (st == ETCD_OK)
        st = etcd__namespace_range(client->config.key_namespace, &range->bounds, reterr);
    if (st == ETCD_OK)
        st = own_bounds(range, reterr);
    etcd__range_deinit(&range->bounds);
    if (st != ETCD_OK) {
        destroy(&range->feed);
        return st;
    }
    range->opts = *opts;
    range->opts.range_end = (etcd_bytes){NULL, 0};
    range->left = opts->limit == 0 ? INT64_MAX : opts->limit;
    range->page_size = smaller(PAGE_FIRST, page_max(range));
    range->deadline_ms = etcd__loop_after_ms(
        client->loop, opts->total_timeout_ms == 0 ? ETCD_TIMEOUT_NONE : opts->total_timeout_ms);
    atomic_init(&range->revision, opts->revision);
    etcd__feed_init(&range->feed, client, &feed_ops);
    *ret_range = range;
    return ETCD_OK;
}

etcd_status etcd_range_open(etcd_client *client, etcd_bytes key, const etcd_range_opts *opts,
                            etcd_range **ret_range, etcd_error *reterr)
{
    etcd_range_opts own = ETCD_RANGE_OPTS_INIT;
    etcd_status st = etcd__opts_import(&own, sizeof(own), opts, range_name, reterr);

    if (st == ETCD_OK)
        st = check_numbers(&own, reterr);
    if (st == ETCD_OK && ret_range == NULL)
        st = etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: ret_range is NULL", range_name);
    if (st == ETCD_OK)
        st = etcd__client_check(client, reterr);
    return st != ETCD_OK ? st : new_range(client, key, &own, ret_range, reterr);
}

/* ---- reading --------------------------------------------------------------------------------------- */

static etcd_status start_next(etcd_range *range, struct etcd__feed_how *how, etcd_op **ret_op,
                              etcd_error *reterr)
{
    etcd_status st;

    if (range == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: range is NULL", range_name);
    st = etcd__rpc_deadline(range->feed.client, range_name, range->opts.timeout_ms, &how->deadline_ms,
                            reterr);
    how->deadline_ms = smaller(how->deadline_ms, range->deadline_ms);
    return st != ETCD_OK ? st : etcd__feed_next(&range->feed, how, ret_op, reterr);
}

etcd_status etcd_range_next(etcd_range *range, etcd_get_result **ret_page, etcd_error *reterr)
{
    struct etcd__feed_how how = {.blocking = true};
    etcd_op *op = NULL;
    etcd_status st;

    if (ret_page == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: ret_page is NULL", range_name);
    st = start_next(range, &how, &op, reterr);
    if (st != ETCD_OK)
        return st;
    st = etcd__op_wait_overdue(op, how.deadline_ms, range_name, reterr);
    if (st == ETCD_OK)
        st = etcd_range_take(op, ret_page, reterr);
    etcd_op_free(op);
    return st;
}

etcd_status etcd_range_next_async(etcd_range *range, etcd_op_fn *on_done, void *user_data, etcd_op **ret_op,
                                  etcd_error *reterr)
{
    struct etcd__feed_how how = {.on_done = on_done, .user_data = user_data};

    return start_next(range, &how, ret_op, reterr);
}

etcd_status etcd_range_take(etcd_op *op, etcd_get_result **ret_page, etcd_error *reterr)
{
    void *page = NULL;
    etcd_status st = etcd__op_take(op, range_name, ret_page == NULL ? NULL : &page, reterr);

    if (st == ETCD_OK && ret_page != NULL)
        *ret_page = page;
    return st;
}

int64_t etcd_range_revision(const etcd_range *range)
{
    return atomic_load(&((etcd_range *)(uintptr_t)range)->revision);
}

void etcd_range_close(etcd_range *range)
{
    if (range != NULL)
        etcd__feed_close(&range->feed);
}
