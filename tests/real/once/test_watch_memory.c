/* SPDX-License-Identifier: Apache-2.0 */
/* What a watch may cost while nobody reads it. */
#include "support/client.h"
#include "support/test.h"
#include "support/watching.h"

#include <stdio.h>
#include <unistd.h>

enum { STALLED_WRITES = 100000, CHUNK = 500, VALUE = 1000, GROWTH_MAX = 48 << 20 };

static int64_t resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long long size = 0, pages = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lld %lld", &size, &pages), 2);
    (void)fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static void write_chunk(etcd_client *client, const char *value)
{
    etcd_op *ops[CHUNK];
    etcd_error err;

    for (int i = 0; i < CHUNK; i++)
        watch_ok(etcd_put_async(client, etcd_cstr("stalled"), etcd_bytes_of(value, VALUE), NULL, NULL, NULL,
                                &ops[i], &err),
                 &err);
    for (int i = 0; i < CHUNK; i++) {
        watch_ok(etcd_op_wait(ops[i], 60000, &err), &err);
        etcd_op_free(ops[i]);
    }
}

/*
 * 100 MB are written while the reader sleeps; neither the shared stream nor its own lets them pile up here.
 */
static void test_a_stopped_reader_costs_little(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t first = watch_revision(client) + 1, before, last;
    etcd_watch *watch = watch_open(client, "stalled",
                                   ETCD_WATCH_OPTS(.start_revision = first, .max_events = 2000));
    static char value[VALUE];

    memset(value, 'v', sizeof(value));
    write_chunk(client, value);
    before = resident();
    for (int i = CHUNK; i < STALLED_WRITES; i += CHUNK) {
        write_chunk(client, value);
        if (i == STALLED_WRITES / 2)
            first = watch_expect_until(watch, first,
                                       first + 1500); /* wakes it up: onto a stream of its own */
    }
    last = watch_revision(client);
    if (ETCDC_TIME_SCALE == 1) /* sanitizers keep what was freed */
        assert_true(resident() - before < GROWTH_MAX);
    watch_expect_each(watch, first, last);
    etcd_watch_close(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stopped_reader_costs_little),
    };

    return cmocka_run_group_tests(tests, watching_set_up, watching_tear_down);
}
