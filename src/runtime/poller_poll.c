/* SPDX-License-Identifier: Apache-2.0 */
/* The back end for systems without epoll: poll(2) over an array, a pipe for wake-ups. It has no single
 * descriptor. */
#include "runtime/poller.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

struct poll_poller {
    struct etcd__poller base;
    struct pollfd *fds; /* fds[0] is the read end of the pipe */
    void **tags;
    size_t count, capacity;
    int wake_fd;
};

static struct poll_poller *of(struct etcd__poller *poller)
{
    return ETCD__CONTAINER(poller, struct poll_poller, base);
}

static void poll_free(struct etcd__poller *base)
{
    struct poll_poller *poller = of(base);

    if (poller->count > 0)
        (void)close(poller->fds[0].fd);
    if (poller->wake_fd >= 0)
        (void)close(poller->wake_fd);
    etcd__free(poller->fds);
    etcd__free(poller->tags);
    etcd__free(poller);
}

static bool grow(struct poll_poller *poller)
{
    size_t capacity = poller->capacity == 0 ? 16 : poller->capacity * 2;
    struct pollfd *fds = etcd__realloc(poller->fds, capacity * sizeof(*fds));
    void **tags;

    if (fds == NULL)
        return false;
    poller->fds = fds;
    tags = etcd__realloc(poller->tags, capacity * sizeof(*tags));
    if (tags == NULL)
        return false;
    poller->tags = tags;
    poller->capacity = capacity;
    return true;
}

static size_t find(const struct poll_poller *poller, int fd)
{
    size_t i = 0;

    while (i < poller->count && poller->fds[i].fd != fd)
        i++;
    return i;
}

static int poll_set(struct etcd__poller *base, int fd, unsigned old_events, unsigned events, void *tag)
{
    struct poll_poller *poller = of(base);
    size_t i = old_events == 0 ? poller->count : find(poller, fd);

    if (events == 0) {
        if (i == poller->count)
            return -ENOENT;
        poller->count--;
        poller->fds[i] = poller->fds[poller->count];
        poller->tags[i] = poller->tags[poller->count];
        return 0;
    }
    if (i == poller->capacity && !grow(poller))
        return -ENOMEM;
    if (i == poller->count)
        poller->count++;
    poller->fds[i].fd = fd;
    poller->fds[i].events = (short)(((events & ETCD__READABLE) != 0 ? POLLIN : 0) |
                                    ((events & ETCD__WRITABLE) != 0 ? POLLOUT : 0));
    poller->fds[i].revents = 0;
    poller->tags[i] = tag;
    return 0;
}

static unsigned events_of(short revents)
{
    unsigned result = 0;

    if ((revents & (POLLIN | POLLERR | POLLHUP | POLLNVAL)) != 0)
        result |= ETCD__READABLE;
    if ((revents & (POLLOUT | POLLERR | POLLHUP | POLLNVAL)) != 0)
        result |= ETCD__WRITABLE;
    return result;
}

static void drain(int fd)
{
    char bytes[64];

    while (read(fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes))
        ;
}

static int poll_wait(struct etcd__poller *base, struct etcd__poll_event *events, int capacity, int timeout_ms)
{
    struct poll_poller *poller = of(base);
    int used = 0;
    int ready = poll(poller->fds, (nfds_t)poller->count, timeout_ms);

    if (ready < 0)
        return errno == EINTR ? 0 : -errno;
    for (size_t i = 0; i < poller->count && ready > 0 && used < capacity; i++) {
        if (poller->fds[i].revents == 0)
            continue;
        ready--;
        if (i == 0) {
            drain(poller->fds[0].fd);
            continue;
        }
        events[used].tag = poller->tags[i];
        events[used].events = events_of(poller->fds[i].revents);
        used++;
    }
    return used;
}

static void poll_wake(struct etcd__poller *base)
{
    char byte = 0;

    /* Fails only when the pipe is full: then it is readable anyway. */
    ssize_t written = write(of(base)->wake_fd, &byte, 1);
    (void)written;
}

static bool poll_deadline(struct etcd__poller *base, int64_t at_ms)
{
    /* Nobody can wait outside of poll_wait, which gets its time from the reactor. */
    (void)base;
    (void)at_ms;
    return false;
}

static int poll_fd(struct etcd__poller *base)
{
    (void)base;
    return -1;
}

static void poll_leave(struct etcd__poller *base)
{
    (void)base; /* the array is the child's own, and the pipe is closed with it */
}

static const struct etcd__poller_ops poll_ops = {
    .free = poll_free,
    .set = poll_set,
    .wait = poll_wait,
    .wake = poll_wake,
    .deadline = poll_deadline,
    .fd = poll_fd,
    .leave = poll_leave,
};

int etcd__poller_poll_new(struct etcd__poller **ret_poller)
{
    struct poll_poller *poller = ETCD__NEW(struct poll_poller);
    int ends[2];
    int err;

    if (poller == NULL)
        return -ENOMEM;
    poller->base.ops = &poll_ops;
    poller->wake_fd = -1;
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) {
        err = -errno;
        poll_free(&poller->base);
        return err;
    }
    poller->wake_fd = ends[1];
    err = poll_set(&poller->base, ends[0], 0, ETCD__READABLE, NULL);
    if (err != 0) {
        (void)close(ends[0]);
        poll_free(&poller->base);
        return err;
    }
    *ret_poller = &poller->base;
    return 0;
}
