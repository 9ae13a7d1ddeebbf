/* SPDX-License-Identifier: Apache-2.0 */
/* The options of the host itself: every application has them, whatever it is made of. */
#include "host.h"

struct host_options {
    int64_t shutdown_timeout_ms;
};

static const capp_type host_options_type = {"capp_app"};

static const capp_option fields[] = {
    CAPP_DURATION(struct host_options, shutdown_timeout_ms, "shutdown_timeout", .min = 1,
                  .help = "How long a stop may take before what has not ended is left behind."),
};

static const capp_options table = {.size = sizeof(capp_options),
                                   .type = &host_options_type,
                                   .object_size = sizeof(struct host_options),
                                   .section = "app",
                                   CAPP_FIELDS(fields),
                                   .help = "The application."};

void capp__config_host(capp_builder *builder)
{
    struct host_options options = {.shutdown_timeout_ms = builder->app->shutdown_timeout_ms};

    (void)capp__config_bind_host(builder, &table, &options, NULL, NULL);
    builder->app->shutdown_timeout_ms = options.shutdown_timeout_ms;
}
