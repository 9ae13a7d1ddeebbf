/* SPDX-License-Identifier: Apache-2.0 */
/* The fake server's answers that are streams: RangeStream and Snapshot. */
#include "support/fake_etcd_core.h"

#include "wire/messages.h"

#include <stdlib.h>
#include <string.h>

enum { SNAPSHOT_PART = 32 << 10 };

static void reply(struct h2_server_stream *stream, const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(size + 1);

    if (bytes == NULL)
        abort();
    h2_reply_message(stream, bytes, protobuf_c_message_pack(message, bytes));
    free(bytes);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Header, count and more are on the last part alone, as a server has it. */
static void reply_pairs(struct h2_server_stream *stream, const Etcd__Pb__RangeResponse *whole, size_t from,
                        size_t count)
{
    Etcd__Pb__RangeStreamResponse part = ETCD__PB__RANGE_STREAM_RESPONSE__INIT;
    Etcd__Pb__RangeResponse range = ETCD__PB__RANGE_RESPONSE__INIT;

    range.kvs = whole->kvs + from;
    range.n_kvs = count;
    if (from + count == whole->n_kvs) {
        range.header = whole->header;
        range.count = whole->count;
        range.more = whole->more;
    }
    part.range_response = &range;
    reply(stream, &part.base);
}

static void reply_range(struct h2_server_stream *stream, const struct fake_answer_bytes *answer, size_t pairs,
                        size_t parts)
{
    Etcd__Pb__RangeResponse *whole = (Etcd__Pb__RangeResponse *)protobuf_c_message_unpack(
        &etcd__pb__range_response__descriptor, NULL, answer->len, answer->data);
    size_t at = 0;

    if (whole == NULL)
        abort();
    for (size_t sent = 0; (at < whole->n_kvs || sent == 0) && (parts == 0 || sent < parts); sent++) {
        size_t count = smaller(pairs, whole->n_kvs - at);

        reply_pairs(stream, whole, at, count);
        at += count;
    }
    protobuf_c_message_free_unpacked(&whole->base, NULL);
}

static void reply_snapshot(struct fake_etcd *fake, struct h2_server_stream *stream, size_t parts)
{
    Etcd__Pb__SnapshotResponse response = ETCD__PB__SNAPSHOT_RESPONSE__INIT;
    Etcd__Pb__ResponseHeader header = ETCD__PB__RESPONSE_HEADER__INIT;
    char version[] = "3.6.0", none[] = "";
    size_t at = 0;

    header.cluster_id = 0xfa4e;
    response.header = &header;
    for (size_t sent = 0; at < fake->snapshot_len && (parts == 0 || sent < parts); sent++) {
        size_t count = smaller(SNAPSHOT_PART, fake->snapshot_len - at);

        response.version = at == 0 ? version : none;
        response.blob.data = (uint8_t *)(uintptr_t)(fake->snapshot + at);
        response.blob.len = count;
        at += count;
        response.remaining_bytes = fake->snapshot_len - at;
        reply(stream, &response.base);
    }
}

static void end(struct h2_server_stream *stream, const struct fake_step *step)
{
    if (step->what == STEP_ANSWER)
        h2_reply_status(stream, 0, NULL);
    else if (step->what == STEP_STATUS_LATE)
        h2_reply_status(stream, step->code, step->message);
}

bool fake_stream_run(struct fake_line *line, struct h2_server_stream *stream, struct fake_method *method,
                     const struct fake_step *step, const uint8_t *data, size_t len)
{
    struct fake_etcd *fake = line->fake;
    bool range = strcmp(method->name, "RangeStream") == 0 && fake->range_pairs > 0;
    bool snapshot = strcmp(method->name, "Snapshot") == 0 && fake->snapshot != NULL;
    struct fake_answer_bytes answer;

    if ((!range && !snapshot) ||
        (step->what != STEP_ANSWER && step->what != STEP_STATUS_LATE && step->what != STEP_HEADERS))
        return false;
    answer = fake_store_call(fake->store, range ? "Range" : "Status", h2_server_field(stream, "token"), data,
                             len);
    if (answer.code != 0) {
        h2_reply_status(stream, answer.code, answer.message);
        return true;
    }
    method->done++;
    h2_reply_headers(stream);
    if (range)
        reply_range(stream, &answer, fake->range_pairs, step->size);
    else
        reply_snapshot(fake, stream, step->size);
    free(answer.data);
    end(stream, step);
    return true;
}
