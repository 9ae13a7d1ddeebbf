/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The graph has the services as nodes and their inject rows as edges, a row that asks for all of a type as
 * one for each; an edge to anything but a service or its interface ends there. It is walked depth first with
 * the path kept in the entries (walk.parent), not on the stack, so that a long chain costs no stack. Optional
 * edges count: an optional circle is a circle.
 */
#include "graph.h"

#include "base/str.h"

#include <string.h>

enum {
    TEXT_SIZE = 768,
    WHAT_SIZE = 256 + CAPP__PLACE_SIZE,
    ORIGIN_SIZE = CAPP__ORIGIN_SIZE + CAPP__PLACE_SIZE,
};

struct capp__entry *capp__graph_follow(const struct capp__container *container, const capp_inject *row)
{
    struct capp__entry *entry = NULL;

    if ((row->flags & CAPP_INJECT_ALL) == 0)
        entry = capp__container_find(container, row->type, row->name);
    return entry == NULL ? NULL : capp__entry_behind(entry);
}

static const char *the_unnamed(const char *name)
{
    return name == NULL || name[0] == '\0' ? "the unnamed " : "";
}

static void resolve_alias(const struct capp__container *container, struct capp__entry *alias,
                          struct capp__mistakes *mistakes)
{
    char what[WHAT_SIZE], target[256], others[TEXT_SIZE];
    struct capp__entry *entry = alias;

    capp__describe_entry(what, sizeof(what), alias);
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
    char service[WHAT_SIZE], wanted[256], others[TEXT_SIZE];

    const struct capp__entry *target = capp__container_find(container, row->type, row->name);

    if (target != NULL && (row->flags & CAPP_INJECT_CURRENT) != 0 && target->options == NULL)
        capp__mistakes_add(mistakes, entry->origin, CAPP_E_INVALID_ARGUMENT,
                           "service %s: field %s is a monitor, but %s is no struct of options",
                           capp__describe_entry(service, sizeof(service), entry), row->field,
                           row->type->name);
    if ((row->flags & (CAPP_INJECT_OPTIONAL | CAPP_INJECT_ALL)) != 0)
        return;
    if (target != NULL)
        return; /* an alias that leads nowhere has been reported already */
    capp__describe_entry(service, sizeof(service), entry);
    capp__describe(wanted, sizeof(wanted), row->type, row->name);
    capp__container_alternatives(container, others, sizeof(others), row->type, row->name);
    capp__mistakes_add(mistakes, entry->origin, CAPP_E_NOT_FOUND, "service %s: field %s needs %s%s; %s",
                       service, row->field, the_unnamed(row->name), wanted, others);
}

static void check_requirement(const struct capp__container *container, const struct capp__requirement *need,
                              struct capp__mistakes *mistakes)
{
    char wanted[256], others[TEXT_SIZE], origin[ORIGIN_SIZE];
    struct capp__entry *entry = capp__container_find(container, need->type, need->name);

    if (entry != NULL && capp__entry_lifetime(entry) == CAPP_SINGLETON)
        return;
    capp__describe(wanted, sizeof(wanted), need->type, need->name);
    etcd__format(origin, sizeof(origin), "%s%s%s%s", need->origin, need->place[0] == '\0' ? "" : " (",
                 need->place, need->place[0] == '\0' ? "" : ")");
    if (entry == NULL)
        capp__mistakes_add(
            mistakes, origin, CAPP_E_NOT_FOUND, "needs %s%s; %s", the_unnamed(need->name), wanted,
            capp__container_alternatives(container, others, sizeof(others), need->type, need->name));
    else
        capp__mistakes_add(mistakes, origin, CAPP_E_INVALID_ARGUMENT,
                           "needs %s, which is %s: a module can only need what exists once",
                           capp__describe_entry(others, sizeof(others), entry),
                           capp__lifetime_name(capp__entry_lifetime(entry)));
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

/* "a.field (main.c:31) -> ". Returns the length. */
static size_t print_edge(char *dst, size_t size, const struct capp__entry *from, const capp_inject *row)
{
    char node[256];
    const bool placed = from->place[0] != '\0';

    return etcd__format(dst, size, "%s.%s%s%s%s -> ",
                        capp__describe(node, sizeof(node), from->type, from->name), row->field,
                        placed ? " (" : "", from->place, placed ? ")" : "");
}

/* Each edge from the top of the circle down to its last one. */
static size_t print_circle(char *dst, size_t size, const struct capp__entry *top,
                           const struct capp__entry *last)
{
    const struct capp__entry *entry = top;
    size_t len = 0;

    /* Parents lead upwards; the way down is found again for each step, which only a mistake pays for. */
    for (;;) {
        len += print_edge(dst + len, size - len, entry, entry->walk.row);
        if (entry == last)
            return len;
        const struct capp__entry *below = last;
        while (below->walk.parent != entry)
            below = below->walk.parent;
        entry = below;
    }
}

static void report_circle(const struct capp__entry *top, const struct capp__entry *last,
                          struct capp__mistakes *mistakes)
{
    char path[TEXT_SIZE], node[256];
    size_t len = print_circle(path, sizeof(path), top, last);

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

/* The service that the next edge of a node leads to; NULL when it leads to none. */
static struct capp__entry *next_edge(const struct capp__container *container, struct capp__entry *entry)
{
    const capp_inject *row = &entry->service.inject[entry->walk.next_row];
    struct capp__entry *next;

