/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `bench_watch ENDPOINT COUNT` opens so many watches, each on a key of its own, and waits until the last of
 * them is told of a put that was made after all were opened. Caller drive. The last one is told only when
 * the server has created the others, which were asked for before it.
 */
#include "meter.h"

#include <stdio.h>
#include <stdlib.h>

static void name_key(char *key, size_t size, long i)
{
    (void)snprintf(key, size, "bench/watch/%ld", i);
}

static void open_watches(etcd_client *client, etcd_watch **watches, long count)
{
    etcd_error err = {.status = ETCD_OK};
    char key[32];

    for (long i = 0; i < count; i++) {
        name_key(key, sizeof(key), i);
        bench_check(etcd_watch_open(client, etcd_cstr(key), NULL, &watches[i], &err), "watch", &err);
    }
}

/* Puts until a watch has seen it: one without a start revision begins when the server says so. */
static void await_event(etcd_client *client, etcd_watch *watch, long i)
{
    etcd_events *events = NULL;
    etcd_error err = {.status = ETCD_OK};
    etcd_status status = ETCD_E_DEADLINE;
    char key[32];

    name_key(key, sizeof(key), i);
    for (int tries = 0; status == ETCD_E_DEADLINE && tries < 100; tries++) {
        bench_check(etcd_put(client, etcd_cstr(key), etcd_cstr("x"), NULL, NULL, &err), "put", &err);
        status = etcd_watch_next(watch, 100, &events, &err);
    }
    bench_check(status, "event", &err);
    etcd_events_free(events);
}

int main(int argc, char **argv)
{
    etcd_client *client;
    etcd_loop *loop;
    etcd_watch **watches;
    struct meter start;
    long count;

    if (argc != 3) {
        fprintf(stderr, "usage: bench_watch ENDPOINT COUNT\n");
        return 2;
    }
    count = strtol(argv[2], NULL, 10);
    watches = count < 1 ? NULL : calloc((size_t)count, sizeof(*watches));
    if (watches == NULL)
        return 1;
    client = bench_connect(argv[1], true, &loop);
    start = meter_start();
    open_watches(client, watches, count);
    await_event(client, watches[count - 1], count - 1);
    meter_print(start, count);
    for (long i = 0; i < count; i++)
        etcd_watch_close(watches[i]);
    free(watches);
    etcd_client_free(client);
    etcd_loop_free(loop);
    return 0;
}
