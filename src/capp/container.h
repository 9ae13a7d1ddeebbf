/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is registered in an application, by (type, name): objects, functions that
 * provide one, aliases, services and their interfaces. Filled while the builder lives; constant, and
 * readable from any thread, once the application is built.
 */
#ifndef CAPP__CONTAINER_H
#define CAPP__CONTAINER_H

#include "capp/module.h"
#include "mistakes.h"
#include "name.h"
#include "ptrs.h"

struct capp__binding; /* config.h */

enum capp__entry_kind {
    CAPP__OBJECT,
    CAPP__PROVIDER,
    CAPP__ALIAS,
    CAPP__SERVICE,
    CAPP__INTERFACE, /* a member of a service's object */
    CAPP__SCOPE,     /* the scope itself, which is injected into what is made in it */
};

struct capp__entry {
    const capp_type *type;
    char name[CAPP__NAME_SIZE];     /* "": unnamed */
    char origin[CAPP__ORIGIN_SIZE]; /* who registered it, "module etcd"; "" for the program */
    char place[CAPP__PLACE_SIZE];   /* where, "main.c:31"; "": not known */
    enum capp__entry_kind kind;
    void *object; /* NULL until it is made; of what exists once per application */

    struct capp__binding *options; /* CAPP__OBJECT: of capp_add_options(); else NULL */

    capp_provide_fn *provide; /* CAPP__PROVIDER */
    void *user_data;

    const capp_type *target_type; /* CAPP__ALIAS */
    char target_name[CAPP__NAME_SIZE];
    struct capp__entry
        *target;   /* the entry behind all aliases; NULL when there is none. CAPP__INTERFACE: its service */
    size_t offset; /* CAPP__INTERFACE: of the member */

    capp_service service; /* CAPP__SERVICE */
    size_t slot;          /* of a scoped one, in capp_scope.scoped */

    /* The walk over the graph of services: see graph.c. */
    struct {
        enum { CAPP__UNSEEN, CAPP__ON_PATH, CAPP__SEEN } state;
        size_t next_row;
        size_t next_item;       /* of a row that asks for all */
        const capp_inject *row; /* the one that is followed */
        struct capp__entry *parent;
        const capp_inject *scoped_row; /* of a transient: the first one that leads to something scoped */
    } walk;
};

/* All objects of a type, for those that inject a list of them. */
struct capp__all {
    const capp_type *type;
    void **objects; /* with a NULL at the end; empty until it is filled */
    size_t room;    /* without the NULL */
};

struct capp__container {
    struct capp__ptrs entries;  /* struct capp__entry, owned, in order of registration */
    struct capp__entry **index; /* the same, sorted by (type, name); NULL until sealed */
    struct capp__ptrs lists;    /* struct capp__all, each type once */
    size_t scoped_count;        /* how many slots a scope has */
};

void capp__container_deinit(struct capp__container *container);

/* Adds the entry, which is consumed: freed on failure, which is DUPLICATE or NO_MEMORY. */
capp_status capp__container_add(struct capp__container *container, struct capp__entry *entry,
                                capp_error *reterr);
/* Ends registration, makes look-ups fast and the lists ready to be filled; false when out of memory. */
bool capp__container_seal(struct capp__container *container);

/* The entry itself, be it an alias; NULL when there is none. `name` may be NULL or "" for unnamed. */
struct capp__entry *capp__container_find(const struct capp__container *container, const capp_type *type,
                                         const char *name);
/* The entry behind all aliases: itself unless it is one. NULL for an alias that leads nowhere. */
struct capp__entry *capp__entry_behind(struct capp__entry *entry);
/* The service whose object, or a member of it, is behind the entry; NULL when there is none. */
struct capp__entry *capp__entry_service(struct capp__entry *entry);
/* How often what is behind the entry exists. */
capp_lifetime capp__entry_lifetime(struct capp__entry *entry);
/* "singleton", "scoped", "transient". */
const char *capp__lifetime_name(capp_lifetime lifetime);
/* What the entry stands for, given the object of its service: that, or a member of it. */
void *capp__entry_part(struct capp__entry *entry, void *object);
/* The object behind the entry, if it exists once per application and exists now. */
void *capp__entry_object(struct capp__entry *entry);

/*
 * Entries of a type that exist once per application, in order of registration: the first one
 * from number *next on, which is moved behind it; NULL at the end.
 */
struct capp__entry *capp__container_next(const struct capp__container *container, const capp_type *type,
                                         size_t *next);
/* The objects of a type that exist, each once: writes up to `room` of them, returns how many there are. */
size_t capp__container_objects(const struct capp__container *container, const capp_type *type, void **objects,
                               size_t room);
/* The list of a type that some row asks for, filled with what exists now. */
void **capp__container_list(const struct capp__container *container, const capp_type *type);

/* "etcd_client 'config'", "etcd_client". Returns dst. */
char *capp__describe(char *dst, size_t size, const capp_type *type, const char *name);
/* The same with the place: "etcd_client 'config' (main.c:31)". Returns dst. */
char *capp__describe_entry(char *dst, size_t size, const struct capp__entry *entry);
/* What is registered for a type, as the end of a sentence that says what is missing. Returns dst. */
char *capp__container_alternatives(const struct capp__container *container, char *dst, size_t size,
                                   const capp_type *type, const char *name);

/* Nothing is registered under this name: says what is. Returns CAPP_E_NOT_FOUND. */
capp_status capp__fail_not_found(const struct capp__container *container, const capp_type *type,
                                 const char *name, capp_error *reterr);

#endif
