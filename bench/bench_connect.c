/* SPDX-License-Identifier: Apache-2.0 */
/* `bench_connect ENDPOINT thread|caller COUNT` connects, reads a key and closes, so often. */
#include "meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void connect_once(const char *endpoint, bool caller)
{
    etcd_loop *loop;
    etcd_client *client = bench_open(endpoint, caller, &loop);
    etcd_get_result *result = NULL;
    etcd_error err = {.status = ETCD_OK};

    bench_check(etcd_get(client, etcd_cstr("bench/key"), NULL, &result, &err), "get", &err);
    etcd_get_result_free(result);
    etcd_client_free(client);
    etcd_loop_free(loop);
}

int main(int argc, char **argv)
{
    struct meter start;
    long count;

    if (argc != 4) {
        fprintf(stderr, "usage: bench_connect ENDPOINT thread|caller COUNT\n");
        return 2;
    }
    count = strtol(argv[3], NULL, 10);
    start = meter_start();
    for (long i = 0; i < count; i++)
        connect_once(argv[1], strcmp(argv[2], "caller") == 0);
    meter_print(start, count);
    return 0;
}
