/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One consistent state of the configuration: what all sources say together, and every struct of options read
 * from it. Filled by one thread, constant from then on, counted by those who hold it; it goes with the last
 * of them.
 */
#ifndef CAPP__SNAPSHOT_H
#define CAPP__SNAPSHOT_H

#include "capp/options.h"
#include "config_tree.h"
#include "mistakes.h"

#include <stdatomic.h>
#include <stddef.h>

/* One option that was read: for the dump. */
struct capp__setting {
    const char *text; /* as it would be written; NULL: no value */
    struct capp__place place;
};

struct capp__snapshot;

/* A struct of options, with the way back to the snapshot that its texts lie in. */
struct capp__object {
    struct capp__snapshot *snapshot;
    max_align_t bytes[];
};

/* One struct that was filled; the one at index i belongs to binding i of the configuration. */
struct capp__bound {
    struct capp__object *object;
    struct capp__setting *settings; /* one for each option of the table; in the tree's arena */
};

struct capp__snapshot {
    atomic_size_t refs;
    struct capp__tree tree;   /* all sources together; texts of the structs lie in its arena */
    struct capp__ptrs bounds; /* struct capp__bound, in the tree's arena; their objects are owned */
};

/* With one reference, which is the caller's; NULL when out of memory. */
struct capp__snapshot *capp__snapshot_new(void);
struct capp__snapshot *capp__snapshot_ref(struct capp__snapshot *snapshot);
/* NULL is accepted. */
void capp__snapshot_unref(struct capp__snapshot *snapshot);
/* The next bound, zeroed, with an object of `size` bytes; NULL when out of memory. */
struct capp__bound *capp__snapshot_add(struct capp__snapshot *snapshot, const capp_options *table);

/* Takes the last bound back. */
void capp__snapshot_drop(struct capp__snapshot *snapshot);

static inline struct capp__bound *capp__snapshot_at(const struct capp__snapshot *snapshot, size_t i)
{
    return snapshot->bounds.items[i];
}

/* The newest one, with a reference for the caller. Waits for no reload. */
struct capp__config;
struct capp__snapshot *capp__snapshot_current(const struct capp__config *config);

#endif
