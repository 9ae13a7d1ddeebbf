/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scripted etcd. Left alone it answers from a small store (fake_store.h); each method can be told to do
 * something else with its next request, or with every one. On a real loopback socket it runs in a thread of
 * its own, so that a test reads from top to bottom:
 *
 *   struct fake_etcd *fake = fake_etcd_start();
 *   etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
 *   fake_etcd_next(fake, "Put", &(struct fake_step){.what = STEP_CUT});
 *   assert_int_equal(etcd_put(...), ETCD_E_UNAVAILABLE);
 *   assert_int_equal(fake_etcd_calls(fake, "Put"), 1);
 *
 * The same server answers inside fake_env.h's network: fake_etcd_attach(). Methods go by their last name
 * ("Range"). Every function may be called by any thread.
 */
#ifndef TESTS_SUPPORT_FAKE_ETCD_H
#define TESTS_SUPPORT_FAKE_ETCD_H

#include "support/fake_store.h"

struct fake_etcd;
struct fake_env;
struct fake_host;

enum fake_what {
    STEP_ANSWER,      /* carries it out, answers */
    STEP_SILENT,      /* never says a word about it */
    STEP_HEADERS,     /* headers, then silence */
    STEP_STATUS,      /* trailers only: `code`, `message` */
    STEP_STATUS_LATE, /* headers first, then the same */
    STEP_CUT,         /* the connection ends, nothing was carried out */
    STEP_DO_AND_CUT,  /* carried out, then the connection ends */
    STEP_REFUSE,      /* RST_STREAM REFUSED_STREAM */
    STEP_RESET,       /* RST_STREAM with `code` */
    STEP_DO_AND_RESET,
    STEP_GOAWAY,        /* GOAWAY that leaves this request out */
    STEP_DO_AND_GOAWAY, /* answers, and takes no more requests on this connection */
    STEP_COMPRESSED,    /* the answer's frame says "compressed" */
    STEP_GARBAGE,       /* a message that is no protobuf */
    STEP_MESSAGE,       /* carried out; answered with `size` bytes of `message` as they are */
    STEP_NOISE,         /* bytes that are no HTTP/2 */
    STEP_HUGE,          /* a pair with a value of `size` bytes */
    STEP_NO_TRAILERS,   /* the answer, and the stream's end without a status */
    STEP_EMPTY,         /* status 0 without an answer */
    STEP_TWICE,         /* two answers */
    STEP_HALF,          /* half an answer, status 0 */
    STEP_HTTP,          /* HTTP status `code`, as a proxy does */
    STEP_BYTES,         /* the message `data`, of `size` bytes */
};

struct fake_step {
    enum fake_what what;
    int code;
    const char *message; /* percent-encoded; must stay */
    size_t size;
    const void *data; /* must stay */
    int64_t delay_ms; /* before it does anything */
};

struct fake_etcd *fake_etcd_start(void);
/* The server of this host of a scripted network: its callbacks are taken. One fake for any number of hosts.
 */
struct fake_etcd *fake_etcd_attach(struct fake_env *env, const char *ip, uint16_t port);
/* That host. */
struct fake_host *fake_etcd_host(struct fake_etcd *fake);
/* Closes every connection. NULL is fine. Before fake_env_free(). */
void fake_etcd_free(struct fake_etcd *fake);
/* "127.0.0.1:port" */
const char *fake_etcd_endpoint(const struct fake_etcd *fake);

/* One request more is treated this way; calls add up. */
void fake_etcd_next(struct fake_etcd *fake, const char *method, const struct fake_step *step);
/* What happens to requests without a next step; NULL: the ordinary answer. */
void fake_etcd_always(struct fake_etcd *fake, const char *method, const struct fake_step *step);

/* Requests that came in; method NULL: all. */
size_t fake_etcd_calls(struct fake_etcd *fake, const char *method);
/* Requests that were carried out. */
size_t fake_etcd_done(struct fake_etcd *fake, const char *method);
/* Connections that were accepted, and those that are open now. */
size_t fake_etcd_connections(struct fake_etcd *fake);
size_t fake_etcd_open_connections(struct fake_etcd *fake);
size_t fake_etcd_resets(struct fake_etcd *fake);
/* A header field of the newest request of a method, cut to `size`; false when it had none. */
bool fake_etcd_field(struct fake_etcd *fake, const char *method, const char *name, char *dst, size_t size);

/* The newest request of a method: copies at most `size` bytes, returns its length. */
size_t fake_etcd_request(struct fake_etcd *fake, const char *method, void *dst, size_t size);

void fake_etcd_set_auth(struct fake_etcd *fake, const char *user, const char *password);
void fake_etcd_expire_tokens(struct fake_etcd *fake);
void fake_etcd_set_members(struct fake_etcd *fake, const struct fake_member *members, size_t count);
/*
 * Methods that answer with a stream. Of such a request, a step's `size` says how many parts of the answer are
 * sent (0: all): STEP_ANSWER ends it after them, STEP_STATUS_LATE with its status, STEP_HEADERS not at all.
 */
/* So many pairs in a part of RangeStream; 0, as in the beginning: the server does not have it. */
void fake_etcd_stream_ranges(struct fake_etcd *fake, size_t pairs);
/* What Snapshot sends, in parts of 32 KiB. Must stay. */
void fake_etcd_set_snapshot(struct fake_etcd *fake, const void *data, size_t len);
/* Bytes of the oldest open answer to this method that flow control holds back. */
size_t fake_etcd_unsent(struct fake_etcd *fake, const char *method);

void fake_etcd_set_status(struct fake_etcd *fake, const struct fake_status *status);
void fake_etcd_set_alarms(struct fake_etcd *fake, const struct fake_alarm *alarms, size_t count);

/*
 * Scripted networks only. The next connection ends when so many bytes have come, or so many have gone;
 * SIZE_MAX: never. `reset`: not with an end of stream but with a reset.
 */
void fake_etcd_cut_at(struct fake_etcd *fake, size_t in, size_t out, bool reset);

/* Real sockets only. */
void fake_etcd_cut(struct fake_etcd *fake); /* ends every connection */
void fake_etcd_listen(struct fake_etcd *fake,
                      bool on); /* off: connecting is refused; the port stays reserved */
void fake_etcd_freeze(struct fake_etcd *fake,
                      bool frozen); /* like a stopped process: the kernel accepts, nobody reads */
void fake_etcd_split(struct fake_etcd *fake, bool split); /* one byte at a time */

/* A loopback port that takes no more connections and answers no SYN. */
struct black_hole {
    int fds[8];
    size_t count;
    char endpoint[32];
};
void black_hole_open(struct black_hole *hole);
void black_hole_close(struct black_hole *hole);

#endif
