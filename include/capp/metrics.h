/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file metrics.h
 * Numbers about the application, in Prometheus' text format (0.0.4).
 *
 * The host serves nothing over the network: a program hands capp_metrics_text() to its own server, with the
 * type `text/plain; version=0.0.4`. What the host counts is listed in docs/host.md; modules add theirs.
 */
#ifndef CAPP_METRICS_H
#define CAPP_METRICS_H

#include <capp/app.h>
#include <capp/error.h>
#include <capp/export.h>
#include <capp/module.h>

#include <stddef.h>

CAPP_BEGIN_DECLS

/** A text of metrics that is being written. */
typedef struct capp_metrics capp_metrics;

/**
 * Adds metrics to a text, with capp_metrics_printf(). Every metric has one line HELP and one line TYPE,
 * whatever the number of its samples, and a name that nobody else uses.
 *
 * Called by whoever asks for the text: on any thread, by several at the same time, under no lock of the host,
 * from when the build is done until capp_free(). It must not block.
 */
typedef void capp_metrics_fn(void *self, capp_metrics *out);

/**
 * Adds a function of a module's to those that capp_metrics_text() calls, in the order of registration.
 *
 * @param setup  Borrowed.
 * @param fn    Not NULL.
 * @param self  Passed to @p fn; must stay valid until the module's hooks are destroyed.
 *
 * @retval CAPP_OK
 * @retval CAPP_E_INVALID_ARGUMENT  @p fn is NULL.
 * @retval CAPP_E_NO_MEMORY
 * @retval CAPP_E_STATE             After the build.
 * @since 0.1
 */
CAPP_API capp_status capp_setup_add_metrics(capp_setup *setup, capp_metrics_fn *fn, void *self);

/**
 * Adds to the text. A lack of memory is reported by capp_metrics_text().
 *
 * @param out  What the capp_metrics_fn was given.
 * @param format  printf format, of any length; whole lines. Never pass a secret.
 *
 * @par Threads
 * Inside the capp_metrics_fn that got @p out.
 * @since 0.1
 */
CAPP_API void capp_metrics_printf(capp_metrics *out, const char *format, ...) CAPP_PRINTF(2, 3);

/**
 * Writes a text as the value of a label wants it, without its quotes: backslash, quote and newline are
 * escaped; invalid UTF-8 reads back as `\xHH`. What does not fit is cut between two characters.
 *
 * @return dst.
 *
 * @par Threads
 * Any thread.
 * @since 0.1
 */
CAPP_API char *capp_metrics_label(char *dst, size_t size, const char *value);

/**
 * Writes all metrics.
 *
 * @param app       NULL writes an empty text.
 * @param[out] dst  `size` bytes; a text with a NUL, cut if need be. May be NULL when @p size is 0.
 * @param size  Bytes of @p dst.
 * @return The length of the whole text without the NUL; 0 when out of memory.
 *
 * @par Threads
 * Any thread; calls the functions of modules, and the checks (capp_health_fn).
 * @since 0.1
 */
CAPP_API size_t capp_metrics_text(const capp_app *app, char *dst, size_t size);

CAPP_END_DECLS

#endif
