/* SPDX-License-Identifier: Apache-2.0 */
/* One client, many threads, one connection. */
#include "support/fake_client.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 16, CALLS = 1000, IN_FLIGHT = 100 };

struct worker {
    pthread_t thread;
    etcd_client *client;
    unsigned number;
    unsigned wrong;
};

/* Its own key: what it reads is what it wrote. */
static void write_and_read(struct worker *worker, unsigned call)
{
    char key[32], value[32];
    etcd_get_result *result = NULL;
    etcd_error err;

    (void)snprintf(key, sizeof(key), "key-%u", worker->number);
    (void)snprintf(value, sizeof(value), "%u.%u", worker->number, call);
    if (etcd_put(worker->client, etcd_cstr(key), etcd_cstr(value), ETCD_PUT_OPTS(.timeout_ms = 60000), NULL,
                 &err) != ETCD_OK ||
        etcd_get(worker->client, etcd_cstr(key), ETCD_GET_OPTS(.timeout_ms = 60000), &result, &err) !=
            ETCD_OK) {
        worker->wrong++;
        return;
    }
    if (etcd_get_result_count(result) != 1 || strcmp(etcd_get_result_kv(result, 0)->value.data, value) != 0)
        worker->wrong++;
    etcd_get_result_free(result);
}

static void *work(void *arg)
{
    struct worker *worker = arg;

    for (unsigned i = 0; i < CALLS / 2; i++)
        write_and_read(worker, i);
    return NULL;
}

static void test_blocking_calls(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    struct worker workers[THREADS];
    etcd_client *client;

    (void)state;
    client = test_client_open(fake_etcd_endpoint(fake), NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.client = client, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].wrong, 0);
    }
    assert_int_equal(fake_etcd_done(fake, "Put"), THREADS * CALLS / 2);
    assert_int_equal(fake_etcd_connections(fake), 1);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_calls_in_parallel(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    etcd_op *ops[IN_FLIGHT];
    etcd_error err;

    (void)state;
    fake_etcd_always(fake, "Range", &(struct fake_step){.delay_ms = 20});
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < IN_FLIGHT; i++)
            assert_status(etcd_get_async(client, etcd_cstr("k"), NULL, NULL, NULL, &ops[i], &err), ETCD_OK,
                          &err);
        for (size_t i = IN_FLIGHT; i-- > 0;) {
            assert_status(etcd_op_wait(ops[i], 20000, &err), ETCD_OK, &err);
            assert_status(etcd_get_take(ops[i], NULL, &err), ETCD_OK, &err);
            etcd_op_free(ops[i]);
        }
    }
    assert_int_equal(fake_etcd_connections(fake), 1);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocking_calls),
        cmocka_unit_test(test_calls_in_parallel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
