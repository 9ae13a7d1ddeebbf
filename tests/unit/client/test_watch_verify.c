/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that are behind, stores that went back, clusters that are others. */
#include "support/test.h"
#include "support/watch_world.h"

/* Opens a watch that has seen revision 500, and cuts its stream. */
static etcd_watch *seen_500(void)
{
    etcd_watch *watch = ww_watch("k", 101);

    ww.automatic = true;
    ww.revision = 500;
    ww_run(&ww, 10);
    ww_events(&ww, ww_stream(&ww), ww_stream(&ww)->creates[0].id, 498, 500);
    ww_run(&ww, 10);
    ww_expect_batch(watch, 498, 500);
    ww_cut(&ww);
    return watch;
}

static void test_a_member_that_is_behind(void **state)
{
    etcd_watch *watch = seen_500();

    (void)state;
    ww.created_revision = 450;
    ww_run(&ww, 1000);
    assert_int_equal(ww.reads, 1);
    ww_expect_nothing(watch);
    ww_events(&ww, ww_stream(&ww), ww_stream(&ww)->creates[0].id, 501, 501);
    ww_run(&ww, 10);
    ww_expect_batch(watch, 501, 501);
    etcd_watch_close(watch);
}

static void test_a_store_that_went_back(void **state)
{
    etcd_watch *watch = seen_500(), *fresh = ww_watch("k", 2), *future = ww_watch("k", 9000);

    (void)state;
    ww.revision = 20;
    ww_run(&ww, 1000);
    ww_expect_end(watch, ETCD_E_CLUSTER_CHANGED, "went back to revision 20");
    ww_expect_nothing(fresh); /* has seen nothing yet */
    ww_expect_nothing(future);
    assert_int_equal(ww.reads, 1);
    etcd_watch_close(watch);
    etcd_watch_close(fresh);
    etcd_watch_close(future);
}

static void test_many_share_a_read(void **state)
{
    enum { COUNT = 20 };
    etcd_watch *watches[COUNT];

    (void)state;
    for (int i = 0; i < COUNT; i++)
        watches[i] = ww_watch("k", 0);
    ww.automatic = true;
    ww_run(&ww, 10);
    assert_int_equal(ww.reads, 1);
    ww_cut(&ww);
    ww.revision = 20;
    ww_run(&ww, 1000);
    assert_in_range(ww.reads, 2, 3);
    for (int i = 0; i < COUNT; i++) {
        ww_expect_end(watches[i], ETCD_E_CLUSTER_CHANGED, "went back");
        etcd_watch_close(watches[i]);
    }
}

static void test_reads_that_fail(void **state)
{
    etcd_watch *watch = seen_500();

    (void)state;
    ww.revision = 20;
    ww.read_code = 14;
    ww.read_message = "etcdserver: no leader";
    ww_run(&ww, 60000);
    ww_expect_nothing(watch);
    ww.read_code = 0;
    ww_run(&ww, 15000);
    ww_expect_end(watch, ETCD_E_CLUSTER_CHANGED, "went back");
    etcd_watch_close(watch);
    watch = seen_500();
    ww.revision = 20;
    ww.read_code = 7; /* nobody can tell */
    ww.read_message = "etcdserver: permission denied";
    ww_run(&ww, 5000);
    ww_expect_nothing(watch);
    etcd_watch_close(watch);
}

static void test_closed_while_it_is_suspected(void **state)
{
    etcd_watch *first = seen_500(), *second = ww_watch("k", 0);

    (void)state;
    ww_run(&ww, 1000);
    ww_cut(&ww);
    ww.revision = 20;
    ww.host->delay_ms = 100;
    ww_run(&ww, 650); /* the read is under way, or nearly */
    etcd_watch_close(first);
    ww_run(&ww, 1);
    etcd_client_cancel_waits(ww.client);
    ww_run(&ww, 1000);
    etcd_watch_close(second);
}

static void test_another_cluster(void **state)
{
    etcd_watch *watch = seen_500(), *fresh;

    (void)state;
    ww.cluster_id = 99;
    ww.revision = 5000; /* whatever it has */
    ww_run(&ww, 1000);
    ww_expect_end(watch, ETCD_E_CLUSTER_CHANGED, "another cluster");
    fresh = ww_watch("k", 0);
    ww_run(&ww, 1000);
    ww_expect_nothing(fresh);
    etcd_watch_close(watch);
    etcd_watch_close(fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_member_that_is_behind, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_a_store_that_went_back, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_many_share_a_read, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_reads_that_fail, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_closed_while_it_is_suspected, ww_set_up, ww_tear_down),
        cmocka_unit_test_setup_teardown(test_another_cluster, ww_set_up, ww_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
