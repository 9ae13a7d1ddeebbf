/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a stream of gRPC messages, whole and in pieces: both must give the same messages and the same
 * end. The first byte chooses the limit of a message, the second how the stream is cut.
 */
#include "grpc/frame.h"

#include <stdlib.h>

enum { HASH_START = 5381 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came out. */
struct seen {
    size_t messages, bytes;
    uint32_t hash;
    size_t max;
};

static bool on_message(void *user, const uint8_t *data, size_t len)
{
    struct seen *seen = user;

    if (len > seen->max)
        abort();
    seen->messages++;
    seen->bytes += len;
    for (size_t i = 0; i < len; i++)
        seen->hash = seen->hash * 33 + data[i];
    return seen->messages % 64 != 63; /* at times the receiver has had enough */
}

/* `cut` 0: whole. Pieces are of 1 to `cut` bytes otherwise, by a sequence that is always the same. */
static enum etcd__frame_result run(struct seen *seen, const uint8_t *data, size_t size, uint32_t cut,
                                   bool *ret_partial)
{
    struct etcd__deframer deframer;
    enum etcd__frame_result result = ETCD__FRAME_OK;
    uint32_t state = cut;
    size_t at = 0;

    *seen = (struct seen){.hash = HASH_START, .max = seen->max};
    etcd__deframer_init(&deframer, seen->max);
    while (at < size && result == ETCD__FRAME_OK) {
        size_t piece = cut == 0 ? size : 1 + (state >> 16) % cut;

        if (piece > size - at)
            piece = size - at;
        result = etcd__deframer_feed(&deframer, data + at, piece, on_message, seen);
        at += piece;
        state = state * 1103515245u + 12345u;
    }
    *ret_partial = result == ETCD__FRAME_OK && etcd__deframer_partial(&deframer);
    etcd__deframer_deinit(&deframer);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t limits[] = {0, 1, 16, 4096, 1 << 21, SIZE_MAX};
    enum etcd__frame_result whole, pieces;
    struct seen all, cut;
    bool all_partial, cut_partial;

    if (size < 2)
        return 0;
    all.max = cut.max = limits[data[0] % (sizeof(limits) / sizeof(limits[0]))];
    whole = run(&all, data + 2, size - 2, 0, &all_partial);
    pieces = run(&cut, data + 2, size - 2, 1 + data[1], &cut_partial);
    if (whole != pieces || all_partial != cut_partial || all.messages != cut.messages ||
        all.bytes != cut.bytes || all.hash != cut.hash)
        abort();
    return 0;
}
