/* SPDX-License-Identifier: Apache-2.0 */
#include "client/metrics.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "client/client.h"
#include "etcdc/metrics.h"

#include <inttypes.h>
#include <string.h>

static const struct family {
    const char *name, *help;
    size_t offset; /* in etcd_metrics */
    bool gauge;    /* else a counter, and the name ends in _total */
} families[] = {
    {"calls", "Calls begun", offsetof(etcd_metrics, calls), false},
    {"failures", "Calls that failed", offsetof(etcd_metrics, failures), false},
    {"retries", "Attempts after a failed one", offsetof(etcd_metrics, retries), false},
    {"hedges", "Attempts beside an unanswered one", offsetof(etcd_metrics, hedges), false},
    {"logins", "Logins sent", offsetof(etcd_metrics, logins), false},
    {"connects", "Connections that became ready", offsetof(etcd_metrics, connects), false},
    {"losses", "Connections lost or not made", offsetof(etcd_metrics, losses), false},
    {"sent_bytes", "Bytes of HTTP/2 sent", offsetof(etcd_metrics, bytes_sent), false},
    {"received_bytes", "Bytes of HTTP/2 received", offsetof(etcd_metrics, bytes_received), false},
    {"watch_events", "Events that arrived", offsetof(etcd_metrics, watch_events), false},
    {"watch_resumes", "Watches created again after a break", offsetof(etcd_metrics, watch_resumes), false},
    {"lease_renewals", "Renewals sent", offsetof(etcd_metrics, lease_renewals), false},
    {"lease_losses", "Leases lost while kept alive", offsetof(etcd_metrics, lease_losses), false},
    {"outstanding_calls", "Calls under way", offsetof(etcd_metrics, outstanding), true},
    {"watches", "Watches that run", offsetof(etcd_metrics, watches), true},
    {"leases", "Leases kept alive", offsetof(etcd_metrics, leases), true},
};

static void read_metrics(const struct etcd_client *client, etcd_metrics *metrics)
{
    const struct etcd__metrics *own = &client->metrics;

    *metrics = (etcd_metrics){
        .size = sizeof(*metrics),
        .calls = etcd__counted(&own->calls),
        .failures = etcd__counted(&own->failures),
        .retries = etcd__counted(&own->retries),
        .hedges = etcd__counted(&own->hedges),
        .logins = etcd__counted(&own->logins),
        .connects = etcd__counted(&own->connects),
        .losses = etcd__counted(&own->losses),
        .bytes_sent = etcd__counted(&own->bytes_sent),
        .bytes_received = etcd__counted(&own->bytes_received),
        .watch_events = etcd__counted(&own->watch_events),
        .watch_resumes = etcd__counted(&own->watch_resumes),
        .lease_renewals = etcd__counted(&own->lease_renewals),
        .lease_losses = etcd__counted(&own->lease_losses),
        .outstanding = atomic_load_explicit(&client->outstanding, memory_order_relaxed),
        .watches = etcd__counted(&own->watches),
        .leases = etcd__counted(&own->leases),
    };
}

etcd_status etcd_client_metrics(const etcd_client *client, etcd_metrics *ret_metrics, etcd_error *reterr)
{
    etcd_metrics metrics;
    size_t size;

    if (client == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "client is NULL");
    if (ret_metrics == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "ret_metrics is NULL");
    size = ret_metrics->size;
    if (size < sizeof(size) || size % sizeof(uint64_t) != 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "ret_metrics: size is %zu: use ETCD_METRICS_INIT",
                          size);
    read_metrics(client, &metrics);
    /* A newer program finds zero in what this library does not count. */
    memset(ret_metrics, 0, size);
    memcpy(ret_metrics, &metrics, size < sizeof(metrics) ? size : sizeof(metrics));
    ret_metrics->size = size;
    return ETCD_OK;
}

/* ---- text ------------------------------------------------------------------------------------------ */

/* As the format wants label values: backslash, quote and newline escaped. */
static bool add_label(struct etcd__buf *text, const char *value)
{
    bool ok = true;

    for (; *value != '\0' && ok; value++) {
        if (*value == '\n')
            ok = etcd__buf_printf(text, "\\n");
        else
            ok = etcd__buf_printf(text, "%s%c", *value == '\\' || *value == '"' ? "\\" : "", *value);
    }
    return ok;
}

static bool add_sample(struct etcd__buf *text, const struct family *family, const char *suffix,
                       const struct etcd_client *client)
{
    etcd_metrics metrics;
    uint64_t value;

    read_metrics(client, &metrics);
    memcpy(&value, (const char *)&metrics + family->offset, sizeof(value));
    return etcd__buf_printf(text, "etcd_client_%s%s{client=\"", family->name, suffix) &&
           add_label(text, etcd__client_label(client)) && etcd__buf_printf(text, "\"} %" PRIu64 "\n", value);
}

static bool add_family(struct etcd__buf *text, const struct family *family,
                       const struct etcd_client *const *clients, size_t count)
{
    const char *suffix = family->gauge ? "" : "_total";
    bool ok = etcd__buf_printf(text, "# HELP etcd_client_%s%s %s.\n# TYPE etcd_client_%s%s %s\n",
                               family->name, suffix, family->help, family->name, suffix,
                               family->gauge ? "gauge" : "counter");

    for (size_t i = 0; i < count && ok; i++)
        ok = add_sample(text, family, suffix, clients[i]);
    return ok;
}

size_t etcd_metrics_text(const etcd_client *const *clients, size_t count, char *dst, size_t size)
{
    struct etcd__buf text;
    bool ok = true;
    size_t len;

    etcd__buf_init(&text, 0);
    for (size_t i = 0; i < ETCD__COUNT(families) && ok; i++)
        ok = add_family(&text, &families[i], clients, count);
    len = etcd__text_give(dst, size, etcd__buf_front(&text), ok ? etcd__buf_len(&text) : 0);
    etcd__buf_deinit(&text);
    return len;
}
