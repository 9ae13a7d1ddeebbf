/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manual page of a program's configuration, section 5, in mdoc: for `mandoc`, groff and what else shows
 * manual pages. Made of the tables that drive everything else, so it says what is.
 */
#include "base/buf.h"
#include "base/str.h"
#include "config_show.h"
#include "host.h"

#include <string.h>
#include <time.h>

enum { LINE_MAX_LEN = 78 };

/* ---- text ------------------------------------------------------------------------------------------ */

/* What roff would take for its own. */
static bool put_escaped(struct etcd__buf *page, const char *text, size_t len)
{
    bool ok = len == 0 || (text[0] != '.' && text[0] != '\'') || etcd__buf_append(page, "\\&", 2);

    for (size_t i = 0; i < len && ok; i++) {
        if (text[i] == '\\')
            ok = etcd__buf_append(page, "\\e", 2);
        else
            ok = etcd__buf_append(page, (unsigned char)text[i] < ' ' ? " " : &text[i], 1);
    }
    return ok;
}

/* How much of a text is its next line: to the end of a sentence, or what fits. */
static size_t line_len(const char *text)
{
    size_t len = 0, fits = 0;

    for (; text[len] != '\0'; len++) {
        if (text[len] != ' ')
            continue;
        if (len > 0 && strchr(".!?", text[len - 1]) != NULL)
            return len;
        if (len > LINE_MAX_LEN && fits > 0)
            return fits;
        fits = len;
    }
    return len > LINE_MAX_LEN && fits > 0 ? fits : len;
}

/* Prose: a sentence begins a line, as mdoc wants it. */
static bool put_prose(struct etcd__buf *page, const char *text)
{
    bool ok = true;

    while (*text != '\0' && ok) {
        size_t len = line_len(text);

        ok = put_escaped(page, text, len) && etcd__buf_append(page, "\n", 1);
        text += len;
        text += strspn(text, " ");
    }
    return ok;
}

/* A word as an argument of a macro, which must not be taken for a macro itself. */
static bool put_word(struct etcd__buf *page, const char *macro, const char *word)
{
    return etcd__buf_printf(page, "%s %s", macro, strlen(word) <= 3 ? "\\&" : "") &&
           put_escaped(page, word, strlen(word)) && etcd__buf_append(page, "\n", 1);
}

/* ---- parts ----------------------------------------------------------------------------------------- */

