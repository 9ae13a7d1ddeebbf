/* SPDX-License-Identifier: Apache-2.0 */
/* A user's program, in C and in C++: opens a client, which connects nothing yet, and closes it. */
#include <etcdc.h>

#include <stdio.h>
#include <string.h>

int main(void)
{
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;
    etcd_client *client = NULL;
    etcd_error err;
    if (etcd_client_open(&opts, &client, &err) != ETCD_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    etcd_client_free(client);
    printf("etcdc %s\n", etcd_version());
    return strcmp(etcd_version(), ETCDC_VERSION) == 0 ? 0 : 1;
}
