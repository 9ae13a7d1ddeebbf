/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <stdio.h>
#include <string.h>

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* How long a sequence is by its first byte, and the bounds of its second byte; 0 for no first byte. */
static size_t sequence_shape(unsigned char first, unsigned char *ret_low, unsigned char *ret_high)
{
    *ret_low = 0x80;
    *ret_high = 0xbf;
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4) /* continuation bytes, overlong forms, above U+10FFFF */
        return 0;
    if (first < 0xe0)
        return 2;
    if (first < 0xf0) {
        if (first == 0xe0)
            *ret_low = 0xa0; /* overlong below */
        if (first == 0xed)
            *ret_high = 0x9f; /* surrogates above */
        return 3;
    }
    if (first == 0xf0)
        *ret_low = 0x90;
    if (first == 0xf4)
        *ret_high = 0x8f;
    return 4;
}

size_t etcd__utf8_len(const char *text, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)text;
    unsigned char low, high;
    size_t need;

    if (len == 0)
        return 0;
    need = sequence_shape(bytes[0], &low, &high);
    if (need > len)
        return 0;
    if (need > 1 && (bytes[1] < low || bytes[1] > high))
        return 0;
    for (size_t i = 2; i < need; i++) {
        if (!is_continuation(bytes[i]))
            return 0;
    }
    return need;
}

bool etcd__utf8_valid(const char *data, size_t len)
{
    size_t pos = 0;

    while (pos < len) {
        size_t step = etcd__utf8_len(data + pos, len - pos);

        if (step == 0)
            return false;
        pos += step;
    }
    return true;
}

/* The length of text[0, len) without a sequence at its end that its first byte says is longer. */
static size_t without_partial(const char *text, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        unsigned char byte = (unsigned char)text[len - back];
        unsigned char low, high;

        if (!is_continuation(byte))
            return sequence_shape(byte, &low, &high) > back ? len - back : len;
    }
    return len;
}

size_t etcd__utf8_cut(const char *text, size_t len, size_t max)
{
    return len <= max ? len : without_partial(text, max);
}

/* C0, DEL and, as the two bytes C2 80..9F, C1: what can move a terminal's cursor. */
static bool is_control(const char *text, size_t len)
{
    unsigned char first = (unsigned char)text[0];

    return first < 0x20 || first == 0x7f || (len == 2 && first == 0xc2 && (unsigned char)text[1] < 0xa0);
}

/* Writes one sequence or one escaped byte to `out`, returns its length; *ret_taken is what it stands for. */
static size_t escape_one(char out[5], const char *data, size_t len, bool quotes, size_t *ret_taken)
{
    size_t step = etcd__utf8_len(data, len);
    bool plain = step != 0 && !is_control(data, step);

    if (plain && quotes && (*data == '"' || *data == '\'' || *data == '\\'))
        plain = false;
    if (plain) {
        memcpy(out, data, step);
        *ret_taken = step;
        return step;
    }
    snprintf(out, 5, "\\x%02X", (unsigned)(unsigned char)*data);
    *ret_taken = 1;
    return 4;
}

static char *escape(char *dst, size_t dst_size, const char *data, size_t len, bool quotes)
{
    static const char dots[] = "...";
    const size_t room = dst_size == 0 ? 0 : dst_size - 1;
    size_t end = 0, dots_at = 0; /* dots_at: the last place where the dots would still fit */

    if (dst_size == 0)
        return dst;
    for (size_t pos = 0; pos < len;) {
        char token[5];
        size_t taken;
        size_t token_len = escape_one(token, data + pos, len - pos, quotes, &taken);

        if (token_len > room - end) {
            size_t dots_len = room - dots_at < sizeof(dots) - 1 ? room - dots_at : sizeof(dots) - 1;

            memcpy(dst + dots_at, dots, dots_len);
            end = dots_at + dots_len;
            break;
        }
        memcpy(dst + end, token, token_len);
        end += token_len;
        pos += taken;
        if (end + sizeof(dots) - 1 <= room)
            dots_at = end;
    }
    dst[end] = '\0';
    return dst;
}

char *etcd__escape(char *dst, size_t dst_size, const void *data, size_t len)
{
    return escape(dst, dst_size, data, len, true);
}

char *etcd__escape_controls(char *dst, size_t dst_size, const void *data, size_t len)
{
    return escape(dst, dst_size, data, len, false);
}

size_t etcd__vformat(char *dst, size_t dst_size, const char *format, va_list args)
{
    int wanted;
    size_t len;

    if (dst_size == 0)
        return 0;
    wanted = vsnprintf(dst, dst_size, format, args);
    if (wanted < 0) {
        dst[0] = '\0';
        return 0;
    }
    if ((size_t)wanted < dst_size)
        return (size_t)wanted;
    len = without_partial(dst, dst_size - 1);
    dst[len] = '\0';
    return len;
}

size_t etcd__format(char *dst, size_t dst_size, const char *format, ...)
{
    va_list args;
    size_t len;

    va_start(args, format);
    len = etcd__vformat(dst, dst_size, format, args);
    va_end(args);
    return len;
}

bool etcd__parse_u64(const char *text, size_t len, uint64_t min, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;

    if (len == 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned)(unsigned char)text[i] - '0';

        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (value < min || value > max)
        return false;
    *ret = value;
    return true;
}

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

bool etcd__equal_nocase(const char *a, size_t a_len, const char *b)
{
    for (size_t i = 0; i < a_len; i++) {
        if (b[i] == '\0' || lower(a[i]) != lower(b[i]))
            return false;
    }
    return b[a_len] == '\0';
}

size_t etcd__text_give(char *dst, size_t size, const void *text, size_t len)
{
    size_t part = size == 0 ? 0 : len < size - 1 ? len : size - 1;

    if (part > 0)
        memcpy(dst, text, part);
    if (size > 0)
        dst[part] = '\0';
    return len;
}
