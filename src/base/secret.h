/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A secret in memory: wiped before its memory is given back, and never part of
 * a text that can be shown. Where secrets come from is decided above (client/, capp/).
 */
#ifndef ETCD__BASE_SECRET_H
#define ETCD__BASE_SECRET_H

#include "base/mem.h"

/* Zeroed memory is "no secret"; an empty secret has len 0 and data != NULL. */
struct etcd__secret {
    char *data; /* NUL-terminated for convenience; may contain any byte */
    size_t len;
};

enum { ETCD__SECRET_MAX = 64 * 1024 }; /* bytes a secret file may have */

/* Replaces what was there. False when out of memory; unchanged then. */
bool etcd__secret_set(struct etcd__secret *secret, const void *data, size_t len);
void etcd__secret_clear(struct etcd__secret *secret);
bool etcd__secret_equal(const struct etcd__secret *a, const struct etcd__secret *b);
/*
 * Reads a file of at most ETCD__SECRET_MAX bytes and drops one trailing newline ("\n" or "\r\n").
 * 0 or a negative errno (-EFBIG when larger). The buffers used on the way are wiped.
 */
int etcd__secret_read_file(struct etcd__secret *secret, const char *path);

#endif
