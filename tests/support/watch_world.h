/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client on the scripted network of fake_env.h, and a server that the test plays: it sees every watch
 * request and says what is answered, and when. Reads are answered with the revision `revision`, or as
 * `read_code` says.
 */
#ifndef TESTS_SUPPORT_WATCH_WORLD_H
#define TESTS_SUPPORT_WATCH_WORLD_H

#include "support/fake_env.h"
#include "support/h2_server.h"

#include <etcdc.h>

enum { WW_LINES = 64, WW_STREAMS = 128, WW_REQUESTS = 1200, WW_KEY = 32 };

struct watch_world;

struct ww_create {
    int64_t id, start_revision;
    char key[WW_KEY];
    bool prev_kv, fragment, progress_notify;
    size_t filters;
};

/* One Watch stream. */
struct ww_stream {
    struct h2_server_stream *h2; /* NULL: over */
    struct ww_create creates[WW_REQUESTS];
    size_t create_count;
    int64_t cancels[WW_REQUESTS];
    size_t cancel_count;
    size_t progress_count; /* requests for progress */
    bool has_leader;       /* the metadata asked for it */
};

struct ww_line {
    struct watch_world *world;
    struct fake_peer *peer;
    struct h2_server *server; /* NULL: closed */
};

struct watch_world {
    struct fake_env *fake;
    struct fake_host *host;
    etcd_loop *loop;
    etcd_client *client;
    struct ww_line lines[WW_LINES];
    size_t line_count;
    struct ww_stream *streams[WW_STREAMS]; /* all that ever were */
    size_t stream_count;
    size_t reads, logins, statuses;
    uint64_t cluster_id;
    int64_t revision;         /* of every answer without events */
    int64_t created_revision; /* of answers to creates; 0: the same */
    int read_code;            /* gRPC status of the next reads; 0: answered */
    const char *read_message;
    const char *denied_key; /* reads of it are refused */
    bool reads_go_on;       /* answers to reads come without their end */
    const char *version;    /* of the member that serves streams; NULL: status is refused */
    size_t elsewhere;       /* so many times another member says its version */
    bool automatic;         /* creates are answered as etcd does */
};

/* Fails the test when it cannot. `opts` NULL: defaults; endpoints and loop are set here. */
void ww_open(struct watch_world *world, const etcd_client_opts *opts);
void ww_close(struct watch_world *world);
/* Lets so much virtual time pass. */
void ww_run(struct watch_world *world, int64_t ms);

/* The newest stream that is open; fails the test when there is none. */
struct ww_stream *ww_stream(struct watch_world *world);
size_t ww_open_streams(const struct watch_world *world);

void ww_created(struct watch_world *world, struct ww_stream *stream, int64_t id);
void ww_refused(struct watch_world *world, struct ww_stream *stream, const char *reason);
void ww_canceled(struct watch_world *world, struct ww_stream *stream, int64_t id, const char *reason,
                 int64_t compact_revision);
/* One put of key "k" in each revision from `first` to `last`. */
void ww_events(struct watch_world *world, struct ww_stream *stream, int64_t id, int64_t first, int64_t last);
/* `count` puts, all in this revision. */
void ww_fragment(struct watch_world *world, struct ww_stream *stream, int64_t id, int64_t revision,
                 size_t count, bool more);
void ww_progress(struct watch_world *world, struct ww_stream *stream, int64_t id, int64_t revision);
/* These bytes as a message. */
void ww_message(struct watch_world *world, struct ww_stream *stream, const void *data, size_t len);
void ww_garbage(struct watch_world *world, struct ww_stream *stream);
/* One put with a value of so many bytes. */
void ww_large(struct watch_world *world, struct ww_stream *stream, int64_t id, int64_t revision, size_t size);
void ww_status(struct watch_world *world, struct ww_stream *stream, int code, const char *message);
/* Every connection is reset. */
void ww_cut(struct watch_world *world);

/* ---- for tests with one world at a time ------------------------------------------------------------ */

/* The one that these work on. */
extern struct watch_world ww;
int ww_set_up(void **state);
int ww_tear_down(void **state);
etcd_watch *ww_watch(const char *key, int64_t start_revision);
/* Looks only. */
etcd_status ww_look(etcd_watch *watch, etcd_events **ret_events, etcd_error *err);
void ww_expect_nothing(etcd_watch *watch);
void ww_expect_end(etcd_watch *watch, etcd_status wanted, const char *text);
/* One batch, from this revision to that. */
void ww_expect_batch(etcd_watch *watch, int64_t first, int64_t last);

#endif
