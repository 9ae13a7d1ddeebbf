/* SPDX-License-Identifier: Apache-2.0 */
#include "support/peer_relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ROUTES_MAX = 8,
    CONNECTIONS_MAX = 256,
    CHUNK = 32 * 1024,
    ID_SIZE = 20, /* sixteen hexadecimal digits */
};

struct direction {
    size_t pos, len; /* what was read and is not yet written */
    char data[CHUNK];
};

struct connection {
    int caller_fd, callee_fd;
    size_t callee;
    char caller_id[ID_SIZE]; /* "": not known yet */
    struct direction there, back;
};

struct peer_relay {
    struct peer_route routes[ROUTES_MAX];
    int listeners[ROUTES_MAX];
    size_t route_count;
    int stop; /* an eventfd */
    pthread_t thread;
    pthread_mutex_t mutex; /* guards what is below; the thread gives it up while it waits */
    char ids[ROUTES_MAX][ID_SIZE];
    bool cut[ROUTES_MAX];
    struct connection *connections[CONNECTIONS_MAX];
    size_t connection_count;
};

static bool may_pass(const struct peer_relay *relay, const struct connection *connection)
{
    if (relay->cut[connection->callee])
        return false;
    for (size_t i = 0; i < relay->route_count; i++)
        if (relay->cut[i] && strcmp(relay->ids[i], connection->caller_id) == 0)
            return false;
    return true;
}

/* Copies the value of a header when this chunk has it. */
static void find_header(const struct direction *chunk, const char *name, char *id)
{
    const char *found = memmem(chunk->data, chunk->len, name, strlen(name));
    if (found == NULL)
        return;
    const char *value = found + strlen(name);
    size_t left = (size_t)(chunk->data + chunk->len - value);
    size_t len = 0;
    while (len < left && len + 1 < ID_SIZE && value[len] != '\r')
        len++;
    memcpy(id, value, len);
    id[len] = '\0';
}

/* etcd writes a request's head in one piece, so it lies whole in one chunk. */
static void learn(struct peer_relay *relay, struct connection *connection)
{
    if (connection->caller_id[0] == '\0')
        find_header(&connection->there, "X-Server-From: ", connection->caller_id);
    if (relay->ids[connection->callee][0] == '\0')
        find_header(&connection->there, "X-Raft-To: ", relay->ids[connection->callee]);
}

/* False when the connection is over. */
static bool pump(int from, int to, struct direction *direction)
{
    while (direction->pos < direction->len) {
        ssize_t sent = send(to, direction->data + direction->pos, direction->len - direction->pos,
                            MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN || errno == ENOTCONN || errno == EINTR;
        direction->pos += (size_t)sent;
    }
    direction->pos = direction->len = 0;
    ssize_t got = recv(from, direction->data, sizeof(direction->data), 0);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    direction->len = (size_t)got;
    return got > 0;
}

static bool serve(struct peer_relay *relay, struct connection *connection)
{
    if (!may_pass(relay, connection))
        return false;
    if (!pump(connection->caller_fd, connection->callee_fd, &connection->there))
        return false;
    learn(relay, connection);
    return may_pass(relay, connection) &&
           pump(connection->callee_fd, connection->caller_fd, &connection->back);
}

static void close_connection(struct connection *connection)
{
    close(connection->caller_fd);
    close(connection->callee_fd);
    free(connection);
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void accept_one(struct peer_relay *relay, size_t route)
{
    int caller = accept4(relay->listeners[route], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (caller < 0)
        return;
    struct sockaddr_in addr = loopback(relay->routes[route].to);
    int callee = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL || callee < 0 || relay->cut[route] || relay->connection_count == CONNECTIONS_MAX ||
        (connect(callee, (const struct sockaddr *)&addr, sizeof(addr)) != 0 && errno != EINPROGRESS)) {
        free(connection);
        close(caller);
        if (callee >= 0)
            close(callee);
        return;
    }
    connection->caller_fd = caller;
    connection->callee_fd = callee;
    connection->callee = route;
    relay->connections[relay->connection_count++] = connection;
}

static void serve_all(struct peer_relay *relay, const struct pollfd *pollers)
{
    size_t kept = 0;
    size_t count = relay->connection_count;
    for (size_t i = 0; i < count; i++) {
        struct connection *connection = relay->connections[i];
        bool alive = true;
        if (pollers[2 * i].revents != 0 || pollers[2 * i + 1].revents != 0)
            alive = serve(relay, connection);
        if (alive)
            relay->connections[kept++] = connection;
        else
            close_connection(connection);
    }
    relay->connection_count = kept;
}

static short events_of(const struct direction *in, const struct direction *out)
{
    return (short)((in->len == 0 ? POLLIN : 0) | (out->len != 0 ? POLLOUT : 0));
}

/* The stop event, the listeners, then two entries for each connection. */
static size_t fill_pollers(const struct peer_relay *relay, struct pollfd *pollers)
{
    size_t count = 0;
    pollers[count++] = (struct pollfd){.fd = relay->stop, .events = POLLIN};
    for (size_t i = 0; i < relay->route_count; i++)
        pollers[count++] = (struct pollfd){.fd = relay->listeners[i], .events = POLLIN};
    for (size_t i = 0; i < relay->connection_count; i++) {
        const struct connection *connection = relay->connections[i];
        pollers[count++] = (struct pollfd){.fd = connection->caller_fd,
                                           .events = events_of(&connection->there, &connection->back)};
        pollers[count++] = (struct pollfd){.fd = connection->callee_fd,
                                           .events = events_of(&connection->back, &connection->there)};
    }
    return count;
}

static void *run(void *user)
{
    struct peer_relay *relay = user;
    struct pollfd pollers[1 + ROUTES_MAX + 2 * CONNECTIONS_MAX];
    pthread_mutex_lock(&relay->mutex);
    for (;;) {
        size_t count = fill_pollers(relay, pollers);
        pthread_mutex_unlock(&relay->mutex);
        poll(pollers, count, -1);
        pthread_mutex_lock(&relay->mutex);
        if (pollers[0].revents != 0)
            break;
        serve_all(relay, pollers + 1 + relay->route_count);
        for (size_t i = 0; i < relay->route_count; i++)
            if (pollers[1 + i].revents != 0)
                accept_one(relay, i);
    }
    pthread_mutex_unlock(&relay->mutex);
    return NULL;
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in addr = loopback(port);
    int yes = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
        bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    perror("relay");
    if (fd >= 0)
        close(fd);
    return -1;
}

/* The thread takes no signal: they are the test's. */
static bool start_thread(struct peer_relay *relay)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&relay->thread, NULL, run, relay);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0;
}

