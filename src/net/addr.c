/* SPDX-License-Identifier: Apache-2.0 */
#include "net/addr.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

bool etcd__addr_parse(const char *host, uint16_t port, struct sockaddr_storage *ret)
{
    struct sockaddr_storage addr = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&addr;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&addr;

    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
    } else {
        return false;
    }
    *ret = addr;
    return true;
}

void etcd__addr_set_port(struct sockaddr_storage *addr, uint16_t port)
{
    if (addr->ss_family == AF_INET)
        ((struct sockaddr_in *)addr)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)addr)->sin6_port = htons(port);
}

size_t etcd__addr_unix_max(void)
{
    return sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
}

bool etcd__addr_unix(const char *path, struct sockaddr_storage *ret)
{
    size_t len = strlen(path);
    struct sockaddr_un *addr = (struct sockaddr_un *)ret;

    if (len == 0 || len > etcd__addr_unix_max())
        return false;
    memset(ret, 0, sizeof(*ret));
    addr->sun_family = AF_UNIX;
    memcpy(addr->sun_path, path, len);
    return true;
}

socklen_t etcd__addr_len(const struct sockaddr_storage *addr)
{
    switch (addr->ss_family) {
    case AF_INET:
        return sizeof(struct sockaddr_in);
    case AF_INET6:
        return sizeof(struct sockaddr_in6);
    default:
        return sizeof(struct sockaddr_un);
    }
}

const char *etcd__addr_text(char *dst, size_t size, const struct sockaddr_storage *addr)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)addr;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)addr;
    const struct sockaddr_un *un = (const struct sockaddr_un *)addr;
    char host[INET6_ADDRSTRLEN] = "";

    assert(size > 0);
    switch (addr->ss_family) {
    case AF_INET:
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
        etcd__format(dst, size, "%s:%u", host, (unsigned)ntohs(v4->sin_port));
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
        etcd__format(dst, size, "[%s]:%u", host, (unsigned)ntohs(v6->sin6_port));
        break;
    case AF_UNIX:
        etcd__format(dst, size, "%s", un->sun_path);
        break;
    default:
        etcd__format(dst, size, "address family %u", (unsigned)addr->ss_family);
    }
    return dst;
}

/* strerror_r comes in two kinds; which one the headers declare selects the overload. */
#if defined(__GLIBC__)
static const char *strerror_result(const char *text, const char *dst)
{
    (void)dst;
    return text;
}
#else
static const char *strerror_result(int failed, const char *dst)
{
    return failed ? "unknown error" : dst;
}
#endif

const char *etcd__errno_text(char *dst, size_t size, int error)
{
    assert(size > 0);
    dst[0] = '\0';
    return strerror_result(strerror_r(error, dst, size), dst);
}
