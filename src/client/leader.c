/* SPDX-License-Identifier: Apache-2.0 */
#include "client/leader.h"

#include "client/client.h"
#include "client/errors.h"
#include "wire/codec.h"
#include "wire/messages.h"

enum {
    ROUND_MS = 2000,       /* how long the members have to answer */
    AGAIN_MS = 500,        /* between two rounds, whatever happens: an election takes about that long */
    ELSEWHERE_MS = 10000,  /* the leader is not among the endpoints: unless there are new ones */
    FORBIDDEN_MS = 60000,  /* the status may not be asked for */
    STATUS_MAX = 64 << 10, /* bytes of an answer */
};

static const struct etcd__method status_method = {"/etcdserverpb.Maintenance/Status", "status", false};

/* The question to one endpoint. */
struct etcd__status_probe {
    struct etcd__call call;
    struct etcd__outgoing outgoing;
    uint8_t frame[ETCD__FRAME_HEADER]; /* the request is empty */
    struct etcd__leader *leader;
};

static struct etcd__status_probe *probe_of(struct etcd__call *call)
{
    return ETCD__CONTAINER(call, struct etcd__status_probe, call);
}

/* ---- the end of a round ---------------------------------------------------------------------------- */

static void stop(struct etcd__leader *leader)
{
    for (size_t i = 0; i < leader->count; i++)
        (void)etcd__call_cancel(&leader->probes[i].call);
    etcd__timer_disarm(etcd__client_reactor(leader->client), &leader->timer);
    etcd__free(leader->probes);
    leader->probes = NULL;
    leader->count = leader->pending = 0;
}

static void finish(struct etcd__leader *leader)
{
    int64_t pause_ms = AGAIN_MS;

    stop(leader);
    if (leader->found_term == 0) {
        etcd__channel_set_leader(leader->client->channel, NULL);
        if (leader->elsewhere)
            pause_ms = ELSEWHERE_MS;
        else if (leader->refused)
            pause_ms = FORBIDDEN_MS;
    } else {
        leader->doubted = leader->found_term < leader->term;
    }
    leader->next_ms = etcd__client_reactor(leader->client)->now_ms + pause_ms;
}

/* ---- answers --------------------------------------------------------------------------------------- */

/* A member that was cut off may go on believing that it leads: the newest term decides. */
static void take_status(struct etcd__leader *leader, struct etcd__subchannel *subchannel,
                        const Etcd__Pb__StatusResponse *status)
{
    if (status->header == NULL || status->leader == 0)
        return;
    if (status->leader != status->header->member_id) {
        leader->elsewhere = true;
    } else if (status->raft_term > leader->found_term) {
        leader->found_term = status->raft_term;
        etcd__channel_set_leader(leader->client->channel, subchannel);
    }
    etcd__leader_saw_term(leader, status->raft_term);
}

static void on_message(struct etcd__call *call, const uint8_t *data, size_t len)
{
    struct etcd__arena arena = {0};
    const Etcd__Pb__StatusResponse *status;
    etcd_status st;

    status = etcd__wire_unpack(&etcd__pb__status_response__descriptor, &arena, data, len, &st);
    if (status != NULL)
        take_status(probe_of(call)->leader, call->subchannel, status);
    etcd__arena_deinit(&arena);
}

static void on_end(struct etcd__call *call, const struct etcd__call_end *end)
{
    struct etcd__leader *leader = probe_of(call)->leader;

    if (end->code != ETCD__GRPC_OK && end->from_server && etcd__verdict_of(end).remedy == ETCD__REMEDY_NONE)
        leader->refused = true;
    if (--leader->pending == 0)
        finish(leader);
}

static const struct etcd__call_ops probe_ops = {.on_message = on_message, .on_end = on_end};

/* ---- a round --------------------------------------------------------------------------------------- */

static void ask(void *user, const struct etcd__endpoint *endpoint)
{
    struct etcd__leader *leader = user;
    struct etcd_client *client = leader->client;
    struct etcd__status_probe *probe = &leader->probes[leader->count++];
    const struct etcd__call_config config = {
        .method = &status_method,
        .ops = &probe_ops,
        .deadline_ms = etcd__client_reactor(client)->now_ms + ROUND_MS,
        .max_recv = STATUS_MAX,
        .only = endpoint,
    };

    probe->leader = leader;
    probe->outgoing = (struct etcd__outgoing){.data = probe->frame, .len = sizeof(probe->frame)};
    leader->pending++;
    etcd__call_start(&probe->call, client->channel, &config);
    etcd__call_send(&probe->call, &probe->outgoing);
}

static void start(struct etcd__leader *leader)
{
    struct etcd_client *client = leader->client;
    int64_t now_ms = etcd__client_reactor(client)->now_ms;

    leader->next_ms = now_ms + AGAIN_MS;
    leader->probes = etcd__calloc(etcd__channel_count(client->channel) + 1, sizeof(*leader->probes));
    if (leader->probes == NULL)
        return; /* all in turn meanwhile */
    leader->doubted = leader->refused = leader->elsewhere = false;
    leader->found_term = 0;
    etcd__channel_each_ready(client->channel, ask, leader);
    if (leader->pending > 0)
        etcd__timer_arm(etcd__client_reactor(client), &leader->timer, now_ms + ROUND_MS);
    else
        stop(leader);
}

static void on_timer(struct etcd__timer *timer)
{
    finish(ETCD__CONTAINER(timer, struct etcd__leader, timer));
}

/* ---- for the rest of the client -------------------------------------------------------------------- */

void etcd__leader_init(struct etcd__leader *leader, struct etcd_client *client)
{
    *leader = (struct etcd__leader){.client = client, .timer.on_expire = on_timer};
}

void etcd__leader_close(struct etcd__leader *leader)
{
    stop(leader);
}

void etcd__leader_wanted(struct etcd__leader *leader)
{
    bool known = etcd__channel_has_leader(leader->client->channel) && !leader->doubted;

    if (!known && leader->probes == NULL && etcd__client_reactor(leader->client)->now_ms >= leader->next_ms)
        start(leader);
}

void etcd__leader_saw_term(struct etcd__leader *leader, uint64_t term)
{
    if (term <= leader->term)
        return;
    leader->doubted = leader->doubted || (leader->term != 0 && leader->found_term < term);
    leader->term = term;
}

void etcd__leader_doubt(struct etcd__leader *leader)
{
    leader->doubted = true;
}

void etcd__leader_news(struct etcd__leader *leader)
{
    leader->next_ms = 0;
}
