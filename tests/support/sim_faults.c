/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong in the simulated cluster. */
#include "support/sim_parts.h"

enum { H2_INTERNAL = 2 };

/* ---- faults ---------------------------------------------------------------------------------------- */

static void resume(struct sim_member *member)
{
    member->stopped = false;
    for (struct sim_line *line = member->cluster->lines; line != NULL; line = line->next) {
        if (line->member == member)
            sim_line_read(line);
    }
}

static void restart(struct sim_member *member, int64_t ms)
{
    resume(member);
    for (struct sim_line *line = member->cluster->lines; line != NULL; line = line->next) {
        if (line->member == member)
            sim_line_cut(line);
    }
    member->host->answer = sim_cluster_pick(member->cluster, 4) == 0 ? FAKE_BLACK_HOLE : FAKE_REFUSE;
    member->down_until_ms = member->cluster->store->now_ms + ms;
}

/* What was proposed to the old leader is committed, or lost, and some of it without an answer. */
static void lose_leader(struct sim_cluster *cluster)
{
    cluster->election_ms = cluster->store->now_ms + 500 + (int64_t)sim_cluster_pick(cluster, 5000);
    for (struct sim_request *request = cluster->requests; request != NULL; request = request->next) {
        if (!request->alone && sim_cluster_pick(cluster, 2) == 0)
            request->fate = sim_cluster_pick(cluster, 2) == 0 ? TIMED_OUT_BEFORE : TIMED_OUT_AFTER;
    }
}

static struct sim_line *any_line(struct sim_cluster *cluster)
{
    struct sim_line *found = NULL;
    uint64_t seen = 0;

    for (struct sim_line *line = cluster->lines; line != NULL; line = line->next) {
        if (line->server != NULL && sim_cluster_pick(cluster, ++seen) == 0)
            found = line;
    }
    return found;
}

static void end_streams(struct sim_line *line)
{
    for (struct h2_server_stream *stream = h2_server_streams(line->server); stream != NULL;
         stream = stream->next) {
        if (sim_is_method(stream, "Watch") || sim_is_method(stream, "LeaseKeepAlive"))
            h2_reply_reset(stream, H2_INTERNAL);
    }
}

/* As grpc-go ends a connection: it says so, and then which streams it still takes. */
static void go_away(struct sim_line *line)
{
    h2_server_goaway(line->server, INT32_MAX, 0, NULL);
    if (sim_cluster_pick(line->member->cluster, 2) == 0)
        h2_server_goaway(line->server, -1, 0, "");
}

static void fault_of_line(struct sim_cluster *cluster)
{
    struct sim_line *line = any_line(cluster);

    if (line == NULL)
        return;
    switch (sim_cluster_pick(cluster, 5)) {
    case 0:
        sim_cluster_trace(cluster, "a connection is cut", line->member);
        sim_line_cut(line);
        return;
    case 1:
        sim_cluster_trace(cluster, "a connection goes silent", line->member);
        fake_peer_drop(line->peer);
        return;
    case 2:
        if (line->member->stopped)
            return;
        sim_cluster_trace(cluster, "GOAWAY", line->member);
        go_away(line);
        break;
    case 3:
        if (line->member->stopped)
            return;
        sim_cluster_trace(cluster, "streams are reset", line->member);
        end_streams(line);
        break;
    default:
        sim_cluster_trace(cluster, "a connection is cut inside a frame", line->member);
        sim_line_cut_inside(line);
        return;
    }
    sim_line_push(line);
}

static void fault_of_member(struct sim_cluster *cluster)
{
    struct sim_member *member = &cluster->members[sim_cluster_pick(cluster, cluster->member_count)];

    switch (sim_cluster_pick(cluster, 6)) {
    case 0:
        sim_cluster_trace(cluster, member->stopped ? "resumes" : "stops", member);
        if (member->stopped)
            resume(member);
        else
            member->stopped = true;
        break;
    case 1:
        sim_cluster_trace(cluster, "restarts", member);
        restart(member, (int64_t)sim_cluster_pick(cluster, 8000));
        break;
    case 2:
        sim_cluster_trace(cluster, member->partitioned ? "is back" : "is partitioned", member);
        member->partitioned = !member->partitioned;
        break;
    case 3:
        sim_cluster_trace(cluster, "lags", member);
        member->lag_until_ms = sim_cluster_now(cluster) + (int64_t)sim_cluster_pick(cluster, 4000);
        break;
    case 4:
        sim_cluster_trace(cluster, "is slow", member);
        member->host->delay_ms = (int64_t)sim_cluster_pick(cluster, 400);
        member->host->connect_ms = (int64_t)sim_cluster_pick(cluster, 1500);
        break;
    default:
        sim_cluster_trace(cluster, "is quick", member);
        member->host->delay_ms = member->host->connect_ms = 0;
        break;
    }
}

void sim_cluster_fault(struct sim_cluster *cluster)
{
    sim_cluster_now(cluster);
    switch (sim_cluster_pick(cluster, 8)) {
    case 0:
        sim_cluster_trace(cluster, "the leader is lost", NULL);
        lose_leader(cluster);
        break;
    case 1:
        sim_cluster_trace(cluster, "compaction", NULL);
        (void)sim_store_compact(cluster->store,
                                cluster->store->revision - (int64_t)sim_cluster_pick(cluster, 8));
        break;
    case 2:
        sim_cluster_trace(cluster, "tokens expire", NULL);
        cluster->expired_tokens = cluster->tokens;
        break;
    case 3:
    case 4:
        fault_of_line(cluster);
        break;
    default:
        fault_of_member(cluster);
        break;
    }
}

void sim_cluster_heal(struct sim_cluster *cluster)
{
    sim_cluster_trace(cluster, "all is well", NULL);
    sim_cluster_now(cluster);
    cluster->faults = false;
    for (size_t i = 0; i < cluster->member_count; i++) {
        struct sim_member *member = &cluster->members[i];

        member->partitioned = false;
        member->lag_until_ms = member->down_until_ms = 0;
        member->host->answer = FAKE_ACCEPT;
        member->host->delay_ms = member->host->connect_ms = 0;
        resume(member);
    }
}
