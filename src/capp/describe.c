/* SPDX-License-Identifier: Apache-2.0 */
/* The graph for people and for Graphviz. It works on what was registered; nothing need have been made. */
#include "describe.h"

#include "base/str.h"
#include "graph.h"
#include "host.h"

#include <string.h>

/* What is written to, and whether all of it could be. */
struct sheet {
    const capp_app *app;
    struct etcd__buf *text;
    bool ok;
};

#define PRINT(sheet, ...) ((sheet)->ok = (sheet)->ok && etcd__buf_printf((sheet)->text, __VA_ARGS__))

static struct capp__entry *entry_at(const struct sheet *sheet, size_t i)
{
    return sheet->app->container.entries.items[i];
}

static size_t entry_count(const struct sheet *sheet)
{
    return sheet->app->container.entries.count;
}

/* ---- the order of start ---------------------------------------------------------------------------- */

struct step {
    size_t number; /* from 1 */
    const char *kind;
    const char *label;
    const char *place;
    const struct capp__entry *service; /* NULL: a hook or a worker */
};

typedef void step_fn(struct sheet *sheet, const struct step *step);

static void take_step(struct sheet *sheet, struct step *step, step_fn *fn)
{
    step->number++;
    fn(sheet, step);
}

static void each_service(struct sheet *sheet, struct step *step, bool hosted, step_fn *fn)
{
    char label[128];

    for (size_t i = 0; i < sheet->app->order.count; i++) {
        const struct capp__entry *entry = sheet->app->order.items[i];
        const capp_service *service = &entry->service;

        if (hosted ? service->run == NULL : service->start == NULL && service->stop == NULL)
            continue;
        step->kind = hosted ? "run" : "service";
        step->label = capp__describe(label, sizeof(label), entry->type, entry->name);
        step->place = entry->place;
        step->service = entry;
        take_step(sheet, step, fn);
    }
    step->service = NULL;
}

/* Hooks, services, hosted services, workers. */
static void each_step(struct sheet *sheet, step_fn *fn)
{
    const capp_app *app = sheet->app;
    struct step step = {.kind = "hook"};

    for (size_t i = 0; i < app->components.count; i++) {
        step.label = capp__component_at(app, i)->label;
        step.place = capp__component_at(app, i)->place;
        if (!capp__component_at(app, i)->is_service)
            take_step(sheet, &step, fn);
    }
    each_service(sheet, &step, false, fn);
    each_service(sheet, &step, true, fn);
    step.kind = "worker";
    for (size_t i = 0; i < app->workers.count; i++) {
        step.label = capp__worker_at(app, i)->name;
        step.place = capp__worker_at(app, i)->place;
        if (capp__worker_at(app, i)->service == NULL)
            take_step(sheet, &step, fn);
    }
}

/* ---- text ------------------------------------------------------------------------------------------ */

static void text_name(struct sheet *sheet, const struct capp__entry *entry)
{
    char what[256];

    PRINT(sheet, "%s", capp__describe(what, sizeof(what), entry->type, entry->name));
}

/* ", module etcd (main.c:12)". */
static void text_origin(struct sheet *sheet, const struct capp__entry *entry)
{
    if (entry->origin[0] != '\0')
        PRINT(sheet, ", %s", entry->origin);
    if (entry->place[0] != '\0')
        PRINT(sheet, " (%s)", entry->place);
    PRINT(sheet, "\n");
}

static void text_list(struct sheet *sheet, const capp_inject *row)
{
    const struct capp__entry *each;
    const char *separator = ":";

    PRINT(sheet, "all %s", row->type->name);
    for (size_t next = 0; (each = capp__container_next(&sheet->app->container, row->type, &next)) != NULL;) {
        PRINT(sheet, "%s ", separator);
        text_name(sheet, each);
        separator = ",";
    }
    PRINT(sheet, "\n");
}

