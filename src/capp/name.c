/* SPDX-License-Identifier: Apache-2.0 */
#include "name.h"

#include "base/str.h"

#include <string.h>

static bool allowed(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static bool valid(const char *name, size_t len, size_t size, bool dots)
{
    if (len == 0 || len >= size)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!allowed(name[i]) && !(dots && name[i] == '.'))
            return false;
    }
    return true;
}

static capp_status set(char *dst, size_t size, bool dots, const char *name, const char *what,
                       capp_error *reterr)
{
    char shown[CAPP__NAME_SIZE + 16];

    if (name == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "%s is NULL", what);
    size_t len = strnlen(name, size);
    if (!valid(name, len, size, dots))
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                         "%s '%s' is not 1-%zu characters of A-Z a-z 0-9 _ -%s", what,
                         etcd__escape(shown, sizeof(shown), name, strlen(name)), size - 1, dots ? " ." : "");
    memcpy(dst, name, len + 1);
    return CAPP_OK;
}

capp_status capp__name_set(char dst[CAPP__NAME_SIZE], const char *name, const char *what, capp_error *reterr)
{
    return set(dst, CAPP__NAME_SIZE, false, name, what, reterr);
}

capp_status capp__dotted_set(char *dst, size_t size, const char *name, const char *what, capp_error *reterr)
{
    return set(dst, size, true, name, what, reterr);
}

capp_status capp__name_set_opt(char dst[CAPP__NAME_SIZE], const char *name, const char *what,
                               capp_error *reterr)
{
    if (name != NULL)
        return capp__name_set(dst, name, what, reterr);
    dst[0] = '\0';
    return CAPP_OK;
}
