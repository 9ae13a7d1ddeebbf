/* SPDX-License-Identifier: Apache-2.0 */
/* What a program and its modules say about the configuration while they are put together. */
#include "base/str.h"
#include "host.h"
#include "setup.h"

#include <string.h>

/* ---- sources --------------------------------------------------------------------------------------- */

static void add_source(capp_builder *builder, const struct capp__source *source)
{
    if (!capp__config_add_source(&builder->app->config, source))
        builder->mistakes.no_memory = true;
}

static void refuse(capp_builder *builder, const char *function, const char *text)
{
    capp__mistakes_add(&builder->mistakes, "", CAPP_E_INVALID_ARGUMENT, "%s: %s", function, text);
}

static void use_path(capp_builder *builder, enum capp__source_kind kind, const char *path, uint32_t flags,
                     const char *function)
{
    if (!capp__builder_is_open(builder, function))
        return;
    if (path == NULL || path[0] == '\0')
        refuse(builder, function, "path is NULL or empty");
    else if ((flags & ~CAPP_CONFIG_OPTIONAL) != 0)
        refuse(builder, function, "flags has a bit that is not known");
    else
        add_source(builder, &(const struct capp__source){
                                .kind = kind, .flags = flags, .text = (char *)(uintptr_t)path});
}

void capp_use_config_file(capp_builder *builder, const char *path, uint32_t flags)
{
    use_path(builder, CAPP__SOURCE_FILE, path, flags, "capp_use_config_file");
}

void capp_use_config_dir(capp_builder *builder, const char *path, uint32_t flags)
{
    use_path(builder, CAPP__SOURCE_DIR, path, flags, "capp_use_config_dir");
}

void capp_use_config_env(capp_builder *builder, const char *prefix)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    char with_end[CAPP__NAME_SIZE];
    size_t len;

    if (!capp__builder_is_open(builder, "capp_use_config_env"))
        return;
    len = prefix == NULL ? 0 : strlen(prefix);
    if (len == 0 || len + 2 > sizeof(with_end) || strspn(prefix, allowed) != len) {
        refuse(builder, "capp_use_config_env", "prefix must be 1 to 62 characters of A-Z a-z 0-9 _");
        return;
    }
    etcd__format(with_end, sizeof(with_end), "%s%s", prefix, prefix[len - 1] == '_' ? "" : "_");
    add_source(builder, &(const struct capp__source){.kind = CAPP__SOURCE_ENV, .text = with_end});
}

void capp_use_config_args(capp_builder *builder, int argc, char *const *argv)
{
    if (!capp__builder_is_open(builder, "capp_use_config_args"))
        return;
    if (argc < 0 || (argc > 0 && argv == NULL))
        refuse(builder, "capp_use_config_args", "argc is negative, or argv is NULL");
    else
        add_source(builder,
                   &(const struct capp__source){.kind = CAPP__SOURCE_ARGS, .argc = argc, .argv = argv});
}

static void use_value(capp_builder *builder, enum capp__source_kind kind, const char *key, const char *value,
                      const char *function)
{
    if (!capp__builder_is_open(builder, function))
        return;
    if (key == NULL || key[0] == '\0' || strlen(key) >= CAPP__PATH_SIZE)
        refuse(builder, function, "key is NULL, empty or too long");
    else if (value == NULL)
        refuse(builder, function, "value is NULL");
    else
        add_source(builder, &(const struct capp__source){.kind = kind,
                                                         .text = (char *)(uintptr_t)key,
                                                         .value = (char *)(uintptr_t)value});
}

void capp_use_config_default(capp_builder *builder, const char *key, const char *value)
{
    use_value(builder, CAPP__SOURCE_DEFAULT, key, value, "capp_use_config_default");
}

void capp_use_config_value(capp_builder *builder, const char *key, const char *value)
{
    use_value(builder, CAPP__SOURCE_VALUE, key, value, "capp_use_config_value");
}

/* ---- tables ---------------------------------------------------------------------------------------- */

void capp_add_options(capp_builder *builder, const capp_options *options)
{
    if (capp__builder_is_open(builder, "capp_add_options"))
        capp__builder_keep(builder, &builder->options, &(const struct capp__added){.options = options});
}

/* CAPP_OK when the table can be used; else the mistake is noted. */
static capp_status declare(capp_setup *setup, const capp_options *options, const char *function)
{
    char text[96];

    if (setup->builder == NULL) {
        etcd__format(text, sizeof(text), "%s: the application is built already", function);
        return capp__setup_mistake(setup, CAPP_E_STATE, text);
    }
    if (!capp__table_is_sound(options, &setup->builder->mistakes, setup->origin))
        return CAPP_E_INVALID_ARGUMENT;
    if (capp__config_declare(&setup->app->config, options))
        return CAPP_OK;
    return capp__setup_mistake(setup, CAPP_E_NO_MEMORY, "out of memory");
}

