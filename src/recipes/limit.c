/* SPDX-License-Identifier: Apache-2.0 */
#include "recipes/limit.h"

#include "base/clock.h"
#include "base/error.h"

#include <inttypes.h>

enum {
    TRY_FIRST_MS = 2000,
    PAUSE_FIRST_MS = 20,
    PAUSE_MAX_MS = 320,
};

etcd_status etcd__limit_start(struct etcd__limit *limit, etcd_client *client, int64_t timeout_ms,
                              etcd_error *reterr)
{
    int64_t now = etcd__clock_ms();

    if (timeout_ms < 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "timeout_ms is negative: %" PRId64, timeout_ms);
    if (timeout_ms == 0)
        timeout_ms = etcd_client_timeout_ms(client);
    limit->client = client;
    limit->end_ms = timeout_ms < INT64_MAX - now ? now + timeout_ms : INT64_MAX;
    limit->try_ms = TRY_FIRST_MS;
    limit->pause_ms = 0;
    return ETCD_OK;
}

static int64_t left_ms(const struct etcd__limit *limit)
{
    return limit->end_ms == INT64_MAX ? ETCD_TIMEOUT_NONE : limit->end_ms - etcd__clock_ms();
}

etcd_status etcd__limit_left(const struct etcd__limit *limit, int64_t *ret_timeout_ms, etcd_error *reterr)
{
    int64_t left = left_ms(limit);

    if (left <= 0)
        return etcd__fail(reterr, ETCD_E_DEADLINE, "the time limit has passed");
    *ret_timeout_ms = left;
    return ETCD_OK;
}

etcd_status etcd__limit_try(const struct etcd__limit *limit, int64_t *ret_timeout_ms, etcd_error *reterr)
{
    etcd_status st = etcd__limit_left(limit, ret_timeout_ms, reterr);

    if (st == ETCD_OK && *ret_timeout_ms > limit->try_ms)
        *ret_timeout_ms = limit->try_ms;
    return st;
}

/*
 * Everything that calls this may be carried out twice, so that "perhaps it was done" is a reason to repeat
 * it.
 */
static bool worth_repeating(const etcd_error *err)
{
    if (err->status == ETCD_E_CANCELLED || err->status == ETCD_E_CLOSED)
        return false;
    return (err->flags & (ETCD_ERROR_RETRYABLE | ETCD_ERROR_MAYBE_APPLIED)) != 0;
}

/* False: the client was closed. */
static bool pause_for(etcd_client *client, int64_t ms)
{
    etcd_op *op = NULL;
    bool passed;

    passed = etcd_client_delay_async(client, ms, NULL, NULL, &op, NULL) == ETCD_OK &&
             etcd_op_wait(op, ETCD_TIMEOUT_NONE, NULL) == ETCD_OK && etcd_op_status(op, NULL) == ETCD_OK;
    etcd_op_free(op);
    return passed;
}

bool etcd__limit_repeat(struct etcd__limit *limit, const etcd_error *err)
{
    if (!worth_repeating(err))
        return false;
    limit->pause_ms = limit->pause_ms == 0 ? PAUSE_FIRST_MS : limit->pause_ms * 2;
    if (limit->pause_ms > PAUSE_MAX_MS)
        limit->pause_ms = PAUSE_MAX_MS;
    if (left_ms(limit) <= limit->pause_ms)
        return false;
    if (!pause_for(limit->client, limit->pause_ms))
        return false;
    if (limit->try_ms < INT64_MAX / 2)
        limit->try_ms *= 2;
    return true;
}
