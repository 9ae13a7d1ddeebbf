/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration as text: what counts and where it came from, and what there is to configure. */
#include "config_show.h"
#include "base/buf.h"
#include "base/str.h"
#include "config.h"
#include "host.h"

#include <string.h>

/* ---- dump ------------------------------------------------------------------------------------------ */

static bool write_bound(const struct capp__binding *binding, const struct capp__bound *bound,
                        struct etcd__buf *text)
{
    char place[CAPP__PATH_SIZE + 64];
    bool ok = etcd__buf_printf(text, "# %s\n", binding->table->type->name);

    for (size_t i = 0; i < binding->table->count && ok; i++) {
        const struct capp__setting *setting = &bound->settings[i];

        if (setting->text == NULL)
            continue;
        ok = etcd__buf_printf(text, "%s.%s: %s  # %s\n", binding->path, binding->table->option[i].key,
                              setting->text, capp__place_text(&setting->place, place, sizeof(place)));
    }
    return ok;
}

bool capp__config_write_dump(const struct capp__config *config, const struct capp__snapshot *snapshot,
                             struct etcd__buf *text)
{
    bool ok = true;

    for (size_t i = 0; i < config->bindings.count && ok; i++)
        ok = (i == 0 || etcd__buf_printf(text, "\n")) &&
             write_bound(config->bindings.items[i], capp__snapshot_at(snapshot, i), text);
    return ok;
}

/* ---- help ------------------------------------------------------------------------------------------ */

static const char *const kinds[] = {
    [CAPP_KIND_TEXT] = "text",
    [CAPP_KIND_BOOL] = "true or false",
    [CAPP_KIND_INT] = "number",
    [CAPP_KIND_DURATION] = "duration, as 250ms, 5s, 1h30m",
    [CAPP_KIND_SIZE] = "size, as 512, 64KiB, 4MiB",
    [CAPP_KIND_LIST] = "list; with commas outside of files",
    [CAPP_KIND_CHOICE] = "one of",
    [CAPP_KIND_SECRET] = "secret: text, or env or file below it",
};

void capp__option_key(char *dst, size_t size, const capp_options *table, const capp_option *option)
{
    size_t len = 0;

    for (const char *s = table->section; *s != '\0' && len + 8 < size; s++)
        len += etcd__format(dst + len, size - len, *s == '*' ? "NAME" : "%c", *s);
    etcd__format(dst + len, size - len, "%s%s", len == 0 ? "" : ".", option->key);
}

bool capp__option_write_kind(const capp_option *option, struct etcd__buf *text)
{
    bool ok = etcd__buf_printf(text, "%s", kinds[option->kind]);

    for (size_t i = 0; i < option->choice_count && ok; i++)
        ok = etcd__buf_printf(text, "%s %s", i == 0 ? "" : ",", option->choices[i].name);
    if (ok && (option->flags & CAPP_OPTION_REQUIRED) != 0)
        ok = etcd__buf_printf(text, "; required");
    if (ok && option->fallback != NULL && option->kind != CAPP_KIND_SECRET)
        ok = etcd__buf_printf(text, "; default %s", option->fallback[0] == '\0' ? "\"\"" : option->fallback);
    return ok;
}

static bool write_option(const struct capp__config *config, const capp_options *table,
                         const capp_option *option, struct etcd__buf *text)
{
    char key[CAPP__PATH_SIZE], variable[2 * CAPP__PATH_SIZE];
    const char *prefix = capp__config_env_prefix(config);
    bool ok;

    capp__option_key(key, sizeof(key), table, option);
    ok = etcd__buf_printf(text, "%s\n    ", key) && capp__option_write_kind(option, text) &&
         etcd__buf_printf(text, "\n");
    if (ok && option->help != NULL)
        ok = etcd__buf_printf(text, "    %s\n", option->help);
    if (ok && prefix != NULL)
        ok = etcd__buf_printf(text, "    %s, --%s\n", capp__env_name(variable, sizeof(variable), prefix, key),
                              key);
    return ok;
}

bool capp__config_write_help(const struct capp__config *config, struct etcd__buf *text)
{
    bool ok = true;

    for (size_t i = 0; i < config->tables.count && ok; i++) {
        const capp_options *table = config->tables.items[i];

        if (table->help != NULL)
            ok = etcd__buf_printf(text, "%s# %s\n\n", i == 0 ? "" : "\n", table->help);
        for (size_t j = 0; j < table->count && ok; j++)
            ok = write_option(config, table, &table->option[j], text);
    }
    return ok;
}

/* ---- public ---------------------------------------------------------------------------------------- */

static size_t give(struct etcd__buf *text, bool ok, char *dst, size_t size)
{
    size_t len = etcd__text_give(dst, size, etcd__buf_front(text), ok ? etcd__buf_len(text) : 0);

    etcd__buf_deinit(text);
    return len;
}

size_t capp_config_dump(const capp_app *app, char *dst, size_t size)
{
    struct capp__snapshot *snapshot = app == NULL ? NULL : capp__snapshot_current(&app->config);
    struct etcd__buf text;
    bool ok;

    etcd__buf_init(&text, 0);
    ok = snapshot == NULL || capp__config_write_dump(&app->config, snapshot, &text);
    capp__snapshot_unref(snapshot);
    return give(&text, ok, dst, size);
}

size_t capp_config_help(const capp_app *app, char *dst, size_t size)
{
    struct etcd__buf text;
    bool ok;

    etcd__buf_init(&text, 0);
    ok = app == NULL || capp__config_write_help(&app->config, &text);
    return give(&text, ok, dst, size);
}
