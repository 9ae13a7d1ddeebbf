/* SPDX-License-Identifier: Apache-2.0 */
/* From texts to a struct, as its table says. */
#include "config_store.h"
#include "base/buf.h"
#include "base/str.h"
#include "config_field.h"

#include <string.h>

static const char *const kind_texts[] = {
    [CAPP_KIND_TEXT] = "a text",
    [CAPP_KIND_BOOL] = "yes or no (true, false, on, off)",
    [CAPP_KIND_INT] = "a whole number",
    [CAPP_KIND_DURATION] = "a duration (such as 250ms, 5s, 1h30m)",
    [CAPP_KIND_SIZE] = "a size (such as 512, 64KiB, 4MiB)",
    [CAPP_KIND_LIST] = "a list",
    [CAPP_KIND_CHOICE] = "one of the choices",
    [CAPP_KIND_SECRET] = "a secret (a text, or env or file below it)",
};

/* ---- what is wrong --------------------------------------------------------------------------------- */

static void complain(const struct capp__filling *filling, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void complain(const struct capp__filling *filling, const char *format, ...)
{
    char place[CAPP__PATH_SIZE + 64], text[512];
    va_list args;

    va_start(args, format);
    etcd__vformat(text, sizeof(text), format, args);
    va_end(args);
    capp__mistakes_add(filling->mistakes, "", CAPP_E_INVALID_ARGUMENT, "%s: %s: %s",
                       capp__place_text(&filling->place, place, sizeof(place)), filling->path, text);
}

/* The value is shown, unless it may be a secret. */
static bool refuse(const struct capp__filling *filling, const char *text)
{
    char shown[96];

    if (filling->option->kind == CAPP_KIND_SECRET)
        complain(filling, "this is not %s", kind_texts[CAPP_KIND_SECRET]);
    else
        complain(filling, "'%s' is not %s", etcd__escape(shown, sizeof(shown), text, strlen(text)),
                 kind_texts[filling->option->kind]);
    return false;
}

static bool no_memory(const struct capp__filling *filling)
{
    filling->mistakes->no_memory = true;
    return false;
}

/* ---- numbers --------------------------------------------------------------------------------------- */

static bool in_bounds(const struct capp__filling *filling, int64_t number)
{
    const capp_option *option = filling->option;
    char shown[CAPP__VALUE_SIZE], min[CAPP__VALUE_SIZE], max[CAPP__VALUE_SIZE];

    if ((option->min == 0 && option->max == 0) ||
        (number >= option->min && (option->max == 0 || number <= option->max)))
        return true;
    capp__show_number(option->kind, number, shown);
    capp__show_number(option->kind, option->min, min);
    capp__show_number(option->kind, option->max, max);
    if (option->max == 0)
        complain(filling, "%s is too little: at least %s", shown, min);
    else
        complain(filling, "%s is not between %s and %s", shown, min, max);
    return false;
}

static bool read_number(const struct capp__filling *filling, const char *text, int64_t *ret)
{
    uint64_t bytes;

    switch (filling->option->kind) {
    case CAPP_KIND_DURATION:
        return capp__read_duration(text, ret);
    case CAPP_KIND_SIZE:
        if (!capp__read_size(text, &bytes))
            return false;
        *ret = (int64_t)bytes; /* never above INT64_MAX */
        return true;
    default:
        return capp__read_int(text, ret);
    }
}

static bool store_number(const struct capp__filling *filling, const char *text)
{
    int64_t number = 0;

    if (!read_number(filling, text, &number))
        return refuse(filling, text);
    if (!in_bounds(filling, number))
        return false;
    if (filling->option->kind == CAPP_KIND_SIZE)
        *(size_t *)filling->field = (size_t)number;
    else
        *(int64_t *)filling->field = number;
    return true;
}

/* ---- words ----------------------------------------------------------------------------------------- */

static bool store_bool(const struct capp__filling *filling, const char *text)
{
    return capp__read_bool(text, filling->field) || refuse(filling, text);
}

static bool store_choice(const struct capp__filling *filling, const char *text)
{
    const capp_option *option = filling->option;
    char names[256] = "", shown[96];

    for (size_t i = 0; i < option->choice_count; i++) {
        size_t len = strlen(names);

        if (capp__key_equal(text, strlen(text), option->choices[i].name)) {
            *(int *)filling->field = option->choices[i].value;
            return true;
        }
        etcd__format(names + len, sizeof(names) - len, "%s%s", i == 0 ? "" : ", ", option->choices[i].name);
    }
    complain(filling, "'%s' is none of: %s", etcd__escape(shown, sizeof(shown), text, strlen(text)), names);
    return false;
}

/* ---- lists ----------------------------------------------------------------------------------------- */

static const char **new_list(const struct capp__filling *filling, size_t count)
{
    const char **list = etcd__arena_calloc(&filling->snapshot->tree.arena, count + 1, sizeof(*list));

    if (list == NULL)
        (void)no_memory(filling);
    return list;
}

static void give_list(const struct capp__filling *filling, const char *const *list)
{
    *(const char *const **)filling->field = list;
}

/* The item between commas, without spaces around it. */
static const char *cut_item(const struct capp__filling *filling, const char *text, size_t len)
{
    while (len > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        len--;
    }
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    return etcd__arena_memdup(&filling->snapshot->tree.arena, text, len);
}

static size_t count_commas(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += *text == ',';
    return count;
}

static bool store_texts(const struct capp__filling *filling, const char *text)
{
    const char **list = new_list(filling, count_commas(text) + 1);
    size_t count = 0;

    if (list == NULL)
        return false;
    while (text[0] != '\0') {
        size_t len = strcspn(text, ",");

        list[count] = cut_item(filling, text, len);
        if (list[count] == NULL)
            return no_memory(filling);
        if (list[count++][0] == '\0') {
            complain(filling, "item %zu of the list is empty", count);
            return false;
        }
        text += len + (text[len] == ',');
    }
    give_list(filling, list);
    return true;
}

static bool store_list(struct capp__filling *filling, struct capp__node *node)
{
    const char **list;
    size_t count = 0;

    for (const struct capp__node *item = node->first; item != NULL; item = item->next)
        count++;
    list = new_list(filling, count);
    if (list == NULL)
        return false;
    count = 0;
    for (struct capp__node *item = node->first; item != NULL; item = item->next) {
        filling->place = item->place;
        if (item->kind != CAPP__NODE_TEXT) {
            complain(filling, "item %zu of the list is no text", count + 1);
            return false;
        }
        list[count++] = item->text;
    }
    filling->place = node->place;
    give_list(filling, list);
    return true;
}

/* ---- secrets --------------------------------------------------------------------------------------- */

static bool store_secret(const struct capp__filling *filling, capp_secret_kind kind, const char *ref)
{
    capp_secret *secret = filling->field;

    if (ref[0] == '\0') {
        complain(filling, "it is empty");
        return false;
    }
    *secret = (capp_secret){.ref = ref, .kind = kind};
    return true;
}

/* `env: NAME` or `file: PATH`, one of them. */
static bool store_secret_map(struct capp__filling *filling, const struct capp__node *map)
{
    struct capp__node *from_env = capp__node_child(map, "env", 3);
    struct capp__node *from_file = capp__node_child(map, "file", 4);
    struct capp__node *from = from_env != NULL ? from_env : from_file;
    size_t count = 0;

    for (struct capp__node *child = map->first; child != NULL; child = child->next)
        count++;
    if (count != 1 || from == NULL || from->kind != CAPP__NODE_TEXT)
        return refuse(filling, "");
    filling->place = from->place;
    return store_secret(filling, from == from_env ? CAPP_SECRET_ENV : CAPP_SECRET_FILE, from->text);
}

/* ---- one option ------------------------------------------------------------------------------------ */

bool capp__store_text(const struct capp__filling *filling, const char *text)
{
    switch (filling->option->kind) {
    case CAPP_KIND_TEXT:
        *(const char **)filling->field = text;
        return true;
    case CAPP_KIND_BOOL:
        return store_bool(filling, text);
    case CAPP_KIND_CHOICE:
        return store_choice(filling, text);
    case CAPP_KIND_LIST:
        return store_texts(filling, text);
    case CAPP_KIND_SECRET:
        return store_secret(filling, CAPP_SECRET_TEXT, text);
    default:
        return store_number(filling, text);
    }
}

static void mark_read(struct capp__node *node)
{
    node->read = true;
    for (struct capp__node *child = node->first; child != NULL; child = child->next)
        mark_read(child);
}

bool capp__store_node(struct capp__filling *filling, struct capp__node *node)
{
    mark_read(node);
    if (node->kind == CAPP__NODE_TEXT)
        return capp__store_text(filling, node->text);
    if (node->kind == CAPP__NODE_LIST && filling->option->kind == CAPP_KIND_LIST)
        return store_list(filling, node);
    if (node->kind == CAPP__NODE_MAP && filling->option->kind == CAPP_KIND_SECRET)
        return store_secret_map(filling, node);
    complain(filling, "a %s is not %s", node->kind == CAPP__NODE_LIST ? "list" : "map of names",
             kind_texts[filling->option->kind]);
    return false;
}

void capp__store_missing(const struct capp__filling *filling)
{
    capp__mistakes_add(filling->mistakes, "", CAPP_E_INVALID_ARGUMENT,
                       "%s: a value is required, and there is none", filling->path);
}
