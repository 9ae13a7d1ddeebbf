/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Implementation notes. OpenSSL's default library context is used, so that the system's policy
 * (openssl.cnf, FIPS) holds; nothing in it is changed. The error queue belongs to the calling thread, which
 * may be the program's own: it is cleared before each operation (SSL_get_error() needs that) and after each
 * failure.
 *
 * Key pairs and roots are replaced on disk while the client runs. The files are looked at when a session is
 * made; when one has changed all are loaded anew. A set that does not load (half replaced, say) leaves the
 * previous one in use, and is tried again at the next session.
 */
#include "net/tls.h"

#include "base/mem.h"
#include "base/str.h"
#include "net/addr.h"
#include "net/stamp.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SERVER_NAME_MAX = 253,
    NAME_TEXT = 128,   /* of a certificate's subject or issuer in a message */
    REASON_TEXT = 360, /* of one failure */
};

enum { FILE_CA, FILE_CERT, FILE_KEY, FILE_COUNT };

struct etcd__tls {
    size_t references;
    SSL_CTX *ctx;
    char *files[FILE_COUNT]; /* NULL: not given */
    struct etcd__stamp stamps[FILE_COUNT];
    char *server_name;
    bool insecure_skip_verify;
    etcd_error *trouble; /* why the files as they are now cannot be used; NULL: they are in use */
    bool untold;         /* by etcd__tls_take_trouble() */
};

struct etcd__tls_session {
    SSL *ssl;
    BIO *in, *out; /* owned by ssl */
    bool dead;
    bool verify_failed;
    char expected[256];             /* the name or address that the certificate must have */
    char verify_error[REASON_TEXT]; /* why the chain was refused, when it was */
};

/* ---- errors ---- */

struct plain_text {
    int lib;
    int reason;
    const char *text;
};

/* Where OpenSSL's own words do not help. */
static const struct plain_text plain_texts[] = {
    {ERR_LIB_SSL, SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL,
     "server does not speak HTTP/2 over TLS (no ALPN h2)"},
    {ERR_LIB_SSL, SSL_R_WRONG_VERSION_NUMBER,
     "the server does not speak TLS (is the endpoint an http:// one?)"},
    {ERR_LIB_SSL, SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "the server demands a client certificate"},
    {ERR_LIB_SSL, SSL_R_SSLV3_ALERT_BAD_CERTIFICATE,
     "the server refused the client certificate, or demands one (bad certificate)"},
    {ERR_LIB_SSL, SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED,
     "the server refused the client certificate (expired)"},
    {ERR_LIB_SSL, SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED,
     "the server refused the client certificate (revoked)"},
    {ERR_LIB_SSL, SSL_R_TLSV1_ALERT_UNKNOWN_CA, "the server refused the client certificate (unknown CA)"},
    {ERR_LIB_SSL, SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE,
     "the server refused the handshake (it may demand a client certificate, or other ciphers)"},
    {ERR_LIB_SSL, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "the server speaks no TLS version from 1.2 on"},
    {ERR_LIB_SSL, SSL_R_UNSUPPORTED_PROTOCOL, "the server speaks no TLS version from 1.2 on"},
    {ERR_LIB_PEM, PEM_R_NO_START_LINE, "nothing in PEM form in it"},
    {ERR_LIB_OSSL_DECODER, ERR_R_UNSUPPORTED, "no private key in PEM form in it"},
};

/*
 * OpenSSL's error as text; empties the queue. The oldest entry is the cause, the others are the callers'
 * complaints.
 * *ret_memory: it was lack of memory.
 */
static void take_openssl_error(char *dst, size_t size, bool *ret_memory)
{
    unsigned long code = ERR_peek_error();
    int reason = ERR_GET_REASON(code);
    char number[64];
    const char *text = NULL;

    ERR_clear_error();
    *ret_memory = code != 0 && !ERR_SYSTEM_ERROR(code) && reason == ERR_R_MALLOC_FAILURE;
    if (code == 0)
        text = "no reason given";
    else if (ERR_SYSTEM_ERROR(code))
        text = etcd__errno_text(number, sizeof(number), reason);
    for (size_t i = 0; text == NULL && i < ETCD__COUNT(plain_texts); i++) {
        if (plain_texts[i].lib == ERR_GET_LIB(code) && plain_texts[i].reason == reason)
            text = plain_texts[i].text;
    }
    if (text == NULL)
        text = ERR_reason_error_string(code);
    if (text == NULL) {
        etcd__format(number, sizeof(number), "OpenSSL error %lx", code);
        text = number;
    }
    etcd__format(dst, size, "%s", text);
}

