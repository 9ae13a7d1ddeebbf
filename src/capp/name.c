/* SPDX-License-Identifier: Apache-2.0 */
#include "name.h"

#include "base/str.h"

#include <string.h>

static bool allowed(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static bool valid(const char *name, size_t len)
{
    if (len == 0 || len >= CAPP__NAME_SIZE)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!allowed(name[i]))
            return false;
    }
    return true;
}

capp_status capp__name_set(char dst[CAPP__NAME_SIZE], const char *name, const char *what, capp_error *reterr)
{
    char shown[CAPP__NAME_SIZE + 16];

    if (name == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "%s is NULL", what);
    size_t len = strnlen(name, CAPP__NAME_SIZE);
    if (!valid(name, len))
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "%s '%s' is not 1-63 characters of A-Z a-z 0-9 _ -",
                         what, etcd__escape(shown, sizeof(shown), name, strlen(name)));
    memcpy(dst, name, len + 1);
    return CAPP_OK;
}

capp_status capp__name_set_opt(char dst[CAPP__NAME_SIZE], const char *name, const char *what,
                               capp_error *reterr)
{
    if (name != NULL)
        return capp__name_set(dst, name, what, reterr);
    dst[0] = '\0';
    return CAPP_OK;
}
