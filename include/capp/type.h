/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file type.h
 * Types as the container knows them.
 *
 * C has no reflection, so a type that can be injected is given an identity by
 * hand, once:
 *
 *     typedef struct clock_service clock_service;
 *     CAPP_TYPE_DECLARE(clock_service);          // in its header
 *     CAPP_TYPE_DEFINE(clock_service);           // in one .c file
 *
 * The identity is the *address* of the constant that this makes; the name is only
 * for messages. The constant must therefore exist once per process. A shared
 * library that offers a type exports it (`CAPP_API CAPP_TYPE_DECLARE(T);`)
 * and must not be linked with -Bsymbolic.
 */
#ifndef CAPP_TYPE_H
#define CAPP_TYPE_H

#include <capp/export.h>

CAPP_BEGIN_DECLS

/** The identity of a type. Compare addresses. Frozen. */
typedef struct capp_type {
    const char *name; /**< As written in C, for messages. */
} capp_type;

/** Declares the identity of the type named T (a typedef name). Goes into a header. @since 0.1 */
#define CAPP_TYPE_DECLARE(T) extern const capp_type T##_type

/** Defines the identity of the type named T. Goes into exactly one source file. @since 0.1 */
#define CAPP_TYPE_DEFINE(T)          \
    extern const capp_type T##_type; \
    const capp_type T##_type = {#T}

CAPP_END_DECLS

#endif
