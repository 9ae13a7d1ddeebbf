/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sim_seeds.h"

#include "support/process.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void run_seed(uint64_t seed, bool verbose, struct sim_result *ret_result)
{
    const struct sim_config config = {.seed = seed, .verbose = verbose};

    if (sim_run(&config, ret_result))
        return;
    fail_msg("seed %llu: %s\nReplay it: ETCDC_SIM_SEED=%llu test_fake_once_simulation",
             (unsigned long long)seed, ret_result->failure, (unsigned long long)seed);
}

void sim_run_seed(uint64_t seed, struct sim_result *ret_result)
{
    run_seed(seed, false, ret_result);
}

static void add(struct sim_result *sum, const struct sim_result *one)
{
    sum->calls += one->calls;
    sum->calls_failed += one->calls_failed;
    sum->writes_maybe += one->writes_maybe;
    sum->events += one->events;
    sum->watches += one->watches;
    sum->watches_compacted += one->watches_compacted;
    sum->leases += one->leases;
    sum->leases_lost += one->leases_lost;
    sum->locks += one->locks;
    sum->faults += one->faults;
    sum->virtual_ms += one->virtual_ms;
}

static void show(const struct sim_result *sum, uint64_t count)
{
    printf(
        "%llu seeds: %zu calls (%zu failed, %zu of them writes that were perhaps applied), %zu watches "
        "(%zu compacted), %zu events, %zu leases (%zu lost), %zu locks, %zu faults, %lld virtual seconds\n",
        (unsigned long long)count, sum->calls, sum->calls_failed, sum->writes_maybe, sum->watches,
        sum->watches_compacted, sum->events, sum->leases, sum->leases_lost, sum->locks, sum->faults,
        (long long)sum->virtual_ms / 1000);
}

void sim_run_seeds(uint64_t first, uint64_t count)
{
    uint64_t alone = number_of("ETCDC_SIM_SEED", 0), done = 0;
    uint64_t seconds = number_of("ETCDC_SIM_SECONDS", 0);
    int64_t end_ms = seconds == 0 ? INT64_MAX : test_now_ms() + (int64_t)seconds * 1000;
    struct sim_result sum = {.calls = 0};

    if (alone != 0) {
        run_seed(alone, true, &sum);
        return;
    }
    count = number_of("ETCDC_SIM_SEEDS", seconds == 0 ? count : UINT64_MAX);
    for (; done < count && test_now_ms() < end_ms; done++) {
        struct sim_result result;

        run_seed(first + done, false, &result);
        add(&sum, &result);
    }
    show(&sum, done);
}
