/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include "base/mem.h"
#include "base/str.h"

#include <assert.h>
#include <string.h>

_Static_assert(sizeof(etcd_error) == 512, "the error record is frozen");

/*
 * Every status once, in the order of its number. Name, text and the check that
 * the numbers have no gap all come from this table.
 */
#define STATUS_TABLE(X)                                                         \
    X(ETCD_OK, "success")                                                       \
    X(ETCD_E_INVALID_ARGUMENT, "invalid argument")                              \
    X(ETCD_E_NO_MEMORY, "out of memory")                                        \
    X(ETCD_E_CLOSED, "the client is closed")                                    \
    X(ETCD_E_CANCELLED, "cancelled")                                            \
    X(ETCD_E_DEADLINE, "no answer in time")                                     \
    X(ETCD_E_UNAVAILABLE, "no server could be reached")                         \
    X(ETCD_E_WOULD_DEADLOCK, "blocking call inside a callback of its own loop") \
    X(ETCD_E_BUSY, "busy")                                                      \
    X(ETCD_E_AUTH, "authentication failed")                                     \
    X(ETCD_E_DENIED, "permission denied")                                       \
    X(ETCD_E_NOT_FOUND, "not found")                                            \
    X(ETCD_E_EXISTS, "exists already")                                          \
    X(ETCD_E_LEASE_NOT_FOUND, "lease not found")                                \
    X(ETCD_E_LEASE_LOST, "the lease was lost")                                  \
    X(ETCD_E_COMPACTED, "the revision is compacted")                            \
    X(ETCD_E_FUTURE_REVISION, "the revision does not exist yet")                \
    X(ETCD_E_TOO_LARGE, "message too large")                                    \
    X(ETCD_E_NO_SPACE, "the server's space quota is used up")                   \
    X(ETCD_E_NO_LEADER, "the cluster has no leader")                            \
    X(ETCD_E_PRECONDITION, "refused in the present state")                      \
    X(ETCD_E_CLUSTER_CHANGED, "another cluster answers, or it was restored")    \
    X(ETCD_E_UNSUPPORTED, "not supported by the server")                        \
    X(ETCD_E_PROTOCOL, "the peer breaks the protocol")                          \
    X(ETCD_E_CORRUPT, "the server reports data loss")                           \
    X(ETCD_E_IO, "input or output error")                                       \
    X(ETCD_E_INTERNAL, "internal error")

#define TABLE_NAME(status, text) [status] = #status,
#define TABLE_TEXT(status, text) [status] = text,
#define TABLE_COUNT(status, text) +1

static const char *const status_names[] = {STATUS_TABLE(TABLE_NAME)};
static const char *const status_texts[] = {STATUS_TABLE(TABLE_TEXT)};

_Static_assert(ETCD__COUNT(status_names) == (0 STATUS_TABLE(TABLE_COUNT)),
               "a status is missing from the table");

const char *etcd_status_name(etcd_status status)
{
    return (unsigned)status < ETCD__COUNT(status_names) ? status_names[status] : "ETCD_E_UNKNOWN";
}

const char *etcd_status_text(etcd_status status)
{
    return (unsigned)status < ETCD__COUNT(status_texts) ? status_texts[status] : "unknown status";
}

/*
 * Parts of a message may come from a peer. What it promises, UTF-8 and nothing
 * that moves a terminal's cursor, is made true here, once for all callers.
 */
static void set_message(etcd_error *error, const char *text)
{
    etcd__escape_controls(error->message, sizeof(error->message), text, strlen(text));
}

etcd_status etcd__fail(etcd_error *reterr, etcd_status status, const char *format, ...)
{
    char text[ETCD_ERROR_MESSAGE_SIZE]; /* the arguments may lie in the record that is overwritten */
    va_list args;

    assert(status != ETCD_OK);
    if (reterr == NULL)
        return status;
    va_start(args, format);
    etcd__vformat(text, sizeof(text), format, args);
    va_end(args);
    *reterr = (etcd_error){.status = status, .grpc_code = -1};
    set_message(reterr, text);
    return status;
}

etcd_status etcd__fail_memory(etcd_error *reterr)
{
    static const char text[] = "out of memory";

    if (reterr != NULL) {
        *reterr = (etcd_error){.status = ETCD_E_NO_MEMORY, .grpc_code = -1};
        memcpy(reterr->message, text, sizeof(text));
    }
    return ETCD_E_NO_MEMORY;
}

void etcd__error_prefix(etcd_error *reterr, const char *format, ...)
{
    char prefix[ETCD_ERROR_MESSAGE_SIZE], text[ETCD_ERROR_MESSAGE_SIZE];
    va_list args;

    if (reterr == NULL)
        return;
    va_start(args, format);
    etcd__vformat(prefix, sizeof(prefix), format, args);
    va_end(args);
    etcd__format(text, sizeof(text), "%s: %s", prefix, reterr->message);
    set_message(reterr, text);
}

void etcd__error_copy(etcd_error *reterr, const etcd_error *from)
{
    if (reterr != NULL && from != NULL && reterr != from)
        *reterr = *from;
}

/* No option struct will ever be this large: a larger `size` is memory that nobody set. */
enum { OPTS_SIZE_MAX = 4096 };

etcd_status etcd__opts_import(void *dst, size_t dst_size, const void *src, const char *what,
                              etcd_error *reterr)
{
    size_t src_size;

    assert(dst != NULL && dst_size >= sizeof(size_t));
    if (src == NULL)
        return ETCD_OK;
    memcpy(&src_size, src, sizeof(src_size));
    if (src_size < sizeof(src_size) || src_size > OPTS_SIZE_MAX)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s options were not initialised", what);
    for (size_t i = dst_size; i < src_size; i++) {
        if (((const unsigned char *)src)[i] != 0)
            return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                              "%s options use a field this library does not know (byte %zu)", what, i);
    }
    memcpy(dst, src, src_size < dst_size ? src_size : dst_size);
    memcpy(dst, &dst_size, sizeof(dst_size)); /* the copy has our layout, whatever the caller's was */
    return ETCD_OK;
}
