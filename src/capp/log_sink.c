/* SPDX-License-Identifier: Apache-2.0 */
#include "log_sink.h"

#include "base/str.h"
#include "fail.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { FILE_MODE = 0640, PATH_SHOWN = 300 };

static capp_status cannot_open(const char *path, const char *what, capp_error *reterr)
{
    char shown[PATH_SHOWN];
    int code = errno;
    capp_status status = capp__fail_sys(reterr, code, "cannot open it");

    capp_error_prefix(reterr, "%s '%s'", what, etcd__escape(shown, sizeof(shown), path, strlen(path)));
    return status;
}

/* A FIFO that nobody reads is refused, and one that is read too slowly does not hold us up: hence not
 * blocking. */
static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, FILE_MODE);
}

static bool is_plain(int fd)
{
    struct stat about;

    return fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
}

capp_status capp__sink_open_file(struct capp__sink *sink, const char *path, capp_error *reterr)
{
    sink->fd = open_file(path);
    if (sink->fd < 0)
        return cannot_open(path, "log file", reterr);
    atomic_store(&sink->plain, is_plain(sink->fd));
    return CAPP_OK;
}

capp_status capp__sink_reopen_file(struct capp__sink *sink, const char *path, capp_error *reterr)
{
    int fd = open_file(path);
    bool plain;

    if (fd < 0)
        return cannot_open(path, "log file", reterr);
    plain = is_plain(fd);
    if (!plain)
        atomic_store(&sink->plain, false);
    /* The number changes hands at once: a line that is being written goes whole to the one or to the other.
     */
    if (dup3(fd, sink->fd, O_CLOEXEC) < 0) {
        capp_status status = cannot_open(path, "log file", reterr);

        close(fd);
        return status;
    }
    close(fd);
    atomic_store(&sink->torn, false);
    atomic_store(&sink->plain, plain);
    return CAPP_OK;
}

static int connect_to(int fd, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    return connect(fd, (const struct sockaddr *)&address, sizeof(address));
}

capp_status capp__sink_open_socket(struct capp__sink *sink, const char *path, capp_error *reterr)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || connect_to(fd, path) != 0) {
        capp_status status = cannot_open(path, "the system's log", reterr);

        if (fd >= 0)
            close(fd);
        return status;
    }
    sink->fd = fd;
    return CAPP_OK;
}

void capp__sink_close(struct capp__sink *sink)
{
    if (sink->fd >= 0)
        close(sink->fd);
    sink->fd = -1;
}

/* ---- writing --------------------------------------------------------------------------------------- */

static bool lose(struct capp__sink *sink, int cause)
{
    atomic_store(&sink->cause, cause);
    atomic_fetch_add(&sink->lost, 1);
    atomic_fetch_add(&sink->unsaid, 1);
    return false;
}

/* 0 or an errno; *ret_done is how much of it is written. A regular file and a pipe take it in one piece. */
static int write_all(int fd, const char *data, size_t len, size_t *ret_done)
{
    *ret_done = 0;
    while (*ret_done < len) {
        ssize_t n = write(fd, data + *ret_done, len - *ret_done);

        if (n > 0)
            *ret_done += (size_t)n;
        else if (n == 0)
            return EIO;
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

/* The same; a pipe whose reader has gone raises no SIGPIPE. */
static int write_without_signal(int fd, const char *data, size_t len, size_t *ret_done)
{
    static const struct timespec at_once = {0, 0};
    sigset_t pipe_only, pending, mask;

    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &mask);
    int code = write_all(fd, data, len, ret_done);
    if (code == EPIPE && !sigismember(&pending, SIGPIPE))
        (void)sigtimedwait(&pipe_only, NULL, &at_once);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    return code;
}

static bool write_line(struct capp__sink *sink, int fd, bool plain, char *line, size_t len)
{
    bool torn = atomic_exchange(&sink->torn, false);
    const char *from = torn ? line : line + 1;
    size_t done;
    int code;

    line[0] = '\n'; /* ends what is left of a line that was torn */
    len += torn;
    code = plain ? write_all(fd, from, len, &done) : write_without_signal(fd, from, len, &done);
    if (code == 0)
        return true;
    if (done > 0 ? done > (size_t)torn : torn)
        atomic_store(&sink->torn, true);
    return lose(sink, code);
}

bool capp__sink_write(struct capp__sink *sink, char *line, size_t len)
{
    return write_line(sink, sink->fd, atomic_load(&sink->plain), line, len);
}

bool capp__sink_write_stderr(struct capp__sink *sink, char *line, size_t len)
{
    return write_line(sink, STDERR_FILENO, false, line, len);
}

static bool may_have_been_replaced(int code)
{
    return code == ECONNREFUSED || code == ECONNRESET || code == ENOTCONN || code == EPIPE || code == ENOENT;
}

static bool send_once(int fd, const char *data, size_t len)
{
    ssize_t n;

    do
        n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n >= 0;
}

bool capp__sink_send(struct capp__sink *sink, const char *path, const char *data, size_t len)
{
    if (send_once(sink->fd, data, len))
        return true;
    /* Connecting a datagram socket again is one step, whoever else sends through it. */
    if (may_have_been_replaced(errno) && connect_to(sink->fd, path) == 0 && send_once(sink->fd, data, len))
        return true;
    return lose(sink, errno);
}

unsigned long long capp__sink_take_lost(struct capp__sink *sink, int *ret_cause)
{
    *ret_cause = atomic_load(&sink->cause);
    return atomic_load(&sink->unsaid) == 0 ? 0 : atomic_exchange(&sink->unsaid, 0);
}

void capp__sink_give_lost(struct capp__sink *sink, unsigned long long count)
{
    atomic_fetch_add(&sink->unsaid, count);
}
