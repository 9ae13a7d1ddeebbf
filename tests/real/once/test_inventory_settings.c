/* SPDX-License-Identifier: Apache-2.0 */
/* examples/inventory: settings that change while it runs, and what its service manager is told. */
#include "support/inventory.h"
#include "support/test.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define IDLE "restock: { enabled: false }\n"

enum { NEWS_MS = 10000 };

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

/* The code of an answer to adding to a new item, which the limit decides. */
static int add(const char *item, int count)
{
    char target[128], key[64];

    snprintf(target, sizeof(target), "/items/%s/add?count=%d", item, count);
    snprintf(key, sizeof(key), "%s-%d", item, count);
    return inventory_http(&one.api, "POST", target, key, text);
}

static void reload(const char *settings)
{
    inventory_write(&one, settings);
    inventory_signal(&one, SIGHUP);
}

static void stop(void)
{
    inventory_signal(&one, SIGTERM);
    assert_int_equal(inventory_wait(&one), 0);
    inventory_world_clean(&world);
}

static void a_file_is_read_again(void **state)
{
    (void)state;
    inventory_make(&one, &world, "a", IDLE "stock: { max_quantity: 50 }\n");
    inventory_start_ready(&one);
    assert_int_equal(add("apples", 30), 200);
    reload(IDLE "stock: { max_quantity: 20 }\n");
    inventory_await(&one, "/config", 200, "stock.max_quantity: 20  #");
    assert_int_equal(add("pears", 30), 409);
    assert_int_equal(add("pears", 20), 200);
    /* Nothing about it in the file: the table's fallback counts. */
    assert_false(inventory_logged(&one, "DEBUG"));
    reload(IDLE "app: { log: { level: debug } }\n");
    inventory_await(&one, "/config", 200, "stock.max_quantity: 1000000  # default");
    assert_int_equal(add("plums", 999), 200);
    stop();
    assert_true(inventory_logged(&one, "DEBUG"));
}

static void mistakes_change_nothing(void **state)
{
    (void)state;
    inventory_make(&one, &world, "a", IDLE "stock: { max_quantity: 50 }\n");
    inventory_start_ready(&one);
    reload("restock: { enabled: maybe, minimum: 9, target: 3 }\nstock: { max_quantity: -1, max_quanttiy: 20 "
           "}\n");
    inventory_await_log(&one, "max_quantity: -1 is not between 1 and 1000000000000");
    inventory_await_log(&one, "there is no option 'stock.max_quanttiy'; did you mean 'stock.max_quantity'?");
    inventory_await_log(&one, "a.yaml:10:21: restock.enabled: 'maybe' is not yes or no");
    inventory_await(&one, "/config", 200, "stock.max_quantity: 50  #");
    inventory_await(&one, "/ready", 200, NULL);
    assert_int_equal(add("apples", 51), 409);
    assert_int_equal(add("apples", 50), 200);
    reload(IDLE "stock: { max_quantity: [\n");
    inventory_await_log(&one, "a.yaml:12:1: ");
    assert_int_equal(add("pears", 51), 409);
    reload(IDLE "stock: { max_quantity: 60 }\n");
    inventory_await(&one, "/config", 200, "stock.max_quantity: 60  #");
    assert_int_equal(add("pears", 60), 200);
    stop();
}

/* Without a server, and without a word that was not asked for. */
static void questions_are_answered(void **state)
{
    (void)state;
    inventory_make(&one, &world, "a", IDLE "stock: { max_quantity: 50 }\n");
    assert_int_equal(inventory_ask(&one, "--check-config", text, sizeof(text)), 0);
    assert_string_equal(text, "");
    assert_int_equal(inventory_ask(&one, "--dump-config", text, sizeof(text)), 0);
    assert_non_null(strstr(text, "stock.max_quantity: 50  #"));
    assert_null(strstr(text, INVENTORY_PASSWORD));
    assert_null(strstr(text, "INFO"));
    assert_int_equal(inventory_ask(&one, "--help-config", text, sizeof(text)), 0);
    assert_non_null(strstr(text, "INVENTORY_STOCK__MAX_QUANTITY, --stock.max_quantity\n"));
    assert_null(strstr(text, INVENTORY_PASSWORD));
    inventory_write(&one, IDLE "stock: { max_quantity: many }\n");
    assert_int_equal(inventory_ask(&one, "--check-config", text, sizeof(text)), 1);
    assert_non_null(strstr(text, "a.yaml:11:24: stock.max_quantity: 'many' is not a whole number"));
}

