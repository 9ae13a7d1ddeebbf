/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lease with its renewal and the news of its end: what locks and registrations stand on.
 *
 * The news reaches at most one of three: a watch that somebody waits for (it is cancelled), the function
 * given to etcd__session_arm(), or whoever asks etcd__session_check(). Handles are freed by close, end or
 * abandon, from any thread, also from inside the armed function.
 */
#ifndef ETCD__RECIPES_SESSION_H
#define ETCD__RECIPES_SESSION_H

#include "etcdc/lease.h"
#include "etcdc/watch.h"
#include "recipes/limit.h"

struct etcd__session;

/* `status` is LEASE_LOST, or CLOSED when the client was closed. May free the session. */
typedef void etcd__session_lost_fn(void *user, etcd_status status, const etcd_error *err);

/*
 * A session that is being made. The lease's id is chosen here, so that it can be used in requests that
 * are sent before the grant is answered.
 */
struct etcd__session_request {
    etcd_client *client;
    etcd_op *op;
    etcd_lease lease; /* as asked for */
    int64_t sent_ms;
    bool repeated; /* the first grant may have expired: what was attached to it may be gone */
};

/* Chooses the id. */
void etcd__session_prepare(struct etcd__session_request *request, etcd_client *client, int64_t ttl_s);
/* Asks for the lease. Follow with etcd__session_finish(). */
etcd_status etcd__session_send(struct etcd__session_request *request, const struct etcd__limit *limit,
                               etcd_error *reterr);
/*
 * Waits for the lease, asking again where the answer was lost, and keeps it alive. On failure it is given
 * back, should it have been granted.
 */
etcd_status etcd__session_finish(struct etcd__session_request *request, struct etcd__limit *limit,
                                 struct etcd__session **ret_session, etcd_error *err);
/* Both. Blocks. */
etcd_status etcd__session_open(etcd_client *client, int64_t ttl_s, struct etcd__limit *limit,
                               struct etcd__session **ret_session, etcd_error *err);
/* Keeps a lease alive that was asked for at `sent_ms`. On failure the lease is given back. Does not block. */
etcd_status etcd__session_start(etcd_client *client, etcd_lease lease, int64_t sent_ms,
                                struct etcd__session **ret_session, etcd_error *reterr);

/* As it was granted, or asked for. */
etcd_lease etcd__session_lease(const struct etcd__session *session);
/* Whether the lease has time left and nothing else was heard. */
bool etcd__session_alive(const struct etcd__session *session);
/* ETCD_OK, or how the session was lost, as far as the news has come. */
etcd_status etcd__session_told(const struct etcd__session *session, etcd_error *reterr);
/* The same, and LEASE_LOST when its time is over without news. */
etcd_status etcd__session_check(const struct etcd__session *session, etcd_error *reterr);

/* From now on a loss is told to `fn`, once. Fails, and never calls it, when the session is lost already. */
etcd_status etcd__session_arm(struct etcd__session *session, etcd__session_lost_fn *fn, void *user,
                              etcd_error *reterr);
/* `fn` is not called any more, but may be running. */
void etcd__session_disarm(struct etcd__session *session);

/*
 * For who learns by other means that the session is worth nothing any more: as if its lease had ended.
 * Only the first loss counts. The session may be gone afterwards.
 */
void etcd__session_lose(struct etcd__session *session, etcd_status status, const etcd_error *err);

/*
 * Waits for a watch to bring something, at most until `limit` and not beyond the loss of the session:
 * then DEADLINE, or how it was lost; else as etcd_watch_next().
 */
etcd_status etcd__session_watch_next(struct etcd__session *session, etcd_watch *watch,
                                     const struct etcd__limit *limit, etcd_events **ret_events,
                                     etcd_error *reterr);

/* Stops the renewal and frees the session; the lease is left alone. */
void etcd__session_close(struct etcd__session *session);
/*
 * Stops the renewal, revokes the lease and frees the session, whatever is returned. A lease that is gone
 * is no failure. When the server does not answer in time, it is told as soon as it listens.
 */
etcd_status etcd__session_end(struct etcd__session *session, const struct etcd__limit *limit,
                              etcd_error *reterr);
/* The same for failures: waits `grace_ms` at most for the server. NULL is fine. */
void etcd__session_abandon(struct etcd__session *session, int64_t grace_ms);

/* Waits until an operation is done, which its own time limit sees to, and says how it ended. */
etcd_status etcd__op_outcome(etcd_op *op, etcd_error *reterr);

/* Revokes a lease in the background, for as long as it can live. Waits `grace_ms` at most. */
void etcd__lease_give_back(etcd_client *client, etcd_lease lease, int64_t grace_ms);

#endif
