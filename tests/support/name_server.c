/* SPDX-License-Identifier: Apache-2.0 */
#include "support/name_server.h"

#include "support/test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_SIZE = 1024, TYPE_A = 1, TYPE_AAAA = 28, TYPE_SRV = 33 };

void name_server_open(struct name_server *server)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);

    memset(server, 0, sizeof(*server));
    server->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(server->fd >= 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&addr, &len), 0);
    (void)snprintf(server->place, sizeof(server->place), "127.0.0.1:%u", (unsigned)ntohs(addr.sin_port));
}

void name_server_close(struct name_server *server)
{
    if (server->running) {
        (void)close(server->stop_fds[1]);
        assert_int_equal(pthread_join(server->thread, NULL), 0);
        (void)close(server->stop_fds[0]);
    }
    (void)close(server->fd);
}

/* ---- what it knows --------------------------------------------------------------------------------- */

static struct name_record *add(struct name_server *server, const char *name, uint16_t type)
{
    struct name_record *record = &server->records[server->count++];

    assert_true(server->count <= NAME_SERVER_RECORDS && !server->running);
    (void)snprintf(record->name, sizeof(record->name), "%s", name);
    record->type = type;
    return record;
}

void name_server_host(struct name_server *server, const char *name, const char *ip)
{
    uint16_t type = ip == NULL ? 0 : strchr(ip, ':') != NULL ? TYPE_AAAA : TYPE_A;
    struct name_record *record = add(server, name, type);

    if (ip == NULL)
        return;
    assert_int_equal(inet_pton(type == TYPE_A ? AF_INET : AF_INET6, ip, record->data), 1);
    record->len = type == TYPE_A ? 4 : 16;
}

static void put16(struct name_record *record, unsigned value)
{
    record->data[record->len++] = (uint8_t)(value >> 8);
    record->data[record->len++] = (uint8_t)value;
}

void name_server_service(struct name_server *server, const char *service, uint16_t priority, uint16_t port,
                         const char *target)
{
    struct name_record *record = add(server, service, TYPE_SRV);

    put16(record, priority);
    put16(record, 0); /* weight */
    put16(record, port);
    while (*target != '\0') {
        size_t len = strcspn(target, ".");

        assert_true(record->len + len + 2 < sizeof(record->data));
        record->data[record->len++] = (uint8_t)len;
        memcpy(record->data + record->len, target, len);
        record->len += len;
        target += len + (target[len] == '.' ? 1 : 0);
    }
    record->data[record->len++] = 0;
}

/* ---- questions and answers ------------------------------------------------------------------------- */

/* The question's name in dots; returns where it ends in the message. */
static size_t read_question(const uint8_t *message, size_t len, char *name, size_t size)
{
    size_t at = 12, out = 0;

    while (at < len && message[at] != 0) {
        size_t label = message[at];

        assert_true(at + 1 + label < len && out + label + 2 < size);
        memcpy(name + out, message + at + 1, label);
        out += label;
        name[out++] = '.';
        at += label + 1;
    }
    name[out > 0 ? out - 1 : 0] = '\0';
    return at + 1;
}

static size_t add_record(uint8_t *message, size_t len, const struct name_record *record)
{
    const uint8_t head[] = {0xc0, 12, 0, (uint8_t)record->type, 0, 1, 0, 0, 0, 60, 0, (uint8_t)record->len};

    assert_true(len + sizeof(head) + record->len <= MESSAGE_SIZE);
    memcpy(message + len, head, sizeof(head));
    memcpy(message + len + sizeof(head), record->data, record->len);
    message[7]++; /* answers */
    return len + sizeof(head) + record->len;
}

static size_t make_answer(const struct name_server *server, uint8_t *message, const char *name, size_t end,
                          uint16_t type)
{
    size_t len = end + 4;
    bool known = false;

    message[2] = 0x81; /* an answer, recursion desired */
    memset(message + 6, 0, 6);
    for (size_t i = 0; i < server->count; i++) {
        if (strcmp(server->records[i].name, name) != 0)
            continue;
        known = true;
        if (server->records[i].type == type)
            len = add_record(message, len, &server->records[i]);
    }
    message[3] = known ? 0x80 : 0x83; /* or: no such name */
    return len;
}

void name_server_answer(struct name_server *server)
{
    uint8_t message[MESSAGE_SIZE];
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    ssize_t len;

    while ((len = recvfrom(server->fd, message, sizeof(message) / 2, 0, (struct sockaddr *)&from,
                           &from_len)) > 0) {
        char name[256];
        size_t end = read_question(message, (size_t)len, name, sizeof(name));

        server->questions++;
        if (server->silent)
            continue;
        len = (ssize_t)make_answer(server, message, name, end, message[end + 1]);
        assert_int_equal(sendto(server->fd, message, (size_t)len, 0, (struct sockaddr *)&from, from_len),
                         len);
    }
}

static void *serve(void *arg)
{
    struct name_server *server = arg;
    struct pollfd fds[2] = {{.fd = server->fd, .events = POLLIN},
                            {.fd = server->stop_fds[0], .events = POLLIN}};

    while (poll(fds, 2, -1) >= 0 && fds[1].revents == 0)
        name_server_answer(server);
    return NULL;
}

void name_server_run(struct name_server *server)
{
    assert_int_equal(pipe2(server->stop_fds, O_CLOEXEC), 0);
    server->running = true;
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}
