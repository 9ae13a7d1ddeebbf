/* SPDX-License-Identifier: Apache-2.0 */
/* An application in a thread of its own that is configured from etcd, for the tests of that. */
#ifndef ETCDC_TESTS_CONFIG_APP_H
#define ETCDC_TESTS_CONFIG_APP_H

#include "capp/etcd.h"

#include "unit/capp/fixture.h"

#include <stdatomic.h>

typedef struct pool_options {
    int64_t threads, queue;
    const char *name;
    capp_secret token;
} pool_options;
CAPP_TYPE_DEFINE(pool_options);

static const capp_option pool_fields[] = {
    CAPP_INT(pool_options, threads, "threads", .fallback = "1", .min = 1, .max = 1000),
    CAPP_INT(pool_options, queue, "limits.queue", .fallback = "1"),
    CAPP_TEXT(pool_options, name, "name", .fallback = "none"),
    CAPP_SECRET(pool_options, token, "token"),
};

/* Many threads are for those with a big name: values of two sources that need each other. */
static capp_status check_pool(const void *options, capp_error *reterr)
{
    const pool_options *pool = options;

    if (pool->threads <= 900 || strcmp(pool->name, "big") == 0)
        return CAPP_OK;
    return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "%lld threads are for 'big' ones",
                     (long long)pool->threads);
}

static const capp_options pool_options_def = CAPP_OPTIONS(pool_options, "pool", CAPP_FIELDS(pool_fields),
                                                          .check = check_pool);

/* What the source and its client are to be. Zeroed: not set. */
struct config_app {
    const char *endpoint, *user, *password, *file;
    capp_etcd_source_opts source;

    capp_app *app;
    capp_monitor *monitor;
    capp_monitor_entry *entry;
    atomic_int changes;
    struct log_text log;
    pthread_t thread;
    capp_status status;
    capp_error error;
};

static void add_config_client(capp_etcd_builder *b, void *user)
{
    struct config_app *config = user;
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;

    opts.endpoints = ETCD_LIST(config->endpoint);
    opts.dial_timeout_ms = 1000;
    opts.timeout_ms = 2000;
    if (config->user != NULL) {
        opts.username = config->user;
        opts.password = ETCD_SECRET_TEXT(config->password);
    }
    (void)capp_etcd_add_client(b, "config", &opts);
    config->source.size = sizeof(config->source);
    (void)capp_etcd_add_source(b, &config->source);
}

static void count_change(const void *before, const void *now, void *user_data)
{
    (void)before;
    (void)now;
    atomic_fetch_add((atomic_int *)user_data, 1);
}

static void *run_config_app(void *arg)
{
    struct config_app *config = arg;

    config->status = capp_run(config->app, &config->error);
    return NULL;
}

/* Builds it and runs it. */
__attribute__((unused)) static void config_app_start(struct config_app *config)
{
    capp_builder *builder = quiet_builder(&config->log);

    capp_add_options(builder, &pool_options_def);
    capp_configure(builder, capp_etcd(add_config_client, config));
    if (config->file != NULL)
        capp_use_config_file(builder, config->file, 0);
    if (capp_build(builder, &config->app, &config->error) != CAPP_OK)
        fail_msg("%s", config->error.message);
    config->monitor = capp_app_monitor(config->app, &pool_options_type, NULL);
    assert_int_equal(capp_monitor_add(config->monitor, count_change, &config->changes, &config->entry, NULL),
                     CAPP_OK);
    assert_int_equal(pthread_create(&config->thread, NULL, run_config_app, config), 0);
}

__attribute__((unused)) static void config_app_end(struct config_app *config)
{
    capp_stop(config->app);
    pthread_join(config->thread, NULL);
    capp_monitor_remove(config->entry);
    capp_free(config->app);
}

/* What is current: "threads/queue/name". */
__attribute__((unused)) static bool config_app_shows(struct config_app *config, const char *wanted)
{
    const pool_options *now = capp_current(config->monitor, pool_options);
    char shown[128];

    snprintf(shown, sizeof(shown), "%lld/%lld/%s", (long long)now->threads, (long long)now->queue, now->name);
    capp_monitor_release(config->monitor, now);
    return strcmp(shown, wanted) == 0;
}

__attribute__((unused)) static bool config_app_logged(struct config_app *config, const char *part)
{
    pthread_mutex_lock(&config->log.mutex);
    bool has = strstr(config->log.text, part) != NULL;
    pthread_mutex_unlock(&config->log.mutex);
    return has;
}

/* Whether a line of the health report begins with the text. */
__attribute__((unused)) static bool config_app_reports(struct config_app *config, const char *line)
{
    char report[4096], wanted[256];

    (void)capp_health_report(config->app, CAPP_HEALTH_TEXT, report, sizeof(report));
    snprintf(wanted, sizeof(wanted), "\n%s", line);
    return strstr(report, wanted) != NULL;
}

/* How many times a text stands in the log. */
__attribute__((unused)) static size_t config_app_count(struct config_app *config, const char *part)
{
    size_t count = 0;

    pthread_mutex_lock(&config->log.mutex);
    for (const char *at = config->log.text; (at = strstr(at, part)) != NULL; at++)
        count++;
    pthread_mutex_unlock(&config->log.mutex);
    return count;
}

/* Waits for one of the two. */
#define CONFIG_AWAIT(config, what, wanted_)                                             \
    do {                                                                                \
        int64_t until_ms_ = now_ms() + (int64_t)20000 * ETCDC_TIME_SCALE;               \
        while (!config_app_##what((config), (wanted_))) {                               \
            if (now_ms() > until_ms_)                                                   \
                fail_msg("'%s' did not come; log:\n%s", (wanted_), (config)->log.text); \
            nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);                    \
        }                                                                               \
    } while (0)

#endif
