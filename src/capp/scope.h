/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAPP__SCOPE_H
#define CAPP__SCOPE_H

#include "capp/scope.h"
#include "make.h"

struct capp__binding;
struct capp__snapshot;

struct capp_scope {
    capp_app *app;
    struct capp__keeper keeper;
    struct capp__snapshot *snapshot; /* of the configuration, from the moment when the scope was opened */
    struct capp__instance *scoped[]; /* by capp__entry.slot */
};

/* A struct of options as it was when the scope was opened. */
void *capp__scope_options(const struct capp_scope *scope, struct capp__binding *binding);

#endif
