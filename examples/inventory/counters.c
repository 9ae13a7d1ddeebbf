/* SPDX-License-Identifier: Apache-2.0 */
#include "counters.h"

#include <inttypes.h>

CAPP_TYPE_DEFINE(counters);

static void show(void *object, capp_metrics *out)
{
    static const char *const results[CHANGE_RESULTS] = {
        [CHANGE_DONE] = "done",     [CHANGE_REPEATED] = "repeated", [CHANGE_REFUSED] = "refused",
        [CHANGE_FAILED] = "failed", [CHANGE_UNKNOWN] = "unknown",
    };
    const counters *self = object;

    capp_metrics_printf(out, "# HELP inventory_changes_total Requests for changes, by how they ended.\n"
                             "# TYPE inventory_changes_total counter\n");
    for (size_t i = 0; i < CHANGE_RESULTS; i++)
        capp_metrics_printf(out, "inventory_changes_total{result=\"%s\"} %" PRIuFAST64 "\n", results[i],
                            atomic_load(&self->changes[i]));
    capp_metrics_printf(out,
                        "# HELP inventory_restocked_total Items that this instance has restocked.\n"
                        "# TYPE inventory_restocked_total counter\n"
                        "inventory_restocked_total %" PRIuFAST64 "\n"
                        "# HELP inventory_restocks Whether this instance restocks now.\n"
                        "# TYPE inventory_restocks gauge\n"
                        "inventory_restocks %d\n",
                        atomic_load(&self->restocked), atomic_load(&self->restocks) ? 1 : 0);
}

static capp_status configure(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    counters *self = module->user_data;

    (void)reterr; /* what fails here is on the build's list by itself */
    (void)capp_publish(setup, &counters_type, NULL, self);
    (void)capp_setup_add_metrics(setup, show, self);
    return CAPP_OK;
}

capp_module counters_module(counters *self)
{
    return capp_module_of("counters", configure, self);
}
