/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/env_system.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "runtime/poller.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

struct etcd__env_system {
    struct etcd__poller *poller;
    int *sockets; /* those open now: a forked child has to close its copies */
    size_t count, capacity;
};

static struct etcd__poller *poller_of(void *self)
{
    return ((struct etcd__env_system *)self)->poller;
}

static int64_t system_now(void *self)
{
    (void)self;
    return etcd__clock_ms();
}

static void system_random(void *self, void *buf, size_t len)
{
    (void)self;
    etcd__random_bytes(buf, len);
}

static bool reserve(struct etcd__env_system *system)
{
    size_t capacity = system->capacity == 0 ? 8 : system->capacity * 2;
    int *sockets;

    if (system->count < system->capacity)
        return true;
    sockets = etcd__realloc(system->sockets, capacity * sizeof(*sockets));
    if (sockets == NULL)
        return false;
    system->sockets = sockets;
    system->capacity = capacity;
    return true;
}

static void forget(struct etcd__env_system *system, int fd)
{
    for (size_t i = 0; i < system->count; i++) {
        if (system->sockets[i] == fd) {
            system->sockets[i] = system->sockets[--system->count];
            return;
        }
    }
}

static int system_connect(void *self, const struct sockaddr *addr, socklen_t len, int *ret_fd)
{
    struct etcd__env_system *system = self;
    int fd, err, on = 1;

    if (!reserve(system))
        return -ENOMEM;
    fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (addr->sa_family != AF_UNIX)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, addr, len) != 0 && errno != EINPROGRESS && errno != EINTR) {
        err = -errno;
        (void)close(fd);
        return err;
    }
    system->sockets[system->count++] = fd;
    *ret_fd = fd;
    return 0;
}

static int system_connect_result(void *self, int fd)
{
    int err = 0;
    socklen_t len = sizeof(err);

    (void)self;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
        return -errno;
    return -err;
}

static ssize_t result_of(ssize_t result)
{
    if (result >= 0)
        return result;
    return errno == EWOULDBLOCK || errno == EINTR ? -EAGAIN : -errno;
}

static ssize_t system_recv(void *self, int fd, void *buf, size_t len)
{
    (void)self;
    return result_of(recv(fd, buf, len, 0));
}

static ssize_t system_send(void *self, int fd, const void *buf, size_t len)
{
    (void)self;
    return result_of(send(fd, buf, len, MSG_NOSIGNAL));
}

static void system_close(void *self, int fd)
{
    forget(self, fd);
    (void)close(fd);
}

static int system_poll_set(void *self, int fd, unsigned old_events, unsigned events, void *tag)
{
    struct etcd__poller *poller = poller_of(self);

    return poller->ops->set(poller, fd, old_events, events, tag);
}

static int system_poll_wait(void *self, struct etcd__poll_event *events, int capacity, int64_t until_ms)
{
    struct etcd__poller *poller = poller_of(self);
    int timeout_ms = -1;

    if (until_ms != INT64_MAX) {
        int64_t now_ms = etcd__clock_ms();
        int64_t left = until_ms > now_ms ? until_ms - now_ms : 0; /* INT64_MIN: do not wait */

        timeout_ms = left > 3600 * 1000 ? 3600 * 1000 : (int)left;
        /* The timer of the set goes on during suspend; a wait's own limit does not. */
        if (timeout_ms > 0 && poller->ops->deadline(poller, until_ms))
            timeout_ms = -1;
    }
    return poller->ops->wait(poller, events, capacity, timeout_ms);
}

static void system_poll_wake(void *self)
{
    struct etcd__poller *poller = poller_of(self);

    poller->ops->wake(poller);
}

static void system_poll_deadline(void *self, int64_t at_ms)
{
    struct etcd__poller *poller = poller_of(self);

    (void)poller->ops->deadline(poller, at_ms);
}

static int system_poll_fd(void *self)
{
    struct etcd__poller *poller = poller_of(self);

    return poller->ops->fd(poller);
}

static void system_set_user_timeout(void *self, int fd, int ms)
{
    unsigned value = (unsigned)ms;

    (void)self;
    /* Linux has it; elsewhere keepalive pings find a dead peer out all the same, a little later. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, sizeof(value));
}

static const struct etcd__env_ops system_ops = {
    .now_ms = system_now,
    .random = system_random,
    .connect = system_connect,
    .connect_result = system_connect_result,
    .recv = system_recv,
    .send = system_send,
    .close = system_close,
    .poll_set = system_poll_set,
    .poll_wait = system_poll_wait,
    .poll_wake = system_poll_wake,
    .poll_deadline = system_poll_deadline,
    .poll_fd = system_poll_fd,
    .set_user_timeout = system_set_user_timeout,
};

int etcd__env_system_new(bool use_poll, struct etcd__env_system **ret_system)
{
    struct etcd__env_system *system = ETCD__NEW(struct etcd__env_system);
    int err;

    if (system == NULL)
        return -ENOMEM;
    err = use_poll ? etcd__poller_poll_new(&system->poller) : etcd__poller_epoll_new(&system->poller);
    if (err != 0) {
        etcd__free(system);
        return err;
    }
    *ret_system = system;
    return 0;
}

struct etcd__env etcd__env_system_table(struct etcd__env_system *system)
{
    return (struct etcd__env){.ops = &system_ops, .self = system};
}

void etcd__env_system_leave(struct etcd__env_system *system)
{
    system->poller->ops->leave(system->poller);
    for (size_t i = 0; i < system->count; i++)
        (void)close(system->sockets[i]);
    system->count = 0;
}

void etcd__env_system_free(struct etcd__env_system *system)
{
    if (system == NULL)
        return;
    system->poller->ops->free(system->poller);
    etcd__free(system->sockets);
    etcd__free(system);
}
