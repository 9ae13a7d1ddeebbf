/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS as a filter between two byte queues. tls.c is the only file that includes OpenSSL.
 * Memory BIOs: OpenSSL never sees a socket (its socket BIO raises SIGPIPE).
 * TLS 1.2 or newer, the peer verified against host name or address by default, ALPN "h2" demanded.
 */
#ifndef ETCD__NET_TLS_H
#define ETCD__NET_TLS_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>

/* All paths are PEM files; NULL: not given. */
struct etcd__tls_options {
    const char *ca_file;   /* NULL: the system's roots */
    const char *cert_file; /* with key_file: mTLS */
    const char *key_file;
    const char *server_name; /* verified and sent as SNI instead of the endpoint's host */
    bool insecure_skip_verify;
};

struct etcd__tls; /* a configuration, shared by connections; reference-counted, one thread at a time */

/*
 * ETCD_E_INVALID_ARGUMENT: half a key pair. ETCD_E_IO: a file cannot be read or parsed (path and reason in
 * the message).
 */
etcd_status etcd__tls_new(const struct etcd__tls_options *options, struct etcd__tls **ret_tls,
                          etcd_error *reterr);
struct etcd__tls *etcd__tls_ref(struct etcd__tls *tls);
void etcd__tls_unref(struct etcd__tls *tls);
/*
 * Files that were replaced are loaded when a session is made; when they do not load the previous ones stay in
 * use. True, once for each time that this begins: *ret_err says why.
 */
bool etcd__tls_take_trouble(struct etcd__tls *tls, etcd_error *ret_err);

struct etcd__tls_session;

enum etcd__tls_result {
    ETCD__TLS_OK,        /* progress; for the handshake: it is complete */
    ETCD__TLS_WANT_MORE, /* needs bytes from the peer */
    ETCD__TLS_EOF,       /* the peer closed the TLS stream */
    ETCD__TLS_FAILED,    /* reterr is set; the session is dead */
};

/* `host` is the endpoint's host; `is_address`: verify it as an IP address and send no SNI. */
etcd_status etcd__tls_session_new(struct etcd__tls *tls, const char *host, bool is_address,
                                  struct etcd__tls_session **ret_session, etcd_error *reterr);
void etcd__tls_session_free(struct etcd__tls_session *session);
/* Ciphertext from the peer. False when out of memory. */
bool etcd__tls_feed(struct etcd__tls_session *session, const void *data, size_t len);
/* Steps the handshake. Call after each feed until ETCD__TLS_OK, and move the output after each call. */
enum etcd__tls_result etcd__tls_handshake(struct etcd__tls_session *session, etcd_error *reterr);
/* Decrypts into dst; ETCD__TLS_OK with *ret_len > 0, or why there is nothing. */
enum etcd__tls_result etcd__tls_read(struct etcd__tls_session *session, void *dst, size_t size,
                                     size_t *ret_len, etcd_error *reterr);
/* Encrypts all of it. */
enum etcd__tls_result etcd__tls_write(struct etcd__tls_session *session, const void *data, size_t len,
                                      etcd_error *reterr);
/* Appends close_notify to the output, as far as the state allows. */
void etcd__tls_shutdown(struct etcd__tls_session *session);
/* Moves the ciphertext for the peer to the end of `out`. False when out of memory. */
bool etcd__tls_take_output(struct etcd__tls_session *session, struct etcd__buf *out);

#endif
