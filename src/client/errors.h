/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call's end means: the status for the program, and what the client may do about it. etcd tells its
 * errors apart by the text of the message, so the table in errors.c goes by text first and by gRPC code
 * otherwise.
 */
#ifndef ETCD__CLIENT_ERRORS_H
#define ETCD__CLIENT_ERRORS_H

#include "base/error.h"
#include "grpc/status.h"

struct etcd_client;

enum etcd__remedy {
    ETCD__REMEDY_NONE,   /* the answer is final */
    ETCD__REMEDY_RETRY,  /* passing; a call that may be repeated is, preferably elsewhere */
    ETCD__REMEDY_REPEAT, /* refused unprocessed: any call may be repeated, preferably elsewhere */
    ETCD__REMEDY_LOGIN,  /* the token is not accepted: log in, then repeat (the call was not processed) */
};

struct etcd__verdict {
    etcd_status status;
    enum etcd__remedy remedy;
    bool retryable;     /* ETCD_ERROR_RETRYABLE */
    bool maybe_applied; /* a write may have been carried out */
};

/* For an end that is not OK. */
struct etcd__verdict etcd__verdict_of(const struct etcd__call_end *end);
/*
 * The same for a reason that came as text inside an answer (watch cancel_reason), bare or as "rpc error:
 * code = ... desc = ...".
 */
struct etcd__verdict etcd__verdict_of_text(const char *text);
/* The same for the status of a failure that was put on record already. */
bool etcd__status_retryable(etcd_status status);

/*
 * Fills the error with operation, client, endpoint and cause. `writes`: the call changes something, so
 * MAYBE_APPLIED matters.
 */
etcd_status etcd__error_of_end(etcd_error *reterr, const struct etcd_client *client, const char *operation,
                               const struct etcd__call_end *end, const struct etcd__verdict *verdict,
                               bool writes);

#endif
