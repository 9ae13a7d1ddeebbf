/* SPDX-License-Identifier: Apache-2.0 */
/* A new state of the configuration in the place of the old one. */
#ifndef CAPP__RELOAD_H
#define CAPP__RELOAD_H

#include "capp/error.h"
#include "config_tree.h"
#include "mistakes.h"

#include <stdbool.h>

typedef struct capp_app capp_app;
struct capp__source;

/*
 * Reads files and directories again, checks everything together, and makes it current; calls those who follow
 * a value that changed, and returns when all of them have been called. False when anything is wrong: all of
 * it has been logged then (WARN, "config") and stands in the error, and nothing has changed.
 *
 * For the thread "capp-reload" of the host: blocks on files and on code of the program. Not from a change
 * function, and not after the application's components have been stopped.
 */
bool capp__reload_now(capp_app *app, capp_error *reterr);

/*
 * The same with a source that says something else: `tree` is consumed, and so are the mistakes that were
 * found in it already. Files are not read again. Change functions are called later, on the thread of
 * capp__changes_start(), which runs.
 */
bool capp__reload_with(capp_app *app, struct capp__source *source, struct capp__tree *tree,
                       struct capp__mistakes *mistakes, capp_error *reterr);

#endif
