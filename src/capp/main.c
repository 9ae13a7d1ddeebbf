/* SPDX-License-Identifier: Apache-2.0 */
/* capp_main: the one place that prints on its own and may end the process. */
#include "base/buf.h"
#include "base/str.h"
#include "describe.h"
#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_failure(const char *name, const capp_error *error)
{
    char line[4 * CAPP_ERROR_MESSAGE_SIZE];

    /* A message may quote something from outside; it stays one line. */
    etcd__escape_controls(line, sizeof(line), error->message, strlen(error->message));
    fprintf(stderr, "%s: %s\n", name, line);
}

/*
 * Ends the process beside a thread that still runs: exit() would destroy under its hands what
 * it uses. Buffered output is saved if that is possible without waiting.
 */
static _Noreturn void leave(int code)
{
    if (ftrylockfile(stdout) == 0) {
        fflush_unlocked(stdout);
        funlockfile(stdout);
    }
    _exit(code);
}

/* ---- questions --------------------------------------------------------------------------------------- */

static void print_mistakes(const char *name, const capp_builder *builder)
{
    capp_error error;

    for (size_t i = 0; i < builder->mistakes.list.count; i++) {
        capp__mistakes_get(&builder->mistakes, i, &error);
        print_failure(name, &error);
    }
    if (builder->mistakes.no_memory)
        fprintf(stderr, "%s: out of memory\n", name);
}

static bool write_answer(const capp_app *app, struct etcd__buf *text)
{
    switch (app->config.ask) {
    case CAPP__ASK_HELP:
        return capp__config_write_help(&app->config, text);
    case CAPP__ASK_DUMP:
        return capp__config_write_dump(&app->config, app->config.built, text);
    case CAPP__ASK_MAN:
        return capp__config_write_man(app, text);
    case CAPP__ASK_DESCRIBE:
        return capp__describe_app(app, CAPP_DESCRIBE_TEXT, text);
    case CAPP__ASK_DESCRIBE_DOT:
        return capp__describe_app(app, CAPP_DESCRIBE_DOT, text);
    case CAPP__ASK_NOTHING:
    case CAPP__ASK_CHECK:
        break;
    }
    return true;
}

static bool print_answer(const capp_app *app)
{
    struct etcd__buf text;
    size_t len;
    bool ok;

    etcd__buf_init(&text, 0);
    ok = write_answer(app, &text);
    len = etcd__buf_len(&text);
    ok = ok && (len == 0 || fwrite(etcd__buf_front(&text), 1, len, stdout) == len) && fflush(stdout) == 0;
    etcd__buf_deinit(&text);
    return ok;
}

/* Configures everything, makes and starts nothing. Help and manual page are given whatever is wrong with the
 * configuration. */
static int answer(capp_builder *builder, const char *name)
{
    enum capp__config_ask ask;
    bool sound;

    capp__configure_all(builder);
    ask = builder->app->config.ask;
    if (ask == CAPP__ASK_DESCRIBE || ask == CAPP__ASK_DESCRIBE_DOT)
        capp__check_graph(builder);
    sound = ask == CAPP__ASK_HELP || ask == CAPP__ASK_MAN || !capp__mistakes_any(&builder->mistakes);
    if (!sound)
        print_mistakes(name, builder);
    sound = print_answer(builder->app) && sound;
    capp_builder_free(builder);
    return sound ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- the whole life ---------------------------------------------------------------------------------- */

/* Signals first: one that comes while the application is built or started stops it in order, too. */
static void prepare(capp_builder *builder, struct capp__signals *signals)
{
    capp_app *app = builder->app;

    if (app->notify == CAPP_NOTIFY_AUTO)
        app->notify = CAPP_NOTIFY_ALWAYS;
    if (app->signals == CAPP_SIGNALS_AUTO)
        app->signals = CAPP_SIGNALS_STOP_OR_EXIT;
    if (app->signals == CAPP_SIGNALS_NONE || capp__wake_open(&app->wake, NULL) != CAPP_OK)
        return; /* a pipe that cannot be made is reported by the build, which tries again */
    capp__take_signals(app, signals);
    app->taken = signals;
}

static int build_and_run(capp_builder *builder, const char *name, const struct capp__signals *signals)
{
    capp_app *app = NULL;
    capp_error error = {0};

    capp_status status = capp_build(builder, &app, &error);
    if (status != CAPP_OK) {
        if (status == CAPP_E_CANCELLED && capp__signals_first(signals) != 0)
            return EXIT_SUCCESS;
        print_failure(name, &error);
        return EXIT_FAILURE;
    }
    status = capp_run(app, &error);
    if (status != CAPP_OK)
        print_failure(name, &error);
    if (app->left_behind)
        leave(EXIT_FAILURE);
    capp_free(app);
    return status == CAPP_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int capp_main(capp_builder *builder)
{
    char name[CAPP__NAME_SIZE];
    struct capp__signals signals = {0};

    etcd__format(name, sizeof(name), "%s", builder == NULL ? "app" : builder->app->name);
    if (builder != NULL && capp__config_asked(&builder->app->config))
        return answer(builder, name);
    if (builder != NULL)
        prepare(builder, &signals);
    int code = build_and_run(builder, name, &signals);
    capp__signals_give_back(&signals);
    return code;
}
