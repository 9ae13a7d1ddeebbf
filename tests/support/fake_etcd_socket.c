/* SPDX-License-Identifier: Apache-2.0 */
/* The fake server on a real loopback socket, in a thread of its own. */
#include "support/fake_etcd_core.h"

#include "support/ports.h"
#include "support/process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_SOCKETS = 64 };

struct socket_line {
    struct fake_line line;
    int fd;
    uint8_t *out;
    size_t out_pos, out_len;
    bool ending; /* closes when its output is written */
};

struct fake_network {
    struct port port;
    pthread_t thread;
    int listener; /* -1: not listening */
    int wake[2];
    bool stop, frozen, split;
};

static struct socket_line *of(struct fake_line *line)
{
    return (struct socket_line *)(void *)line;
}

static void wake(struct fake_etcd *fake)
{
    ssize_t written = write(fake->network->wake[1], "", 1);

    (void)written;
}

static int64_t real_now_ms(struct fake_etcd *fake)
{
    (void)fake;
    return test_now_ms();
}

static void remind(struct fake_etcd *fake, int64_t at_ms)
{
    (void)fake; /* steps are added by the thread itself, which asks before it sleeps */
    (void)at_ms;
}

/* ---- the listener ----------------------------------------------------------------------------------------
 */

static int open_listener(uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 || listen(fd, 128) != 0)
        abort();
    return fd;
}