static void text_row(struct sheet *sheet, const capp_inject *row)
{
    char what[256];
    const struct capp__entry *asked, *target;

    PRINT(sheet, "    %s <- ", row->field);
    if ((row->flags & CAPP_INJECT_ALL) != 0) {
        text_list(sheet, row);
        return;
    }
    asked = capp__container_find(&sheet->app->container, row->type, row->name);
    target = capp__graph_follow(&sheet->app->container, row);
    PRINT(sheet, "%s", capp__describe(what, sizeof(what), row->type, row->name));
    if (target != NULL && target->kind == CAPP__INTERFACE)
        target = target->target;
    if (target == NULL)
        PRINT(sheet, ", which is not there");
    else if (target != asked)
        PRINT(sheet, ", that is %s", capp__describe(what, sizeof(what), target->type, target->name));
    PRINT(sheet, "%s\n", (row->flags & CAPP_INJECT_CURRENT) != 0 ? ", current values" : "");
}

static void text_service(struct sheet *sheet, const struct capp__entry *entry)
{
    PRINT(sheet, "  ");
    text_name(sheet, entry);
    PRINT(sheet, ", %s%s", capp__lifetime_name(entry->service.lifetime),
          entry->service.make == NULL ? "" : ", from a factory function");
    text_origin(sheet, entry);
    for (size_t i = 0; i < entry_count(sheet); i++) {
        if (entry_at(sheet, i)->kind != CAPP__INTERFACE || entry_at(sheet, i)->target != entry)
            continue;
        PRINT(sheet, "    as ");
        text_name(sheet, entry_at(sheet, i));
        PRINT(sheet, "\n");
    }
    for (size_t i = 0; i < entry->service.inject_count; i++)
        text_row(sheet, &entry->service.inject[i]);
}

static void text_others(struct sheet *sheet, const char *title, bool aliases)
{
    char target[256];

    PRINT(sheet, "\n%s\n", title);
    for (size_t i = 0; i < entry_count(sheet); i++) {
        const struct capp__entry *entry = entry_at(sheet, i);

        if (entry->kind == CAPP__SERVICE || entry->kind == CAPP__INTERFACE ||
            (entry->kind == CAPP__ALIAS) != aliases)
            continue;
        PRINT(sheet, "  ");
        text_name(sheet, entry);
        if (aliases)
            PRINT(sheet, " -> %s",
                  capp__describe(target, sizeof(target), entry->target_type, entry->target_name));
        else if (entry->kind == CAPP__SCOPE)
            PRINT(sheet, ", scoped");
        text_origin(sheet, entry);
    }
}

static void text_step(struct sheet *sheet, const struct step *step)
{
    PRINT(sheet, "  %zu. %s%s%s%s%s%s\n", step->number, step->kind, step->label[0] == '\0' ? "" : " ",
          step->label, step->place[0] == '\0' ? "" : " (", step->place, step->place[0] == '\0' ? "" : ")");
}

static void write_text(struct sheet *sheet)
{
    PRINT(sheet, "%s, environment %s\n\nservices, each after what it injects\n", sheet->app->name,
          sheet->app->environment);
    for (size_t i = 0; i < sheet->app->order.count; i++)
        text_service(sheet, sheet->app->order.items[i]);
    text_others(sheet, "objects", false);
    text_others(sheet, "other names", true);
    PRINT(sheet, "\norder of start\n");
    each_step(sheet, text_step);
}

/* ---- Graphviz -------------------------------------------------------------------------------------- */

static size_t number_of(const struct sheet *sheet, const struct capp__entry *entry)
{
    size_t i = 0;

    while (entry_at(sheet, i) != entry)
        i++;
    return i;
}

/* Text inside of double quotes. */
static void dot_text(struct sheet *sheet, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            PRINT(sheet, "\\%c", *text);
        else
            PRINT(sheet, "%c", (unsigned char)*text < ' ' ? '?' : *text);
    }
}

