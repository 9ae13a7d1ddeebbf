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
#include "net/resolver_core.h"

#include "base/mem.h"
#include "base/str.h"
#include "net/addr.h"
#include "net/stamp.h"

#include <ares.h>
#include <arpa/nameser.h>
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
};

/* A c-ares channel with its sockets and its timer. */
struct etcd__dns {
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
    struct etcd__node node; /* in dns->sockets */
    struct etcd__dns *dns;
    struct etcd__io io;
    int fd;
};

/* ---- the sockets of c-ares ---- */

static void on_socket_ready(struct etcd__io *io, unsigned events);

static struct dns_socket *find_socket(const struct etcd__dns *dns, int fd)
{
    ETCD__LIST_FOREACH(node, &dns->sockets)
    {
        struct dns_socket *sock = ETCD__CONTAINER(node, struct dns_socket, node);

        if (sock->fd == fd)
            return sock;
    }
    return NULL;
}

static ares_socket_t open_socket(int family, int type, int protocol, void *user)
{
    struct etcd__dns *dns = user;
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
    sock->dns = dns;
    sock->io.on_ready = on_socket_ready;
    etcd__list_push(&dns->sockets, &sock->node);
    return sock->fd;
}

static int close_socket(ares_socket_t fd, void *user)
{
    struct etcd__dns *dns = user;
    struct dns_socket *sock = find_socket(dns, fd);

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
    struct etcd__dns *dns = user;
    struct dns_socket *sock = find_socket(dns, fd);
    unsigned events = (readable ? ETCD__READABLE : 0u) | (writable ? ETCD__WRITABLE : 0u);

    assert(sock != NULL);
    if (events == 0)
        etcd__io_stop(&sock->io);
    else if (sock->io.reactor == NULL)
        (void)etcd__io_start(dns->resolver->reactor, &sock->io, fd, events);
    else
        (void)etcd__io_update(&sock->io, events);
}

/* ---- channels ---- */

/* c-ares may have other deadlines than before: to be called after every call into it. */
static void update_timer(struct etcd__dns *dns)
{
    struct etcd__reactor *reactor = dns->resolver->reactor;
    struct timeval left;

    if (ares_timeout(dns->ares, NULL, &left) == NULL) {
        etcd__timer_disarm(reactor, &dns->timer);
        return;
    }
    /* Rounded up: a timer that fires early would find nothing to do and be armed for no time at all. */
    etcd__timer_arm(reactor, &dns->timer,
                    reactor->env.ops->now_ms(reactor->env.self) + (int64_t)left.tv_sec * 1000 +
                        left.tv_usec / 1000 + 1);
}

static void process(struct etcd__dns *dns, ares_socket_t readable, ares_socket_t writable)
{
    ares_process_fd(dns->ares, readable, writable);
    update_timer(dns);
}

static void on_socket_ready(struct etcd__io *io, unsigned events)
{
    struct dns_socket *sock = ETCD__CONTAINER(io, struct dns_socket, io);
    int fd = sock->fd;

    /* The socket may be closed, and `sock` gone, when this returns. */
    process(sock->dns, events & ETCD__READABLE ? fd : ARES_SOCKET_BAD,
            events & ETCD__WRITABLE ? fd : ARES_SOCKET_BAD);
}

