/* SPDX-License-Identifier: Apache-2.0 */
/* Load at revision r, watch from r + 1, while somebody writes: no gap between the two, and nothing twice. */
#include "support/client.h"
#include "support/matrix.h"
#include "support/test.h"
#include "support/watching.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { WRITES = 600, READERS = 12 };

/* Counts one key up, on a thread and a client of its own. */
struct writer {
    pthread_t thread;
    etcd_client *client;
    atomic_int written;
};

static void *write_numbers(void *arg)
{
    struct writer *writer = arg;

    for (int i = 1; i <= WRITES; i++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "%d", i);
        if (etcd_put(writer->client, etcd_cstr("number"), etcd_cstr(text), ETCD_PUT_OPTS(.timeout_ms = 60000),
                     NULL, NULL) != ETCD_OK)
            return NULL;
        atomic_store(&writer->written, i);
    }
    return writer;
}

/* The number as it is now, and the revision of that. */
static int load(etcd_client *client, int64_t *ret_revision)
{
    etcd_get_result *result = NULL;
    etcd_error err;
    int number;

    watch_ok(etcd_get(client, etcd_cstr("number"), NULL, &result, &err), &err);
    number = etcd_get_result_count(result) == 0 ? 0 : atoi(etcd_get_result_kv(result, 0)->value.data);
    *ret_revision = etcd_get_result_header(result)->revision;
    etcd_get_result_free(result);
    return number;
}

/* From the number that was loaded to the last, each once. */
static void expect_the_rest(etcd_watch *watch, int loaded)
{
    while (loaded < WRITES) {
        etcd_events *events = watch_next(watch);

        for (size_t i = 0; i < etcd_events_count(events); i++)
            assert_int_equal(atoi(etcd_events_at(events, i)->kv.value.data), ++loaded);
        etcd_events_free(events);
    }
    assert_int_equal(loaded, WRITES);
}

static void test_no_gap_and_nothing_twice(void **state)
{
    struct writer writer = {.client = test_client_open(etcd_server_endpoints(watching_server(state)), NULL)};
    etcd_client *client = watching_client(state);
    etcd_watch *watches[READERS];
    int loaded[READERS];
    void *done = NULL;

    assert_int_equal(pthread_create(&writer.thread, NULL, write_numbers, &writer), 0);
    for (int i = 0; i < READERS; i++) {
        int64_t revision;

        /* Spread over the whole time of writing; the first one finds nothing, the last one all but a few. */
        while (atomic_load(&writer.written) < i * WRITES / READERS)
            test_pump(client, 1);
        loaded[i] = load(client, &revision);
        watches[i] = watch_open(client, "number", ETCD_WATCH_OPTS(.start_revision = revision + 1));
    }
    for (int i = 0; i < READERS; i++) {
        expect_the_rest(watches[i], loaded[i]);
        etcd_watch_close(watches[i]);
    }
    assert_int_equal(pthread_join(writer.thread, &done), 0);
    assert_ptr_equal(done, &writer);
    etcd_client_free(writer.client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_gap_and_nothing_twice),
    };

    return cmocka_run_group_tests(tests, watching_set_up, watching_tear_down);
}
