/* SPDX-License-Identifier: Apache-2.0 */
#include "net/endpoint.h"

#include "base/mem.h"
#include "base/str.h"
#include "net/addr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    HOST_MAX = 253, /* of a name in the DNS, RFC 1035 */
    LABEL_MAX = 63,
    SHOWN_MAX = 200, /* of the user's text in a message */
};

enum scheme_kind { KIND_BARE, KIND_HTTP, KIND_UNIX };

struct scheme {
    const char *name; /* "" when the text has none */
    enum scheme_kind kind;
    enum etcd__endpoint_tls tls;
};

static const struct scheme bare_scheme = {"", KIND_BARE, ETCD__TLS_IF_CONFIGURED};
static const struct scheme schemes[] = {
    {"http", KIND_HTTP, ETCD__TLS_NEVER},
    {"https", KIND_HTTP, ETCD__TLS_ALWAYS},
    {"unix", KIND_UNIX, ETCD__TLS_IF_CONFIGURED},
    {"unixs", KIND_UNIX, ETCD__TLS_ALWAYS},
};

/* A part of the user's text. */
struct span {
    const char *data;
    size_t len;
};

/* The text, and where its parts are as far as they are known. */
struct parser {
    const char *text;
    const struct scheme *scheme;
    struct span rest; /* what follows the scheme */
    struct span host;
    struct span port; /* data NULL: none given */
    bool bracketed;
    etcd_error *reterr;
};

/* ---- messages ---- */

/*
 * Whether text[0, len) can be a scheme, RFC 3986. Keeps a password that contains "://" from being shown as
 * one.
 */
static bool is_scheme_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!letter && (i == 0 || strchr("0123456789+-.", c) == NULL))
            return false;
    }
    return len > 0;
}

/*
 * The text as a message may show it: everything between the scheme and the last '@' could be a password,
 * so could be a query or a fragment.
 */
static const char *shown(char *dst, size_t size, const char *text)
{
    const char *separator = strstr(text, "://");
    const char *at = strrchr(text, '@');
    size_t kept = 0; /* of the scheme with its "://" */
    const char *tail = text;
    char escaped[SHOWN_MAX];
    size_t tail_len;

    if (at != NULL) {
        if (separator != NULL && is_scheme_name(text, (size_t)(separator - text)))
            kept = (size_t)(separator - text) + 3;
        tail = at;
    }
    tail_len = strcspn(tail, "?#");
    etcd__escape(escaped, sizeof(escaped), tail, tail_len);
    etcd__format(dst, size, "%.*s%s%s%s", (int)(kept < SHOWN_MAX ? kept : SHOWN_MAX), text,
                 at != NULL ? "***" : "", escaped, tail[tail_len] != '\0' ? "?***" : "");
    return dst;
}

static etcd_status refuse(const struct parser *parser, const char *why)
{
    char text[2 * SHOWN_MAX];

    etcd__fail(parser->reterr, ETCD_E_INVALID_ARGUMENT, "endpoint \"%s\": %s",
               shown(text, sizeof(text), parser->text), why);
    return ETCD_E_INVALID_ARGUMENT;
}

static etcd_status lacks_memory(const struct parser *parser)
{
    etcd__fail_memory(parser->reterr);
    return ETCD_E_NO_MEMORY;
}

/* ---- the parts of the text ---- */

static etcd_status check_characters(const struct parser *parser)
{
    if (parser->text[0] == '\0')
        return refuse(parser, "the text is empty");
    for (const char *p = parser->text; *p != '\0'; p++) {
        if (*p == ' ' || (*p >= '\t' && *p <= '\r'))
            return refuse(parser, "contains a space");
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return refuse(parser, "contains a control character");
    }
    return ETCD_OK;
}

static const struct scheme *find_scheme(const char *name, size_t len)
{
    for (size_t i = 0; i < ETCD__COUNT(schemes); i++) {
        if (etcd__equal_nocase(name, len, schemes[i].name))
            return &schemes[i];
    }
    return NULL;
}

