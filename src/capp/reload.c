/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reload: every source once more, a whole new snapshot from them, and only when nothing is wrong with any
 * of it the new one becomes current. Readers meet the lock `shared.mutex` for the moment of the exchange.
 */
#include "reload.h"

#include "base/str.h"
#include "fail.h"
#include "host.h"

#include <string.h>

/* What is to become current. */
struct draft {
    capp_app *app;
    struct capp__config *config;
    struct capp__tree **fresh; /* what sources say that were asked again; NULL: as before */
    struct capp__snapshot *snapshot;
    struct capp__mistakes mistakes;
};

/* ---- making it ------------------------------------------------------------------------------------- */

static bool draft_init(struct draft *draft, capp_app *app, const struct capp__mistakes *mistakes)
{
    *draft = (struct draft){.app = app, .config = &app->config, .mistakes = *mistakes};
    draft->fresh = etcd__calloc(app->config.sources.count + 1, sizeof(struct capp__tree *));
    draft->snapshot = capp__snapshot_new();
    if (draft->fresh == NULL || draft->snapshot == NULL)
        draft->mistakes.no_memory = true;
    return draft->fresh != NULL;
}

static void draft_deinit(struct draft *draft)
{
    for (size_t i = 0; draft->fresh != NULL && i < draft->config->sources.count; i++)
        capp__tree_free(draft->fresh[i]);
    etcd__free(draft->fresh);
    capp__snapshot_unref(draft->snapshot);
    capp__mistakes_deinit(&draft->mistakes);
}

static void read_again(struct draft *draft)
{
    for (size_t i = 0; i < draft->config->sources.count; i++) {
        const struct capp__source *source = draft->config->sources.items[i];

        if (capp__source_is_reread(source))
            draft->fresh[i] = capp__source_read(source, &draft->mistakes);
    }
}

static void replace_one(struct draft *draft, const struct capp__source *source, struct capp__tree *tree)
{
    size_t i = 0;

    while (draft->config->sources.items[i] != source)
        i++;
    draft->fresh[i] = tree;
}

/* Everything is looked at, also where something is wrong already: the report is to be whole. */
static void complete(struct draft *draft)
{
    if (!draft->mistakes.no_memory &&
        !capp__config_merge(draft->config, draft->fresh, &draft->snapshot->tree))
        draft->mistakes.no_memory = true;
    if (draft->mistakes.no_memory)
        return;
    capp__config_bind_again(draft->config, draft->snapshot, &draft->mistakes);
    capp__config_check_unknown(draft->config, draft->snapshot, true, &draft->app->logger, &draft->mistakes);
}

/* ---- saying what changed --------------------------------------------------------------------------- */

static bool has_module_sources(const struct capp__config *config)
{
    for (size_t i = 0; i < config->sources.count; i++) {
        if (((const struct capp__source *)config->sources.items[i])->kind == CAPP__SOURCE_MODULE)
            return true;
    }
    return false;
}

/* Whether somebody gets to know a new value: one who follows it, or services that are yet to be started. */
static bool takes_effect(const struct capp__config *config, const struct capp__binding *binding)
{
    if (atomic_load(&binding->live))
        return true;
    return binding->kind == CAPP__BIND_OPTIONS && config->once == NULL && has_module_sources(config);
}

static void log_change(const capp_app *app, const struct capp__binding *binding, size_t option,
                       const struct capp__setting *setting)
{
    char place[CAPP__PATH_SIZE + 64];

    capp_log(&app->logger, CAPP_LOG_INFO, "config", "%s%s%s changed (%s)%s", binding->path,
             binding->path[0] == '\0' ? "" : ".", binding->table->option[option].key,
             capp__place_text(&setting->place, place, sizeof(place)),
             takes_effect(&app->config, binding) ? "" : ": takes effect at the next start");
}

static void log_changes(const capp_app *app, const struct capp__snapshot *before,
                        const struct capp__snapshot *now)
{
    for (size_t i = 0; i < app->config.bindings.count; i++) {
        const struct capp__binding *binding = app->config.bindings.items[i];

        for (size_t j = 0; j < binding->table->count; j++) {
            if (capp__values_differ(binding, before, now, j))
                log_change(app, binding, j, &capp__snapshot_at(now, i)->settings[j]);
        }
    }
}