/* Fails with OpenSSL's reason behind `what`, or for want of memory. */
static etcd_status fail_openssl(etcd_error *reterr, etcd_status status, const char *what)
{
    char reason[REASON_TEXT];
    bool memory;

    take_openssl_error(reason, sizeof(reason), &memory);
    return memory ? etcd__fail_memory(reterr) : etcd__fail(reterr, status, "%s: %s", what, reason);
}

/* ---- files ---- */

static const char *const file_kinds[FILE_COUNT] = {"CA file", "certificate file", "key file"};

/* OpenSSL is vague about files that cannot be opened, so that is found out before it gets them. */
static etcd_status check_file(const struct etcd__tls *tls, int kind, etcd_error *reterr)
{
    char text[128];
    char path[256];
    struct stat info;
    int error = 0;
    int fd;

    fd = open(tls->files[kind], O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &info) != 0)
        error = errno;
    else if (S_ISDIR(info.st_mode))
        error = EISDIR;
    if (fd >= 0)
        close(fd);
    if (error == 0)
        return ETCD_OK;
    etcd__fail(reterr, ETCD_E_IO, "%s %s: %s", file_kinds[kind],
               etcd__escape(path, sizeof(path), tls->files[kind], strlen(tls->files[kind])),
               etcd__errno_text(text, sizeof(text), error));
    if (reterr != NULL)
        reterr->sys_errno = error;
    return ETCD_E_IO;
}

static etcd_status fail_file(const struct etcd__tls *tls, int kind, etcd_error *reterr)
{
    char path[256];
    char what[320];

    etcd__escape(path, sizeof(path), tls->files[kind], strlen(tls->files[kind]));
    etcd__format(what, sizeof(what), "%s %s", file_kinds[kind], path);
    return fail_openssl(reterr, ETCD_E_IO, what);
}

static etcd_status load_roots(const struct etcd__tls *tls, SSL_CTX *ctx, etcd_error *reterr)
{
    etcd_status st;

    if (tls->files[FILE_CA] == NULL) {
        if (SSL_CTX_set_default_verify_paths(ctx) != 1)
            return fail_openssl(reterr, ETCD_E_IO, "the system's root certificates");
        return ETCD_OK;
    }
    st = check_file(tls, FILE_CA, reterr);
    if (st == ETCD_OK && SSL_CTX_load_verify_file(ctx, tls->files[FILE_CA]) != 1)
        st = fail_file(tls, FILE_CA, reterr);
    return st;
}

/* Called for the passphrase of an encrypted key. OpenSSL's own would ask on the terminal. */
static int refuse_passphrase(char *buf, int size, int writing, void *user)
{
    bool *asked = user;

    (void)buf;
    (void)size;
    (void)writing;
    *asked = true;
    return -1;
}

static etcd_status load_key(const struct etcd__tls *tls, SSL_CTX *ctx, etcd_error *reterr)
{
    bool asked = false;
    char path[256];
    int loaded;

    SSL_CTX_set_default_passwd_cb(ctx, refuse_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, &asked);
    loaded = SSL_CTX_use_PrivateKey_file(ctx, tls->files[FILE_KEY], SSL_FILETYPE_PEM);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
    SSL_CTX_set_default_passwd_cb(ctx, NULL);
    if (loaded == 1)
        return ETCD_OK;
    if (!asked)
        return fail_file(tls, FILE_KEY, reterr);
    ERR_clear_error();
    return etcd__fail(reterr, ETCD_E_IO,
                      "key file %s: the key is encrypted; keys with a passphrase are not supported",
                      etcd__escape(path, sizeof(path), tls->files[FILE_KEY], strlen(tls->files[FILE_KEY])));
}

static etcd_status load_key_pair(const struct etcd__tls *tls, SSL_CTX *ctx, etcd_error *reterr)
{
    etcd_status st;

    if (tls->files[FILE_CERT] == NULL)
        return ETCD_OK;
    st = check_file(tls, FILE_CERT, reterr);
    if (st == ETCD_OK)
        st = check_file(tls, FILE_KEY, reterr);
    if (st != ETCD_OK)
        return st;
    if (SSL_CTX_use_certificate_chain_file(ctx, tls->files[FILE_CERT]) != 1)
        return fail_file(tls, FILE_CERT, reterr);
    /* Compares with the certificate that is loaded already. */
    return load_key(tls, ctx, reterr);
}

/* ---- verification ---- */

