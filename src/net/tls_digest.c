/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls_digest.h"

#include <openssl/evp.h>

/* Only a name for OpenSSL's own. */
static EVP_MD_CTX *context_of(struct etcd__sha256 *sha256)
{
    return (EVP_MD_CTX *)sha256;
}

struct etcd__sha256 *etcd__sha256_new(void)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(context);
        context = NULL;
    }
    return (struct etcd__sha256 *)context;
}

void etcd__sha256_free(struct etcd__sha256 *sha256)
{
    EVP_MD_CTX_free(context_of(sha256));
}

bool etcd__sha256_add(struct etcd__sha256 *sha256, const void *data, size_t len)
{
    return EVP_DigestUpdate(context_of(sha256), data, len) == 1;
}

bool etcd__sha256_end(struct etcd__sha256 *sha256, uint8_t digest[ETCD__SHA256_SIZE])
{
    unsigned size = 0;

    return EVP_DigestFinal_ex(context_of(sha256), digest, &size) == 1 && size == ETCD__SHA256_SIZE;
}
