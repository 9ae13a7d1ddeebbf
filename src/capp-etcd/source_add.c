/* SPDX-License-Identifier: Apache-2.0 */
/* How a source is described, by the program and by the configuration, and becomes part of the application. */
#include "source.h"

#include "base/error.h"
#include "base/str.h"

#include <string.h>

#define SECTION "etcd.source"

enum { SETTLE_MS = 100 };

struct settings {
    const char *client, *prefix;
    int policy;
    int64_t load_timeout_ms, settle_ms;
};

static const capp_type source_type = {"capp_etcd_source"};
static const capp_type settings_type = {"etcd source"};

static const capp_choice policies[] = {{"optional", CAPP_ETCD_SOURCE_OPTIONAL, 0},
                                       {"required", CAPP_ETCD_SOURCE_REQUIRED, 0}};

static const capp_option fields[] = {
    CAPP_TEXT(struct settings, client, "client", .fallback = "default",
              .help = "The client that the configuration is read through."),
    CAPP_TEXT(struct settings, prefix, "prefix",
              .help = "What stands below it is the configuration: /config/myapp/."),
    CAPP_CHOICE(struct settings, policy, policies, "policy", .fallback = "optional",
                .help = "optional: warn and go on when it cannot be loaded; required: that is an error."),
    CAPP_DURATION(struct settings, load_timeout_ms, "load_timeout",
                  .help = "How long the start may wait for it; else as long as the client's calls."),
    CAPP_DURATION(struct settings, settle_ms, "settle", .fallback = "100ms", .max = CAPP__ETCD_BEHIND_MAX_MS,
                  .help = "Changes that come within it are taken together."),
};

static const capp_options table = {
    .size = sizeof(capp_options),
    .type = &settings_type,
    .object_size = sizeof(struct settings),
    .section = SECTION,
    CAPP_FIELDS(fields),
    .help = "etcd as a source of configuration",
};

/* ---- adding one ------------------------------------------------------------------------------------ */

static int init_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    int error = pthread_condattr_init(&attr);

    if (error != 0)
        return error;
    error = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (error == 0)
        error = pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
    return error;
}

static bool init_locks(struct capp__etcd_source *source)
{
    if (init_cond(&source->shared.changed) != 0)
        return false;
    if (pthread_mutex_init(&source->shared.mutex, NULL) == 0)
        return true;
    pthread_cond_destroy(&source->shared.changed);
    return false;
}

/* The prefix, with the slash that keeps "/config/app" from being that of "/config/app2" as well. */
static char *copy_prefix(const char *prefix)
{
    size_t len = strlen(prefix);
    char *copy = etcd__malloc(len + 2);

    if (copy != NULL)
        etcd__format(copy, len + 2, "%s%s", prefix, len > 0 && prefix[len - 1] == '/' ? "" : "/");
    return copy;
}

static struct capp__etcd_source *new_source(const struct settings *settings)
{
    struct capp__etcd_source *source = ETCD__NEW(struct capp__etcd_source);

    if (source == NULL)
        return NULL;
    source->prefix = copy_prefix(settings->prefix);
    if (source->prefix == NULL || !init_locks(source)) {
        etcd__free(source->prefix);
        etcd__free(source);
        return NULL;
    }
    etcd__format(source->name, sizeof(source->name), "etcd %s", settings->client);
    source->policy = (capp_etcd_source_policy)settings->policy;
    source->load_timeout_ms = settings->load_timeout_ms;
    source->settle_ms = settings->settle_ms;
    source->retry_ms = CAPP__ETCD_RETRY_MIN_MS;
    return source;
}

static void destroy(void *self)
{
    struct capp__etcd_source *source = self;

    etcd_view_close(source->view); /* of a start that failed */
    pthread_cond_destroy(&source->shared.changed);
    pthread_mutex_destroy(&source->shared.mutex);
    etcd__free(source->prefix);
    etcd__free(source);
}

static bool has_source(const capp_setup *setup)
{
    return capp_setup_find(setup, &source_type, "etcd-source") != NULL;
}

/* "etcd-source", "etcd-source-2" …: under these names they are published, too. */
static void next_name(capp_setup *setup, char *dst, size_t size)
{
    etcd__format(dst, size, "etcd-source");
    for (int i = 2; capp_setup_find(setup, &source_type, dst) != NULL; i++)
        etcd__format(dst, size, "etcd-source-%d", i);
}

