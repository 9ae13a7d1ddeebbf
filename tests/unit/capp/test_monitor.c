/* SPDX-License-Identifier: Apache-2.0 */
/* Current values and change functions, with reloads at the same time. */
#include "config_fixture.h"

#include "support/alloc_fail.h"

#include <stdatomic.h>

static void write_pool(int64_t n)
{
    char text[96];

    snprintf(text, sizeof(text), "pool: {threads: %lld, queue: %lld}\n", (long long)n, (long long)n);
    write_file("app.yaml", text);
}

static void note_change(const void *before, const void *now, void *user_data)
{
    trace("%s %d->%d", (const char *)user_data, (int)((const pool_options *)before)->threads,
          (int)((const pool_options *)now)->threads);
}

static void what_is_held_stays(void **state)
{
    capp_app *app = app_of(NULL, "pool: {threads: 1}\nhttp: {listen: here, hosts: [a], token: t}\n");
    capp_monitor *monitor = capp_app_monitor(app, &http_options_type, NULL);
    const http_options *held = capp_current(monitor, http_options), *now;

    (void)state;
    write_file("app.yaml", "http: {listen: there, hosts: [b]}\n");
    for (int i = 0; i < 3; i++)
        must_reload(app);
    now = capp_current(monitor, http_options);
    assert_string_equal(held->listen, "here");
    assert_string_equal(held->hosts[0], "a");
    assert_string_equal(held->token.ref, "t");
    assert_string_equal(now->listen, "there");
    capp_monitor_release(monitor, held);
    capp_monitor_release(monitor, now);
    capp_monitor_release(monitor, NULL);
    assert_null(capp_monitor_hold(NULL));
    capp_free(app);
}

static void only_whose_values_differ_are_called(void **state)
{
    capp_app *app = app_of(NULL, "pool: {threads: 1}\nhttp: {hosts: [a, b], token: {env: X}}\n");
    capp_monitor_entry *pool, *again, *http;

    (void)state;
    trace_clear();
    assert_int_equal(
        capp_monitor_add(capp_app_monitor(app, &pool_options_type, NULL), note_change, "pool", &pool, NULL),
        CAPP_OK);
    assert_int_equal(
        capp_monitor_add(capp_app_monitor(app, &http_options_type, NULL), note_change, "http", &http, NULL),
        CAPP_OK);
    assert_int_equal(
        capp_monitor_add(capp_app_monitor(app, &pool_options_type, NULL), note_change, "again", &again, NULL),
        CAPP_OK);
    must_reload(app);
    write_file("app.yaml", "pool: {threads: 2}\nhttp:\n  token: {env: X}\n  hosts: [a, b]\n");
    must_reload(app);
    must_reload(app);
    write_file("app.yaml", "pool: {threads: x}\n");
    assert_false(capp__reload_now(app, NULL));
    capp_monitor_remove(pool);
    write_file("app.yaml", "pool: {threads: 3}\nhttp: {hosts: [a, b], token: {env: X}}\n");
    must_reload(app);
    assert_string_equal(the_trace.text, "pool 1->2, again 1->2, again 2->3, ");
    capp_monitor_remove(again);
    capp_monitor_remove(http);
    capp_monitor_remove(NULL);
    capp_free(app);
}

static void every_kind_of_value_is_compared(void **state)
{
    static const char *const texts[] = {
        "http: {listen: x}\n",     "http: {tls: yes, token: a}\n", "http: {token: a}\n",
        "http: {token: b}\n",      "http: {token: {env: b}}\n",    "http: {workers: 9}\n",
        "http: {timeout: 9s}\n",   "http: {limits.buffer: 9}\n",   "http: {hosts: [a]}\n",
        "http: {hosts: [a, b]}\n", "http: {hosts: [a, c]}\n",      "http: {mode: fast}\n",
        "http: {hosts: []}\n",
    };
    capp_app *app = app_of(NULL, "");
    capp_monitor_entry *entry;

    (void)state;
    trace_clear();
    assert_int_equal(
        capp_monitor_add(capp_app_monitor(app, &http_options_type, NULL), note_change, "x", &entry, NULL),
        CAPP_OK);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        write_file("app.yaml", texts[i]);
        trace_clear();
        must_reload(app);
        if (strncmp(the_trace.text, "x ", 2) != 0)
            fail_msg("no change was seen: %s", texts[i]);
        trace_clear();
        must_reload(app);
        assert_string_equal(the_trace.text, "");
    }
    capp_monitor_remove(entry);
    capp_free(app);
}