/* Splits "scheme://rest", "unix:rest" and "rest". */
static etcd_status split_scheme(struct parser *parser)
{
    const char *colon = strchr(parser->text, ':');
    const struct scheme *found = NULL;
    const char *rest = parser->text;
    const char *separator = strstr(parser->text, "://");

    if (colon != NULL)
        found = find_scheme(parser->text, (size_t)(colon - parser->text));
    if (separator != NULL && separator == colon) {
        if (found == NULL)
            return refuse(parser, "the scheme is not one of http, https, unix, unixs");
        rest = colon + 3;
    } else if (found != NULL && found->kind == KIND_UNIX) {
        rest = colon + 1;
    } else {
        found = NULL; /* a host that is called "http" */
    }
    parser->scheme = found == NULL ? &bare_scheme : found;
    parser->rest = (struct span){rest, strlen(rest)};
    return ETCD_OK;
}

/*
 * Refuses all of a URL that an endpoint does not have, with one exception: "/" after a URL's port, as
 * people write it.
 */
static etcd_status check_url_parts(struct parser *parser)
{
    struct span *rest = &parser->rest;

    if (memchr(rest->data, '@', rest->len) != NULL)
        return refuse(parser, "credentials do not belong here; use the username and password options");
    if (memchr(rest->data, '?', rest->len) != NULL || memchr(rest->data, '#', rest->len) != NULL)
        return refuse(parser, "has a query or a fragment");
    if (memchr(rest->data, ',', rest->len) != NULL)
        return refuse(parser, "contains a comma; give each endpoint as an element of its own");
    if (parser->scheme->kind == KIND_HTTP && rest->len > 0 && rest->data[rest->len - 1] == '/')
        rest->len--;
    if (memchr(rest->data, '/', rest->len) != NULL)
        return refuse(parser, "has a path");
    return ETCD_OK;
}

static etcd_status split_bracketed(struct parser *parser)
{
    const struct span *rest = &parser->rest;
    const char *end = memchr(rest->data, ']', rest->len);
    size_t left;

    if (end == NULL)
        return refuse(parser, "the closing bracket of the IPv6 address is missing");
    parser->bracketed = true;
    parser->host = (struct span){rest->data + 1, (size_t)(end - rest->data) - 1};
    left = rest->len - parser->host.len - 2;
    if (left == 0)
        return ETCD_OK;
    if (end[1] != ':')
        return refuse(parser, "only a port can follow the bracket");
    parser->port = (struct span){end + 2, left - 1};
    return ETCD_OK;
}

static etcd_status split_host_port(struct parser *parser)
{
    const struct span *rest = &parser->rest;
    const char *colon;

    if (rest->len > 0 && rest->data[0] == '[')
        return split_bracketed(parser);
    colon = memchr(rest->data, ':', rest->len);
    parser->host = *rest;
    if (colon == NULL)
        return ETCD_OK;
    parser->host.len = (size_t)(colon - rest->data);
    parser->port = (struct span){colon + 1, rest->len - parser->host.len - 1};
    if (memchr(parser->port.data, ':', parser->port.len) != NULL)
        return refuse(parser, "has more than one colon; an IPv6 address goes in brackets, as in [::1]:2379");
    return ETCD_OK;
}

static etcd_status parse_port(const struct parser *parser, uint16_t *ret_port)
{
    uint64_t port = ETCD__DEFAULT_PORT;

    if (parser->port.data != NULL) {
        if (parser->port.len == 0)
            return refuse(parser, "the port after the colon is missing");
        if (parser->port.data[0] == '0' ||
            !etcd__parse_u64(parser->port.data, parser->port.len, 1, UINT16_MAX, &port))
            return refuse(parser, "the port is not a decimal number from 1 to 65535 without leading zeros");
    }
    *ret_port = (uint16_t)port;
    return ETCD_OK;
}

