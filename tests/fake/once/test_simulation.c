/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole client against a model of a cluster, in virtual time, for many seeds: docs/simulation.md. Under
 * sanitizers there are fewer of them.
 */
#include "support/sim_seeds.h"
#include "support/test.h"

#ifndef ETCDC_TIME_SCALE
#define ETCDC_TIME_SCALE 1
#endif

enum { SEEDS = ETCDC_TIME_SCALE == 1 ? 500 : 60, SEEDS_TWICE = 5 };

static void test_many_seeds(void **state)
{
    (void)state;
    sim_run_seeds(1, SEEDS);
}

/* The same seed is the same run, to the millisecond. */
static void test_a_seed_is_a_run(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS_TWICE; seed++) {
        struct sim_result first, second, other;

        sim_run_seed(seed, &first);
        sim_run_seed(seed, &second);
        sim_run_seed(seed + SEEDS_TWICE, &other);
        assert_true(first.hash == second.hash);
        assert_true(first.hash != other.hash);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_seeds),
        cmocka_unit_test(test_a_seed_is_a_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
