/* SPDX-License-Identifier: Apache-2.0 */
/* The tables that were declared: whether they are sound, and which keys they know. */
#include "base/str.h"
#include "config.h"
#include "config_value.h"

#include <string.h>

enum { NEAR_MAX = 3 }; /* more changes than that make another word */

bool capp__config_declare(struct capp__config *config, const capp_options *table)
{
    for (size_t i = 0; i < config->tables.count; i++) {
        if (config->tables.items[i] == table)
            return true;
    }
    return capp__ptrs_push(&config->tables, (void *)(uintptr_t)table);
}

/* ---- soundness ------------------------------------------------------------------------------------- */

static const size_t field_sizes[] = {
    [CAPP_KIND_TEXT] = sizeof(const char *), [CAPP_KIND_BOOL] = sizeof(bool),
    [CAPP_KIND_INT] = sizeof(int64_t),       [CAPP_KIND_DURATION] = sizeof(int64_t),
    [CAPP_KIND_SIZE] = sizeof(size_t),       [CAPP_KIND_LIST] = sizeof(const char *const *),
    [CAPP_KIND_CHOICE] = sizeof(int),        [CAPP_KIND_SECRET] = sizeof(capp_secret),
};

static const char *fault_of(const capp_options *table, const capp_option *option)
{
    if (option->key == NULL || option->key[0] == '\0')
        return "it has no key";
    if ((int)option->kind < CAPP_KIND_TEXT || option->kind > CAPP_KIND_SECRET)
        return "its kind is unknown";
    if (option->offset > table->object_size ||
        field_sizes[option->kind] > table->object_size - option->offset)
        return "its field lies outside of the struct";
    if (option->kind == CAPP_KIND_CHOICE && (option->choices == NULL || option->choice_count == 0))
        return "it has no choices";
    if (option->flags & ~CAPP_OPTION_REQUIRED || option->reserved != NULL)
        return "a flag or a reserved member is set that is not known";
    if (strlen(table->section) + strlen(option->key) + 2 > CAPP__PATH_SIZE - 64)
        return "its key is too long";
    return NULL;
}

bool capp__table_is_sound(const capp_options *table, struct capp__mistakes *mistakes, const char *origin)
{
    size_t before = mistakes->list.count;

    if (table == NULL || table->size != sizeof(*table) || table->type == NULL || table->section == NULL ||
        (table->option == NULL && table->count > 0)) {
        capp__mistakes_add(mistakes, origin, CAPP_E_INVALID_ARGUMENT,
                           "a table of options was not made with CAPP_OPTIONS");
        return false;
    }
    for (size_t i = 0; i < table->count; i++) {
        const char *fault = fault_of(table, &table->option[i]);

        if (fault != NULL)
            capp__mistakes_add(mistakes, origin, CAPP_E_INVALID_ARGUMENT,
                               "options of %s: number %zu, '%s': %s", table->type->name, i,
                               table->option[i].key == NULL ? "" : table->option[i].key, fault);
    }
    return mistakes->list.count == before;
}

/* ---- unknown keys ---------------------------------------------------------------------------------- */

struct search {
    const char *wanted;
    size_t best;
    char nearest[CAPP__PATH_SIZE];
};

/* The full key of an option, with what stands in the wanted one in the place of a star. */
static void full_key(char *dst, size_t size, const char *section, const char *key, const char *wanted)
{
    size_t len = 0;
    const char *at = wanted;

    for (const char *s = section; *s != '\0' && len + 1 < size; s++) {
        size_t name = strcspn(at, ".");

        if (*s == '*')
            len += etcd__format(dst + len, size - len, "%.*s", (int)name, at);
        else
            dst[len++] = *s;
        if (*s == '.')
            at += name + (at[name] == '.');
    }
    etcd__format(dst + len, size - len, "%s%s", section[0] == '\0' ? "" : ".", key);
}

static void consider(struct search *search, const capp_options *table)
{
    char key[CAPP__PATH_SIZE];

    for (size_t i = 0; i < table->count; i++) {
        full_key(key, sizeof(key), table->section, table->option[i].key, search->wanted);

        size_t distance = capp__distance(search->wanted, key);

        if (distance < search->best) {
            search->best = distance;
            memcpy(search->nearest, key, sizeof(key));
        }
    }
}

static void complain(const struct capp__config *config, const struct capp__node *node, const char *path,
                     struct capp__mistakes *mistakes)
{
    struct search search = {.wanted = path, .best = NEAR_MAX + 1};
    char place[CAPP__PATH_SIZE + 64], shown[CAPP__PATH_SIZE];

    for (size_t i = 0; i < config->tables.count; i++)
        consider(&search, config->tables.items[i]);
    capp__mistakes_add(mistakes, "", CAPP_E_INVALID_ARGUMENT, "%s: there is no option '%s'%s%s%s",
                       capp__place_text(&node->place, place, sizeof(place)),
                       etcd__escape_controls(shown, sizeof(shown), path, strlen(path)),
                       search.best > NEAR_MAX ? "" : "; did you mean '",
                       search.best > NEAR_MAX ? "" : search.nearest, search.best > NEAR_MAX ? "" : "'?");
}

/* `path` has room for CAPP__PATH_SIZE; what is below is added to it for a while. */
static void walk(const struct capp__config *config, const struct capp__node *map, char *path, size_t len,
                 struct capp__mistakes *mistakes)
{
    for (const struct capp__node *node = map->first; node != NULL; node = node->next) {
        size_t used = len +
                      etcd__format(path + len, CAPP__PATH_SIZE - len, "%s%s", len == 0 ? "" : ".", node->key);

        if (node->kind == CAPP__NODE_MAP && !node->read)
            walk(config, node, path, used, mistakes);
        else if (!node->read && node->kind != CAPP__NODE_NULL)
            complain(config, node, path, mistakes);
        path[len] = '\0';
    }
}

void capp__config_check_unknown(const struct capp__config *config, struct capp__mistakes *mistakes)
{
    char path[CAPP__PATH_SIZE] = "";

    walk(config, &config->tree.root, path, 0, mistakes);
}
