/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAPP__SCOPE_H
#define CAPP__SCOPE_H

#include "capp/scope.h"
#include "make.h"

struct capp__snapshot;

struct capp_scope {
    capp_app *app;
    struct capp__keeper keeper;
    struct capp__snapshot *snapshot; /* of the configuration, from the moment when the scope was opened */
    struct capp__instance *scoped[]; /* by capp__entry.slot */
};

#endif
