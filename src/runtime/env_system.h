/* SPDX-License-Identifier: Apache-2.0 */
/* The environment table of the real system: its clock, its sockets, a poller. One per loop. */
#ifndef ETCD__RUNTIME_ENV_SYSTEM_H
#define ETCD__RUNTIME_ENV_SYSTEM_H

#include "base/env.h"

#include <stdbool.h>

struct etcd__env_system;

/* 0 or a negative errno. */
int etcd__env_system_new(bool use_poll, struct etcd__env_system **ret_system);
struct etcd__env etcd__env_system_table(struct etcd__env_system *system);
/* In a forked child: closes its copies of all descriptors and leaves alone what they refer to. Only freeing
 * follows. */
void etcd__env_system_leave(struct etcd__env_system *system);
/* After the last socket was closed. */
void etcd__env_system_free(struct etcd__env_system *system);

#endif