/* Everything that the source is of the application, once the hook owns it. */
static capp_status register_source(capp_setup *setup, struct capp__etcd_source *source, const char *name,
                                   const char *client)
{
    capp_status status = capp_publish(setup, &source_type, name, source);

    if (status == CAPP_OK)
        status = capp_require(setup, &etcd_client_type, client, &source->client);
    if (status == CAPP_OK)
        status = capp_setup_add_worker(setup, name, capp__etcd_source_follow, source);
    if (status == CAPP_OK)
        status = capp_setup_add_health(setup, name, capp__etcd_source_health, source, 0);
    if (status == CAPP_OK)
        status = capp_on_stopping(setup, capp__etcd_source_quit, source);
    if (status == CAPP_OK)
        status = capp_setup_add_source(setup, "etcd", &source->source);
    if (status == CAPP_OK) /* nobody configures what he is reached through */
        status = capp_source_forbid(source->source, "etcd.clients");
    return status == CAPP_OK ? capp_source_forbid(source->source, SECTION) : status;
}

static capp_status add_source(capp_setup *setup, const struct settings *settings)
{
    struct capp__etcd_source *source = new_source(settings);
    char name[32];
    capp_status status;

    if (source == NULL)
        return capp_setup_fail(setup, CAPP_E_NO_MEMORY, "out of memory");
    source->logger = capp_setup_logger(setup);
    next_name(setup, name, sizeof(name));
    status = capp_add_hook(setup, &(capp_hook){.size = sizeof(capp_hook),
                                               .name = name,
                                               .start = capp__etcd_source_start,
                                               .stop = capp__etcd_source_stop,
                                               .destroy = destroy,
                                               .reload = capp__etcd_source_reload,
                                               .self = source});
    return status == CAPP_OK ? register_source(setup, source, name, settings->client) : status;
}

static capp_status check(capp_setup *setup, const struct settings *settings)
{
    if (settings->prefix == NULL || settings->prefix[0] == '\0')
        return capp_setup_fail(setup, CAPP_E_INVALID_ARGUMENT, SECTION ".prefix: there is none");
    if (settings->policy != CAPP_ETCD_SOURCE_OPTIONAL && settings->policy != CAPP_ETCD_SOURCE_REQUIRED)
        return capp_setup_fail(setup, CAPP_E_INVALID_ARGUMENT, SECTION ".policy: it is %d", settings->policy);
    if (settings->load_timeout_ms < 0 || settings->settle_ms < 0 ||
        settings->settle_ms > CAPP__ETCD_BEHIND_MAX_MS)
        return capp_setup_fail(setup, CAPP_E_INVALID_ARGUMENT,
                               SECTION ": load_timeout_ms is %lld, settle_ms is %lld",
                               (long long)settings->load_timeout_ms, (long long)settings->settle_ms);
    return CAPP_OK;
}

capp_status capp_etcd_add_source(capp_etcd_builder *builder, const capp_etcd_source_opts *opts)
{
    capp_setup *setup = capp_etcd_builder_setup(builder);
    capp_etcd_source_opts own = CAPP_ETCD_SOURCE_INIT;
    capp_status status = CAPP_OK;
    etcd_error err;

    if (setup == NULL)
        return CAPP_E_STATE;
    if (etcd__opts_import(&own, sizeof(own), opts, "capp_etcd_add_source", &err) != ETCD_OK)
        return capp_setup_fail(setup, CAPP_E_INVALID_ARGUMENT, "%s", err.message);
    struct settings settings = {.client = own.client != NULL ? own.client : "default",
                                .prefix = own.prefix,
                                .policy = (int)own.policy,
                                .load_timeout_ms = own.load_timeout_ms,
                                .settle_ms = own.settle_ms == 0 ? SETTLE_MS : own.settle_ms};
    if (!has_source(setup))
        status = capp_setup_bind(setup, &table, NULL, &settings);
    if (status == CAPP_OK)
        status = check(setup, &settings);
    return status == CAPP_OK ? add_source(setup, &settings) : status;
}

capp_status capp__etcd_source_declare(capp_setup *setup)
{
    return capp_setup_declare(setup, &table);
}

void capp__etcd_source_configured(capp_etcd_builder *builder)
{
    capp_setup *setup = capp_etcd_builder_setup(builder);

    if (!has_source(setup) && capp_setup_section_name(setup, SECTION, 0) != NULL)
        (void)capp_etcd_add_source(builder, NULL);
}
