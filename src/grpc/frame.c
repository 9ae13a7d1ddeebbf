/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/frame.h"

#include <assert.h>
#include <string.h>

enum {
    /* A length is only a claim: above this the buffer grows with what really arrives. */
    TRUSTED_LENGTH = 1 << 20,
    /* What an idle stream keeps of its buffer between messages. */
    KEPT_BUFFER = 8 << 10,
};

void etcd__deframer_init(struct etcd__deframer *deframer, size_t max_message)
{
    etcd__buf_init(&deframer->partial, 0);
    deframer->whole = NULL;
    deframer->max_message = max_message;
}

void etcd__deframer_deinit(struct etcd__deframer *deframer)
{
    etcd__buf_deinit(&deframer->partial);
}

bool etcd__deframer_partial(const struct etcd__deframer *deframer)
{
    return etcd__buf_len(&deframer->partial) > 0;
}

void etcd__frame_header(uint8_t dst[ETCD__FRAME_HEADER], size_t message_len)
{
    assert(message_len <= UINT32_MAX);
    dst[0] = 0;
    dst[1] = (uint8_t)(message_len >> 24);
    dst[2] = (uint8_t)(message_len >> 16);
    dst[3] = (uint8_t)(message_len >> 8);
    dst[4] = (uint8_t)message_len;
}

static size_t message_length(const uint8_t *header)
{
    return (size_t)header[1] << 24 | (size_t)header[2] << 16 | (size_t)header[3] << 8 | (size_t)header[4];
}

static enum etcd__frame_result check_header(const struct etcd__deframer *deframer, const uint8_t *header)
{
    if (header[0] != 0)
        return ETCD__FRAME_COMPRESSED;
    if (message_length(header) > deframer->max_message)
        return ETCD__FRAME_TOO_LARGE;
    return ETCD__FRAME_OK;
}

static bool keep(struct etcd__deframer *deframer, const uint8_t *data, size_t len)
{
    struct etcd__buf *partial = &deframer->partial;

    if (etcd__buf_len(partial) == ETCD__FRAME_HEADER) {
        size_t body = message_length(etcd__buf_front(partial));

        partial->max = ETCD__FRAME_HEADER + body; /* growing by doubling ends there */
        if (etcd__buf_reserve(partial, body < TRUSTED_LENGTH ? body : TRUSTED_LENGTH) == NULL)
            return false;
    }
    return etcd__buf_append(partial, data, len);
}

/*
 * Hands out the message that lies complete in the partial buffer. The receiver may destroy the deframer,
 * and may still read the message after that: the buffer is held here meanwhile.
 */
static bool deliver_partial(struct etcd__deframer *deframer, etcd__message_fn *on_message, void *user)
{
    struct etcd__buf whole = deframer->partial;

    deframer->partial = (struct etcd__buf){.secret = whole.secret};
    deframer->whole = &whole;
    whole.max = 0;
    etcd__buf_consume(&whole, ETCD__FRAME_HEADER);

    bool go_on = on_message(user, etcd__buf_front(&whole), etcd__buf_len(&whole));

    if (!go_on) {
        etcd__buf_deinit(&whole);
        return false;
    }
    etcd__buf_consume(&whole, etcd__buf_len(&whole));
    etcd__buf_trim(&whole, KEPT_BUFFER);
    deframer->whole = NULL;
    deframer->partial = whole;
    return true;
}

bool etcd__deframer_take(struct etcd__deframer *deframer, struct etcd__buf *ret)
{
    struct etcd__buf *whole = deframer->whole;

    if (whole == NULL || whole->secret || whole->capacity <= KEPT_BUFFER)
        return false;
    *ret = *whole;
    *whole = (struct etcd__buf){.data = NULL};
    return true;
}

/* Completes the unfinished message as far as the data goes. *ret_used: how much was taken. */
static enum etcd__frame_result feed_partial(struct etcd__deframer *deframer, const uint8_t *data, size_t len,
                                            size_t *ret_used, etcd__message_fn *on_message, void *user)
{
    struct etcd__buf *partial = &deframer->partial;
    size_t have = etcd__buf_len(partial);
    size_t want = ETCD__FRAME_HEADER;

    if (have >= ETCD__FRAME_HEADER)
        want += message_length(etcd__buf_front(partial));

    size_t used = want - have < len ? want - have : len;

    if (!keep(deframer, data, used))
        return ETCD__FRAME_NO_MEMORY;
    *ret_used = used;
    have += used;
    if (have < want)
        return ETCD__FRAME_OK;
    if (want == ETCD__FRAME_HEADER) {
        enum etcd__frame_result result = check_header(deframer, etcd__buf_front(partial));

        if (result != ETCD__FRAME_OK || message_length(etcd__buf_front(partial)) > 0)
            return result;
    }
    return deliver_partial(deframer, on_message, user) ? ETCD__FRAME_OK : ETCD__FRAME_STOPPED;
}

enum etcd__frame_result etcd__deframer_feed(struct etcd__deframer *deframer, const uint8_t *data, size_t len,
                                            etcd__message_fn *on_message, void *user)
{
    while (len > 0) {
        enum etcd__frame_result result = ETCD__FRAME_OK;
        size_t used = 0;

        if (!etcd__deframer_partial(deframer) && len >= ETCD__FRAME_HEADER) {
            result = check_header(deframer, data);
            if (result != ETCD__FRAME_OK)
                return result;
            used = ETCD__FRAME_HEADER + message_length(data);
            if (used <= len) {
                if (!on_message(user, data + ETCD__FRAME_HEADER, used - ETCD__FRAME_HEADER))
                    return ETCD__FRAME_STOPPED;
                data += used;
                len -= used;
                continue;
            }
        }
        result = feed_partial(deframer, data, len, &used, on_message, user);
        if (result != ETCD__FRAME_OK)
            return result;
        data += used;
        len -= used;
    }
    return ETCD__FRAME_OK;
}
