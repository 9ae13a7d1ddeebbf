/* SPDX-License-Identifier: Apache-2.0 */
/* A struct of options with a field of every kind, and a folder for files of configuration. */
#ifndef TESTS_CAPP_CONFIG_FIXTURE_H
#define TESTS_CAPP_CONFIG_FIXTURE_H

#include "fixture.h"

#include "capp/reload.h"

#include <sys/stat.h>
#include <unistd.h>

typedef struct http_options {
    const char *listen;
    bool tls;
    int64_t workers;
    int64_t timeout_ms;
    size_t buffer;
    const char *const *hosts;
    int mode;
    capp_secret token;
} http_options;
CAPP_TYPE_DEFINE(http_options);

static const capp_choice modes[] = {{"fast", 1, 0}, {"careful", 2, 0}};

static const capp_option http_fields[] = {
    CAPP_TEXT(http_options, listen, "listen", .fallback = "127.0.0.1:8080", .help = "Where to listen."),
    CAPP_BOOL(http_options, tls, "tls", .fallback = "no"),
    CAPP_INT(http_options, workers, "workers", .fallback = "4", .min = 1, .max = 64),
    CAPP_DURATION(http_options, timeout_ms, "timeout", .fallback = "5s", .min = 1),
    CAPP_SIZE(http_options, buffer, "limits.buffer", .fallback = "64KiB"),
    CAPP_TEXTS(http_options, hosts, "hosts"),
    CAPP_CHOICE(http_options, mode, modes, "mode", .fallback = "careful"),
    CAPP_SECRET(http_options, token, "token"),
};

__attribute__((unused)) static capp_status check_http(const void *options, capp_error *reterr)
{
    const http_options *http = options;

    return http->tls && http->token.kind == CAPP_SECRET_NONE
               ? capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "tls needs a token")
               : CAPP_OK;
}

static const capp_options http_options_def = CAPP_OPTIONS(http_options, "http", CAPP_FIELDS(http_fields),
                                                          .check = check_http, .help = "The HTTP server.");

typedef struct pool_options {
    int64_t threads, queue;
} pool_options;
CAPP_TYPE_DEFINE(pool_options);

static const capp_option pool_fields[] = {
    CAPP_INT(pool_options, threads, "threads", .fallback = "2"),
    CAPP_INT(pool_options, queue, "queue", .fallback = "2"),
};
static const capp_options pool_options_def = CAPP_OPTIONS(pool_options, "pool", CAPP_FIELDS(pool_fields));

static char folder[64];

/* A file of the folder, written as a whole: who reads meanwhile sees the old or the new one. */
static const char *write_file(const char *name, const char *text)
{
    static char path[128];
    char draft[160];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    snprintf(draft, sizeof(draft), "%s.draft", path);
    file = fopen(draft, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(draft, path), 0);
    return path;
}

/* An application with both structs, built from one file. */
__attribute__((unused)) static capp_app *app_of(struct log_text *log, const char *text)
{
    capp_builder *builder = quiet_builder(log);
    capp_app *app = NULL;
    capp_error error;

    capp_add_options(builder, &http_options_def);
    capp_add_options(builder, &pool_options_def);
    capp_use_config_file(builder, write_file("app.yaml", text), 0);
    if (capp_build(builder, &app, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    return app;
}

__attribute__((unused)) static void must_reload(capp_app *app)
{
    capp_error error;

    if (!capp__reload_now(app, &error))
        fail_msg("%s", error.message);
}

/* What the dump says, to be used until the next call. */
__attribute__((unused)) static const char *dump_of(const capp_app *app)
{
    static char dump[8192];

    assert_true(capp_config_dump(app, dump, sizeof(dump)) < sizeof(dump));
    return dump;
}

__attribute__((unused)) static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/capp-config-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

__attribute__((unused)) static int remove_folder(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    return system(command);
}

#endif
