/* SPDX-License-Identifier: Apache-2.0 */
#include "meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double cpu_seconds(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

static double wall_seconds(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    char line[256] = "", *resident = line;

    if (file == NULL)
        return 0;
    if (fgets(line, sizeof(line), file) != NULL)
        (void)strtoul(line, &resident, 10); /* the whole size comes first */
    (void)fclose(file);
    return (double)strtoul(resident, NULL, 10) * (double)sysconf(_SC_PAGESIZE);
}

struct meter meter_start(void)
{
    return (struct meter){.cpu_s = cpu_seconds(), .wall_s = wall_seconds(), .resident = resident_bytes()};
}

void meter_print(struct meter start, long items)
{
    double cpu_s = cpu_seconds() - start.cpu_s, wall_s = wall_seconds() - start.wall_s;
    double n = (double)items;

    printf("%.3f %.1f %.1f\n", cpu_s / n * 1e6, n / wall_s, (resident_bytes() - start.resident) / n);
}

void bench_fail(const char *what, const etcd_error *err)
{
    fprintf(stderr, "bench: %s: %s\n", what, err->message);
    exit(1);
}

void bench_check(etcd_status status, const char *what, const etcd_error *err)
{
    if (status != ETCD_OK)
        bench_fail(what, err);
}

etcd_client *bench_open(const char *endpoint, bool caller, etcd_loop **ret_loop)
{
    etcd_client *client = NULL;
    etcd_error err = {.status = ETCD_OK};

    *ret_loop = NULL;
    if (caller)
        bench_check(etcd_loop_new(ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER), ret_loop, &err), "loop", &err);
    bench_check(etcd_client_open(ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST(endpoint), .loop = *ret_loop),
                                 &client, &err),
                "open", &err);
    return client;
}

etcd_client *bench_connect(const char *endpoint, bool caller, etcd_loop **ret_loop)
{
    etcd_client *client = bench_open(endpoint, caller, ret_loop);
    etcd_error err = {.status = ETCD_OK};

    bench_check(etcd_client_wait_ready(client, 0, &err), "connect", &err);
    return client;
}
