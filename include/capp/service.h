/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file service.h
 * Services: objects that the container makes, wires and ends.
 *
 * A service is described by a constant table; the host reads the tables of all services
 * before it runs any code of theirs, and refuses a graph with something
 * missing, double or circular.
 *
 *     typedef struct config_service { etcd_client *etcd; capp_logger *log; } config_service;
 *     CAPP_TYPE_DEFINE(config_service);
 *
 *     static const capp_inject config_deps[] = {
 *         CAPP_INJECT(config_service, etcd, etcd_client),
 *         CAPP_INJECT(config_service, log, capp_logger),
 *     };
 *     const capp_service config_service_def =
 *         CAPP_SERVICE(config_service, CAPP_INJECTS(config_deps), .start = load_config);
 *
 *     capp_add_service(builder, &config_service_def);
 *
 * The life of a service: zeroed memory; its fields injected; `init` (in
 * capp_build); `start` and `stop` (in capp_run); `fini` (in capp_free). A
 * service comes after everything that it injects, and goes before it.
 */
#ifndef CAPP_SERVICE_H
#define CAPP_SERVICE_H

#include <capp/error.h>
#include <capp/export.h>
#include <capp/type.h>

#include <stddef.h>
#include <stdint.h>

CAPP_BEGIN_DECLS

/** How often a service exists. Only a singleton has `start`, `stop`, `run`, `reload` and `health`. */
typedef enum capp_lifetime {
    CAPP_SINGLETON = 0, /**< One object per application, made by capp_build() and ended by capp_free(). */
    /**
     * One object per scope (scope.h), made when something in the scope needs it first and ended with the
     * scope. A singleton cannot inject it, not even through a transient service: it would keep it for
     * longer than its scope.
     */
    CAPP_SCOPED = 1,
    /** One object for each field that injects it, ended after its owner; or for each capp_scope_resolve(). */
    CAPP_TRANSIENT = 2,
    CAPP_LIFETIME_FORCE_INT32 = 0x7fffffff
} capp_lifetime;

/** The field stays NULL when nothing is registered; every other failure still fails. */
#define CAPP_INJECT_OPTIONAL (UINT32_C(1) << 0)
/**
 * The field is a list, with a NULL at its end, of all objects of the type that exist once per application,
 * whatever their names, in the order of registration; each object once, also behind aliases. The list
 * belongs to the host and lives as long as the application. Scoped and transient services are not in it.
 */
#define CAPP_INJECT_ALL (UINT32_C(1) << 1)

/** The field is a monitor of the options of the row's type; see monitor.h. */
#define CAPP_INJECT_CURRENT (UINT32_C(1) << 2)

/** One field to be injected. Made by CAPP_INJECT and its sisters. Frozen. */
typedef struct capp_inject {
    const char *field;     /**< The name of the field, for messages. */
    const capp_type *type; /**< What is wanted. */
    const char *name;      /**< Under which name; NULL: the unnamed one. */
    size_t offset;         /**< Of the field, which is a pointer to the type; with CAPP_INJECT_ALL a list. */
    uint32_t flags;        /**< CAPP_INJECT_… */
    uint32_t reserved;     /**< Zero. */
} capp_inject;

/**
 * Makes the object ready. Its memory is zeroed and its fields are injected. Must
 * clean up after itself when it fails: `fini` is not called then. Runs inside
 * capp_build(), for a scoped or transient service inside capp_scope_resolve(), on its thread; a thing that
 * takes time or needs a server belongs into `start`.
 */
typedef capp_status capp_init_fn(void *self, capp_error *reterr);

/** Undoes capp_init_fn; the memory itself belongs to the host. Runs inside capp_free() or capp_scope_free().
 */
typedef void capp_fini_fn(void *self);

/**
 * Starts the component; may block. When it fails, everything that was started before is
 * stopped and capp_run() returns the error; `stop` is not called for this component.
 * Runs on a thread of the host, never at the same time as another start or stop.
 */
typedef capp_status capp_start_fn(void *self, capp_error *reterr);

