/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon with three clients, run as a process by tests: etcd-daemon
 * [ARGUMENTS OF THE CONFIGURATION]. On its standard output it tells what begins
 * and ends: a module that is configured before the clients ("journal"), a
 * service that injects all three ("desk"), and each change of its readiness,
 * with the report.
 */
#include <capp/etcd.h>

#include <stdio.h>
#include <string.h>

enum { LOOK_MS = 20 };

static void tell(const char *what)
{
    (void)printf("%s\n", what);
    (void)fflush(stdout);
}

/* ---- the journal: started before the clients, stopped after them
 * ------------------------------------- */

static capp_status open_journal(void *self, capp_error *reterr)
{
    (void)self;
    (void)reterr;
    tell("journal: opened");
    return CAPP_OK;
}

static capp_status close_journal(void *self, int64_t limit_ms, capp_error *reterr)
{
    (void)self;
    (void)limit_ms;
    (void)reterr;
    tell("journal: closed");
    return CAPP_OK;
}

static capp_status configure_journal(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)module;
    (void)reterr;
    return capp_add_hook(
        setup, &(capp_hook){.size = sizeof(capp_hook), .start = open_journal, .stop = close_journal});
}

/* ---- the desk
 * ----------------------------------------------------------------------------------------
 */

typedef struct desk {
    etcd_client *orders, *stock, *audit;
} desk;
CAPP_TYPE_DEFINE(desk);

static capp_status open_desk(void *self, capp_error *reterr)
{
    (void)self;
    (void)reterr;
    tell("desk: opened");
    return CAPP_OK;
}

static capp_status close_desk(void *self, int64_t limit_ms, capp_error *reterr)
{
    (void)self;
    (void)limit_ms;
    (void)reterr;
    tell("desk: closed");
    return CAPP_OK;
}

static const capp_inject desk_deps[] = {
    CAPP_INJECT_NAMED(desk, orders, etcd_client, "orders"),
    CAPP_INJECT_NAMED(desk, stock, etcd_client, "stock"),
    CAPP_INJECT_NAMED(desk, audit, etcd_client, "audit"),
};
static const capp_service desk_service = CAPP_SERVICE(desk, CAPP_INJECTS(desk_deps), .start = open_desk,
                                                      .stop = close_desk);

/* ---- readiness
 * ---------------------------------------------------------------------------------------
 */

static void tell_readiness(capp_app *app, char *last, size_t size)
{
    char report[2048];

    (void)capp_health_report(app, CAPP_HEALTH_TEXT, report, sizeof(report));
    if (strcmp(report, last) == 0)
        return;
    (void)snprintf(last, size, "%s", report);
    (void)printf("%s\n%s", capp_app_is_ready(app) ? "READY" : "NOT READY", report);
    (void)fflush(stdout);
}

static capp_status watch_readiness(capp_worker *worker, void *user_data, capp_error *reterr)
{
    char last[2048] = "";

    (void)user_data;
    (void)reterr;
    do
        tell_readiness(capp_worker_app(worker), last, sizeof(last));
    while (capp_worker_wait(worker, LOOK_MS));
    return CAPP_OK;
}

/* ---- the whole
 * ----------------------------------------------------------------------------------------
 */

static void clients(capp_etcd_builder *b, void *user_data)
{
    (void)user_data;
    capp_etcd_add_client(b, "orders", NULL);
    capp_etcd_add_client(b, "stock", NULL);
}

/* Another part of the program brings another client. */
static void more_clients(capp_etcd_builder *b, void *user_data)
{
    (void)user_data;
    capp_etcd_add_client(b, "audit", NULL);
}

int main(int argc, char **argv)
{
    capp_builder *app = capp_builder_new();

    capp_use_name(app, "etcd-daemon");
    capp_use_config_args(app, argc, argv);
    capp_configure(app, capp_module_of("journal", configure_journal, NULL));
    capp_configure(app, capp_etcd(clients, NULL));
    capp_configure(app, capp_etcd(more_clients, NULL));
    capp_add_service(app, &desk_service);
    capp_add_worker(app, "readiness", watch_readiness, NULL);
    return capp_main(app);
}
