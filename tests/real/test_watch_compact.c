/* SPDX-License-Identifier: Apache-2.0 */
/* A reader that is slower than compaction hears of it: no event is left out in silence. */
#include "support/client.h"
#include "support/process.h"
#include "support/test.h"
#include "support/watching.h"

enum { WRITES = 3000, AT_ONCE = 100, QUEUE = 10 };

static int64_t write_many(etcd_client *client)
{
    etcd_op *ops[AT_ONCE];
    etcd_error err;

    for (int i = 0; i < WRITES; i += AT_ONCE) {
        for (int j = 0; j < AT_ONCE; j++)
            watch_ok(
                etcd_put_async(client, etcd_cstr("slow"), etcd_cstr("x"), NULL, NULL, NULL, &ops[j], &err),
                &err);
        for (int j = 0; j < AT_ONCE; j++) {
            watch_ok(etcd_op_wait(ops[j], 60000, &err), &err);
            etcd_op_free(ops[j]);
        }
    }
    return watch_revision(client);
}

static void test_nothing_is_left_out_in_silence(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t next = watch_revision(client) + 1, last;
    etcd_watch *watch = watch_open(client, "slow",
                                   ETCD_WATCH_OPTS(.start_revision = next, .max_events = QUEUE));
    etcd_events *events = NULL;
    etcd_error err;
    etcd_status st;

    last = write_many(client);
    test_pump(client, 300);
    watch_ok(etcd_compact(client, last, NULL, &err), &err);
    while (next <= last && (st = etcd_watch_next(watch, 30000, &events, &err)) == ETCD_OK) {
        for (size_t i = 0; i < etcd_events_count(events); i++)
            assert_int_equal(etcd_events_at(events, i)->kv.mod_revision, next++);
        etcd_events_free(events);
    }
    assert_true(next <= last); /* it was slow enough */
    assert_int_equal(st, ETCD_E_COMPACTED);
    assert_int_equal(err.revision, last);
    etcd_watch_close(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_left_out_in_silence),
    };

    return cmocka_run_group_tests(tests, watching_set_up, watching_tear_down);
}
