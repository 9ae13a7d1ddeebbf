/* SPDX-License-Identifier: Apache-2.0 */
/* From the tree to the structs, as their tables say: when the application is built, and at each reload. */
#include "base/buf.h"
#include "base/str.h"
#include "config.h"
#include "config_field.h"
#include "config_store.h"
#include "fail.h"

#include <string.h>

static void note_setting(const struct capp__filling *filling, struct capp__setting *setting)
{
    struct etcd__buf text;

    etcd__buf_init(&text, 0);
    setting->place = filling->place;
    if (!capp__field_write(filling->option, filling->field, &text))
        filling->mistakes->no_memory = true;
    else if (etcd__buf_len(&text) > 0)
        setting->text = etcd__arena_memdup(&filling->snapshot->tree.arena, etcd__buf_front(&text),
                                           etcd__buf_len(&text));
    etcd__buf_deinit(&text);
}

/* ---- the struct ------------------------------------------------------------------------------------ */

/* Reads one option; false when the configuration has nothing for it. */
static bool fill_option(struct capp__filling *filling, bool fresh, bool may_miss)
{
    const capp_option *option = filling->option;
    struct capp__node *node = capp__tree_find(&filling->snapshot->tree, filling->path);

    filling->place = (struct capp__place){.source = fresh ? "default" : "code"};
    if (node != NULL) {
        filling->place = node->place;
        (void)capp__store_node(filling, node);
    } else if (fresh && option->fallback != NULL) {
        (void)capp__store_text(filling, option->fallback);
    } else if ((option->flags & CAPP_OPTION_REQUIRED) != 0 && !may_miss) {
        capp__store_missing(filling);
    }
    return node != NULL;
}

static void begin_option(struct capp__filling *filling, const struct capp__binding *binding, size_t i,
                         void *object)
{
    filling->option = &binding->table->option[i];
    filling->field = (char *)object + filling->option->offset;
    etcd__format(filling->path, sizeof(filling->path), "%s%s%s", binding->path,
                 binding->path[0] == '\0' ? "" : ".", filling->option->key);
}

static void check(const struct capp__binding *binding, const void *object, struct capp__mistakes *mistakes)
{
    const capp_options *table = binding->table;
    capp_error error = {0};
    capp_status status = table->check == NULL ? CAPP_OK : table->check(object, &error);

    if (status == CAPP_OK)
        return;
    capp__error_settle(&error, status);
    capp__mistakes_add(mistakes, "", status, "%s: %s", binding->path, error.message);
}

/* A struct that is ours: of the program's options, or of the host's. */
static void fill_own(const struct capp__binding *binding, struct capp__snapshot *snapshot,
                     struct capp__bound *bound, struct capp__mistakes *mistakes)
{
    struct capp__filling filling = {.snapshot = snapshot, .mistakes = mistakes};
    size_t before = mistakes->list.count;

    if (binding->initial != NULL)
        memcpy(bound->object->bytes, binding->initial, binding->table->object_size);
    for (size_t i = 0; i < binding->table->count; i++) {
        begin_option(&filling, binding, i, bound->object->bytes);
        (void)fill_option(&filling, binding->initial == NULL, false);
        note_setting(&filling, &bound->settings[i]);
    }
    if (mistakes->list.count == before && !mistakes->no_memory)
        check(binding, bound->object->bytes, mistakes);
}

/* The union has room and alignment for every kind of field. */
union any_field {
    int64_t number;
    size_t size;
    const char *text;
    const char *const *list;
    capp_secret secret;
};

static bool is_zero(const void *field, size_t size)
{
    static const union any_field zero;

    return memcmp(field, &zero, size) == 0;
}

/* What a module's code says of an option. Zero is a default, and shown as what the table says that it is. */
static void note_code(struct capp__filling *filling, struct capp__setting *setting)
{
    const capp_option *option = filling->option;
    void *field = filling->field;
    union any_field fallback = {0};

    filling->place = (struct capp__place){.source = "code"};
    if (option->fallback != NULL && is_zero(field, capp__field_size(option->kind))) {
        filling->place.source = "default";
        filling->field = &fallback;
        (void)capp__store_text(filling, option->fallback);
    }
    note_setting(filling, setting);
    filling->field = field;
}

/*
 * A module's struct: filled by the build. What the configuration says is kept beside it in the bound, and
 * what the module says is noted as text: at a reload the struct, and all that it pointed to, may be gone.
 */
static void fill_theirs(const struct capp__binding *binding, struct capp__snapshot *snapshot,
                        struct capp__bound *bound, void *object, struct capp__mistakes *mistakes)
{
    struct capp__filling filling = {.snapshot = snapshot, .mistakes = mistakes};
    size_t before = mistakes->list.count;

