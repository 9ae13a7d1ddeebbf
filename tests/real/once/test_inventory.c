/* SPDX-License-Identifier: Apache-2.0 */
/* examples/inventory, one instance: what a client and an operator see of it. */
#include "support/cut_relay.h"
#include "support/inventory.h"
#include "support/test.h"

#include <signal.h>
#include <stdio.h>

enum { CUTS_MS = 2000, AT_ONCE_MS = 3000 };

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
        fail_msg("POST %s (%s): %d instead of %d '%s': %s", target, key == NULL ? "no key" : key, answered,
                 code, part, text);
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
    inventory_put(world.stock, INVENTORY_PREFIX "items/a", "1"); /* half of a list is no answer */
    assert_int_equal(inventory_http(&one.api, "GET", "/items", NULL, text), 500);
    assert_string_equal(text, "{\"error\":\"the value of '" INVENTORY_PREFIX
                              "items/apples' is not a quantity\",\"changed\":\"no\"}\n");
    inventory_signal(&one, SIGTERM);
    assert_int_equal(inventory_wait(&one), 0);
    inventory_world_clean(&world);
}

/*
 * Connections to the server are cut all the time, also between a write and its answer. What was answered with
 * 200 has happened once, what was answered with 503 has not, and what was unknown is found out by asking
 * again.
 */
static void answers_are_honest_while_connections_are_cut(void **state)
{
    struct cut_relay *relay = cut_relay_start(etcd_server_endpoint(world.stock, 0), cut_relay_seed());
    int done = 0, refused = 0, unknown = 0;
    int64_t deadline_ms = test_deadline_ms(CUTS_MS);
    char key[32], value[32], expected[32];

    (void)state;
    assert_non_null(relay);
    inventory_make(&one, &world, "a", "restock: { enabled: false }\nstock: { request_timeout: 100ms }\n");
    one.stock = cut_relay_endpoint(relay);
    inventory_start(&one);
    inventory_await(&one, "/live", 200, NULL);
    for (int i = 0; test_now_ms() < deadline_ms; i++) {
        bool maybe = false;
        int code;

        snprintf(key, sizeof(key), "cut-%d", i);
        do {
            code = inventory_http(&one.api, "POST", "/items/apples/add?count=1", key, text);
            assert_true(code == 200 || code == 503 || code == 504);
            unknown += code == 504 && !maybe;
            maybe = maybe || code == 504;
        } while (code != 200 && maybe);
        done += code == 200;
        refused += code == 503;
    }
    cut_relay_stop(relay);
    inventory_value(world.stock, INVENTORY_PREFIX "items/apples", value, sizeof(value));
    snprintf(expected, sizeof(expected), "%d", done);
    printf("%d done, %d refused, %d unknown first\n", done, refused, unknown);
    assert_string_equal(value, expected);
    inventory_world_clean(&world);
}

static void await_state(const char *state)
{
    char value[128];

    snprintf(value, sizeof(value), "{\"address\":\"127.0.0.1:%d\",\"state\":\"%s\"}", one.api.number, state);
    inventory_await_value(world.discovery, "/services/inventory/a", value);
}

static void kill_server(struct etcd_server *server)
{
    assert_true(etcd_server_kill(server, 0));
}

static void revive(struct etcd_server *server)
{
    assert_true(etcd_server_restart(server, 0) && etcd_server_wait(server, 0));
}

static void it_outlives_its_servers(void **state)
{
    (void)state;
    inventory_make(&one, &world, "a", "restock: { enabled: false }\nstock: { request_timeout: 300ms }\n");
    inventory_start_ready(&one);
    await_state("ready");
    change("add", "early", 20, 200, "\"quantity\":20");
    kill_server(world.stock);
    inventory_await(&one, "/ready", 503, NULL);
    inventory_await(&one, "/live", 200, NULL);
    await_state("not ready");
    change("add", "late", 5, 503, "\"changed\":\"no\"");
    assert_int_equal(inventory_http(&one.api, "GET", "/items", NULL, text), 503);
    inventory_await(&one, "/health", 200, "\"name\":\"etcd.default\",\"state\":\"down\"");
    inventory_await(&one, "/metrics", 200, "inventory_changes_total{result=\"failed\"} 1\n");
    kill_server(world.discovery);
    inventory_await_log(&one, "WARN  presence: not registered");
    inventory_await(&one, "/live", 200, NULL);
    revive(world.stock);
    inventory_await(&one, "/ready", 200, NULL);
    change("add", "early", 20, 200, "\"repeated\":true");
    change("add", "late", 5, 200, "\"quantity\":25");
    inventory_await(&one, "/health", 200, "\"state\":\"degraded\",\"message\":\"not registered\"");
    inventory_await(&one, "/health", 200, "\"name\":\"etcd.discovery\",\"state\":\"degraded\"");
    inventory_await(&one, "/metrics", 200, "inventory_changes_total{result=\"repeated\"} 1\n");
    revive(world.discovery);
    inventory_await_log(&one, "INFO  presence: registered again");
    await_state("ready");
    inventory_signal(&one, SIGTERM);
    assert_int_equal(inventory_wait(&one), 0);
    assert_gone();
    inventory_world_clean(&world);
}

/* The stop waits for a server that has gone silent; an operator need not. */
static void a_second_signal_ends_it_at_once(void **state)
{
    (void)state;
    inventory_make(&one, &world, "a", "restock: { interval: 100ms }\n");
    inventory_start_ready(&one);
    inventory_await_value(world.stock, INVENTORY_PREFIX "restocker", "a");
    assert_true(etcd_server_pause(world.stock, 0));
    inventory_signal(&one, SIGTERM);
    inventory_await_log(&one, "app: stopping (SIGTERM)");
    int64_t deadline_ms = test_deadline_ms(AT_ONCE_MS);
    inventory_signal(&one, SIGTERM);
    assert_int_equal(inventory_wait(&one), 128 + SIGTERM);
    assert_true(test_now_ms() < deadline_ms);
    assert_true(etcd_server_resume(world.stock, 0));
    assert_false(inventory_logged(&one, "app: stopped"));
    inventory_world_clean(&world);
}

static void it_stops_in_order(void **state)
{
    (void)state;
    inventory_make(&one, &world, "a", "restock: { minimum: 10, target: 30, interval: 100ms }\n");
    inventory_put(world.stock, INVENTORY_PREFIX "items/apples", "3");
    inventory_start_ready(&one);
    await_state("ready");
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
        cmocka_unit_test_teardown(answers_are_honest_while_connections_are_cut, end_instance),
        cmocka_unit_test_teardown(it_outlives_its_servers, end_instance),
        cmocka_unit_test_teardown(it_stops_in_order, end_instance),
        cmocka_unit_test_teardown(a_second_signal_ends_it_at_once, end_instance),
    };

    return cmocka_run_group_tests(tests, start_world, end_world);
}
