/* SPDX-License-Identifier: Apache-2.0 */
/* What the calls of administration have in common: options, names as arguments, lists of names as answers. */
#ifndef ETCD__CLIENT_ADMIN_H
#define ETCD__CLIENT_ADMIN_H

#include "base/arena.h"
#include "client/rpc.h"
#include "etcdc/admin.h"
#include "wire/messages.h"

/* Puts the options (NULL: defaults) into `how`; `what` is the operation, for the message. */
etcd_status etcd__admin_import(const char *what, const etcd_admin_opts *opts, struct etcd__rpc_options *how,
                               etcd_error *reterr);
/* A name: not NULL, not empty, UTF-8. `argument` is what the parameter is called. */
etcd_status etcd__admin_check_name(const char *what, const char *argument, const char *name,
                                   etcd_error *reterr);

/* A result that is a list of names: the first member of such results. */
struct etcd__names {
    struct etcd__arena arena;
    etcd_header header;
    const char *const *list;
    size_t count;
};

/*
 * For the decode function of such a result: makes it in the arena of the answer, which moves into it; on
 * failure the arena is given back.
 */
etcd_status etcd__names_make(struct etcd__arena *arena, const Etcd__Pb__ResponseHeader *header,
                             char *const *names, size_t count, void **ret_result, etcd_error *reterr);
void etcd__names_release(void *names);
/* Name `index`; NULL beyond the end. */
static inline const char *etcd__names_at(const struct etcd__names *names, size_t index)
{
    return index < names->count ? names->list[index] : NULL;
}

#endif
