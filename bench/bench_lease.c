/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `bench_lease ENDPOINT COUNT` grants so many leases, a hundred at a time, keeps each alive and waits until
 * each was renewed once. Caller drive.
 */
#include "meter.h"

#include <stdio.h>
#include <stdlib.h>

/* A lease is said to last for less than it does: only an answer to its renewal can tell the client better. */
enum { OUTSTANDING = 100, GRANTED_S = 120, SAID_S = 60 };

struct leases {
    etcd_client *client;
    etcd_keepalive **keepalives;
    long count, started, ended;
};

static void on_grant(etcd_op *op, void *user_data);

static void start_grant(struct leases *leases)
{
    etcd_error err = {.status = ETCD_OK};

    leases->started++;
    bench_check(etcd_lease_grant_async(leases->client, GRANTED_S, NULL, on_grant, leases, NULL, &err),
                "grant", &err);
}

static void on_grant(etcd_op *op, void *user_data)
{
    struct leases *leases = user_data;
    etcd_lease lease = {.id = 0};
    etcd_error err = {.status = ETCD_OK};

    bench_check(etcd_lease_grant_take(op, &lease, &err), "grant", &err);
    lease.ttl_s = SAID_S;
    bench_check(etcd_keepalive_start(leases->client, lease, NULL, &leases->keepalives[leases->ended++], &err),
                "keep-alive", &err);
    if (leases->started < leases->count)
        start_grant(leases);
}

static bool all_renewed(const struct leases *leases, long *from)
{
    if (leases->ended < leases->count)
        return false;
    while (*from < leases->count &&
           etcd_keepalive_remaining_ms(leases->keepalives[*from]) > (int64_t)SAID_S * 1000)
        (*from)++;
    return *from == leases->count;
}

static void keep_alive(struct leases *leases, etcd_loop *loop)
{
    etcd_error err = {.status = ETCD_OK};
    long renewed = 0;

    for (int i = 0; i < OUTSTANDING && leases->started < leases->count; i++)
        start_grant(leases);
    while (!all_renewed(leases, &renewed))
        bench_check(etcd_loop_wait(loop, ETCD_TIMEOUT_NONE, &err), "loop", &err);
}

int main(int argc, char **argv)
{
    struct leases leases = {.count = 0};
    struct meter start;
    etcd_loop *loop;

    if (argc != 3) {
        fprintf(stderr, "usage: bench_lease ENDPOINT COUNT\n");
        return 2;
    }
    leases.count = strtol(argv[2], NULL, 10);
    leases.keepalives = leases.count < 1 ? NULL : calloc((size_t)leases.count, sizeof(*leases.keepalives));
    if (leases.keepalives == NULL)
        return 1;
    leases.client = bench_connect(argv[1], true, &loop);
    start = meter_start();
    keep_alive(&leases, loop);
    meter_print(start, leases.count);
    for (long i = 0; i < leases.count; i++)
        etcd_keepalive_close(leases.keepalives[i]);
    free(leases.keepalives);
    etcd_client_free(leases.client);
    etcd_loop_free(loop);
    return 0;
}
