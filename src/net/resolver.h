/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host names to addresses, services to hosts. The real one is c-ares (resolver_ares.c is the only file that
 * includes it),
 * run on the reactor: hosts file, then DNS, IPv6 and IPv4, no thread. A new channel is made when
 * resolv.conf changed, since c-ares 1.18 reads it once. An environment table with `resolve` set goes first.
 * Numeric hosts are answered without either; localhost is answered by rule (RFC 6761), without c-ares.
 */
#ifndef ETCD__NET_RESOLVER_H
#define ETCD__NET_RESOLVER_H

#include "base/env.h"
#include "base/error.h"
#include "base/reactor.h"

struct etcd__resolver; /* one per loop; made on first use */
struct etcd__lookup;

etcd_status etcd__resolver_new(struct etcd__reactor *reactor, struct etcd__resolver **ret_resolver,
                               etcd_error *reterr);
/* Cancels what is under way without calling back. */
void etcd__resolver_free(struct etcd__resolver *resolver);
/*
 * For tests, before the first lookup: another resolv.conf, and servers ("127.0.0.1:5353,...", or NULL) in
 * place of those it names. Borrowed for the life of the resolver.
 */
void etcd__resolver_use(struct etcd__resolver *resolver, const char *resolv_conf, const char *servers);
/* Calls fn once, from a later turn; the addresses are borrowed until it returns. */
etcd_status etcd__resolver_lookup(struct etcd__resolver *resolver, const char *host, uint16_t port,
                                  etcd__resolved_fn *fn, void *user, struct etcd__lookup **ret_lookup,
                                  etcd_error *reterr);
/* The SRV records of a service, "_etcd-client._tcp.example.com". The rest as above. */
etcd_status etcd__resolver_services(struct etcd__resolver *resolver, const char *service,
                                    etcd__services_fn *fn, void *user, struct etcd__lookup **ret_lookup,
                                    etcd_error *reterr);
/* fn is not called any more. Not after it was called. */
void etcd__lookup_cancel(struct etcd__lookup *lookup);

#endif
