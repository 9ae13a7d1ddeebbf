/* SPDX-License-Identifier: Apache-2.0 */
/* As test_simulation.c, with seeds of its own and many more of them where there is time. */
#include "support/sim_seeds.h"
#include "support/test.h"

#ifdef ETCDC_SOAK
enum { SEEDS = 10000 };
#else
enum { SEEDS = 20 };
#endif

enum { FIRST = 1000001 };

static void test_other_seeds(void **state)
{
    (void)state;
    sim_run_seeds(FIRST, SEEDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_seeds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