static void wrong_questions(void **state)
{
    capp_app *app = app_of(NULL, "");
    capp_monitor *monitor = capp_app_monitor(app, &pool_options_type, NULL);
    capp_monitor_entry *entry = NULL;
    capp_error error;

    (void)state;
    assert_null(capp_app_monitor(NULL, &pool_options_type, &error));
    assert_int_equal(error.status, CAPP_E_INVALID_ARGUMENT);
    assert_null(capp_app_monitor(app, NULL, &error));
    assert_null(capp_app_monitor(app, &capp_app_type, &error));
    assert_int_equal(error.status, CAPP_E_NOT_FOUND);
    assert_string_equal(error.message, "there are no options capp_app: add them with capp_add_options()");
    assert_int_equal(capp_monitor_add(NULL, note_change, NULL, &entry, &error), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_monitor_add(monitor, NULL, NULL, &entry, &error), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_monitor_add(monitor, note_change, NULL, NULL, &error), CAPP_E_INVALID_ARGUMENT);
    alloc_fail_at(1);
    assert_int_equal(capp_monitor_add(monitor, note_change, NULL, &entry, &error), CAPP_E_NO_MEMORY);
    alloc_fail_at(0);
    assert_null(entry);
    capp_free(app);
}

/* ---- injected ---------------------------------------------------------------------------------------- */

typedef struct follower {
    const capp_monitor *pool;
    const pool_options *once;
} follower;
CAPP_TYPE_DEFINE(follower);

static const capp_inject follower_rows[] = {CAPP_INJECT_MONITOR(follower, pool, pool_options),
                                            CAPP_INJECT(follower, once, pool_options)};
static const capp_service follower_def = CAPP_SERVICE(follower, CAPP_INJECTS(follower_rows));

typedef struct request {
    const pool_options *pool;
    const http_options *http;
    follower *follower;
} request;
CAPP_TYPE_DEFINE(request);

static const capp_inject request_rows[] = {CAPP_INJECT(request, pool, pool_options),
                                           CAPP_INJECT(request, http, http_options),
                                           CAPP_INJECT(request, follower, follower)};
static const capp_service request_def = CAPP_SERVICE(request, CAPP_INJECTS(request_rows),
                                                     .lifetime = CAPP_SCOPED);

typedef struct step {
    const pool_options *pool;
} step;
CAPP_TYPE_DEFINE(step);

static const capp_inject step_rows[] = {CAPP_INJECT(step, pool, pool_options)};
static const capp_service step_def = CAPP_SERVICE(step, CAPP_INJECTS(step_rows), .lifetime = CAPP_TRANSIENT);