/* ---- making it current ------------------------------------------------------------------------------ */

static void commit(struct draft *draft)
{
    struct capp__config *config = draft->config;
    struct capp__snapshot *before, *now = capp__snapshot_ref(draft->snapshot);

    for (size_t i = 0; i < config->sources.count; i++) {
        struct capp__source *source = config->sources.items[i];
        struct capp__tree *said = source->tree;

        if (draft->fresh[i] == NULL)
            continue;
        source->tree = draft->fresh[i];
        draft->fresh[i] = said;
    }
    pthread_mutex_lock(&config->shared.mutex);
    before = config->shared.current;
    config->shared.current = now;
    pthread_mutex_unlock(&config->shared.mutex);
    log_changes(draft->app, before, draft->snapshot);
    capp__snapshot_unref(before);
}

static bool finish(struct draft *draft, capp_error *reterr)
{
    bool ok = !capp__mistakes_any(&draft->mistakes);

    if (ok) {
        commit(draft);
    } else {
        (void)capp__mistakes_report(&draft->mistakes, &draft->app->logger, CAPP_LOG_WARN, "config", reterr);
        capp_log(&draft->app->logger, CAPP_LOG_WARN, "config", "the configuration stays as it was");
    }
    draft_deinit(draft);
    return ok;
}

bool capp__reload_now(capp_app *app, capp_error *reterr)
{
    const struct capp__mistakes none = {0};
    struct draft draft;

    pthread_mutex_lock(&app->config.reload);
    if (draft_init(&draft, app, &none)) {
        read_again(&draft);
        complete(&draft);
    }
    bool ok = finish(&draft, reterr);
    pthread_mutex_unlock(&app->config.reload);
    if (ok)
        capp__changes_deliver(&app->config);
    return ok;
}

bool capp__reload_with(capp_app *app, struct capp__source *source, struct capp__tree *tree,
                       struct capp__mistakes *mistakes, capp_error *reterr)
{
    struct draft draft;

    pthread_mutex_lock(&app->config.reload);
    if (draft_init(&draft, app, mistakes)) {
        replace_one(&draft, source, tree);
        complete(&draft);
    } else {
        capp__tree_free(tree);
    }
    bool ok = finish(&draft, reterr);
    pthread_mutex_unlock(&app->config.reload);
    if (ok)
        capp__changes_post(&app->config);
    return ok;
}

/* ---- life ------------------------------------------------------------------------------------------ */

static void settle(struct capp__config *config)
{
    pthread_mutex_lock(&config->reload);
    config->once = capp__snapshot_current(config);
    for (size_t i = 0; i < config->bindings.count; i++) {
        const struct capp__binding *binding = config->bindings.items[i];

        if (binding->kind == CAPP__BIND_OPTIONS)
            memcpy(binding->once, capp__snapshot_at(config->once, i)->object->bytes,
                   binding->table->object_size);
    }
    pthread_mutex_unlock(&config->reload);
}

/* Before the first service is started, and after the modules are. */
static capp_status start(void *self, capp_error *reterr)
{
    (void)reterr;
    settle(&((capp_app *)self)->config);
    return CAPP_OK;
}

static capp_status stop(void *self, int64_t limit_ms, capp_error *reterr)
{
    (void)limit_ms;
    (void)reterr;
    capp__changes_stop(&((capp_app *)self)->config.changes);
    return CAPP_OK;
}

bool capp__config_add_component(capp_app *app)
{
    struct capp__component *component;

    if (!has_module_sources(&app->config))
        return true;
    component = ETCD__NEW(struct capp__component);
    if (component == NULL || !capp__ptrs_push(&app->components, component)) {
        etcd__free(component);
        return false;
    }
    etcd__format(component->label, sizeof(component->label), "configuration");
    component->self = app;
    component->start = start;
    component->stop = stop;
    return true;
}
