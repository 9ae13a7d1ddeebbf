/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC's message framing: a flag byte, four bytes of length, the message. */
#ifndef ETCD__GRPC_FRAME_H
#define ETCD__GRPC_FRAME_H

#include "base/buf.h"

#include <stdbool.h>

enum { ETCD__FRAME_HEADER = 5 };

enum etcd__frame_result {
    ETCD__FRAME_OK,         /* all bytes were taken */
    ETCD__FRAME_TOO_LARGE,  /* a message above the limit; nothing of it was kept */
    ETCD__FRAME_COMPRESSED, /* a flag that was not negotiated */
    ETCD__FRAME_NO_MEMORY,
    ETCD__FRAME_STOPPED, /* on_message asked to stop */
};

/* Takes a stream apart that arrives in any pieces. A message that lies whole in one piece is not copied. */
struct etcd__deframer {
    struct etcd__buf partial; /* header and body as far as they came */
    struct etcd__buf *whole;  /* while a message that lay in `partial` is delivered: its memory */
    size_t max_message;
};

/* Returns false to stop. `data` is borrowed. */
typedef bool etcd__message_fn(void *user, const uint8_t *data, size_t len);

void etcd__deframer_init(struct etcd__deframer *deframer, size_t max_message);
void etcd__deframer_deinit(struct etcd__deframer *deframer);
enum etcd__frame_result etcd__deframer_feed(struct etcd__deframer *deframer, const uint8_t *data, size_t len,
                                            etcd__message_fn *on_message, void *user);
/*
 * Inside on_message: gives the message's memory away, which is then *ret's content. False when it is borrowed
 * from the input, or so small that copying it costs less.
 */
bool etcd__deframer_take(struct etcd__deframer *deframer, struct etcd__buf *ret);
/* A message is unfinished: an end of stream here is an error. */
bool etcd__deframer_partial(const struct etcd__deframer *deframer);
void etcd__frame_header(uint8_t dst[ETCD__FRAME_HEADER], size_t message_len);

#endif
