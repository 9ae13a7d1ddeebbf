/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing byte buffer that is filled at its end and drained at its front,
 * with a hard maximum. Zeroed memory with `max` set is an empty buffer.
 */
#ifndef ETCD__BASE_BUF_H
#define ETCD__BASE_BUF_H

#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>

struct etcd__buf {
    uint8_t *data;
    size_t start, end; /* the content is data[start, end) */
    size_t capacity;
    size_t max;  /* of the content; 0 means no limit */
    bool secret; /* its memory is wiped before it is given back; set it while the buffer is empty */
};

void etcd__buf_init(struct etcd__buf *buf, size_t max);
void etcd__buf_deinit(struct etcd__buf *buf);

static inline size_t etcd__buf_len(const struct etcd__buf *buf)
{
    return buf->end - buf->start;
}

static inline uint8_t *etcd__buf_front(const struct etcd__buf *buf)
{
    return buf->data == NULL ? NULL : buf->data + buf->start;
}

/*
 * Makes room for `len` more bytes and returns where to write them; NULL when
 * out of memory or above the maximum. Follow with etcd__buf_commit().
 */
uint8_t *etcd__buf_reserve(struct etcd__buf *buf, size_t len);
void etcd__buf_commit(struct etcd__buf *buf, size_t len);
/* Appends, or returns false and leaves the buffer as it was. */
bool etcd__buf_append(struct etcd__buf *buf, const void *data, size_t len);
/* printf to the end, without a NUL; false when out of memory or above the maximum. */
bool etcd__buf_printf(struct etcd__buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool etcd__buf_vprintf(struct etcd__buf *buf, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
/* Drops `len` bytes at the front. An emptied buffer keeps its memory. */
void etcd__buf_consume(struct etcd__buf *buf, size_t len);
/* Gives memory above `keep` bytes back when the buffer is empty. */
void etcd__buf_trim(struct etcd__buf *buf, size_t keep);

#endif