static capp_app *serving_app(struct log_text *log)
{
    capp_builder *builder = quiet_builder(log);
    capp_app *app = NULL;
    capp_error error;

    capp_add_options(builder, &http_options_def);
    capp_add_options(builder, &pool_options_def);
    capp_add_service(builder, &follower_def);
    capp_add_service(builder, &request_def);
    capp_add_service(builder, &step_def);
    capp_use_config_file(builder, write_file("app.yaml", "pool: {threads: 1, queue: 1}\n"), 0);
    if (capp_build(builder, &app, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    return app;
}

/* A scope shows one configuration, that of when it was opened; a singleton's own struct never changes. */
static void a_scope_has_the_options_of_its_beginning(void **state)
{
    static struct log_text log;
    capp_app *app = serving_app(&log);
    const follower *single = capp_get(app, follower, NULL);
    capp_scope *early, *late;
    const request *one, *two;
    const pool_options *now;

    (void)state;
    assert_int_equal(capp_scope_new(app, &early, NULL), CAPP_OK);
    write_file("app.yaml", "pool: {threads: 2, queue: 2}\nhttp: {workers: 9}\n");
    must_reload(app);
    assert_int_equal(capp_scope_new(app, &late, NULL), CAPP_OK);
    one = capp_scope_get(early, request, NULL);
    two = capp_scope_get(late, request, NULL);
    assert_int_equal(one->pool->threads, 1);
    assert_int_equal(one->http->workers, 4);
    assert_int_equal(two->pool->threads, 2);
    assert_int_equal(two->http->workers, 9);
    assert_int_equal(capp_scope_get(late, step, NULL)->pool->queue, 2);
    assert_int_equal(capp_scope_get(early, step, NULL)->pool->queue, 1);
    assert_ptr_equal(capp_scope_get(early, pool_options, NULL), one->pool);
    assert_int_equal(single->once->threads, 1);
    assert_ptr_equal(two->follower->once, single->once);
    now = capp_current(single->pool, pool_options);
    assert_int_equal(now->threads, 2);
    capp_monitor_release(single->pool, now);
    assert_has(log.text, "INFO config: pool.threads changed (");
    write_file("app.yaml", "");
    must_reload(app);
    assert_int_equal(two->pool->threads, 2);
    capp_scope_free(early);
    capp_scope_free(late);
    capp_free(app);
}

static void only_options_have_monitors(void **state)
{
    static const capp_inject rows[] = {{"pool", &capp_app_type, NULL, 0, CAPP_INJECT_CURRENT, 0}};
    static const capp_inject named[] = {{"pool", &pool_options_type, "x", 0, CAPP_INJECT_CURRENT, 0}};
    static const capp_service def = CAPP_SERVICE(follower, CAPP_INJECTS(rows));
    static const capp_service named_def = CAPP_SERVICE(step, CAPP_INJECTS(named));
    static const capp_service missing_def = CAPP_SERVICE(request, CAPP_INJECTS(follower_rows));
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    capp_add_service(builder, &def);
    capp_add_service(builder, &named_def);
    capp_add_service(builder, &missing_def);
    assert_int_not_equal(capp_build(builder, &app, &error), CAPP_OK);
    assert_has(error.message, "field pool is a monitor, but capp_app is no struct of options");
    assert_has(error.message, "service step: field pool is a monitor: options have no name");
    assert_has(error.message, "field pool needs the unnamed pool_options; none is registered");
}

/* ---- coming and going during a call ------------------------------------------------------------------ */

struct visitor {
    capp_app *app;
    capp_monitor_entry *entry, *other;
    atomic_bool inside, may_leave, left;
};

static void remove_itself(const void *before, const void *now, void *user_data)
{
    struct visitor *visitor = user_data;
    capp_monitor *monitor = capp_app_monitor(visitor->app, &pool_options_type, NULL);

    capp_monitor_remove(visitor->entry);
    assert_int_equal(capp_monitor_add(monitor, note_change, "other", &visitor->other, NULL), CAPP_OK);
    assert_int_equal(((const pool_options *)before)->threads + 1, ((const pool_options *)now)->threads);
}

static void a_function_may_remove_itself_and_add_another(void **state)
{
    struct visitor visitor = {.app = app_of(NULL, "pool: {threads: 1}\n")};
    capp_monitor *monitor = capp_app_monitor(visitor.app, &pool_options_type, NULL);

    (void)state;
    trace_clear();
    assert_int_equal(capp_monitor_add(monitor, remove_itself, &visitor, &visitor.entry, NULL), CAPP_OK);
    write_pool(2);
    must_reload(visitor.app);
    write_pool(3);
    must_reload(visitor.app);
    assert_string_equal(the_trace.text, "other 2->3, ");
    capp_monitor_remove(visitor.other);
    capp_free(visitor.app);
}

static void stay_a_while(const void *before, const void *now, void *user_data)
{
    struct visitor *visitor = user_data;

    (void)before;
    (void)now;
    atomic_store(&visitor->inside, true);
    while (!atomic_load(&visitor->may_leave))
        sched_yield();
    atomic_store(&visitor->left, true);
}

static void *reload_main(void *arg)
{
    must_reload(arg);
    return NULL;
}

static void *let_leave_soon(void *arg)
{
    struct visitor *visitor = arg;

    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    atomic_store(&visitor->may_leave, true);
    return NULL;
}

/* Readers get the new value while a change function still runs; who removes it waits for it. */
static void removing_waits_for_the_call(void **state)
{
    struct visitor visitor = {.app = app_of(NULL, "pool: {threads: 1}\n")};
    capp_monitor *monitor = capp_app_monitor(visitor.app, &pool_options_type, NULL);
    const pool_options *now;
    pthread_t reloading, letting;

    (void)state;
    assert_int_equal(capp_monitor_add(monitor, stay_a_while, &visitor, &visitor.entry, NULL), CAPP_OK);
    write_pool(2);
    assert_int_equal(pthread_create(&reloading, NULL, reload_main, visitor.app), 0);
    while (!atomic_load(&visitor.inside))
        sched_yield();
    now = capp_current(monitor, pool_options);
    assert_int_equal(now->threads, 2);
    capp_monitor_release(monitor, now);
    assert_int_equal(pthread_create(&letting, NULL, let_leave_soon, &visitor), 0);
    capp_monitor_remove(visitor.entry);
    assert_true(atomic_load(&visitor.left));
    pthread_join(letting, NULL);
    pthread_join(reloading, NULL);
    capp_free(visitor.app);
}

/* ---- all at once ------------------------------------------------------------------------------------- */

enum { READERS = 3, CHANGERS = 2, RELOADS = 60 };

struct crowd {
    capp_app *app;
    capp_monitor *monitor;
    atomic_bool over;
    atomic_int_fast64_t last; /* what the change function that stays has seen */
    atomic_size_t reads, calls;
};

static void assert_whole(const pool_options *pool)
{
    if (pool->threads != pool->queue)
        fail_msg("threads %lld, queue %lld: of two configurations", (long long)pool->threads,
                 (long long)pool->queue);
}

static void *read_on(void *arg)
{
    struct crowd *crowd = arg;

    while (!atomic_load(&crowd->over)) {
        const pool_options *now = capp_current(crowd->monitor, pool_options);

        assert_whole(now);
        capp_monitor_release(crowd->monitor, now);
        atomic_fetch_add(&crowd->reads, 1);
    }
    return NULL;
}

static void count_change(const void *before, const void *now, void *user_data)
{
    struct crowd *crowd = user_data;

    assert_whole(before);
    assert_whole(now);
    assert_int_not_equal(((const pool_options *)before)->threads, ((const pool_options *)now)->threads);
    atomic_fetch_add(&crowd->calls, 1);
}

static void follow(const void *before, const void *now, void *user_data)
{
    struct crowd *crowd = user_data;

    assert_int_equal(((const pool_options *)before)->threads, atomic_load(&crowd->last));
    atomic_store(&crowd->last, ((const pool_options *)now)->threads);
}

static void *come_and_go(void *arg)
{
    struct crowd *crowd = arg;

    while (!atomic_load(&crowd->over)) {
        capp_monitor_entry *entry;

        assert_int_equal(capp_monitor_add(crowd->monitor, count_change, crowd, &entry, NULL), CAPP_OK);
        sched_yield();
        capp_monitor_remove(entry);
    }
    return NULL;
}

static void readers_reloads_and_changes_at_the_same_time(void **state)
{
    struct crowd crowd = {.app = app_of(NULL, "pool: {threads: 1, queue: 1}\n"), .last = 1};
    pthread_t threads[READERS + CHANGERS];
    capp_monitor_entry *entry;

    (void)state;
    crowd.monitor = capp_app_monitor(crowd.app, &pool_options_type, NULL);
    assert_int_equal(capp_monitor_add(crowd.monitor, follow, &crowd, &entry, NULL), CAPP_OK);
    for (int i = 0; i < READERS + CHANGERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < READERS ? read_on : come_and_go, &crowd), 0);
    for (int i = 0; i < RELOADS; i++) {
        write_pool(i + 2);
        must_reload(crowd.app);
        assert_int_equal(atomic_load(&crowd.last), i + 2);
        (void)dump_of(crowd.app);
    }
    atomic_store(&crowd.over, true);
    for (int i = 0; i < READERS + CHANGERS; i++)
        pthread_join(threads[i], NULL);
    assert_true(atomic_load(&crowd.reads) > 0);
    capp_monitor_remove(entry);
    capp_free(crowd.app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_held_stays),
        cmocka_unit_test(only_whose_values_differ_are_called),
        cmocka_unit_test(every_kind_of_value_is_compared),
        cmocka_unit_test(wrong_questions),
        cmocka_unit_test(a_scope_has_the_options_of_its_beginning),
        cmocka_unit_test(only_options_have_monitors),
        cmocka_unit_test(a_function_may_remove_itself_and_add_another),
        cmocka_unit_test(removing_waits_for_the_call),
        cmocka_unit_test(readers_reloads_and_changes_at_the_same_time),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
