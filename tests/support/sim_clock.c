/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies outside of the engine asks etcd__clock_ms(). A program that links this file gets this one in
 * place of base/clock.c, so that recipes live in virtual time too.
 */
#include "base/clock.h"
#include "support/sim_cluster.h"

static const struct fake_env *clock_env;

void sim_clock_set(const struct fake_env *env)
{
    clock_env = env;
}

int64_t etcd__clock_ms(void)
{
    return clock_env == NULL ? 0 : fake_now(clock_env);
}
