/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three members, killed, stopped and cut off in turn during mixed load: no call beyond its limit, no event
 * lost or repeated, no lease believed longer than the server held it, no dishonest write. ETCDC_CHAOS_SEED
 * replays a sequence of faults.
 */
#include "support/chaos.h"
#include "support/process.h"
#include "support/test.h"

#ifdef ETCDC_SOAK
enum { RUN_MS = 600000, FAULT_MS = 8000, TTL_S = 8 };
#else
enum { RUN_MS = 20000, FAULT_MS = 1500, TTL_S = 5 };
#endif

static void test_faults(void **state)
{
    (void)state;
    chaos_run(&(struct chaos_options){
        .run_ms = test_soak_ms(RUN_MS), .fault_ms = FAULT_MS, .ttl_s = TTL_S, .seed = chaos_seed()});
}

#ifdef ETCDC_SOAK
static void test_faults_of_old_servers(void **state)
{
    (void)state;
    chaos_run(&(struct chaos_options){.version = "3.4",
                                      .run_ms = test_soak_ms(RUN_MS) / 3,
                                      .fault_ms = FAULT_MS,
                                      .ttl_s = TTL_S,
                                      .seed = chaos_seed()});
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults),
#ifdef ETCDC_SOAK
        cmocka_unit_test(test_faults_of_old_servers),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
