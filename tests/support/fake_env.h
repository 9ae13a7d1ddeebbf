/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scripted world for the engine: an environment table with a virtual clock,
 * an in-memory network, scripted names and seeded chance. Nothing here waits:
 * where poll_wait would block, the clock jumps to the next thing that happens. The
 * same script and seed give the same run, always.
 *
 *   struct fake_env *fake = fake_env_new(1);
 *   struct fake_host *host = fake_host_add(fake, "192.0.2.1", 2379);
 *   host->on_data = answer;
 *   etcd__reactor_init(&reactor, fake_env_table(fake));
 *   while (!done)
 *       assert_int_equal(etcd__reactor_turn(&reactor, INT64_MAX), 0);
 *   fake_env_free(fake);
 *
 * poll_wait answers -EDEADLK when it would wait forever. Single-threaded; its own
 * memory comes from malloc, so alloc_fail.h does not see it.
 */
#ifndef TESTS_SUPPORT_FAKE_ENV_H
#define TESTS_SUPPORT_FAKE_ENV_H

#include "base/env.h"

struct fake_env;

/* The server's end of one connection. Lives until fake_env_free(). */
struct fake_peer;

enum fake_answer {
    FAKE_ACCEPT,
    FAKE_REFUSE,     /* -ECONNREFUSED, after connect_ms */
    FAKE_BLACK_HOLE, /* no answer, ever */
};

/*
 * One address and port that can be connected to. All fields may be set at any time
 * and apply from then on. The callbacks run inside poll_wait, never inside a
 * call of the engine; they may use the functions below.
 */
struct fake_host {
    enum fake_answer answer;
    int64_t connect_ms; /* how long it takes until a connection is made or refused */
    int64_t delay_ms;   /* of bytes, each way; they never overtake each other */
    size_t window;      /* bytes the client may have sent that the server has not read (64 KiB) */
    void (*on_accept)(struct fake_peer *peer);
    void (*on_data)(struct fake_peer *peer); /* bytes came, or the client closed */
    void *user;
};

struct fake_env *fake_env_new(uint64_t seed);
void fake_env_free(struct fake_env *fake);
struct etcd__env fake_env_table(struct fake_env *fake);

int64_t fake_now(const struct fake_env *fake);
/* Lets time pass without anybody looking: a suspended machine, a process that was stopped. */
void fake_pass(struct fake_env *fake, int64_t ms);
/* Calls fn at that time, from poll_wait. */
void fake_at(struct fake_env *fake, int64_t at_ms, void (*fn)(void *user), void *user);
/* The most bytes that one recv and one send move; SIZE_MAX is the default, 1 feeds byte by byte. */
void fake_limit_io(struct fake_env *fake, size_t recv_max, size_t send_max);

/* A numeric IPv4 or IPv6 address. Where no host is, connections are refused. Accepts by default. */
struct fake_host *fake_host_add(struct fake_env *fake, const char *ip, uint16_t port);
/* The n-th connection that the host accepted, from 0; NULL when there is none. */
struct fake_peer *fake_host_peer(struct fake_host *host, size_t n);

/* A name. Call it again for the same name to add an address; ip NULL: the name has none. */
void fake_name_add(struct fake_env *fake, const char *name, const char *ip);
/* An SRV record more of a service ("_etcd-client._tcp.example"); target NULL: it has none any more. */
void fake_service_add(struct fake_env *fake, const char *service, const char *target, uint16_t port,
                      uint16_t priority);
/* Lets the look-up of a name or service take time, and fail when error is not NULL. */
void fake_name_script(struct fake_env *fake, const char *name, int64_t delay_ms, const char *error);

struct fake_host *fake_peer_host(const struct fake_peer *peer);
/* Takes up to `size` bytes that came from the client. Never blocks. */
size_t fake_peer_read(struct fake_peer *peer, void *buf, size_t size);
/* Everything goes out, after the host's delay. */
void fake_peer_write(struct fake_peer *peer, const void *data, size_t len);
/* The client reads the end of the stream after what was written before. */
void fake_peer_close(struct fake_peer *peer);
/* The client's next recv and send fail with -ECONNRESET. */
void fake_peer_reset(struct fake_peer *peer);
/* From now on nothing gets through in either direction, and nobody is told. */
void fake_peer_drop(struct fake_peer *peer);
/* Whether the client closed its end. What it sent before can still be read. */
bool fake_peer_ended(const struct fake_peer *peer);

/* Sockets that the engine opened and did not close. */
size_t fake_open_sockets(const struct fake_env *fake);
/* Calls with a descriptor that is not open, or with wrong old events: 0 in a sound engine. */
size_t fake_misuses(const struct fake_env *fake);

#endif
