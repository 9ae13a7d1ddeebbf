/* SPDX-License-Identifier: Apache-2.0 */
#include "socket_env.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { FDS = 64 };

struct socket_env {
    struct pollfd fds[FDS];
    void *tags[FDS];
    nfds_t count;
    int user_timeout_ms;
};

static int64_t now_ms(void *self)
{
    struct timespec now;

    (void)self;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void random_bytes(void *self, void *buf, size_t len)
{
    (void)self;
    if (getrandom(buf, len, 0) != (ssize_t)len)
        abort();
}

static ssize_t result(ssize_t ret)
{
    return ret < 0 ? -errno : ret;
}

static int start_connect(void *self, const struct sockaddr *addr, socklen_t len, int *ret_fd)
{
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error;

    (void)self;
    if (fd < 0)
        return -errno;
    if (connect(fd, addr, len) != 0 && errno != EINPROGRESS) {
        error = errno;
        close(fd);
        return -error;
    }
    *ret_fd = fd;
    return 0;
}

static int connect_result(void *self, int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);

    (void)self;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 ? -errno : -error;
}

static ssize_t receive(void *self, int fd, void *buf, size_t len)
{
    (void)self;
    return result(recv(fd, buf, len, 0));
}

static ssize_t transmit(void *self, int fd, const void *buf, size_t len)
{
    (void)self;
    return result(send(fd, buf, len, MSG_NOSIGNAL));
}

static void close_fd(void *self, int fd)
{
    (void)self;
    close(fd);
}

static int poll_set(void *user, int fd, unsigned old_events, unsigned events, void *tag)
{
    struct socket_env *self = user;
    nfds_t i = 0;

    while (i < self->count && self->fds[i].fd != fd)
        i++;
    if ((i < self->count) != (old_events != 0) || i == FDS)
        abort();
    if (events == 0) {
        self->count--;
        self->fds[i] = self->fds[self->count];
        self->tags[i] = self->tags[self->count];
        return 0;
    }
    if (i == self->count)
        self->count++;
    self->fds[i] = (struct pollfd){.fd = fd};
    if (events & ETCD__READABLE)
        self->fds[i].events |= POLLIN;
    if (events & ETCD__WRITABLE)
        self->fds[i].events |= POLLOUT;
    self->tags[i] = tag;
    return 0;
}

static unsigned ready_events(short revents)
{
    if (revents & (POLLERR | POLLHUP | POLLNVAL))
        return ETCD__READABLE | ETCD__WRITABLE;
    return (revents & POLLIN ? ETCD__READABLE : 0u) | (revents & POLLOUT ? ETCD__WRITABLE : 0u);
}

static int poll_wait(void *user, struct etcd__poll_event *events, int capacity, int64_t until_ms)
{
    struct socket_env *self = user;
    int64_t left = until_ms == INT64_MAX ? -1 : until_ms - now_ms(NULL);
    int count = 0;

    if (until_ms != INT64_MAX && left < 0)
        left = 0;
    if (poll(self->fds, self->count, left > INT_MAX ? INT_MAX : (int)left) < 0)
        return errno == EINTR ? 0 : -errno;
    for (nfds_t i = 0; i < self->count && count < capacity; i++) {
        if (self->fds[i].revents != 0)
            events[count++] = (struct etcd__poll_event){self->tags[i], ready_events(self->fds[i].revents)};
    }
    return count;
}

static void poll_wake(void *self)
{
    (void)self;
}

static void poll_deadline(void *self, int64_t at_ms)
{
    (void)self;
    (void)at_ms;
}

static int poll_fd(void *self)
{
    (void)self;
    return -1;
}

static void set_user_timeout(void *user, int fd, int ms)
{
    struct socket_env *self = user;
    unsigned value = (unsigned)ms;

    if (setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, sizeof(value)) == 0)
        self->user_timeout_ms = ms;
}

static const struct etcd__env_ops socket_ops = {
    .now_ms = now_ms,
    .random = random_bytes,
    .connect = start_connect,
    .connect_result = connect_result,
    .recv = receive,
    .send = transmit,
    .close = close_fd,
    .poll_set = poll_set,
    .poll_wait = poll_wait,
    .poll_wake = poll_wake,
    .poll_deadline = poll_deadline,
    .poll_fd = poll_fd,
    .set_user_timeout = set_user_timeout,
};

struct socket_env *socket_env_new(void)
{
    struct socket_env *self = calloc(1, sizeof(*self));

    if (self == NULL)
        abort();
    return self;
}

void socket_env_free(struct socket_env *self)
{
    free(self);
}

struct etcd__env socket_env_table(struct socket_env *self)
{
    return (struct etcd__env){.ops = &socket_ops, .self = self};
}

size_t socket_env_watched(const struct socket_env *self)
{
    return self->count;
}

int socket_env_user_timeout(const struct socket_env *self)
{
    return self->user_timeout_ms;
}
