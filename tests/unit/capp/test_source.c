/* SPDX-License-Identifier: Apache-2.0 */
/* Sources that modules bring: what they may say, when it counts, and who is told. */
#include "config_fixture.h"

#include "support/alloc_fail.h"

#include <sched.h>
#include <stdatomic.h>

static capp_source *the_source, *other_source;

static capp_status configure_source(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    const capp_source_entry entry = {"pool.threads", "1", 1, "test", 0, 0};

    (void)module;
    (void)reterr;
    assert_int_equal(capp_setup_add_source(setup, "first", &the_source), CAPP_OK);
    assert_int_equal(capp_setup_add_source(setup, "second", &other_source), CAPP_OK);
    assert_int_equal(capp_source_forbid(the_source, "http.limits"), CAPP_OK);
    assert_int_equal(capp_source_set(the_source, &entry, 1, NULL), CAPP_E_STATE);
    return CAPP_OK;
}

static capp_builder *builder_of(struct log_text *log, const char *text)
{
    capp_builder *builder = quiet_builder(log);

    capp_add_options(builder, &http_options_def);
    capp_add_options(builder, &pool_options_def);
    capp_configure(builder, capp_module_of("sources", configure_source, NULL));
    capp_use_config_file(builder, write_file("app.yaml", text), 0);
    return builder;
}

