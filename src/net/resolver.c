/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Implementation notes. c-ares 1.18 leaves four things to us.
 * - It reads resolv.conf when a channel is made. Each lookup compares the file's stamp; when it changed a
 *   new channel is
 *   made, and the old one lives until its last lookup has ended.
 * - It can cancel all lookups of a channel only. A lookup that is cancelled stays with c-ares as an orphan,
 *   and its answer is dropped.
 * - It writes to TCP sockets without MSG_NOSIGNAL. Its sockets are made and used by functions of ours,
 *   which also gives each
 *   one its place in the reactor before it exists, so that lack of memory fails the query, not the loop.
 * - It calls back from inside its own functions. Answers are kept and delivered by a task, so that the
 *   receiver may do
 *   what it likes, even free the resolver.
 *
 * ares_library_init() is not called: it does something on Windows and Android only, and its
 * counter is not safe to change from two loops on two threads.
 */
#include "net/resolver.h"

#include "base/mem.h"
#include "base/str.h"
#include "net/addr.h"
#include "net/stamp.h"

#include <ares.h>
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    /*
     * Of the first of three rounds; each round doubles it. A dead server costs less than the default dial
     * timeout.
     */
    SERVER_TIMEOUT_MS = 1500,
    TRIES = 3,
    ADDRESSES_MAX = 64, /* of one answer; the rest is ignored */
};

/* A c-ares channel with its sockets and its timer. */
struct channel {
    struct etcd__node node; /* in resolver->channels */
    struct etcd__resolver *resolver;
    ares_channel ares;
    struct etcd__list sockets;
    struct etcd__timer timer;
    struct etcd__task reap;
    size_t active; /* lookups that c-ares has not answered */
    struct etcd__stamp resolv_conf;
};

/* A socket that c-ares opened. */
struct dns_socket {
    struct etcd__node node; /* in channel->sockets */
    struct channel *channel;
    struct etcd__io io;
    int fd;
};

struct etcd__resolver {
    struct etcd__reactor *reactor;
    struct etcd__list lookups;  /* all that will call back */
    struct etcd__list channels; /* the newest first; the others wait for their last lookup */
    const char *resolv_conf;
    const char *servers; /* NULL: those of resolv.conf */
};

struct etcd__lookup {
    struct etcd__node node; /* in resolver->lookups; unlinked when orphaned */
    struct etcd__resolver *resolver;
    etcd__resolved_fn *fn;
    void *user;
    uint16_t port;
    struct channel *channel; /* c-ares has it */
    void *env_handle;
    bool in_env; /* the environment has it */
    char env_error[96];
    struct etcd__task deliver;
    struct etcd__addresses answer;
    struct sockaddr_storage local[2]; /* for answers that need no list */
    struct sockaddr_storage *list;
};

/* ---- lookups ---- */

static void free_lookup(struct etcd__lookup *lookup)
{
    etcd__node_unlink(&lookup->node);
    etcd__task_cancel(&lookup->deliver);
    etcd__free(lookup->list);
    etcd__free(lookup);
}

static void deliver(struct etcd__task *task)
{
    struct etcd__lookup *lookup = ETCD__CONTAINER(task, struct etcd__lookup, deliver);

    /* From here on a cancel would come too late, and freeing the resolver must not find it. */
    etcd__node_unlink(&lookup->node);
    lookup->fn(lookup->user, &lookup->answer);
    free_lookup(lookup);
}

static void answer_later(struct etcd__lookup *lookup)
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

/* ---- the sockets of c-ares ---- */

static void on_socket_ready(struct etcd__io *io, unsigned events);

static struct dns_socket *find_socket(const struct channel *channel, int fd)
{
    ETCD__LIST_FOREACH(node, &channel->sockets)
    {
        struct dns_socket *sock = ETCD__CONTAINER(node, struct dns_socket, node);

        if (sock->fd == fd)
            return sock;
    }
    return NULL;
}

