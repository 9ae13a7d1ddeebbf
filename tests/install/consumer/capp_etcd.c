/* SPDX-License-Identifier: Apache-2.0 */
/* A user's program, in C and in C++: an application that has the module's headers and both libraries below it. */
#include <capp.h>
#include <capp/etcd.h>
#include <etcdc.h>

#include <stdio.h>

int main(void)
{
    capp_app *app = NULL;
    capp_error err;
    if (capp_build(capp_builder_new(), &app, &err) != CAPP_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    capp_free(app);
    printf("capp with etcdc %s\n", etcd_version());
    return 0;
}
