/* SPDX-License-Identifier: Apache-2.0 */
#include "wake.h"

#include "fail.h"
#include "thread.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

capp_status capp__wake_open(struct capp__wake *wake, capp_error *reterr)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0)
        return capp__fail_sys(reterr, errno, "cannot make a pipe");
    wake->read_fd = fds[0];
    wake->write_fd = fds[1];
    return CAPP_OK;
}

void capp__wake_close(struct capp__wake *wake)
{
    if (wake->read_fd >= 0) {
        close(wake->read_fd);
        close(wake->write_fd);
    }
    wake->read_fd = wake->write_fd = -1;
}

void capp__wake_up(int write_fd)
{
    int saved_errno = errno;

    /* A full pipe wakes as well; both ends are ours, so there is no SIGPIPE. */
    ssize_t ignored = write(write_fd, "", 1);
    (void)ignored;
    errno = saved_errno;
}

void capp__wake_wait(const struct capp__wake *wake, int64_t until_ms)
{
    struct pollfd poll_fd = {.fd = wake->read_fd, .events = POLLIN};
    int64_t left_ms = until_ms == INT64_MAX ? -1 : until_ms - capp__now_ms();
    char drain[256];

    if (until_ms != INT64_MAX && left_ms < 0)
        left_ms = 0;
    if (left_ms > INT_MAX)
        left_ms = INT_MAX;
    if (poll(&poll_fd, 1, (int)left_ms) <= 0)
        return;
    while (read(wake->read_fd, drain, sizeof(drain)) == (ssize_t)sizeof(drain)) {
    }
}
