/* SPDX-License-Identifier: Apache-2.0 */
/* The value of one option into its field. What is wrong is noted, and the field stays as it was. */
#ifndef CAPP__CONFIG_STORE_H
#define CAPP__CONFIG_STORE_H

#include "snapshot.h"

/* What is being read: one option of one struct. */
struct capp__filling {
    struct capp__snapshot *snapshot;
    struct capp__mistakes *mistakes;
    const capp_option *option;
    void *field;
    char path[CAPP__PATH_SIZE];
    struct capp__place place;
};

/* False: noted. */
bool capp__store_node(struct capp__filling *filling, struct capp__node *node);
bool capp__store_text(const struct capp__filling *filling, const char *text);
/* Notes that there is no value where there must be one. */
void capp__store_missing(const struct capp__filling *filling);

#endif
