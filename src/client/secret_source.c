/* SPDX-License-Identifier: Apache-2.0 */
#include "client/secret_source.h"

#include <stdlib.h>
#include <string.h>

static etcd_status check(const char *what, etcd_secret source, etcd_error *reterr)
{
    if (source.kind == ETCD_SECRET_KIND_NONE)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: there is none", what);
    if ((unsigned)source.kind > ETCD_SECRET_KIND_FILE)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: its kind is %d", what, (int)source.kind);
    if (source.ref == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: its source is NULL", what);
    return ETCD_OK;
}

static etcd_status copy(const char *text, struct etcd__secret *ret_secret, etcd_error *reterr)
{
    return etcd__secret_set(ret_secret, text, strlen(text)) ? ETCD_OK : etcd__fail_memory(reterr);
}

static etcd_status read_env(const char *what, const char *name, struct etcd__secret *ret_secret,
                            etcd_error *reterr)
{
    const char *value = getenv(name);

    if (value == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: the environment variable %s is not set", what,
                          name);
    return copy(value, ret_secret, reterr);
}

static etcd_status read_file(const char *what, const char *path, struct etcd__secret *ret_secret,
                             etcd_error *reterr)
{
    int err = etcd__secret_read_file(ret_secret, path);

    if (err == 0)
        return ETCD_OK;
    (void)etcd__fail(reterr, ETCD_E_IO, "%s: cannot read %s: %s", what, path, strerror(-err));
    if (reterr != NULL)
        reterr->sys_errno = -err;
    return ETCD_E_IO;
}

static etcd_status read_source(const char *what, etcd_secret source, struct etcd__secret *ret_secret,
                               etcd_error *reterr)
{
    switch (source.kind) {
    case ETCD_SECRET_KIND_TEXT:
        return copy(source.ref, ret_secret, reterr);
    case ETCD_SECRET_KIND_ENV:
        return read_env(what, source.ref, ret_secret, reterr);
    default:
        return read_file(what, source.ref, ret_secret, reterr);
    }
}

static etcd_status fail_content(const char *what, etcd_secret source, const char *content, etcd_error *reterr)
{
    static const char *const sources[] = {
        [ETCD_SECRET_KIND_TEXT] = "the text",
        [ETCD_SECRET_KIND_ENV] = "the environment variable ",
        [ETCD_SECRET_KIND_FILE] = "the file ",
    };

    return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: %s%s %s", what, sources[source.kind],
                      source.kind == ETCD_SECRET_KIND_TEXT ? "" : source.ref, content);
}

etcd_status etcd__secret_load(const char *what, etcd_secret source, struct etcd__secret *ret_secret,
                              etcd_error *reterr)
{
    etcd_status st = check(what, source, reterr);

    if (st == ETCD_OK)
        st = read_source(what, source, ret_secret, reterr);
    if (st != ETCD_OK)
        return st;
    if (ret_secret->len == 0)
        st = fail_content(what, source, "is empty", reterr);
    else if (memchr(ret_secret->data, 0, ret_secret->len) != NULL)
        st = fail_content(what, source, "has a zero byte in it", reterr);
    if (st != ETCD_OK)
        etcd__secret_clear(ret_secret);
    return st;
}