static capp_app *source_app(struct log_text *log, const char *text)
{
    capp_app *app = NULL;
    capp_error error;

    if (capp_build(builder_of(log, text), &app, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    return app;
}

/* What one source says: pairs of key and value; a key that ends in '!' has a document. */
static capp_status say(capp_source *source, const char *const *pairs, capp_error *reterr)
{
    capp_source_entry entries[16] = {0};
    char keys[16][64], places[16][96];
    size_t count = 0;

    for (; pairs != NULL && pairs[2 * count] != NULL; count++) {
        size_t len = strlen(pairs[2 * count]);
        bool document = len > 0 && pairs[2 * count][len - 1] == '!';

        snprintf(keys[count], sizeof(keys[count]), "%.*s", (int)(len - document), pairs[2 * count]);
        snprintf(places[count], sizeof(places[count]), "test:%s", keys[count]);
        entries[count] = (capp_source_entry){keys[count],
                                             pairs[2 * count + 1],
                                             strlen(pairs[2 * count + 1]),
                                             places[count],
                                             document ? CAPP_SOURCE_DOCUMENT : 0,
                                             0};
    }
    return capp_source_set(source, entries, count, reterr);
}

#define SAY(source, reterr, ...) say((source), (const char *const[]){__VA_ARGS__, NULL}, (reterr))

static void assert_pool(capp_app *app, int64_t threads, int64_t queue)
{
    capp_monitor *monitor = capp_app_monitor(app, &pool_options_type, NULL);
    const pool_options *now = capp_current(monitor, pool_options);

    assert_int_equal(now->threads, threads);
    assert_int_equal(now->queue, queue);
    capp_monitor_release(monitor, now);
}

static void they_stand_between_files_and_the_environment(void **state)
{
    capp_builder *builder;
    capp_app *app = NULL;

    (void)state;
    setenv("SRC_POOL__QUEUE", "77", 1);
    builder = builder_of(NULL, "pool: {threads: 3, queue: 3}\n");
    capp_use_config_env(builder, "SRC");
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_pool(app, 3, 77);
    assert_int_equal(SAY(the_source, NULL, "pool.threads", "5", "pool.queue", "5"), CAPP_OK);
    assert_pool(app, 5, 77);
    assert_int_equal(SAY(other_source, NULL, "pool.threads", "6"), CAPP_OK);
    assert_pool(app, 6, 77);
    assert_has(dump_of(app), "pool.threads: 6  # test:pool.threads\n");
    write_file("app.yaml", "pool: {threads: 4}\nhttp: {workers: 7}\n");
    must_reload(app); /* what a source said last stays */
    assert_pool(app, 6, 77);
    assert_has(dump_of(app), "http.workers: 7  # ");
    assert_int_equal(say(other_source, NULL, NULL), CAPP_OK);
    assert_pool(app, 5, 77);
    assert_int_equal(say(the_source, NULL, NULL), CAPP_OK);
    assert_pool(app, 4, 77);
    unsetenv("SRC_POOL__QUEUE");
    capp_free(app);
}

static void documents_are_laid_at_their_keys(void **state)
{
    capp_app *app = source_app(NULL, "pool: {threads: 3, queue: 3}\n");
    capp_monitor *monitor = capp_app_monitor(app, &http_options_type, NULL);
    const http_options *http;

    (void)state;
    assert_int_equal(SAY(the_source, NULL, "pool.threads", "9", "http!",
                         "{\"hosts\": [\"a\", \"b\\ud83d\\ude00\"], \"workers\": 8}", "!",
                         "pool: {queue: 6}\n"),
                     CAPP_OK);
    assert_pool(app, 9, 6);
    http = capp_current(monitor, http_options);
    assert_string_equal(http->hosts[1], "b\xf0\x9f\x98\x80");
    assert_int_equal(http->workers, 8);
    capp_monitor_release(monitor, http);
    assert_has(dump_of(app), "http.workers: 8  # test:http:1:");
    /* A key of its own counts more than a document. */
    assert_int_equal(SAY(the_source, NULL, "pool.threads", "10", "pool!", "threads: 11\n"), CAPP_OK);
    assert_pool(app, 10, 3);
    capp_free(app);
}

static void mistakes_change_nothing_and_are_all_reported(void **state)
{
    static struct log_text log;
    capp_app *app = source_app(&log, "pool: {threads: 3}\n");
    capp_error error = {0};

    (void)state;
    assert_int_equal(SAY(the_source, NULL, "pool.threads", "5"), CAPP_OK);
    assert_int_equal(SAY(the_source, &error, "pool.threads", "lots", "pool.tread", "1", "http.timeout", "1s",
                         "http.Timeout", "2s", "http.limits.buffer", "1", "a..b", "x", "pool!", "queue: [",
                         "http.mode.x", "y", "http.mode", "fast"),
                     CAPP_E_INVALID_ARGUMENT);
    assert_has(error.message, "mistakes: ");
    assert_has(log.text, "WARN config: test:pool.threads: pool.threads: 'lots' is not a whole number\n");
    assert_has(log.text, "test:pool.tread: there is no option 'pool.tread'; did you mean 'pool.threads'?\n");
    assert_has(log.text, "test:http.Timeout: another key says otherwise: 'http.Timeout'\n");
    assert_has(log.text, "test:http.limits.buffer: 'http.limits' cannot be configured by source first\n");
    assert_has(log.text, "test:a..b: this is no key: 'a..b'\n");
    assert_has(log.text, "WARN config: test:pool:");
    assert_has(log.text, "test:http.mode: another key stands above or below it: 'http.mode'\n");
    assert_pool(app, 5, 2);
    capp_free(app);
}

/* A value above the key would take its place. */
static void what_is_forbidden_cannot_be_replaced_either(void **state)
{
    capp_app *app = source_app(NULL, "http: {limits: {buffer: 3}}\n");
    capp_error error;

    (void)state;
    assert_int_equal(SAY(the_source, &error, "http", "x"), CAPP_E_INVALID_ARGUMENT);
    assert_has(error.message, "test:http: 'http.limits' cannot be configured by source first");
    assert_int_equal(SAY(the_source, &error, "http!", "limits: null\n"), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(SAY(the_source, &error, "!", "HTTP: null\n"), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(SAY(other_source, &error, "http.limits.buffer", "4"), CAPP_OK);
    assert_has(dump_of(app), "http.limits.buffer: 4B  # test:");
    capp_free(app);
}

static void bad_calls_are_refused(void **state)
{
    capp_app *app = source_app(NULL, "");
    capp_source_entry entry = {"pool.threads", "1", 1, "test", 0, 0};
    capp_error error;

    (void)state;
    assert_int_equal(capp_source_set(NULL, NULL, 0, &error), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_source_set(the_source, NULL, 1, &error), CAPP_E_INVALID_ARGUMENT);
    entry.flags = 8;
    assert_int_equal(capp_source_set(the_source, &entry, 1, &error), CAPP_E_INVALID_ARGUMENT);
    entry.flags = 0;
    entry.place = NULL;
    assert_int_equal(capp_source_set(the_source, &entry, 1, &error), CAPP_E_INVALID_ARGUMENT);
    entry.place = "test";
    entry.value = "1\0002";
    entry.value_len = 3;
    assert_int_equal(capp_source_set(the_source, &entry, 1, &error), CAPP_E_INVALID_ARGUMENT);
    assert_string_equal(error.message, "test: a value with a NUL in it");
    entry.value = "\xff\xfe";
    entry.value_len = 2;
    assert_int_equal(capp_source_set(the_source, &entry, 1, &error), CAPP_E_INVALID_ARGUMENT);
    assert_string_equal(error.message, "test: a value that is not UTF-8");
    assert_int_equal(capp_source_forbid(the_source, "x"), CAPP_E_STATE);
    assert_int_equal(capp_source_forbid(NULL, "x"), CAPP_E_INVALID_ARGUMENT);
    capp_free(app);
}

/* ---- in a running application ------------------------------------------------------------------------ */

typedef struct pool {
    const pool_options *options;
    capp_app *app;
} pool;
CAPP_TYPE_DEFINE(pool);

static const capp_inject pool_rows[] = {CAPP_INJECT(pool, options, pool_options),
                                        CAPP_INJECT(pool, app, capp_app)};

static capp_status pool_init(void *self, capp_error *reterr)
{
    (void)reterr;
    trace("init %d", (int)((pool *)self)->options->threads);
    return CAPP_OK;
}

static capp_status pool_start(void *self, capp_error *reterr)
{
    pool *own = self;

    (void)reterr;
    trace("start %d", (int)own->options->threads);
    assert_int_equal(SAY(the_source, NULL, "pool.threads", "50"), CAPP_OK);
    trace("still %d", (int)own->options->threads);
    capp_stop(own->app);
    return CAPP_OK;
}

static const capp_service pool_def = CAPP_SERVICE(pool, CAPP_INJECTS(pool_rows), .init = pool_init,
                                                  .start = pool_start);

static capp_status load(void *self, capp_error *reterr)
{
    (void)self;
    return SAY(the_source, reterr, "pool.threads", "40");
}

static capp_status configure_loading(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)configure_source(setup, module, reterr);
    return capp_add_hook(setup, &(capp_hook){.size = sizeof(capp_hook), .start = load});
}

static void services_start_with_what_sources_have_said(void **state)
{
    static struct log_text log;
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;

    (void)state;
    trace_clear();
    capp_add_options(builder, &http_options_def);
    capp_add_options(builder, &pool_options_def);
    capp_use_config_default(builder, "pool.threads", "30");
    capp_add_service(builder, &pool_def);
    capp_configure(builder, capp_module_of("loading", configure_loading, NULL));
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_int_equal(capp_run(app, NULL), CAPP_OK);
    assert_string_equal(the_trace.text, "init 30, start 40, still 40, ");
    /* The first comes in time for the service, the second does not. */
    assert_has(log.text, "INFO config: pool.threads changed (test:pool.threads)\n");
    assert_has(log.text,
               "INFO config: pool.threads changed (test:pool.threads): takes effect at the next start\n");
    capp_free(app);
}

/* ---- who is told ------------------------------------------------------------------------------------- */

struct told {
    pthread_t by; /* who said something */
    atomic_int calls;
    _Atomic int64_t threads;
};

/* On a thread of the host; it may make sources say more. */
static void tell(const void *before, const void *now, void *user_data)
{
    struct told *told = user_data;

    (void)before;
    assert_false(pthread_equal(pthread_self(), told->by));
    atomic_store(&told->threads, ((const pool_options *)now)->threads);
    if (atomic_fetch_add(&told->calls, 1) == 0)
        assert_int_equal(SAY(other_source, NULL, "pool.threads", "61"), CAPP_OK);
}

static void who_follows_is_told_on_a_thread_of_the_host(void **state)
{
    capp_app *app = source_app(NULL, "pool: {threads: 3}\n");
    struct told told = {.by = pthread_self()};
    capp_monitor_entry *entry;

    (void)state;
    assert_int_equal(
        capp_monitor_add(capp_app_monitor(app, &pool_options_type, NULL), tell, &told, &entry, NULL),
        CAPP_OK);
    assert_int_equal(SAY(the_source, NULL, "http.workers", "5"), CAPP_OK); /* of no interest */
    assert_int_equal(SAY(the_source, NULL, "pool.threads", "60"), CAPP_OK);
    for (int64_t until = now_ms() + 10000; atomic_load(&told.threads) != 61 && now_ms() < until;)
        sched_yield();
    assert_int_equal(atomic_load(&told.threads), 61);
    assert_int_equal(atomic_load(&told.calls), 2);
    capp_monitor_remove(entry);
    capp_free(app);
}

enum { ROUNDS = 40 };

static void *reload_often(void *arg)
{
    for (int i = 0; i < ROUNDS; i++)
        must_reload(arg);
    return NULL;
}

static void *say_often(void *arg)
{
    char number[16];

    for (int i = 0; i < ROUNDS; i++) {
        snprintf(number, sizeof(number), "%d", i + 1);
        assert_int_equal(SAY(arg, NULL, "pool.threads", number, "pool.queue", number), CAPP_OK);
    }
    return NULL;
}

static void count_whole(const void *before, const void *now, void *user_data)
{
    const pool_options *old = before, *fresh = now;

    assert_int_equal(old->threads, old->queue);
    assert_int_equal(fresh->threads, fresh->queue);
    atomic_fetch_add((atomic_int *)user_data, 1);
}

static void sources_and_reloads_at_the_same_time(void **state)
{
    capp_app *app = source_app(NULL, "pool: {threads: 3, queue: 3}\n");
    capp_monitor *monitor = capp_app_monitor(app, &pool_options_type, NULL);
    pthread_t threads[3];
    atomic_int calls = 0;
    capp_monitor_entry *entry;

    (void)state;
    assert_int_equal(capp_monitor_add(monitor, count_whole, &calls, &entry, NULL), CAPP_OK);
    assert_int_equal(pthread_create(&threads[0], NULL, reload_often, app), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, say_often, the_source), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, say_often, other_source), 0);
    for (int i = 0; i < 200; i++) {
        const pool_options *now = capp_current(monitor, pool_options);

        assert_int_equal(now->threads, now->queue);
        capp_monitor_release(monitor, now);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    must_reload(app); /* returns when all has been told */
    assert_pool(app, ROUNDS, ROUNDS);
    assert_true(atomic_load(&calls) > 0);
    capp_monitor_remove(entry);
    capp_free(app);
}

/* ---- memory ------------------------------------------------------------------------------------------ */

struct tries {
    capp_app *app;
    int64_t threads;
    size_t failures, successes;
};

static void try_once(size_t n, void *user)
{
    struct tries *tries = user;
    capp_error error = {0};
    char threads[24];

    snprintf(threads, sizeof(threads), "%zu", n + 10);
    if (SAY(the_source, &error, "pool.threads", threads, "http!", "hosts: [a, b]\n") == CAPP_OK) {
        tries->successes++;
        tries->threads = (int64_t)n + 10;
    } else {
        assert_int_equal(error.status, CAPP_E_NO_MEMORY);
        tries->failures++;
    }
    assert_pool(tries->app, tries->threads, 2);
}

static void out_of_memory_keeps_the_last_good_one(void **state)
{
    struct tries tries = {.app = source_app(NULL, "pool: {threads: 3}\n"), .threads = 3};

    (void)state;
    assert_true(alloc_fail_each(try_once, &tries) > 20);
    assert_true(tries.failures > 20);
    assert_true(tries.successes > 0);
    capp_free(tries.app);
}

static capp_status configure_careful(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)module;
    (void)reterr;
    if (capp_setup_add_source(setup, "first", &the_source) == CAPP_OK)
        (void)capp_source_forbid(the_source, "http.limits");
    return CAPP_OK;
}

static void build_once(size_t n, void *user)
{
    size_t live = alloc_live();
    capp_builder *builder = capp_builder_new();
    struct tries *tries = user;
    capp_app *app = NULL;
    capp_error error;

    (void)n;
    capp_use_log(builder, log_nowhere, NULL);
    capp_configure(builder, capp_module_of("sources", configure_careful, NULL));
    if (capp_build(builder, &app, &error) == CAPP_OK) {
        tries->successes++;
    } else {
        assert_int_equal(error.status, CAPP_E_NO_MEMORY);
        tries->failures++;
    }
    capp_free(app);
    assert_int_equal(alloc_live(), live);
}

static void out_of_memory_in_a_build(void **state)
{
    struct tries tries = {0};

    (void)state;
    assert_true(alloc_fail_each(build_once, &tries) > 10);
    assert_true(tries.failures > 10);
    assert_true(tries.successes > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_stand_between_files_and_the_environment),
        cmocka_unit_test(documents_are_laid_at_their_keys),
        cmocka_unit_test(mistakes_change_nothing_and_are_all_reported),
        cmocka_unit_test(what_is_forbidden_cannot_be_replaced_either),
        cmocka_unit_test(bad_calls_are_refused),
        cmocka_unit_test(services_start_with_what_sources_have_said),
        cmocka_unit_test(who_follows_is_told_on_a_thread_of_the_host),
        cmocka_unit_test(sources_and_reloads_at_the_same_time),
        cmocka_unit_test(out_of_memory_keeps_the_last_good_one),
        cmocka_unit_test(out_of_memory_in_a_build),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
