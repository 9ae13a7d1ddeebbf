/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration in etcd whose server is away, has forgotten the history meanwhile, or lets tokens expire.
 */
#include "support/config_app.h"
#include "support/real.h"

#include <stdlib.h>

static void put(struct real *real, const char *key, const char *value)
{
    etcd_error err;

    assert_false(
        real_failed(etcd_put(real->client, etcd_cstr(key), etcd_cstr(value), NULL, NULL, &err), &err));
}

/* Deletes, writes, and forgets how it came to that, at the members that are there. */
static void rewrite_history(struct etcd_server *server)
{
    struct real real;
    etcd_get_result *result = NULL;
    char endpoints[128];

    snprintf(endpoints, sizeof(endpoints), "%s,%s", etcd_server_endpoint(server, 1),
             etcd_server_endpoint(server, 2));
    assert_true(real_open(&real, endpoints));
    assert_int_equal(etcd_delete(real.client, etcd_cstr("/app/pool/threads"), NULL, NULL, NULL), ETCD_OK);
    put(&real, "/app/pool/name", "after");
    put(&real, "/app/pool/limits/queue", "9");
    assert_int_equal(etcd_get(real.client, etcd_cstr("/app/pool/name"), NULL, &result, NULL), ETCD_OK);
    assert_int_equal(etcd_compact(real.client, etcd_get_result_header(result)->revision, NULL, NULL),
                     ETCD_OK);
    etcd_get_result_free(result);
    real_close(&real);
}

/* In the original the reload was dead after a compaction, and nobody was told. */
static void what_was_compacted_meanwhile_is_loaded_again(void **state)
{
    struct etcd_server *server = etcd_server_start(&(struct etcd_server_options){.members = 3});
    struct config_app config = {.source = {.client = "config", .prefix = "/app/"}};
    struct real real;

    (void)state;
    assert_non_null(server);
    assert_true(real_open(&real, etcd_server_endpoints(server)));
    put(&real, "/app/pool/threads", "5");
    real_close(&real);
    config.endpoint = etcd_server_endpoint(server, 0);
    config_app_start(&config);
    CONFIG_AWAIT(&config, logged, "started");
    assert_true(config_app_shows(&config, "5/1/none"));
    assert_true(etcd_server_kill(server, 0));
    CONFIG_AWAIT(&config, logged, "WARN etcd: etcd config:/app/: no server is reached, what it said stays");
    rewrite_history(server);
    assert_true(config_app_shows(&config, "5/1/none"));
    assert_true(etcd_server_restart(server, 0) && etcd_server_wait(server, 0));
    CONFIG_AWAIT(&config, shows, "1/9/after"); /* the deletion too */
    assert_true(real_open(&real, etcd_server_endpoints(server)));
    put(&real, "/app/pool/threads", "6"); /* and it follows on */
    CONFIG_AWAIT(&config, shows, "6/9/after");
    CONFIG_AWAIT(&config, logged, "INFO etcd: etcd config:/app/: a server is reached again");
    real_close(&real);
    config_app_end(&config);
    assert_int_equal(config.status, CAPP_OK);
    etcd_server_free(server);
}

static const struct etcd_server_user users[] = {{"ann", "of-ann", "/ann/"}, {NULL, NULL, NULL}};

/* Run by the root user, whom the server knows as such. */
static void ctl_put(struct etcd_server *server, const char *key, const char *value)
{
    const char *const args[] = {"put", key, value, NULL};

    assert_int_equal(etcd_server_ctl(server, 0, args, NULL, 0), 0);
}

static void tokens_that_expire_are_renewed(void **state)
{
    struct etcd_server *server = etcd_server_start(
        &(struct etcd_server_options){.auth = true, .users = users, .jwt = true, .token_ttl_s = 1});
    struct config_app config = {
        .user = "ann", .password = "of-ann", .source = {.client = "config", .prefix = "/ann/"}};

    (void)state;
    assert_non_null(server);
    ctl_put(server, "/ann/pool/threads", "5");
    config.endpoint = etcd_server_endpoint(server, 0);
    config_app_start(&config);
    CONFIG_AWAIT(&config, logged, "started");
    assert_true(config_app_shows(&config, "5/1/none"));
    nanosleep(&(struct timespec){.tv_sec = 2}, NULL); /* the token is no good any more */
    ctl_put(server, "/ann/pool/threads", "6");
    CONFIG_AWAIT(&config, shows, "6/1/none");
    assert_true(etcd_server_kill(server, 0)); /* so the watch must log in again */
    assert_true(etcd_server_restart(server, 0) && etcd_server_wait(server, 0));
    nanosleep(&(struct timespec){.tv_sec = 2}, NULL);
    ctl_put(server, "/ann/pool/threads", "7");
    CONFIG_AWAIT(&config, shows, "7/1/none");
    assert_false(config_app_logged(&config, "of-ann"));
    config_app_end(&config);
    assert_int_equal(config.status, CAPP_OK);
    etcd_server_free(server);
}

/* A prefix that the user may not read: said, not fatal, and found when it may be. */
static void permission_may_come_later(void **state)
{
    const char *const grant[] = {"role", "grant-permission", "--prefix=true", "ann", "read", "/else/", NULL};
    struct etcd_server *server =
        etcd_server_start(&(struct etcd_server_options){.auth = true, .users = users});
    struct config_app config = {
        .user = "ann", .password = "of-ann", .source = {.client = "config", .prefix = "/else/"}};

    (void)state;
    assert_non_null(server);
    ctl_put(server, "/else/pool/threads", "5");
    config.endpoint = etcd_server_endpoint(server, 0);
    config_app_start(&config);
    CONFIG_AWAIT(&config, logged, "started");
    assert_true(config_app_shows(&config, "1/1/none"));
    assert_true(config_app_logged(&config, "WARN etcd: etcd config:/else/ cannot be loaded: "));
    assert_int_equal(etcd_server_ctl(server, 0, grant, NULL, 0), 0);
    CONFIG_AWAIT(&config, shows, "5/1/none");
    config_app_end(&config);
    assert_int_equal(config.status, CAPP_OK);
    etcd_server_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_compacted_meanwhile_is_loaded_again),
        cmocka_unit_test(tokens_that_expire_are_renewed),
        cmocka_unit_test(permission_may_come_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
