/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One epoll set holds the sockets, a timerfd for the deadline and an eventfd for wake-ups, so its
 * own descriptor is readable whenever there is something to do.
 *
 * The timer is set lazily: only to an earlier time than it already has. Deadlines of calls move forward
 * all the time; an early, spurious expiry every few seconds is cheaper than a system call for each. A wait
 * relies on it and has no time limit of its own, which would be one more timer for the kernel to set.
 *
 * Timer and wake-ups are edge-triggered: each expiry and each write to the eventfd is told once, without a
 * read() to make it stop.
 */
#include "runtime/poller.h"

#include "base/mem.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { EPOLL_BATCH = 64 };

struct epoll_poller {
    struct etcd__poller base;
    int epoll_fd, timer_fd, event_fd;
    int64_t armed_ms;  /* what the timer is set to; INT64_MAX: not */
    atomic_bool woken; /* a wake-up has not been told yet: another would say nothing new */
};

static struct epoll_poller *of(struct etcd__poller *poller)
{
    return ETCD__CONTAINER(poller, struct epoll_poller, base);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static void epoll_leave(struct etcd__poller *base)
{
    struct epoll_poller *poller = of(base);

    close_fd(&poller->epoll_fd);
    close_fd(&poller->timer_fd);
    close_fd(&poller->event_fd);
}

static void epoll_free(struct etcd__poller *base)
{
    epoll_leave(base);
    etcd__free(of(base));
}

static int epoll_set(struct etcd__poller *base, int fd, unsigned old_events, unsigned events, void *tag)
{
    struct epoll_event event = {.data.ptr = tag};
    int op = old_events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;

    if ((events & ETCD__READABLE) != 0)
        event.events |= EPOLLIN;
    if ((events & ETCD__WRITABLE) != 0)
        event.events |= EPOLLOUT;
    return epoll_ctl(of(base)->epoll_fd, op, fd, &event) == 0 ? 0 : -errno;
}

static unsigned events_of(uint32_t events)
{
    unsigned result = 0;

    if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0)
        result |= ETCD__READABLE;
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
        result |= ETCD__WRITABLE;
    return result;
}

static int epoll_wait_events(struct etcd__poller *base, struct etcd__poll_event *events, int capacity,
                             int timeout_ms)
{
    struct epoll_poller *poller = of(base);
    struct epoll_event batch[EPOLL_BATCH];
    int count, used = 0;

    count = epoll_wait(poller->epoll_fd, batch, capacity < EPOLL_BATCH ? capacity : EPOLL_BATCH, timeout_ms);
    if (count < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        if (batch[i].data.ptr == &poller->timer_fd) {
            poller->armed_ms = INT64_MAX;
        } else if (batch[i].data.ptr == &poller->event_fd) {
            (void)atomic_exchange(&poller->woken, false);
        } else {
            events[used].tag = batch[i].data.ptr;
            events[used].events = events_of(batch[i].events);
            used++;
        }
    }
    return used;
}

static void epoll_wake(struct etcd__poller *base)
{
    struct epoll_poller *poller = of(base);
    uint64_t one = 1;

    /* Fails only when the counter is full, which takes longer than a process lives. */
    if (!atomic_exchange(&poller->woken, true)) {
        ssize_t written = write(poller->event_fd, &one, sizeof(one));

        (void)written;
    }
}

static bool epoll_deadline(struct etcd__poller *base, int64_t at_ms)
{
    struct epoll_poller *poller = of(base);
    struct itimerspec spec = {0};

    if (at_ms >= poller->armed_ms)
        return true;
    if (at_ms < 1)
        at_ms = 1; /* zero would disarm */
    spec.it_value.tv_sec = (time_t)(at_ms / 1000);
    spec.it_value.tv_nsec = (long)(at_ms % 1000) * 1000000L;
    if (timerfd_settime(poller->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) != 0)
        return false;
    poller->armed_ms = at_ms;
    return true;
}

static int epoll_fd(struct etcd__poller *base)
{
    return of(base)->epoll_fd;
}

/* Edge-triggered. 0 or a negative errno. */
static int add_own(struct epoll_poller *poller, int *fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = fd};

    return epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, *fd, &event) == 0 ? 0 : -errno;
}

static const struct etcd__poller_ops epoll_ops = {
    .free = epoll_free,
    .set = epoll_set,
    .wait = epoll_wait_events,
    .wake = epoll_wake,
    .deadline = epoll_deadline,
    .fd = epoll_fd,
    .leave = epoll_leave,
};

int etcd__poller_epoll_new(struct etcd__poller **ret_poller)
{
    struct epoll_poller *poller = ETCD__NEW(struct epoll_poller);
    int err = 0;

    if (poller == NULL)
        return -ENOMEM;
    poller->base.ops = &epoll_ops;
    poller->armed_ms = INT64_MAX;
    atomic_init(&poller->woken, false);
    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    poller->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    poller->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (poller->epoll_fd < 0 || poller->timer_fd < 0 || poller->event_fd < 0)
        err = -errno;
    if (err == 0)
        err = add_own(poller, &poller->timer_fd);
    if (err == 0)
        err = add_own(poller, &poller->event_fd);
    if (err != 0) {
        epoll_free(&poller->base);
        return err;
    }
    *ret_poller = &poller->base;
    return 0;
}
