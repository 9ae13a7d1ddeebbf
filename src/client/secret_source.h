/* SPDX-License-Identifier: Apache-2.0 */
/* From where a secret comes from to the secret itself. Errors name the source, never the secret. */
#ifndef ETCD__CLIENT_SECRET_SOURCE_H
#define ETCD__CLIENT_SECRET_SOURCE_H

#include "base/error.h"
#include "base/secret.h"
#include "etcdc/types.h"

/*
 * Reads the secret now; etcd__secret_clear() it. `what` ("password") begins the message. The
 * reference may be anything a user can give; without a secret (kind NONE), and where the secret is
 * empty or has a zero byte in it: ETCD_E_INVALID_ARGUMENT, as for a variable that is not set. ETCD_E_IO: the
 * file cannot be read.
 */
etcd_status etcd__secret_load(const char *what, etcd_secret source, struct etcd__secret *ret_secret,
                              etcd_error *reterr);

#endif
