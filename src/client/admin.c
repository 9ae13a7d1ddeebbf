/* SPDX-License-Identifier: Apache-2.0 */
#include "client/admin.h"

#include "base/str.h"
#include "wire/convert.h"

#include <string.h>

etcd_status etcd__admin_import(const char *what, const etcd_admin_opts *opts, struct etcd__rpc_options *how,
                               etcd_error *reterr)
{
    etcd_admin_opts own = ETCD_ADMIN_OPTS_INIT;
    etcd_status st = etcd__opts_import(&own, sizeof(own), opts, what, reterr);

    how->timeout_ms = own.timeout_ms;
    how->fail_fast = own.fail_fast;
    return st;
}

etcd_status etcd__admin_check_name(const char *what, const char *argument, const char *name,
                                   etcd_error *reterr)
{
    if (name == NULL || name[0] == '\0')
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: %s is %s", what, argument,
                          name == NULL ? "NULL" : "empty");
    if (!etcd__utf8_valid(name, strlen(name)))
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: %s is '%s', which is not UTF-8", what,
                          argument, name);
    return ETCD_OK;
}

etcd_status etcd__names_make(struct etcd__arena *arena, const Etcd__Pb__ResponseHeader *header,
                             char *const *names, size_t count, void **ret_result, etcd_error *reterr)
{
    struct etcd__names *result = etcd__arena_calloc(arena, 1, sizeof(*result));
    const char *const *list = result == NULL ? NULL : etcd__wire_texts(arena, names, count);

    if (list == NULL) {
        etcd__arena_deinit(arena);
        return etcd__fail_memory(reterr);
    }
    *result = (struct etcd__names){
        .arena = *arena,
        .header = etcd__wire_header(header),
        .list = list,
        .count = count,
    };
    *ret_result = result;
    return ETCD_OK;
}

void etcd__names_release(void *names)
{
    struct etcd__arena arena = ((struct etcd__names *)names)->arena; /* the result itself lies in it */

    etcd__arena_deinit(&arena);
}
