/* SPDX-License-Identifier: Apache-2.0 */
/* Sources that modules bring. What one says becomes a tree, and that a reload. */
#include "capp/source.h"

#include "base/str.h"
#include "config_yaml.h"
#include "fail.h"
#include "host.h"
#include "reload.h"

#include <string.h>

struct capp_source {
    capp_setup *setup;
    char name[CAPP__NAME_SIZE];
    struct capp__source *source;
    struct capp__ptrs forbidden; /* char, owned */
};

/* ---- making one ------------------------------------------------------------------------------------ */

void capp__module_source_free(struct capp_source *source)
{
    if (source == NULL)
        return;
    for (size_t i = 0; i < source->forbidden.count; i++)
        etcd__free(source->forbidden.items[i]);
    capp__ptrs_deinit(&source->forbidden);
    etcd__free(source);
}

static capp_status add_source(struct capp_source *source)
{
    struct capp__config *config = &source->setup->app->config;

    /* From here on the configuration owns it. */
    if (capp__config_add_source(
            config, &(const struct capp__source){.kind = CAPP__SOURCE_MODULE, .module = source})) {
        source->source = config->sources.items[config->sources.count - 1];
        return CAPP_OK;
    }
    capp__module_source_free(source);
    return CAPP_E_NO_MEMORY;
}

static capp_status make(capp_setup *setup, const char *name, capp_source **ret_source, capp_error *reterr)
{
    struct capp_source head = {.setup = setup}, *source;
    capp_status status = capp__name_set(head.name, name, "capp_setup_add_source: name", reterr);

    if (status != CAPP_OK)
        return status;
    source = etcd__memdup(&head, sizeof(head));
    if (source == NULL || add_source(source) != CAPP_OK)
        return capp__fail_memory(reterr);
    *ret_source = source;
    return CAPP_OK;
}

capp_status capp_setup_add_source(capp_setup *setup, const char *name, capp_source **ret_source)
{
    capp_error error;
    capp_status status;

    if (setup->builder == NULL)
        status = capp_fail(&error, CAPP_E_STATE, "capp_setup_add_source: the application is built already");
    else if (ret_source == NULL)
        status = capp_fail(&error, CAPP_E_INVALID_ARGUMENT, "capp_setup_add_source: ret_source is NULL");
    else
        status = make(setup, name, ret_source, &error);
    return status == CAPP_OK ? CAPP_OK : capp__setup_mistake(setup, status, error.message);
}

capp_status capp_source_forbid(capp_source *source, const char *key)
{
    char *copy;

    if (source == NULL || key == NULL || key[0] == '\0')
        return CAPP_E_INVALID_ARGUMENT;
    if (source->setup->builder == NULL)
        return CAPP_E_STATE;
    copy = etcd__strdup(key);
    if (copy != NULL && capp__ptrs_push(&source->forbidden, copy))
        return CAPP_OK;
    etcd__free(copy);
    return capp__setup_mistake(source->setup, CAPP_E_NO_MEMORY, "out of memory");
}

/* ---- what it says ---------------------------------------------------------------------------------- */

/* One capp_source_set(). */
struct saying {
    const struct capp_source *source;
    struct capp__tree *tree;
    struct capp__mistakes *mistakes;
    const capp_source_entry *entry; /* the one at hand */
};

static void complain(const struct saying *saying, const char *what, const char *detail)
{
    char shown[128];

    capp__mistakes_add(saying->mistakes, "", CAPP_E_INVALID_ARGUMENT, "%s: %s%s%s%s", saying->entry->place,
                       what, detail == NULL ? "" : " '",
                       detail == NULL ? "" : etcd__escape(shown, sizeof(shown), detail, strlen(detail)),
                       detail == NULL ? "" : "'");
}

static bool is_key(const char *key)
{
    size_t len = strlen(key);

    return len > 0 && len < CAPP__PATH_SIZE / 2 && key[0] != '.' && key[len - 1] != '.' &&
           strstr(key, "..") == NULL;
}

static void say_document(const struct saying *saying)
{
    const capp_source_entry *entry = saying->entry;
    struct capp__tree document = {.root = {.kind = CAPP__NODE_MAP}};
    bool replaced = false;

    capp__yaml_read(entry->place, entry->value, entry->value_len, &document, saying->mistakes);
    if (!saying->mistakes->no_memory && !capp__tree_lay(saying->tree, entry->key, &document, &replaced))
        saying->mistakes->no_memory = true;
    if (replaced)
        complain(saying, "another document has a value where this one stands:", entry->key);
    capp__tree_deinit(&document);
}

/* Whether an entry, not a document, speaks of the key already. */
static bool is_given(const struct saying *saying)
{
    const struct capp__node *node = capp__tree_find(saying->tree, saying->entry->key);

    return node != NULL && node->kind == CAPP__NODE_TEXT && node->place.line == 0;
}

