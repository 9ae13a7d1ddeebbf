/* SPDX-License-Identifier: Apache-2.0 */
/* How an option is described to people, in the help and in the manual page. */
#ifndef CAPP__CONFIG_SHOW_H
#define CAPP__CONFIG_SHOW_H

#include "capp/options.h"

struct etcd__buf;

/* Its whole key, with NAME where a name is of the configuration's choice. */
void capp__option_key(char *dst, size_t size, const capp_options *table, const capp_option *option);
/* "number; required", "one of fast, careful; default careful". False when out of memory. */
bool capp__option_write_kind(const capp_option *option, struct etcd__buf *text);

#endif