static ares_socket_t open_socket(int family, int type, int protocol, void *user)
{
    struct channel *channel = user;
    struct dns_socket *sock = ETCD__NEW(struct dns_socket);

    if (sock == NULL) {
        errno = ENOMEM;
        return ARES_SOCKET_BAD;
    }
    sock->fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (sock->fd < 0) {
        int error = errno;

        etcd__free(sock);
        errno = error;
        return ARES_SOCKET_BAD;
    }
    sock->channel = channel;
    sock->io.on_ready = on_socket_ready;
    etcd__list_push(&channel->sockets, &sock->node);
    return sock->fd;
}

static int close_socket(ares_socket_t fd, void *user)
{
    struct channel *channel = user;
    struct dns_socket *sock = find_socket(channel, fd);

    assert(sock != NULL);
    etcd__io_stop(&sock->io);
    etcd__node_unlink(&sock->node);
    etcd__free(sock);
    return close(fd);
}

static int connect_socket(ares_socket_t fd, const struct sockaddr *addr, ares_socklen_t len, void *user)
{
    (void)user;
    return connect(fd, addr, len);
}

static ares_ssize_t receive(ares_socket_t fd, void *buf, size_t len, int flags, struct sockaddr *from,
                            ares_socklen_t *from_len, void *user)
{
    (void)user;
    return recvfrom(fd, buf, len, flags, from, from_len);
}

static ares_ssize_t send_parts(ares_socket_t fd, const struct iovec *parts, int count, void *user)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = (size_t)count};

    (void)user;
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static const struct ares_socket_functions socket_functions = {
    .asocket = open_socket,
    .aclose = close_socket,
    .aconnect = connect_socket,
    .arecvfrom = receive,
    .asendv = send_parts,
};

/* c-ares says what it waits for. If the poller has no memory for it, the query ends by its timeout. */
static void on_socket_state(void *user, ares_socket_t fd, int readable, int writable)
{
    struct channel *channel = user;
    struct dns_socket *sock = find_socket(channel, fd);
    unsigned events = (readable ? ETCD__READABLE : 0u) | (writable ? ETCD__WRITABLE : 0u);

    assert(sock != NULL);
    if (events == 0)
        etcd__io_stop(&sock->io);
    else if (sock->io.reactor == NULL)
        (void)etcd__io_start(channel->resolver->reactor, &sock->io, fd, events);
    else
        (void)etcd__io_update(&sock->io, events);
}

/* ---- channels ---- */

/* c-ares may have other deadlines than before: to be called after every call into it. */
static void update_timer(struct channel *channel)
{
    struct etcd__reactor *reactor = channel->resolver->reactor;
    struct timeval left;

    if (ares_timeout(channel->ares, NULL, &left) == NULL) {
        etcd__timer_disarm(reactor, &channel->timer);
        return;
    }
    /* Rounded up: a timer that fires early would find nothing to do and be armed for no time at all. */
    etcd__timer_arm(reactor, &channel->timer,
                    reactor->env.ops->now_ms(reactor->env.self) + (int64_t)left.tv_sec * 1000 +
                        left.tv_usec / 1000 + 1);
}

static void process(struct channel *channel, ares_socket_t readable, ares_socket_t writable)
{
    ares_process_fd(channel->ares, readable, writable);
    update_timer(channel);
}

static void on_socket_ready(struct etcd__io *io, unsigned events)
{
    struct dns_socket *sock = ETCD__CONTAINER(io, struct dns_socket, io);
    int fd = sock->fd;

    /* The socket may be closed, and `sock` gone, when this returns. */
    process(sock->channel, events & ETCD__READABLE ? fd : ARES_SOCKET_BAD,
            events & ETCD__WRITABLE ? fd : ARES_SOCKET_BAD);
}

