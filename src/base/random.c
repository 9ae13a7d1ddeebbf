/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <errno.h>
#include <stdint.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/*
 * Where a sandbox forbids getrandom(): nothing here needs to be secret, but two processes must not choose the
 * same, so clock, process and place in memory are mixed (Steele's and Vigna's SplitMix64).
 */
static void mix(uint8_t *at, size_t len)
{
    struct timespec now = {0};
    uint64_t state = (uint64_t)getpid() << 32 ^ (uint64_t)(uintptr_t)at;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    state ^= (uint64_t)now.tv_sec * 1000000007u ^ (uint64_t)now.tv_nsec << 20;
    for (size_t i = 0; i < len; i++) {
        uint64_t z = state += 0x9e3779b97f4a7c15u;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        at[i] = (uint8_t)(z >> 56);
    }
}

void etcd__random_bytes(void *buf, size_t len)
{
    uint8_t *at = buf;

    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            mix(at, len);
            return;
        }
        at += got;
        len -= (size_t)got;
    }
}
