/* SPDX-License-Identifier: Apache-2.0 */
/* What those who look at an election need: its candidates are the keys below `<name>/`. */
#ifndef ETCD__RECIPES_ELECTION_NAME_H
#define ETCD__RECIPES_ELECTION_NAME_H

#include "etcdc/client.h"

etcd_status etcd__election_check(const etcd_client *client, etcd_bytes name, etcd_error *reterr);
/* "<name>/", name.len + 1 bytes; NULL when out of memory. etcd__free(). */
char *etcd__election_dir(etcd_bytes name);

#endif
