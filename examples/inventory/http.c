/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 128, ADDRESS_MAX = 128, NO_DESCRIPTORS_MS = 100 };

/* ---- listening ---------------------------------------------------------------------------------------- */

static void wake_up(void *user_data)
{
    const http_listener *self = user_data;

    (void)eventfd_write(self->wake, 1); /* nobody reads it: it stays readable, for every thread */
}

/* "host:port" in two parts; brackets around the host are taken off. */
static bool split_address(const char *address, char host[ADDRESS_MAX], const char **ret_port)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - address);

    if (len >= 2 && address[0] == '[' && colon[-1] == ']') {
        address++;
        len -= 2;
    }
    if (len == 0 || len >= ADDRESS_MAX)
        return false;
    memcpy(host, address, len);
    host[len] = '\0';
    *ret_port = colon + 1;
    return true;
}

static capp_status listen_at(int fd, const struct addrinfo *info, const char *address, capp_error *reterr)
{
    int on = 1;

    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return CAPP_OK;
    return capp_fail(reterr, CAPP_E_IO, "cannot listen at %s: %s", address, strerror(errno));
}

static capp_status open_socket(http_listener *self, const char *address, capp_error *reterr)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *info = NULL;
    char host[ADDRESS_MAX];
    const char *port;

    if (!split_address(address, host, &port) || getaddrinfo(host, port, &hints, &info) != 0)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "'%s' is not a numeric address with a port",
                         address);
    self->socket = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    capp_status status = listen_at(self->socket, info, address, reterr);
    freeaddrinfo(info);
    return status;
}

capp_status http_open(http_listener *self, const char *address, capp_cancel *cancel, capp_error *reterr)
{
    *self = (http_listener){.socket = -1, .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    capp_status status = CAPP_OK;

    if (self->wake < 0)
        status = capp_fail(reterr, CAPP_E_IO, "eventfd: %s", strerror(errno));
    if (status == CAPP_OK)
        status = open_socket(self, address, reterr);
    if (status == CAPP_OK)
        status = capp_cancel_add(cancel, wake_up, self, &self->entry, reterr);
    if (status != CAPP_OK)
        http_close(self);
    return status;
}

void http_close(http_listener *self)
{
    capp_cancel_remove(self->entry);
    self->entry = NULL;
    if (self->socket >= 0)
        close(self->socket);
    if (self->wake >= 0)
        close(self->wake);
    self->socket = self->wake = -1;
}

/* ---- one client --------------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for `events` of a client. False: the patience is over, or the application stops. */
static bool wait_for(const http_listener *self, int fd, short events, int64_t deadline_ms)
{
    struct pollfd fds[] = {{.fd = fd, .events = events}, {.fd = self->wake, .events = POLLIN}};
    int64_t left_ms = deadline_ms - now_ms();

    if (left_ms <= 0)
        return false;
    int count = poll(fds, 2, (int)left_ms);
    if (count < 0 && errno == EINTR)
        return true;
    return count > 0 && fds[0].revents != 0;
}

/* Reads to the empty line behind the headers. False: there is no whole request. */
static bool read_head(const http_listener *self, int fd, char head[HTTP_HEAD_MAX + 1])
{
    int64_t deadline_ms = now_ms() + HTTP_PATIENCE_MS;
    size_t len = 0;

    while (len < HTTP_HEAD_MAX && wait_for(self, fd, POLLIN, deadline_ms)) {
        ssize_t got = recv(fd, head + len, HTTP_HEAD_MAX - len, 0);

        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        len += got < 0 ? 0 : (size_t)got;
        head[len] = '\0';
        if (strstr(head, "\r\n\r\n") != NULL)
            return true;
    }
    return false;
}

static void write_all(const http_listener *self, int fd, const char *bytes, size_t len)
{
    int64_t deadline_ms = now_ms() + HTTP_PATIENCE_MS;

    while (len > 0) {
        ssize_t put = send(fd, bytes, len, MSG_NOSIGNAL);

        if (put < 0 && errno != EAGAIN && errno != EINTR)
            return;
        bytes += put < 0 ? 0 : put;
        len -= put < 0 ? 0 : (size_t)put;
        if (put < 0 && !wait_for(self, fd, POLLOUT, deadline_ms))
            return;
    }
}

/* The value of a header line, its end cut off; NULL: it is another header. */
static const char *header_value(char *line, const char *name)
{
    size_t len = strlen(name);

    if (strncasecmp(line, name, len) != 0 || line[len] != ':')
        return NULL;
    return line + len + 1 + strspn(line + len + 1, " \t");
}

/* "GET /path?query HTTP/1.1" and headers, cut into parts in place. */
static bool parse_head(http_request *request)
{
    char *rest = NULL;
    char *line = strtok_r(request->head, "\r\n", &rest);
    char *target = line == NULL ? NULL : strchr(line, ' ');
    char *version = target == NULL ? NULL : strchr(target + 1, ' ');

    if (version == NULL || strncmp(version, " HTTP/1.", 8) != 0 || target[1] != '/')
        return false;
    *target++ = *version = '\0';
    char *query = strchr(target, '?');
    if (query != NULL)
        *query++ = '\0';
    request->method = line;
    request->path = target;
    request->query = query == NULL ? "" : query;
    request->key = "";
    while ((line = strtok_r(NULL, "\r\n", &rest)) != NULL) {
        const char *value = header_value(line, "Idempotency-Key");

        if (value != NULL)
            request->key = value;
    }
    return true;
}

static const char *reason_of(int code)
{
    switch (code) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 409:
        return "Conflict";
    case 422:
        return "Unprocessable Content";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    default:
        return "Internal Server Error";
    }
}

