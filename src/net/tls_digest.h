/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of what comes in pieces, from the library that TLS uses. */
#ifndef ETCD__NET_TLS_DIGEST_H
#define ETCD__NET_TLS_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ETCD__SHA256_SIZE = 32 };

struct etcd__sha256;

/* NULL: out of memory, or the system's policy forbids it. */
struct etcd__sha256 *etcd__sha256_new(void);
void etcd__sha256_free(struct etcd__sha256 *sha256);
bool etcd__sha256_add(struct etcd__sha256 *sha256, const void *data, size_t len);
/* The digest of all that was added; nothing may be added after it. */
bool etcd__sha256_end(struct etcd__sha256 *sha256, uint8_t digest[ETCD__SHA256_SIZE]);

#endif
