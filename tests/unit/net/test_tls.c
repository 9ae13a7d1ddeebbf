/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls.h"

#include "support/alloc_fail.h"
#include "support/certs.h"
#include "support/test.h"
#include "support/tls_peer.h"

#include <errno.h>
#include <ftw.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

/* The path of a file of the test's directory; the last few calls' results stay valid. */
static const char *at(const char *name)
{
    static char paths[8][160];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

static int make_files(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/etcdc-tls-XXXXXX");
    return mkdtemp(dir) != NULL && certs_write(dir) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static int remove_files(void **state)
{
    (void)state;
    return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void write_text(const char *name, const char *text)
{
    FILE *file = fopen(at(name), "we");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void copy_file(const char *from, const char *to)
{
    char text[16384];
    FILE *file = fopen(at(from), "re");
    size_t len;

    assert_non_null(file);
    len = fread(text, 1, sizeof(text) - 1, file);
    text[len] = '\0';
    fclose(file);
    /* By way of another file, so that the stamp differs even within one tick of the file system's clock. */
    write_text("copying", text);
    assert_int_equal(rename(at("copying"), at(to)), 0);
}

/* ---- two ends that talk ---- */

struct pair {
    struct etcd__tls_session *client;
    struct tls_peer *peer;
    struct etcd__buf out; /* of the client */
    size_t chunk;         /* bytes moved at once; 0: all */
    enum etcd__tls_result result;
    etcd_error err;
};

static void to_peer(struct pair *pair)
{
    assert_true(etcd__tls_take_output(pair->client, &pair->out));
    tls_peer_feed(pair->peer, etcd__buf_front(&pair->out), etcd__buf_len(&pair->out));
    etcd__buf_consume(&pair->out, etcd__buf_len(&pair->out));
}

/* Moves one chunk; false when there was nothing. */
static bool to_client(struct pair *pair)
{
    char bytes[65536];
    size_t len = tls_peer_output(pair->peer, bytes, pair->chunk == 0 ? sizeof(bytes) : pair->chunk);

    if (len > 0)
        assert_true(etcd__tls_feed(pair->client, bytes, len));
    return len > 0;
}

/* Both ends' handshakes, until neither has anything to say. */
static void shake_hands(struct pair *pair)
{
    pair->result = ETCD__TLS_WANT_MORE;
    do {
        if (pair->result == ETCD__TLS_WANT_MORE)
            pair->result = etcd__tls_handshake(pair->client, &pair->err);
        to_peer(pair);
    } while (to_client(pair));
}

static void pair_open(struct pair *pair, const struct etcd__tls_options *options, const char *host,
                      bool is_address, const struct tls_peer_options *peer_options)
{
    struct tls_peer_options peer = *peer_options;
    struct etcd__tls *tls = NULL;

    memset(pair, 0, sizeof(*pair));
    peer.dir = dir;
    pair->peer = tls_peer_new(&peer);
    assert_int_equal(etcd__tls_new(options, &tls, NULL), ETCD_OK);
    assert_int_equal(etcd__tls_session_new(tls, host, is_address, &pair->client, NULL), ETCD_OK);
    etcd__tls_unref(tls); /* the session does not need it */
}

static void pair_close(struct pair *pair)
{
    etcd__tls_session_free(pair->client);
    tls_peer_free(pair->peer);
    etcd__buf_deinit(&pair->out);
    /* Nothing is left for whoever uses OpenSSL next on this thread. */
    assert_int_equal(ERR_peek_error(), 0);
}

static const struct tls_peer_options h2_server = {
    .cert = CERTS_SERVER, .key = CERTS_SERVER_KEY, .alpn = "h2"};

/* ---- handshakes ---- */

struct handshake {
    const char *what;
    struct tls_peer_options peer;
    const char *ca, *cert, *key; /* names in the directory */
    const char *server_name;
    const char *host;
    const char *sni;     /* expected when it works */
    const char *message; /* the beginning of; NULL: it works */
    bool insecure;
    bool is_address;
};

#define SERVER .cert = CERTS_SERVER, .key = CERTS_SERVER_KEY
#define OTHER .cert = CERTS_OTHER_HOST, .key = CERTS_OTHER_HOST_KEY

static const struct handshake handshakes[] = {
    {"by name", {SERVER, .alpn = "h2"}, .ca = CERTS_CA, .host = "localhost", .sni = "localhost"},
    {"by name, 1.2",
     {SERVER, .alpn = "h2", .version = 12},
     .ca = CERTS_CA,
     .host = "localhost",
     .sni = "localhost"},
    {"by name, 1.3",
     {SERVER, .alpn = "h2", .version = 13},
     .ca = CERTS_CA,
     .host = "localhost",
     .sni = "localhost"},
    {"by name with a dot", {SERVER, .alpn = "h2"}, .ca = CERTS_CA, .host = "localhost.", .sni = "localhost"},
    {"by IPv4", {SERVER, .alpn = "h2"}, .ca = CERTS_CA, .host = "127.0.0.1", .is_address = true, .sni = ""},
    {"by IPv6", {SERVER, .alpn = "h2"}, .ca = CERTS_CA, .host = "::1", .is_address = true, .sni = ""},
    {"server name",
     {OTHER, .alpn = "h2"},
     .ca = CERTS_CA,
     .server_name = "other.example",
     .host = "127.0.0.1",
     .is_address = true,
     .sni = "other.example"},
    {"server name that is an address",
     {SERVER, .alpn = "h2"},
     .ca = CERTS_CA,
     .server_name = "127.0.0.1",
     .host = "other",
     .sni = ""},
    {"unverified", {OTHER, .alpn = "h2"}, .insecure = true, .host = "localhost", .sni = "localhost"},
    {"client certificate",
     {SERVER, .alpn = "h2", .client_ca = CERTS_CA},
     .ca = CERTS_CA,
     .cert = CERTS_CLIENT,
     .key = CERTS_CLIENT_KEY,
     .host = "localhost",
     .sni = "localhost"},

    {"wrong authority",
     {SERVER, .alpn = "h2"},
     .ca = CERTS_WRONG_CA,
     .host = "localhost",
     .message = "certificate verify failed: unable to get local issuer certificate (subject CN=server, "
                "issuer CN=test authority)"},
    {"expired",
     {.cert = CERTS_EXPIRED, .key = CERTS_EXPIRED_KEY, .alpn = "h2"},
     .ca = CERTS_CA,
     .host = "localhost",
     .message = "certificate verify failed: certificate has expired (subject CN=expired server,"},
    {"other name",
     {OTHER, .alpn = "h2"},
     .ca = CERTS_CA,
     .host = "localhost",
     .message = "certificate verify failed: not valid for localhost (subject CN=other server)"},
    {"other address",
     {SERVER, .alpn = "h2"},
     .ca = CERTS_CA,
     .host = "127.0.0.2",
     .is_address = true,
     .message = "certificate verify failed: not valid for 127.0.0.2 (subject CN=server)"},
    {"common name",
     {OTHER, .alpn = "h2"},
     .ca = CERTS_CA,
     .host = "server",
     .message = "certificate verify failed: not valid for server (subject CN=other server)"},
    {"no ALPN",
     {SERVER},
     .ca = CERTS_CA,
     .host = "localhost",
     .message = "server does not speak HTTP/2 over TLS (no ALPN h2)"},
    {"no ALPN, 1.2",
     {SERVER, .version = 12},
     .ca = CERTS_CA,
     .host = "localhost",
     .message = "server does not speak HTTP/2 over TLS (no ALPN h2)"},
    {"other ALPN",
     {SERVER, .alpn = "http/1.1"},
     .ca = CERTS_CA,
     .host = "localhost",
     .message = "server does not speak HTTP/2 over TLS (no ALPN h2)"},
    {"TLS 1.1",
     {SERVER, .alpn = "h2", .version = 11},
     .ca = CERTS_CA,
     .host = "localhost",
     .message = "the server speaks no TLS version from 1.2 on"},
    {"client certificate missing, 1.2",
     {SERVER, .alpn = "h2", .client_ca = CERTS_CA, .version = 12},
     .ca = CERTS_CA,
     .host = "localhost",
     .message = "the server "},
};

static void try_handshake(const struct handshake *row, size_t chunk)
{
    struct etcd__tls_options options = {
        .ca_file = row->ca == NULL ? NULL : at(row->ca),
        .cert_file = row->cert == NULL ? NULL : at(row->cert),
        .key_file = row->key == NULL ? NULL : at(row->key),
        .server_name = row->server_name,
        .insecure_skip_verify = row->insecure,
    };
    struct pair pair;

    pair_open(&pair, &options, row->host, row->is_address, &row->peer);
    pair.chunk = chunk;
    shake_hands(&pair);
    if (row->message == NULL) {
        if (pair.result != ETCD__TLS_OK)
            fail_msg("%s: %s", row->what, pair.err.message);
        assert_true(tls_peer_ready(pair.peer));
        assert_string_equal(tls_peer_sni(pair.peer), row->sni);
    } else {
        if (pair.result != ETCD__TLS_FAILED)
            fail_msg("%s worked", row->what);
        assert_int_equal(pair.err.status, ETCD_E_UNAVAILABLE);
        if (strncmp(pair.err.message, row->message, strlen(row->message)) != 0)
            fail_msg("%s: %s", row->what, pair.err.message);
        /* What failed once stays failed. */
        assert_int_equal(etcd__tls_handshake(pair.client, NULL), ETCD__TLS_FAILED);
        assert_int_equal(etcd__tls_write(pair.client, "x", 1, NULL), ETCD__TLS_FAILED);
    }
    pair_close(&pair);
}

static void handshakes_end_as_they_should(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(handshakes) / sizeof(handshakes[0]); i++) {
        try_handshake(&handshakes[i], 0);
        try_handshake(&handshakes[i], 1);
    }
}

/* With TLS 1.3 the server's opinion of the client's certificate comes after the handshake. */
static void late_refusal(const char *cert, const char *key, const char *message)
{
    struct tls_peer_options server = h2_server;
    struct etcd__tls_options options = {.ca_file = at(CERTS_CA),
                                        .cert_file = cert == NULL ? NULL : at(cert),
                                        .key_file = key == NULL ? NULL : at(key)};
    struct pair pair;
    char bytes[16];
    size_t len;

    server.client_ca = CERTS_CA;
    server.version = 13;
    pair_open(&pair, &options, "localhost", false, &server);
    shake_hands(&pair);
    assert_int_equal(pair.result, ETCD__TLS_OK);
    assert_true(tls_peer_failed(pair.peer));
    assert_int_equal(etcd__tls_read(pair.client, bytes, sizeof(bytes), &len, &pair.err), ETCD__TLS_FAILED);
    assert_string_equal(pair.err.message, message);
    pair_close(&pair);
}

static void a_late_refusal_is_explained(void **state)
{
    (void)state;
    late_refusal(NULL, NULL, "the server demands a client certificate");
    late_refusal(CERTS_WRONG_CLIENT, CERTS_WRONG_CLIENT_KEY,
                 "the server refused the client certificate (unknown CA)");
}

/* An etcd that listens in clear answers the greeting with HTTP/2. */
static void a_server_in_clear_is_named(void **state)
{
    static const char settings[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    struct etcd__tls_options options = {.ca_file = at(CERTS_CA)};
    struct pair pair;

    (void)state;
    pair_open(&pair, &options, "localhost", false, &h2_server);
    assert_int_equal(etcd__tls_handshake(pair.client, &pair.err), ETCD__TLS_WANT_MORE);
    assert_true(etcd__tls_feed(pair.client, settings, sizeof(settings) - 1));
    assert_int_equal(etcd__tls_handshake(pair.client, &pair.err), ETCD__TLS_FAILED);
    assert_string_equal(pair.err.message, "the server does not speak TLS (is the endpoint an http:// one?)");
    pair_close(&pair);
}

/* ---- data ---- */

static void pattern(char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(i * 31 >> 3);
}

static size_t peer_read_all(struct pair *pair, char *bytes, size_t size)
{
    size_t total = 0;
    size_t len;

    while ((len = tls_peer_read(pair->peer, bytes + total, size - total)) > 0)
        total += len;
    return total;
}

static size_t client_read_all(struct pair *pair, char *bytes, size_t size)
{
    size_t total = 0;
    size_t len = 0;

    do {
        while (etcd__tls_read(pair->client, bytes + total, size - total, &len, &pair->err) == ETCD__TLS_OK)
            total += len;
    } while (to_client(pair));
    return total;
}

static void carries_data(size_t chunk, int version)
{
    enum { SIZE = 100000 };
    static char sent[SIZE], got[SIZE + 1];
    struct etcd__tls_options options = {.ca_file = at(CERTS_CA)};
    struct tls_peer_options server = h2_server;
    struct pair pair;

    pattern(sent, SIZE);
    server.version = version;
    pair_open(&pair, &options, "localhost", false, &server);
    shake_hands(&pair);
    pair.chunk = chunk;
    assert_int_equal(pair.result, ETCD__TLS_OK);

    assert_int_equal(etcd__tls_write(pair.client, NULL, 0, NULL), ETCD__TLS_OK);
    assert_int_equal(etcd__tls_write(pair.client, sent, SIZE, &pair.err), ETCD__TLS_OK);
    to_peer(&pair);
    assert_int_equal(peer_read_all(&pair, got, sizeof(got)), SIZE);
    assert_memory_equal(sent, got, SIZE);

    tls_peer_write(pair.peer, sent, SIZE);
    memset(got, 0, SIZE);
    assert_int_equal(client_read_all(&pair, got, sizeof(got)), SIZE);
    assert_memory_equal(sent, got, SIZE);
    pair_close(&pair);
}

static void data_arrives_whole_and_in_pieces(void **state)
{
    (void)state;
    carries_data(0, 12);
    carries_data(0, 13);
    carries_data(1, 13);
    carries_data(1000, 12);
}

static void new_keys_are_answered(void **state)
{
    struct etcd__tls_options options = {.ca_file = at(CERTS_CA)};
    struct tls_peer_options server = h2_server;
    struct pair pair;
    char bytes[16];
    size_t len;

    (void)state;
    server.version = 13;
    pair_open(&pair, &options, "localhost", false, &server);
    shake_hands(&pair);
    tls_peer_update_keys(pair.peer);
    while (to_client(&pair))
        ;
    assert_int_equal(etcd__tls_read(pair.client, bytes, sizeof(bytes), &len, &pair.err), ETCD__TLS_WANT_MORE);
    /* The answer may wait for the next write; the data has to be readable with it. */
    assert_int_equal(etcd__tls_write(pair.client, "hello", 5, &pair.err), ETCD__TLS_OK);
    to_peer(&pair);
    assert_int_equal(peer_read_all(&pair, bytes, sizeof(bytes)), 5);
    assert_false(tls_peer_failed(pair.peer));
    pair_close(&pair);
}

/* Refused with an alert; nothing else happens here. */
static void renegotiation_is_refused(void **state)
{
    struct etcd__tls_options options = {.ca_file = at(CERTS_CA)};
    struct tls_peer_options server = h2_server;
    struct pair pair;
    char bytes[16];
    size_t len;

    (void)state;
    server.version = 12;
    pair_open(&pair, &options, "localhost", false, &server);
    shake_hands(&pair);
    tls_peer_renegotiate(pair.peer);
    while (to_client(&pair))
        ;
    assert_int_equal(etcd__tls_read(pair.client, bytes, sizeof(bytes), &len, &pair.err), ETCD__TLS_WANT_MORE);
    assert_int_equal(etcd__tls_write(pair.client, "hello", 5, &pair.err), ETCD__TLS_OK);
    assert_false(tls_peer_failed(pair.peer));
    to_peer(&pair);
    (void)tls_peer_read(pair.peer, bytes, sizeof(bytes));
    assert_true(tls_peer_failed(pair.peer)); /* the alert; OpenSSL's servers insist */
    pair_close(&pair);
}

static void both_ends_say_goodbye(void **state)
{
    struct etcd__tls_options options = {.ca_file = at(CERTS_CA)};
    struct pair pair;
    char bytes[16];
    size_t len;

    (void)state;
    pair_open(&pair, &options, "localhost", false, &h2_server);
    etcd__tls_shutdown(pair.client); /* nothing to say yet */
    shake_hands(&pair);
    tls_peer_shutdown(pair.peer);
    while (to_client(&pair))
        ;
    assert_int_equal(etcd__tls_read(pair.client, bytes, sizeof(bytes), &len, &pair.err), ETCD__TLS_EOF);
    assert_false(tls_peer_saw_end(pair.peer));
    etcd__tls_shutdown(pair.client);
    to_peer(&pair);
    assert_int_equal(tls_peer_read(pair.peer, bytes, sizeof(bytes)), 0);
    assert_true(tls_peer_saw_end(pair.peer));
    pair_close(&pair);
}

/* ---- configuration ---- */

struct bad_options {
    const char *ca, *cert, *key, *server_name; /* files are names in the directory */
    etcd_status status;
    int sys_errno;
    const char *message; /* %s: the directory */
};

static const struct bad_options bad_options[] = {
    {NULL, CERTS_CLIENT, NULL, NULL, ETCD_E_INVALID_ARGUMENT, 0,
     "a client certificate needs both files; the key file is missing"},
    {NULL, NULL, CERTS_CLIENT_KEY, NULL, ETCD_E_INVALID_ARGUMENT, 0,
     "a client certificate needs both files; the certificate file is missing"},
    {NULL, NULL, NULL, "", ETCD_E_INVALID_ARGUMENT, 0,
     "server name \"\" is neither a host name nor an IP address"},
    {NULL, NULL, NULL, "a b", ETCD_E_INVALID_ARGUMENT, 0,
     "server name \"a b\" is neither a host name nor an IP address"},
    {"nothing", NULL, NULL, NULL, ETCD_E_IO, ENOENT, "CA file %s/nothing: No such file or directory"},
    {".", NULL, NULL, NULL, ETCD_E_IO, EISDIR, "CA file %s/.: Is a directory"},
    {"text", NULL, NULL, NULL, ETCD_E_IO, 0, "CA file %s/text: no certificate or crl found"},
    {NULL, "nothing", CERTS_CLIENT_KEY, NULL, ETCD_E_IO, ENOENT,
     "certificate file %s/nothing: No such file or directory"},
    {NULL, CERTS_CLIENT, "nothing", NULL, ETCD_E_IO, ENOENT,
     "key file %s/nothing: No such file or directory"},
    {NULL, "text", CERTS_CLIENT_KEY, NULL, ETCD_E_IO, 0,
     "certificate file %s/text: nothing in PEM form in it"},
    {NULL, CERTS_CLIENT, "text", NULL, ETCD_E_IO, 0, "key file %s/text: no private key in PEM form in it"},
    {NULL, CERTS_CLIENT, CERTS_SERVER_KEY, NULL, ETCD_E_IO, 0,
     "key file %s/" CERTS_SERVER_KEY ": key values mismatch"},
    {NULL, CERTS_CLIENT, "encrypted.pem", NULL, ETCD_E_IO, 0,
     "key file %s/encrypted.pem: the key is encrypted; keys with a passphrase are not supported"},
};

static void write_encrypted_key(void)
{
    FILE *file = fopen(at("encrypted.pem"), "we");
    EVP_PKEY *key = EVP_EC_gen("P-256");

    assert_non_null(file);
    assert_int_equal(
        PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(), NULL, 0, NULL, (void *)(uintptr_t) "word"), 1);
    EVP_PKEY_free(key);
    fclose(file);
}

static void bad_options_are_explained(void **state)
{
    (void)state;
    write_text("text", "This is no certificate.\n");
    write_encrypted_key();
    for (size_t i = 0; i < sizeof(bad_options) / sizeof(bad_options[0]); i++) {
        const struct bad_options *row = &bad_options[i];
        struct etcd__tls_options options = {
            .ca_file = row->ca == NULL ? NULL : at(row->ca),
            .cert_file = row->cert == NULL ? NULL : at(row->cert),
            .key_file = row->key == NULL ? NULL : at(row->key),
            .server_name = row->server_name,
        };
        const char *place = strstr(row->message, "%s");
        struct etcd__tls *tls = NULL;
        etcd_error err = {0};
        char message[400];

        assert_int_equal(etcd__tls_new(&options, &tls, &err), row->status);
        assert_null(tls);
        if (place == NULL)
            snprintf(message, sizeof(message), "%s", row->message);
        else
            snprintf(message, sizeof(message), "%.*s%s%s", (int)(place - row->message), row->message, dir,
                     place + 2);
        assert_string_equal(err.message, message);
        assert_int_equal(err.sys_errno, row->sys_errno);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

/* Whether a new session of this configuration gets through to a server that wants a good certificate. */
static bool gets_in(struct etcd__tls *tls)
{
    struct tls_peer_options server = h2_server;
    struct pair pair;
    bool in;

    memset(&pair, 0, sizeof(pair));
    server.dir = dir;
    server.client_ca = CERTS_CA;
    pair.peer = tls_peer_new(&server);
    assert_int_equal(etcd__tls_session_new(tls, "localhost", false, &pair.client, NULL), ETCD_OK);
    shake_hands(&pair);
    in = tls_peer_ready(pair.peer);
    pair_close(&pair);
    return in;
}

static void replaced_files_are_used(void **state)
{
    struct etcd__tls_options options = {0};
    struct etcd__tls *tls;

    (void)state;
    copy_file(CERTS_WRONG_CLIENT, "mine");
    copy_file(CERTS_WRONG_CLIENT_KEY, "mine-key");
    options.ca_file = at(CERTS_CA);
    options.cert_file = at("mine");
    options.key_file = at("mine-key");
    assert_int_equal(etcd__tls_new(&options, &tls, NULL), ETCD_OK);
    assert_false(gets_in(tls));
    copy_file(CERTS_CLIENT, "mine"); /* half of the pair */
    assert_false(gets_in(tls));
    copy_file(CERTS_CLIENT_KEY, "mine-key");
    assert_true(gets_in(tls));
    /* Trouble with the files later does no harm to what was loaded. */
    assert_int_equal(unlink(at("mine")), 0);
    assert_true(gets_in(tls));
    write_text("mine-key", "rubbish");
    assert_true(gets_in(tls));
    etcd__tls_unref(tls);
}

/* Once when it begins; again only after all was well in between. */
static void files_that_do_not_load_are_told_once(void **state)
{
    struct etcd__tls_options options = {0};
    struct etcd__tls *tls;
    etcd_error err;

    (void)state;
    for (int i = 0; i < 2; i++) {
        copy_file(CERTS_CLIENT, "mine");
        copy_file(CERTS_CLIENT_KEY, "mine-key");
        options.ca_file = at(CERTS_CA);
        options.cert_file = at("mine");
        options.key_file = at("mine-key");
        if (i == 0)
            assert_int_equal(etcd__tls_new(&options, &tls, NULL), ETCD_OK);
        assert_true(gets_in(tls));
        assert_false(etcd__tls_take_trouble(tls, &err));
        write_text("mine-key", "rubbish");
        assert_false(etcd__tls_take_trouble(tls, &err)); /* nobody has looked yet */
        assert_true(gets_in(tls));
        assert_true(gets_in(tls));
        assert_true(etcd__tls_take_trouble(tls, &err));
        assert_int_equal(err.status, ETCD_E_IO);
        assert_non_null(strstr(err.message, "mine-key"));
        assert_true(gets_in(tls));
        assert_false(etcd__tls_take_trouble(tls, &err));
    }
    etcd__tls_unref(tls);
}

static void references_are_counted(void **state)
{
    struct etcd__tls_options options = {.insecure_skip_verify = true};
    struct etcd__tls *tls;

    (void)state;
    assert_int_equal(etcd__tls_new(&options, &tls, NULL), ETCD_OK);
    assert_ptr_equal(etcd__tls_ref(tls), tls);
    etcd__tls_unref(tls);
    assert_false(gets_in(tls));
    etcd__tls_unref(tls);
    etcd__tls_unref(NULL);
    assert_int_equal(alloc_live(), 0);
}

static void set_up(size_t n, void *user)
{
    struct etcd__tls_options options = {.ca_file = at(CERTS_CA),
                                        .cert_file = at(CERTS_CLIENT),
                                        .key_file = at(CERTS_CLIENT_KEY),
                                        .server_name = "x"};
    struct etcd__tls_session *session = NULL;
    struct etcd__tls *tls = NULL;
    etcd_status st = etcd__tls_new(&options, &tls, NULL);

    (void)user;
    if (st == ETCD_OK)
        st = etcd__tls_session_new(tls, "localhost", false, &session, NULL);
    if (st == ETCD_OK) {
        struct etcd__buf out = {0};

        assert_int_equal(etcd__tls_handshake(session, NULL), ETCD__TLS_WANT_MORE);
        if (!etcd__tls_take_output(session, &out))
            st = ETCD_E_NO_MEMORY;
        etcd__buf_deinit(&out);
    }
    assert_int_equal(st, alloc_count() >= n ? ETCD_E_NO_MEMORY : ETCD_OK);
    etcd__tls_session_free(session);
    etcd__tls_unref(tls);
}

static void survives_lack_of_memory(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(set_up, NULL) >= 7);
    assert_int_equal(alloc_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshakes_end_as_they_should),
        cmocka_unit_test(a_late_refusal_is_explained),
        cmocka_unit_test(a_server_in_clear_is_named),
        cmocka_unit_test(data_arrives_whole_and_in_pieces),
        cmocka_unit_test(new_keys_are_answered),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(both_ends_say_goodbye),
        cmocka_unit_test(bad_options_are_explained),
        cmocka_unit_test(replaced_files_are_used),
        cmocka_unit_test(files_that_do_not_load_are_told_once),
        cmocka_unit_test(references_are_counted),
        cmocka_unit_test(survives_lack_of_memory),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