static void send_answer(const http_listener *self, int fd, const http_answer *answer, const char *content,
                        size_t len)
{
    char head[256];
    int head_len = snprintf(head, sizeof(head),
                            "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
                            "Connection: close\r\n\r\n",
                            answer->code, reason_of(answer->code), answer->type, len,
                            answer->code == 503 ? "Retry-After: 1\r\n" : "");

    write_all(self, fd, head, (size_t)head_len);
    write_all(self, fd, content, len);
}

static void serve_client(const http_listener *self, int fd, http_handle_fn *handle, void *handler)
{
    http_answer answer = {.code = 200, .type = "application/json"};
    http_request request;
    char *content = NULL;
    size_t len = 0;

    if (!read_head(self, fd, request.head))
        return;
    answer.content = open_memstream(&content, &len);
    if (answer.content == NULL)
        return;
    if (parse_head(&request))
        handle(handler, &request, &answer);
    else
        http_refuse(&answer, 400, "this is not a request of HTTP/1.1");
    if (fclose(answer.content) == 0)
        send_answer(self, fd, &answer, content, len);
    free(content);
}

void http_serve(http_listener *self, http_handle_fn *handle, void *handler)
{
    struct pollfd fds[] = {{.fd = self->wake, .events = POLLIN}, {.fd = self->socket, .events = POLLIN}};

    while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
        if (fds[0].revents != 0)
            return;
        int fd = accept4(self->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            serve_client(self, fd, handle, handler);
            close(fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            (void)poll(fds, 1, NO_DESCRIPTORS_MS); /* the client still waits: do not spin */
        }
    }
}

/* ---- for handlers ------------------------------------------------------------------------------------- */

bool http_query(const http_request *request, const char *name, char *value, size_t size)
{
    size_t name_len = strlen(name);

    for (const char *at = request->query; *at != '\0'; at += strcspn(at, "&"), at += *at == '&') {
        size_t len = strcspn(at, "&");

        if (len <= name_len || strncmp(at, name, name_len) != 0 || at[name_len] != '=')
            continue;
        if (len - name_len > size)
            return false;
        memcpy(value, at + name_len + 1, len - name_len - 1);
        value[len - name_len - 1] = '\0';
        return true;
    }
    return false;
}

void http_json_text(FILE *content, const char *text)
{
    fputc('"', content);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            fprintf(content, "\\%c", c);
        else if (c < 0x20)
            fprintf(content, "\\u%04x", c);
        else
            fputc(c, content);
    }
    fputc('"', content);
}

void http_refuse(http_answer *answer, int code, const char *message)
{
    answer->code = code;
    fputs("{\"error\":", answer->content);
    http_json_text(answer->content, message);
    fputs("}\n", answer->content);
}
