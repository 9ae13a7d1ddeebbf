/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An environment table of real sockets, the real clock and poll(2), for tests of layers that must not
 * know runtime/. Without names: the real resolver is used. Single-threaded; memory comes from malloc.
 */
#ifndef TESTS_SUPPORT_SOCKET_ENV_H
#define TESTS_SUPPORT_SOCKET_ENV_H

#include "base/env.h"

struct socket_env;

struct socket_env *socket_env_new(void);
void socket_env_free(struct socket_env *self);
struct etcd__env socket_env_table(struct socket_env *self);
/* How many descriptors are registered. */
size_t socket_env_watched(const struct socket_env *self);
/* The last value given to set_user_timeout; 0 if there was none. */
int socket_env_user_timeout(const struct socket_env *self);

#endif
