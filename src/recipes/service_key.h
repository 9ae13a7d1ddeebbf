/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of services: `<prefix><service>/<instance>`, and `<prefix><service>` for entries without an
 * instance.
 */
#ifndef ETCD__RECIPES_SERVICE_KEY_H
#define ETCD__RECIPES_SERVICE_KEY_H

#include "etcdc/error.h"

/* NULL means "/services/"; else it must end in '/'. */
etcd_status etcd__service_check_prefix(const char *prefix, const char **ret_prefix, etcd_error *reterr);
/* A service or an instance: not empty, no '/'. `what` names the argument in the error. */
etcd_status etcd__service_check_name(const char *what, const char *name, etcd_error *reterr);
/*
 * <prefix><service>/<instance>, with `instance` perhaps ""; NULL when out of memory. Free with
 * etcd__free().
 */
char *etcd__service_key(const char *prefix, const char *service, const char *instance);

#endif
