/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cut_relay.h"

#include "support/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LINES_MAX = 64,
    CHUNK = 16 * 1024,
    BITS_MAX = 15, /* a connection lives for up to 2^15 bytes: some end in the first frames, some carry
                      hundreds of calls */
};

struct flow {
    size_t left; /* bytes until the cut; SIZE_MAX: none */
    size_t pos, len;
    uint8_t data[CHUNK];
};

struct line {
    int fds[2]; /* client, server */
    struct flow flows[2];
    bool reset;
};

struct cut_relay {
    struct port port;
    uint16_t to;
    int listener, wake[2];
    char endpoint[32];
    pthread_t thread;
    uint64_t random;
    struct line *lines[LINES_MAX];
    size_t line_count;
    atomic_size_t cuts;
    atomic_bool calm, held, stop;
};

/* xorshift64* */
static uint64_t draw(struct cut_relay *relay)
{
    relay->random ^= relay->random >> 12;
    relay->random ^= relay->random << 25;
    relay->random ^= relay->random >> 27;
    return relay->random * UINT64_C(2685821657736338717);
}

static size_t draw_length(struct cut_relay *relay)
{
    size_t most = (size_t)1 << (4 + draw(relay) % (BITS_MAX - 3));

    return 1 + (size_t)(draw(relay) % most);
}

static void close_line(struct line *line)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    for (int i = 0; i < 2; i++) {
        if (line->reset)
            (void)setsockopt(line->fds[i], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        close(line->fds[i]);
    }
    free(line);
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static void accept_one(struct cut_relay *relay)
{
    int on = 1, client = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC);
    int server = client < 0 || relay->line_count == LINES_MAX ? -1 : connect_to(relay->to);
    struct line *line = server < 0 ? NULL : calloc(1, sizeof(*line));

    if (line == NULL) {
        if (client >= 0)
            close(client);
        if (server >= 0)
            close(server);
        return;
    }
    (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    line->fds[0] = client;
    line->fds[1] = server;
    line->flows[0].left = line->flows[1].left = SIZE_MAX;
    if (!atomic_load(&relay->calm)) {
        line->flows[draw(relay) % 2].left = draw_length(relay);
        line->reset = draw(relay) % 2 == 0;
    }
    relay->lines[relay->line_count++] = line;
}

/* Moves what there is. False: the connection is over. */
static bool move(struct cut_relay *relay, struct line *line, int from)
{
    struct flow *flow = &line->flows[from];
    ssize_t got, sent;

    if (flow->len == 0) {
        size_t most = flow->left < CHUNK ? flow->left : CHUNK;

        got = recv(line->fds[from], flow->data, most, MSG_DONTWAIT);
        if (got < 0)
            return errno == EAGAIN || errno == EINTR;
        if (got == 0)
            return false;
        flow->len = (size_t)got;
        flow->pos = 0;
        if (flow->left != SIZE_MAX)
            flow->left -= (size_t)got;
    }
    sent = send(line->fds[1 - from], flow->data + flow->pos, flow->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR;
    flow->pos += (size_t)sent;
    flow->len -= (size_t)sent;
    if (flow->len == 0 && flow->left == 0) {
        atomic_fetch_add(&relay->cuts, 1);
        return false;
    }
    return true;
}

static size_t fill(const struct cut_relay *relay, struct pollfd *polls)
{
    size_t count = 0;

    polls[count++] = (struct pollfd){.fd = relay->wake[0], .events = POLLIN};
    if (atomic_load(&relay->held))
        return count;
    polls[count++] = (struct pollfd){.fd = relay->listener, .events = POLLIN};
    for (size_t i = 0; i < relay->line_count; i++) {
        const struct line *line = relay->lines[i];

        for (int side = 0; side < 2; side++)
            polls[count++] = (struct pollfd){
                .fd = line->fds[side],
                .events = (short)((line->flows[side].len == 0 ? POLLIN : 0) |
                                  (line->flows[1 - side].len > 0 ? POLLOUT : 0)),
            };
    }
    return count;
}

static void serve(struct cut_relay *relay, const struct pollfd *polls)
{
    size_t kept = 0;

    for (size_t i = 0; i < relay->line_count; i++) {
        struct line *line = relay->lines[i];
        bool active = polls[2 * i].revents != 0 || polls[2 * i + 1].revents != 0;

        if (active && !(move(relay, line, 0) && move(relay, line, 1)))
            close_line(line);
        else
            relay->lines[kept++] = line;
    }
    relay->line_count = kept;
}

static void *run(void *arg)
{
    struct cut_relay *relay = arg;
    struct pollfd polls[2 + 2 * LINES_MAX];

    while (!atomic_load(&relay->stop)) {
        size_t count = fill(relay, polls);
        char woken;

        (void)poll(polls, (nfds_t)count, -1);
        if (polls[0].revents != 0 && read(relay->wake[0], &woken, 1) < 0)
            abort();
        if (count == 1)
            continue;
        serve(relay, polls + 2);
        if (polls[1].revents != 0)
            accept_one(relay);
    }
    return NULL;
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0 && listen(fd, 128) == 0)
        return fd;
    perror("cut relay");
    if (fd >= 0)
        close(fd);
    return -1;
}

static void release(struct cut_relay *relay)
{
    for (size_t i = 0; i < relay->line_count; i++)
        close_line(relay->lines[i]);
    if (relay->listener >= 0)
        close(relay->listener);
    for (int i = 0; i < 2; i++)
        if (relay->wake[i] >= 0)
            close(relay->wake[i]);
    port_release(&relay->port);
    free(relay);
}

struct cut_relay *cut_relay_start(const char *endpoint, uint64_t seed)
{
    const char *colon = strrchr(endpoint, ':');
    struct cut_relay *relay = calloc(1, sizeof(*relay));

    if (relay == NULL || colon == NULL)
        abort();
    relay->to = (uint16_t)strtoul(colon + 1, NULL, 10);
    relay->random = seed == 0 ? 1 : seed;
    relay->listener = relay->wake[0] = relay->wake[1] = -1;
    if (port_hold(&relay->port) && pipe2(relay->wake, O_CLOEXEC) == 0 &&
        (relay->listener = listen_on(relay->port.number)) >= 0) {
        (void)snprintf(relay->endpoint, sizeof(relay->endpoint), "127.0.0.1:%u",
                       (unsigned)relay->port.number);
        if (pthread_create(&relay->thread, NULL, run, relay) == 0)
            return relay;
    }
    release(relay);
    return NULL;
}

const char *cut_relay_endpoint(const struct cut_relay *relay)
{
    return relay->endpoint;
}

size_t cut_relay_cuts(const struct cut_relay *relay)
{
    return atomic_load(&relay->cuts);
}

void cut_relay_calm(struct cut_relay *relay)
{
    atomic_store(&relay->calm, true);
}

static void wake(struct cut_relay *relay)
{
    if (write(relay->wake[1], "", 1) != 1)
        abort();
}

void cut_relay_hold(struct cut_relay *relay, bool held)
{
    atomic_store(&relay->held, held);
    wake(relay);
}

void cut_relay_stop(struct cut_relay *relay)
{
    if (relay == NULL)
        return;
    atomic_store(&relay->stop, true);
    wake(relay);
    (void)pthread_join(relay->thread, NULL);
    release(relay);
}

uint64_t cut_relay_seed(void)
{
    const char *given = getenv("ETCDC_TEST_SEED");
    uint64_t seed = 1;

    if (given != NULL)
        seed = strtoull(given, NULL, 10);
    else if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        seed = (uint64_t)getpid();
    printf("ETCDC_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}
