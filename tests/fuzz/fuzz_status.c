/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as a grpc-message: what comes out is valid UTF-8, NUL-terminated, free of NULs, never longer than
 * what went in, and the same in a buffer of any size that holds it. The first eight bytes are a time limit.
 */
#include "grpc/status.h"

#include "base/str.h"
#include "client/errors.h"

#include <stdlib.h>
#include <string.h>

enum { NUMBER = 8, ROOM = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A server takes 1 to 8 digits and a unit. */
static void check_timeout(const uint8_t *data)
{
    char text[16];
    int64_t timeout_ms;
    size_t len;

    memcpy(&timeout_ms, data, NUMBER);
    len = etcd__grpc_timeout_format(text, timeout_ms);
    if (len < 2 || len > 9 || strlen(text) != len || strspn(text, "0123456789") != len - 1 ||
        strchr("mSH", text[len - 1]) == NULL || text[0] == '0')
        abort();
}

static void check_message(const char *text, size_t len)
{
    char whole[ROOM], *cut;
    size_t decoded, room = len / 2 + 1;

    (void)etcd__grpc_message_decode(whole, sizeof(whole), text, len);
    decoded = strlen(whole);
    if (decoded > len || !etcd__utf8_valid(whole, decoded))
        abort();
    cut = malloc(room); /* of its own, so that a sanitizer sees a write beyond it */
    if (cut == NULL)
        return;
    (void)etcd__grpc_message_decode(cut, room, text, len);
    if (strlen(cut) >= room || !etcd__utf8_valid(cut, strlen(cut)))
        abort();
    free(cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < NUMBER || size - NUMBER >= ROOM)
        return 0;
    check_timeout(data);
    check_message((const char *)data + NUMBER, size - NUMBER);
    return 0;
}
