/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One time limit over several calls: fixed once as a point in time, handed to
 * each call as what is left of it. The clock goes on while the machine sleeps, as
 * leases do.
 */
#ifndef ETCD__RECIPES_LIMIT_H
#define ETCD__RECIPES_LIMIT_H

#include "etcdc/client.h"

struct etcd__limit {
    etcd_client *client;
    int64_t end_ms;   /* INT64_MAX: there is none */
    int64_t try_ms;   /* for the next try of a call that may be repeated */
    int64_t pause_ms; /* before the next repetition; 0: none was made yet */
};

/*
 * Starts a limit as public functions take it: 0 means the client's default. INVALID_ARGUMENT when negative.
 */
etcd_status etcd__limit_start(struct etcd__limit *limit, etcd_client *client, int64_t timeout_ms,
                              etcd_error *reterr);
/*
 * What is left, as a timeout_ms for the next call: never 0, which would mean the default. DEADLINE when
 * nothing is.
 */
etcd_status etcd__limit_left(const struct etcd__limit *limit, int64_t *ret_timeout_ms, etcd_error *reterr);

/*
 * The same for one try of a call that may be repeated: so short that a server that answers nothing does not
 * use up all the time, longer with each repetition for those that are slow.
 */
etcd_status etcd__limit_try(const struct etcd__limit *limit, int64_t *ret_timeout_ms, etcd_error *reterr);

/*
 * For calls that do no harm when they are carried out twice: whether to make this one, which ended with
 * `err`, again. Waits a little first, longer each time, and drives the client's loop meanwhile where the
 * caller has to. False when the failure is final or the time is up.
 */
bool etcd__limit_repeat(struct etcd__limit *limit, const etcd_error *err);

#endif
