/* SPDX-License-Identifier: Apache-2.0 */
#include "recipes/service_key.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

enum { SHOWN_MAX = 96 };

etcd_status etcd__service_check_prefix(const char *prefix, const char **ret_prefix, etcd_error *reterr)
{
    char shown[SHOWN_MAX];
    size_t len;

    if (prefix == NULL) {
        *ret_prefix = "/services/";
        return ETCD_OK;
    }
    len = strlen(prefix);
    if (len == 0 || prefix[len - 1] != '/')
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "prefix \"%s\" does not end in '/'",
                          etcd__escape(shown, sizeof(shown), prefix, len));
    *ret_prefix = prefix;
    return ETCD_OK;
}

etcd_status etcd__service_check_name(const char *what, const char *name, etcd_error *reterr)
{
    char shown[SHOWN_MAX];

    if (name == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s is NULL", what);
    if (name[0] == '\0')
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s is empty", what);
    if (strchr(name, '/') != NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s \"%s\" contains '/'", what,
                          etcd__escape(shown, sizeof(shown), name, strlen(name)));
    return ETCD_OK;
}

char *etcd__service_key(const char *prefix, const char *service, const char *instance)
{
    size_t size = strlen(prefix) + strlen(service) + 1 + strlen(instance) + 1;
    char *key = etcd__malloc(size);

    if (key != NULL)
        snprintf(key, size, "%s%s/%s", prefix, service, instance);
    return key;
}
