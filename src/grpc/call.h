/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One RPC, unary or streaming. A call is embedded in its owner and started on a channel, which picks a
 * connection at once or when one is ready. The owner keeps the deadline: it cancels the call when its timer
 * fires; the time that is left travels as grpc-timeout. Engine thread only.
 */
#ifndef ETCD__GRPC_CALL_H
#define ETCD__GRPC_CALL_H

#include "base/reactor.h"
#include "grpc/frame.h"
#include "grpc/status.h"
#include "h2/h2.h"

struct etcd__channel;
struct etcd__endpoint;
struct etcd__subchannel;
struct etcd__transport;
struct etcd__call;

/* Constant description of an RPC. */
struct etcd__method {
    const char *path; /* "/etcdserverpb.KV/Range" */
    const char *name; /* for people: "get" */
    bool streaming;   /* server-streaming or bidirectional: no stall watch, no one-message rule */
};

/*
 * Called from reactor turns, never inside a call of the owner. Each may cancel this call or any other and
 * may free what it has cancelled, may start calls, and may change the channel's endpoints and token; none
 * may free the channel.
 */
struct etcd__call_ops {
    /* The call was written to a connection; for streams: time to count. May be NULL. */
    void (*on_sent)(struct etcd__call *call);
    /* The answer's headers arrived (not for trailers-only answers). May be NULL. */
    void (*on_headers)(struct etcd__call *call);
    /* One whole message, borrowed until it returns, also when it cancels the call. */
    void (*on_message)(struct etcd__call *call, const uint8_t *data, size_t len);
    /* The last one. The call may be freed or started again inside. */
    void (*on_end)(struct etcd__call *call, const struct etcd__call_end *end);
};

/*
 * An outgoing message: framed bytes, sent from `pos` on. Owned by whoever embeds it; must stay until it was
 * sent.
 */
struct etcd__outgoing {
    struct etcd__node node;
    uint8_t *data; /* ETCD__FRAME_HEADER bytes of room, then the message */
    size_t len;    /* with the frame header */
    size_t pos;
    /*
     * Called once, when the message was handed to HTTP/2 or the call ended; NULL: nothing to do. May free
     * the outgoing and queue the next one; must not cancel the call.
     */
    void (*release)(struct etcd__outgoing *outgoing);
};

/* Which of the endpoints that are connected a call goes to. */
enum etcd__route {
    ETCD__ROUTE_ANY,     /* all in turn */
    ETCD__ROUTE_LEADER,  /* the one that the owner has named, if it can be used; else all in turn */
    ETCD__ROUTE_NEAREST, /* the one that answers fastest; now and then another, to know how fast that is */
};

/* What to start; read during etcd__call_start() and, for `token`, until the call is written. */
struct etcd__call_config {
    const struct etcd__method *method;
    const struct etcd__call_ops *ops;
    int64_t deadline_ms;                  /* INT64_MAX: none; on the reactor's clock */
    size_t max_recv;                      /* bytes of one message */
    bool require_leader;                  /* hasleader: true */
    bool fail_fast;                       /* end when every endpoint has failed, do not wait for one */
    bool no_token;                        /* the login itself */
    bool secret;                          /* what the answer is kept in meanwhile is wiped */
    const struct etcd__subchannel *avoid; /* pick another one if any is ready; NULL: no wish */
    /*
     * Bound to this endpoint, in the channel's list or not; borrowed while the call is alive. NULL: any of
     * the list.
     */
    const struct etcd__endpoint *only;
    enum etcd__route route;
};

enum etcd__call_state {
    ETCD__CALL_IDLE,
    ETCD__CALL_WAITING, /* in the channel's queue, no connection yet */
    ETCD__CALL_ACTIVE,
    ETCD__CALL_ENDING, /* its end is known and comes from a task */
};

struct etcd__call {
    struct etcd__h2_stream stream;
    struct etcd__call_config config;
    struct etcd__channel *channel;
    struct etcd__transport *transport; /* while active */
    /*
     * While active, and in on_end the one it ran on; NULL: none was reached. Later only good for comparing.
     */
    struct etcd__subchannel *subchannel;
    struct etcd__subchannel *target; /* while alive: the one it is bound to; NULL: any */
    enum etcd__call_state state;
    struct etcd__node waiting;  /* channel's or target's queue, or the list of ending calls */
    struct etcd__node active;   /* transport's list */
    struct etcd__list outgoing; /* of struct etcd__outgoing */
    bool half_closed;           /* nothing more will be sent */
    bool recv_paused;
    bool got_headers, got_status, got_message, is_grpc;
    int http_status;
    enum etcd__grpc_code grpc_status;
    int64_t sent_ms; /* when it was written; 0: not yet */
    struct etcd__deframer deframer;
    char *message;             /* grpc-message, allocated when there is one */
    bool *gone;                /* set when the call is cancelled inside on_message */
    struct etcd__task failed;  /* delivers an end that was found inside a call of the owner */
    struct etcd__call_end end; /* that end */
};

/*
 * Zeroed memory is an idle call. Starts it; from an idle call only. Always ends with on_end or
 * etcd__call_cancel().
 */
void etcd__call_start(struct etcd__call *call, struct etcd__channel *channel,
                      const struct etcd__call_config *config);
/*
 * Queues a message, while the call is alive. Writes the frame header. Streaming calls may send at any time;
 * a unary call sends one right after the start, which also closes its side.
 */
void etcd__call_send(struct etcd__call *call, struct etcd__outgoing *outgoing);
/* Nothing more will be sent. */
void etcd__call_half_close(struct etcd__call *call);
/*
 * Ends the call without on_end: resets the stream, releases what was queued. Fine on an idle call and from
 * inside its callbacks. The connection lives on. Returns whether the request may have been seen by a
 * server.
 */
enum etcd__sent etcd__call_cancel(struct etcd__call *call);
/* When the connection that an active call runs on began to be made. */
int64_t etcd__call_dialed_ms(const struct etcd__call *call);
/* Stops or resumes reading (HTTP/2 flow control holds the server back). */
void etcd__call_pause(struct etcd__call *call, bool paused);
static inline bool etcd__call_alive(const struct etcd__call *call)
{
    return call->state != ETCD__CALL_IDLE;
}

/* For channel*.c and transport.c: the end was found here. `message` must live until it was delivered. */
void etcd__call_end_later(struct etcd__call *call, enum etcd__grpc_code code, const char *message);
void etcd__call_end_later_no_memory(struct etcd__call *call);
void etcd__call_end_now(struct etcd__call *call, enum etcd__grpc_code code, const char *message);

#endif
