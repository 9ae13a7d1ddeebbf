/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making objects of services and ending them. What is made together, those of the application or
 * those of one scope, ends together, in reverse order.
 */
#ifndef CAPP__MAKE_H
#define CAPP__MAKE_H

#include "capp/scope.h"
#include "container.h"

/* One object, with what is needed to end it. */
struct capp__instance {
    struct capp__instance *below; /* made before this one; while it is made: who waits for it */
    struct capp__entry *entry;    /* a service */
    void *object;                 /* what others are given; NULL until it is made */
    size_t next_row;              /* of inject, while it is made */
    _Alignas(max_align_t) unsigned char memory[]; /* the object, or what is given to its factory function */
};

/* Of the application, with no scope, or of a scope. One thread at a time. Zeroed memory is an empty one. */
struct capp__keeper {
    const struct capp__container *container;
    capp_scope *scope;             /* NULL: the application */
    struct capp__instance **slots; /* of a scope: its scoped objects */
    struct capp__instance *made;   /* the newest one */
    struct capp__instance *making; /* the innermost one; those below wait for it */
    struct capp__instance *fresh;  /* has just been made for the one that waits */
    size_t depth;                  /* how many calls of capp__keeper_make() there are */
    bool ending;
};

/* The object behind an entry, if it exists in this keeper; NULL for a transient one. */
void *capp__keeper_find(const struct capp__keeper *keeper, struct capp__entry *entry);
/*
 * Makes the object of a service with all that has to be made for it. When something fails, what was made for
 * it is ended again.
 */
capp_status capp__keeper_make(struct capp__keeper *keeper, struct capp__entry *service, void **ret_object,
                              capp_error *reterr);
/* Ends everything. */
void capp__keeper_end(struct capp__keeper *keeper);

#endif
