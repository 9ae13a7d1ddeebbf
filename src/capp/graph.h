/* SPDX-License-Identifier: Apache-2.0 */
/* The check of everything that is registered, before any of it is made. */
#ifndef CAPP__GRAPH_H
#define CAPP__GRAPH_H

#include "container.h"

/* Something that a module needs of another one. */
struct capp__requirement {
    const capp_type *type;
    char name[CAPP__NAME_SIZE];
    char origin[CAPP__ORIGIN_SIZE];
    char place[CAPP__PLACE_SIZE];
    void **slot; /* may be NULL */
};

/* The entry that a row asks for, behind aliases; NULL when there is none, and for a row that asks for all. */
struct capp__entry *capp__graph_follow(const struct capp__container *container, const capp_inject *row);

/*
 * Resolves aliases, finds what is missing, what is circular and what would be kept for longer than its
 * scope, and notes it as mistakes. Fills `order` with the services (struct capp__entry), each after all that
 * it injects, otherwise in order of registration. The container is sealed.
 */
void capp__graph_check(struct capp__container *container, const struct capp__ptrs *requirements,
                       struct capp__ptrs *order, struct capp__mistakes *mistakes);

#endif
