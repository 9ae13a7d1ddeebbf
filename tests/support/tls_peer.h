/* SPDX-License-Identifier: Apache-2.0 */
/* The server's end of a TLS connection in memory: bytes in, bytes out, no socket. */
#ifndef TESTS_SUPPORT_TLS_PEER_H
#define TESTS_SUPPORT_TLS_PEER_H

#include <stdbool.h>
#include <stddef.h>

struct tls_peer;

struct tls_peer_options {
    const char *dir;  /* of the files */
    const char *cert; /* and its key */
    const char *key;
    const char *client_ca; /* NULL: client certificates are not asked for */
    const char *alpn;      /* the one protocol it speaks; NULL: does not know ALPN */
    int version;           /* 12 or 13: only this; 11: at most TLS 1.1; 0: any */
};

/* Ends the program when the files are no good. */
struct tls_peer *tls_peer_new(const struct tls_peer_options *options);
void tls_peer_free(struct tls_peer *peer);

/* Ciphertext from the client; goes on with the handshake. */
void tls_peer_feed(struct tls_peer *peer, const void *data, size_t len);
/* Takes up to `size` bytes of ciphertext for the client. */
size_t tls_peer_output(struct tls_peer *peer, void *buf, size_t size);
/* Takes up to `size` decrypted bytes. */
size_t tls_peer_read(struct tls_peer *peer, void *buf, size_t size);
/* Once ready. */
void tls_peer_write(struct tls_peer *peer, const void *data, size_t len);
/* Sends close_notify. */
void tls_peer_shutdown(struct tls_peer *peer);
/* Asks the client for another handshake (TLS 1.2), which HTTP/2 forbids. */
void tls_peer_renegotiate(struct tls_peer *peer);
/* Asks the client for new keys (TLS 1.3): its TLS has to answer by itself. */
void tls_peer_update_keys(struct tls_peer *peer);

/* The handshake is complete, and did not fail. */
bool tls_peer_ready(const struct tls_peer *peer);
bool tls_peer_failed(const struct tls_peer *peer);
/* The client sent close_notify, as far as was read. */
bool tls_peer_saw_end(const struct tls_peer *peer);
/* The name the client asked for by SNI; "" for none. */
const char *tls_peer_sni(const struct tls_peer *peer);

#endif
