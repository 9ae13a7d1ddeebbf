/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any answers to renewals, for three leases of one client on a scripted network. The input is a list of
 * steps: a byte that says how the next renewal is answered and one for the lease or the TTL; or a length and
 * so many bytes of a raw message. A loss is told once, no lease is believed longer than the longest TTL that
 * was said, nothing leaks, nothing hangs.
 */
#include "support/alloc_fail.h"
#include "support/lease_world.h"
#include "support/test.h"

#include <stdlib.h>

enum { LEASES = 3, STEPS_MAX = 64, TTL_S = 4, TTL_MAX_S = 255, STEP_MS = 700 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *pos, *end;
static bool raw; /* a message of the input went out, which may have said anything */

static uint8_t take(void)
{
    return pos < end ? *pos++ : 0;
}

static void answer_raw(struct h2_server_stream *stream)
{
    size_t len = take();

    if (len > (size_t)(end - pos))
        len = (size_t)(end - pos);
    h2_reply_message(stream, pos, len);
    raw = true;
    pos += len;
}

/* False: the answer was made here, or none is. */
static bool answer(struct h2_server_stream *stream, int64_t id)
{
    uint8_t what, number;

    if (pos == end)
        return true;
    what = take();
    number = take();
    switch (what % 9) {
    case 0:
        lease_world_answer(stream, id, number);
        return false;
    case 1:
        lease_world_answer(stream, number, TTL_S);
        return false;
    case 2:
        lease_world_answer(stream, id, -(int64_t)number);
        return false;
    case 3:
        h2_reply_status(stream, number % 17, "etcdserver: requested lease not found");
        return false;
    case 4:
        h2_reply_reset(stream, number);
        return false;
    case 5:
        h2_server_goaway(stream->server, -1, number % 12, "x");
        return true;
    case 6:
        answer_raw(stream);
        return false;
    case 7:
        lease_world_answer(stream, id, TTL_S);
        return true; /* twice */
    default:
        return false; /* silence */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    etcd_keepalive *keepalives[LEASES];
    struct ends ends[LEASES] = {{0}};

    pos = data;
    end = data + size;
    raw = false;
    (void)lease_world_one_host(NULL);
    script.ttl_s = TTL_S;
    script.on_renewal = answer;
    for (int i = 0; i < LEASES; i++)
        keepalives[i] = lease_world_keep(i + 1, TTL_S, &ends[i]);
    for (int step = 0; step < STEPS_MAX && (pos < end || step < 4); step++) {
        lease_world_run(STEP_MS);
        for (int i = 0; i < LEASES; i++) {
            int64_t left_ms = etcd_keepalive_remaining_ms(keepalives[i]);

            if (ends[i].count > 1 || (!raw && left_ms > TTL_MAX_S * 1000) ||
                (ends[i].count > 0 && left_ms > 0))
                abort();
        }
        if (script.world.hosts[0].count > WORLD_CONNECTIONS / 2)
            break;
    }
    for (int i = 0; i < LEASES; i++)
        etcd_keepalive_close(keepalives[i]);
    (void)lease_world_end(NULL);
    return 0;
}
