/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MIN_CAPACITY = 256 };

void etcd__buf_init(struct etcd__buf *buf, size_t max)
{
    *buf = (struct etcd__buf){.max = max};
}

static void give_back(struct etcd__buf *buf)
{
    if (buf->secret && buf->data != NULL)
        etcd__wipe(buf->data, buf->capacity + 1);
    etcd__free(buf->data);
}

void etcd__buf_deinit(struct etcd__buf *buf)
{
    give_back(buf);
    *buf = (struct etcd__buf){.max = buf->max, .secret = buf->secret};
}

/* As realloc, but what was there does not stay behind. */
static uint8_t *move_secret(struct etcd__buf *buf, size_t size)
{
    uint8_t *data = etcd__malloc(size);

    if (data == NULL)
        return NULL;
    if (buf->data != NULL)
        memcpy(data, buf->data, size < buf->capacity + 1 ? size : buf->capacity + 1);
    give_back(buf);
    return data;
}

/* One byte more than `capacity` says, so that printf has a place for its NUL. */
static bool set_capacity(struct etcd__buf *buf, size_t capacity)
{
    uint8_t *data;

    if (capacity == SIZE_MAX)
        return false;
    data = buf->secret ? move_secret(buf, capacity + 1) : etcd__realloc(buf->data, capacity + 1);
    if (data == NULL)
        return false;
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

static void move_to_front(struct etcd__buf *buf)
{
    size_t len = etcd__buf_len(buf);

    if (buf->data == NULL || buf->start == 0)
        return;
    memmove(buf->data, buf->data + buf->start, len);
    buf->start = 0;
    buf->end = len;
}

uint8_t *etcd__buf_reserve(struct etcd__buf *buf, size_t len)
{
    size_t content = etcd__buf_len(buf);
    size_t wanted;

    if (len > SIZE_MAX - 1 - content || (buf->max != 0 && content + len > buf->max))
        return NULL;
    if (buf->data != NULL && len <= buf->capacity - buf->end)
        return buf->data + buf->end;

    /* Moving pays when it frees at least as much as it copies; else growing is cheaper in the long run. */
    wanted = buf->capacity;
    if (buf->data == NULL || content + len > buf->capacity || buf->start < content) {
        wanted = buf->capacity > SIZE_MAX / 2 ? SIZE_MAX - 1 : buf->capacity * 2;
        wanted = wanted < MIN_CAPACITY ? MIN_CAPACITY : wanted;
        if (buf->max != 0 && wanted > buf->max)
            wanted = buf->max;
        wanted = wanted < content + len ? content + len : wanted;
    }
    move_to_front(buf);
    if ((buf->data == NULL || wanted > buf->capacity) && !set_capacity(buf, wanted))
        return NULL;
    return buf->data + buf->end;
}

void etcd__buf_commit(struct etcd__buf *buf, size_t len)
{
    assert(len <= buf->capacity - buf->end);
    buf->end += len;
}

bool etcd__buf_append(struct etcd__buf *buf, const void *data, size_t len)
{
    uint8_t *room = etcd__buf_reserve(buf, len);

    if (room == NULL)
        return false;
    if (len > 0)
        memcpy(room, data, len);
    etcd__buf_commit(buf, len);
    return true;
}

bool etcd__buf_vprintf(struct etcd__buf *buf, const char *format, va_list args)
{
    va_list again;
    uint8_t *room = NULL;
    int len;

    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len >= 0)
        room = etcd__buf_reserve(buf, (size_t)len);
    if (room != NULL) {
        vsnprintf((char *)room, (size_t)len + 1, format, args);
        etcd__buf_commit(buf, (size_t)len);
    }
    return room != NULL;
}

bool etcd__buf_printf(struct etcd__buf *buf, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    bool ok = etcd__buf_vprintf(buf, format, args);
    va_end(args);
    return ok;
}

void etcd__buf_consume(struct etcd__buf *buf, size_t len)
{
    assert(len <= etcd__buf_len(buf));
    buf->start += len;
    if (buf->start == buf->end)
        buf->start = buf->end = 0;
}

void etcd__buf_trim(struct etcd__buf *buf, size_t keep)
{
    if (etcd__buf_len(buf) != 0 || buf->capacity <= keep)
        return;
    buf->start = buf->end = 0;
    if (keep == 0)
        etcd__buf_deinit(buf);
    else
        set_capacity(buf, keep); /* When shrinking fails the old memory simply stays. */
}
