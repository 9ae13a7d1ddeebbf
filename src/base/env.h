/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment table: all that the engine gets from outside. Time, chance,
 * names, sockets and readiness come in through these functions and no other
 * way, so that a test can run the engine on a virtual clock and a scripted
 * network. runtime/ makes the table of the real system.
 *
 * Results are 0 or a positive count on success and a negative errno on failure.
 * Nothing here blocks but poll_wait.
 */
#ifndef ETCD__BASE_ENV_H
#define ETCD__BASE_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

enum {
    ETCD__READABLE = 1u << 0,
    ETCD__WRITABLE = 1u << 1,
};

struct etcd__poll_event {
    void *tag;       /* as given to poll_set */
    unsigned events; /* ETCD__READABLE | ETCD__WRITABLE; errors and hang-ups count as both */
};

/* The answer to a name look-up. On failure `count` is 0 and `error` says why. Borrowed. */
struct etcd__addresses {
    const struct sockaddr_storage *list; /* in the order in which to try; ports are set */
    size_t count;
    const char *error;
};

/* One SRV record. */
struct etcd__srv_record {
    uint16_t priority, weight, port;
    char target[256]; /* a host name, without a dot at its end */
};

/* The answer to a service look-up. On failure `count` is 0 and `error` says why. Borrowed. */
struct etcd__services {
    const struct etcd__srv_record *list; /* as they were in the answer */
    size_t count;
    const char *error;
};

typedef void etcd__services_fn(void *user, const struct etcd__services *services);
typedef void etcd__resolved_fn(void *user, const struct etcd__addresses *addresses);

struct etcd__env_ops {
    /* Milliseconds that pass during suspend too (CLOCK_BOOTTIME) and never go back. */
    int64_t (*now_ms)(void *self);
    /* Fills buf with unpredictable bytes. */
    void (*random)(void *self, void *buf, size_t len);

    /* Starts to connect a non-blocking, close-on-exec socket. 0 also while it goes on. */
    int (*connect)(void *self, const struct sockaddr *addr, socklen_t len, int *ret_fd);
    /* Once writable: 0, or why connecting failed. */
    int (*connect_result)(void *self, int fd);
    /* Bytes, 0 at the end of the stream, -EAGAIN when there are none now. */
    ssize_t (*recv)(void *self, int fd, void *buf, size_t len);
    /* Bytes, -EAGAIN when there is no room now. Never raises SIGPIPE. */
    ssize_t (*send)(void *self, int fd, const void *buf, size_t len);
    void (*close)(void *self, int fd);

    /* Adds (old = 0), changes or removes (events = 0) the interest in a descriptor; level-triggered. */
    int (*poll_set)(void *self, int fd, unsigned old_events, unsigned events, void *tag);
    /*
     * Waits until a descriptor is ready, poll_wake was called or the time given
     * to poll_deadline came, at most until `until_ms` (INT64_MAX: no limit; a time in
     * the past: look, do not wait). Returns how many events were written; 0 is no error.
     */
    int (*poll_wait)(void *self, struct etcd__poll_event *events, int capacity, int64_t until_ms);
    /* Ends a poll_wait early, the next one too if none is running. From any thread. */
    void (*poll_wake)(void *self);
    /* Makes poll_fd readable at this time (INT64_MAX: never). */
    void (*poll_deadline)(void *self, int64_t at_ms);
    /* One descriptor that is readable when poll_wait has something to say; -1 when the back end has none. */
    int (*poll_fd)(void *self);

    /*
     * Looks a host name up; NULL in the table means the real resolver of net/. Calls `fn`
     * once, later, unless cancelled with resolve_cancel(*ret_handle).
     */
    int (*resolve)(void *self, const char *host, uint16_t port, etcd__resolved_fn *fn, void *user,
                   void **ret_handle);
    void (*resolve_cancel)(void *self, void *handle);
    /* Looks a service up ("_etcd-client._tcp.example.com"); set iff resolve is, cancelled in the same way. */
    int (*resolve_srv)(void *self, const char *service, etcd__services_fn *fn, void *user, void **ret_handle);

    /* Limits how long sent bytes of a TCP socket may stay unacknowledged (TCP_USER_TIMEOUT). May be NULL. */
    void (*set_user_timeout)(void *self, int fd, int ms);
};

struct etcd__env {
    const struct etcd__env_ops *ops;
    void *self;
};

#endif
