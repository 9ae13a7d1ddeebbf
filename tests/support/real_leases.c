/* SPDX-License-Identifier: Apache-2.0 */
#include "support/real.h"

int real_leases(struct real *real)
{
    etcd_leases_result *result = NULL;
    etcd_error err;
    size_t count;

    if (real_failed(etcd_lease_list(real->client, NULL, &result, &err), &err))
        return -1;
    count = etcd_leases_result_count(result);
    etcd_leases_result_free(result);
    return (int)count;
}
