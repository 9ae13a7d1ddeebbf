/* SPDX-License-Identifier: Apache-2.0 */
/* The tables that were declared: whether they are sound, and which keys they know. */
#include "base/str.h"
#include "config.h"
#include "config_field.h"

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

static const char *fault_of(const capp_options *table, const capp_option *option)
{
    if (option->key == NULL || option->key[0] == '\0')
        return "it has no key";
    if ((int)option->kind < CAPP_KIND_TEXT || option->kind > CAPP_KIND_SECRET)
        return "its kind is unknown";
    if (option->offset > table->object_size ||
        capp__field_size(option->kind) > table->object_size - option->offset)
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

/* What the tables say of a key that they do not have; NULL: nothing. */
static const char *instead_of(const struct capp__config *config, const char *path)
{
    char key[CAPP__PATH_SIZE];

    for (size_t i = 0; i < config->tables.count; i++) {
        const capp_options *table = config->tables.items[i];

        for (size_t j = 0; j < table->other_count; j++) {
            full_key(key, sizeof(key), table->section, table->other_key[j].key, path);
            if (capp__distance(path, key) == 0)
                return table->other_key[j].instead;
        }
    }
    return NULL;
}

/* What is wanted, and who is told. */
struct check {
    const struct capp__config *config;
    const struct capp__node *root;
    bool reload;
    const capp_logger *logger;
    struct capp__mistakes *mistakes;
};

/* Whether a secret is to be found in this variable: `env: VARIABLE` below some option. */
static bool holds_secret(const struct capp__node *map, const char *variable)
{
    for (const struct capp__node *node = map->first; node != NULL; node = node->next) {
        if (node->kind == CAPP__NODE_MAP && holds_secret(node, variable))
            return true;
        if (node->kind == CAPP__NODE_TEXT && strcmp(node->text, variable) == 0 &&
            capp__key_equal("env", 3, node->key))
            return true;
    }
    return false;
}

/* A variable that begins like those of the options, but is the source of a secret. */
static bool is_secret(const struct check *check, const struct capp__node *node)
{
    static const char variable[] = "environment variable ";
    size_t len = sizeof(variable) - 1;

    return strncmp(node->place.source, variable, len) == 0 &&
           holds_secret(check->root, node->place.source + len);
}

/* Whether the environment may say it all the same. */
static bool is_tolerated(const struct check *check, const struct capp__node *node, bool known)
{
    static const char environment[] = "environment ";
    const char *prefix = capp__config_env_prefix(check->config);

    return strncmp(node->place.source, environment, sizeof(environment) - 1) == 0 &&
           (known || (prefix != NULL && strcmp(prefix, CAPP__ENV_PREFIX) == 0));
}

/* The option whose key is the most like this path. */
static struct search nearest(const struct check *check, const char *path)
{
    struct search search = {.wanted = path, .best = NEAR_MAX + 1};

    for (size_t i = 0; i < check->config->tables.count; i++)
        consider(&search, check->config->tables.items[i]);
    return search;
}

static void complain(const struct check *check, const struct capp__node *node, const char *path)
{
    const char *instead = instead_of(check->config, path);
    struct search search = nearest(check, path);
    char place[CAPP__PATH_SIZE + 64], shown[CAPP__PATH_SIZE], text[4 * CAPP__PATH_SIZE];

    capp__place_text(&node->place, place, sizeof(place));
    etcd__escape_controls(shown, sizeof(shown), path, strlen(path));
    if (search.best == 0)
        etcd__format(text, sizeof(text), "%s: '%s' is of a name that is not used here", place, shown);
    else if (instead != NULL)
        etcd__format(text, sizeof(text), "%s: there is no option '%s': %s", place, shown, instead);
    else
        etcd__format(text, sizeof(text), "%s: there is no option '%s'%s%s%s", place, shown,
                     search.best > NEAR_MAX ? "" : "; did you mean '",
                     search.best > NEAR_MAX ? "" : search.nearest, search.best > NEAR_MAX ? "" : "'?");
    if (is_tolerated(check, node, search.best == 0)) {
        if (!check->reload) /* the environment stays as it is, and was warned of before */
            capp_log(check->logger, CAPP_LOG_WARN, "config", "%s", text);
    } else if (check->reload && search.best == 0) {
        capp_log(check->logger, CAPP_LOG_WARN, "config", "%s: at the next start it may be", text);
    } else {
        capp__mistakes_add(check->mistakes, "", CAPP_E_INVALID_ARGUMENT, "%s", text);
    }
}

/* `path` has room for CAPP__PATH_SIZE; what is below is added to it for a while. */
static void walk(const struct check *check, const struct capp__node *map, char *path, size_t len)
{
    for (const struct capp__node *node = map->first; node != NULL; node = node->next) {
        size_t used = len +
                      etcd__format(path + len, CAPP__PATH_SIZE - len, "%s%s", len == 0 ? "" : ".", node->key);

        /* A map can be a value: that of a secret. */
        if (node->kind == CAPP__NODE_MAP && !node->read && nearest(check, path).best > 0 &&
            instead_of(check->config, path) == NULL)
            walk(check, node, path, used);
        else if (!node->read && node->kind != CAPP__NODE_NULL && !is_secret(check, node))
            complain(check, node, path);
        path[len] = '\0';
    }
}

void capp__config_check_unknown(const struct capp__config *config, const struct capp__snapshot *snapshot,
                                bool reload, const capp_logger *logger, struct capp__mistakes *mistakes)
{
    const struct check check = {.config = config,
                                .root = &snapshot->tree.root,
                                .reload = reload,
                                .logger = logger,
                                .mistakes = mistakes};
    char path[CAPP__PATH_SIZE] = "";

    walk(&check, &snapshot->tree.root, path, 0);
}
