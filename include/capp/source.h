/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file source.h
 * Sources of configuration that a module brings, such as etcd: what they say can change at any time.
 *
 * They count more than files and drop-in directories, and less than the environment, the arguments and
 * capp_use_config_value(); among themselves the later one wins. See config.h for the whole order.
 *
 * Programs need none of this: they use the module.
 */
#ifndef CAPP_SOURCE_H
#define CAPP_SOURCE_H

#include <capp/error.h>
#include <capp/export.h>
#include <capp/module.h>

#include <stddef.h>
#include <stdint.h>

CAPP_BEGIN_DECLS

/** A source of configuration. Lives as long as the application. */
typedef struct capp_source capp_source;

/** The value is a document, YAML or JSON, that is laid at the key; with an empty key, at the root. */
#define CAPP_SOURCE_DOCUMENT (UINT32_C(1) << 0)

/** One thing that a source says. Borrowed while the call runs. Frozen. */
typedef struct capp_source_entry {
    const char *key;   /**< Names with dots between: "http.timeout". */
    const char *value; /**< `value_len` bytes; no NUL among them. */
    size_t value_len;
    const char *place; /**< For messages and the dump: "etcd config:/http/timeout (revision 12)". */
    uint32_t flags;    /**< CAPP_SOURCE_… */
    uint32_t reserved; /**< Zero. */
} capp_source_entry;

/**
 * Adds a source that says nothing yet.
 *
 * @param setup  Borrowed.
 * @param name             For messages: 1–63 characters of `A-Z a-z 0-9 _ -`. Copied.
 * @param[out] ret_source  Set on success only.
 *
 * @retval CAPP_OK
 * @retval CAPP_E_INVALID_ARGUMENT  A bad name, or @p ret_source is NULL.
 * @retval CAPP_E_NO_MEMORY
 * @retval CAPP_E_STATE             After the build.
 * @since 0.1
 */
CAPP_API capp_status capp_setup_add_source(capp_setup *setup, const char *name, capp_source **ret_source);

/**
 * Says that the source may not set a key or anything below it: what the source itself needs to work, say. An
 * attempt is a mistake of capp_source_set(). To be called before the build ends.
 *
 * @param source  Borrowed.
 * @param key  "etcd.clients". Copied.
 * @return CAPP_OK; CAPP_E_INVALID_ARGUMENT, CAPP_E_NO_MEMORY, CAPP_E_STATE.
 * @since 0.1
 */
CAPP_API capp_status capp_source_forbid(capp_source *source, const char *key);

/**
 * Says all that the source has to say from now on; what it said before is forgotten. Everything is checked
 * together with what the other sources say, and becomes current as a whole. Who follows changes (monitor.h)
 * is called later, on a thread of the host.
 *
 * Where two entries speak of the same key, that is a mistake; an entry counts more than a document, and a
 * document more than those before it.
 *
 * @param source  Borrowed.
 * @param entries      `count` of them, in any order.
 * @param count  How many there are.
 * @param[out] reterr  Set on failure only: all mistakes, each with its place; they are logged (WARN, category
 *                     "config") as well. NULL if not wanted.
 *
 * @retval CAPP_OK                  It is current.
 * @retval CAPP_E_INVALID_ARGUMENT  A mistake in a value, a key that no option has, one that is forbidden, or
 *                                  an argument that is NULL. Nothing has changed, here and below.
 * @retval CAPP_E_NO_MEMORY
 * @retval CAPP_E_IO                The host could not start its thread.
 * @retval CAPP_E_STATE             Before the build is over.
 *
 * @par Threads
 * Any; from the start of the first module until capp_free(). Blocks on functions that check options
 * (capp_check_fn), and on a reload that runs. May be called from a change function, not from a capp_check_fn.
 * @since 0.1
 */
CAPP_API CAPP_NODISCARD capp_status capp_source_set(capp_source *source, const capp_source_entry *entries,
                                                    size_t count, capp_error *reterr);

CAPP_END_DECLS

#endif
