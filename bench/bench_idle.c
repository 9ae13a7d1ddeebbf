/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `bench_idle ENDPOINT SECONDS` reads a key, waits until what that left behind is over, and counts how often
 * the client's thread wakes up in so many seconds. Thread drive.
 */
#include "meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SETTLE_S = 6 }; /* a call's deadline and a little more: the timer is not set back when a call ends */

/* Each sleep ends with the thread leaving the processor once. This thread's own are counted too. */
static long switches(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw;
}

static void sleep_through(unsigned seconds)
{
    while (seconds > 0)
        seconds = sleep(seconds);
}

int main(int argc, char **argv)
{
    etcd_client *client;
    etcd_loop *loop;
    etcd_get_result *result = NULL;
    etcd_error err = {.status = ETCD_OK};
    long before;

    if (argc != 3) {
        fprintf(stderr, "usage: bench_idle ENDPOINT SECONDS\n");
        return 2;
    }
    client = bench_connect(argv[1], false, &loop);
    bench_check(etcd_get(client, etcd_cstr("bench/key"), NULL, &result, &err), "get", &err);
    etcd_get_result_free(result);
    sleep_through(SETTLE_S);
    before = switches();
    sleep_through((unsigned)strtol(argv[2], NULL, 10));
    printf("%ld 0 0\n", switches() - before - 1);
    etcd_client_free(client);
    return 0;
}