capp_status capp_setup_declare(capp_setup *setup, const capp_options *options)
{
    return declare(setup, options, "capp_setup_declare");
}

/* The path of the section, a star replaced by the name. */
static bool section_path(char *dst, size_t size, const char *section, const char *name)
{
    const char *star = strchr(section, '*');

    if ((star == NULL) != (name == NULL))
        return false;
    if (star == NULL)
        return etcd__format(dst, size, "%s", section) < size;
    return etcd__format(dst, size, "%.*s%s%s", (int)(star - section), section, name, star + 1) + 1 < size;
}

/* Reads a struct; CAPP_OK when nothing was wrong with it. `*ret_binding` is NULL when there is none. */
static capp_status bind(capp_setup *setup, enum capp__binding_kind kind, const capp_options *options,
                        const char *name, void *object, struct capp__binding **ret_binding)
{
    struct capp__mistakes *mistakes = &setup->builder->mistakes;
    size_t before = mistakes->list.count;
    char path[CAPP__PATH_SIZE];

    *ret_binding = NULL;
    if (!section_path(path, sizeof(path), options->section, name))
        return capp__setup_mistake(setup, CAPP_E_INVALID_ARGUMENT,
                                   "options: a section with a star needs a name, and one without has none");
    *ret_binding = capp__config_bind(&setup->app->config, kind, options, path, object, mistakes);
    if (*ret_binding == NULL)
        return CAPP_E_NO_MEMORY;
    return mistakes->list.count == before ? CAPP_OK : CAPP_E_INVALID_ARGUMENT;
}

capp_status capp_setup_bind(capp_setup *setup, const capp_options *options, const char *name, void *object)
{
    capp_status status = declare(setup, options, "capp_setup_bind");
    struct capp__binding *binding;

    if (status == CAPP_OK && object == NULL)
        return capp__setup_mistake(setup, CAPP_E_INVALID_ARGUMENT, "capp_setup_bind: object is NULL");
    return status == CAPP_OK ? bind(setup, CAPP__BIND_MODULE, options, name, object, &binding) : status;
}

capp_status capp_setup_add_options(capp_setup *setup, const capp_options *options)
{
    capp_status status = declare(setup, options, "capp_add_options");
    struct capp__binding *binding;

    if (status != CAPP_OK)
        return status;
    status = bind(setup, CAPP__BIND_OPTIONS, options, NULL, NULL, &binding);
    if (binding == NULL)
        return status;
    capp_status published = capp_publish(setup, options->type, NULL, binding->once);
    if (published == CAPP_OK)
        capp__container_find(&setup->app->container, options->type, NULL)->options = binding;
    return status == CAPP_OK ? published : status;
}

capp_status capp__config_bind_host(capp_builder *builder, const capp_options *table, void *object,
                                   capp_change_fn *changed, void *user_data)
{
    capp_setup *setup = builder->program;
    capp_status status = declare(setup, table, "capp__config_bind_host");
    struct capp__binding *binding;

    if (status != CAPP_OK)
        return status;
    status = bind(setup, CAPP__BIND_HOST, table, NULL, object, &binding);
    if (binding == NULL || changed == NULL)
        return status;
    capp_monitor_entry *entry;
    if (capp_monitor_add(&binding->monitor, changed, user_data, &entry, NULL) != CAPP_OK)
        return capp__setup_mistake(setup, CAPP_E_NO_MEMORY, "out of memory");
    atomic_store(&binding->live, true);
    binding->own = entry;
    return status;
}

const char *capp_setup_section_name(const capp_setup *setup, const char *section, size_t index)
{
    const struct capp__node *map = section == NULL
                                       ? NULL
                                       : capp__tree_find(&setup->app->config.built->tree, section);
    const struct capp__node *node = map == NULL || map->kind != CAPP__NODE_MAP ? NULL : map->first;

    while (node != NULL && (node->kind == CAPP__NODE_NULL || index > 0)) {
        index -= node->kind != CAPP__NODE_NULL;
        node = node->next;
    }
    return node == NULL ? NULL : node->key;
}

bool capp_setup_place(const capp_setup *setup, const char *key, char *dst, size_t size)
{
    const struct capp__node *node = key == NULL ? NULL
                                                : capp__tree_find(&setup->app->config.built->tree, key);

    if (node != NULL)
        capp__place_text(&node->place, dst, size);
    return node != NULL;
}
