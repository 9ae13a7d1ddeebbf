/* SPDX-License-Identifier: Apache-2.0 */
/* The module: what the host sees of the factory. */
#include "base/str.h"
#include "factory.h"

#include "settings.h"
#include "source.h"

enum { STOP_MS = 3000 }; /* what servers may take at a stop, where the application's limit leaves more */

/* Valid inside a capp_etcd_fn. */
struct capp_etcd_builder {
    capp_setup *setup; /* NULL outside of it */
    capp_etcd_factory *factory;
};

/* One for each application; found by every use of the module. */
struct module {
    capp_etcd_builder builder;
    capp_etcd_factory *factory;
};

static const capp_type module_type = {"capp_etcd"};

/* ---- life ------------------------------------------------------------------------------------------ */

/* After a start that failed there is no stop: those that are connected are closed here. */
static capp_status start(void *self, capp_error *reterr)
{
    struct module *module = self;
    capp_status status = capp__etcd_connect_all(module->factory, reterr);

    if (status != CAPP_OK)
        (void)capp_etcd_factory_close(module->factory, STOP_MS, NULL);
    return status;
}

static void on_stopping(void *user_data)
{
    struct module *module = user_data;

    capp__etcd_cancel_waits(module->factory);
}

/*
 * A server that is away is no failure of the application: what it could not be told it finds out after a
 * TTL.
 */
static capp_status stop(void *self, int64_t limit_ms, capp_error *reterr)
{
    struct module *module = self;
    int64_t timeout_ms = limit_ms / 2 < STOP_MS ? limit_ms / 2 : STOP_MS;
    capp_error error;

    (void)reterr;
    if (capp_etcd_factory_close(module->factory, timeout_ms > 0 ? timeout_ms : 1, &error) != CAPP_OK)
        capp_log(module->factory->logger, CAPP_LOG_WARN, "etcd", "%s", error.message);
    return CAPP_OK;
}

static void destroy(void *self)
{
    struct module *module = self;

    capp_etcd_factory_free(module->factory);
    etcd__free(module);
}

/* ---- making it ------------------------------------------------------------------------------------- */

static capp_status new_module(const capp_logger *logger, struct module **ret_module, capp_error *reterr)
{
    struct module *module = ETCD__NEW(struct module);

    if (module == NULL)
        return capp_fail(reterr, CAPP_E_NO_MEMORY, "out of memory");
    capp_status status = capp_etcd_factory_new(logger, &module->factory, reterr);
    if (status != CAPP_OK) {
        etcd__free(module);
        return status;
    }
    module->builder.factory = module->factory;
    *ret_module = module;
    return CAPP_OK;
}

/* The module of this application; NULL after a failure, which is on the build's list or in `reterr`. */
static struct module *find_or_make(capp_setup *setup, capp_status *ret_status, capp_error *reterr)
{
    struct module *module = capp_setup_find(setup, &module_type, NULL);

    *ret_status = CAPP_OK;
    if (module != NULL)
        return module;
    *ret_status = new_module(capp_setup_logger(setup), &module, reterr);
    if (*ret_status != CAPP_OK)
        return NULL;
    /* From here on the hook owns it. */
    if (capp_add_hook(setup, &(capp_hook){.size = sizeof(capp_hook),
                                          .start = start,
                                          .stop = stop,
                                          .destroy = destroy,
                                          .self = module}) != CAPP_OK)
        return NULL;
    (void)capp__etcd_settings_declare(setup);
    (void)capp__etcd_source_declare(setup);
    (void)capp_publish(setup, &module_type, NULL, module);
    (void)capp_publish(setup, &capp_etcd_factory_type, NULL, module->factory);
    (void)capp_on_stopping(setup, on_stopping, module);
    (void)capp_setup_add_metrics(setup, capp__etcd_write_metrics, module->factory);
    return module;
}

static capp_status configure(capp_setup *setup, const capp_module *host_module, capp_error *reterr)
{
    capp_etcd_fn *fn = (capp_etcd_fn *)host_module->callback;
    capp_status status;
    struct module *module = find_or_make(setup, &status, reterr);

    if (module == NULL)
        return status;
    module->builder.setup = setup;
    if (fn == NULL)
        (void)capp_etcd_add_configured(&module->builder);
    else
        fn(&module->builder, host_module->user_data);
    capp__etcd_source_configured(&module->builder);
    module->builder.setup = NULL;
    return CAPP_OK;
}

