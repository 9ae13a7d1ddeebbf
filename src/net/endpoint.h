/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a user may write as an endpoint: `host`, `host:port`, `[v6]:port`, with `http://` or
 * `https://` in front, `unix:path`, `unix:///path`, `unixs:...`. The scheme decides about TLS;
 * without one, or with unix:, TLS is used iff the client has TLS options (as etcd's own client does).
 */
#ifndef ETCD__NET_ENDPOINT_H
#define ETCD__NET_ENDPOINT_H

#include "base/error.h"

#include <stdbool.h>

enum { ETCD__DEFAULT_PORT = 2379 };

enum etcd__endpoint_tls {
    ETCD__TLS_IF_CONFIGURED,
    ETCD__TLS_NEVER,
    ETCD__TLS_ALWAYS,
};

struct etcd__endpoint {
    char *text;      /* as shown to people: normalised, "host:port" or with the scheme that was given */
    char *host;      /* without brackets; the path for a unix socket */
    char *authority; /* what :authority says: "host:port", IPv6 in brackets */
    uint16_t port;   /* 0 for a unix socket */
    bool is_unix;
    bool is_address; /* host is a numeric IPv4 or IPv6 address: no look-up, no SNI */
    enum etcd__endpoint_tls tls;
};

/* Several; zeroed memory is none. */
struct etcd__endpoints {
    struct etcd__endpoint *list;
    size_t count;
};

/*
 * ETCD_OK, ETCD_E_INVALID_ARGUMENT (the message has the text, with anything that looks like
 * credentials masked) or ETCD_E_NO_MEMORY. Refuses the empty text, spaces and control characters,
 * ports outside 1..65535, user:password@, a path, query or fragment, unknown schemes.
 */
etcd_status etcd__endpoint_parse(const char *text, struct etcd__endpoint *ret_endpoint, etcd_error *reterr);
etcd_status etcd__endpoint_copy(const struct etcd__endpoint *from, struct etcd__endpoint *ret_endpoint,
                                etcd_error *reterr);
void etcd__endpoint_deinit(struct etcd__endpoint *endpoint);
void etcd__endpoints_deinit(struct etcd__endpoints *endpoints);
/* Same place and same TLS decision: a connection to one serves the other. */
bool etcd__endpoint_equal(const struct etcd__endpoint *a, const struct etcd__endpoint *b);

#endif
