/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/status.h"

#include "base/str.h"
#include "h2/h2.h"

const char *etcd__grpc_code_name(enum etcd__grpc_code code)
{
    static const char *const names[] = {
        [ETCD__GRPC_OK] = "OK",
        [ETCD__GRPC_CANCELLED] = "CANCELLED",
        [ETCD__GRPC_UNKNOWN] = "UNKNOWN",
        [ETCD__GRPC_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
        [ETCD__GRPC_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
        [ETCD__GRPC_NOT_FOUND] = "NOT_FOUND",
        [ETCD__GRPC_ALREADY_EXISTS] = "ALREADY_EXISTS",
        [ETCD__GRPC_PERMISSION_DENIED] = "PERMISSION_DENIED",
        [ETCD__GRPC_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
        [ETCD__GRPC_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
        [ETCD__GRPC_ABORTED] = "ABORTED",
        [ETCD__GRPC_OUT_OF_RANGE] = "OUT_OF_RANGE",
        [ETCD__GRPC_UNIMPLEMENTED] = "UNIMPLEMENTED",
        [ETCD__GRPC_INTERNAL] = "INTERNAL",
        [ETCD__GRPC_UNAVAILABLE] = "UNAVAILABLE",
        [ETCD__GRPC_DATA_LOSS] = "DATA_LOSS",
        [ETCD__GRPC_UNAUTHENTICATED] = "UNAUTHENTICATED",
    };

    return (size_t)code < ETCD__COUNT(names) ? names[code] : "UNKNOWN";
}

enum etcd__grpc_code etcd__grpc_code_of_http(int http_status)
{
    switch (http_status) {
    case 400:
        return ETCD__GRPC_INTERNAL;
    case 401:
        return ETCD__GRPC_UNAUTHENTICATED;
    case 403:
        return ETCD__GRPC_PERMISSION_DENIED;
    case 404:
        return ETCD__GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return ETCD__GRPC_UNAVAILABLE;
    default:
        return ETCD__GRPC_UNKNOWN;
    }
}

enum etcd__grpc_code etcd__grpc_code_of_h2(uint32_t h2_error)
{
    enum { FLOW_CONTROL_ERROR = 3, INADEQUATE_SECURITY = 12 };

    switch (h2_error) {
    case ETCD__H2_REFUSED_STREAM:
        return ETCD__GRPC_UNAVAILABLE;
    case ETCD__H2_CANCEL:
        return ETCD__GRPC_CANCELLED;
    case ETCD__H2_ENHANCE_YOUR_CALM:
    case FLOW_CONTROL_ERROR:
        return ETCD__GRPC_RESOURCE_EXHAUSTED;
    case INADEQUATE_SECURITY:
        return ETCD__GRPC_PERMISSION_DENIED;
    default:
        return ETCD__GRPC_INTERNAL;
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* Bytes in the valid UTF-8 sequence that starts at text[0]; 0 when there is none. */
static size_t utf8_sequence(const char *text, size_t len)
{
    for (size_t n = 1; n <= 4 && n <= len; n++) {
        if (etcd__utf8_valid(text, n))
            return n;
    }
    return 0;
}

/* A message is shown to people and compared as a C string: no NUL, no broken sequence. */
static void make_valid(char *text, size_t len)
{
    size_t i = 0;

    while (i < len) {
        size_t n = text[i] == '\0' ? 0 : utf8_sequence(text + i, len - i);

        if (n == 0) {
            text[i] = '?';
            n = 1;
        }
        i += n;
    }
}

char *etcd__grpc_message_decode(char *dst, size_t dst_size, const char *text, size_t len)
{
    size_t n = 0;
    size_t i = 0;
    bool plain = true;

    if (dst_size == 0)
        return dst;
    while (i < len && n < dst_size) {
        int high = text[i] == '%' && len - i > 2 ? hex_digit(text[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text[i + 2]) : -1;

        dst[n] = low >= 0 ? (char)(high * 16 + low) : text[i];
        i += low >= 0 ? 3 : 1;
        plain = plain && dst[n] > 0 && dst[n] < 0x7f;
        n++;
    }
    if (!plain)
        make_valid(dst, n);
    if (n == dst_size)
        n = etcd__utf8_cut(dst, n, dst_size - 1);
    dst[n] = '\0';
    return dst;
}

size_t etcd__grpc_timeout_format(char dst[16], int64_t timeout_ms)
{
    enum { STEP_MS = 100 };
    const int64_t max_value = 99999999;
    int64_t value = timeout_ms < 1 ? STEP_MS : timeout_ms;
    char unit = 'm';

    if (value > max_value / STEP_MS * STEP_MS) {
        value = value / 1000 + (value % 1000 != 0);
        unit = 'S';
        if (value > max_value) {
            value = value / 3600 + (value % 3600 != 0);
            unit = 'H';
        }
        if (value > max_value)
            value = max_value;
    } else {
        value = (value + STEP_MS - 1) / STEP_MS * STEP_MS;
    }

    /* By hand: this runs once a call, and printf costs more than the rest of the header block. */
    char digits[8];
    size_t count = 0;

    for (; value > 0; value /= 10)
        digits[count++] = (char)('0' + value % 10);
    for (size_t i = 0; i < count; i++)
        dst[i] = digits[count - 1 - i];
    dst[count] = unit;
    dst[count + 1] = '\0';
    return count + 1;
}