    entry->walk.row = row;
    if ((row->flags & CAPP_INJECT_ALL) == 0) {
        entry->walk.next_row++;
        next = capp__graph_follow(container, row);
    } else {
        next = capp__container_next(container, row->type, &entry->walk.next_item);
        if (next == NULL) {
            entry->walk.next_item = 0;
            entry->walk.next_row++;
        }
    }
    return next == NULL ? NULL : capp__entry_service(next);
}

/* Takes the next edge of a node; returns the node to go on with. */
static struct capp__entry *walk_edge(const struct capp__container *container, struct capp__entry *entry,
                                     struct capp__mistakes *mistakes)
{
    struct capp__entry *next = next_edge(container, entry);

    if (next == NULL || next->walk.state == CAPP__SEEN)
        return entry;
    if (next->walk.state == CAPP__ON_PATH) {
        report_circle(next, entry, mistakes);
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

/* ---- what would be kept for longer than its scope --------------------------------------------------- */

static bool leads_to_scoped(const struct capp__container *container, const capp_inject *row)
{
    struct capp__entry *target = capp__graph_follow(container, row);

    if (target == NULL || capp__entry_lifetime(target) == CAPP_SINGLETON)
        return false;
    return capp__entry_lifetime(target) == CAPP_SCOPED ||
           capp__entry_service(target)->walk.scoped_row != NULL;
}

static void report_captive(const struct capp__container *container, const struct capp__entry *entry,
                           const capp_inject *row, struct capp__mistakes *mistakes)
{
    char path[TEXT_SIZE], node[WHAT_SIZE];
    size_t len = 0;
    struct capp__entry *target;

    for (;;) {
        len += print_edge(path + len, sizeof(path) - len, entry, row);
        target = capp__graph_follow(container, row);
        if (capp__entry_lifetime(target) == CAPP_SCOPED)
            break;
        entry = capp__entry_service(target);
        row = entry->walk.scoped_row;
    }
    if (capp__entry_service(target) != NULL)
        target = capp__entry_service(target);
    capp__describe_entry(node, sizeof(node), target);
    capp__mistakes_add(mistakes, "", CAPP_E_INVALID_ARGUMENT, "a singleton cannot need what is scoped: %s%s",
                       path, node);
}

/* Those that the service injects have been looked at. */
static void check_captive(const struct capp__container *container, struct capp__entry *entry,
                          struct capp__mistakes *mistakes)
{
    for (size_t i = 0; i < entry->service.inject_count; i++) {
        const capp_inject *row = &entry->service.inject[i];

        if (entry->service.lifetime == CAPP_SCOPED || !leads_to_scoped(container, row))
            continue;
        if (entry->service.lifetime == CAPP_SINGLETON)
            report_captive(container, entry, row, mistakes);
        else if (entry->walk.scoped_row == NULL)
            entry->walk.scoped_row = row;
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
    for (size_t i = 0; i < order->count; i++)
        check_captive(container, order->items[i], mistakes);
}
