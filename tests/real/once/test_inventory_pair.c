/* SPDX-License-Identifier: Apache-2.0 */
/* examples/inventory, two instances: exactly one restocks, whatever becomes of it. */
#include "support/inventory.h"
#include "support/real.h"
#include "support/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define RESTOCK(ttl) "restock: { minimum: 10, target: 30, interval: 100ms, lock_ttl: " ttl " }\n"
#define APPLES INVENTORY_PREFIX "items/apples"
#define RESTOCKER INVENTORY_PREFIX "restocker"
#define RESTOCKS "this instance restocks fence="

/* The shorter TTL, and what the server and a loaded machine add to it. */
enum { TTL_MS = 2000, TAKE_OVER_MS = TTL_MS + 8000 };

static struct inventory_world world;
static struct inventory a, b;
static struct real real;

static int start_world(void **state)
{
    (void)state;
    inventory_world_start(&world);
    return real_open(&real, etcd_server_endpoint(world.stock, 0)) ? 0 : -1;
}

static int end_world(void **state)
{
    (void)state;
    real_close(&real);
    inventory_world_end(&world);
    return 0;
}

static int end_instances(void **state)
{
    (void)state;
    inventory_end(&a);
    inventory_end(&b);
    return 0;
}

/* `a` restocks, `b` waits for its turn. */
static void start_pair(const char *settings)
{
    inventory_make(&a, &world, "a", settings);
    inventory_make(&b, &world, "b", settings);
    inventory_start_ready(&a);
    inventory_await_value(world.stock, RESTOCKER, "a");
    inventory_start_ready(&b);
    assert_true(real_wait_keys(&real, INVENTORY_PREFIX "locks/restock/", 2, 5000));
}

static void stop_pair(void)
{
    inventory_signal(&a, SIGTERM);
    inventory_signal(&b, SIGTERM);
    assert_int_equal(inventory_wait(&a), 0);
    assert_int_equal(inventory_wait(&b), 0);
    assert_int_equal(real_keys(&real, INVENTORY_PREFIX "locks/"), 0);
    assert_int_equal(real_keys(&real, RESTOCKER), 0);
    inventory_world_clean(&world);
}

/* The fencing number of an instance's newest turn, and the key of the lock as it is now. */
static int64_t fence_of(const struct inventory *one)
{
    char text[32];

    inventory_last(one, RESTOCKS, text, sizeof(text));
    return strtoll(text, NULL, 10);
}

/* The oldest key of the lock, which is its holder's; to be given as `key`. */
static int64_t holder(char *key, size_t size)
{
    etcd_get_result *result = NULL;
    etcd_error err;

    assert_false(real_failed(etcd_get(real.client, etcd_cstr(INVENTORY_PREFIX "locks/restock/"),
                                      ETCD_GET_OPTS(.prefix = true, .sort_order = ETCD_SORT_ASCEND,
                                                    .sort_target = ETCD_SORT_BY_CREATE_REVISION),
                                      &result, &err),
                             &err));
    const etcd_kv *kv = etcd_get_result_kv(result, 0);
    assert_non_null(kv);
    int64_t revision = kv->create_revision;
    snprintf(key, size, "%s", (const char *)kv->key.data);
    etcd_get_result_free(result);
    return revision;
}

/* Whether a write that is guarded as the program's are would be carried out. */
static bool fence_holds(const char *key, int64_t fence)
{
    etcd_txn *txn = etcd_txn_new();
    etcd_txn_result *result = NULL;
    etcd_error err;

    etcd_txn_if(txn, etcd_cstr(key), ETCD_CMP_CREATE_REVISION, ETCD_CMP_EQUAL, fence);
    assert_false(real_failed(etcd_txn_commit(real.client, txn, NULL, &result, &err), &err));
    bool holds = etcd_txn_result_succeeded(result);
    etcd_txn_result_free(result);
    etcd_txn_free(txn);
    return holds;
}

static void one_of_two_restocks(void **state)
{
    (void)state;
    start_pair(RESTOCK("60s"));
    for (int i = 0; i < 3; i++) {
        inventory_put(world.stock, APPLES, "3");
        inventory_await_value(world.stock, APPLES, "30");
    }
    assert_true(inventory_logged(&a, "restocked item=apples was=3 is=30"));
    assert_false(inventory_logged(&b, RESTOCKS));
    assert_false(inventory_logged(&b, "restocked item=apples"));
    /* A turn that is given up is the other's long before the TTL is over. */
    inventory_signal(&a, SIGTERM);
    assert_int_equal(inventory_wait(&a), 0);
    inventory_await_value(world.stock, RESTOCKER, "b");
    inventory_start_ready(&a);
    stop_pair();
}

static void a_killed_one_is_succeeded(void **state)
{
    char key[256];

    (void)state;
    start_pair(RESTOCK("2s"));
    int64_t fence = fence_of(&a);
    assert_int_equal(holder(key, sizeof(key)), fence);
    assert_true(fence_holds(key, fence));
    int64_t before_ms = test_now_ms(), deadline_ms = test_deadline_ms(TAKE_OVER_MS);
    inventory_signal(&a, SIGKILL);
    assert_int_equal(inventory_wait(&a), 128 + SIGKILL);
    inventory_put(world.stock, APPLES, "2");
    inventory_await_value(world.stock, RESTOCKER, "b");
    printf("succeeded after %d ms, TTL %d ms\n", (int)(test_now_ms() - before_ms), TTL_MS);
    assert_true(test_now_ms() < deadline_ms);
    inventory_await_value(world.stock, APPLES, "30");
    assert_true(inventory_logged(&b, "restocked item=apples was=2 is=30"));
    assert_true(fence_of(&b) > fence);
    assert_false(fence_holds(key, fence));
    inventory_start_ready(&a);
    stop_pair();
}

/* Asleep for longer than its TTL, it is succeeded; awake again, it does no harm and queues up. */
static void one_that_slept_does_no_harm(void **state)
{
    (void)state;
    start_pair(RESTOCK("2s"));
    inventory_signal(&a, SIGSTOP);
    inventory_await_value(world.stock, RESTOCKER, "b");
    inventory_put(world.stock, APPLES, "1");
    inventory_await_value(world.stock, APPLES, "30");
    inventory_signal(&a, SIGCONT);
    inventory_await_log(&a, "WARN  restock: the lock was lost");
    inventory_put(world.stock, APPLES, "4");
    inventory_await_value(world.stock, APPLES, "30");
    assert_true(inventory_logged(&b, "restocked item=apples was=4 is=30"));
    assert_false(inventory_logged(&a, "restocked item=apples"));
    assert_true(real_wait_keys(&real, INVENTORY_PREFIX "locks/restock/", 2, 5000));
    stop_pair();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(one_of_two_restocks, end_instances),
        cmocka_unit_test_teardown(a_killed_one_is_succeeded, end_instances),
        cmocka_unit_test_teardown(one_that_slept_does_no_harm, end_instances),
    };

    return cmocka_run_group_tests(tests, start_world, end_world);
}