/**
 * Stops the component; called once if its start succeeded, whatever has failed meanwhile.
 * `limit_ms` is how long it may take (at least 1; INT64_MAX when there is no limit);
 * after that the host goes on without it. Runs on a thread of the host, never at the
 * same time as another start or stop.
 */
typedef capp_status capp_stop_fn(void *self, int64_t limit_ms, capp_error *reterr);

/** A running worker; see worker.h. */
typedef struct capp_worker capp_worker;
/** How a worker runs; see worker.h. */
typedef struct capp_worker_opts capp_worker_opts;
/** How well a component is; see health.h. */
typedef struct capp_health capp_health;

/**
 * Makes an object that the host cannot lay out itself: of an opaque type, of several variants, of another
 * library. Takes the place of `init`, and runs where that would.
 *
 * @param deps             The injected struct that capp_service.object_size and `inject` describe; it lives
 * as long as the object. NULL when object_size is 0.
 * @param[out] ret_object  The object, not NULL on success.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 */
typedef capp_status capp_make_fn(void *deps, void **ret_object, capp_error *reterr);

/** Ends what a capp_make_fn made; takes the place of `fini`. */
typedef void capp_unmake_fn(void *deps, void *object);

/**
 * Told after the configuration was read again; see capp_reload(). Runs on a thread of the host, one at a
 * time, in order of start. A failure is logged and changes nothing.
 */
typedef capp_status capp_reload_fn(void *self, capp_error *reterr);

/** The function of a hosted service: a worker that belongs to a service; see worker.h. */
typedef capp_status capp_run_fn(void *self, capp_worker *worker, capp_error *reterr);

/** Says how well the component is. Must not block: it looks, it does not ask a server. See health.h. */
typedef void capp_health_fn(void *self, capp_health *health);

/** One interface of a service: a member of its struct. Made by CAPP_PROVIDES. Frozen. */
typedef struct capp_provided {
    const capp_type *type; /**< The type of the member. */
    const char *name;      /**< Under which name; NULL: the name of the service. */
    size_t offset;         /**< Of the member. */
    uint32_t flags;        /**< Zero. */
    uint32_t reserved;     /**< Zero. */
} capp_provided;

/** The description of a service. Build it with CAPP_SERVICE. Grows at its end; zero means default. */
typedef struct capp_service {
    size_t size;               /**< sizeof(capp_service). */
    const capp_type *type;     /**< The type of the object. */
    const char *name;          /**< Under which name it is registered; NULL: unnamed. Copied. */
    size_t object_size;        /**< Bytes of the object, at least 1; with `make` of what that is given. */
    const capp_inject *inject; /**< The fields to inject. Must live as long as the application. */
    size_t inject_count;       /**< Rows of `inject`. */
    capp_init_fn *init;        /**< May be NULL, like the next three. */
    capp_fini_fn *fini;
    capp_start_fn *start;
    capp_stop_fn *stop;
    int64_t start_timeout_ms;         /**< A start that takes longer has failed. 0: no limit of its own. */
    int64_t stop_timeout_ms;          /**< 0: what is left of the shutdown limit. */
    capp_lifetime lifetime;           /**< Default CAPP_SINGLETON. */
    uint32_t reserved;                /**< Zero. */
    capp_make_fn *make;               /**< A factory function; `init` and `fini` are NULL then. */
    capp_unmake_fn *unmake;           /**< May be NULL; only with `make`. */
    const capp_provided *provides;    /**< Its interfaces. Must live as long as the application. */
    size_t provide_count;             /**< Rows of `provides`. */
    capp_reload_fn *reload;           /**< May be NULL. */
    capp_run_fn *run;                 /**< On a thread of its own while the application runs; NULL: none. */
    const capp_worker_opts *run_opts; /**< Of `run`; NULL: defaults. Must live as long as the application. */
    capp_health_fn *health;           /**< May be NULL. */
} capp_service;

/*
 * These macros need _Generic and designated initialisers, which C++ does not have;
 * a C++ program fills the structs itself.
 */
#ifndef __cplusplus

/* clang-format off */

