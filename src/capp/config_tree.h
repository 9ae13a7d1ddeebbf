/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration as it was written: maps, lists and texts, each with the place that it came from. A source
 * fills a tree of its own, and the trees are merged, the later one winning; nothing is converted here.
 */
#ifndef CAPP__CONFIG_TREE_H
#define CAPP__CONFIG_TREE_H

#include "base/arena.h"

#include <stdbool.h>

enum { CAPP__PATH_SIZE = 256 };

/* Where a value was found. */
struct capp__place {
    const char *source;    /* "app.yaml", "environment variable MYAPP_X", "argument --x", "code" */
    unsigned line, column; /* from 1; 0: the source has none */
};

enum capp__node_kind {
    CAPP__NODE_MAP,
    CAPP__NODE_LIST,
    CAPP__NODE_TEXT,
    CAPP__NODE_NULL, /* takes back what an earlier source gave */
};

struct capp__node {
    const char *key; /* as written; "" in a list */
    enum capp__node_kind kind;
    const char *text;                /* CAPP__NODE_TEXT: without NUL in it */
    struct capp__node *first, *last; /* of a map, in order; of a list */
    struct capp__node *next;         /* among its siblings */
    struct capp__place place;        /* of the value */
    bool read;                       /* an option wants it */
};

/* Zeroed memory is an empty tree. */
struct capp__tree {
    struct etcd__arena arena;
    struct capp__node root; /* a map */
};

/* Texts are wiped: there may be a password among them. */
void capp__tree_deinit(struct capp__tree *tree);
/* An empty tree with memory of its own; NULL when out of memory. */
struct capp__tree *capp__tree_new(void);
/* NULL is accepted. */
void capp__tree_free(struct capp__tree *tree);

/* Whether two names are the same: case counts nothing, and '-' is '_'. */
bool capp__key_equal(const char *a, size_t a_len, const char *b);

struct capp__node *capp__node_child(const struct capp__node *map, const char *key, size_t len);
/* The node with this path, names with dots between; NULL when there is none or a CAPP__NODE_NULL. */
struct capp__node *capp__tree_find(const struct capp__tree *tree, const char *path);

/* A new last child; `key` is copied. NULL when out of memory. */
struct capp__node *capp__node_add(struct capp__tree *tree, struct capp__node *parent, const char *key,
                                  size_t key_len, struct capp__place place);
/*
 * Gives a path a text; maps are made on the way. Returns the node, or NULL when out of memory. What stood in
 * the way - a text where a map is needed, or the reverse - is replaced; *ret_replaced tells of it.
 */
struct capp__node *capp__tree_set(struct capp__tree *tree, const char *path, const char *text,
                                  struct capp__place place, bool *ret_replaced);

/* The same with a map: `over` is laid at the path, which may be empty. False when out of memory. */
bool capp__tree_lay(struct capp__tree *tree, const char *path, const struct capp__tree *over,
                    bool *ret_replaced);

/* Lays `over` on the tree: maps are joined, all else is replaced. False when out of memory. */
bool capp__tree_merge(struct capp__tree *tree, const struct capp__tree *over);

/* "app.yaml:3:5", "argument --x". Returns dst. */
char *capp__place_text(const struct capp__place *place, char *dst, size_t size);

#endif
