/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The graph has the services as nodes and their inject rows as edges; an edge to
 * anything but a service ends there. It is walked depth first with the path kept in the
 * entries (walk.parent), not on the stack, so that a long chain costs no stack. Optional
 * edges count: an optional circle is a circle.
 */
#include "graph.h"

#include "base/str.h"

#include <string.h>

enum { TEXT_SIZE = 768 };

/* The entry that a row leads to, behind aliases; NULL when there is none. */
static struct capp__entry *follow(const struct capp__container *container, const capp_inject *row)
{
    struct capp__entry *entry = capp__container_find(container, row->type, row->name);

    return entry == NULL ? NULL : capp__entry_behind(entry);
}

static const char *the_unnamed(const char *name)
{
    return name == NULL || name[0] == '\0' ? "the unnamed " : "";
}

static void resolve_alias(const struct capp__container *container, struct capp__entry *alias,
                          struct capp__mistakes *mistakes)
{
    char what[256], target[256], others[TEXT_SIZE];
    struct capp__entry *entry = alias;

    capp__describe(what, sizeof(what), alias->type, alias->name);
    for (size_t hops = 0; hops <= container->entries.count; hops++) {
        const struct capp__entry *from = entry;

        entry = capp__container_find(container, from->target_type, from->target_name);
        if (entry == NULL) {
            capp__describe(target, sizeof(target), from->target_type, from->target_name);
            capp__container_alternatives(container, others, sizeof(others), from->target_type,
                                         from->target_name);
            capp__mistakes_add(mistakes, alias->origin, CAPP_E_NOT_FOUND, "alias %s needs %s%s; %s", what,
                               the_unnamed(from->target_name), target, others);
            return;
        }
        if (entry->kind != CAPP__ALIAS) {
            alias->target = entry;
            return;
        }
    }
    capp__mistakes_add(mistakes, alias->origin, CAPP_E_CYCLE, "alias %s leads back to itself", what);
}

static void check_row(const struct capp__container *container, const struct capp__entry *entry,
                      const capp_inject *row, struct capp__mistakes *mistakes)
{
    char service[256], wanted[256], others[TEXT_SIZE];

    if ((row->flags & CAPP_INJECT_OPTIONAL) != 0)
        return;
    if (capp__container_find(container, row->type, row->name) != NULL)
        return; /* an alias that leads nowhere has been reported already */
    capp__describe(service, sizeof(service), entry->type, entry->name);
    capp__describe(wanted, sizeof(wanted), row->type, row->name);
    capp__container_alternatives(container, others, sizeof(others), row->type, row->name);
    capp__mistakes_add(mistakes, entry->origin, CAPP_E_NOT_FOUND, "service %s: field %s needs %s%s; %s",
                       service, row->field, the_unnamed(row->name), wanted, others);
}

static void check_requirement(const struct capp__container *container, const struct capp__requirement *need,
                              struct capp__mistakes *mistakes)
{
    char wanted[256], others[TEXT_SIZE];

    if (capp__container_find(container, need->type, need->name) != NULL)
        return;
    capp__describe(wanted, sizeof(wanted), need->type, need->name);
    capp__container_alternatives(container, others, sizeof(others), need->type, need->name);
    capp__mistakes_add(mistakes, need->origin, CAPP_E_NOT_FOUND, "needs %s%s; %s", the_unnamed(need->name),
                       wanted, others);
}

static void check_missing(const struct capp__container *container, const struct capp__ptrs *requirements,
                          struct capp__mistakes *mistakes)
{
    for (size_t i = 0; i < container->entries.count; i++) {
        const struct capp__entry *entry = container->entries.items[i];

        for (size_t row = 0; entry->kind == CAPP__SERVICE && row < entry->service.inject_count; row++)
            check_row(container, entry, &entry->service.inject[row], mistakes);
    }
    for (size_t i = 0; i < requirements->count; i++)
        check_requirement(container, requirements->items[i], mistakes);
}

/* "a.field -> " for each edge, from the top of the circle down to its last one. */
static size_t print_path(char *dst, size_t size, const struct capp__entry *top,
                         const struct capp__entry *last)
{
    char node[256];
    const struct capp__entry *entry = top;
    size_t len = 0;

    /* Parents lead upwards; the way down is found again for each step, which only a mistake pays for. */
    for (;;) {
        len += etcd__format(dst + len, size - len, "%s.%s -> ",
                            capp__describe(node, sizeof(node), entry->type, entry->name),
                            entry->service.inject[entry->walk.next_row - 1].field);
        if (entry == last)
            return len;
        const struct capp__entry *below = last;
        while (below->walk.parent != entry)
            below = below->walk.parent;
        entry = below;
    }
}

static void report_cycle(const struct capp__entry *top, const struct capp__entry *last,
                         struct capp__mistakes *mistakes)
{
    char path[TEXT_SIZE], node[256];
    size_t len = print_path(path, sizeof(path), top, last);

    capp__describe(node, sizeof(node), top->type, top->name);
    etcd__format(path + len, sizeof(path) - len, "%s", node);
    capp__mistakes_add(mistakes, "", CAPP_E_CYCLE, "services inject each other in a circle: %s", path);
}

static void finish_node(struct capp__entry *entry, struct capp__ptrs *order, struct capp__mistakes *mistakes)
{
    entry->walk.state = CAPP__SEEN;
    if (!capp__ptrs_push(order, entry))
        mistakes->no_memory = true;
}

/* Takes the next edge of a node; returns the node to go on with. */
static struct capp__entry *walk_edge(const struct capp__container *container, struct capp__entry *entry,
                                     struct capp__mistakes *mistakes)
{
    struct capp__entry *next = follow(container, &entry->service.inject[entry->walk.next_row++]);

    if (next == NULL || next->kind != CAPP__SERVICE || next->walk.state == CAPP__SEEN)
        return entry;
    if (next->walk.state == CAPP__ON_PATH) {
        report_cycle(next, entry, mistakes);
        return entry;
    }
    next->walk.state = CAPP__ON_PATH;
    next->walk.parent = entry;
    return next;
}

static void walk_from(const struct capp__container *container, struct capp__entry *root,
                      struct capp__ptrs *order, struct capp__mistakes *mistakes)
{
    struct capp__entry *entry = root;

    root->walk.state = CAPP__ON_PATH;
    while (entry != NULL) {
        if (entry->walk.next_row < entry->service.inject_count) {
            entry = walk_edge(container, entry, mistakes);
        } else {
            finish_node(entry, order, mistakes);
            entry = entry->walk.parent;
        }
    }
}

void capp__graph_check(struct capp__container *container, const struct capp__ptrs *requirements,
                       struct capp__ptrs *order, struct capp__mistakes *mistakes)
{
    for (size_t i = 0; i < container->entries.count; i++) {
        struct capp__entry *entry = container->entries.items[i];

        if (entry->kind == CAPP__ALIAS)
            resolve_alias(container, entry, mistakes);
    }
    check_missing(container, requirements, mistakes);
    for (size_t i = 0; i < container->entries.count; i++) {
        struct capp__entry *entry = container->entries.items[i];

        if (entry->kind == CAPP__SERVICE && entry->walk.state == CAPP__UNSEEN)
            walk_from(container, entry, order, mistakes);
    }
}
