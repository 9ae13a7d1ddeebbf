/* SPDX-License-Identifier: Apache-2.0 */
/* The sources: which there are, and reading all of them in the order in which they count. */
#include "config.h"

#include "base/str.h"
#include "config_yaml.h"
#include "fail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void free_source(struct capp__source *source)
{
    capp__tree_free(source->tree);
    capp__module_source_free(source->module);
    etcd__free(source->text);
    if (source->value != NULL)
        etcd__wipe(source->value, strlen(source->value));
    etcd__free(source->value);
    etcd__free(source);
}

static bool init_locks(struct capp__config *config)
{
    if (pthread_mutex_init(&config->reload, NULL) != 0)
        return false;
    if (pthread_mutex_init(&config->shared.mutex, NULL) == 0) {
        if (capp__changes_init(&config->changes) == 0)
            return true;
        pthread_mutex_destroy(&config->shared.mutex);
    }
    pthread_mutex_destroy(&config->reload);
    return false;
}

bool capp__config_init(struct capp__config *config)
{
    config->built = capp__snapshot_new();
    if (config->built == NULL || !init_locks(config)) {
        capp__snapshot_unref(config->built);
        config->built = NULL;
        return false;
    }
    config->shared.current = capp__snapshot_ref(config->built);
    return true;
}

void capp__config_deinit(struct capp__config *config)
{
    if (config->built == NULL)
        return;
    capp__changes_stop(&config->changes);
    for (size_t i = 0; i < config->bindings.count; i++)
        capp_monitor_remove(((struct capp__binding *)config->bindings.items[i])->own);
    capp__changes_deinit(&config->changes);
    for (size_t i = 0; i < config->sources.count; i++)
        free_source(config->sources.items[i]);
    for (size_t i = 0; i < config->bindings.count; i++)
        capp__binding_free(config->bindings.items[i]);
    capp__ptrs_deinit(&config->sources);
    capp__ptrs_deinit(&config->bindings);
    capp__ptrs_deinit(&config->tables);
    capp__snapshot_unref(config->shared.current);
    capp__snapshot_unref(config->once);
    capp__snapshot_unref(config->built);
    pthread_mutex_destroy(&config->shared.mutex);
    pthread_mutex_destroy(&config->reload);
}

static bool copy_text(const char *text, char **ret_copy)
{
    *ret_copy = text == NULL ? NULL : etcd__strdup(text);
    return text == NULL || *ret_copy != NULL;
}

bool capp__config_add_source(struct capp__config *config, const struct capp__source *source)
{
    struct capp__source *own = etcd__memdup(source, sizeof(*source));
    bool ok;

    if (own == NULL)
        return false;
    ok = copy_text(source->text, &own->text);
    ok = copy_text(source->value, &own->value) && ok;
    if (ok && capp__ptrs_push(&config->sources, own))
        return true;
    own->module = NULL; /* stays the caller's */
    free_source(own);
    return false;
}

/* ---- files ----------------------------------------------------------------------------------------- */

static void complain_of_file(struct capp__mistakes *mistakes, const char *path, const char *why)
{
    capp__mistakes_add(mistakes, "", CAPP_E_IO, "configuration file '%s': %s", path, why);
}

static bool read_all(int fd, char *text, size_t size, size_t *ret_len)
{
    size_t len = 0;
    ssize_t got = 1;

    while (got > 0 && len < size) {
        got = read(fd, text + len, size - len);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            len += (size_t)got;
    }
    *ret_len = len;
    return got >= 0;
}

/* The content, to be freed; NULL: noted. */
static char *load_file(const char *path, int fd, size_t *ret_len, struct capp__mistakes *mistakes)
{
    struct stat info;
    char *text;

    if (fstat(fd, &info) != 0 || S_ISDIR(info.st_mode)) {
        complain_of_file(mistakes, path, "it is a directory");
        return NULL;
    }
    text = etcd__malloc(CAPP__FILE_MAX + 1);
    if (text == NULL)
        mistakes->no_memory = true;
    else if (!read_all(fd, text, CAPP__FILE_MAX + 1, ret_len))
        complain_of_file(mistakes, path, strerror(errno));
    else if (*ret_len > CAPP__FILE_MAX)
        complain_of_file(mistakes, path, "it has more than 4 MiB");
    else
        return text;
    etcd__free(text);
    return NULL;
}

static void merge(struct capp__tree *tree, struct capp__tree *from, struct capp__mistakes *mistakes)
{
    if (!mistakes->no_memory && !capp__tree_merge(tree, from)) /* else there may be values without a text */
        mistakes->no_memory = true;
    capp__tree_deinit(from);
}

static void read_file(struct capp__tree *whole, const char *path, uint32_t flags,
                      struct capp__mistakes *mistakes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct capp__tree tree = {.root = {.kind = CAPP__NODE_MAP}};
    size_t len = 0;
    char *text;

    if (fd < 0) {
        if (errno != ENOENT || (flags & CAPP_CONFIG_OPTIONAL) == 0)
            complain_of_file(mistakes, path, strerror(errno));
        return;
    }
    text = load_file(path, fd, &len, mistakes);
    close(fd);
    if (text == NULL)
        return;
    capp__yaml_read(path, text, len, &tree, mistakes);
    etcd__wipe(text, len); /* there may be a password in it */
    etcd__free(text);
    merge(whole, &tree, mistakes);
}