static void print_name(char *dst, size_t size, const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    long len = 0;

    if (bio != NULL && name != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
        len = BIO_get_mem_data(bio, &data);
    etcd__escape(dst, size, len > 0 ? data : "?", len > 0 ? (size_t)len : 1);
    BIO_free(bio);
}

/* OpenSSL asks for each certificate of the chain; the first refusal is kept for the message. */
static int on_verify(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct etcd__tls_session *session = SSL_get_app_data(ssl);
    X509 *cert = X509_STORE_CTX_get_current_cert(store);
    int error = X509_STORE_CTX_get_error(store);
    char subject[NAME_TEXT] = "?";
    char issuer[NAME_TEXT] = "?";

    if (ok || session->verify_failed)
        return ok;
    session->verify_failed = true;
    if (cert != NULL) {
        print_name(subject, sizeof(subject), X509_get_subject_name(cert));
        print_name(issuer, sizeof(issuer), X509_get_issuer_name(cert));
    }
    if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH)
        etcd__format(session->verify_error, sizeof(session->verify_error), "not valid for %s (subject %s)",
                     session->expected, subject);
    else
        etcd__format(session->verify_error, sizeof(session->verify_error), "%s (subject %s, issuer %s)",
                     X509_verify_cert_error_string(error), subject, issuer);
    return 0;
}

/* ---- configuration ---- */

static etcd_status build_ctx(struct etcd__tls *tls, etcd_error *reterr)
{
    struct etcd__stamp stamps[FILE_COUNT];
    SSL_CTX *ctx;
    etcd_status st;

    for (int i = 0; i < FILE_COUNT; i++)
        stamps[i] = etcd__stamp_of(tls->files[i]);
    ERR_clear_error();
    ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL)
        return fail_openssl(reterr, ETCD_E_INTERNAL, "TLS set-up");
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
        st = fail_openssl(reterr, ETCD_E_INTERNAL, "TLS set-up");
        goto out;
    }
    /* HTTP/2 forbids renegotiation and compression (RFC 9113, 9.2). */
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(ctx, tls->insecure_skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                       tls->insecure_skip_verify ? NULL : on_verify);
    st = load_roots(tls, ctx, reterr);
    if (st == ETCD_OK)
        st = load_key_pair(tls, ctx, reterr);
    if (st != ETCD_OK)
        goto out;
    SSL_CTX_free(tls->ctx);
    tls->ctx = ctx;
    ctx = NULL;
    memcpy(tls->stamps, stamps, sizeof(stamps));

out:
    SSL_CTX_free(ctx);
    return st;
}

/* True when it worked, or when there was nothing to copy. */
static bool copy_text(char **dst, const char *text)
{
    if (text != NULL)
        *dst = etcd__strdup(text);
    return text == NULL || *dst != NULL;
}

static bool is_address_text(const char *text)
{
    struct sockaddr_storage ignored;

    return etcd__addr_parse(text, 0, &ignored);
}

/* A name or an address, as a certificate can have one. */
static etcd_status check_server_name(const char *name, etcd_error *reterr)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    char text[NAME_TEXT];
    size_t len;

    if (name == NULL || is_address_text(name))
        return ETCD_OK;
    len = strlen(name);
    if (len > 0 && len <= SERVER_NAME_MAX && strspn(name, allowed) == len)
        return ETCD_OK;
    return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                      "server name \"%s\" is neither a host name nor an IP address",
                      etcd__escape(text, sizeof(text), name, len));
}

etcd_status etcd__tls_new(const struct etcd__tls_options *options, struct etcd__tls **ret_tls,
                          etcd_error *reterr)
{
    struct etcd__tls *tls;
    etcd_status st;

    assert(options != NULL && ret_tls != NULL);
    if ((options->cert_file == NULL) != (options->key_file == NULL))
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                          "a client certificate needs both files; the %s is missing",
                          file_kinds[options->cert_file == NULL ? FILE_CERT : FILE_KEY]);
    st = check_server_name(options->server_name, reterr);
    if (st != ETCD_OK)
        return st;
    tls = ETCD__NEW(struct etcd__tls);
    if (tls == NULL)
        return etcd__fail_memory(reterr);
    tls->references = 1;
    tls->insecure_skip_verify = options->insecure_skip_verify;
    if (copy_text(&tls->files[FILE_CA], options->ca_file) &&
        copy_text(&tls->files[FILE_CERT], options->cert_file) &&
        copy_text(&tls->files[FILE_KEY], options->key_file) &&
        copy_text(&tls->server_name, options->server_name))
        st = build_ctx(tls, reterr);
    else
        st = etcd__fail_memory(reterr);
    if (st != ETCD_OK) {
        etcd__tls_unref(tls);
        return st;
    }
    *ret_tls = tls;
    return ETCD_OK;
}

