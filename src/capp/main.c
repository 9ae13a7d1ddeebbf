/* SPDX-License-Identifier: Apache-2.0 */
/* capp_main: the one place that prints on its own and may end the process. */
#include "base/str.h"
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

int capp_main(capp_builder *builder)
{
    char name[CAPP__NAME_SIZE];
    capp_app *app = NULL;
    capp_error error = {0};

    etcd__format(name, sizeof(name), "%s", builder == NULL ? "app" : builder->app->name);
    if (capp_build(builder, &app, &error) != CAPP_OK) {
        print_failure(name, &error);
        return EXIT_FAILURE;
    }
    if (app->signals == CAPP_SIGNALS_AUTO)
        app->signals = CAPP_SIGNALS_STOP_OR_EXIT;
    capp_status status = capp_run(app, &error);
    if (status != CAPP_OK)
        print_failure(name, &error);
    if (app->left_behind)
        leave(EXIT_FAILURE);
    capp_free(app);
    return status == CAPP_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
