/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of an application: its sources, the tables of options that were declared, the structs
 * that are filled through them, and the snapshots that hold them. Sources, tables and bindings are constant
 * once the application is built; a reload makes a new snapshot of them all (reload.h).
 */
#ifndef CAPP__CONFIG_H
#define CAPP__CONFIG_H

#include "capp/config.h"
#include "capp/monitor.h"
#include "changes.h"
#include "config_tree.h"
#include "mistakes.h"
#include "snapshot.h"

#include <pthread.h>

/* Of the environment, unless the program names its own. */
#define CAPP__ENV_PREFIX "CAPP_"

/* In the order in which they count; the later one wins. */
enum capp__source_kind {
    CAPP__SOURCE_DEFAULT,
    CAPP__SOURCE_FILE,
    CAPP__SOURCE_DIR,
    CAPP__SOURCE_MODULE, /* see capp/source.h */
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
    struct capp_source *module; /* CAPP__SOURCE_MODULE: owned */
    struct capp__tree *tree;    /* owned: what it said when that was last taken; NULL: nothing yet */
};

/* What the arguments want instead of a run. */
enum capp__config_ask {
    CAPP__ASK_NOTHING,
    CAPP__ASK_HELP,
    CAPP__ASK_DUMP,
    CAPP__ASK_CHECK,
    CAPP__ASK_MAN,
    CAPP__ASK_DESCRIBE,
    CAPP__ASK_DESCRIBE_DOT,
};

enum capp__binding_kind {
    CAPP__BIND_OPTIONS, /* of capp_add_options(): injected, and monitored */
    CAPP__BIND_MODULE,  /* of capp_setup_bind(): read once into the module's own struct */
    CAPP__BIND_HOST,    /* the host's own, see capp__config_bind_host() */
};

/* A current value that is monitored: of one table. */
struct capp_monitor {
    struct capp__config *config;
    size_t index;
};

/* A struct that is to be filled, in every snapshot anew; constant once the application is built. */
struct capp__binding {
    size_t index; /* in `bindings`, and of the bound in every snapshot */
    enum capp__binding_kind kind;
    const capp_options *table;
    char *path;    /* of the section; a star is filled in */
    void *once;    /* CAPP__BIND_OPTIONS: the struct that is injected; replaced once, by reload.c */
    void *initial; /* CAPP__BIND_HOST: what it holds where nothing is configured */
    struct capp__setting *code; /* CAPP__BIND_MODULE: likewise, as it is shown */
    struct capp_monitor monitor;
    capp_monitor_entry *own; /* CAPP__BIND_HOST: its change function */
    atomic_bool live;        /* somebody follows it: a change takes effect at once */
};

struct capp__config {
    struct capp__ptrs sources;  /* struct capp__source */
    struct capp__ptrs tables;   /* const capp_options: declared, each once */
    struct capp__ptrs bindings; /* struct capp__binding */
    enum capp__config_ask ask;

    struct capp__snapshot *built; /* what the build read; texts of modules' structs lie in it */
    struct capp__snapshot *once;  /* what the injected structs were read from, when not from that */

    pthread_mutex_t reload; /* one new snapshot at a time; guards the trees of the sources, and `once` */
    struct {
        pthread_mutex_t mutex; /* held for a few instructions, never during a reload */
        struct capp__snapshot *current;
    } shared;
    struct capp__changes changes;
};

/* False when out of memory. */
bool capp__config_init(struct capp__config *config);
void capp__config_deinit(struct capp__config *config);

/* ---- sources: config.c, config_process.c ---- */

/* Adds a source; its strings are copied. False when out of memory. */
bool capp__config_add_source(struct capp__config *config, const struct capp__source *source);
/* Whether the arguments ask for something instead of a run. */
bool capp__config_asked(const struct capp__config *config);
/* The prefix of environment variables, with its underscore; NULL: none was named. */
const char *capp__config_env_prefix(const struct capp__config *config);
void capp__module_source_free(struct capp_source *source);
/* Reads all sources and lays them on each other, into `built`. What is wrong is noted. */
void capp__config_load(struct capp__config *config, struct capp__mistakes *mistakes);
/* Whether a source is read again by a reload. */
bool capp__source_is_reread(const struct capp__source *source);
/* What a source says, to be freed with capp__tree_free(). NULL when out of memory, which is noted. */
struct capp__tree *capp__source_read(const struct capp__source *source, struct capp__mistakes *mistakes);
/*
 * Lays on the tree what all sources say, each in its turn: `fresh[i]`, or what source i said before where
 * that is NULL. `fresh` itself may be NULL. False when out of memory.
 */
