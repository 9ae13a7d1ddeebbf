/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of an application: its sources, what they say together, the tables of options that were
 * declared, and what was read through them. Filled while the builder lives, constant afterwards.
 */
#ifndef CAPP__CONFIG_H
#define CAPP__CONFIG_H

#include "capp/config.h"
#include "config_tree.h"
#include "mistakes.h"

/* Of the environment, unless the program names its own. */
#define CAPP__ENV_PREFIX "CAPP_"

/* In the order in which they count; the later one wins. */
enum capp__source_kind {
    CAPP__SOURCE_DEFAULT,
    CAPP__SOURCE_FILE,
    CAPP__SOURCE_DIR,
    CAPP__SOURCE_ENV,
    CAPP__SOURCE_ARGS,
    CAPP__SOURCE_VALUE,
    CAPP__SOURCE_KINDS
};

struct capp__source {
    enum capp__source_kind kind;
    uint32_t flags; /* CAPP_CONFIG_… */
    char *text;     /* path, prefix or key */
    char *value;
    int argc;
    char *const *argv;
};

/* What the arguments want instead of a run. */
enum capp__config_ask {
    CAPP__ASK_NOTHING,
    CAPP__ASK_HELP,
    CAPP__ASK_DUMP,
    CAPP__ASK_CHECK,
};

/* One option that was read: for the dump. */
struct capp__setting {
    const char *text; /* as it would be written; NULL: no value */
    struct capp__place place;
};

/* One struct that was filled. */
struct capp__bound {
    const capp_options *table;
    char *path;                      /* of the section; a star is filled in */
    void *object;                    /* owned; NULL when the struct is the caller's */
    struct capp__setting settings[]; /* table->count */
};

struct capp__config {
    struct capp__ptrs sources; /* struct capp__source */
    struct capp__ptrs tables;  /* const capp_options: declared, each once */
    struct capp__ptrs bounds;  /* struct capp__bound */
    struct capp__tree tree;    /* all sources together; texts of bound structs lie in it */
    enum capp__config_ask ask;
};

void capp__config_deinit(struct capp__config *config);

/* Adds a source; its strings are copied. False when out of memory. */
bool capp__config_add_source(struct capp__config *config, const struct capp__source *source);
/* Whether the arguments ask for something instead of a run. */
bool capp__config_asked(const struct capp__config *config);
/* The prefix of environment variables, with its underscore; NULL: none was named. */
const char *capp__config_env_prefix(const struct capp__config *config);
/* Reads all sources into the tree. What is wrong is noted. */
void capp__config_load(struct capp__config *config, struct capp__mistakes *mistakes);

/* The sources of the environment and of the arguments, each into an empty tree. */
void capp__config_read_env(const char *prefix, struct capp__tree *tree, struct capp__mistakes *mistakes);
void capp__config_read_args(int argc, char *const *argv, struct capp__tree *tree,
                            struct capp__mistakes *mistakes);
/* What stands in the arguments about the configuration itself: further files, and what is asked for. */
bool capp__config_scan_args(struct capp__config *config, const struct capp__source *args,
                            struct capp__mistakes *mistakes);

/* Makes a table known, once. False when out of memory. */
bool capp__config_declare(struct capp__config *config, const capp_options *table);
/* Whether a table can be one: noted as a mistake if not. */
bool capp__table_is_sound(const capp_options *table, struct capp__mistakes *mistakes, const char *origin);
/*
 * Fills a struct from the section `path`. `fresh`: what has no value gets the fallback; otherwise it stays as
 * it is. Mistakes are noted; NULL when out of memory, which is noted too.
 */
struct capp__bound *capp__config_bind(struct capp__config *config, const capp_options *table,
                                      const char *path, void *object, bool fresh,
                                      struct capp__mistakes *mistakes);
/*
 * Notes every value that no option has read. To be called when all is bound. Of the environment, which
 * several programs may share, only warnings are made where a name is not known here, and where the prefix is
 * not the program's own.
 */
void capp__config_check_unknown(const struct capp__config *config, const capp_logger *logger,
                                struct capp__mistakes *mistakes);

/* The texts of capp_config_dump() and capp_config_help(). False when out of memory. */
struct etcd__buf;
bool capp__config_write_dump(const struct capp__config *config, struct etcd__buf *text);
bool capp__config_write_help(const struct capp__config *config, struct etcd__buf *text);

/* How an option is written in the environment: "MYAPP_HTTP__TIMEOUT". Returns dst. */
char *capp__env_name(char *dst, size_t size, const char *prefix, const char *path);

#endif