    for (size_t i = 0; i < binding->table->count; i++) {
        begin_option(&filling, binding, i, object);
        note_code(&filling, &binding->code[i]);
        bound->settings[i] = binding->code[i];
        if (!fill_option(&filling, false, false))
            continue;
        memcpy((char *)bound->object->bytes + filling.option->offset, filling.field,
               capp__field_size(filling.option->kind));
        note_setting(&filling, &bound->settings[i]);
    }
    if (mistakes->list.count == before && !mistakes->no_memory)
        check(binding, object, mistakes);
}

/* The same at a reload: each value for itself, without a check of the whole. A name that is gone may be. */
static void fill_theirs_again(const struct capp__binding *binding, struct capp__snapshot *snapshot,
                              struct capp__bound *bound, struct capp__mistakes *mistakes)
{
    struct capp__filling filling = {.snapshot = snapshot, .mistakes = mistakes};
    bool gone = capp__tree_find(&snapshot->tree, binding->path) == NULL;

    for (size_t i = 0; i < binding->table->count; i++) {
        begin_option(&filling, binding, i, bound->object->bytes);
        if (fill_option(&filling, false, gone))
            note_setting(&filling, &bound->settings[i]);
        else
            bound->settings[i] = binding->code[i]; /* `built` stays as long as the application */
    }
}

/* ---- bindings -------------------------------------------------------------------------------------- */

static bool make_room(struct capp__config *config, struct capp__binding *binding, const char *path,
                      const void *object)
{
    const capp_options *table = binding->table;

    binding->path = etcd__strdup(path);
    if (binding->path == NULL)
        return false;
    switch (binding->kind) {
    case CAPP__BIND_OPTIONS:
        binding->once = etcd__calloc(1, table->object_size == 0 ? 1 : table->object_size);
        return binding->once != NULL;
    case CAPP__BIND_HOST:
        binding->initial = etcd__memdup(object, table->object_size);
        return binding->initial != NULL;
    default:
        binding->code = etcd__arena_calloc(&config->built->tree.arena, table->count, sizeof(*binding->code));
        return binding->code != NULL;
    }
}

void capp__binding_free(struct capp__binding *binding)
{
    etcd__free(binding->once);
    etcd__free(binding->initial);
    etcd__free(binding->path);
    etcd__free(binding);
}

static struct capp__binding *new_binding(struct capp__config *config, enum capp__binding_kind kind,
                                         const capp_options *table, const char *path, const void *object)
{
    struct capp__binding *binding = ETCD__NEW(struct capp__binding);

    if (binding == NULL)
        return NULL;
    binding->kind = kind;
    binding->table = table;
    binding->index = config->bindings.count;
    binding->monitor = (struct capp_monitor){.config = config, .index = binding->index};
    atomic_init(&binding->live, false);
    if (make_room(config, binding, path, object) && capp__ptrs_push(&config->bindings, binding))
        return binding;
    capp__binding_free(binding);
    return NULL;
}

struct capp__binding *capp__config_bind(struct capp__config *config, enum capp__binding_kind kind,
                                        const capp_options *table, const char *path, void *object,
                                        struct capp__mistakes *mistakes)
{
    struct capp__bound *bound = capp__snapshot_add(config->built, table);
    struct capp__binding *binding = bound == NULL ? NULL : new_binding(config, kind, table, path, object);

    if (binding == NULL) {
        if (bound != NULL)
            capp__snapshot_drop(config->built);
        mistakes->no_memory = true;
        return NULL;
    }
    if (kind == CAPP__BIND_MODULE) {
        fill_theirs(binding, config->built, bound, object, mistakes);
        return binding;
    }
    fill_own(binding, config->built, bound, mistakes);
    memcpy(binding->once != NULL ? binding->once : object, bound->object->bytes, table->object_size);
    return binding;
}

void capp__config_bind_again(const struct capp__config *config, struct capp__snapshot *snapshot,
                             struct capp__mistakes *mistakes)
{
    for (size_t i = 0; i < config->bindings.count && !mistakes->no_memory; i++) {
        const struct capp__binding *binding = config->bindings.items[i];
        struct capp__bound *bound = capp__snapshot_add(snapshot, binding->table);

        if (bound == NULL)
            mistakes->no_memory = true;
        else if (binding->kind == CAPP__BIND_MODULE)
            fill_theirs_again(binding, snapshot, bound, mistakes);
        else
            fill_own(binding, snapshot, bound, mistakes);
    }
}

struct capp__binding *capp__config_find(const struct capp__config *config, const capp_type *type)
{
    for (size_t i = 0; i < config->bindings.count; i++) {
        struct capp__binding *binding = config->bindings.items[i];

        if (binding->kind == CAPP__BIND_OPTIONS && binding->table->type == type)
            return binding;
    }
    return NULL;
}
