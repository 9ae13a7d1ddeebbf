/* SPDX-License-Identifier: Apache-2.0 */
/* etcd as a source of configuration: loaded before services start, followed, and never worse than the last
 * good. */
#include "support/config_app.h"
#include "support/real.h"

#include <stdlib.h>

#define CANARY "c4n4ry-of-the-source"

enum { WRITES = 100 };

static struct etcd_server *server;

static int start_server(void **state)
{
    (void)state;
    server = etcd_server_start(&(struct etcd_server_options){.version = test_version()});
    return server == NULL ? -1 : 0;
}

static int stop_server(void **state)
{
    (void)state;
    etcd_server_free(server);
    return 0;
}

static struct real open_real(void)
{
    struct real real;

    assert_true(real_open(&real, etcd_server_endpoints(server)));
    return real;
}

/* Returns the revision. */
static int64_t put(struct real *real, const char *key, const char *value)
{
    etcd_put_result *result = NULL;
    etcd_error err;
    int64_t revision;

    assert_false(
        real_failed(etcd_put(real->client, etcd_cstr(key), etcd_cstr(value), NULL, &result, &err), &err));
    revision = etcd_put_result_header(result)->revision;
    etcd_put_result_free(result);
    return revision;
}

static void delete_key(struct real *real, const char *key)
{
    assert_int_equal(etcd_delete(real->client, etcd_cstr(key), NULL, NULL, NULL), ETCD_OK);
}

static struct config_app source_of(const char *prefix)
{
    return (struct config_app){.endpoint = etcd_server_endpoint(server, 0),
                               .source = {.client = "config", .prefix = prefix}};
}

/* ---- following --------------------------------------------------------------------------------------- */

static void what_is_there_is_loaded_and_followed(void **state)
{
    struct real real = open_real();
    struct config_app config = source_of("/follow");

    (void)state;
    (void)put(&real, "/follow/pool/threads", "3");
    (void)put(&real, "/follow/pool.limits/queue", "4");
    (void)put(&real, "/follow/", "");
    (void)put(&real, "/follower/pool/threads", "99"); /* of another application */
    config_app_start(&config);
    CONFIG_AWAIT(&config, logged, "started");
    assert_true(config_app_shows(&config, "3/4/none"));
    assert_true(config_app_logged(&config, "INFO etcd: etcd config:/follow/ is current at revision "));
    (void)put(&real, "/follow/pool/name", "one");
    CONFIG_AWAIT(&config, shows, "3/4/one");
    (void)put(&real, "/follow/pool.json", "{\"name\": \"\\ud83d\\ude00\", \"threads\": 77}");
    delete_key(&real, "/follow/pool/name");
    CONFIG_AWAIT(&config, shows, "3/4/\xf0\x9f\x98\x80"); /* a key of its own counts more than a document */
    delete_key(&real, "/follow/pool/threads");
    delete_key(&real, "/follow/pool.limits/queue");
    CONFIG_AWAIT(&config, shows, "77/1/\xf0\x9f\x98\x80");
    delete_key(&real, "/follow/pool.json");
    CONFIG_AWAIT(&config, shows, "1/1/none");
    assert_false(config_app_logged(&config, "WARN config"));
    config_app_end(&config);
    assert_int_equal(config.status, CAPP_OK);
    real_close(&real);
}

/* What is written between the load and the watch, and while the application starts, is not lost. */
static void nothing_is_lost_while_it_starts(void **state)
{
    struct real real = open_real();
    struct config_app config = source_of("/gap/");
    char value[16], wanted[32];

    (void)state;
    (void)put(&real, "/gap/pool/threads", "1");
    config_app_start(&config); /* on a thread of its own */
    for (int i = 2; !config_app_logged(&config, "started") || i < 20; i++) {
        snprintf(value, sizeof(value), "%d", i % 1000 + 1);
        (void)put(&real, "/gap/pool/threads", value);
    }
    (void)put(&real, "/gap/pool/limits/queue",
              "5"); /* the last word; nothing follows that would cover a loss */
    snprintf(wanted, sizeof(wanted), "%s/5/none", value);
    CONFIG_AWAIT(&config, shows, wanted);
    config_app_end(&config);
    real_close(&real);
}

