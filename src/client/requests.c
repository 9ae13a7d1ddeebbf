/* SPDX-License-Identifier: Apache-2.0 */
#include "client/requests.h"

#include "base/mem.h"
#include "wire/convert.h"

#include <inttypes.h>

/* etcd's "from here on": a range end of one zero byte. */
static const etcd_bytes to_the_end = {"\0", 1};

/* ---- ranges ---------------------------------------------------------------------------------------- */

etcd_bytes etcd_prefix_end(etcd_bytes prefix, void *dst)
{
    unsigned char *end = dst;
    size_t len = prefix.len;

    while (len > 0 && ((const unsigned char *)prefix.data)[len - 1] == 0xff)
        len--;
    if (len == 0) {
        end[0] = 0;
        return etcd_bytes_of(end, 1);
    }
    memcpy(end, prefix.data, len);
    end[len - 1]++;
    return etcd_bytes_of(end, len);
}

static etcd_status prefix_range(struct etcd__range *range, etcd_error *reterr)
{
    if (range->key.len == 0) {
        range->key = to_the_end; /* every key is at or after "\0" */
        range->end = to_the_end;
        return ETCD_OK;
    }
    range->own = etcd__malloc(range->key.len);
    if (range->own == NULL)
        return etcd__fail_memory(reterr);
    range->end = etcd_prefix_end(range->key, range->own);
    return ETCD_OK;
}

etcd_status etcd__check_bytes(const char *what, const char *name, etcd_bytes bytes, etcd_error *reterr)
{
    if (bytes.data != NULL || bytes.len == 0)
        return ETCD_OK;
    return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: %s has %zu bytes but no data", what, name,
                      bytes.len);
}

etcd_status etcd__range_make(const char *what, etcd_bytes key, etcd_bytes range_end, bool prefix,
                             bool from_key, struct etcd__range *ret_range, etcd_error *reterr)
{
    struct etcd__range range = {.key = key, .end = range_end};
    etcd_status st = etcd__check_bytes(what, "key", key, reterr);

    if (st == ETCD_OK)
        st = etcd__check_bytes(what, "range_end", range_end, reterr);
    if (st != ETCD_OK)
        return st;
    if ((int)prefix + (int)from_key + (int)(range_end.len > 0) > 1)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                          "%s: only one of prefix, from_key and range_end can be set", what);
    if (key.len == 0 && !prefix && !from_key)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: key is empty", what);
    if (prefix)
        st = prefix_range(&range, reterr);
    if (from_key) {
        range.key = key.len == 0 ? to_the_end : key;
        range.end = to_the_end;
    }
    if (st == ETCD_OK)
        *ret_range = range;
    return st;
}

void etcd__range_deinit(struct etcd__range *range)
{
    etcd__free(range->own);
    range->own = NULL;
}

static etcd_status check_not_negative(const char *what, const char *name, int64_t value, etcd_error *reterr)
{
    if (value >= 0)
        return ETCD_OK;
    return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: %s is %" PRId64, what, name, value);
}

/* ---- put ------------------------------------------------------------------------------------------- */

static etcd_status check_put(etcd_bytes key, etcd_bytes value, const etcd_put_opts *opts, etcd_error *reterr)
{
    etcd_status st = etcd__check_bytes("put", "key", key, reterr);

    if (st == ETCD_OK)
        st = etcd__check_bytes("put", "value", value, reterr);
    if (st != ETCD_OK)
        return st;
    if (key.len == 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "put: key is empty");
    if (opts->ignore_value && value.len > 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                          "put: ignore_value is set and there is a value of %zu bytes", value.len);
    if (opts->ignore_lease && opts->lease_id != 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                          "put: ignore_lease is set and lease_id is %" PRIx64, (uint64_t)opts->lease_id);
    return ETCD_OK;
}

etcd_status etcd__put_request(etcd_bytes key, etcd_bytes value, const etcd_put_opts *opts,
                              etcd_put_opts *ret_opts, Etcd__Pb__PutRequest *request, etcd_error *reterr)
{
    etcd_put_opts own = ETCD_PUT_OPTS_INIT;
    etcd_status st = etcd__opts_import(&own, sizeof(own), opts, "put", reterr);

    if (st == ETCD_OK)
        st = check_put(key, value, &own, reterr);
    if (st != ETCD_OK)
        return st;
    request->key = etcd__wire_data(key);
    request->value = etcd__wire_data(value);
    request->lease = own.lease_id;
    request->prev_kv = own.prev_kv;
    request->ignore_value = own.ignore_value;
    request->ignore_lease = own.ignore_lease;
    *ret_opts = own;
    return ETCD_OK;
}

