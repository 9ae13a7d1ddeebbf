/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC status codes and how a call ended. */
#ifndef ETCD__GRPC_STATUS_H
#define ETCD__GRPC_STATUS_H

#include "base/error.h"

#include <stdbool.h>

enum etcd__grpc_code {
    ETCD__GRPC_OK = 0,
    ETCD__GRPC_CANCELLED = 1,
    ETCD__GRPC_UNKNOWN = 2,
    ETCD__GRPC_INVALID_ARGUMENT = 3,
    ETCD__GRPC_DEADLINE_EXCEEDED = 4,
    ETCD__GRPC_NOT_FOUND = 5,
    ETCD__GRPC_ALREADY_EXISTS = 6,
    ETCD__GRPC_PERMISSION_DENIED = 7,
    ETCD__GRPC_RESOURCE_EXHAUSTED = 8,
    ETCD__GRPC_FAILED_PRECONDITION = 9,
    ETCD__GRPC_ABORTED = 10,
    ETCD__GRPC_OUT_OF_RANGE = 11,
    ETCD__GRPC_UNIMPLEMENTED = 12,
    ETCD__GRPC_INTERNAL = 13,
    ETCD__GRPC_UNAVAILABLE = 14,
    ETCD__GRPC_DATA_LOSS = 15,
    ETCD__GRPC_UNAUTHENTICATED = 16,
};

/* Where a call got to; decides whether a write may be repeated. */
enum etcd__sent {
    ETCD__NOT_SENT,   /* never written, or refused unprocessed: as if it never happened */
    ETCD__MAYBE_SENT, /* written; nobody can tell */
};

/* How a call ended. Borrowed during on_end. */
struct etcd__call_end {
    enum etcd__grpc_code code;
    const char *message;  /* decoded, valid UTF-8, NUL-terminated, never NULL */
    const char *endpoint; /* as shown to people; "" when no endpoint was reached */
    enum etcd__sent sent;
    bool from_server; /* code and message are the server's; otherwise found here */
    bool too_large;   /* the answer is above the receive limit */
    bool malformed;   /* the peer broke the protocol (frame, message, compression, no status) */
    bool no_memory;   /* found here: out of memory; the code is RESOURCE_EXHAUSTED */
};

const char *etcd__grpc_code_name(enum etcd__grpc_code code);
/* For an answer without grpc-status. */
enum etcd__grpc_code etcd__grpc_code_of_http(int http_status);
enum etcd__grpc_code etcd__grpc_code_of_h2(uint32_t h2_error);
/*
 * Decodes %XX of a grpc-message into valid UTF-8 (bad bytes become '?'); cuts what does not fit. Returns
 * dst.
 */
char *etcd__grpc_message_decode(char *dst, size_t dst_size, const char *text, size_t len);
/*
 * Writes the value of grpc-timeout: at most 8 digits and a unit, rounded up to 100 ms so that HPACK sees
 * few values.
 */
size_t etcd__grpc_timeout_format(char dst[16], int64_t timeout_ms);

#endif
