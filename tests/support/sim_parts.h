/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the simulated cluster. */
#ifndef TESTS_SUPPORT_SIM_PARTS_H
#define TESTS_SUPPORT_SIM_PARTS_H

#include "support/sim_cluster.h"

enum { SIM_METHOD = 24 };

/* One connection. */
struct sim_line {
    struct sim_member *member;
    struct fake_peer *peer;
    struct h2_server *server; /* NULL: closed */
    int32_t carried_out;      /* the highest stream whose request was, or is going to be */
    struct sim_line *next;
};

/* What becomes of a request. Some accidents come before it is carried out, some after. */
enum sim_fate {
    ANSWERED,
    REFUSED_STREAM,
    GOAWAY_WITHOUT,
    NO_LEADER,
    TOO_MANY,
    CUT_BEFORE,
    RESET_BEFORE,
    TIMED_OUT_BEFORE,
    SILENT_BEFORE,
    CUT_AFTER,
    RESET_AFTER,
    TIMED_OUT_AFTER,
    SILENT_AFTER,
    CUT_INSIDE, /* the connection ends amid the answer */
    FATES,
};

struct sim_request {
    struct sim_request *next;
    struct sim_member *member;
    struct sim_line *line; /* NULL: nobody waits for the answer */
    int32_t stream;
    char method[SIM_METHOD];
    uint8_t *data;
    size_t len;
    int64_t arrived_ms, due_ms;
    enum sim_fate fate;
    bool alone; /* needs no leader */
};

/* sim_cluster.c */
uint64_t sim_cluster_pick(struct sim_cluster *cluster, uint64_t n);
int64_t sim_cluster_now(struct sim_cluster *cluster);
void sim_cluster_trace(struct sim_cluster *cluster, const char *what, const struct sim_member *member);
bool sim_is_method(const struct h2_server_stream *stream, const char *name);
const char *sim_last_name(const char *path);
/* Writes what the server has to say. */
void sim_line_push(struct sim_line *line);
void sim_line_read(struct sim_line *line);
/* Requests that came with it are carried out all the same, or not. */
void sim_line_close(struct sim_line *line);
void sim_line_cut(struct sim_line *line);
/* Some of what was to be written still goes out. */
void sim_line_cut_inside(struct sim_line *line);
struct h2_server_stream *sim_find_stream(const struct sim_line *line, int32_t id);
/* Whether it asked to be refused where there is no leader. */
bool sim_wants_leader(const struct h2_server_stream *stream);
bool sim_has_leader(struct sim_member *member);
bool sim_lags(struct sim_member *member);
void sim_catch_up(struct sim_member *member);

/* sim_requests.c */
/* Why the stream's token will not do; NULL: it will. */
const char *sim_token_refusal(struct sim_cluster *cluster, const struct h2_server_stream *stream, int *code);
void sim_request_add(struct sim_line *line, const struct h2_server_stream *stream, const uint8_t *data,
                     size_t len);
void sim_request_drop(struct sim_request *request);
void sim_requests_run(struct sim_cluster *cluster);

/* sim_watch.c */
void sim_watch_request(struct sim_line *line, struct h2_server_stream *stream, const char *refusal,
                       const uint8_t *data, size_t len);
/* What the member has learned, to those who watch on this stream. */
void sim_watch_deliver(struct sim_line *line, struct h2_server_stream *stream);
void sim_watch_close(struct h2_server_stream *stream);

#endif
