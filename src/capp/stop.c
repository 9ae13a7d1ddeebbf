/* SPDX-License-Identifier: Apache-2.0 */
/* What ends an application from outside. */
#include "fail.h"
#include "host.h"

void capp_stop(capp_app *app)
{
    if (app != NULL && !atomic_exchange(&app->stop_requested, true))
        capp__wake_up(app->wake.write_fd);
}

void capp__take_signals(capp_app *app, struct capp__signals *signals)
{
    if (!capp__signals_take(signals, app->wake.write_fd, app->signals == CAPP_SIGNALS_STOP_OR_EXIT))
        capp_log(&app->logger, CAPP_LOG_WARN, "app", "another application of this process has the signals");
}

bool capp__build_interrupted(const capp_app *app, capp_error *reterr)
{
    int number = app->taken == NULL ? 0 : capp__signals_first(app->taken);

    if (number == 0)
        return false;
    capp_log(&app->logger, CAPP_LOG_INFO, "app", "stopped (%s) before it was built",
             capp__signal_name(number));
    capp_fail(reterr, CAPP_E_CANCELLED, "%s came before the application was built",
              capp__signal_name(number));
    return true;
}