static void a_burst_is_a_few_reloads(void **state)
{
    struct real real = open_real();
    struct config_app config = source_of("/burst/");
    etcd_op *ops[WRITES];
    char value[16];

    (void)state;
    config_app_start(&config);
    CONFIG_AWAIT(&config, logged, "started");
    for (int i = 0; i < WRITES; i++) {
        snprintf(value, sizeof(value), "%d", i + 1);
        assert_int_equal(etcd_put_async(real.client, etcd_cstr("/burst/pool/threads"), etcd_cstr(value), NULL,
                                        NULL, NULL, &ops[i], NULL),
                         ETCD_OK);
    }
    for (int i = 0; i < WRITES; i++) {
        assert_int_equal(etcd_op_wait(ops[i], 10000, NULL), ETCD_OK);
        etcd_op_free(ops[i]);
    }
    (void)put(&real, "/burst/pool/threads", "500");
    CONFIG_AWAIT(&config, shows, "500/1/none");
    for (int64_t until = now_ms() + 10000; atomic_load(&config.changes) == 0 && now_ms() < until;)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    print_message("%d writes: %zu reloads, %d changes told\n", WRITES + 1,
                  config_app_count(&config, "is current at revision") - 1, atomic_load(&config.changes));
    assert_in_range(config_app_count(&config, "is current at revision"), 2, 1 + WRITES / 5);
    config_app_end(&config);
    assert_in_range(atomic_load(&config.changes), 1, WRITES / 5);
    real_close(&real);
}

/* ---- mistakes ---------------------------------------------------------------------------------------- */