static void accept_all(struct fake_etcd *fake)
{
    int on = 1;

    for (;;) {
        int fd = accept4(fake->network->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct socket_line *line;

        if (fd < 0)
            return;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        line = calloc(1, sizeof(*line));
        if (line == NULL)
            abort();
        fake_core_add_line(fake, &line->line);
        line->fd = fd;
    }
}

/* ---- lines ------------------------------------------------------------------------------------------------
 */

static void close_line(struct socket_line *line)
{
    fake_core_drop_line(&line->line);
    (void)close(line->fd);
    free(line->out);
    free(line);
}

static void fill_output(struct socket_line *line)
{
    uint8_t chunk[16384];
    size_t len;

    while ((len = h2_server_take(line->line.server, chunk, sizeof(chunk))) > 0) {
        line->out = realloc(line->out, line->out_len + len);
        if (line->out == NULL)
            abort();
        memcpy(line->out + line->out_len, chunk, len);
        line->out_len += len;
    }
}

/* False: closed. */
static bool write_line(struct socket_line *line, bool split)
{
    static const char noise[] = "HTTP/1.1 400 Bad Request\r\n\r\n";

    fill_output(line);
    while (line->out_pos < line->out_len) {
        size_t left = line->out_len - line->out_pos;
        ssize_t sent = send(line->fd, line->out + line->out_pos, split ? 1 : left, MSG_NOSIGNAL);

        if (sent < 0 && errno != EAGAIN) {
            close_line(line);
            return false;
        }
        if (sent < 0)
            return true;
        line->out_pos += (size_t)sent;
        if (split)
            return true; /* the next byte in the next round */
    }
    line->out_pos = line->out_len = 0;
    if (line->line.noise)
        (void)send(line->fd, noise, sizeof(noise) - 1, MSG_NOSIGNAL);
    if (line->ending || line->line.cut || line->line.noise) {
        close_line(line);
        return false;
    }
    return true;
}

/* False: closed. */
static bool read_line(struct socket_line *line)
{
    uint8_t buf[16384];

    for (;;) {
        ssize_t got = recv(line->fd, buf, sizeof(buf), 0);

        if (got < 0 && errno == EAGAIN)
            return true;
        if (got <= 0) {
            close_line(line);
            return false;
        }
        if (!fake_core_feed(&line->line, buf, (size_t)got))
            line->ending = true;
    }
}

/* ---- the thread
 * -------------------------------------------------------------------------------------------- */

static size_t fill_polls(struct fake_etcd *fake, struct pollfd *polls, struct socket_line **lines)
{
    struct fake_network *network = fake->network;
    size_t count = 0;

    polls[count++] = (struct pollfd){.fd = network->wake[0], .events = POLLIN};
    polls[count++] = (struct pollfd){.fd = network->frozen ? -1 : network->listener, .events = POLLIN};
    for (struct fake_line *line = fake->lines; line != NULL && !network->frozen && count < MAX_SOCKETS;
         line = line->next) {
        struct socket_line *socket_line = of(line);

        lines[count] = socket_line;
        polls[count++] = (struct pollfd){
            .fd = socket_line->fd,
            .events = (short)(POLLIN | (socket_line->out_pos < socket_line->out_len ? POLLOUT : 0)),
        };
    }
    return count;
}

static int time_left(struct fake_etcd *fake)
{
    int64_t next_ms = fake_core_next_ms(fake);
    int64_t left = next_ms - test_now_ms();

    if (next_ms == INT64_MAX)
        return -1;
    return left < 0 ? 0 : (int)left;
}

static void drain_wake(struct fake_network *network)
{
    char bytes[64];

    while (read(network->wake[0], bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes))
        ;
}

static void write_all(struct fake_etcd *fake)
{
    struct fake_line *next;

    for (struct fake_line *line = fake->lines; line != NULL; line = next) {
        next = line->next;
        (void)write_line(of(line), fake->network->split);
    }
}

static void serve(struct fake_etcd *fake, const struct pollfd *polls, struct socket_line **lines,
                  size_t count)
{
    struct fake_network *network = fake->network;

    if (polls[0].revents != 0)
        drain_wake(network);
    if (network->frozen)
        return;
    if (polls[1].revents != 0 && network->listener >= 0)
        accept_all(fake);
    for (size_t i = 2; i < count; i++) {
        if ((polls[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
            (void)read_line(lines[i]);
    }
    fake_core_run_due(fake);
    write_all(fake);
}

static void *thread_main(void *arg)
{
    struct fake_etcd *fake = arg;
    struct fake_network *network = fake->network;
    struct pollfd polls[MAX_SOCKETS];
    struct socket_line *lines[MAX_SOCKETS];

    (void)pthread_mutex_lock(&fake->mutex);
    while (!network->stop) {
        size_t count = fill_polls(fake, polls, lines);
        int timeout = network->frozen ? -1 : time_left(fake);

        (void)pthread_mutex_unlock(&fake->mutex);
        (void)poll(polls, (nfds_t)count, timeout);
        (void)pthread_mutex_lock(&fake->mutex);
        serve(fake, polls, lines, count);
    }
    while (fake->lines != NULL)
        close_line(of(fake->lines));
    (void)pthread_mutex_unlock(&fake->mutex);
    return NULL;
}

static void free_network(struct fake_etcd *fake)
{
    struct fake_network *network = fake->network;

    (void)pthread_mutex_lock(&fake->mutex);
    network->stop = true;
    (void)pthread_mutex_unlock(&fake->mutex);
    wake(fake);
    (void)pthread_join(network->thread, NULL);
    if (network->listener >= 0)
        (void)close(network->listener);
    (void)close(network->wake[0]);
    (void)close(network->wake[1]);
    port_release(&network->port);
    free(network);
}

struct fake_etcd *fake_etcd_start(void)
{
    struct fake_etcd *fake = fake_core_new();
    struct fake_network *network = calloc(1, sizeof(*network));

    if (network == NULL || !port_hold(&network->port) || pipe2(network->wake, O_CLOEXEC | O_NONBLOCK) != 0)
        abort();
    fake->network = network;
    fake->now_ms = real_now_ms;
    fake->remind = remind;
    fake->free_network = free_network;
    network->listener = open_listener(network->port.number);
    (void)snprintf(fake->endpoint, sizeof(fake->endpoint), "127.0.0.1:%u", (unsigned)network->port.number);
    if (pthread_create(&network->thread, NULL, thread_main, fake) != 0)
        abort();
    return fake;
}

/* ---- mischief
 * ---------------------------------------------------------------------------------------------- */

void fake_etcd_cut(struct fake_etcd *fake)
{
    (void)pthread_mutex_lock(&fake->mutex);
    for (struct fake_line *line = fake->lines; line != NULL; line = line->next)
        line->cut = true;
    (void)pthread_mutex_unlock(&fake->mutex);
    wake(fake);
}

void fake_etcd_listen(struct fake_etcd *fake, bool on)
{
    struct fake_network *network = fake->network;

    (void)pthread_mutex_lock(&fake->mutex);
    if (!on && network->listener >= 0) {
        /* Before the close: the thread may be polling it. */
        (void)shutdown(network->listener, SHUT_RDWR);
        (void)close(network->listener);
        network->listener = -1;
    } else if (on && network->listener < 0) {
        network->listener = open_listener(network->port.number);
    }
    (void)pthread_mutex_unlock(&fake->mutex);
    wake(fake);
}

void fake_etcd_freeze(struct fake_etcd *fake, bool frozen)
{
    (void)pthread_mutex_lock(&fake->mutex);
    fake->network->frozen = frozen;
    (void)pthread_mutex_unlock(&fake->mutex);
    wake(fake);
}

void fake_etcd_split(struct fake_etcd *fake, bool split)
{
    (void)pthread_mutex_lock(&fake->mutex);
    fake->network->split = split;
    (void)pthread_mutex_unlock(&fake->mutex);
}

/* ---- a black hole
 * ------------------------------------------------------------------------------------------ */

void black_hole_open(struct black_hole *hole)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t len = sizeof(addr);

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    hole->fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (hole->fds[0] < 0 || bind(hole->fds[0], (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
        listen(hole->fds[0], 0) != 0 || getsockname(hole->fds[0], (struct sockaddr *)&addr, &len) != 0)
        abort();
    (void)snprintf(hole->endpoint, sizeof(hole->endpoint), "127.0.0.1:%u", (unsigned)ntohs(addr.sin_port));
    /* Nobody accepts: once the queue is full, further SYNs are dropped. */
    for (hole->count = 1; hole->count < sizeof(hole->fds) / sizeof(hole->fds[0]); hole->count++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
            abort();
        (void)connect(fd, (struct sockaddr *)&addr, sizeof(addr));
        hole->fds[hole->count] = fd;
    }
}

void black_hole_close(struct black_hole *hole)
{
    for (size_t i = 0; i < hole->count; i++)
        (void)close(hole->fds[i]);
    hole->count = 0;
}