/* ---- get ------------------------------------------------------------------------------------------- */

static etcd_status check_get(const etcd_get_opts *opts, etcd_error *reterr)
{
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {
        {"limit", opts->limit},
        {"revision", opts->revision},
        {"min_mod_revision", opts->min_mod_revision},
        {"max_mod_revision", opts->max_mod_revision},
        {"min_create_revision", opts->min_create_revision},
        {"max_create_revision", opts->max_create_revision},
    };

    for (size_t i = 0; i < ETCD__COUNT(numbers); i++) {
        if (check_not_negative("get", numbers[i].name, numbers[i].value, reterr) != ETCD_OK)
            return ETCD_E_INVALID_ARGUMENT;
    }
    if ((unsigned)opts->sort_target > ETCD_SORT_BY_VALUE)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "get: sort_target is %d", (int)opts->sort_target);
    if ((unsigned)opts->sort_order > ETCD_SORT_DESCEND)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "get: sort_order is %d", (int)opts->sort_order);
    return ETCD_OK;
}

static void fill_get(const etcd_get_opts *opts, const struct etcd__range *range,
                     Etcd__Pb__RangeRequest *request)
{
    request->key = etcd__wire_data(range->key);
    request->range_end = etcd__wire_data(range->end);
    request->limit = opts->limit;
    request->revision = opts->revision;
    request->min_mod_revision = opts->min_mod_revision;
    request->max_mod_revision = opts->max_mod_revision;
    request->min_create_revision = opts->min_create_revision;
    request->max_create_revision = opts->max_create_revision;
    request->sort_target = (Etcd__Pb__RangeRequest__SortTarget)opts->sort_target;
    /* Keys come in ascending order anyway; asking for it makes the server sort once more. */
    if (opts->sort_target != ETCD_SORT_BY_KEY || opts->sort_order != ETCD_SORT_ASCEND)
        request->sort_order = (Etcd__Pb__RangeRequest__SortOrder)opts->sort_order;
    request->serializable = opts->serializable;
    request->keys_only = opts->keys_only;
    request->count_only = opts->count_only;
}

etcd_status etcd__get_request(etcd_bytes key, const etcd_get_opts *opts, etcd_get_opts *ret_opts,
                              struct etcd__range *ret_range, Etcd__Pb__RangeRequest *request,
                              etcd_error *reterr)
{
    etcd_get_opts own = ETCD_GET_OPTS_INIT;
    etcd_status st = etcd__opts_import(&own, sizeof(own), opts, "get", reterr);

    if (st == ETCD_OK)
        st = check_get(&own, reterr);
    if (st == ETCD_OK)
        st = etcd__range_make("get", key, own.range_end, own.prefix, own.from_key, ret_range, reterr);
    if (st != ETCD_OK)
        return st;
    fill_get(&own, ret_range, request);
    *ret_opts = own;
    return ETCD_OK;
}

/* ---- delete ---------------------------------------------------------------------------------------- */

etcd_status etcd__delete_request(etcd_bytes key, const etcd_delete_opts *opts, etcd_delete_opts *ret_opts,
                                 struct etcd__range *ret_range, Etcd__Pb__DeleteRangeRequest *request,
                                 etcd_error *reterr)
{
    etcd_delete_opts own = ETCD_DELETE_OPTS_INIT;
    etcd_status st = etcd__opts_import(&own, sizeof(own), opts, "delete", reterr);

    if (st == ETCD_OK)
        st = etcd__range_make("delete", key, own.range_end, own.prefix, own.from_key, ret_range, reterr);
    if (st != ETCD_OK)
        return st;
    request->key = etcd__wire_data(ret_range->key);
    request->range_end = etcd__wire_data(ret_range->end);
    request->prev_kv = own.prev_kv;
    *ret_opts = own;
    return ETCD_OK;
}
