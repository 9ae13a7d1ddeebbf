/* SPDX-License-Identifier: Apache-2.0 */
#include "capp/error.h"

#include "base/mem.h"
#include "base/str.h"
#include "fail.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(capp_error) == 512, "capp_error is part of the ABI");
_Static_assert(sizeof(capp_status) == 4, "capp_status is part of the ABI");

static const struct {
    const char *name;
    const char *text;
} statuses[] = {
    [CAPP_OK] = {"CAPP_OK", "no error"},
    [CAPP_E_INVALID_ARGUMENT] = {"CAPP_E_INVALID_ARGUMENT", "invalid argument"},
    [CAPP_E_NO_MEMORY] = {"CAPP_E_NO_MEMORY", "out of memory"},
    [CAPP_E_DUPLICATE] = {"CAPP_E_DUPLICATE", "registered twice"},
    [CAPP_E_NOT_FOUND] = {"CAPP_E_NOT_FOUND", "not registered"},
    [CAPP_E_CYCLE] = {"CAPP_E_CYCLE", "circular dependency"},
    [CAPP_E_STATE] = {"CAPP_E_STATE", "not possible at this time"},
    [CAPP_E_TIMEOUT] = {"CAPP_E_TIMEOUT", "time limit passed"},
    [CAPP_E_CANCELLED] = {"CAPP_E_CANCELLED", "cancelled"},
    [CAPP_E_UNAVAILABLE] = {"CAPP_E_UNAVAILABLE", "unavailable"},
    [CAPP_E_AUTH] = {"CAPP_E_AUTH", "authentication failed"},
    [CAPP_E_DENIED] = {"CAPP_E_DENIED", "permission denied"},
    [CAPP_E_IO] = {"CAPP_E_IO", "system call failed"},
    [CAPP_E_CLOSED] = {"CAPP_E_CLOSED", "closed"},
    [CAPP_E_EXTERNAL] = {"CAPP_E_EXTERNAL", "failure in another library"},
    [CAPP_E_INTERNAL] = {"CAPP_E_INTERNAL", "internal error"},
};

static bool known(capp_status status)
{
    return (int)status >= 0 && (size_t)status < ETCD__COUNT(statuses);
}

const char *capp_status_name(capp_status status)
{
    return known(status) ? statuses[status].name : "CAPP_E_UNKNOWN";
}

const char *capp_status_text(capp_status status)
{
    return known(status) ? statuses[status].text : "unknown status";
}

capp_status capp__vfail(capp_error *reterr, capp_status status, const char *format, va_list args)
{
    if (reterr == NULL)
        return status;
    /* A caller may pass the old message as an argument of the new one: build it aside. */
    capp_error error = {.status = status};
    etcd__vformat(error.message, sizeof(error.message), format, args);
    *reterr = error;
    return status;
}

capp_status capp_fail(capp_error *reterr, capp_status status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    capp__vfail(reterr, status, format, args);
    va_end(args);
    return status;
}

capp_status capp__fail_memory(capp_error *reterr)
{
    return capp_fail(reterr, CAPP_E_NO_MEMORY, "out of memory");
}

capp_status capp__fail_sys(capp_error *reterr, int sys_errno, const char *what)
{
    char buf[128];

    /* The GNU form: returns the text, which need not be in buf, and does not depend on threads. */
    capp_fail(reterr, CAPP_E_IO, "%s: %s", what, strerror_r(sys_errno, buf, sizeof(buf)));
    if (reterr != NULL)
        reterr->sys_errno = sys_errno;
    return CAPP_E_IO;
}

void capp_error_prefix(capp_error *error, const char *format, ...)
{
    char message[CAPP_ERROR_MESSAGE_SIZE];
    va_list args;

    if (error == NULL)
        return;
    va_start(args, format);
    size_t len = etcd__vformat(message, sizeof(message), format, args);
    va_end(args);
    etcd__format(message + len, sizeof(message) - len, ": %s", error->message);
    memcpy(error->message, message, sizeof(message));
}

void capp__error_settle(capp_error *error, capp_status status)
{
    assert(status != CAPP_OK);
    error->status = status;
    error->message[sizeof(error->message) - 1] = '\0';
    if (error->message[0] == '\0')
        etcd__format(error->message, sizeof(error->message), "%s", capp_status_text(status));
}

void capp__error_copy(capp_error *reterr, const capp_error *from)
{
    if (reterr != NULL && from != NULL)
        *reterr = *from;
}

capp_status capp__import(void *dst, size_t dst_size, const void *src, const char *what, capp_error *reterr)
{
    size_t src_size;

    assert(dst_size >= sizeof(size_t));
    if (src == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "%s is NULL", what);
    memcpy(&src_size, src, sizeof(src_size)); /* `size` is always the first member */
    if (src_size < sizeof(src_size))
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "%s.size is %zu: it was not initialised", what,
                         src_size);
    for (size_t i = dst_size; i < src_size; i++) {
        if (((const unsigned char *)src)[i] != 0)
            return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                             "%s sets byte %zu, which this version of libcapp does not know", what, i);
    }
    memcpy(dst, src, src_size < dst_size ? src_size : dst_size);
    memcpy(dst, &dst_size, sizeof(dst_size)); /* from here on it is our layout */
    return CAPP_OK;
}
