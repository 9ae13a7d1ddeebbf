/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client at work, for bench_compare to measure from outside: `bench_calls ENDPOINT put|get DRIVE
 * OUTSTANDING CALLS`.
 * DRIVE is thread or caller. With one outstanding call it makes blocking calls, else it keeps as many under
 * way by their callbacks.
 */
#include <etcdc.h>

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
    long started, ended; /* touched by callbacks alone once the first calls are under way */
    etcd_error err;
};

static int complain(const struct load *load, const char *what)
{
    fprintf(stderr, "bench_calls: %s: %s\n", what, load->err.message);
    return 1;
}

/* ---- one at a time --------------------------------------------------------------------------------- */

static etcd_status call_once(struct load *load)
{
    etcd_put_result *put = NULL;
    etcd_get_result *get = NULL;
    etcd_status st;

    if (load->put)
        st = etcd_put(load->client, etcd_cstr(key), etcd_cstr(value), NULL, &put, &load->err);
    else
        st = etcd_get(load->client, etcd_cstr(key), NULL, &get, &load->err);
    etcd_put_result_free(put);
    etcd_get_result_free(get);
    return st;
}

static int one_at_a_time(struct load *load)
{
    for (long i = 0; i < load->calls; i++) {
        if (call_once(load) != ETCD_OK)
            return complain(load, "call");
    }
    return 0;
}

/* ---- many at once ---------------------------------------------------------------------------------- */

static void on_done(etcd_op *op, void *user_data);

static etcd_status start_call(struct load *load)
{
    load->started++;
    if (load->put)
        return etcd_put_async(load->client, etcd_cstr(key), etcd_cstr(value), NULL, on_done, load, NULL,
                              &load->err);
    return etcd_get_async(load->client, etcd_cstr(key), NULL, on_done, load, NULL, &load->err);
}

static void take(struct load *load, etcd_op *op)
{
    etcd_put_result *put = NULL;
    etcd_get_result *get = NULL;
    etcd_status st = load->put ? etcd_put_take(op, &put, &load->err) : etcd_get_take(op, &get, &load->err);

    if (st != ETCD_OK)
        exit(complain(load, "call"));
    etcd_put_result_free(put);
    etcd_get_result_free(get);
}

static void on_done(etcd_op *op, void *user_data)
{
    struct load *load = user_data;

    take(load, op);
    load->ended++;
    if (load->started < load->calls && start_call(load) != ETCD_OK)
        exit(complain(load, "start"));
}

/* Callbacks run inside etcd_loop_wait(), under both drives: the counters need no lock. */
static int many_at_once(struct load *load)
{
    for (long i = 0; i < load->outstanding && load->started < load->calls; i++) {
        if (start_call(load) != ETCD_OK)
            return complain(load, "start");
    }
    while (load->ended < load->calls) {
        if (etcd_loop_wait(load->loop, ETCD_TIMEOUT_NONE, &load->err) != ETCD_OK)
            return complain(load, "loop");
    }
    return 0;
}

/* ---- both ------------------------------------------------------------------------------------------ */

static int run(struct load *load, const char *endpoint, bool caller)
{
    int status;

    /*
     * One outstanding call under thread drive: the ordinary client, whose loop is its own. Otherwise the
     * caller's loop.
     */
    if ((caller || load->outstanding > 1) &&
        etcd_loop_new(ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER), &load->loop, &load->err) != ETCD_OK)
        return complain(load, "loop");
    if (etcd_client_open(ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST(endpoint), .loop = load->loop),
                         &load->client, &load->err) != ETCD_OK)
        return complain(load, "open");
    if (etcd_client_wait_ready(load->client, 0, &load->err) != ETCD_OK)
        return complain(load, "connect");
    status = load->outstanding > 1 ? many_at_once(load) : one_at_a_time(load);
    etcd_client_free(load->client);
    etcd_loop_free(load->loop);
    return status;
}

int main(int argc, char **argv)
{
    struct load load = {.err = {.status = ETCD_OK}};

    if (argc != 6) {
        fprintf(stderr, "usage: bench_calls ENDPOINT put|get thread|caller OUTSTANDING CALLS\n");
        return 2;
    }
    load.put = strcmp(argv[2], "put") == 0;
    load.outstanding = strtol(argv[4], NULL, 10);
    load.calls = strtol(argv[5], NULL, 10);
    return run(&load, argv[1], strcmp(argv[3], "caller") == 0);
}
