/* SPDX-License-Identifier: Apache-2.0 */
/* Names of applications, modules, workers and registered objects: 1-63 characters of A-Z a-z 0-9 _ -. */
#ifndef CAPP__NAME_H
#define CAPP__NAME_H

#include "capp/error.h"

#include <stddef.h>

/* A name with its NUL; an empty one stands for "unnamed" where that is possible. */
enum {
    CAPP__NAME_SIZE = 64,
    CAPP__ORIGIN_SIZE = CAPP__NAME_SIZE + 8, /* "module " and a name */
    CAPP__PLACE_SIZE = 64,                   /* "main.c:31" */
};

/* Copies a valid name, or fails with a message that has `what` and the value; dst is untouched then. */
capp_status capp__name_set(char dst[CAPP__NAME_SIZE], const char *name, const char *what, capp_error *reterr);
/* The same where NULL is valid too and stands for unnamed. */
capp_status capp__name_set_opt(char dst[CAPP__NAME_SIZE], const char *name, const char *what,
                               capp_error *reterr);
/* As the first, for names that may have dots in them. */
capp_status capp__dotted_set(char *dst, size_t size, const char *name, const char *what, capp_error *reterr);

#endif