static void dot_node(struct sheet *sheet, size_t i)
{
    static const char *const shapes[] = {
        [CAPP__OBJECT] = "ellipse", [CAPP__PROVIDER] = "ellipse",  [CAPP__ALIAS] = "plaintext",
        [CAPP__SERVICE] = "box",    [CAPP__INTERFACE] = "hexagon", [CAPP__SCOPE] = "ellipse",
    };
    const struct capp__entry *entry = entry_at(sheet, i);
    capp_lifetime lifetime = capp__entry_lifetime(entry_at(sheet, i));
    char what[256];

    PRINT(sheet, "  n%zu [shape=%s, style=%s, label=\"", i, shapes[entry->kind],
          lifetime == CAPP_SCOPED      ? "dashed"
          : lifetime == CAPP_TRANSIENT ? "dotted"
                                       : "solid");
    dot_text(sheet, capp__describe(what, sizeof(what), entry->type, entry->name));
    if (entry->kind == CAPP__SERVICE)
        PRINT(sheet, "\\n%s", capp__lifetime_name(lifetime));
    if (entry->place[0] != '\0') {
        PRINT(sheet, "\\n");
        dot_text(sheet, entry->place);
    }
    PRINT(sheet, "\"];\n");
}

static void dot_edge(struct sheet *sheet, size_t from, const struct capp__entry *to, const capp_inject *row)
{
    PRINT(sheet, "  n%zu -> n%zu [label=\"", from, number_of(sheet, to));
    dot_text(sheet, row->field);
    PRINT(sheet, "%s\"%s];\n", (row->flags & CAPP_INJECT_ALL) != 0 ? "[]" : "",
          (row->flags & CAPP_INJECT_OPTIONAL) != 0 ? ", style=dashed" : "");
}

static void dot_edges(struct sheet *sheet, size_t i)
{
    const struct capp__entry *entry = entry_at(sheet, i), *to;

    if ((entry->kind == CAPP__ALIAS || entry->kind == CAPP__INTERFACE) && entry->target != NULL)
        PRINT(sheet, "  n%zu -> n%zu [style=dotted];\n", i, number_of(sheet, entry->target));
    for (size_t r = 0; entry->kind == CAPP__SERVICE && r < entry->service.inject_count; r++) {
        const capp_inject *row = &entry->service.inject[r];
        const struct capp__container *container = &sheet->app->container;

        if ((row->flags & CAPP_INJECT_ALL) != 0) {
            for (size_t next = 0; (to = capp__container_next(container, row->type, &next)) != NULL;)
                dot_edge(sheet, i, to, row);
        } else if ((to = capp__container_find(container, row->type, row->name)) != NULL) {
            dot_edge(sheet, i, to, row);
        }
    }
}

/* The steps of the start stand in a chain of their own; those of services point at them. */
static void dot_step(struct sheet *sheet, const struct step *step)
{
    PRINT(sheet, "  s%zu [shape=cds, label=\"%zu. %s ", step->number, step->number, step->kind);
    dot_text(sheet, step->label);
    PRINT(sheet, "\"];\n");
    if (step->number > 1)
        PRINT(sheet, "  s%zu -> s%zu [style=bold];\n", step->number - 1, step->number);
    if (step->service != NULL)
        PRINT(sheet, "  s%zu -> n%zu [style=dotted];\n", step->number, number_of(sheet, step->service));
}

static void write_dot(struct sheet *sheet)
{
    PRINT(sheet, "digraph \"%s\" {\n  rankdir=LR;\n", sheet->app->name);
    for (size_t i = 0; i < entry_count(sheet); i++)
        dot_node(sheet, i);
    for (size_t i = 0; i < entry_count(sheet); i++)
        dot_edges(sheet, i);
    each_step(sheet, dot_step);
    PRINT(sheet, "}\n");
}

/* ---- both ------------------------------------------------------------------------------------------ */

bool capp__describe_app(const capp_app *app, capp_describe_format format, struct etcd__buf *text)
{
    struct sheet sheet = {.app = app, .text = text, .ok = true};

    if (format == CAPP_DESCRIBE_DOT)
        write_dot(&sheet);
    else
        write_text(&sheet);
    return sheet.ok;
}

size_t capp_describe(const capp_app *app, capp_describe_format format, char *dst, size_t size)
{
    struct etcd__buf text;
    bool ok = app != NULL && (format == CAPP_DESCRIBE_TEXT || format == CAPP_DESCRIBE_DOT);
    size_t len;

    etcd__buf_init(&text, 0);
    ok = ok && capp__describe_app(app, format, &text);
    len = etcd__text_give(dst, size, etcd__buf_front(&text), ok ? etcd__buf_len(&text) : 0);
    etcd__buf_deinit(&text);
    return len;
}
