/* SPDX-License-Identifier: Apache-2.0 */
/* Names of clients: 1-63 characters of A-Z a-z 0-9 _ -, compared without case and with '-' like '_'. */
#ifndef CAPP__ETCD_NAME_H
#define CAPP__ETCD_NAME_H

#include "capp/error.h"

#include <stdbool.h>

enum { CAPP__ETCD_NAME_SIZE = 64 };

/* Fails with a message that has the name, whatever is in it. */
capp_status capp__etcd_name_check(const char *name, capp_error *reterr);
/* In capitals, with '_' for '-'. Names are the same if these are. */
void capp__etcd_name_fold(char dst[CAPP__ETCD_NAME_SIZE], const char *name);
bool capp__etcd_name_same(const char *a, const char *b);
/* Whether the client is the unnamed one, too. */
bool capp__etcd_name_is_default(const char *name);

#endif
