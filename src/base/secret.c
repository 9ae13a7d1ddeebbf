/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

bool etcd__secret_set(struct etcd__secret *secret, const void *data, size_t len)
{
    char *copy = etcd__memdup(data, len);

    if (copy == NULL)
        return false;
    etcd__secret_clear(secret);
    secret->data = copy;
    secret->len = len;
    return true;
}

void etcd__secret_clear(struct etcd__secret *secret)
{
    etcd__wipe(secret->data, secret->len);
    etcd__free(secret->data);
    *secret = (struct etcd__secret){0};
}

/* Takes the same time wherever the two differ, so that a comparison tells nothing. */
bool etcd__secret_equal(const struct etcd__secret *a, const struct etcd__secret *b)
{
    unsigned char difference = 0;

    if (a->data == NULL || b->data == NULL)
        return a->data == b->data;
    if (a->len != b->len)
        return false;
    for (size_t i = 0; i < a->len; i++)
        difference = (unsigned char)(difference | (a->data[i] ^ b->data[i]));
    return difference == 0;
}

/* Reads to the end of the file or until the buffer is full. The count, or a negative errno. */
static ssize_t read_all(int fd, char *buffer, size_t size)
{
    size_t len = 0;

    while (len < size) {
        ssize_t got = read(fd, buffer + len, size - len);

        if (got == 0)
            break;
        if (got > 0)
            len += (size_t)got;
        else if (errno != EINTR)
            return -errno;
    }
    return (ssize_t)len;
}

static size_t without_newline(const char *text, size_t len)
{
    if (len > 0 && text[len - 1] == '\n')
        len--;
    else
        return len;
    return len > 0 && text[len - 1] == '\r' ? len - 1 : len;
}

int etcd__secret_read_file(struct etcd__secret *secret, const char *path)
{
    const size_t size = ETCD__SECRET_MAX + 1; /* one more, to see that a file is too large */
    char *buffer = etcd__malloc(size);
    int ret = 0, fd = -1;
    ssize_t len;

    if (buffer == NULL)
        return -ENOMEM;
    /* A path that names a pipe nobody writes to must not hold the engine up. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        ret = -errno;
        goto out;
    }
    len = read_all(fd, buffer, size);
    if (len < 0)
        ret = (int)len;
    else if ((size_t)len > ETCD__SECRET_MAX)
        ret = -EFBIG;
    else if (!etcd__secret_set(secret, buffer, without_newline(buffer, (size_t)len)))
        ret = -ENOMEM;

out:
    if (fd >= 0)
        close(fd);
    etcd__wipe(buffer, size);
    etcd__free(buffer);
    return ret;
}