bool capp__config_merge(const struct capp__config *config, struct capp__tree *const *fresh,
                        struct capp__tree *tree);

/* The sources of the environment and of the arguments, each into an empty tree. */
void capp__config_read_env(const char *prefix, struct capp__tree *tree, struct capp__mistakes *mistakes);
void capp__config_read_args(int argc, char *const *argv, struct capp__tree *tree,
                            struct capp__mistakes *mistakes);
/* What stands in the arguments about the configuration itself: further files, and what is asked for. */
bool capp__config_scan_args(struct capp__config *config, const struct capp__source *args,
                            struct capp__mistakes *mistakes);

/* ---- tables: config_tables.c, config_bind.c ---- */

/* Makes a table known, once. False when out of memory. */
bool capp__config_declare(struct capp__config *config, const capp_options *table);
/* Whether a table can be one: noted as a mistake if not. */
bool capp__table_is_sound(const capp_options *table, struct capp__mistakes *mistakes, const char *origin);
/*
 * A new binding of the section `path`, read into `built` and into `object`: that of the caller, or for
 * CAPP__BIND_OPTIONS the one that the binding owns. Mistakes are noted; NULL when out of memory, which is
 * noted too.
 */
struct capp__binding *capp__config_bind(struct capp__config *config, enum capp__binding_kind kind,
                                        const capp_options *table, const char *path, void *object,
                                        struct capp__mistakes *mistakes);
void capp__binding_free(struct capp__binding *binding);
/* Reads all bindings into a snapshot whose tree is complete. Mistakes are noted. */
void capp__config_bind_again(const struct capp__config *config, struct capp__snapshot *snapshot,
                             struct capp__mistakes *mistakes);
/* Its monitor, for somebody who is going to follow it. */
struct capp_monitor *capp__binding_monitor(struct capp__binding *binding);
/* Whether two snapshots say different things about an option of a binding. */
bool capp__values_differ(const struct capp__binding *binding, const struct capp__snapshot *before,
                         const struct capp__snapshot *now, size_t option);
/* The binding of capp_add_options() for a type; NULL when there is none. */
struct capp__binding *capp__config_find(const struct capp__config *config, const capp_type *type);
/*
 * Notes every value that no option has read. To be called when all is bound. Of the environment, which
 * several programs may share, only warnings are made where a name is not known here, and where the prefix is
 * not the program's own. At a reload a name that the program does not use yet
 * is only warned of.
 */
void capp__config_check_unknown(const struct capp__config *config, const struct capp__snapshot *snapshot,
                                bool reload, const capp_logger *logger, struct capp__mistakes *mistakes);

/* ---- the host's own options ---- */

/*
 * Declares a table of the host's own and reads its struct, before any module is configured; to be called by
 * capp__configure_all() after capp__config_load(), whether or not that found mistakes.
 *
 * `object` holds what counts where nothing is configured (what capp_use_… has set, say) and is filled in: who
 * calls uses it when this returns. Its bytes are also copied, as what every reload starts from; so the texts
 * that it points to must be constants or live as long as the application, as do those that are filled in.
 *
 * `changed`, unless NULL, is called after every reload that changed the struct, first of all change
 * functions, on a thread of the host, one at a time, at the latest until the application stops. The structs
 * that it gets are valid until it returns. Without it the reload says that a change takes effect at the next
 * start.
 */
capp_status capp__config_bind_host(struct capp_builder *builder, const capp_options *table, void *object,
                                   capp_change_fn *changed, void *user_data);

/* The first of them: `app.shutdown_timeout`. */
void capp__config_host(struct capp_builder *builder);

/* ---- life ---- */

/* With sources of modules: what settles, and what ends the calls, is a component between modules and
 * services. */
bool capp__config_add_component(struct capp_app *app);

/* ---- shown: config_show.c ---- */

/* The texts of capp_config_dump() and capp_config_help(). False when out of memory. */
struct etcd__buf;
bool capp__config_write_dump(const struct capp__config *config, const struct capp__snapshot *snapshot,
                             struct etcd__buf *text);
bool capp__config_write_help(const struct capp__config *config, struct etcd__buf *text);
/* That of capp_config_man(): config_man.c. */
bool capp__config_write_man(const struct capp_app *app, struct etcd__buf *page);

/* How an option is written in the environment: "MYAPP_HTTP__TIMEOUT". Returns dst. */
char *capp__env_name(char *dst, size_t size, const char *prefix, const char *path);

#endif
