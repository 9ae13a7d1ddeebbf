/* SPDX-License-Identifier: Apache-2.0 */
/* One field of a struct of options, as its row of the table describes it. */
#ifndef CAPP__CONFIG_FIELD_H
#define CAPP__CONFIG_FIELD_H

#include "capp/options.h"
#include "config_value.h"

struct etcd__buf;

/* Bytes of a field of a kind that is known. */
size_t capp__field_size(capp_option_kind kind);
/* Appends the field as it would be written; nothing when it says nothing. False when out of memory. */
bool capp__field_write(const capp_option *option, const void *field, struct etcd__buf *text);
/* Whether two fields say the same. */
bool capp__field_same(const capp_option *option, const void *a, const void *b);

void capp__show_number(capp_option_kind kind, int64_t number, char dst[CAPP__VALUE_SIZE]);

#endif
