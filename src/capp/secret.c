/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets of the program's own, from where the configuration says that they are. */
#include "base/secret.h"

#include "base/str.h"
#include "capp/options.h"
#include "fail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* "the environment variable X", "the file /x", "the text". Returns dst. */
static const char *source_of(const capp_secret *secret, char *dst, size_t size)
{
    static const char *const kinds[] = {
        [CAPP_SECRET_TEXT] = "the text",
        [CAPP_SECRET_ENV] = "the environment variable ",
        [CAPP_SECRET_FILE] = "the file ",
    };

    etcd__format(dst, size, "%s%s", kinds[secret->kind], secret->kind == CAPP_SECRET_TEXT ? "" : secret->ref);
    return dst;
}

static capp_status check(const capp_secret *secret, const char *dst, size_t size, capp_error *reterr)
{
    if (secret == NULL || dst == NULL || size == 0)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "capp_secret_read: %s",
                         secret == NULL ? "secret is NULL"
                         : dst == NULL  ? "dst is NULL"
                                        : "size is 0");
    if (secret->kind == CAPP_SECRET_NONE)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "secret: there is none");
    if ((unsigned)secret->kind > CAPP_SECRET_FILE || secret->ref == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "secret: kind %d, or its source is NULL",
                         (int)secret->kind);
    return CAPP_OK;
}

/* Texts and variables are looked at in place, only a file has to be read. */
static capp_status load(const capp_secret *secret, struct etcd__secret *ret, capp_error *reterr)
{
    char what[512], source[400];
    const char *text = secret->ref;

    if (secret->kind == CAPP_SECRET_FILE) {
        int error = etcd__secret_read_file(ret, secret->ref);

        if (error == -ENOMEM)
            return capp__fail_memory(reterr);
        etcd__format(what, sizeof(what), "secret: cannot read %s", source_of(secret, source, sizeof(source)));
        return error == 0 ? CAPP_OK : capp__fail_sys(reterr, -error, what);
    }
    if (secret->kind == CAPP_SECRET_ENV)
        text = getenv(secret->ref);
    if (text == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "secret: %s is not set",
                         source_of(secret, source, sizeof(source)));
    return etcd__secret_set(ret, text, strlen(text)) ? CAPP_OK : capp__fail_memory(reterr);
}

static capp_status copy_out(const capp_secret *secret, const struct etcd__secret *value, char *dst,
                            size_t size, size_t *ret_len, capp_error *reterr)
{
    char source[400];

    if (value->len == 0)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "secret: %s is empty",
                         source_of(secret, source, sizeof(source)));
    if (value->len >= size)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                         "secret: %s has %zu bytes, with its NUL more than %zu",
                         source_of(secret, source, sizeof(source)), value->len, size);
    memcpy(dst, value->data, value->len);
    dst[value->len] = '\0';
    if (ret_len != NULL)
        *ret_len = value->len;
    return CAPP_OK;
}

capp_status capp_secret_read(const capp_secret *secret, char *dst, size_t size, size_t *ret_len,
                             capp_error *reterr)
{
    struct etcd__secret value = {0};
    capp_status status = check(secret, dst, size, reterr);

    if (status == CAPP_OK)
        status = load(secret, &value, reterr);
    if (status == CAPP_OK)
        status = copy_out(secret, &value, dst, size, ret_len, reterr);
    etcd__secret_clear(&value);
    return status;
}
