/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every program here measures of itself, and the line it prints: CPU per item in microseconds (user and
 * system, all threads), items per second, resident bytes per item.
 */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include <etcdc.h>

struct meter {
    double cpu_s, wall_s, resident;
};

struct meter meter_start(void);
void meter_print(struct meter start, long items);

/* Opened, or the program ends. A loop is made for caller drive alone: else *ret_loop is NULL. */
etcd_client *bench_open(const char *endpoint, bool caller, etcd_loop **ret_loop);
/* Connected, too. */
etcd_client *bench_connect(const char *endpoint, bool caller, etcd_loop **ret_loop);
/* Says what failed and ends the program. */
_Noreturn void bench_fail(const char *what, const etcd_error *err);
void bench_check(etcd_status status, const char *what, const etcd_error *err);

#endif
