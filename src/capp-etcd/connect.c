/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How clients start. All waits begin before the first is waited for, so that they take as long as the
 * longest. The stop of the application ends them: see capp__etcd_cancel_waits().
 */
#include "base/error.h"
#include "base/str.h"
#include "factory.h"

#include <string.h>

static capp_status begin_locked(capp_etcd_factory *factory, struct capp__etcd_member *member,
                                capp_error *reterr)
{
    etcd_error err;

    if (factory->shared.phase != CAPP__ETCD_OPEN)
        return capp_fail(reterr, CAPP_E_CLOSED, "client '%s': the factory was closed", member->name);
    if (factory->shared.stopping)
        return capp_fail(reterr, CAPP_E_CANCELLED, "client '%s': the application stops", member->name);
    if (etcd_client_wait_ready_async(member->client, 0, NULL, NULL, &member->connecting, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    return CAPP_OK;
}

capp_status capp__etcd_connect_begin(capp_etcd_factory *factory, struct capp__etcd_member *member,
                                     capp_error *reterr)
{
    if (member->start == CAPP_ETCD_LAZY)
        return CAPP_OK;
    capp__etcd_lock(factory);
    capp_status status = begin_locked(factory, member, reterr);
    capp__etcd_unlock(factory);
    return status;
}

/* Whether a client may start like this: what the next call, or a better hour, may mend. */
static bool is_bearable(const struct capp__etcd_member *member, const etcd_error *err)
{
    if (member->start != CAPP_ETCD_EAGER)
        return false;
    return err->status == ETCD_E_UNAVAILABLE || err->status == ETCD_E_DEADLINE ||
           err->status == ETCD_E_NO_LEADER;
}

/* The client's messages begin with the operation, of which nobody but us has heard. */
static void drop_operation(etcd_error *err)
{
    static const char operation[] = "wait_ready: ";
    size_t len = sizeof(operation) - 1;

    if (strncmp(err->message, operation, len) == 0)
        memmove(err->message, err->message + len, strlen(err->message + len) + 1);
}

/* Why a wait was cancelled: nobody but us cancels it. */
static capp_status cancelled(capp_etcd_factory *factory, const struct capp__etcd_member *member,
                             capp_error *reterr)
{
    capp__etcd_lock(factory);
    bool closed = factory->shared.phase != CAPP__ETCD_OPEN;
    capp__etcd_unlock(factory);
    if (closed)
        return capp_fail(reterr, CAPP_E_CLOSED, "client '%s': the factory was closed", member->name);
    return capp_fail(reterr, CAPP_E_CANCELLED, "client '%s': the application stops", member->name);
}

static capp_status judge(capp_etcd_factory *factory, const struct capp__etcd_member *member,
                         const etcd_error *err, capp_error *reterr)
{
    char text[ETCD_ERROR_MESSAGE_SIZE + 64];

    if (err->status == ETCD_E_CANCELLED || err->status == ETCD_E_CLOSED)
        return cancelled(factory, member, reterr);
    if (!is_bearable(member, err))
        return capp_error_from_etcd(err, reterr);
    etcd__format(text, sizeof(text), "%s; going on without it, and trying again", err->message);
    capp__etcd_log_client(member, CAPP_LOG_WARN, text);
    return CAPP_OK;
}

capp_status capp__etcd_connect_end(capp_etcd_factory *factory, struct capp__etcd_member *member,
                                   capp_error *reterr)
{
    etcd_op *op = member->connecting;
    etcd_error err;

    if (op == NULL)
        return CAPP_OK;
    etcd_status st = etcd_op_wait(op, ETCD_TIMEOUT_NONE, &err); /* it has a deadline of its own */
    capp__etcd_lock(factory);
    member->connecting = NULL;
    capp__etcd_unlock(factory);
    if (st != ETCD_OK)
        etcd_op_cancel(op);
    else
        st = etcd_op_status(op, &err);
    etcd_op_free(op);
    if (st != ETCD_OK)
        drop_operation(&err);
    return st == ETCD_OK ? CAPP_OK : judge(factory, member, &err, reterr);
}

capp_status capp__etcd_connect_all(capp_etcd_factory *factory, capp_error *reterr)
{
    struct capp__etcd_member *member = NULL;
    capp_error all = {0}, error;

    while ((member = capp__etcd_next(factory, member)) != NULL) {
        if (capp__etcd_connect_begin(factory, member, &error) != CAPP_OK)
            capp__etcd_combine(&all, &error);
    }
    while ((member = capp__etcd_next(factory, member)) != NULL) {
        if (capp__etcd_connect_end(factory, member, &error) != CAPP_OK)
            capp__etcd_combine(&all, &error);
    }
    if (all.status != CAPP_OK && reterr != NULL)
        *reterr = all;
    return all.status;
}
