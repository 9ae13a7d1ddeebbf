/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is registered in an application, by (type, name): objects, functions that
 * provide one, aliases and services. Filled while the builder lives; constant, and
 * readable from any thread, once the application is built.
 */
#ifndef CAPP__CONTAINER_H
#define CAPP__CONTAINER_H

#include "capp/module.h"
#include "mistakes.h"
#include "name.h"
#include "ptrs.h"

enum capp__entry_kind {
    CAPP__OBJECT,
    CAPP__PROVIDER,
    CAPP__ALIAS,
    CAPP__SERVICE,
};

struct capp__entry {
    const capp_type *type;
    char name[CAPP__NAME_SIZE];     /* "": unnamed */
    char origin[CAPP__ORIGIN_SIZE]; /* who registered it, "module etcd"; "" for the program */
    enum capp__entry_kind kind;
    void *object; /* NULL until it is made */

    capp_provide_fn *provide; /* CAPP__PROVIDER */
    void *user_data;

    const capp_type *target_type; /* CAPP__ALIAS */
    char target_name[CAPP__NAME_SIZE];
    struct capp__entry *target; /* the entry behind all aliases; NULL when there is none */

    capp_service service; /* CAPP__SERVICE */

    /* The walk over the graph of services: see graph.c. */
    struct {
        enum { CAPP__UNSEEN, CAPP__ON_PATH, CAPP__SEEN } state;
        size_t next_row;
        struct capp__entry *parent;
    } walk;
};

struct capp__container {
    struct capp__ptrs entries;  /* struct capp__entry, owned, in order of registration */
    struct capp__entry **index; /* the same, sorted by (type, name); NULL until sealed */
};

void capp__container_deinit(struct capp__container *container);

/* Adds the entry, which is consumed: freed on failure, which is DUPLICATE or NO_MEMORY. */
capp_status capp__container_add(struct capp__container *container, struct capp__entry *entry,
                                capp_error *reterr);
/* Ends registration and makes look-ups fast; false when out of memory. */
bool capp__container_seal(struct capp__container *container);

/* The entry itself, be it an alias; NULL when there is none. `name` may be NULL or "" for unnamed. */
struct capp__entry *capp__container_find(const struct capp__container *container, const capp_type *type,
                                         const char *name);
/* The entry behind all aliases: itself unless it is one. NULL for an alias that leads nowhere. */
struct capp__entry *capp__entry_behind(struct capp__entry *entry);

/* "etcd_client 'config'", "etcd_client". Returns dst. */
char *capp__describe(char *dst, size_t size, const capp_type *type, const char *name);
/* What is registered for a type, as the end of a sentence that says what is missing. Returns dst. */
char *capp__container_alternatives(const struct capp__container *container, char *dst, size_t size,
                                   const capp_type *type, const char *name);

#endif
