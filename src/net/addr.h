/* SPDX-License-Identifier: Apache-2.0 */
/* Socket addresses and system errors as text, and numeric text as socket addresses. */
#ifndef ETCD__NET_ADDR_H
#define ETCD__NET_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Room for every text that etcd__addr_text() makes, NUL included; a unix path is the longest. */
enum { ETCD__ADDR_TEXT_SIZE = 128 };

/* A numeric IPv4 or IPv6 address without brackets or zone. False, and *ret untouched, for anything else. */
bool etcd__addr_parse(const char *host, uint16_t port, struct sockaddr_storage *ret);
/* Of an IPv4 or IPv6 address. */
void etcd__addr_set_port(struct sockaddr_storage *addr, uint16_t port);
/* The address of a unix socket. False when the path is empty or too long for one. */
bool etcd__addr_unix(const char *path, struct sockaddr_storage *ret);
/* The longest path that etcd__addr_unix() takes. */
size_t etcd__addr_unix_max(void);
/* What connect() wants to know as the length. */
socklen_t etcd__addr_len(const struct sockaddr_storage *addr);
/* "127.0.0.1:2379", "[::1]:2379" or the path. Returns dst. */
const char *etcd__addr_text(char *dst, size_t size, const struct sockaddr_storage *addr);

/* The system's text for an errno, safe in any thread. Returns dst or a constant. */
const char *etcd__errno_text(char *dst, size_t size, int error);

#endif