capp_module capp_etcd(capp_etcd_fn *fn, void *user_data)
{
    capp_module module = capp_module_of("etcd", configure, user_data);

    module.callback = (capp_any_fn *)fn;
    return module;
}

/* ---- adding clients -------------------------------------------------------------------------------- */

/* Never called: the mistake that it stands for ends the build before. */
static capp_status provide_nothing(void *user_data, void **ret_object, capp_error *reterr)
{
    (void)user_data;
    (void)ret_object;
    return capp_fail(reterr, CAPP_E_INTERNAL, "the client has not been opened");
}

/* Offers the client, or its place where it could not be opened: who injects it is not to blame. */
static void offer(capp_setup *setup, const char *name, etcd_client *client)
{
    const char *const names[] = {name, NULL};
    size_t count = capp__etcd_name_is_default(name) ? 2 : 1;

    for (size_t i = 0; i < count; i++) {
        if (client != NULL)
            (void)capp_publish(setup, &etcd_client_type, names[i], client);
        else
            (void)capp_provide(setup, &etcd_client_type, names[i], provide_nothing, NULL);
    }
}

/* "etcd.<name>" in the reports. */
static void report(capp_setup *setup, struct capp__etcd_member *member)
{
    char name[CAPP__ETCD_NAME_SIZE + 8];

    etcd__format(name, sizeof(name), "etcd.%s", member->name);
    (void)capp_setup_add_health(setup, name, capp__etcd_look, member, 0);
}

/* What the configuration says counts more; of a name that is taken or none it is not asked. */
static capp_status open_client(capp_etcd_builder *builder, const char *name, const etcd_client_opts *opts,
                               const capp_etcd_client_opts *client_opts,
                               struct capp__etcd_member **ret_member, bool *ret_listed, capp_error *reterr)
{
    struct capp__etcd_adding adding = {
        .name = name, .opts = opts, .client_opts = client_opts, .configured = true};
    struct capp__etcd_settings settings;
    capp_status status;

    if (capp__etcd_name_check(name, NULL) != CAPP_OK || capp_etcd_factory_has(builder->factory, name))
        return capp__etcd_add(builder->factory, &adding, ret_member, reterr);
    status = capp__etcd_settings_read(&settings, builder->setup, name, opts, client_opts, ret_listed, reterr);
    if (status != CAPP_OK)
        return status;
    adding.opts = &settings.opts;
    adding.client_opts = &settings.client_opts;
    status = capp__etcd_add(builder->factory, &adding, ret_member, reterr);
    if (status != CAPP_OK)
        capp__etcd_settings_blame(builder->setup, name, reterr);
    return status;
}

capp_status capp_etcd_add_client_with(capp_etcd_builder *builder, const char *name,
                                      const etcd_client_opts *opts, const capp_etcd_client_opts *client_opts)
{
    struct capp__etcd_member *member;
    bool listed = false;
    capp_error error;

    if (builder == NULL || builder->setup == NULL)
        return CAPP_E_STATE;
    capp_status status = open_client(builder, name, opts, client_opts, &member, &listed, &error);
    if (status != CAPP_OK && !listed)
        (void)capp_setup_fail(builder->setup, status, "%s", error.message);
    if (status == CAPP_OK) {
        offer(builder->setup, name, member->client);
        report(builder->setup, member);
    } else if (status != CAPP_E_DUPLICATE && capp__etcd_name_check(name, NULL) == CAPP_OK) {
        offer(builder->setup, name, NULL);
    }
    return status;
}

capp_status capp_etcd_add_client(capp_etcd_builder *builder, const char *name, const etcd_client_opts *opts)
{
    return capp_etcd_add_client_with(builder, name, opts, NULL);
}

capp_status capp_etcd_add_configured(capp_etcd_builder *builder)
{
    capp_status first = CAPP_OK;
    const char *name;

    if (builder == NULL || builder->setup == NULL)
        return CAPP_E_STATE;
    for (size_t i = 0; (name = capp__etcd_settings_name(builder->setup, i)) != NULL; i++) {
        capp_status status = CAPP_OK;

        if (!capp_etcd_factory_has(builder->factory, name))
            status = capp_etcd_add_client(builder, name, NULL);
        if (first == CAPP_OK)
            first = status;
    }
    return first;
}

capp_setup *capp_etcd_builder_setup(capp_etcd_builder *builder)
{
    return builder == NULL ? NULL : builder->setup;
}
