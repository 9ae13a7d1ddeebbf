/* SPDX-License-Identifier: Apache-2.0 */
#include "support/ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST = 10000, LAST = 29999 };

/*
 * The reservation is a name in the abstract socket space: taken by one process at a time,
 * gone with it, and no file.
 */
static int reserve(uint16_t number)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int len = snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "etcdc-test-port-%u", (unsigned)number);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
    if (bind(fd, (const struct sockaddr *)&addr, size) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool is_free(uint16_t number)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    int yes = 1; /* as the servers do: connections in TIME_WAIT do not matter */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_port = htons(number), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool ok = bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0 && listen(fd, 1) == 0;
    close(fd);
    return ok;
}

bool port_hold(struct port *port)
{
    uint32_t start;
    if (getrandom(&start, sizeof(start), 0) != (ssize_t)sizeof(start))
        start = (uint32_t)getpid();
    for (uint32_t i = 0; i <= LAST - FIRST; i++) {
        uint16_t number = (uint16_t)(FIRST + (start + i) % (LAST - FIRST + 1));
        int lock = reserve(number);
        if (lock < 0)
            continue;
        if (is_free(number)) {
            *port = (struct port){number, lock};
            return true;
        }
        close(lock);
    }
    fprintf(stderr, "no free port on 127.0.0.1\n");
    return false;
}

void port_release(struct port *port)
{
    if (port->number != 0)
        close(port->lock);
    *port = (struct port){0, 0};
}
