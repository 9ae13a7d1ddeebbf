/* SPDX-License-Identifier: Apache-2.0 */
/* Many leases are kept, all of them, by a client on one core's small change. The long form is `./dev soak`.
 */
#include "support/client.h"
#include "support/process.h"
#include "support/test.h"
#include "support/watching.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#ifdef ETCDC_SOAK
enum { LEASES = 10000, TTL_S = 10, TTLS = 6 };
#else
enum { LEASES = 1000, TTL_S = 3, TTLS = 2 };
#endif
enum { AT_ONCE = 100 };

static etcd_keepalive *keepalives[LEASES];
static etcd_lease leases[LEASES];
static atomic_int lost;

static void on_end(etcd_keepalive *keepalive, etcd_status status, const etcd_error *err, void *user_data)
{
    (void)keepalive;
    (void)status;
    (void)user_data;
    if (atomic_fetch_add(&lost, 1) == 0)
        fprintf(stderr, "%s\n", err->message);
}

static void grant_all(etcd_client *client)
{
    etcd_op *ops[AT_ONCE];
    etcd_error err;

    for (int i = 0; i < LEASES; i += AT_ONCE) {
        for (int j = 0; j < AT_ONCE; j++)
            watch_ok(etcd_lease_grant_async(client, TTL_S, NULL, NULL, NULL, &ops[j], &err), &err);
        for (int j = 0; j < AT_ONCE; j++) {
            watch_ok(etcd_op_wait(ops[j], 20000, &err), &err);
            watch_ok(etcd_lease_grant_take(ops[j], &leases[i + j], &err), &err);
            etcd_op_free(ops[j]);
            watch_ok(etcd_keepalive_start(client, leases[i + j], ETCD_KEEPALIVE_OPTS(.on_end = on_end),
                                          &keepalives[i + j], &err),
                     &err);
        }
    }
}

static size_t count_leases(etcd_client *client)
{
    etcd_leases_result *result = NULL;
    etcd_error err;
    size_t count;

    watch_ok(etcd_lease_list(client, NULL, &result, &err), &err);
    count = etcd_leases_result_count(result);
    etcd_leases_result_free(result);
    return count;
}

static void test_all_are_kept(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t before_ms;
    clock_t cpu;

    grant_all(client);
    cpu = clock();
    before_ms = test_now_ms();
    while (test_now_ms() - before_ms < TTLS * TTL_S * 1000) {
        test_pump(client, 500);
        for (int i = 0; i < LEASES; i++)
            assert_true(etcd_keepalive_remaining_ms(keepalives[i]) > 0);
        assert_int_equal(atomic_load(&lost), 0);
    }
    print_message("%d leases for %d s: %.0f ms of CPU\n", LEASES, TTLS * TTL_S,
                  1000.0 * (double)(clock() - cpu) / CLOCKS_PER_SEC);
    assert_int_equal(count_leases(client), LEASES);
    for (int i = 0; i < LEASES; i++)
        etcd_keepalive_close(keepalives[i]);
    assert_int_equal(atomic_load(&lost), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_are_kept),
    };

    return cmocka_run_group_tests(tests, watching_set_up, watching_tear_down);
}