static void on_timer(struct etcd__timer *timer)
{
    process(ETCD__CONTAINER(timer, struct channel, timer), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void free_channel(struct channel *channel)
{
    if (channel->ares != NULL)
        ares_destroy(channel->ares); /* answers what is under way, and closes the sockets */
    assert(channel->active == 0 && etcd__list_empty(&channel->sockets));
    etcd__timer_disarm(channel->resolver->reactor, &channel->timer);
    etcd__task_cancel(&channel->reap);
    etcd__node_unlink(&channel->node);
    etcd__free(channel);
}

static void on_reap(struct etcd__task *task)
{
    free_channel(ETCD__CONTAINER(task, struct channel, reap));
}

static bool is_newest(const struct channel *channel)
{
    return etcd__list_first(&channel->resolver->channels) == &channel->node;
}

/*
 * Called when a channel stops being the newest and when it loses a lookup. Not at once: c-ares may be
 * running.
 */
static void reap_if_done(struct channel *channel)
{
    if (channel->active == 0 && !is_newest(channel))
        etcd__task_post(channel->resolver->reactor, &channel->reap);
}

static int start_ares(struct channel *channel)
{
    const struct etcd__resolver *resolver = channel->resolver;
    struct ares_options options = {
        .timeout = SERVER_TIMEOUT_MS,
        .tries = TRIES,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = channel,
        .resolvconf_path = (char *)(uintptr_t)resolver->resolv_conf,
    };
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF;
    int status = ares_init_options(&channel->ares, &options, mask);

    if (status != ARES_SUCCESS) {
        channel->ares = NULL;
        return status;
    }
    ares_set_socket_functions(channel->ares, &socket_functions, channel);
    return resolver->servers == NULL ? ARES_SUCCESS
                                     : ares_set_servers_ports_csv(channel->ares, resolver->servers);
}

/* A status of c-ares. */
static int new_channel(struct etcd__resolver *resolver, struct channel **ret_channel)
{
    struct channel *channel = ETCD__NEW(struct channel);
    int status;

    if (channel == NULL)
        return ARES_ENOMEM;
    channel->resolver = resolver;
    channel->timer.on_expire = on_timer;
    channel->reap.run = on_reap;
    channel->resolv_conf = etcd__stamp_of(resolver->resolv_conf);
    etcd__list_init(&channel->sockets);
    status = start_ares(channel);
    if (status == ARES_SUCCESS)
        *ret_channel = channel;
    else
        free_channel(channel);
    return status;
}

/* The channel for new lookups: made on first use, and anew after resolv.conf changed. */
static int current_channel(struct etcd__resolver *resolver, struct channel **ret_channel)
{
    struct etcd__node *first = etcd__list_first(&resolver->channels);
    struct channel *old = first == NULL ? NULL : ETCD__CONTAINER(first, struct channel, node);
    struct etcd__stamp now = etcd__stamp_of(resolver->resolv_conf);
    struct channel *channel = NULL;
    int status;

    if (old != NULL && etcd__stamp_equal(&now, &old->resolv_conf)) {
        *ret_channel = old;
        return ARES_SUCCESS;
    }
    status = new_channel(resolver, &channel);
    if (status != ARES_SUCCESS)
        return status;
    etcd__list_push_front(&resolver->channels, &channel->node);
    if (old != NULL)
        reap_if_done(old);
    *ret_channel = channel;
    return ARES_SUCCESS;
}

/* ---- answers of c-ares ---- */

static bool copy_address(struct sockaddr_storage *dst, const struct ares_addrinfo_node *from, uint16_t port)
{
    if ((from->ai_family != AF_INET && from->ai_family != AF_INET6) || from->ai_addrlen > sizeof(*dst))
        return false;
    memset(dst, 0, sizeof(*dst));
    memcpy(dst, from->ai_addr, from->ai_addrlen);
    etcd__addr_set_port(dst, port);
    return true;
}

static void copy_answer(struct etcd__lookup *lookup, const struct ares_addrinfo *info)
{
    size_t count = 0;

    for (const struct ares_addrinfo_node *node = info->nodes; node != NULL && count < ADDRESSES_MAX;
         node = node->ai_next)
        count++;
    lookup->list = etcd__calloc(count + 1, sizeof(*lookup->list));
    if (lookup->list == NULL) {
        lookup->answer.error = "out of memory";
        return;
    }
    for (const struct ares_addrinfo_node *node = info->nodes; node != NULL && lookup->answer.count < count;
         node = node->ai_next) {
        if (copy_address(&lookup->list[lookup->answer.count], node, lookup->port))
            lookup->answer.count++;
    }
    lookup->answer.list = lookup->list;
    if (lookup->answer.count == 0)
        lookup->answer.error = "the name has no address";
}

static const char *explain(int status)
{
    switch (status) {
    case ARES_ENOTFOUND:
        return "no such host";
    case ARES_ENODATA:
        return "the name has no address";
    case ARES_ETIMEOUT:
        return "the name servers do not answer";
    case ARES_ECONNREFUSED:
        return "no name server can be reached";
    default:
        return ares_strerror(status);
    }
}

static void on_ares_answer(void *user, int status, int timeouts, struct ares_addrinfo *info)
{
    struct etcd__lookup *lookup = user;
    struct channel *channel = lookup->channel;

    (void)timeouts;
    lookup->channel = NULL;
    channel->active--;
    if (!etcd__node_linked(&lookup->node)) {
        free_lookup(lookup); /* an orphan */
    } else {
        if (status == ARES_SUCCESS)
            copy_answer(lookup, info);
        else
            lookup->answer.error = explain(status);
        answer_later(lookup);
    }
    ares_freeaddrinfo(info);
    reap_if_done(channel);
}

static etcd_status ask_ares(struct etcd__lookup *lookup, const char *host, etcd_error *reterr)
{
    static const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct channel *channel = NULL;
    int status = current_channel(lookup->resolver, &channel);

    if (status == ARES_ENOMEM)
        return etcd__fail_memory(reterr);
    if (status != ARES_SUCCESS)
        return etcd__fail(reterr, ETCD_E_UNAVAILABLE, "name resolution: %s", ares_strerror(status));
    lookup->channel = channel;
    channel->active++;
    ares_getaddrinfo(channel->ares, host, NULL, &hints, on_ares_answer, lookup);
    update_timer(channel);
    return ETCD_OK;
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
    size_t count = addresses->count < ADDRESSES_MAX ? addresses->count : ADDRESSES_MAX;

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
    answer_later(lookup);
    env->ops->poll_wake(env->self);
}

static etcd_status ask_env(struct etcd__lookup *lookup, const char *host, etcd_error *reterr)
{
    const struct etcd__env *env = &lookup->resolver->reactor->env;
    char text[64];
    int ret;

    lookup->in_env = true;
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
        free_channel(ETCD__CONTAINER(node, struct channel, node));
    etcd__free(resolver);
}

static etcd_status start_lookup(struct etcd__lookup *lookup, const char *host, etcd_error *reterr)
{
    if (answer_numeric(lookup, host)) {
        answer_later(lookup);
        return ETCD_OK;
    }
    if (lookup->resolver->reactor->env.ops->resolve != NULL)
        return ask_env(lookup, host, reterr);
    if (answer_localhost(lookup, host)) {
        answer_later(lookup);
        return ETCD_OK;
    }
    return ask_ares(lookup, host, reterr);
}

etcd_status etcd__resolver_lookup(struct etcd__resolver *resolver, const char *host, uint16_t port,
                                  etcd__resolved_fn *fn, void *user, struct etcd__lookup **ret_lookup,
                                  etcd_error *reterr)
{
    struct etcd__lookup *lookup;
    etcd_status st;

    assert(resolver != NULL && host != NULL && fn != NULL && ret_lookup != NULL);
    lookup = ETCD__NEW(struct etcd__lookup);
    if (lookup == NULL)
        return etcd__fail_memory(reterr);
    lookup->resolver = resolver;
    lookup->port = port;
    lookup->fn = fn;
    lookup->user = user;
    lookup->deliver.run = deliver;
    etcd__list_push(&resolver->lookups, &lookup->node);
    st = start_lookup(lookup, host, reterr);
    if (st != ETCD_OK) {
        free_lookup(lookup);
        return st;
    }
    *ret_lookup = lookup;
    return ETCD_OK;
}

void etcd__lookup_cancel(struct etcd__lookup *lookup)
{
    const struct etcd__env *env;

    if (lookup == NULL)
        return;
    env = &lookup->resolver->reactor->env;
    if (lookup->in_env)
        env->ops->resolve_cancel(env->self, lookup->env_handle);
    if (lookup->channel != NULL)
        etcd__node_unlink(&lookup->node); /* freed when c-ares lets go of it */
    else
        free_lookup(lookup);
}