static void release(struct peer_relay *relay)
{
    for (size_t i = 0; i < relay->connection_count; i++)
        close_connection(relay->connections[i]);
    for (size_t i = 0; i < relay->route_count; i++)
        close(relay->listeners[i]);
    if (relay->stop >= 0)
        close(relay->stop);
    pthread_mutex_destroy(&relay->mutex);
    free(relay);
}

struct peer_relay *peer_relay_start(const struct peer_route *routes, size_t count)
{
    struct peer_relay *relay = count <= ROUTES_MAX ? calloc(1, sizeof(*relay)) : NULL;
    if (relay == NULL)
        return NULL;
    pthread_mutex_init(&relay->mutex, NULL);
    relay->stop = eventfd(0, EFD_CLOEXEC);
    bool ok = relay->stop >= 0;
    for (size_t i = 0; ok && i < count; i++) {
        relay->routes[i] = routes[i];
        relay->listeners[i] = listen_on(routes[i].from);
        ok = relay->listeners[i] >= 0;
        relay->route_count += ok ? 1 : 0;
    }
    if (ok && start_thread(relay))
        return relay;
    release(relay);
    return NULL;
}

void peer_relay_stop(struct peer_relay *relay)
{
    if (relay == NULL)
        return;
    eventfd_write(relay->stop, 1);
    pthread_join(relay->thread, NULL);
    release(relay);
}

bool peer_relay_cut(struct peer_relay *relay, size_t member)
{
    pthread_mutex_lock(&relay->mutex);
    bool known = relay->ids[member][0] != '\0';
    relay->cut[member] = known;
    for (size_t i = 0; known && i < relay->connection_count; i++) {
        struct connection *connection = relay->connections[i];
        /* Whose caller is not known yet is ended too: it comes again and shows who it is. */
        if (connection->caller_id[0] == '\0' || !may_pass(relay, connection)) {
            shutdown(connection->caller_fd, SHUT_RDWR);
            shutdown(connection->callee_fd, SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&relay->mutex);
    if (!known)
        fprintf(stderr, "relay: member %zu was never called by the others\n", member);
    return known;
}

bool peer_relay_heal(struct peer_relay *relay)
{
    pthread_mutex_lock(&relay->mutex);
    memset(relay->cut, 0, sizeof(relay->cut));
    pthread_mutex_unlock(&relay->mutex);
    return true;
}