struct etcd__tls *etcd__tls_ref(struct etcd__tls *tls)
{
    tls->references++;
    return tls;
}

void etcd__tls_unref(struct etcd__tls *tls)
{
    if (tls == NULL)
        return;
    assert(tls->references > 0);
    if (--tls->references > 0)
        return;
    SSL_CTX_free(tls->ctx);
    for (int i = 0; i < FILE_COUNT; i++)
        etcd__free(tls->files[i]);
    etcd__free(tls->server_name);
    etcd__free(tls->trouble);
    etcd__free(tls);
}

/* The files in use are the newest again, or (err) they are not, for this reason. */
static void note_trouble(struct etcd__tls *tls, const etcd_error *err)
{
    if (err != NULL && tls->trouble == NULL) {
        tls->trouble = etcd__memdup(err, sizeof(*err)); /* without memory the next session's attempt tells */
        tls->untold = tls->trouble != NULL;
    } else if (err == NULL) {
        etcd__free(tls->trouble);
        tls->trouble = NULL;
        tls->untold = false;
    }
}

bool etcd__tls_take_trouble(struct etcd__tls *tls, etcd_error *ret_err)
{
    if (!tls->untold)
        return false;
    tls->untold = false;
    *ret_err = *tls->trouble;
    return true;
}

static void reload_if_changed(struct etcd__tls *tls)
{
    etcd_error err;

    for (int i = 0; i < FILE_COUNT; i++) {
        struct etcd__stamp now = etcd__stamp_of(tls->files[i]);

        if (!etcd__stamp_equal(&now, &tls->stamps[i])) {
            note_trouble(tls, build_ctx(tls, &err) == ETCD_OK ? NULL : &err);
            return;
        }
    }
    note_trouble(tls, NULL);
}

/* ---- sessions ---- */

/* Tells OpenSSL which name the server must prove to have, and asks for it by SNI. */
static bool expect_name(struct etcd__tls_session *session, const char *name, bool is_address)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(session->ssl);
    size_t len = strlen(name);

    if (is_address)
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    /* A complete name ends in a dot in the DNS only, never in a certificate or in SNI. */
    if (len > 1 && name[len - 1] == '.')
        len--;
    assert(len < sizeof(session->expected));
    memcpy(session->expected, name, len);
    session->expected[len] = '\0';
    /*
     * The common name is no place for host names any more (RFC 9525); Go's TLS, and so etcd, ignores it
     * too.
     */
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return X509_VERIFY_PARAM_set1_host(param, session->expected, len) == 1 &&
           SSL_set_tlsext_host_name(session->ssl, session->expected) == 1;
}

static bool attach_queues(struct etcd__tls_session *session)
{
    session->in = BIO_new(BIO_s_mem());
    session->out = BIO_new(BIO_s_mem());
    if (session->in == NULL || session->out == NULL) {
        BIO_free(session->in);
        BIO_free(session->out);
        return false;
    }
    SSL_set_bio(session->ssl, session->in, session->out);
    return true;
}

static bool set_up_session(struct etcd__tls_session *session, struct etcd__tls *tls, const char *host,
                           bool is_address)
{
    static const unsigned char alpn[] = {2, 'h', '2'};
    const char *name = tls->server_name != NULL ? tls->server_name : host;

    session->ssl = SSL_new(tls->ctx);
    if (session->ssl == NULL || !attach_queues(session))
        return false;
    SSL_set_app_data(session->ssl, session);
    SSL_set_connect_state(session->ssl);
    if (SSL_set_alpn_protos(session->ssl, alpn, sizeof(alpn)) != 0) /* 0 is success here */
        return false;
    etcd__format(session->expected, sizeof(session->expected), "%s", name);
    return expect_name(session, name, tls->server_name != NULL ? is_address_text(name) : is_address);
}

etcd_status etcd__tls_session_new(struct etcd__tls *tls, const char *host, bool is_address,
                                  struct etcd__tls_session **ret_session, etcd_error *reterr)
{
    struct etcd__tls_session *session;

    assert(tls != NULL && host != NULL && ret_session != NULL);
    reload_if_changed(tls);
    session = ETCD__NEW(struct etcd__tls_session);
    if (session == NULL)
        return etcd__fail_memory(reterr);
    ERR_clear_error();
    if (!set_up_session(session, tls, host, is_address)) {
        etcd_status st = fail_openssl(reterr, ETCD_E_UNAVAILABLE, "TLS session");

        etcd__tls_session_free(session);
        return st;
    }
    *ret_session = session;
    return ETCD_OK;
}