#define TALKATIVE "app: { log: { level: trace } }\nrestock: { interval: 100ms }\n"

/* At the most talkative level, in every connection, and on every page. */
static void a_password_is_never_shown(void **state)
{
    static const char *const pages[] = {"/live", "/ready", "/health", "/metrics", "/services", "/config"};

    (void)state;
    inventory_make(&one, &world, "a", TALKATIVE);
    inventory_start_ready(&one);
    inventory_signal(&one, SIGHUP);
    inventory_await_log(&one, "INFO  app: reloaded");
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        assert_int_equal(inventory_http(&one.status, "GET", pages[i], NULL, text), 200);
        assert_null(strstr(text, INVENTORY_PASSWORD));
    }
    assert_non_null(strstr(text, "etcd.clients.discovery.password: {env: \"INVENTORY_DISCOVERY_PASSWORD\"}"));
    /* The next connection logs in again. */
    assert_true(etcd_server_kill(world.discovery, 0));
    assert_true(etcd_server_restart(world.discovery, 0) && etcd_server_wait(world.discovery, 0));
    inventory_await(&one, "/ready", 200, NULL);
    stop();
    assert_true(inventory_logged(&one, "DEBUG etcd: "));
    assert_false(inventory_logged(&one, INVENTORY_PASSWORD));
}

/* ---- settings in etcd --------------------------------------------------------------------------------- */

#define CONFIG "/config/inventory/"

static void etcd_is_followed(void **state)
{
    (void)state;
    inventory_make(&one, &world, "a", IDLE "stock: { max_quantity: 50 }\n");
    inventory_put(world.stock, CONFIG "stock/max_quantity", "40");
    inventory_start_ready(&one);
    inventory_await(&one, "/config", 200,
                    "stock.max_quantity: 40  # etcd config:" CONFIG "stock/max_quantity (revision ");
    assert_int_equal(add("apples", 41), 409);
    inventory_put(world.stock, CONFIG "stock/max_quantity", "30");
    inventory_await(&one, "/config", 200, "stock.max_quantity: 30  #");
    assert_int_equal(add("apples", 31), 409);
    /* A bad value changes nothing, and neither does the file, which counts less. */
    inventory_put(world.stock, CONFIG "stock/max_quantity", "-7");
    inventory_await_log(&one, "stock.max_quantity: -7 is not between 1 and");
    inventory_await(&one, "/config", 200, "stock.max_quantity: 30  #");
    assert_int_equal(add("apples", 30), 200);
    inventory_put(world.stock, CONFIG "stock.yaml", "{ request_timeout: 700ms }");
    inventory_put(world.stock, CONFIG "stock/max_quantity", "20");
    inventory_await(&one, "/config", 200, "stock.max_quantity: 20  #");
    inventory_await(&one, "/config", 200, "stock.request_timeout: 700ms  #");
    reload(IDLE "stock: { max_quantity: 60 }\n");
    inventory_await_log(&one, "INFO  app: reloaded");
    inventory_await(&one, "/config", 200, "stock.max_quantity: 20  #");
    stop();
}

/* What was current last stays while there is no server, and what changed meanwhile is there when it is back.
 */
