/* SPDX-License-Identifier: Apache-2.0 */
/* What the functions that register things share. */
#ifndef CAPP__SETUP_H
#define CAPP__SETUP_H

#include "host.h"

/* Takes the place that was noted for this registration; where there is none, that of its module. */
void capp__setup_take_place(struct capp_setup *setup, char dst[CAPP__PLACE_SIZE]);
/* Keeps something for later, with the place that was noted; false when out of memory, which is noted. */
bool capp__builder_keep(capp_builder *builder, struct capp__ptrs *list, const struct capp__added *added);
/* Ends a registration that failed: notes the mistake, with its place. Returns the status. */
capp_status capp__setup_refuse(struct capp_setup *setup, capp_status status, const char *text);
/* Ends a registration that comes too late. CAPP_OK while things may be registered. */
capp_status capp__setup_check_open(struct capp_setup *setup, const char *function);
capp_status capp__setup_no_memory(struct capp_setup *setup);

/* Whether a type can be one. */
capp_status capp__type_check(const capp_type *type, const char *what, capp_error *reterr);
/* Whether limits of a start and a stop are none that are negative. */
capp_status capp__limits_check(int64_t start_ms, int64_t stop_ms, const char *what, capp_error *reterr);
/* A checked entry that is not registered yet; NULL when the call failed, *ret_status says how. */
struct capp__entry *capp__setup_entry(struct capp_setup *setup, const char *function, const capp_type *type,
                                      const char *name, capp_status *ret_status);
/* Registers an entry, which is consumed, under the place that was noted unless it has one. */
capp_status capp__setup_register(struct capp_setup *setup, struct capp__entry *entry);

#endif
