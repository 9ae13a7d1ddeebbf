/* SPDX-License-Identifier: Apache-2.0 */
#include "support/health.h"

#include "support/process.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_MS = 1000 };

static bool wait_for(int fd, short events, int64_t deadline)
{
    int64_t left = deadline - test_now_ms();
    struct pollfd poller = {.fd = fd, .events = events};
    return left > 0 && poll(&poller, 1, (int)left) == 1;
}

static bool connect_to(int fd, uint16_t port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0;
}

bool health_is_good(uint16_t port)
{
    static const char request[] = "GET /health HTTP/1.0\r\n\r\n";
    int64_t deadline = test_deadline_ms(ANSWER_MS);
    char answer[1024] = "";
    size_t len = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* On loopback a connection is made or refused at once. */
    if (fd >= 0 && connect_to(fd, port) &&
        send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request)) {
        while (len + 1 < sizeof(answer) && wait_for(fd, POLLIN, deadline)) {
            ssize_t got = recv(fd, answer + len, sizeof(answer) - 1 - len, 0);
            if (got <= 0)
                break;
            len += (size_t)got;
        }
    }
    if (fd >= 0)
        close(fd);
    answer[len] = '\0';
    return strstr(answer, "\"health\":\"true\"") != NULL;
}