/* The offset of a field, if the field is a pointer to T; anything else does not compile. */
#define CAPP_FIELD_(S, field, T) \
    _Generic(((S *)0)->field, T *: offsetof(S, field), const T *: offsetof(S, field))

#define CAPP_ROW_(S, field, T, name, flags) {#field, &T##_type, (name), CAPP_FIELD_(S, field, T), (flags), 0}

/** A row that fills `S.field`, a `T *`, with the unnamed T. A field of another type does not compile. */
#define CAPP_INJECT(S, field, T) CAPP_ROW_(S, field, T, NULL, 0)

/** A row that fills `S.field`, a `T *`, with the T registered under `name`. */
#define CAPP_INJECT_NAMED(S, field, T, name) CAPP_ROW_(S, field, T, name, 0)

/** As CAPP_INJECT; the field stays NULL when there is none. */
#define CAPP_INJECT_OPT(S, field, T) CAPP_ROW_(S, field, T, NULL, CAPP_INJECT_OPTIONAL)

/** As CAPP_INJECT_NAMED; the field stays NULL when there is none. */
#define CAPP_INJECT_NAMED_OPT(S, field, T, name) CAPP_ROW_(S, field, T, name, CAPP_INJECT_OPTIONAL)

/* The offset of a field, if the field is a list of pointers to T. */
#define CAPP_LIST_FIELD_(S, field, T) \
    _Generic(((S *)0)->field, T *const *: offsetof(S, field), T **: offsetof(S, field), \
             const T *const *: offsetof(S, field))

/** A row that fills `S.field`, a `T *const *` or `T **`, with the list of all T; see CAPP_INJECT_ALL. */
#define CAPP_INJECT_LIST(S, field, T) \
    {#field, &T##_type, NULL, CAPP_LIST_FIELD_(S, field, T), CAPP_INJECT_ALL, 0}

/** Inside CAPP_SERVICE: the service's table of capp_inject rows, an array. */
#define CAPP_INJECTS(table) .inject = (table), .inject_count = sizeof(table) / sizeof((table)[0])

/* The offset of a member, if it is an I; anything else does not compile. */
#define CAPP_MEMBER_(S, member, I) \
    _Generic(&((S *)0)->member, I *: offsetof(S, member), const I *: offsetof(S, member))

/**
 * A row that publishes `S.member`, an I, under the type I and the name of the service: whoever injects an
 * `I *` gets the address of the member. By custom I is a struct of functions.
 */
#define CAPP_PROVIDES(S, member, I) {&I##_type, NULL, CAPP_MEMBER_(S, member, I), 0, 0}

/** As CAPP_PROVIDES, under a name of its own. */
#define CAPP_PROVIDES_AS(S, member, I, name) {&I##_type, (name), CAPP_MEMBER_(S, member, I), 0, 0}

/** Inside CAPP_SERVICE: the service's table of capp_provided rows, an array. */
#define CAPP_PROVIDED(table) .provides = (table), .provide_count = sizeof(table) / sizeof((table)[0])

/** The S whose member `pointer` points to: what a function of an interface does with its first argument. */
#define CAPP_SELF(S, member, pointer) \
    ((S *)(void *)((char *)(1 ? (pointer) : &((S *)0)->member) - offsetof(S, member)))

/**
 * Initialises a capp_service of type T; what follows T are designated initialisers, at
 * least one: `CAPP_SERVICE(clock_service, .init = clock_init)`.
 */
#define CAPP_SERVICE(T, ...) \
    {.size = sizeof(capp_service), .type = &T##_type, .object_size = sizeof(T), __VA_ARGS__}

/**
 * Initialises a capp_service whose object, a T, a function makes; `deps_struct` is the struct that is
 * injected and passed to it, `char` where it needs nothing:
 *
 *     CAPP_FACTORY(pool, pool_deps, CAPP_INJECTS(pool_rows), .make = pool_make, .unmake = pool_unmake)
 */
#define CAPP_FACTORY(T, deps_struct, ...) \
    {.size = sizeof(capp_service), .type = &T##_type, .object_size = sizeof(deps_struct), __VA_ARGS__}

/* clang-format on */

#endif

CAPP_END_DECLS

#endif
