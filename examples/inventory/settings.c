/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <string.h>

bool name_is_valid(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t len = strlen(name);

    return len >= 1 && len <= NAME_LEN_MAX && strspn(name, allowed) == len;
}

/* ---- instance ----------------------------------------------------------------------------------------- */

CAPP_TYPE_DEFINE(instance_settings);

static const capp_option instance_fields[] = {
    CAPP_TEXT(instance_settings, name, "name", .flags = CAPP_OPTION_REQUIRED,
              .help = "The name of this instance, different from all others."),
    CAPP_TEXT(instance_settings, prefix, "prefix", .fallback = "/inventory/",
              .help = "What all keys of the stock begin with."),
    CAPP_TEXT(instance_settings, listen, "listen", .fallback = "127.0.0.1:7070",
              .help = "Where clients are served: a numeric address and a port."),
    CAPP_TEXT(instance_settings, advertise, "advertise",
              .help = "The address that other programs are told; without it, that of `listen`."),
    CAPP_TEXT(instance_settings, status, "status", .fallback = "127.0.0.1:7071",
              .help = "Where operators are served. It shows the inside: keep it local."),
    CAPP_DURATION(instance_settings, registration_ttl_ms, "registration_ttl", .fallback = "10s", .min = 2000,
                  .max = 3600000, .help = "How long the registration outlives an instance that died."),
};

static capp_status check_instance(const void *options, capp_error *reterr)
{
    const instance_settings *settings = options;
    size_t len = strlen(settings->prefix);

    if (!name_is_valid(settings->name))
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                         "name: '%s' is not one of 1 to %d of A-Z a-z 0-9 _ -", settings->name, NAME_LEN_MAX);
    if (len == 0 || len > PREFIX_LEN_MAX || settings->prefix[len - 1] != '/')
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "prefix: '%s' is not 1 to %d bytes that end in '/'",
                         settings->prefix, PREFIX_LEN_MAX);
    if (settings->advertise != NULL &&
        (strlen(settings->advertise) > ADDRESS_LEN_MAX || strpbrk(settings->advertise, "\"\\") != NULL))
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                         "advertise: '%s' is longer than %d bytes, or has quotes in it", settings->advertise,
                         ADDRESS_LEN_MAX);
    return CAPP_OK;
}

static const capp_options instance_table =
    CAPP_OPTIONS(instance_settings, "instance", CAPP_FIELDS(instance_fields), .check = check_instance,
                 .help = "This instance. Takes effect at the next start.");

/* ---- stock -------------------------------------------------------------------------------------------- */

CAPP_TYPE_DEFINE(stock_settings);

static const capp_option stock_fields[] = {
    CAPP_INT(stock_settings, max_quantity, "max_quantity", .fallback = "1000000", .min = 1,
             .max = 1000000000000, .help = "The most that there may be of an item."),
    CAPP_DURATION(stock_settings, request_timeout_ms, "request_timeout", .fallback = "2s", .min = 10,
                  .max = 60000, .help = "How long a request may wait for etcd."),
    CAPP_DURATION(stock_settings, request_memory_ms, "request_memory", .fallback = "1h", .min = 60000,
                  .max = 604800000,
                  .help = "How long a request is known, at least, so that its repetition changes nothing."),
};

static const capp_options stock_table = CAPP_OPTIONS(stock_settings, "stock", CAPP_FIELDS(stock_fields),
                                                     .help = "The rules of changes to the stock.");

/* ---- restock ------------------------------------------------------------------------------------------ */

CAPP_TYPE_DEFINE(restock_settings);

static const capp_option restock_fields[] = {
    CAPP_BOOL(restock_settings, enabled, "enabled", .fallback = "true",
              .help = "Whether this instance takes part."),
    CAPP_DURATION(restock_settings, interval_ms, "interval", .fallback = "30s", .min = 100, .max = 86400000,
                  .help = "How often the stock is looked through."),
    CAPP_INT(restock_settings, minimum, "minimum", .fallback = "0", .min = 0, .max = 1000000000000,
             .help = "Items of which there are fewer are restocked; 0: none are."),
    CAPP_INT(restock_settings, target, "target", .fallback = "100", .min = 1, .max = 1000000000000,
             .help = "How many there are after that."),
    CAPP_DURATION(restock_settings, lock_ttl_ms, "lock_ttl", .fallback = "10s", .min = 2000, .max = 3600000,
                  .help = "How long the job rests when the instance that does it has died."),
};

static capp_status check_restock(const void *options, capp_error *reterr)
{
    const restock_settings *settings = options;

    if (settings->target < settings->minimum)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "target: %lld is below minimum, %lld",
                         (long long)settings->target, (long long)settings->minimum);
    return CAPP_OK;
}

static const capp_options restock_table =
    CAPP_OPTIONS(restock_settings, "restock", CAPP_FIELDS(restock_fields), .check = check_restock,
                 .help = "The job that raises low stock; one instance at a time does it.");

void add_settings(capp_builder *app)
{
    capp_add_options(app, &instance_table);
    capp_add_options(app, &stock_table);
    capp_add_options(app, &restock_table);
}
