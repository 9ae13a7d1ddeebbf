/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many simulated runs. The environment has the last word:
 *
 *   ETCDC_SIM_SEED=7      this seed alone, with its steps
 *   ETCDC_SIM_SEEDS=n     so many
 *   ETCDC_SIM_SECONDS=s   no more after so many seconds of real time
 */
#ifndef TESTS_SUPPORT_SIM_SEEDS_H
#define TESTS_SUPPORT_SIM_SEEDS_H

#include "support/sim_world.h"

/* One; fails the test, saying how to replay it. */
void sim_run_seed(uint64_t seed, struct sim_result *ret_result);
/* From `first` on; fails the test at the first that fails. Prints what they were made of. */
void sim_run_seeds(uint64_t first, uint64_t count);

#endif
