/* SPDX-License-Identifier: Apache-2.0 */
#include "config_tree.h"

#include "base/str.h"

#include <string.h>

/* What the arena holds is ours to write, though nobody else may. */
static void wipe(const struct capp__node *node)
{
    if (node->text != NULL)
        etcd__wipe((char *)(uintptr_t)node->text, strlen(node->text));
    for (const struct capp__node *child = node->first; child != NULL; child = child->next)
        wipe(child);
}

void capp__tree_deinit(struct capp__tree *tree)
{
    wipe(&tree->root);
    etcd__arena_deinit(&tree->arena);
    *tree = (struct capp__tree){.root = {.kind = CAPP__NODE_MAP}};
}

struct capp__tree *capp__tree_new(void)
{
    struct capp__tree *tree = ETCD__NEW(struct capp__tree);

    if (tree != NULL)
        tree->root.kind = CAPP__NODE_MAP;
    return tree;
}

void capp__tree_free(struct capp__tree *tree)
{
    if (tree == NULL)
        return;
    capp__tree_deinit(tree);
    etcd__free(tree);
}

/* ---- names ----------------------------------------------------------------------------------------- */

static int fold(char c)
{
    return c == '-' ? '_' : c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

bool capp__key_equal(const char *a, size_t a_len, const char *b)
{
    size_t i = 0;

    while (i < a_len && b[i] != '\0' && fold(a[i]) == fold(b[i]))
        i++;
    return i == a_len && b[i] == '\0';
}

/* ---- looking --------------------------------------------------------------------------------------- */

struct capp__node *capp__node_child(const struct capp__node *map, const char *key, size_t len)
{
    struct capp__node *child = map->kind == CAPP__NODE_MAP ? map->first : NULL;

    while (child != NULL && !capp__key_equal(key, len, child->key))
        child = child->next;
    return child;
}

/* The first name of a path; moves on to the rest. */
static const char *next_name(const char **path, size_t *ret_len)
{
    const char *name = *path;

    *ret_len = strcspn(name, ".");
    *path = name + *ret_len + (name[*ret_len] == '.');
    return name;
}

struct capp__node *capp__tree_find(const struct capp__tree *tree, const char *path)
{
    const struct capp__node *node = &tree->root;
    struct capp__node *child = NULL;

    while (path[0] != '\0' && node != NULL) {
        size_t len;
        const char *name = next_name(&path, &len);

        child = capp__node_child(node, name, len);
        node = child;
    }
    return node == NULL || child == NULL || child->kind == CAPP__NODE_NULL ? NULL : child;
}

/* ---- filling --------------------------------------------------------------------------------------- */

static void append(struct capp__node *parent, struct capp__node *child)
{
    child->next = NULL;
    if (parent->last == NULL)
        parent->first = child;
    else
        parent->last->next = child;
    parent->last = child;
}

struct capp__node *capp__node_add(struct capp__tree *tree, struct capp__node *parent, const char *key,
                                  size_t key_len, struct capp__place place)
{
    struct capp__node *child = etcd__arena_calloc(&tree->arena, 1, sizeof(*child));

    if (child != NULL)
        child->key = etcd__arena_memdup(&tree->arena, key, key_len);
    if (child == NULL || child->key == NULL)
        return NULL;
    child->place = place;
    append(parent, child);
    return child;
}

/* Makes a node something else. */
static bool turn(struct capp__node *node, enum capp__node_kind kind)
{
    if (node->kind == kind)
        return false;
    wipe(node);
    node->kind = kind;
    node->text = NULL;
    node->first = node->last = NULL;
    return true;
}

/* The node at a path, which is made to be of this kind, and all above it maps. */
static struct capp__node *reach(struct capp__tree *tree, const char *path, enum capp__node_kind kind,
                                struct capp__place place, bool *ret_replaced)
{
    struct capp__node *node = &tree->root;

    *ret_replaced = false;
    while (path[0] != '\0' && node != NULL) {
        size_t len;
        const char *name = next_name(&path, &len);
        struct capp__node *child = capp__node_child(node, name, len);
        bool is_new = child == NULL, last = path[0] == '\0';

        if (is_new)
            child = capp__node_add(tree, node, name, len, place);
        if (child != NULL && turn(child, last ? kind : CAPP__NODE_MAP) && !is_new)
            *ret_replaced = true;
        node = child;
    }
    return node;
}

struct capp__node *capp__tree_set(struct capp__tree *tree, const char *path, const char *text,
                                  struct capp__place place, bool *ret_replaced)
{
    struct capp__node *node = reach(tree, path, CAPP__NODE_TEXT, place, ret_replaced);

    if (node == NULL)
        return NULL;
    wipe(node);
    node->text = etcd__arena_memdup(&tree->arena, text, strlen(text));
    node->place = place;
    return node->text == NULL ? NULL : node;
}

/* ---- merging --------------------------------------------------------------------------------------- */

struct merge {
    struct capp__tree *tree;
    bool ok;
};

static struct capp__place copy_place(struct merge *merge, struct capp__place place)
{
    place.source = etcd__arena_memdup(&merge->tree->arena, place.source, strlen(place.source));
    merge->ok = merge->ok && place.source != NULL;
    return place;
}

static void lay_over(struct merge *merge, struct capp__node *map, const struct capp__node *over);

static void add_copy(struct merge *merge, struct capp__node *parent, const struct capp__node *from);

/* The node gets the value of the other. */
static void take_value(struct merge *merge, struct capp__node *node, const struct capp__node *from)
{
    if (from->kind == CAPP__NODE_MAP && node->kind == CAPP__NODE_MAP) {
        lay_over(merge, node, from);
        return;
    }
    wipe(node); /* it may have been a password */
    node->kind = from->kind;
    node->first = node->last = NULL;
    node->place = copy_place(merge, from->place);
    node->text = NULL;
    if (from->kind == CAPP__NODE_TEXT) {
        node->text = etcd__arena_memdup(&merge->tree->arena, from->text, strlen(from->text));
        merge->ok = merge->ok && node->text != NULL;
    }
    for (const struct capp__node *child = from->first; child != NULL && merge->ok; child = child->next)
        add_copy(merge, node, child);
}

static void add_copy(struct merge *merge, struct capp__node *parent, const struct capp__node *from)
{
    struct capp__node *node = capp__node_add(merge->tree, parent, from->key, strlen(from->key),
                                             copy_place(merge, from->place));

    merge->ok = merge->ok && node != NULL;
    if (merge->ok)
        take_value(merge, node, from);
}

static void lay_over(struct merge *merge, struct capp__node *map, const struct capp__node *over)
{
    for (const struct capp__node *from = over->first; from != NULL && merge->ok; from = from->next) {
        struct capp__node *there = capp__node_child(map, from->key, strlen(from->key));

        if (there == NULL)
            add_copy(merge, map, from);
        else
            take_value(merge, there, from);
    }
}

bool capp__tree_merge(struct capp__tree *tree, const struct capp__tree *over)
{
    struct merge merge = {.tree = tree, .ok = true};

    lay_over(&merge, &tree->root, &over->root);
    return merge.ok;
}

bool capp__tree_lay(struct capp__tree *tree, const char *path, const struct capp__tree *over,
                    bool *ret_replaced)
{
    struct merge merge = {.tree = tree, .ok = true};
    struct capp__place place = {0};
    struct capp__node *node;

    if (over->root.first != NULL)
        place = copy_place(&merge, over->root.first->place);
    node = merge.ok && over->root.first != NULL ? reach(tree, path, CAPP__NODE_MAP, place, ret_replaced)
                                                : NULL;
    if (node == NULL)
        return merge.ok && over->root.first == NULL;
    lay_over(&merge, node, &over->root);
    return merge.ok;
}

/* ---- places ---------------------------------------------------------------------------------------- */

char *capp__place_text(const struct capp__place *place, char *dst, size_t size)
{
    if (place->line == 0)
        etcd__format(dst, size, "%s", place->source);
    else
        etcd__format(dst, size, "%s:%u:%u", place->source, place->line, place->column);
    return dst;
}