static void etcd_may_be_away(void **state)
{
    (void)state;
    inventory_make(&one, &world, "a", IDLE);
    inventory_put(world.stock, CONFIG "stock/max_quantity", "40");
    inventory_start_ready(&one);
    inventory_await(&one, "/config", 200, "stock.max_quantity: 40  #");
    assert_true(etcd_server_kill(world.stock, 0));
    inventory_await(&one, "/ready", 503, NULL);
    inventory_await(&one, "/config", 200, "stock.max_quantity: 40  #");
    assert_true(etcd_server_restart(world.stock, 0) && etcd_server_wait(world.stock, 0));
    inventory_put(world.stock, CONFIG "stock/max_quantity", "35");
    inventory_await(&one, "/ready", 200, NULL);
    inventory_await(&one, "/config", 200, "stock.max_quantity: 35  #");
    assert_int_equal(etcd_server_ctl(world.stock, 0,
                                     (const char *const[]){"del", CONFIG "stock/max_quantity", NULL}, NULL,
                                     0),
                     0);
    inventory_await(&one, "/config", 200, "stock.max_quantity: 1000000  # default");
    stop();
}

/* ---- what the service manager is told ----------------------------------------------------------------- */

struct manager {
    int socket;
    char news[16384]; /* all that came, one after the other */
    size_t len;
};

static void open_manager(struct manager *manager, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    *manager = (struct manager){.socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    assert_true(manager->socket >= 0);
    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(manager->socket, (const struct sockaddr *)&address, sizeof(address)), 0);
}

/* Waits for this text behind what stands at `from`; where it ends. */
static size_t await_news(struct manager *manager, size_t from, const char *part)
{
    int64_t deadline_ms = test_deadline_ms(NEWS_MS);
    struct pollfd fd = {.fd = manager->socket, .events = POLLIN};
    const char *found;

    while ((found = strstr(manager->news + from, part)) == NULL) {
        if (poll(&fd, 1, (int)(deadline_ms - test_now_ms())) != 1)
            fail_msg("'%s' did not come, only\n%s", part, manager->news + from);
        ssize_t len = recv(manager->socket, manager->news + manager->len,
                           sizeof(manager->news) - manager->len - 2, 0);
        assert_true(len > 0);
        manager->len += (size_t)len;
        manager->news[manager->len++] = '\n';
        manager->news[manager->len] = '\0';
    }
    return (size_t)(found - manager->news) + strlen(part);
}

static void the_service_manager_is_told(void **state)
{
    static struct manager manager;
    char path[100];

    (void)state;
    inventory_make(&one, &world, "a", "restock: { interval: 100ms }\n");
    snprintf(path, sizeof(path), "%s/notify", world.dir.path);
    one.notify = path;
    open_manager(&manager, path);
    inventory_start(&one);
    size_t at = await_news(&manager, 0, "READY=1");
    await_news(&manager, 0, "STATUS=restocking");
    await_news(&manager, await_news(&manager, 0, "WATCHDOG=1"), "WATCHDOG=1");
    inventory_signal(&one, SIGHUP);
    at = await_news(&manager, at, "RELOADING=1\nMONOTONIC_USEC=");
    at = await_news(&manager, at, "READY=1");
    inventory_signal(&one, SIGTERM);
    at = await_news(&manager, at, "STOPPING=1");
    assert_int_equal(inventory_wait(&one), 0);
    assert_null(strstr(manager.news + at, "READY"));
    close(manager.socket);
    inventory_world_clean(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_file_is_read_again, end_instance),
        cmocka_unit_test_teardown(mistakes_change_nothing, end_instance),
        cmocka_unit_test_teardown(etcd_is_followed, end_instance),
        cmocka_unit_test_teardown(etcd_may_be_away, end_instance),
        cmocka_unit_test_teardown(questions_are_answered, end_instance),
        cmocka_unit_test_teardown(a_password_is_never_shown, end_instance),
        cmocka_unit_test_teardown(the_service_manager_is_told, end_instance),
    };

    return cmocka_run_group_tests(tests, start_world, end_world);
}
