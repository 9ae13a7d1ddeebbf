/* SPDX-License-Identifier: Apache-2.0 */
#include "net/resolver_core.h"

#include "base/mem.h"
#include "base/str.h"
#include "net/addr.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* ---- lookups ---- */

void etcd__lookup_free(struct etcd__lookup *lookup)
{
    etcd__node_unlink(&lookup->node);
    etcd__task_cancel(&lookup->deliver);
    etcd__free(lookup->list);
    etcd__free(lookup->records);
    etcd__free(lookup);
}

static void deliver(struct etcd__task *task)
{
    struct etcd__lookup *lookup = ETCD__CONTAINER(task, struct etcd__lookup, deliver);

    /* From here on a cancel would come too late, and freeing the resolver must not find it. */
    etcd__node_unlink(&lookup->node);
    if (lookup->services_fn != NULL)
        lookup->services_fn(lookup->user, &lookup->services);
    else
        lookup->fn(lookup->user, &lookup->answer);
    etcd__lookup_free(lookup);
}

void etcd__lookup_answer(struct etcd__lookup *lookup)
{
    etcd__task_post(lookup->resolver->reactor, &lookup->deliver);
}

/* Numeric text, which needs no look-up. */
static bool answer_numeric(struct etcd__lookup *lookup, const char *host)
{
    if (!etcd__addr_parse(host, lookup->port, &lookup->local[0]))
        return false;
    lookup->answer = (struct etcd__addresses){.list = lookup->local, .count = 1};
    return true;
}

static bool is_localhost(const char *host)
{
    static const char name[] = "localhost";
    size_t len = strlen(host);

    if (len > 0 && host[len - 1] == '.')
        len--;
    if (len < sizeof(name) - 1)
        return false;
    host += len - (sizeof(name) - 1);
    if (!etcd__equal_nocase(host, sizeof(name) - 1, name))
        return false;
    return len == sizeof(name) - 1 || host[-1] == '.';
}

/*
 * RFC 6761: localhost and all names below it are the loopback addresses, and no server is asked. A bare
 * system has no hosts file that says so. IPv4 comes first since that is where etcd listens by default.
 */
static bool answer_localhost(struct etcd__lookup *lookup, const char *host)
{
    if (!is_localhost(host))
        return false;
    (void)etcd__addr_parse("127.0.0.1", lookup->port, &lookup->local[0]);
    (void)etcd__addr_parse("::1", lookup->port, &lookup->local[1]);
    lookup->answer = (struct etcd__addresses){.list = lookup->local, .count = 2};
    return true;
}

/* ---- answers of the environment ---- */

/*
 * The environment may call from inside its poll_wait. The answer waits for the tasks of that turn, when the
 * clock has been read.
 */
static void on_env_answer(void *user, const struct etcd__addresses *addresses)
{
    struct etcd__lookup *lookup = user;
    const struct etcd__env *env = &lookup->resolver->reactor->env;
    size_t count = addresses->count < ETCD__ANSWER_MAX ? addresses->count : ETCD__ANSWER_MAX;

    lookup->in_env = false;
    lookup->list = etcd__calloc(count + 1, sizeof(*lookup->list));
    if (lookup->list == NULL) {
        lookup->answer.error = "out of memory";
    } else if (count == 0) {
        etcd__format(lookup->env_error, sizeof(lookup->env_error), "%s",
                     addresses->error == NULL ? "the name has no address" : addresses->error);
        lookup->answer.error = lookup->env_error;
    } else {
        memcpy(lookup->list, addresses->list, count * sizeof(*lookup->list));
        lookup->answer = (struct etcd__addresses){.list = lookup->list, .count = count};
    }
    etcd__lookup_answer(lookup);
    env->ops->poll_wake(env->self);
}

static void on_env_services(void *user, const struct etcd__services *services)
{
    struct etcd__lookup *lookup = user;
    const struct etcd__env *env = &lookup->resolver->reactor->env;
    size_t count = services->count < ETCD__ANSWER_MAX ? services->count : ETCD__ANSWER_MAX;

    lookup->in_env = false;
    lookup->records = etcd__calloc(count + 1, sizeof(*lookup->records));
    if (lookup->records == NULL) {
        lookup->services.error = "out of memory";
    } else if (count == 0) {
        etcd__format(lookup->env_error, sizeof(lookup->env_error), "%s",
                     services->error == NULL ? "no SRV record" : services->error);
        lookup->services.error = lookup->env_error;
    } else {
        memcpy(lookup->records, services->list, count * sizeof(*lookup->records));
        lookup->services = (struct etcd__services){.list = lookup->records, .count = count};
    }
    etcd__lookup_answer(lookup);
    env->ops->poll_wake(env->self);
}

