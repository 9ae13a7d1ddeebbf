/* SPDX-License-Identifier: Apache-2.0 */
#include "name.h"

#include "base/str.h"

#include <assert.h>
#include <string.h>

static bool allowed(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

capp_status capp__etcd_name_check(const char *name, capp_error *reterr)
{
    char shown[CAPP__ETCD_NAME_SIZE + 16];

    if (name == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "the name of a client is NULL");
    size_t len = strlen(name);
    bool valid = len > 0 && len < CAPP__ETCD_NAME_SIZE;
    for (size_t i = 0; i < len && valid; i++)
        valid = allowed(name[i]);
    if (valid)
        return CAPP_OK;
    return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                     "client '%s': the name is not 1-63 characters of A-Z a-z 0-9 _ -",
                     etcd__escape(shown, sizeof(shown), name, len));
}

/* Not toupper(), which depends on the locale. */
static char fold(char c)
{
    if (c >= 'a' && c <= 'z')
        return (char)(c - 'a' + 'A');
    return c == '-' ? '_' : c;
}

void capp__etcd_name_fold(char dst[CAPP__ETCD_NAME_SIZE], const char *name)
{
    size_t len = strlen(name);

    assert(len < CAPP__ETCD_NAME_SIZE);
    for (size_t i = 0; i <= len; i++)
        dst[i] = fold(name[i]);
}

bool capp__etcd_name_same(const char *a, const char *b)
{
    while (*a != '\0' && fold(*a) == fold(*b)) {
        a++;
        b++;
    }
    return fold(*a) == fold(*b);
}

bool capp__etcd_name_is_default(const char *name)
{
    return capp__etcd_name_same(name, "default");
}
