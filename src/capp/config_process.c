/* SPDX-License-Identifier: Apache-2.0 */
/* What a process is given: its environment and its arguments. Values are never part of a message. */
#include "base/str.h"
#include "config.h"

#include <string.h>
#include <unistd.h>

/* ---- environment ----------------------------------------------------------------------------------- */

char *capp__env_name(char *dst, size_t size, const char *prefix, const char *path)
{
    size_t len = etcd__format(dst, size, "%s", prefix);

    for (; *path != '\0' && len + 3 < size; path++) {
        char c = *path;

        if (c == '.')
            dst[len++] = '_';
        dst[len++] = c == '.' || c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    dst[len] = '\0';
    return dst;
}

/* "ETCD__CLIENTS" to "etcd.clients". False: no key, or a longer one than there are. */
static bool path_of(const char *name, size_t len, char *dst, size_t size)
{
    size_t used = 0;
    bool dot = true; /* a name must follow */

    for (size_t i = 0; i < len; i++) {
        bool level = name[i] == '_' && i + 1 < len && name[i + 1] == '_' && !dot;
        char c = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];

        if (used + 2 > size)
            return false;
        dst[used++] = level ? '.' : c;
        i += level;
        dot = level;
    }
    dst[used] = '\0';
    return used > 0 && !dot;
}

static void add_variable(const char *variable, size_t prefix_len, struct capp__tree *tree,
                         struct capp__mistakes *mistakes)
{
    const char *value = strchr(variable, '=');
    size_t len = (size_t)(value - variable);
    struct capp__place place = {0};
    char path[CAPP__PATH_SIZE], source[CAPP__PATH_SIZE + 32];
    bool replaced = false;

    etcd__format(source, sizeof(source), "environment variable %.*s", (int)(len < 200 ? len : 200), variable);
    if (value[1] == '\0')
        return;
    if (!path_of(variable + prefix_len, len - prefix_len, path, sizeof(path))) {
        capp__mistakes_add(mistakes, "", CAPP_E_INVALID_ARGUMENT, "%s: its name holds no key", source);
        return;
    }
    place.source = etcd__arena_memdup(&tree->arena, source, strlen(source));
    if (place.source == NULL || capp__tree_set(tree, path, value + 1, place, &replaced) == NULL)
        mistakes->no_memory = true;
    else if (replaced)
        capp__mistakes_add(mistakes, "", CAPP_E_INVALID_ARGUMENT,
                           "%s: another variable is set that says otherwise: a value, or values below it",
                           source);
}

void capp__config_read_env(const char *prefix, struct capp__tree *tree, struct capp__mistakes *mistakes)
{
    static const char own[] = "CAPP_ENV="; /* says what the environment is called, and is no option */
    size_t len = strlen(prefix);

    for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
        if (strncmp(*variable, own, sizeof(own) - 1) == 0)
            continue;
        if (strncmp(*variable, prefix, len) == 0 && strchr(*variable, '=') > *variable + len)
            add_variable(*variable, len, tree, mistakes);
    }
}

/* ---- arguments ------------------------------------------------------------------------------------- */

/* One argument that says something, taken apart. */
struct argument {
    const char *key;
    size_t key_len;
    const char *value; /* NULL: none was given */
};

/* Takes the next option, with its value; false at the end. */
static bool next_argument(int argc, char *const *argv, int *i, struct argument *argument)
{
    const char *equals;

    while (*i < argc && argv[*i] != NULL && strncmp(argv[*i], "--", 2) != 0)
        (*i)++;
    if (*i >= argc || argv[*i] == NULL || strcmp(argv[*i], "--") == 0)
        return false;
    argument->key = argv[(*i)++] + 2;
    equals = strchr(argument->key, '=');
    argument->key_len = equals == NULL ? strlen(argument->key) : (size_t)(equals - argument->key);
    argument->value = equals == NULL ? NULL : equals + 1;
    if (equals == NULL && *i < argc && argv[*i] != NULL && strncmp(argv[*i], "--", 2) != 0)
        argument->value = argv[(*i)++];
    return true;
}

static const struct {
    const char *key;
    enum capp__config_ask ask;
} questions[] = {
    {"help-config", CAPP__ASK_HELP},   {"dump-config", CAPP__ASK_DUMP},
    {"check-config", CAPP__ASK_CHECK}, {"describe", CAPP__ASK_DESCRIBE},
    {"man-config", CAPP__ASK_MAN},     {"describe-dot", CAPP__ASK_DESCRIBE_DOT},
};

static bool is_question(const struct argument *argument, enum capp__config_ask *ret_ask)
{
    for (size_t i = 0; i < ETCD__COUNT(questions); i++) {
        if (capp__key_equal(argument->key, argument->key_len, questions[i].key)) {
            *ret_ask = questions[i].ask;
            return true;
        }
    }
    return false;
}

bool capp__config_asked(const struct capp__config *config)
{
    enum capp__config_ask ask = CAPP__ASK_NOTHING;

    for (size_t i = 0; i < config->sources.count; i++) {
        const struct capp__source *source = config->sources.items[i];
        struct argument argument;
        int at = 1;

        while (ask == CAPP__ASK_NOTHING && source->kind == CAPP__SOURCE_ARGS &&
               next_argument(source->argc, source->argv, &at, &argument))
            (void)is_question(&argument, &ask);
    }
    return ask != CAPP__ASK_NOTHING;
}

static bool is_file(const struct argument *argument)
{
    return capp__key_equal(argument->key, argument->key_len, "config");
}

bool capp__config_scan_args(struct capp__config *config, const struct capp__source *args,
                            struct capp__mistakes *mistakes)
{
    struct argument argument;
    bool ok = true;
    int i = 1;

    while (ok && next_argument(args->argc, args->argv, &i, &argument)) {
        (void)is_question(&argument, &config->ask);
        if (!is_file(&argument))
            continue;
        if (argument.value == NULL || argument.value[0] == '\0')
            capp__mistakes_add(mistakes, "", CAPP_E_INVALID_ARGUMENT, "argument --config: no path follows");
        else
            ok = capp__config_add_source(
                config, &(const struct capp__source){.kind = CAPP__SOURCE_FILE,
                                                     .text = (char *)(uintptr_t)argument.value});
    }
    return ok;
}

static void add_argument(const struct argument *argument, struct capp__tree *tree,
                         struct capp__mistakes *mistakes)
{
    struct capp__place place = {0};
    char source[CAPP__PATH_SIZE + 16];
    bool replaced;
    char *path;

    etcd__format(source, sizeof(source), "argument --%.*s",
                 (int)(argument->key_len < 200 ? argument->key_len : 200), argument->key);
    if (argument->key_len == 0 || argument->key_len >= CAPP__PATH_SIZE) {
        capp__mistakes_add(mistakes, "", CAPP_E_INVALID_ARGUMENT, "%s: this is no key", source);
        return;
    }
    place.source = etcd__arena_memdup(&tree->arena, source, strlen(source));
    path = etcd__arena_memdup(&tree->arena, argument->key, argument->key_len);
    if (place.source == NULL || path == NULL ||
        capp__tree_set(tree, path, argument->value == NULL ? "true" : argument->value, place, &replaced) ==
            NULL)
        mistakes->no_memory = true;
}

void capp__config_read_args(int argc, char *const *argv, struct capp__tree *tree,
                            struct capp__mistakes *mistakes)
{
    enum capp__config_ask ask;
    struct argument argument;
    int i = 1;

    while (next_argument(argc, argv, &i, &argument)) {
        if (!is_question(&argument, &ask) && !is_file(&argument))
            add_argument(&argument, tree, mistakes);
    }
}