static etcd_status ask_env(struct etcd__lookup *lookup, const char *host, etcd_error *reterr)
{
    const struct etcd__env *env = &lookup->resolver->reactor->env;
    char text[64];
    int ret;

    lookup->in_env = true;
    if (lookup->services_fn != NULL)
        ret = env->ops->resolve_srv(env->self, host, on_env_services, lookup, &lookup->env_handle);
    else
        ret = env->ops->resolve(env->self, host, lookup->port, on_env_answer, lookup, &lookup->env_handle);
    if (ret >= 0)
        return ETCD_OK;
    lookup->in_env = false;
    if (ret == -ENOMEM)
        return etcd__fail_memory(reterr);
    return etcd__fail(reterr, ETCD_E_UNAVAILABLE, "name resolution: %s",
                      etcd__errno_text(text, sizeof(text), -ret));
}

/* ---- the resolver ---- */

etcd_status etcd__resolver_new(struct etcd__reactor *reactor, struct etcd__resolver **ret_resolver,
                               etcd_error *reterr)
{
    struct etcd__resolver *resolver = ETCD__NEW(struct etcd__resolver);

    if (resolver == NULL)
        return etcd__fail_memory(reterr);
    resolver->reactor = reactor;
    resolver->resolv_conf = "/etc/resolv.conf";
    etcd__list_init(&resolver->lookups);
    etcd__list_init(&resolver->channels);
    *ret_resolver = resolver;
    return ETCD_OK;
}

void etcd__resolver_use(struct etcd__resolver *resolver, const char *resolv_conf, const char *servers)
{
    assert(etcd__list_empty(&resolver->channels));
    resolver->resolv_conf = resolv_conf;
    resolver->servers = servers;
}

void etcd__resolver_free(struct etcd__resolver *resolver)
{
    struct etcd__node *node;

    if (resolver == NULL)
        return;
    while ((node = etcd__list_first(&resolver->lookups)) != NULL)
        etcd__lookup_cancel(ETCD__CONTAINER(node, struct etcd__lookup, node));
    while ((node = etcd__list_first(&resolver->channels)) != NULL)
        etcd__dns_free(etcd__dns_at(node));
    etcd__free(resolver);
}

static etcd_status start_lookup(struct etcd__lookup *lookup, const char *host, etcd_error *reterr)
{
    bool service = lookup->services_fn != NULL;

    if (!service && answer_numeric(lookup, host)) {
        etcd__lookup_answer(lookup);
        return ETCD_OK;
    }
    if (lookup->resolver->reactor->env.ops->resolve != NULL)
        return ask_env(lookup, host, reterr);
    if (!service && answer_localhost(lookup, host)) {
        etcd__lookup_answer(lookup);
        return ETCD_OK;
    }
    return etcd__dns_ask(lookup, host, reterr);
}

/* Begins `lookup` (NULL: out of memory) with what is asked for filled in. */
static etcd_status begin(struct etcd__resolver *resolver, struct etcd__lookup *lookup, const char *name,
                         struct etcd__lookup **ret_lookup, etcd_error *reterr)
{
    etcd_status st;

    if (lookup == NULL)
        return etcd__fail_memory(reterr);
    lookup->resolver = resolver;
    lookup->deliver.run = deliver;
    etcd__list_push(&resolver->lookups, &lookup->node);
    st = start_lookup(lookup, name, reterr);
    if (st != ETCD_OK) {
        etcd__lookup_free(lookup);
        return st;
    }
    *ret_lookup = lookup;
    return ETCD_OK;
}

etcd_status etcd__resolver_lookup(struct etcd__resolver *resolver, const char *host, uint16_t port,
                                  etcd__resolved_fn *fn, void *user, struct etcd__lookup **ret_lookup,
                                  etcd_error *reterr)
{
    struct etcd__lookup *lookup = ETCD__NEW(struct etcd__lookup);

    assert(resolver != NULL && host != NULL && fn != NULL && ret_lookup != NULL);
    if (lookup != NULL) {
        lookup->port = port;
        lookup->fn = fn;
        lookup->user = user;
    }
    return begin(resolver, lookup, host, ret_lookup, reterr);
}

etcd_status etcd__resolver_services(struct etcd__resolver *resolver, const char *service,
                                    etcd__services_fn *fn, void *user, struct etcd__lookup **ret_lookup,
                                    etcd_error *reterr)
{
    struct etcd__lookup *lookup = ETCD__NEW(struct etcd__lookup);

    assert(resolver != NULL && service != NULL && fn != NULL && ret_lookup != NULL);
    if (lookup != NULL) {
        lookup->services_fn = fn;
        lookup->user = user;
    }
    return begin(resolver, lookup, service, ret_lookup, reterr);
}

void etcd__lookup_cancel(struct etcd__lookup *lookup)
{
    const struct etcd__env *env;

    if (lookup == NULL)
        return;
    env = &lookup->resolver->reactor->env;
    if (lookup->in_env)
        env->ops->resolve_cancel(env->self, lookup->env_handle);
    if (lookup->dns != NULL)
        etcd__node_unlink(&lookup->node); /* freed when c-ares lets go of it */
    else
        etcd__lookup_free(lookup);
}
