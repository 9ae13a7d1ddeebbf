/* SPDX-License-Identifier: Apache-2.0 */
#include "readiness.h"

#include <capp/etcd.h>

struct readiness {
    capp_app *app;
    etcd_client *etcd;
};

CAPP_TYPE_DEFINE(readiness);

bool readiness_now(readiness *self)
{
    return etcd_client_state_now(self->etcd) == ETCD_CLIENT_READY &&
           !capp_cancel_requested(capp_app_cancel(self->app));
}

static const capp_inject readiness_deps[] = {
    CAPP_INJECT(readiness, app, capp_app),
    CAPP_INJECT(readiness, etcd, etcd_client),
};
const capp_service readiness_service = CAPP_SERVICE(readiness, CAPP_INJECTS(readiness_deps));
