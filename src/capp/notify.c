/* SPDX-License-Identifier: Apache-2.0 */
#include "notify.h"

#include "base/str.h"
#include "fail.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { SEND_MS = 100 };

/* A path, or a name in the abstract namespace, which is written with '@' in front. */
static bool read_address(struct capp__notify *notify, const char *text)
{
    size_t len = strlen(text);

    if ((text[0] != '/' && text[0] != '@') || len < 2 || len >= sizeof(notify->address.sun_path))
        return false;
    notify->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(notify->address.sun_path, text, len);
    notify->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (text[0] == '/'));
    if (text[0] == '@')
        notify->address.sun_path[0] = '\0';
    return true;
}

static bool read_number(const char *name, uint64_t *ret)
{
    const char *text = getenv(name);

    return text != NULL && etcd__parse_u64(text, strlen(text), 1, INT64_MAX, ret);
}

/* Half of what the manager allows, so that a single late message does no harm. */
static int64_t read_watchdog(void)
{
    uint64_t allowed_us, pid;

    if (!read_number("WATCHDOG_USEC", &allowed_us))
        return 0;
    if (getenv("WATCHDOG_PID") != NULL && (!read_number("WATCHDOG_PID", &pid) || pid != (uint64_t)getpid()))
        return 0; /* it watches another process, which gave us its environment */
    return allowed_us < 2000 ? 1 : (int64_t)(allowed_us / 2000);
}

capp_status capp__notify_open(struct capp__notify *notify, capp_error *reterr)
{
    const struct timeval limit = {.tv_usec = SEND_MS * 1000};
    const char *text = getenv("NOTIFY_SOCKET");

    *notify = (struct capp__notify){.fd = -1};
    if (text == NULL || text[0] == '\0')
        return CAPP_OK;
    if (!read_address(notify, text))
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                         "NOTIFY_SOCKET is neither a path nor an abstract name ('@...')");
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (notify->fd < 0)
        return capp__fail_sys(reterr, errno, "cannot make a socket for NOTIFY_SOCKET");
    (void)setsockopt(notify->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    notify->watchdog_ms = read_watchdog();
    return CAPP_OK;
}

void capp__notify_close(struct capp__notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}

void capp__notify_send(const struct capp__notify *notify, const char *format, ...)
{
    char text[1024];
    va_list args;
    ssize_t sent;

    if (notify->fd < 0)
        return;
    va_start(args, format);
    size_t len = etcd__vformat(text, sizeof(text), format, args);
    va_end(args);
    do {
        sent = sendto(notify->fd, text, len, MSG_NOSIGNAL, (const struct sockaddr *)&notify->address,
                      notify->address_len);
    } while (sent < 0 && errno == EINTR);
}
