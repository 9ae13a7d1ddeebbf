/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_peer.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls_peer {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out;
    unsigned char alpn[16]; /* as on the wire: length, then name */
    bool failed;
    char sni[256];
};

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "tls_peer: %s\n", what);
    ERR_print_errors_fp(stderr);
    abort();
}

static const char *in_dir(char *path, size_t size, const char *dir, const char *name)
{
    snprintf(path, size, "%s/%s", dir, name);
    return path;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *user)
{
    struct tls_peer *peer = user;
    unsigned char *chosen = NULL;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, out_len, peer->alpn, peer->alpn[0] + 1u, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static void set_version(SSL_CTX *ctx, int version)
{
    if (version == 12)
        must(SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION) == 1, "TLS 1.2");
    if (version == 13)
        must(SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1, "TLS 1.3");
    if (version == 11) {
        SSL_CTX_set_security_level(ctx, 0);
        must(SSL_CTX_set_min_proto_version(ctx, 0) == 1, "any version");
        must(SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION) == 1, "TLS 1.1");
    }
}

static void set_files(SSL_CTX *ctx, const struct tls_peer_options *options)
{
    char path[4096];

    in_dir(path, sizeof(path), options->dir, options->cert);
    must(SSL_CTX_use_certificate_chain_file(ctx, path) == 1, path);
    in_dir(path, sizeof(path), options->dir, options->key);
    must(SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM) == 1, path);
    if (options->client_ca == NULL)
        return;
    in_dir(path, sizeof(path), options->dir, options->client_ca);
    must(SSL_CTX_load_verify_file(ctx, path) == 1, path);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

struct tls_peer *tls_peer_new(const struct tls_peer_options *options)
{
    struct tls_peer *peer = calloc(1, sizeof(*peer));

    must(peer != NULL, "memory");
    peer->ctx = SSL_CTX_new(TLS_server_method());
    must(peer->ctx != NULL, "context");
    set_version(peer->ctx, options->version);
    set_files(peer->ctx, options);
    if (options->alpn != NULL) {
        peer->alpn[0] = (unsigned char)strlen(options->alpn);
        memcpy(peer->alpn + 1, options->alpn, peer->alpn[0]);
        SSL_CTX_set_alpn_select_cb(peer->ctx, choose_protocol, peer);
    }
    peer->ssl = SSL_new(peer->ctx);
    peer->in = BIO_new(BIO_s_mem());
    peer->out = BIO_new(BIO_s_mem());
    must(peer->ssl != NULL && peer->in != NULL && peer->out != NULL, "session");
    SSL_set_bio(peer->ssl, peer->in, peer->out);
    SSL_set_accept_state(peer->ssl);
    return peer;
}

void tls_peer_free(struct tls_peer *peer)
{
    if (peer == NULL)
        return;
    SSL_free(peer->ssl);
    SSL_CTX_free(peer->ctx);
    free(peer);
}

/* Whether an operation that did not succeed has only to wait. */
static bool waits(struct tls_peer *peer, int ret)
{
    int error = SSL_get_error(peer->ssl, ret);

    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_ZERO_RETURN;
}

static void step(struct tls_peer *peer)
{
    const char *name;
    int ret;

    if (peer->failed || SSL_is_init_finished(peer->ssl))
        return;
    ERR_clear_error();
    ret = SSL_do_handshake(peer->ssl);
    if (ret != 1) {
        peer->failed = !waits(peer, ret);
        return;
    }
    name = SSL_get_servername(peer->ssl, TLSEXT_NAMETYPE_host_name);
    snprintf(peer->sni, sizeof(peer->sni), "%s", name == NULL ? "" : name);
}

void tls_peer_feed(struct tls_peer *peer, const void *data, size_t len)
{
    if (len > 0)
        must(BIO_write(peer->in, data, (int)len) == (int)len, "feed");
    step(peer);
}

size_t tls_peer_output(struct tls_peer *peer, void *buf, size_t size)
{
    int len = BIO_read(peer->out, buf, (int)size);

    return len > 0 ? (size_t)len : 0;
}

size_t tls_peer_read(struct tls_peer *peer, void *buf, size_t size)
{
    size_t len = 0;

    ERR_clear_error();
    if (SSL_read_ex(peer->ssl, buf, size, &len) == 1)
        return len;
    if (!waits(peer, 0))
        peer->failed = true;
    return 0;
}

void tls_peer_write(struct tls_peer *peer, const void *data, size_t len)
{
    size_t written = 0;

    must(len == 0 || (SSL_write_ex(peer->ssl, data, len, &written) == 1 && written == len), "write");
}

void tls_peer_shutdown(struct tls_peer *peer)
{
    (void)SSL_shutdown(peer->ssl);
}

void tls_peer_renegotiate(struct tls_peer *peer)
{
    must(SSL_renegotiate(peer->ssl) == 1, "renegotiation");
    (void)SSL_do_handshake(peer->ssl);
}

void tls_peer_update_keys(struct tls_peer *peer)
{
    must(SSL_key_update(peer->ssl, SSL_KEY_UPDATE_REQUESTED) == 1, "key update");
    must(SSL_do_handshake(peer->ssl) == 1, "key update");
}

bool tls_peer_ready(const struct tls_peer *peer)
{
    return SSL_is_init_finished(peer->ssl) && !peer->failed;
}

bool tls_peer_failed(const struct tls_peer *peer)
{
    return peer->failed;
}

bool tls_peer_saw_end(const struct tls_peer *peer)
{
    return (SSL_get_shutdown(peer->ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
}

const char *tls_peer_sni(const struct tls_peer *peer)
{
    return peer->sni;
}
