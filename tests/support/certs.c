/* SPDX-License-Identifier: Apache-2.0 */
#include "support/certs.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

enum { DAY_S = 24 * 60 * 60 };

struct identity {
    X509 *cert;
    EVP_PKEY *key;
};

/* What to put into a certificate; valid from the day before yesterday for `days` days. */
struct request {
    const char *name;
    const char *alt_names;         /* in OpenSSL's syntax; NULL: none */
    const struct identity *issuer; /* NULL: signed by itself, an authority */
    int days;
    long serial;
};

static void identity_free(struct identity *identity)
{
    X509_free(identity->cert);
    EVP_PKEY_free(identity->key);
    *identity = (struct identity){NULL, NULL};
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool ok = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static bool add_extensions(X509 *cert, const struct request *request)
{
    X509 *issuer = request->issuer != NULL ? request->issuer->cert : cert;
    bool ok = add_extension(cert, issuer, NID_subject_key_identifier, "hash");
    if (request->issuer == NULL)
        return ok && add_extension(cert, issuer, NID_basic_constraints, "critical,CA:TRUE") &&
               add_extension(cert, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
    ok = ok && add_extension(cert, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(cert, issuer, NID_key_usage, "critical,digitalSignature") &&
         add_extension(cert, issuer, NID_authority_key_identifier, "keyid");
    /* Servers too: etcd's own gateway dials its member with the server's certificate. */
    ok = ok && add_extension(cert, issuer, NID_ext_key_usage, "serverAuth,clientAuth");
    return ok && (request->alt_names == NULL ||
                  add_extension(cert, issuer, NID_subject_alt_name, request->alt_names));
}

static bool fill(X509 *cert, EVP_PKEY *key, const struct request *request)
{
    X509_NAME *name = X509_get_subject_name(cert);
    if (X509_set_version(cert, 2) != 1 ||
        ASN1_INTEGER_set(X509_get_serialNumber(cert), request->serial) != 1 ||
        X509_gmtime_adj(X509_getm_notBefore(cert), -2L * DAY_S) == NULL ||
        X509_gmtime_adj(X509_getm_notAfter(cert), (long)(request->days - 2) * DAY_S) == NULL ||
        X509_set_pubkey(cert, key) != 1 ||
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)request->name, -1, -1,
                                   0) != 1)
        return false;
    X509 *issuer = request->issuer != NULL ? request->issuer->cert : cert;
    return X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1 && add_extensions(cert, request);
}

static bool identity_make(struct identity *identity, const struct request *request)
{
    identity->key = EVP_EC_gen("P-256");
    identity->cert = X509_new();
    EVP_PKEY *signer = request->issuer != NULL ? request->issuer->key : identity->key;
    if (identity->key != NULL && identity->cert != NULL && fill(identity->cert, identity->key, request) &&
        X509_sign(identity->cert, signer, EVP_sha256()) != 0)
        return true;
    identity_free(identity);
    return false;
}

static FILE *create(const char *dir, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "we");
    if (file == NULL)
        perror(path);
    else if (fchmod(fileno(file), S_IRUSR | S_IWUSR) != 0)
        perror(path);
    return file;
}

static bool write_cert(const char *dir, const char *name, X509 *cert)
{
    FILE *file = create(dir, name);
    if (file == NULL)
        return false;
    bool ok = PEM_write_X509(file, cert) == 1;
    return fclose(file) == 0 && ok;
}

static bool write_key(const char *dir, const char *name, EVP_PKEY *key)
{
    FILE *file = create(dir, name);
    if (file == NULL)
        return false;
    bool ok = PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1;
    return fclose(file) == 0 && ok;
}

struct leaf {
    const char *cert_name;
    const char *key_name;
    struct request request;
};

static bool write_leaf(const char *dir, const struct leaf *leaf)
{
    struct identity identity = {NULL, NULL};
    bool ok = identity_make(&identity, &leaf->request) && write_cert(dir, leaf->cert_name, identity.cert) &&
              write_key(dir, leaf->key_name, identity.key);
    identity_free(&identity);
    return ok;
}

bool certs_write(const char *dir)
{
    static const char here[] = "DNS:localhost,IP:127.0.0.1,IP:::1";
    struct identity ca = {NULL, NULL}, wrong = {NULL, NULL};
    const struct leaf leaves[] = {
        {CERTS_SERVER, CERTS_SERVER_KEY, {"server", here, &ca, 30, 10}},
        {CERTS_EXPIRED, CERTS_EXPIRED_KEY, {"expired server", here, &ca, 1, 11}},
        {CERTS_OTHER_HOST, CERTS_OTHER_HOST_KEY, {"other server", "DNS:other.example", &ca, 30, 12}},
        {CERTS_CLIENT, CERTS_CLIENT_KEY, {"client", NULL, &ca, 30, 13}},
        {CERTS_WRONG_CLIENT, CERTS_WRONG_CLIENT_KEY, {"client", NULL, &wrong, 30, 14}},
    };

    bool ok = identity_make(&ca, &(struct request){"test authority", NULL, NULL, 30, 1}) &&
              identity_make(&wrong, &(struct request){"another authority", NULL, NULL, 30, 1}) &&
              write_cert(dir, CERTS_CA, ca.cert) && write_cert(dir, CERTS_WRONG_CA, wrong.cert);
    for (size_t i = 0; ok && i < sizeof(leaves) / sizeof(leaves[0]); i++)
        ok = write_leaf(dir, &leaves[i]);
    if (!ok)
        fprintf(stderr, "certificates cannot be made in %s\n", dir);
    identity_free(&ca);
    identity_free(&wrong);
    return ok;
}

bool certs_write_jwt(const char *dir)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    bool ok = key != NULL && write_key(dir, CERTS_JWT_KEY, key);
    FILE *file = ok ? create(dir, CERTS_JWT_PUBLIC) : NULL;
    if (file != NULL) {
        ok = PEM_write_PUBKEY(file, key) == 1;
        ok = fclose(file) == 0 && ok;
    }
    EVP_PKEY_free(key);
    return ok && file != NULL;
}
