/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks, one after the other: `bench_lock ENDPOINT thread|caller COUNT`. Each is another name, acquired and
 * released; a lock's session (its lease and the renewal of that) is part of it.
 */
#include "meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void lock_once(etcd_client *client, long i)
{
    etcd_lock *lock = NULL;
    etcd_error err = {.status = ETCD_OK};
    char name[32];

    (void)snprintf(name, sizeof(name), "bench/lock/%ld", i);
    bench_check(
        etcd_lock_acquire(client, etcd_cstr(name), ETCD_LOCK_OPTS(.allow_caller_drive = true), &lock, &err),
        "lock", &err);
    bench_check(etcd_lock_release(lock, 0, &err), "unlock", &err);
}

int main(int argc, char **argv)
{
    etcd_client *client;
    etcd_loop *loop;
    struct meter start;
    long count;

    if (argc != 4) {
        fprintf(stderr, "usage: bench_lock ENDPOINT thread|caller COUNT\n");
        return 2;
    }
    client = bench_connect(argv[1], strcmp(argv[2], "caller") == 0, &loop);
    count = strtol(argv[3], NULL, 10);
    start = meter_start();
    for (long i = 0; i < count; i++)
        lock_once(client, i);
    meter_print(start, count);
    etcd_client_free(client);
    etcd_loop_free(loop);
    return 0;
}