/* In English, whatever the locale. */
static bool put_date(struct etcd__buf *page)
{
    static const char *const months[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
    time_t now = time(NULL);
    struct tm utc = {0};

    gmtime_r(&now, &utc);
    return etcd__buf_printf(page, ".Dd %s %d, %d\n", months[utc.tm_mon], utc.tm_mday, utc.tm_year + 1900);
}

static bool put_head(const capp_app *app, struct etcd__buf *page)
{
    char title[CAPP__NAME_SIZE];
    size_t len = strlen(app->name);

    for (size_t i = 0; i <= len; i++)
        title[i] = app->name[i] >= 'a' && app->name[i] <= 'z' ? (char)(app->name[i] - 'a' + 'A')
                                                              : app->name[i];
    return put_date(page) &&
           etcd__buf_printf(page, ".Dt %s 5\n.Os\n.Sh NAME\n.Nm %s\n.Nd configuration of %s\n", title,
                            app->name, app->name) &&
           etcd__buf_printf(page, ".Sh DESCRIPTION\n"
                                  "An option has a key: names with dots between.\n"
                                  "Upper and lower case are the same, and so are hyphen and underscore.\n"
                                  "Values come from these sources; later ones win, value by value, and\n"
                                  "lists are replaced whole:\n"
                                  ".Pp\n.Bl -enum -compact\n"
                                  ".It\nthe default\n"
                                  ".It\nfiles, YAML or JSON, in which a dot is a level, and drop-in\n"
                                  "directories with such files\n"
                                  ".It\nsources that the program follows while it runs\n"
                                  ".It\nthe environment\n"
                                  ".It\narguments\n"
                                  ".El\n"
                                  ".Pp\n"
                                  "Files are read again when the program gets\n.Dv SIGHUP .\n"
                                  "A configuration with a mistake in it is refused as a whole.\n");
}

static bool put_option(const struct capp__config *config, const capp_options *table,
                       const capp_option *option, struct etcd__buf *page)
{
    char key[CAPP__PATH_SIZE], variable[2 * CAPP__PATH_SIZE];
    const char *prefix = capp__config_env_prefix(config);
    struct etcd__buf kind;
    bool ok;

    etcd__buf_init(&kind, 0);
    capp__option_key(key, sizeof(key), table, option);
    ok = put_word(page, ".It Cm", key) && capp__option_write_kind(option, &kind) &&
         etcd__buf_append(&kind, "", 1) && put_prose(page, (const char *)etcd__buf_front(&kind));
    etcd__buf_deinit(&kind);
    if (ok && option->help != NULL)
        ok = etcd__buf_printf(page, ".br\n") && put_prose(page, option->help);
    if (ok && prefix != NULL)
        ok = etcd__buf_printf(page, ".br\n.Ev %s ,\n.Fl -%s\n",
                              capp__env_name(variable, sizeof(variable), prefix, key), key);
    return ok;
}

static bool put_tables(const struct capp__config *config, struct etcd__buf *page)
{
    bool ok = etcd__buf_printf(page, ".Sh OPTIONS\n");

    for (size_t i = 0; i < config->tables.count && ok; i++) {
        const capp_options *table = config->tables.items[i];
        const char *what = table->help != NULL ? table->help : table->type->name;

        if (table->count == 0)
            continue;
        /* Without its last full stop, which a heading has not. */
        ok = etcd__buf_printf(page, ".Ss ") &&
             put_escaped(page, what, strlen(what) - (what[0] != '\0' && what[strlen(what) - 1] == '.')) &&
             etcd__buf_printf(page, "\n.Bl -tag -width Ds\n");
        for (size_t j = 0; j < table->count && ok; j++)
            ok = put_option(config, table, &table->option[j], page);
        ok = ok && etcd__buf_printf(page, ".El\n");
    }
    return ok;
}

static bool put_environment(const struct capp__config *config, struct etcd__buf *page)
{
    const char *prefix = capp__config_env_prefix(config);

    return etcd__buf_printf(page,
                            ".Sh ENVIRONMENT\n"
                            "The variable of an option is\n.Ev %s\n"
                            "and its key in capitals, with two underscores for each dot.\n"
                            "An empty value counts as none.\n",
                            prefix == NULL ? CAPP__ENV_PREFIX : prefix);
}

static bool put_files(const struct capp__config *config, struct etcd__buf *page)
{
    bool ok = true, any = false;

    for (size_t i = 0; i < config->sources.count && ok; i++) {
        const struct capp__source *source = config->sources.items[i];

        if (source->kind != CAPP__SOURCE_FILE && source->kind != CAPP__SOURCE_DIR)
            continue;
        ok = (any || etcd__buf_printf(page, ".Sh FILES\n.Bl -tag -width Ds\n")) &&
             put_word(page, ".It Pa", source->text) &&
             etcd__buf_printf(page, "%s%s\n",
                              source->kind == CAPP__SOURCE_FILE ? "file" : "drop-in directory",
                              (source->flags & CAPP_CONFIG_OPTIONAL) != 0 ? ", which may be missing" : "");
        any = true;
    }
    return ok && (!any || etcd__buf_printf(page, ".El\n"));
}

bool capp__config_write_man(const capp_app *app, struct etcd__buf *page)
{
    const struct capp__config *config = &app->config;

    return put_head(app, page) && put_tables(config, page) && put_environment(config, page) &&
           put_files(config, page);
}

size_t capp_config_man(const capp_app *app, char *dst, size_t size)
{
    struct etcd__buf page;
    size_t len;
    bool ok;

    etcd__buf_init(&page, 0);
    ok = app == NULL || capp__config_write_man(app, &page);
    len = etcd__text_give(dst, size, etcd__buf_front(&page), ok ? etcd__buf_len(&page) : 0);
    etcd__buf_deinit(&page);
    return len;
}
