/* SPDX-License-Identifier: Apache-2.0 */
/* From texts to a struct, as its table says. */
#include "base/buf.h"
#include "base/str.h"
#include "config.h"
#include "config_value.h"
#include "fail.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What is being read: one option of one struct. */
struct binding {
    struct capp__config *config;
    struct capp__mistakes *mistakes;
    struct capp__bound *bound;
    const capp_option *option;
    void *field;
    char path[CAPP__PATH_SIZE];
    struct capp__place place;
};

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

static void complain(const struct binding *binding, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void complain(const struct binding *binding, const char *format, ...)
{
    char place[CAPP__PATH_SIZE + 64], text[512];
    va_list args;

    va_start(args, format);
    etcd__vformat(text, sizeof(text), format, args);
    va_end(args);
    capp__mistakes_add(binding->mistakes, "", CAPP_E_INVALID_ARGUMENT, "%s: %s: %s",
                       capp__place_text(&binding->place, place, sizeof(place)), binding->path, text);
}

/* The value is shown, unless it may be a secret. */
static bool refuse(const struct binding *binding, const char *text)
{
    char shown[96];

    if (binding->option->kind == CAPP_KIND_SECRET)
        complain(binding, "this is not %s", kind_texts[CAPP_KIND_SECRET]);
    else
        complain(binding, "'%s' is not %s", etcd__escape(shown, sizeof(shown), text, strlen(text)),
                 kind_texts[binding->option->kind]);
    return false;
}

static bool no_memory(const struct binding *binding)
{
    binding->mistakes->no_memory = true;
    return false;
}

/* ---- numbers --------------------------------------------------------------------------------------- */

static void show_number(const capp_option *option, int64_t number, char dst[CAPP__VALUE_SIZE])
{
    if (option->kind == CAPP_KIND_DURATION)
        capp__show_duration(number, dst);
    else if (option->kind == CAPP_KIND_SIZE)
        capp__show_size((uint64_t)number, dst);
    else
        etcd__format(dst, CAPP__VALUE_SIZE, "%" PRId64, number);
}

static bool in_bounds(const struct binding *binding, int64_t number)
{
    const capp_option *option = binding->option;
    char shown[CAPP__VALUE_SIZE], min[CAPP__VALUE_SIZE], max[CAPP__VALUE_SIZE];

    if ((option->min == 0 && option->max == 0) ||
        (number >= option->min && (option->max == 0 || number <= option->max)))
        return true;
    show_number(option, number, shown);
    show_number(option, option->min, min);
    show_number(option, option->max, max);
    if (option->max == 0)
        complain(binding, "%s is too little: at least %s", shown, min);
    else
        complain(binding, "%s is not between %s and %s", shown, min, max);
    return false;
}

static bool read_number(const struct binding *binding, const char *text, int64_t *ret)
{
    uint64_t bytes;

    switch (binding->option->kind) {
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

static bool store_number(const struct binding *binding, const char *text)
{
    int64_t number = 0;

    if (!read_number(binding, text, &number))
        return refuse(binding, text);
    if (!in_bounds(binding, number))
        return false;
    if (binding->option->kind == CAPP_KIND_SIZE)
        *(size_t *)binding->field = (size_t)number;
    else
        *(int64_t *)binding->field = number;
    return true;
}

/* ---- words ----------------------------------------------------------------------------------------- */

static bool store_bool(const struct binding *binding, const char *text)
{
    return capp__read_bool(text, binding->field) || refuse(binding, text);
}

static bool store_choice(const struct binding *binding, const char *text)
{
    const capp_option *option = binding->option;
    char names[256] = "", shown[96];

    for (size_t i = 0; i < option->choice_count; i++) {
        size_t len = strlen(names);

        if (capp__key_equal(text, strlen(text), option->choices[i].name)) {
            *(int *)binding->field = option->choices[i].value;
            return true;
        }
        etcd__format(names + len, sizeof(names) - len, "%s%s", i == 0 ? "" : ", ", option->choices[i].name);
    }
    complain(binding, "'%s' is none of: %s", etcd__escape(shown, sizeof(shown), text, strlen(text)), names);
    return false;
}

/* ---- lists ----------------------------------------------------------------------------------------- */

static const char **new_list(const struct binding *binding, size_t count)
{
    const char **list = etcd__arena_calloc(&binding->config->tree.arena, count + 1, sizeof(*list));

    if (list == NULL)
        (void)no_memory(binding);
    return list;
}

static void give_list(const struct binding *binding, const char *const *list)
{
    *(const char *const **)binding->field = list;
}

/* The item between commas, without spaces around it. */
static const char *cut_item(const struct binding *binding, const char *text, size_t len)
{
    while (len > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        len--;
    }
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    return etcd__arena_memdup(&binding->config->tree.arena, text, len);
}

static size_t count_commas(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += *text == ',';
    return count;
}

static bool store_texts(const struct binding *binding, const char *text)
{
    const char **list = new_list(binding, count_commas(text) + 1);
    size_t count = 0;

    if (list == NULL)
        return false;
    while (text[0] != '\0') {
        size_t len = strcspn(text, ",");

        list[count] = cut_item(binding, text, len);
        if (list[count] == NULL)
            return no_memory(binding);
        if (list[count++][0] == '\0') {
            complain(binding, "item %zu of the list is empty", count);
            return false;
        }
        text += len + (text[len] == ',');
    }
    give_list(binding, list);
    return true;
}

static bool store_list(struct binding *binding, struct capp__node *node)
{
    const char **list;
    size_t count = 0;

    for (const struct capp__node *item = node->first; item != NULL; item = item->next)
        count++;
    list = new_list(binding, count);
    if (list == NULL)
        return false;
    count = 0;
    for (struct capp__node *item = node->first; item != NULL; item = item->next) {
        binding->place = item->place;
        if (item->kind != CAPP__NODE_TEXT) {
            complain(binding, "item %zu of the list is no text", count + 1);
            return false;
        }
        list[count++] = item->text;
    }
    binding->place = node->place;
    give_list(binding, list);
    return true;
}

/* ---- secrets --------------------------------------------------------------------------------------- */

static bool store_secret(const struct binding *binding, capp_secret_kind kind, const char *ref)
{
    capp_secret *secret = binding->field;

    if (ref[0] == '\0') {
        complain(binding, "it is empty");
        return false;
    }
    *secret = (capp_secret){.ref = ref, .kind = kind};
    return true;
}

/* `env: NAME` or `file: PATH`, one of them. */
static bool store_secret_map(struct binding *binding, const struct capp__node *map)
{
    struct capp__node *from_env = capp__node_child(map, "env", 3);
    struct capp__node *from_file = capp__node_child(map, "file", 4);
    struct capp__node *from = from_env != NULL ? from_env : from_file;
    size_t count = 0;

    for (struct capp__node *child = map->first; child != NULL; child = child->next)
        count++;
    if (count != 1 || from == NULL || from->kind != CAPP__NODE_TEXT)
        return refuse(binding, "");
    binding->place = from->place;
    return store_secret(binding, from == from_env ? CAPP_SECRET_ENV : CAPP_SECRET_FILE, from->text);
}

/* ---- one option ------------------------------------------------------------------------------------ */

static bool store_text(const struct binding *binding, const char *text)
{
    switch (binding->option->kind) {
    case CAPP_KIND_TEXT:
        *(const char **)binding->field = text;
        return true;
    case CAPP_KIND_BOOL:
        return store_bool(binding, text);
    case CAPP_KIND_CHOICE:
        return store_choice(binding, text);
    case CAPP_KIND_LIST:
        return store_texts(binding, text);
    case CAPP_KIND_SECRET:
        return store_secret(binding, CAPP_SECRET_TEXT, text);
    default:
        return store_number(binding, text);
    }
}

static void mark_read(struct capp__node *node)
{
    node->read = true;
    for (struct capp__node *child = node->first; child != NULL; child = child->next)
        mark_read(child);
}

static bool store_node(struct binding *binding, struct capp__node *node)
{
    mark_read(node);
    if (node->kind == CAPP__NODE_TEXT)
        return store_text(binding, node->text);
    if (node->kind == CAPP__NODE_LIST && binding->option->kind == CAPP_KIND_LIST)
        return store_list(binding, node);
    if (node->kind == CAPP__NODE_MAP && binding->option->kind == CAPP_KIND_SECRET)
        return store_secret_map(binding, node);
    complain(binding, "a %s is not %s", node->kind == CAPP__NODE_LIST ? "list" : "map of names",
             kind_texts[binding->option->kind]);
    return false;
}

static void missing(const struct binding *binding)
{
    capp__mistakes_add(binding->mistakes, "", CAPP_E_INVALID_ARGUMENT,
                       "%s: a value is required, and there is none", binding->path);
}

/* ---- what the dump shows --------------------------------------------------------------------------- */

static bool write_list(struct etcd__buf *text, const char *const *list)
{
    bool ok = etcd__buf_printf(text, "[");

    for (size_t i = 0; list != NULL && list[i] != NULL && ok; i++) {
        char shown[512];

        ok = etcd__buf_printf(text, "%s\"%s\"", i == 0 ? "" : ", ",
                              etcd__escape(shown, sizeof(shown), list[i], strlen(list[i])));
    }
    return ok && etcd__buf_printf(text, "]");
}

static bool write_text(struct etcd__buf *text, const char *value)
{
    char shown[1024];

    return value == NULL ||
           etcd__buf_printf(text, "\"%s\"", etcd__escape(shown, sizeof(shown), value, strlen(value)));
}

static bool write_secret(struct etcd__buf *text, const capp_secret *secret)
{
    switch (secret->kind) {
    case CAPP_SECRET_TEXT:
        return etcd__buf_printf(text, "\"***\"");
    case CAPP_SECRET_ENV:
    case CAPP_SECRET_FILE:
        return etcd__buf_printf(text, "{%s: ", secret->kind == CAPP_SECRET_ENV ? "env" : "file") &&
               write_text(text, secret->ref) && etcd__buf_printf(text, "}");
    default:
        return true;
    }
}

static bool write_choice(struct etcd__buf *text, const capp_option *option, int value)
{
    for (size_t i = 0; i < option->choice_count; i++) {
        if (option->choices[i].value == value)
            return etcd__buf_printf(text, "%s", option->choices[i].name);
    }
    return true;
}

/* The field as it would be written; nothing when it says nothing. */
static bool write_field(struct etcd__buf *text, const capp_option *option, const void *field)
{
    char number[CAPP__VALUE_SIZE];

    switch (option->kind) {
    case CAPP_KIND_TEXT:
        return write_text(text, *(const char *const *)field);
    case CAPP_KIND_BOOL:
        return etcd__buf_printf(text, "%s", *(const bool *)field ? "true" : "false");
    case CAPP_KIND_LIST:
        return write_list(text, *(const char *const *const *)field);
    case CAPP_KIND_CHOICE:
        return write_choice(text, option, *(const int *)field);
    case CAPP_KIND_SECRET:
        return write_secret(text, field);
    case CAPP_KIND_SIZE:
        show_number(option, (int64_t) * (const size_t *)field, number);
        return etcd__buf_printf(text, "%s", number);
    default:
        show_number(option, *(const int64_t *)field, number);
        return etcd__buf_printf(text, "%s", number);
    }
}

static void note_setting(const struct binding *binding, struct capp__setting *setting)
{
    struct etcd__buf text;

    etcd__buf_init(&text, 0);
    setting->place = binding->place;
    if (!write_field(&text, binding->option, binding->field))
        (void)no_memory(binding);
    else if (etcd__buf_len(&text) > 0)
        setting->text = etcd__arena_memdup(&binding->config->tree.arena, etcd__buf_front(&text),
                                           etcd__buf_len(&text));
    etcd__buf_deinit(&text);
}

/* ---- the struct ------------------------------------------------------------------------------------ */

static void bind_option(struct binding *binding, bool fresh)
{
    const capp_option *option = binding->option;
    struct capp__node *node = capp__tree_find(&binding->config->tree, binding->path);

    binding->place = (struct capp__place){.source = fresh ? "default" : "code"};
    if (node != NULL) {
        binding->place = node->place;
        (void)store_node(binding, node);
    } else if (fresh && option->fallback != NULL) {
        (void)store_text(binding, option->fallback);
    } else if ((option->flags & CAPP_OPTION_REQUIRED) != 0) {
        missing(binding);
    }
}

static struct capp__bound *new_bound(struct capp__config *config, const capp_options *table, const char *path)
{
    struct capp__bound *bound = etcd__calloc(1, sizeof(*bound) + table->count * sizeof(bound->settings[0]));

    if (bound == NULL)
        return NULL;
    bound->table = table;
    bound->path = etcd__strdup(path);
    if (bound->path != NULL && capp__ptrs_push(&config->bounds, bound))
        return bound;
    etcd__free(bound->path);
    etcd__free(bound);
    return NULL;
}

static void check(struct binding *binding, const capp_options *table, const void *object)
{
    capp_error error = {0};
    capp_status status = table->check == NULL ? CAPP_OK : table->check(object, &error);

    if (status == CAPP_OK)
        return;
    capp__error_settle(&error, status);
    capp__mistakes_add(binding->mistakes, "", status, "%s: %s", binding->bound->path, error.message);
}

struct capp__bound *capp__config_bind(struct capp__config *config, const capp_options *table,
                                      const char *path, void *object, bool fresh,
                                      struct capp__mistakes *mistakes)
{
    size_t before = mistakes->list.count;
    struct binding binding = {.config = config, .mistakes = mistakes};

    binding.bound = new_bound(config, table, path);
    if (binding.bound == NULL) {
        mistakes->no_memory = true;
        return NULL;
    }
    for (size_t i = 0; i < table->count; i++) {
        binding.option = &table->option[i];
        binding.field = (char *)object + binding.option->offset;
        etcd__format(binding.path, sizeof(binding.path), "%s%s%s", path, path[0] == '\0' ? "" : ".",
                     binding.option->key);
        bind_option(&binding, fresh);
        note_setting(&binding, &binding.bound->settings[i]);
    }
    if (mistakes->list.count == before)
        check(&binding, table, object);
    return binding.bound;
}