void etcd__tls_session_free(struct etcd__tls_session *session)
{
    if (session == NULL)
        return;
    SSL_free(session->ssl);
    etcd__free(session);
}

bool etcd__tls_feed(struct etcd__tls_session *session, const void *data, size_t len)
{
    size_t written = 0;

    if (len == 0)
        return true;
    ERR_clear_error();
    if (BIO_write_ex(session->in, data, len, &written) == 1 && written == len)
        return true;
    ERR_clear_error();
    return false;
}

static enum etcd__tls_result fail_session(struct etcd__tls_session *session, const char *why,
                                          etcd_error *reterr)
{
    session->dead = true;
    ERR_clear_error();
    etcd__fail(reterr, ETCD_E_UNAVAILABLE, "%s", why);
    return ETCD__TLS_FAILED;
}

/* What the last call of OpenSSL, which did not succeed, means. */
static enum etcd__tls_result explain(struct etcd__tls_session *session, etcd_error *reterr)
{
    char reason[REASON_TEXT];
    bool memory;

    switch (SSL_get_error(session->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
        return ETCD__TLS_WANT_MORE;
    case SSL_ERROR_ZERO_RETURN:
        return ETCD__TLS_EOF;
    default:
        break;
    }
    if (session->verify_failed) {
        etcd__format(reason, sizeof(reason), "certificate verify failed: %s", session->verify_error);
        return fail_session(session, reason, reterr);
    }
    take_openssl_error(reason, sizeof(reason), &memory);
    fail_session(session, reason, memory ? NULL : reterr);
    if (memory)
        etcd__fail_memory(reterr);
    return ETCD__TLS_FAILED;
}

/* The answer to a call on a session that failed before. */
static enum etcd__tls_result already_dead(etcd_error *reterr)
{
    etcd__fail(reterr, ETCD_E_UNAVAILABLE, "the TLS session has failed before");
    return ETCD__TLS_FAILED;
}

static bool speaks_h2(const struct etcd__tls_session *session)
{
    const unsigned char *protocol = NULL;
    unsigned len = 0;

    SSL_get0_alpn_selected(session->ssl, &protocol, &len);
    return len == 2 && memcmp(protocol, "h2", 2) == 0;
}

enum etcd__tls_result etcd__tls_handshake(struct etcd__tls_session *session, etcd_error *reterr)
{
    if (session->dead)
        return already_dead(reterr);
    ERR_clear_error();
    if (SSL_do_handshake(session->ssl) != 1)
        return explain(session, reterr);
    if (!speaks_h2(session))
        return fail_session(session, "server does not speak HTTP/2 over TLS (no ALPN h2)", reterr);
    return ETCD__TLS_OK;
}

enum etcd__tls_result etcd__tls_read(struct etcd__tls_session *session, void *dst, size_t size,
                                     size_t *ret_len, etcd_error *reterr)
{
    if (session->dead)
        return already_dead(reterr);
    ERR_clear_error();
    if (SSL_read_ex(session->ssl, dst, size, ret_len) == 1)
        return ETCD__TLS_OK;
    return explain(session, reterr);
}

enum etcd__tls_result etcd__tls_write(struct etcd__tls_session *session, const void *data, size_t len,
                                      etcd_error *reterr)
{
    size_t written = 0;

    if (session->dead)
        return already_dead(reterr);
    if (len == 0)
        return ETCD__TLS_OK;
    ERR_clear_error();
    if (SSL_write_ex(session->ssl, data, len, &written) == 1) {
        assert(written == len); /* partial writes are a mode that is not set */
        return ETCD__TLS_OK;
    }
    /*
     * The output queue takes everything and renegotiation is off, so there is nothing a write could wait
     * for.
     */
    if (explain(session, reterr) != ETCD__TLS_FAILED)
        return fail_session(session, "the TLS session takes no data", reterr);
    return ETCD__TLS_FAILED;
}

void etcd__tls_shutdown(struct etcd__tls_session *session)
{
    if (session->dead || !SSL_is_init_finished(session->ssl))
        return;
    ERR_clear_error();
    (void)SSL_shutdown(session->ssl); /* does not wait for the peer's answer */
    ERR_clear_error();
}

bool etcd__tls_take_output(struct etcd__tls_session *session, struct etcd__buf *out)
{
    char *data = NULL;
    long len = BIO_get_mem_data(session->out, &data);

    if (len <= 0)
        return true;
    if (!etcd__buf_append(out, data, (size_t)len))
        return false;
    (void)BIO_reset(session->out);
    return true;
}
