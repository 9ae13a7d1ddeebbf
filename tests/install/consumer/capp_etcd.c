/* SPDX-License-Identifier: Apache-2.0 */
/* A user's program, in C and in C++: a factory of clients, which has none yet, with both libraries below the
 * module. */
#include <capp.h>
#include <capp/etcd.h>
#include <etcdc.h>

#include <stdio.h>

int main(void)
{
    capp_etcd_factory *factory = NULL;
    capp_error err;
    if (capp_etcd_factory_new(NULL, &factory, &err) != CAPP_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    bool has = capp_etcd_factory_has(factory, "default");
    capp_etcd_factory_free(factory);
    printf("capp with etcdc %s\n", etcd_version());
    return has ? 1 : 0;
}
