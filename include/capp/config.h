/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file config.h
 * The configuration: where values come from, and which one counts.
 *
 * Later ones win, value by value; lists are replaced whole:
 *
 *     the fallbacks of options.h
 *     < values in code: what a module was given, capp_use_config_default()
 *     < files, in the order of capp_use_config_file()
 *     < drop-in directories: capp_use_config_dir()
 *     < sources of modules, such as etcd: source.h
 *     < environment: capp_use_config_env()
 *     < arguments: capp_use_config_args()
 *     < capp_use_config_value()
 *
 * A value has a key: names with dots between, `etcd.clients.default.endpoints`. Upper and lower case are the
 * same, and so are `-` and `_`. Every key must be an option of some table (options.h): one that is not is a
 * mistake of the build, reported with its place and the nearest key that is.
 *
 * @par Files
 * YAML or JSON, whatever they are called, UTF-8, at most 4 MiB and 32 levels. One document; duplicate keys,
 * aliases, anchors and tags are refused. `null` takes a value back that an earlier source gave.
 *
 * @par Environment
 * `PREFIX_ETCD__CLIENTS__DEFAULT__ENDPOINTS`: the prefix, and two underscores where the key has a dot. An
 * empty value counts as none. A program that names no prefix has `CAPP`, of which variables that no option
 * wants are only warned of. So are, with any prefix, options of a name that the program does not use: a
 * group of programs may share one environment. A variable that an option names as the source of its secret
 * (`env: PREFIX_PASSWORD`) is none of the options.
 *
 * @par Reload
 * capp_reload(), and SIGHUP under capp_main(), read files and directories again; the environment, the
 * arguments and what the program says itself stay. Everything is checked together: with any mistake the
 * configuration stays as it was, and all mistakes are logged. Structs that are injected with CAPP_INJECT stay
 * what they are until the next start, unless they are injected into something that a scope makes; monitor.h
 * has the others.
 *
 * @par Arguments
 * `--etcd.clients.default.endpoints=a,b` or `--key value`; `--key` alone, at the end or before another
 * option, is `true`. `--` ends them. What does not begin with `--` is left to the program. `--config PATH`
 * adds a required file; `--help-config`, under capp_main(), prints every option and ends the program with
 * status 0;
 * `--dump-config` the same with every value and where it came from; `--man-config` prints a manual page of
 * the options; `--check-config` only says whether the
 * configuration is sound; `--describe` and `--describe-dot` print what the program is made of (describe.h).
 */
#ifndef CAPP_CONFIG_H
#define CAPP_CONFIG_H

#include <capp/builder.h>
#include <capp/options.h>

CAPP_BEGIN_DECLS

/** It is no mistake when the file or directory does not exist. */
#define CAPP_CONFIG_OPTIONAL (UINT32_C(1) << 0)

/**
 * Adds a file; see the top of this file. Read by capp_build(), and again by each reload.
 *
 * @param builder  Borrowed; NULL is accepted.
 * @param path   Copied.
 * @param flags  CAPP_CONFIG_OPTIONAL or 0.
 * @since 0.1
 */
CAPP_API void capp_use_config_file(capp_builder *builder, const char *path, uint32_t flags);

/**
 * Adds all files of a directory whose names end in `.yaml`, `.yml` or `.json`, in the order of their names
 * (bytewise). Names that begin with a dot are left out. Read by capp_build(), and again by each reload.
 * @since 0.1
 */
CAPP_API void capp_use_config_dir(capp_builder *builder, const char *path, uint32_t flags);

/**
 * Reads the environment variables that begin with a prefix.
 *
 * @param builder  Borrowed; NULL is accepted.
 * @param prefix  Not empty; `A-Z a-z 0-9 _`; an underscore at its end is added when it has none. Copied.
 * @since 0.1
 */
CAPP_API void capp_use_config_env(capp_builder *builder, const char *prefix);

/**
 * Reads the arguments of the program.
 *
 * @param builder  Borrowed; NULL is accepted.
 * @param argc  How many there are.
 * @param argv  As main() got it: argv[0] is left out. Must stay valid until capp_build() returned.
 * @since 0.1
 */
CAPP_API void capp_use_config_args(capp_builder *builder, int argc, char *const *argv);

/** A value in code, which every other source can replace. Key and value are copied. @since 0.1 */
CAPP_API void capp_use_config_default(capp_builder *builder, const char *key, const char *value);

/** A value that no other source can replace. Key and value are copied. @since 0.1 */
CAPP_API void capp_use_config_value(capp_builder *builder, const char *key, const char *value);

/**
 * Writes the effective configuration, as it is now, as YAML, each value with a comment that says where it
 * came from; secrets are shown as `"***"`. With a NUL; returns the length of the whole text, which was cut if
 * it is >= size.
 *
 * @par Threads
 * Any.
 * @since 0.1
 */
CAPP_API size_t capp_config_dump(const capp_app *app, char *dst, size_t size);

/** Writes what can be configured, for people, in the same way. Any thread. @since 0.1 */
CAPP_API size_t capp_config_help(const capp_app *app, char *dst, size_t size);

/**
 * Writes a manual page of what can be configured, section 5, in mdoc, in the same way; its name is that of
 * the application. What a program prints with `--man-config`, its package may install. Any thread. @since 0.1
 */
CAPP_API size_t capp_config_man(const capp_app *app, char *dst, size_t size);

CAPP_END_DECLS

#endif