/* ---- hosts ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_' || c == '.';
}

/* `host` is in lower case. */
static etcd_status check_labels(const struct parser *parser, const char *host)
{
    size_t label = 0;
    size_t len = strlen(host);

    /* The dot at the end of a complete name takes part in neither limit. */
    if (len > 1 && host[len - 1] == '.')
        len--;
    if (len > HOST_MAX)
        return refuse(parser, "the host name is longer than 253 characters");
    for (size_t i = 0; i < len; i++) {
        if (!is_host_char(host[i]))
            return refuse(parser, "the host name may have letters, digits, '-', '_' and '.' only");
        if (host[i] == '.' && label == 0)
            return refuse(parser, "the host name has an empty label");
        label = host[i] == '.' ? 0 : label + 1;
        if (label > LABEL_MAX)
            return refuse(parser, "a label of the host name is longer than 63 characters");
    }
    return label == 0 ? refuse(parser, "the host name has an empty label") : ETCD_OK;
}

/*
 * A name whose last label is a number is a mistyped address ("10.0.0.256") or a lone port ("2379"): never
 * look it up.
 */
static bool ends_in_number(const char *host)
{
    const char *label = strrchr(host, '.');

    for (const char *p = label == NULL ? host : label + 1; *p != '\0'; p++) {
        if (!is_digit(*p))
            return false;
    }
    return label == NULL || label[1] != '\0';
}

static etcd_status check_v6(const struct parser *parser, struct etcd__endpoint *endpoint)
{
    char canonical[INET6_ADDRSTRLEN];
    struct in6_addr addr;

    if (strchr(endpoint->host, '%') != NULL)
        return refuse(parser, "an IPv6 zone is not supported; use an address that is not link-local");
    if (inet_pton(AF_INET6, endpoint->host, &addr) != 1 ||
        inet_ntop(AF_INET6, &addr, canonical, sizeof(canonical)) == NULL)
        return refuse(parser, "what stands in brackets is not an IPv6 address");
    /* One spelling for each address, so that equal endpoints compare equal. */
    etcd__free(endpoint->host);
    endpoint->host = etcd__strdup(canonical);
    if (endpoint->host == NULL)
        return lacks_memory(parser);
    endpoint->is_address = true;
    return ETCD_OK;
}

static etcd_status check_name(const struct parser *parser, struct etcd__endpoint *endpoint)
{
    struct in_addr addr;

    for (char *p = endpoint->host; *p != '\0'; p++) {
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    }
    if (inet_pton(AF_INET, endpoint->host, &addr) == 1) {
        endpoint->is_address = true;
        return ETCD_OK;
    }
    if (ends_in_number(endpoint->host))
        return refuse(parser, "the host is neither a name nor an IPv4 address");
    return check_labels(parser, endpoint->host);
}

static etcd_status parse_host(const struct parser *parser, struct etcd__endpoint *endpoint)
{
    if (parser->host.len == 0)
        return refuse(parser, "the host is missing");
    endpoint->host = etcd__memdup(parser->host.data, parser->host.len);
    if (endpoint->host == NULL)
        return etcd__fail_memory(parser->reterr);
    return parser->bracketed ? check_v6(parser, endpoint) : check_name(parser, endpoint);
}

/* ---- what is made of the parts ---- */

static char *concat(const char *a, const char *b, const char *c)
{
    size_t size = strlen(a) + strlen(b) + strlen(c) + 1;
    char *text = etcd__malloc(size);

    if (text != NULL)
        (void)snprintf(text, size, "%s%s%s", a, b, c);
    return text;
}

static etcd_status parse_network(struct parser *parser, struct etcd__endpoint *endpoint)
{
    char port[16];
    bool v6;
    etcd_status st = check_url_parts(parser);

    if (st == ETCD_OK)
        st = split_host_port(parser);
    if (st == ETCD_OK)
        st = parse_port(parser, &endpoint->port);
    if (st == ETCD_OK)
        st = parse_host(parser, endpoint);
    if (st != ETCD_OK)
        return st;

    v6 = parser->bracketed;
    (void)snprintf(port, sizeof(port), "%s:%u", v6 ? "]" : "", (unsigned)endpoint->port);
    endpoint->authority = concat(v6 ? "[" : "", endpoint->host, port);
    if (endpoint->authority == NULL)
        return lacks_memory(parser);
    endpoint->text = parser->scheme->kind == KIND_BARE
                         ? etcd__strdup(endpoint->authority)
                         : concat(parser->scheme->name, "://", endpoint->authority);
    return endpoint->text == NULL ? lacks_memory(parser) : ETCD_OK;
}

