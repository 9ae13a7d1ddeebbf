/* SPDX-License-Identifier: Apache-2.0 */
/* examples/inventory, one instance: what a client and an operator see of it. */
#include "support/inventory.h"
#include "support/test.h"

#include <signal.h>
#include <stdio.h>

static struct inventory_world world;
static struct inventory one;
static char text[INVENTORY_TEXT_SIZE];

static int start_world(void **state)
{
    (void)state;
    inventory_world_start(&world);
    return 0;
}

static int end_world(void **state)
{
    (void)state;
    inventory_world_end(&world);
    return 0;
}

static int end_instance(void **state)
{
    (void)state;
    inventory_end(&one);
    return 0;
}

static void change(const char *verb, const char *key, int count, int code, const char *part)
{
    char target[128];

    snprintf(target, sizeof(target), "/items/apples/%s?count=%d", verb, count);
    int answered = inventory_http(&one.api, "POST", target, key, text);
    if (answered != code || strstr(text, part) == NULL)
        fail_msg("POST %s (%s): %d instead of %d '%s': %s", target, key, answered, code, part, text);
}

/* Nothing that is bound to the instance is at the servers: registration, lock, who restocks. */
static void assert_gone(void)
{
    char value[256];

    inventory_value(world.discovery, "/services/inventory/a", value, sizeof(value));
    assert_string_equal(value, "");
    inventory_value(world.stock, INVENTORY_PREFIX "restocker", value, sizeof(value));
    assert_string_equal(value, "");
    assert_int_equal(etcd_server_ctl(world.stock, 0,
                                     (const char *const[]){"get", "--prefix", "--keys-only",
                                                           INVENTORY_PREFIX "locks/", NULL},
                                     value, sizeof(value)),
                     0);
    assert_string_equal(value, "");
}

static void changes_happen_once(void **state)
{
    (void)state;
    inventory_make(&one, &world, "a", "restock: { enabled: false }\nstock: { max_quantity: 50 }\n");
    inventory_start_ready(&one);
    change("add", "first", 20, 200, "\"quantity\":20,\"repeated\":false");
    change("add", "first", 20, 200, "\"quantity\":20,\"repeated\":true");
    change("take", "second", 5, 200, "\"quantity\":15,\"repeated\":false");
    change("add", "first", 20, 200, "\"quantity\":20,\"repeated\":true"); /* the answer of then */
    change("add", "first", 21, 422, "used before");
    change("take", "third", 16, 409, "not so many");
    change("add", "fourth", 36, 409, "too many");
    change("take", "third", 15, 200, "\"quantity\":0"); /* what changed nothing was not remembered */
    change("take", "a b", 1, 400, "Idempotency-Key");
    change("take", NULL, 1, 400, "Idempotency-Key");
    change("take", "fifth", -1, 400, "count");
    assert_int_equal(inventory_http(&one.api, "GET", "/items", NULL, text), 200);
    assert_string_equal(text, "{\"apples\":0}\n");
    assert_int_equal(inventory_http(&one.api, "GET", "/items/pears", NULL, text), 404);
    assert_int_equal(inventory_http(&one.api, "GET", "/items/../x", NULL, text), 400);
    assert_int_equal(inventory_http(&one.api, "DELETE", "/items/apples", NULL, text), 405);
    inventory_put(world.stock, INVENTORY_PREFIX "items/apples", "many");
    assert_int_equal(inventory_http(&one.api, "GET", "/items/apples", NULL, text), 500);
    inventory_signal(&one, SIGTERM);
    assert_int_equal(inventory_wait(&one), 0);
    inventory_world_clean(&world);
}

static void it_stops_in_order(void **state)
{
    char address[128];

    (void)state;
    inventory_make(&one, &world, "a", "restock: { minimum: 10, target: 30, interval: 100ms }\n");
    inventory_put(world.stock, INVENTORY_PREFIX "items/apples", "3");
    inventory_start_ready(&one);
    snprintf(address, sizeof(address), "{\"address\":\"127.0.0.1:%d\",\"state\":\"ready\"}", one.api.number);
    inventory_await_value(world.discovery, "/services/inventory/a", address);
    inventory_await_value(world.stock, INVENTORY_PREFIX "items/apples", "30");
    inventory_await_value(world.stock, INVENTORY_PREFIX "restocker", "a");
    inventory_signal(&one, SIGTERM);
    assert_int_equal(inventory_wait(&one), 0);
    assert_true(inventory_logged(&one, "INFO  app: stopping (SIGTERM)"));
    assert_true(inventory_logged(&one, "INFO  app: stopped"));
    assert_false(inventory_logged(&one, "WARN"));
    assert_false(inventory_logged(&one, INVENTORY_PASSWORD));
    assert_gone();
    inventory_world_clean(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(changes_happen_once, end_instance),
        cmocka_unit_test_teardown(it_stops_in_order, end_instance),
    };

    return cmocka_run_group_tests(tests, start_world, end_world);
}
