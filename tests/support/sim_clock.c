/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies outside of the engine asks etcd__clock_ms() and etcd__random_bytes(). A program that links this
 * file gets these in place of base/clock.c and base/random.c, so that recipes are part of the simulation too.
 */
#include "base/clock.h"
#include "base/random.h"
#include "support/sim_cluster.h"

#include <stdlib.h>

static struct fake_env *clock_env;

void sim_clock_set(struct fake_env *env)
{
    clock_env = env;
}

int64_t etcd__clock_ms(void)
{
    return clock_env == NULL ? 0 : fake_now(clock_env);
}

void etcd__random_bytes(void *buf, size_t len)
{
    struct etcd__env env;

    if (clock_env == NULL)
        abort();
    env = fake_env_table(clock_env);
    env.ops->random(env.self, buf, len);
}
