/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What follows the first page of a range, as one stream at its revision. A part that nobody waits for stops
 * the reading, so that flow control holds the server back. However the stream fails, pages take over behind
 * the last key that came: they know how to try again, and their failures are the ones that the program sees.
 */
#include "client/client.h"
#include "client/range.h"
#include "wire/codec.h"

static const struct etcd__method method = {"/etcdserverpb.KV/RangeStream", "range", true};

static struct etcd_range *range_of(struct etcd__call *call)
{
    return ETCD__CONTAINER(call, struct etcd_range, stream.call);
}

/* Pages from here on. */
static void give_up(struct etcd_range *range)
{
    etcd__range_stream_stop(range);
    range->stream.broken = true;
    if (etcd__feed_wanted(&range->feed))
        etcd__range_ask(range);
}

/* Parts have no header but the last, which knows of the last part alone. */
static void complete_part(const struct etcd_range *range, struct etcd_get_result *part)
{
    part->header = range->header;
    part->total = range->total;
    part->more = true;
}

static void on_message(struct etcd__call *call, const uint8_t *data, size_t len)
{
    struct etcd_range *range = range_of(call);
    struct etcd_get_result *part = NULL;
    etcd_error err;

    if (etcd__get_part_decode(data, len, &part, &err) != ETCD_OK) {
        give_up(range);
        return;
    }
    if (part->count == 0) {
        etcd_get_result_free(part);
        return;
    }
    complete_part(range, part);
    if (!etcd__feed_reserve(&range->feed) || !etcd__range_advance(range, part) ||
        etcd__namespace_leave_get(range->feed.client->config.key_namespace, part, &err) != ETCD_OK) {
        etcd_get_result_free(part);
        give_up(range);
        return;
    }
    if (!etcd__feed_wanted(&range->feed))
        etcd__call_pause(call, true);
    etcd__feed_push(&range->feed, part);
}

static void on_end(struct etcd__call *call, const struct etcd__call_end *end)
{
    struct etcd_range *range = range_of(call);

    if (end->code == ETCD__GRPC_OK) {
        etcd__feed_end(&range->feed);
        return;
    }
    if (end->from_server && end->code == ETCD__GRPC_UNIMPLEMENTED)
        range->feed.client->no_range_stream = true;
    give_up(range);
}

static const struct etcd__call_ops call_ops = {
    .on_message = on_message,
    .on_end = on_end,
};

static void release_request(struct etcd__outgoing *outgoing)
{
    etcd__free(outgoing->data);
    outgoing->data = NULL;
}

static void open_stream(struct etcd_range *range)
{
    struct etcd_client *client = range->feed.client;
    const struct etcd__call_config config = {
        .method = &method,
        .ops = &call_ops,
        .deadline_ms = range->deadline_ms,
        .max_recv = client->config.max_recv_bytes,
        .require_leader = !range->opts.serializable,
        .fail_fast = range->opts.fail_fast,
    };
    Etcd__Pb__RangeRequest request = ETCD__PB__RANGE_REQUEST__INIT;
    struct etcd__outgoing *outgoing = &range->stream.outgoing;

    etcd__range_request(range, &request);
    *outgoing = (struct etcd__outgoing){.release = release_request};
    if (etcd__wire_pack(&request.base, ETCD__FRAME_HEADER, &outgoing->data, &outgoing->len) != ETCD_OK) {
        give_up(range);
        return;
    }
    outgoing->len += ETCD__FRAME_HEADER;
    etcd__call_start(&range->stream.call, client->channel, &config);
    etcd__call_send(&range->stream.call, outgoing);
    etcd__call_half_close(&range->stream.call);
}

static void on_login(struct etcd__auth_waiter *waiter, etcd_status status, const etcd_error *err)
{
    struct etcd_range *range = ETCD__CONTAINER(waiter, struct etcd_range, stream.login);

    (void)err;
    if (status == ETCD_OK)
        open_stream(range);
    else
        give_up(range);
}

/* ---- for the pages --------------------------------------------------------------------------------- */

bool etcd__range_can_stream(const struct etcd_range *range)
{
    return range->begun && !range->stream.broken && !range->feed.client->no_range_stream;
}

bool etcd__range_streams(const struct etcd_range *range)
{
    return etcd__call_alive(&range->stream.call) || etcd__node_linked(&range->stream.login.node);
}

void etcd__range_stream_start(struct etcd_range *range)
{
    struct etcd_client *client = range->feed.client;

    range->stream.login.on_ready = on_login;
    if (etcd__auth_ready(&client->auth))
        open_stream(range);
    else
        etcd__auth_wait(&client->auth, &range->stream.login);
}

void etcd__range_stream_resume(struct etcd_range *range)
{
    if (etcd__call_alive(&range->stream.call) && range->stream.call.recv_paused)
        etcd__call_pause(&range->stream.call, false);
}

void etcd__range_stream_stop(struct etcd_range *range)
{
    (void)etcd__call_cancel(&range->stream.call);
    etcd__auth_unwait(&range->stream.login);
}
