/* SPDX-License-Identifier: Apache-2.0 */
/* What the environment says of a client, over what the program says. See capp/etcd.h. */
#ifndef CAPP__ETCD_OVERRIDES_H
#define CAPP__ETCD_OVERRIDES_H

#include "capp/etcd.h"

enum { CAPP__ETCD_OVERRIDE_FIELDS = 5 };

/* Zeroed memory: nothing is overridden. */
struct capp__etcd_overrides {
    char variables[CAPP__ETCD_OVERRIDE_FIELDS][128]; /* the names; "" where it is not set */
    char *text;                                      /* a copy of the list of endpoints, cut in place */
    const char **endpoints;
};

/* Changes the options of this client. They refer to `overrides` and to the environment from then on. */
capp_status capp__etcd_overrides_apply(struct capp__etcd_overrides *overrides, const char *name,
                                       etcd_client_opts *opts, capp_error *reterr);
/* Names the variables in an error that options have which were changed. */
void capp__etcd_overrides_blame(const struct capp__etcd_overrides *overrides, capp_error *error);
void capp__etcd_overrides_deinit(struct capp__etcd_overrides *overrides);

/* Warns of each variable that looks as if it were meant for a client, and is not. */
void capp__etcd_overrides_warn(capp_etcd_factory *factory, const capp_logger *logger);

#endif