/* ---- directories ----------------------------------------------------------------------------------- */

static int is_config(const struct dirent *entry)
{
    static const char *const ends[] = {".yaml", ".yml", ".json"};
    size_t len = strlen(entry->d_name);

    for (size_t i = 0; i < ETCD__COUNT(ends) && entry->d_name[0] != '.'; i++) {
        size_t end = strlen(ends[i]);

        if (len > end && strcmp(entry->d_name + len - end, ends[i]) == 0)
            return 1;
    }
    return 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_dir(struct capp__tree *tree, const struct capp__source *source,
                     struct capp__mistakes *mistakes)
{
    struct dirent **entries = NULL;
    int count = scandir(source->text, &entries, is_config, by_bytes);
    char path[4096];

    if (count < 0 && (errno != ENOENT || (source->flags & CAPP_CONFIG_OPTIONAL) == 0))
        capp__mistakes_add(mistakes, "", CAPP_E_IO, "configuration directory '%s': %s", source->text,
                           strerror(errno));
    for (int i = 0; i < count; i++) {
        if (etcd__format(path, sizeof(path), "%s/%s", source->text, entries[i]->d_name) + 1 < sizeof(path))
            read_file(tree, path, 0, mistakes);
        free(entries[i]); /* scandir's */
    }
    free(entries);
}

/* ---- all of them ----------------------------------------------------------------------------------- */

static void set_value(struct capp__tree *tree, const struct capp__source *source,
                      struct capp__mistakes *mistakes)
{
    const struct capp__place place = {.source = "code"};
    bool replaced;

    if (capp__tree_set(tree, source->text, source->value, place, &replaced) == NULL)
        mistakes->no_memory = true;
}

static void read_into(struct capp__tree *tree, const struct capp__source *source,
                      struct capp__mistakes *mistakes)
{
    switch (source->kind) {
    case CAPP__SOURCE_DEFAULT:
    case CAPP__SOURCE_VALUE:
        set_value(tree, source, mistakes);
        break;
    case CAPP__SOURCE_FILE:
        read_file(tree, source->text, source->flags, mistakes);
        break;
    case CAPP__SOURCE_DIR:
        read_dir(tree, source, mistakes);
        break;
    case CAPP__SOURCE_ENV:
        capp__config_read_env(source->text, tree, mistakes);
        break;
    case CAPP__SOURCE_ARGS:
        capp__config_read_args(source->argc, source->argv, tree, mistakes);
        break;
    case CAPP__SOURCE_MODULE: /* says something when its module does */
    case CAPP__SOURCE_KINDS:
        break;
    }
}

bool capp__source_is_reread(const struct capp__source *source)
{
    return source->kind == CAPP__SOURCE_FILE || source->kind == CAPP__SOURCE_DIR;
}

struct capp__tree *capp__source_read(const struct capp__source *source, struct capp__mistakes *mistakes)
{
    struct capp__tree *tree = capp__tree_new();

    if (tree == NULL)
        mistakes->no_memory = true;
    else
        read_into(tree, source, mistakes);
    return tree;
}

bool capp__config_merge(const struct capp__config *config, struct capp__tree *const *fresh,
                        struct capp__tree *tree)
{
    bool ok = true;

    for (int kind = 0; kind < CAPP__SOURCE_KINDS; kind++) {
        for (size_t i = 0; i < config->sources.count && ok; i++) {
            const struct capp__source *source = config->sources.items[i];
            const struct capp__tree *said = fresh == NULL || fresh[i] == NULL ? source->tree : fresh[i];

            if ((int)source->kind == kind && said != NULL)
                ok = capp__tree_merge(tree, said);
        }
    }
    return ok;
}

const char *capp__config_env_prefix(const struct capp__config *config)
{
    for (size_t i = 0; i < config->sources.count; i++) {
        const struct capp__source *source = config->sources.items[i];

        if (source->kind == CAPP__SOURCE_ENV)
            return source->text;
    }
    return NULL;
}

/* The arguments may name further files, and without a prefix there is one all the same. */
static void complete_sources(struct capp__config *config, struct capp__mistakes *mistakes)
{
    const size_t given = config->sources.count;

    for (size_t i = 0; i < given; i++) {
        const struct capp__source *source = config->sources.items[i];

        if (source->kind == CAPP__SOURCE_ARGS && !capp__config_scan_args(config, source, mistakes))
            mistakes->no_memory = true;
    }
    if (capp__config_env_prefix(config) == NULL &&
        !capp__config_add_source(
            config, &(const struct capp__source){.kind = CAPP__SOURCE_ENV, .text = CAPP__ENV_PREFIX}))
        mistakes->no_memory = true;
}

void capp__config_load(struct capp__config *config, struct capp__mistakes *mistakes)
{
    complete_sources(config, mistakes);
    for (size_t i = 0; i < config->sources.count; i++) {
        struct capp__source *source = config->sources.items[i];

        source->tree = capp__source_read(source, mistakes);
    }
    if (!mistakes->no_memory && !capp__config_merge(config, NULL, &config->built->tree))
        mistakes->no_memory = true;
}
