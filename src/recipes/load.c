/* SPDX-License-Identifier: Apache-2.0 */
#include "recipes/load.h"

#include "base/error.h"
#include "base/mem.h"

#include <string.h>

enum {
    PAGE_SIZE = 10000,
    PAGE_SHRINK = 4, /* where a page was too large for the receive limit */
};

void etcd__load_init(struct etcd__load *load, etcd_bytes prefix, etcd_bytes range_end)
{
    *load = (struct etcd__load){.prefix = prefix, .range_end = range_end, .page_size = PAGE_SIZE};
}

/* Back to the first page. */
static void rewind_load(struct etcd__load *load)
{
    etcd__pairs_deinit(&load->pairs);
    etcd__free(load->next_key);
    load->next_key = NULL;
    load->next_len = 0;
    load->revision = 0;
}

void etcd__load_deinit(struct etcd__load *load)
{
    rewind_load(load);
}

etcd_bytes etcd__load_key(const struct etcd__load *load)
{
    return load->next_key == NULL ? load->prefix : etcd_bytes_of(load->next_key, load->next_len);
}

etcd_get_opts etcd__load_opts(const struct etcd__load *load, int64_t timeout_ms)
{
    etcd_get_opts opts = ETCD_GET_OPTS_INIT;

    opts.timeout_ms = timeout_ms;
    opts.limit = load->page_size;
    opts.revision = load->revision;
    if (load->next_key == NULL)
        opts.prefix = true;
    else
        opts.range_end = load->range_end;
    return opts;
}

/* The first key that can follow `last`: itself with a zero byte. */
static bool continue_after(struct etcd__load *load, etcd_bytes last)
{
    char *key = etcd__malloc(last.len + 1);

    if (key == NULL)
        return false;
    memcpy(key, last.data, last.len);
    key[last.len] = '\0';
    etcd__free(load->next_key);
    load->next_key = key;
    load->next_len = last.len + 1;
    return true;
}

etcd_status etcd__load_add(struct etcd__load *load, const etcd_get_result *page, bool *ret_more,
                           etcd_error *reterr)
{
    size_t count = etcd_get_result_count(page);
    bool more = etcd_get_result_more(page);

    if (more && count == 0)
        return etcd__fail(reterr, ETCD_E_PROTOCOL, "a page without pairs says that there are more");
    for (size_t i = 0; i < count; i++) {
        if (!etcd__pairs_add(&load->pairs, etcd_get_result_kv(page, i)))
            return etcd__fail_memory(reterr);
    }
    if (load->revision == 0)
        load->revision = etcd_get_result_header(page)->revision;
    if (more && !continue_after(load, etcd_get_result_kv(page, count - 1)->key))
        return etcd__fail_memory(reterr);
    *ret_more = more;
    return ETCD_OK;
}

bool etcd__load_recover(struct etcd__load *load, etcd_status status)
{
    if (status == ETCD_E_TOO_LARGE && load->page_size > 1) {
        load->page_size = load->page_size < PAGE_SHRINK ? 1 : load->page_size / PAGE_SHRINK;
        return true;
    }
    if (status == ETCD_E_COMPACTED && load->revision != 0) {
        rewind_load(load);
        return true;
    }
    return false;
}