static void on_timer(struct etcd__timer *timer)
{
    process(ETCD__CONTAINER(timer, struct etcd__dns, timer), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

void etcd__dns_free(struct etcd__dns *dns)
{
    if (dns->ares != NULL)
        ares_destroy(dns->ares); /* answers what is under way, and closes the sockets */
    assert(dns->active == 0 && etcd__list_empty(&dns->sockets));
    etcd__timer_disarm(dns->resolver->reactor, &dns->timer);
    etcd__task_cancel(&dns->reap);
    etcd__node_unlink(&dns->node);
    etcd__free(dns);
}

static void on_reap(struct etcd__task *task)
{
    etcd__dns_free(ETCD__CONTAINER(task, struct etcd__dns, reap));
}

static bool is_newest(const struct etcd__dns *dns)
{
    return etcd__list_first(&dns->resolver->channels) == &dns->node;
}

/*
 * Called when a channel stops being the newest and when it loses a lookup. Not at once: c-ares may be
 * running.
 */
static void reap_if_done(struct etcd__dns *dns)
{
    if (dns->active == 0 && !is_newest(dns))
        etcd__task_post(dns->resolver->reactor, &dns->reap);
}

static int start_ares(struct etcd__dns *dns)
{
    const struct etcd__resolver *resolver = dns->resolver;
    struct ares_options options = {
        .timeout = SERVER_TIMEOUT_MS,
        .tries = TRIES,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = dns,
        .resolvconf_path = (char *)(uintptr_t)resolver->resolv_conf,
    };
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF;
    int status = ares_init_options(&dns->ares, &options, mask);

    if (status != ARES_SUCCESS) {
        dns->ares = NULL;
        return status;
    }
    ares_set_socket_functions(dns->ares, &socket_functions, dns);
    return resolver->servers == NULL ? ARES_SUCCESS
                                     : ares_set_servers_ports_csv(dns->ares, resolver->servers);
}

/* A status of c-ares. */
static int new_dns(struct etcd__resolver *resolver, struct etcd__dns **ret_dns)
{
    struct etcd__dns *dns = ETCD__NEW(struct etcd__dns);
    int status;

    if (dns == NULL)
        return ARES_ENOMEM;
    dns->resolver = resolver;
    dns->timer.on_expire = on_timer;
    dns->reap.run = on_reap;
    dns->resolv_conf = etcd__stamp_of(resolver->resolv_conf);
    etcd__list_init(&dns->sockets);
    status = start_ares(dns);
    if (status == ARES_SUCCESS)
        *ret_dns = dns;
    else
        etcd__dns_free(dns);
    return status;
}

/* The channel for new lookups: made on first use, and anew after resolv.conf changed. */
static int current_dns(struct etcd__resolver *resolver, struct etcd__dns **ret_dns)
{
    struct etcd__node *first = etcd__list_first(&resolver->channels);
    struct etcd__dns *old = first == NULL ? NULL : ETCD__CONTAINER(first, struct etcd__dns, node);
    struct etcd__stamp now = etcd__stamp_of(resolver->resolv_conf);
    struct etcd__dns *dns = NULL;
    int status;

    if (old != NULL && etcd__stamp_equal(&now, &old->resolv_conf)) {
        *ret_dns = old;
        return ARES_SUCCESS;
    }
    status = new_dns(resolver, &dns);
    if (status != ARES_SUCCESS)
        return status;
    etcd__list_push_front(&resolver->channels, &dns->node);
    if (old != NULL)
        reap_if_done(old);
    *ret_dns = dns;
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

    for (const struct ares_addrinfo_node *node = info->nodes; node != NULL && count < ETCD__ANSWER_MAX;
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
    struct etcd__dns *dns = lookup->dns;

    (void)timeouts;
    lookup->dns = NULL;
    dns->active--;
    if (!etcd__node_linked(&lookup->node)) {
        etcd__lookup_free(lookup); /* an orphan */
    } else {
        if (status == ARES_SUCCESS)
            copy_answer(lookup, info);
        else
            lookup->answer.error = explain(status);
        etcd__lookup_answer(lookup);
    }
    ares_freeaddrinfo(info);
    reap_if_done(dns);
}

/* ---- services ---- */

static const char *explain_service(int status)
{
    return status == ARES_ENOTFOUND || status == ARES_ENODATA ? "no SRV record" : explain(status);
}

/* "." says that the service is decidedly not available there. */
static bool copy_record(struct etcd__srv_record *dst, const struct ares_srv_reply *from)
{
    size_t len = strlen(from->host);

    if (len > 0 && from->host[len - 1] == '.')
        len--;
    if (len == 0 || len >= sizeof(dst->target))
        return false;
    *dst = (struct etcd__srv_record){.priority = from->priority, .weight = from->weight, .port = from->port};
    memcpy(dst->target, from->host, len);
    return true;
}

static void copy_records(struct etcd__lookup *lookup, const struct ares_srv_reply *reply)
{
    lookup->records = etcd__calloc(ETCD__ANSWER_MAX, sizeof(*lookup->records));
    if (lookup->records == NULL) {
        lookup->services.error = "out of memory";
        return;
    }
    for (; reply != NULL && lookup->services.count < ETCD__ANSWER_MAX; reply = reply->next) {
        if (copy_record(&lookup->records[lookup->services.count], reply))
            lookup->services.count++;
    }
    lookup->services.list = lookup->records;
    if (lookup->services.count == 0)
        lookup->services.error = "no SRV record";
}

static void on_services(void *user, int status, int timeouts, unsigned char *data, int len)
{
    struct etcd__lookup *lookup = user;
    struct etcd__dns *dns = lookup->dns;
    struct ares_srv_reply *reply = NULL;

    (void)timeouts;
    lookup->dns = NULL;
    dns->active--;
    if (!etcd__node_linked(&lookup->node)) {
        etcd__lookup_free(lookup); /* an orphan */
    } else {
        if (status == ARES_SUCCESS)
            status = ares_parse_srv_reply(data, len, &reply);
        if (status == ARES_SUCCESS)
            copy_records(lookup, reply);
        else
            lookup->services.error = explain_service(status);
        etcd__lookup_answer(lookup);
    }
    ares_free_data(reply);
    reap_if_done(dns);
}

/* ---- asking ---- */

etcd_status etcd__dns_ask(struct etcd__lookup *lookup, const char *name, etcd_error *reterr)
{
    static const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct etcd__dns *dns = NULL;
    int status = current_dns(lookup->resolver, &dns);

    if (status == ARES_ENOMEM)
        return etcd__fail_memory(reterr);
    if (status != ARES_SUCCESS)
        return etcd__fail(reterr, ETCD_E_UNAVAILABLE, "name resolution: %s", ares_strerror(status));
    lookup->dns = dns;
    dns->active++;
    if (lookup->services_fn != NULL)
        ares_query(dns->ares, name, ns_c_in, ns_t_srv, on_services, lookup);
    else
        ares_getaddrinfo(dns->ares, name, NULL, &hints, on_ares_answer, lookup);
    update_timer(dns);
    return ETCD_OK;
}

struct etcd__dns *etcd__dns_at(struct etcd__node *node)
{
    return ETCD__CONTAINER(node, struct etcd__dns, node);
}
