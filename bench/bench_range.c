/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many pairs: `bench_range ENDPOINT fill PAIRS` writes them, one after the other, each by a put of its own;
 * `bench_range ENDPOINT read PAIRS TIMES` reads all of them in one answer, so often;
 * `bench_range ENDPOINT replay PAIRS` is told of all of them by a watch that starts before them.
 * Caller drive.
 */
#include "meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUTSTANDING = 500, PATIENCE_MS = 60000 };

static const char prefix[] = "bench/fill/";
static const char value[] = "0123456789abcdef0123456789abcdef";

/* ---- fill ------------------------------------------------------------------------------------------ */

struct fill {
    etcd_client *client;
    long pairs, started, ended;
};

static void on_put(etcd_op *op, void *user_data);

static void start_put(struct fill *fill)
{
    etcd_error err = {.status = ETCD_OK};
    char key[32];

    (void)snprintf(key, sizeof(key), "%s%08ld", prefix, fill->started++);
    bench_check(etcd_put_async(fill->client, etcd_cstr(key), etcd_cstr(value),
                               ETCD_PUT_OPTS(.timeout_ms = PATIENCE_MS), on_put, fill, NULL, &err),
                "put", &err);
}

static void on_put(etcd_op *op, void *user_data)
{
    struct fill *fill = user_data;
    etcd_error err = {.status = ETCD_OK};

    bench_check(etcd_op_status(op, &err), "put", &err);
    fill->ended++;
    if (fill->started < fill->pairs)
        start_put(fill);
}

static void fill_all(etcd_client *client, etcd_loop *loop, long pairs)
{
    struct fill fill = {.client = client, .pairs = pairs};
    etcd_error err = {.status = ETCD_OK};

    for (int i = 0; i < OUTSTANDING && fill.started < pairs; i++)
        start_put(&fill);
    while (fill.ended < pairs)
        bench_check(etcd_loop_wait(loop, ETCD_TIMEOUT_NONE, &err), "loop", &err);
}

/* ---- read ------------------------------------------------------------------------------------------ */

static size_t look_at(const etcd_kv *kv)
{
    return kv->key.len + kv->value.len;
}

static void read_all(etcd_client *client, long pairs)
{
    etcd_get_result *result = NULL;
    etcd_error err = {.status = ETCD_OK};
    size_t bytes = 0;
    long count;

    bench_check(etcd_get(client, etcd_cstr(prefix), ETCD_GET_OPTS(.prefix = true, .timeout_ms = PATIENCE_MS),
                         &result, &err),
                "get", &err);
    count = (long)etcd_get_result_count(result);
    for (long i = 0; i < count; i++)
        bytes += look_at(etcd_get_result_kv(result, (size_t)i));
    etcd_get_result_free(result);
    if (count == pairs && bytes > 0)
        return;
    fprintf(stderr, "bench_range: %ld pairs, not %ld\n", count, pairs);
    exit(1);
}

static void read_often(etcd_client *client, long pairs, long times)
{
    struct meter start = meter_start();

    for (long i = 0; i < times; i++)
        read_all(client, pairs);
    meter_print(start, pairs * times);
}

/* ---- replay ---------------------------------------------------------------------------------------- */

static void replay(etcd_client *client, long pairs)
{
    struct meter start = meter_start();
    etcd_watch *watch = NULL;
    etcd_error err = {.status = ETCD_OK};
    size_t seen = 0, bytes = 0;

    bench_check(etcd_watch_open(client, etcd_cstr(prefix),
                                ETCD_WATCH_OPTS(.prefix = true, .start_revision = 1), &watch, &err),
                "watch", &err);
    while (seen < (size_t)pairs) {
        etcd_events *events = NULL;

        bench_check(etcd_watch_next(watch, PATIENCE_MS, &events, &err), "events", &err);
        for (size_t i = 0; i < etcd_events_count(events); i++)
            bytes += look_at(&etcd_events_at(events, i)->kv);
        seen += etcd_events_count(events);
        etcd_events_free(events);
    }
    meter_print(start, (long)seen);
    etcd_watch_close(watch);
    if (bytes == 0)
        exit(1);
}

int main(int argc, char **argv)
{
    etcd_client *client;
    etcd_loop *loop;
    long pairs;

    if (argc < 4) {
        fprintf(stderr, "usage: bench_range ENDPOINT fill|read|replay PAIRS [TIMES]\n");
        return 2;
    }
    client = bench_connect(argv[1], true, &loop);
    pairs = strtol(argv[3], NULL, 10);
    if (strcmp(argv[2], "fill") == 0)
        fill_all(client, loop, pairs);
    else if (strcmp(argv[2], "read") == 0)
        read_often(client, pairs, argc > 4 ? strtol(argv[4], NULL, 10) : 1);
    else
        replay(client, pairs);
    etcd_client_free(client);
    etcd_loop_free(loop);
    return 0;
}