static void a_bad_value_keeps_the_last_good_one(void **state)
{
    struct real real = open_real();
    struct config_app config = source_of("/bad/");
    char wanted[160];
    int64_t revision;

    (void)state;
    (void)put(&real, "/bad/pool/threads", "5");
    (void)put(&real, "/bad/pool/token", CANARY);
    config_app_start(&config);
    CONFIG_AWAIT(&config, logged, "started");
    revision = put(&real, "/bad/pool/threads", "many");
    snprintf(
        wanted, sizeof(wanted),
        "WARN config: etcd config:/bad/pool/threads (revision %lld): pool.threads: 'many' is not a whole",
        (long long)revision);
    CONFIG_AWAIT(&config, logged, wanted);
    snprintf(wanted, sizeof(wanted),
             "WARN etcd: etcd config:/bad/ at revision %lld is not taken: ", (long long)revision);
    CONFIG_AWAIT(&config, logged, wanted);
    snprintf(wanted, sizeof(wanted),
             "etcd-source: degraded: etcd config:/bad/ at revision %lld is not taken: ", (long long)revision);
    CONFIG_AWAIT(&config, reports, wanted);
    assert_true(capp_app_is_ready(config.app));
    assert_true(config_app_shows(&config, "5/1/none"));
    /* A change that is good in itself waits for the mistake to be mended: states are taken whole. */
    (void)put(&real, "/bad/pool/name", "two");
    (void)put(&real, "/bad/pool/tread", "6");
    CONFIG_AWAIT(&config, logged, "there is no option 'pool.tread'; did you mean 'pool.threads'?");
    assert_true(config_app_shows(&config, "5/1/none"));
    (void)put(&real, "/bad/pool/threads", "6");
    delete_key(&real, "/bad/pool/tread");
    CONFIG_AWAIT(&config, shows, "6/1/two");
    CONFIG_AWAIT(&config, reports, "etcd-source: up\n");
    (void)put(&real, "/bad/etcd/clients/config/endpoints", "elsewhere:2379");
    CONFIG_AWAIT(&config, logged, "'etcd.clients' cannot be configured by source etcd");
    delete_key(&real, "/bad/etcd/clients/config/endpoints");
    (void)put(&real, "/bad/pool.yaml", "limits: [\n");
    CONFIG_AWAIT(&config, logged, "WARN config: etcd config:/bad/pool.yaml (revision ");
    (void)put(&real, "/bad/pool/token/text", CANARY);
    CONFIG_AWAIT(&config, logged, "another key stands above or below it");
    config_app_end(&config);
    assert_false(config_app_logged(&config, CANARY));
    real_close(&real);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* What was refused is looked at again when files say more. */
static void a_reload_of_files_may_mend_it(void **state)
{
    struct real real = open_real();
    struct config_app config = source_of("/mend/");
    char path[512];

    (void)state;
    snprintf(path, sizeof(path), "%s/pool.yaml", etcd_server_dir(server));
    write_text(path, "pool: {name: small}\n");
    config.file = path;
    config_app_start(&config);
    CONFIG_AWAIT(&config, logged, "started");
    (void)put(&real, "/mend/pool/threads", "950");
    CONFIG_AWAIT(&config, logged, "pool: 950 threads are for 'big' ones");
    assert_true(config_app_shows(&config, "1/1/small"));
    write_text(path, "pool: {name: big}\n");
    capp_reload(config.app);
    CONFIG_AWAIT(&config, shows, "950/1/big");
    config_app_end(&config);
    real_close(&real);
}

static void what_is_bad_at_the_start(void **state)
{
    struct real real = open_real();
    struct config_app config = source_of("/first/"), strict = source_of("/first/");

    (void)state;
    (void)put(&real, "/first/pool/threads", "0");
    strict.source.policy = CAPP_ETCD_SOURCE_REQUIRED;
    config_app_start(&strict);
    pthread_join(strict.thread, NULL);
    assert_int_equal(strict.status, CAPP_E_INVALID_ARGUMENT);
    assert_has(strict.error.message, "start of etcd-source: etcd config:/first/ at revision ");
    assert_has(strict.error.message, "pool.threads: 0 is not between 1 and 1000");
    capp_monitor_remove(strict.entry);
    capp_free(strict.app);
    config_app_start(&config);
    CONFIG_AWAIT(&config, logged, "started");
    assert_true(config_app_shows(&config, "1/1/none"));
    assert_true(config_app_logged(&config, "is not taken: "));
    (void)put(&real, "/first/pool/threads", "9");
    CONFIG_AWAIT(&config, shows, "9/1/none");
    config_app_end(&config);
    real_close(&real);
}

/* ---- servers that are away --------------------------------------------------------------------------- */

static void a_lost_server_changes_nothing(void **state)
{
    struct real real = open_real();
    struct config_app config = source_of("/lost/");

    (void)state;
    (void)put(&real, "/lost/pool/threads", "7");
    config_app_start(&config);
    CONFIG_AWAIT(&config, logged, "started");
    assert_true(etcd_server_kill(server, 0));
    CONFIG_AWAIT(&config, logged, "client 'config': lost the connection");
    assert_true(config_app_shows(&config, "7/1/none"));
    assert_true(etcd_server_restart(server, 0) && etcd_server_wait(server, 0));
    (void)put(&real, "/lost/pool/threads", "8");
    CONFIG_AWAIT(&config, shows, "8/1/none");
    config_app_end(&config);
    assert_int_equal(config.status, CAPP_OK);
    real_close(&real);
}

static void a_server_that_comes_late_is_found(void **state)
{
    struct config_app config = source_of("/late/"), strict = source_of("/late/");
    struct real real = open_real();

    (void)state;
    (void)put(&real, "/late/pool/threads", "11");
    real_close(&real);
    assert_true(etcd_server_kill(server, 0));
    strict.source.policy = CAPP_ETCD_SOURCE_REQUIRED;
    strict.source.load_timeout_ms = 300;
    config_app_start(&strict);
    pthread_join(strict.thread, NULL);
    assert_int_equal(strict.status, CAPP_E_UNAVAILABLE);
    assert_has(strict.error.message, "etcd config:/late/ cannot be loaded: ");
    capp_monitor_remove(strict.entry);
    capp_free(strict.app);
    config.source.load_timeout_ms = 300;
    config_app_start(&config);
    CONFIG_AWAIT(&config, logged, "started");
    assert_true(config_app_shows(&config, "1/1/none"));
    assert_true(config_app_logged(&config, "WARN etcd: etcd config:/late/ cannot be loaded: "));
    assert_true(config_app_reports(&config, "etcd-source: degraded: /late/ is not followed"));
    assert_true(etcd_server_restart(server, 0) && etcd_server_wait(server, 0));
    CONFIG_AWAIT(&config, shows, "11/1/none");
    CONFIG_AWAIT(&config, reports, "etcd-source: up\n");
    config_app_end(&config);
    assert_int_equal(config.status, CAPP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_there_is_loaded_and_followed),
        cmocka_unit_test(nothing_is_lost_while_it_starts),
        cmocka_unit_test(a_burst_is_a_few_reloads),
        cmocka_unit_test(a_bad_value_keeps_the_last_good_one),
        cmocka_unit_test(a_reload_of_files_may_mend_it),
        cmocka_unit_test(what_is_bad_at_the_start),
        cmocka_unit_test(a_lost_server_changes_nothing),
        cmocka_unit_test(a_server_that_comes_late_is_found),
    };
    /* The drive is that of the client that writes: these need not be seen twice. */
    const char *const need_threads[] = {"nothing_is_lost_while_it_starts",
                                        "a_burst_is_a_few_reloads",
                                        "what_is_bad_at_the_start",
                                        "a_reload_of_files_may_mend_it",
                                        "a_bad_value_keeps_the_last_good_one",
                                        "a_lost_server_changes_nothing",
                                        "a_server_that_comes_late_is_found",
                                        NULL};

    return test_run_group(tests, sizeof(tests) / sizeof(tests[0]), need_threads, start_server, stop_server);
}