/*
 * etcd's own client takes the base name of the path, less what looks like a port, for the authority and for
 * the name in the server's certificate. A base name that could not be a host name gives "localhost", as in
 * gRPC.
 */
static char *unix_authority(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash == NULL ? path : slash + 1;
    size_t len = strcspn(base, ":");

    for (size_t i = 0; i < len; i++) {
        if (!is_host_char(base[i]) && !(base[i] >= 'A' && base[i] <= 'Z'))
            return etcd__strdup("localhost");
    }
    return len == 0 ? etcd__strdup("localhost") : etcd__memdup(base, len);
}

/* unix:path, unix:/path, unix://path (etcd's old way to write a relative one) and unix:///path. */
static etcd_status parse_unix(const struct parser *parser, struct etcd__endpoint *endpoint)
{
    const char *path = parser->rest.data;

    if (path[0] == '\0')
        return refuse(parser, "the path of the socket is missing");
    if (strlen(path) > etcd__addr_unix_max())
        return refuse(parser, "the path is too long for a unix socket");
    endpoint->is_unix = true;
    endpoint->host = etcd__strdup(path);
    endpoint->authority = unix_authority(path);
    endpoint->text = concat(parser->scheme->name, path[0] == '/' ? "://" : ":", path);
    if (endpoint->host == NULL || endpoint->authority == NULL || endpoint->text == NULL)
        return etcd__fail_memory(parser->reterr);
    return ETCD_OK;
}

etcd_status etcd__endpoint_parse(const char *text, struct etcd__endpoint *ret_endpoint, etcd_error *reterr)
{
    struct parser parser = {.text = text, .reterr = reterr};
    struct etcd__endpoint endpoint = {0};
    etcd_status st;

    assert(text != NULL && ret_endpoint != NULL);
    st = check_characters(&parser);
    if (st == ETCD_OK)
        st = split_scheme(&parser);
    if (st != ETCD_OK)
        return st;
    endpoint.tls = parser.scheme->tls;
    st = parser.scheme->kind == KIND_UNIX ? parse_unix(&parser, &endpoint)
                                          : parse_network(&parser, &endpoint);
    if (st != ETCD_OK) {
        etcd__endpoint_deinit(&endpoint);
        return st;
    }
    *ret_endpoint = endpoint;
    return ETCD_OK;
}

etcd_status etcd__endpoint_copy(const struct etcd__endpoint *from, struct etcd__endpoint *ret_endpoint,
                                etcd_error *reterr)
{
    struct etcd__endpoint copy = *from;

    copy.text = etcd__strdup(from->text);
    copy.host = etcd__strdup(from->host);
    copy.authority = etcd__strdup(from->authority);
    if (copy.text == NULL || copy.host == NULL || copy.authority == NULL) {
        etcd__endpoint_deinit(&copy);
        return etcd__fail_memory(reterr);
    }
    *ret_endpoint = copy;
    return ETCD_OK;
}

void etcd__endpoint_deinit(struct etcd__endpoint *endpoint)
{
    etcd__free(endpoint->text);
    etcd__free(endpoint->host);
    etcd__free(endpoint->authority);
    *endpoint = (struct etcd__endpoint){0};
}

void etcd__endpoints_deinit(struct etcd__endpoints *endpoints)
{
    for (size_t i = 0; i < endpoints->count; i++)
        etcd__endpoint_deinit(&endpoints->list[i]);
    etcd__free(endpoints->list);
    *endpoints = (struct etcd__endpoints){.list = NULL};
}

bool etcd__endpoint_equal(const struct etcd__endpoint *a, const struct etcd__endpoint *b)
{
    return a->is_unix == b->is_unix && a->port == b->port && a->tls == b->tls &&
           strcmp(a->host, b->host) == 0;
}
