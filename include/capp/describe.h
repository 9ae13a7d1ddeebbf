/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file describe.h
 * What an application is made of, as text: every service with its lifetime, what it injects, its interfaces
 * and where it was registered; objects, aliases, lists; the order of start.
 *
 * Under capp_main() and with capp_use_config_args(), the arguments `--describe` and `--describe-dot` print it
 * and end the program, without making or starting anything:
 *
 *     myprogram --describe-dot | dot -Tsvg > graph.svg
 */
#ifndef CAPP_DESCRIBE_H
#define CAPP_DESCRIBE_H

#include <capp/export.h>

#include <stddef.h>

CAPP_BEGIN_DECLS

/** A built application; see app.h. */
typedef struct capp_app capp_app;

/** In which language. */
typedef enum capp_describe_format {
    CAPP_DESCRIBE_TEXT = 0, /**< For people. Its form may change with every version. */
    /** A directed graph for Graphviz: a solid arrow is an injected field, a dotted one leads from another
       name to what it stands for. */
    CAPP_DESCRIBE_DOT = 1,
    CAPP_DESCRIBE_FORCE_INT32 = 0x7fffffff
} capp_describe_format;

/**
 * Describes an application. The same registrations give the same text.
 *
 * @param app  Borrowed.
 * @param format  For people or for Graphviz.
 * @param[out] dst  What fits of the text, with a NUL; may be NULL when @p size is 0.
 * @param size      Bytes at @p dst.
 * @return The bytes of the whole text without the NUL, which may be more than fit; 0 when out of memory, when
 *         @p app is NULL and for an unknown format.
 *
 * @par Threads
 * Any thread.
 * @since 0.1
 */
CAPP_API size_t capp_describe(const capp_app *app, capp_describe_format format, char *dst, size_t size);

CAPP_END_DECLS

#endif
