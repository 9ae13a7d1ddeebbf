/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts or gets of one key: `bench_calls ENDPOINT put|get FORM OUTSTANDING CALLS`.
 *   caller   blocking calls one after the other; from two outstanding on, asynchronous ones; caller drive
 *   thread   blocking calls one after the other; thread drive
 *   threads  blocking calls from as many threads as calls are outstanding; thread drive
 */
#include "meter.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char key[] = "bench/key";
static const char value[] = "0123456789abcdef0123456789abcdef";

struct load {
    etcd_client *client;
    etcd_loop *loop; /* caller drive; else NULL */
    bool put;
    long outstanding, calls;
    long started,
        ended; /* of the asynchronous calls; touched by callbacks alone once the first are under way */
};

/* ---- blocking -------------------------------------------------------------------------------------- */

static void call_once(const struct load *load)
{
    etcd_put_result *put = NULL;
    etcd_get_result *get = NULL;
    etcd_error err = {.status = ETCD_OK};
    etcd_status st;

    if (load->put)
        st = etcd_put(load->client, etcd_cstr(key), etcd_cstr(value), NULL, &put, &err);
    else
        st = etcd_get(load->client, etcd_cstr(key), NULL, &get, &err);
    bench_check(st, "call", &err);
    etcd_put_result_free(put);
    etcd_get_result_free(get);
}

static void one_at_a_time(const struct load *load)
{
    for (long i = 0; i < load->calls; i++)
        call_once(load);
}

/* A thread's share. */
static void *thread_main(void *arg)
{
    const struct load *load = arg;

    for (long i = 0; i < load->calls / load->outstanding; i++)
        call_once(load);
    return NULL;
}

static void from_threads(struct load *load)
{
    pthread_t *threads = calloc((size_t)load->outstanding, sizeof(*threads));
    long count = 0;

    if (threads == NULL)
        exit(1);
    while (count < load->outstanding && pthread_create(&threads[count], NULL, thread_main, load) == 0)
        count++;
    for (long i = 0; i < count; i++)
        (void)pthread_join(threads[i], NULL);
    free(threads);
    if (count == load->outstanding)
        return;
    fprintf(stderr, "bench_calls: no more than %ld threads\n", count);
    exit(1);
}

/* ---- asynchronous ---------------------------------------------------------------------------------- */

static void on_done(etcd_op *op, void *user_data);

static void start_call(struct load *load)
{
    etcd_error err = {.status = ETCD_OK};
    etcd_status st;

    load->started++;
    if (load->put)
        st = etcd_put_async(load->client, etcd_cstr(key), etcd_cstr(value), NULL, on_done, load, NULL, &err);
    else
        st = etcd_get_async(load->client, etcd_cstr(key), NULL, on_done, load, NULL, &err);
    bench_check(st, "start", &err);
}

static void on_done(etcd_op *op, void *user_data)
{
    struct load *load = user_data;
    etcd_put_result *put = NULL;
    etcd_get_result *get = NULL;
    etcd_error err = {.status = ETCD_OK};

    bench_check(load->put ? etcd_put_take(op, &put, &err) : etcd_get_take(op, &get, &err), "call", &err);
    etcd_put_result_free(put);
    etcd_get_result_free(get);
    load->ended++;
    if (load->started < load->calls)
        start_call(load);
}

static void many_at_once(struct load *load)
{
    etcd_error err = {.status = ETCD_OK};

    for (long i = 0; i < load->outstanding && load->started < load->calls; i++)
        start_call(load);
    while (load->ended < load->calls)
        bench_check(etcd_loop_wait(load->loop, ETCD_TIMEOUT_NONE, &err), "loop", &err);
}

/* ---- all ------------------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    struct load load = {.put = false};
    struct meter start;

    if (argc != 6) {
        fprintf(stderr, "usage: bench_calls ENDPOINT put|get caller|thread|threads OUTSTANDING CALLS\n");
        return 2;
    }
    load.put = strcmp(argv[2], "put") == 0;
    load.outstanding = strtol(argv[4], NULL, 10);
    load.calls = strtol(argv[5], NULL, 10);
    load.client = bench_connect(argv[1], strcmp(argv[3], "caller") == 0, &load.loop);
    start = meter_start();
    if (strcmp(argv[3], "threads") == 0)
        from_threads(&load);
    else if (load.loop != NULL && load.outstanding > 1)
        many_at_once(&load);
    else
        one_at_a_time(&load);
    meter_print(start, load.calls);
    etcd_client_free(load.client);
    etcd_loop_free(load.loop);
    return 0;
}
