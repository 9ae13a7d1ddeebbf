/* SPDX-License-Identifier: Apache-2.0 */
#include "capp/etcd.h"

#include "base/str.h"

#include <assert.h>

_Static_assert(ETCD_ERROR_MESSAGE_SIZE <= CAPP_ERROR_MESSAGE_SIZE, "no text is lost on the way up");

static capp_status status_of(etcd_status status)
{
    static const struct {
        etcd_status from;
        capp_status to;
    } table[] = {
        {ETCD_OK, CAPP_OK},
        {ETCD_E_INVALID_ARGUMENT, CAPP_E_INVALID_ARGUMENT},
        {ETCD_E_NO_MEMORY, CAPP_E_NO_MEMORY},
        {ETCD_E_CLOSED, CAPP_E_CLOSED},
        {ETCD_E_CANCELLED, CAPP_E_CANCELLED},
        {ETCD_E_DEADLINE, CAPP_E_TIMEOUT},
        {ETCD_E_UNAVAILABLE, CAPP_E_UNAVAILABLE},
        {ETCD_E_NO_LEADER, CAPP_E_UNAVAILABLE},
        {ETCD_E_WOULD_DEADLOCK, CAPP_E_STATE},
        {ETCD_E_AUTH, CAPP_E_AUTH},
        {ETCD_E_DENIED, CAPP_E_DENIED},
        {ETCD_E_NOT_FOUND, CAPP_E_NOT_FOUND},
        {ETCD_E_EXISTS, CAPP_E_DUPLICATE},
        {ETCD_E_IO, CAPP_E_IO},
        {ETCD_E_INTERNAL, CAPP_E_INTERNAL},
    };

    for (size_t i = 0; i < ETCD__COUNT(table); i++) {
        if (table[i].from == status)
            return table[i].to;
    }
    return CAPP_E_EXTERNAL;
}

static uint32_t flags_of(uint32_t flags)
{
    return ((flags & ETCD_ERROR_RETRYABLE) != 0 ? CAPP_ERROR_RETRYABLE : 0) |
           ((flags & ETCD_ERROR_MAYBE_APPLIED) != 0 ? CAPP_ERROR_MAYBE_APPLIED : 0) |
           ((flags & ETCD_ERROR_FROM_SERVER) != 0 ? CAPP_ERROR_FROM_SERVER : 0);
}

capp_status capp_error_from_etcd(const etcd_error *error, capp_error *reterr)
{
    capp_status status;

    assert(error != NULL);
    status = status_of(error->status);
    if (reterr == NULL || status == CAPP_OK)
        return status;
    (void)capp_fail(reterr, status, "%s",
                    error->message[0] != '\0' ? error->message : etcd_status_text(error->status));
    reterr->flags = flags_of(error->flags);
    reterr->sys_errno = error->sys_errno;
    reterr->external_code = (int32_t)error->status;
    return status;
}