static void say_value(const struct saying *saying)
{
    const capp_source_entry *entry = saying->entry;
    struct capp__place place = {0};
    bool replaced = false;
    char *text;

    if (is_given(saying)) {
        complain(saying, "another key says otherwise:", entry->key);
        return;
    }
    place.source = etcd__arena_memdup(&saying->tree->arena, entry->place, strlen(entry->place));
    text = etcd__memdup(entry->value_len == 0 ? "" : entry->value, entry->value_len);
    if (place.source == NULL || text == NULL ||
        capp__tree_set(saying->tree, entry->key, text, place, &replaced) == NULL)
        saying->mistakes->no_memory = true;
    if (replaced)
        complain(saying, "another key stands above or below it:", entry->key);
    if (text != NULL)
        etcd__wipe(text, entry->value_len);
    etcd__free(text);
}

static void say(struct saying *saying, const capp_source_entry *entry)
{
    bool document = (entry->flags & CAPP_SOURCE_DOCUMENT) != 0;

    saying->entry = entry;
    if (!is_key(entry->key) && !(document && entry->key[0] == '\0'))
        complain(saying, "this is no key:", entry->key);
    else if (document)
        say_document(saying);
    else if (entry->value_len > 0 && memchr(entry->value, '\0', entry->value_len) != NULL)
        complain(saying, "a value with a NUL in it", NULL);
    else if (!etcd__utf8_valid(entry->value_len == 0 ? "" : entry->value, entry->value_len))
        complain(saying, "a value that is not UTF-8", NULL);
    else
        say_value(saying);
}

/* Documents first: what has a key of its own counts more. */
static void say_all(struct saying *saying, const capp_source_entry *entries, size_t count)
{
    for (uint32_t turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < count && !saying->mistakes->no_memory; i++) {
            if ((entries[i].flags & CAPP_SOURCE_DOCUMENT) == (turn == 0 ? CAPP_SOURCE_DOCUMENT : 0))
                say(saying, &entries[i]);
        }
    }
}

/* ---- what it may not say --------------------------------------------------------------------------- */

/* A value on the way to the key would take the place of what is below. */
static const struct capp__node *touches(const struct capp__tree *tree, const char *key)
{
    const struct capp__node *node = &tree->root;

    while (node != NULL && node->kind == CAPP__NODE_MAP && key[0] != '\0') {
        size_t len = strcspn(key, ".");

        node = capp__node_child(node, key, len);
        key += len + (key[len] == '.');
    }
    return node;
}

static void check_forbidden(const struct saying *saying)
{
    char place[CAPP__PATH_SIZE + 64];

    for (size_t i = 0; i < saying->source->forbidden.count; i++) {
        const char *key = saying->source->forbidden.items[i];
        const struct capp__node *node = touches(saying->tree, key);

        if (node != NULL)
            capp__mistakes_add(
                saying->mistakes, "", CAPP_E_INVALID_ARGUMENT, "%s: '%s' cannot be configured by source %s",
                capp__place_text(&node->place, place, sizeof(place)), key, saying->source->name);
    }
}

/* ---- saying it ------------------------------------------------------------------------------------- */

static capp_status check_call(const capp_source *source, const capp_source_entry *entries, size_t count,
                              capp_error *reterr)
{
    if (source == NULL || (entries == NULL && count > 0))
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "capp_source_set: %s is NULL",
                         source == NULL ? "source" : "entries");
    if (source->setup->builder != NULL)
        return capp_fail(reterr, CAPP_E_STATE, "capp_source_set: the application is not built yet");
    for (size_t i = 0; i < count; i++) {
        if (entries[i].key == NULL || entries[i].place == NULL ||
            (entries[i].value == NULL && entries[i].value_len > 0))
            return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                             "capp_source_set: entries[%zu] has no key, no value or no place", i);
        if ((entries[i].flags & ~CAPP_SOURCE_DOCUMENT) != 0 || entries[i].reserved != 0)
            return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                             "capp_source_set: entries[%zu] has a flag that is not known", i);
    }
    return CAPP_OK;
}

capp_status capp_source_set(capp_source *source, const capp_source_entry *entries, size_t count,
                            capp_error *reterr)
{
    struct capp__mistakes mistakes = {0};
    struct saying saying = {.source = source, .mistakes = &mistakes};
    capp_status status = check_call(source, entries, count, reterr);
    capp_error error = {0};

    if (status != CAPP_OK)
        return status;
    int code = capp__changes_start(&source->setup->app->config);
    if (code != 0)
        return capp__fail_sys(reterr, code, "cannot start a thread");
    saying.tree = capp__tree_new();
    if (saying.tree == NULL)
        return capp__fail_memory(reterr);
    say_all(&saying, entries, count);
    if (!mistakes.no_memory)
        check_forbidden(&saying);
    if (capp__reload_with(source->setup->app, source->source, saying.tree, &mistakes, &error))
        return CAPP_OK;
    capp__error_copy(reterr, &error);
    return error.status;
}
