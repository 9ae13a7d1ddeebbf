/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file etcd.h
 * The etcd module: named clients that are configured with the application, injected, and closed with it.
 *
 *     static void clients(capp_etcd_builder *b, void *user)
 *     {
 *         (void)user;
 *         capp_etcd_add_client(b, "default", ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("localhost:2379")));
 *         capp_etcd_add_client(b, "config", ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("etcd-config:2379")));
 *     }
 *
 *     capp_configure(app, capp_etcd(clients, NULL));
 *
 * A service gets a client, or the factory that has all of them, by injection:
 *
 *     CAPP_INJECT(config_service, etcd, etcd_client)                  // the client "default"
 *     CAPP_INJECT_NAMED(config_service, config, etcd_client, "config")
 *     CAPP_INJECT(config_service, factory, capp_etcd_factory)
 *
 * @par Names
 * 1–63 characters of `A-Z a-z 0-9 _ -`, unique also when case and the difference between `-` and `_`
 * are ignored. The client whose name is "default" in this sense is the unnamed one too.
 *
 * @par Life
 * capp_build() checks all options, and connects nothing. capp_run() connects the clients, all at the same
 * time, as their capp_etcd_start says; when that fails, those that are connected are closed. As the first act
 * of a stop every wait on a client ends with ETCD_E_CANCELLED (blocked watches, lock waits; ordinary calls
 * still work). After workers and services have stopped, the leases that the clients keep alive are given
 * back, and with them locks and registrations that are still held; then the clients are closed, in reverse
 * order. Until capp_free() a closed client answers with ETCD_E_CLOSED.
 *
 * @par Configuration
 * What the configuration (capp/config.h) says of a client wins over what the program says:
 *
 *     etcd:
 *       clients:
 *         default:   { endpoints: [localhost:2379], dial_timeout: 5s }
 *         discovery: { endpoints: [a:2379, b:2379], username: admin, password: { env: DISCOVERY_PASSWORD } }
 *
 * in files, `CAPP_ETCD__CLIENTS__DEFAULT__ENDPOINTS` in the environment, `--etcd.clients.default.endpoints`
 * in the arguments. `--help-config` lists all keys. A value that is wrong is a mistake of the build, with its
 * place. A client that the configuration has and the program does not add is a mistake too, unless it is the
 * environment's, which several programs may share: that is a warning.
 *
 * @par Reports
 * Each client that is added to the application is a check "etcd.<name>" of its health (capp/health.h): up; up
 * and "not used yet"; or down (capp_etcd_health: degraded) with the newest cause, of the connection or of a
 * login that was refused. The counters of all clients of the factory are in capp_metrics_text(), labelled
 * with the client's name. Log lines are of the category "etcd" and have a field `client`.
 */
#ifndef CAPP_ETCD_H
#define CAPP_ETCD_H

#include <capp.h>
#include <etcdc.h>

CAPP_BEGIN_DECLS

/** etcd_client can be injected: by name, and unnamed the one called "default". */
CAPP_API CAPP_TYPE_DECLARE(etcd_client);

/* ---- clients of an application ------------------------------------------------------------------------ */

/** What clients are added to, inside the function given to capp_etcd(). */
typedef struct capp_etcd_builder capp_etcd_builder;

/** Adds the clients. Runs inside capp_build(), in the order of the capp_configure() calls. */
typedef void capp_etcd_fn(capp_etcd_builder *builder, void *user_data);

/** What a client does when it starts. In every case it goes on connecting by itself whenever it must. */
typedef enum capp_etcd_start {
    /**
     * Connects. A refused login is an error; a server that cannot be reached within the dial timeout only a
     * warning.
     */
    CAPP_ETCD_EAGER = 0,
    CAPP_ETCD_REQUIRED = 1, /**< Connects; a server that cannot be reached is an error as well. */
    CAPP_ETCD_LAZY = 2,     /**< Connects with the first call. */
    CAPP_ETCD_START_FORCE_INT32 = 0x7fffffff
} capp_etcd_start;

/** What the application is while a client that is in use has no connection (capp/health.h). */
typedef enum capp_etcd_health {
    CAPP_ETCD_HEALTH_DOWN = 0,     /**< Not ready: it cannot work without this client. */
    CAPP_ETCD_HEALTH_DEGRADED = 1, /**< Ready: it can, but somebody should look. */
    CAPP_ETCD_HEALTH_FORCE_INT32 = 0x7fffffff
} capp_etcd_health;

/** What the module, not the client, wants to know of a client. Grows at its end; zero means default. */
typedef struct capp_etcd_client_opts {
    size_t size;             /**< sizeof this struct; set by CAPP_ETCD_CLIENT. */
    capp_etcd_start start;   /**< CAPP_ETCD_EAGER. */
    capp_etcd_health health; /**< CAPP_ETCD_HEALTH_DOWN. */
} capp_etcd_client_opts;

/** Initialises the struct with its defaults, in C and C++. */
#define CAPP_ETCD_CLIENT_INIT                                                 \
    {                                                                         \
        sizeof(capp_etcd_client_opts), CAPP_ETCD_EAGER, CAPP_ETCD_HEALTH_DOWN \
    }
#ifndef __cplusplus
/** Options in place: `CAPP_ETCD_CLIENT(.start = CAPP_ETCD_REQUIRED)`. */
#define CAPP_ETCD_CLIENT(...) \
    (&(const capp_etcd_client_opts){.size = sizeof(capp_etcd_client_opts), __VA_ARGS__})
#endif

/**
 * The module, for capp_configure(). May be used several times: all uses fill one factory.
 *
 * @param fn         Adds the clients; NULL adds those of the configuration, see capp_etcd_add_configured().
 * @param user_data  Passed to @p fn; must stay valid until capp_build() returns.
 * @since 0.1
 */
CAPP_API capp_module capp_etcd(capp_etcd_fn *fn, void *user_data);

/**
 * Adds a client. A mistake is remembered and reported by capp_build() with all others, with the
 * client's name and the option's; nothing connects before capp_run().
 *
 * @param builder  Borrowed, only inside the capp_etcd_fn.
 * @param name     See the top of this file. Copied.
 * @param opts     The client's own options, deeply copied; NULL for the defaults. `name` is to be left NULL.
 *                 Without a `log_fn` the client logs to the application, category "etcd". Without a `loop`
 *                 it shares one with the module's other clients; a loop of caller drive is refused.
 *
 * @retval CAPP_OK
 * @retval CAPP_E_DUPLICATE         The name is taken; the first client stays as it is.
 * @retval CAPP_E_INVALID_ARGUMENT  A bad name or option, or a password whose source is missing or empty.
 * @retval CAPP_E_IO                A file cannot be read, or there is no descriptor or thread.
 * @retval CAPP_E_NO_MEMORY
 * @retval CAPP_E_STATE             Outside of the capp_etcd_fn.
 * The status may be ignored.
 * @since 0.1
 */
CAPP_API capp_status capp_etcd_add_client(capp_etcd_builder *builder, const char *name,
                                          const etcd_client_opts *opts);

/** capp_etcd_add_client() with what the module wants to know; @p client_opts may be NULL. @since 0.1 */
CAPP_API capp_status capp_etcd_add_client_with(capp_etcd_builder *builder, const char *name,
                                               const etcd_client_opts *opts,
                                               const capp_etcd_client_opts *client_opts);

/**
 * Adds every client that the configuration has below `etcd.clients` and that was not added yet.
 *
 * @retval CAPP_OK  Also when there is none.
 * @retval other    As capp_etcd_add_client(), of the first that could not be added.
 * The status may be ignored.
 * @since 0.1
 */
CAPP_API capp_status capp_etcd_add_configured(capp_etcd_builder *builder);

/**
 * What the application is configured through: its environment, its log, and capp_setup_fail() for a mistake
 * that the capp_etcd_fn found itself. Borrowed, only inside the capp_etcd_fn; NULL outside.
 * @since 0.1
 */
CAPP_API capp_setup *capp_etcd_builder_setup(capp_etcd_builder *builder);

/* ---- etcd as a source of configuration ---------------------------------------------------------------- */

/** What it means when the configuration cannot be loaded at the start, or is not sound then. */
typedef enum capp_etcd_source_policy {
    /** A warning: the application starts with what the other sources say, and goes on trying. */
    CAPP_ETCD_SOURCE_OPTIONAL = 0,
    CAPP_ETCD_SOURCE_REQUIRED = 1, /**< The start fails. */
    CAPP_ETCD_SOURCE_POLICY_FORCE_INT32 = 0x7fffffff
} capp_etcd_source_policy;

/** A source. Grows at its end; zero means default. The strings are copied. */
typedef struct capp_etcd_source_opts {
    size_t size;                    /**< sizeof this struct; set by CAPP_ETCD_SOURCE. */
    const char *client;             /**< The name of one of the application's clients; NULL: "default". */
    const char *prefix;             /**< "/config/myapp/"; a slash at its end is added when it has none. */
    capp_etcd_source_policy policy; /**< CAPP_ETCD_SOURCE_OPTIONAL. */
    int32_t reserved;               /**< Zero. */
    int64_t load_timeout_ms;        /**< Of the load at the start. 0: as the client's calls. */
    int64_t settle_ms;              /**< Changes that come closer together are taken as one; 0: 100. */
} capp_etcd_source_opts;

/** Initialises the struct with its defaults, in C and C++. */
#define CAPP_ETCD_SOURCE_INIT                                                         \
    {                                                                                 \
        sizeof(capp_etcd_source_opts), NULL, NULL, CAPP_ETCD_SOURCE_OPTIONAL, 0, 0, 0 \
    }
#ifndef __cplusplus
/** Options in place: `CAPP_ETCD_SOURCE(.client = "config", .prefix = "/config/myapp/")`. */
#define CAPP_ETCD_SOURCE(...) \
    (&(const capp_etcd_source_opts){.size = sizeof(capp_etcd_source_opts), __VA_ARGS__})
#endif

/**
 * Makes what stands below a prefix of etcd part of the configuration: more than files, less than the
 * environment and the arguments. It is loaded at the start of the module, at one revision and before any
 * service starts, and followed from the next revision on until the stop; with every change the whole
 * configuration is replaced, as capp_reload() does, and change functions (monitor.h) are called. While no
 * server can be reached, and when there is something wrong with it, what was current last stays.
 * A check "etcd-source" of the health (capp/health.h) is degraded while it is not followed or refused.
 *
 * Below the prefix a slash is a level, and so is a dot: `/config/myapp/http/timeout` is `http.timeout`. A key
 * that ends in `.yaml`, `.yml` or `.json` holds a document, which is laid at the key without its ending;
 * `/config/myapp/.yaml` at the root. A key of its own counts more than a document. The source can set neither
 * `etcd.clients` nor `etcd.source`.
 *
 * Of the first source the configuration can say all options: `etcd.source.client`, `.prefix`, `.policy`
 * (optional, required), `.load_timeout` and `.settle`; they count more. Where it names a prefix and the
 * program adds no source, there is one all the same. Of several sources the later one counts more.
 *
 * @param builder  Borrowed, only inside the capp_etcd_fn.
 * @param opts     NULL: all from the configuration.
 *
 * @retval CAPP_OK
 * @retval CAPP_E_INVALID_ARGUMENT  No prefix, or a bad option.
 * @retval CAPP_E_NO_MEMORY
 * @retval CAPP_E_STATE             Outside of the capp_etcd_fn.
 * Each failure is on the build's list; the status may be ignored. A client that nobody has added is a mistake
 * of the build.
 * @since 0.1
 */
CAPP_API capp_status capp_etcd_add_source(capp_etcd_builder *builder, const capp_etcd_source_opts *opts);

/* ---- the factory -------------------------------------------------------------------------------------- */

/**
 * Named clients. The module makes one for the application and injects it; a program without the host makes
 * its own. Any number of threads may use it at the same time; none of its functions but
 * capp_etcd_factory_free() invalidates a client.
 */
typedef struct capp_etcd_factory capp_etcd_factory;

/** The factory can be injected. */
CAPP_API CAPP_TYPE_DECLARE(capp_etcd_factory);

/**
 * Makes an empty factory, for a program that does without the host.
 *
 * @param logger            Where clients without a `log_fn` log to; borrowed, must outlive the factory.
 *     NULL: nowhere.
 * @param[out] ret_factory  capp_etcd_factory_free().
 * @param[out] reterr       Set on failure only. NULL if not wanted.
 * @retval CAPP_OK
 * @retval CAPP_E_INVALID_ARGUMENT  @p ret_factory is NULL.
 * @retval CAPP_E_NO_MEMORY
 * @par Threads
 * Any.
 * @since 0.1
 */
CAPP_API CAPP_NODISCARD capp_status capp_etcd_factory_new(const capp_logger *logger,
                                                          capp_etcd_factory **ret_factory,
                                                          capp_error *reterr);

/**
 * Adds a client and, unless it is lazy, waits until it is connected and logged in, at most for its dial
 * timeout. Other threads can use the factory meanwhile; they see the client when it is there. When this
 * fails nothing is left of it.
 *
 * @param factory      Borrowed.
 * @param name         See the top of this file. Copied.
 * @param opts         As for capp_etcd_add_client(), but no configuration is read, and caller drive is
 *                     allowed, to a program that uses all of the factory on the loop's thread.
 * @param client_opts  NULL for the defaults.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 *
 * @retval CAPP_OK                  Connected; or not reached yet, which for CAPP_ETCD_EAGER is logged as a
 *     warning.
 * @retval CAPP_E_DUPLICATE         The name is taken, or is just being registered.
 * @retval CAPP_E_INVALID_ARGUMENT  A bad name or option, or a password whose source is missing or empty.
 * @retval CAPP_E_AUTH              The login was refused.
 * @retval CAPP_E_UNAVAILABLE       CAPP_ETCD_REQUIRED: no server was reached; CAPP_E_TIMEOUT: one was, but
 *     did not answer.
 * @retval CAPP_E_CLOSED            The factory is closed, or was closed meanwhile.
 * @retval CAPP_E_CANCELLED         The application stops.
 * @retval CAPP_E_STATE             Called from a callback of a client.
 * @retval CAPP_E_IO, CAPP_E_NO_MEMORY
 * @par Threads
 * Any, not from a callback of a client.
 * @since 0.1
 */
CAPP_API CAPP_NODISCARD capp_status capp_etcd_factory_register(capp_etcd_factory *factory, const char *name,
                                                               const etcd_client_opts *opts,
                                                               const capp_etcd_client_opts *client_opts,
                                                               capp_error *reterr);

/**
 * Looks a client up.
 *
 * @param factory  Borrowed.
 * @param name             As it was registered.
 * @param[out] ret_client  The client, borrowed until capp_etcd_factory_free() (of the module's factory:
 *     capp_free());
 *                         NULL on failure.
 * @param[out] reterr      Set on failure only. NULL if not wanted.
 * @retval CAPP_OK
 * @retval CAPP_E_NOT_FOUND         There is none; the message has the name and those that exist.
 * @retval CAPP_E_INVALID_ARGUMENT  @p name is NULL or empty, or another argument is NULL.
 * @retval CAPP_E_CLOSED            The factory is closed.
 * @par Threads
 * Any.
 * @since 0.1
 */
CAPP_API CAPP_NODISCARD capp_status capp_etcd_factory_get(capp_etcd_factory *factory, const char *name,
                                                          etcd_client **ret_client, capp_error *reterr);

/** Whether capp_etcd_factory_get() would succeed. Any thread. @since 0.1 */
CAPP_API bool capp_etcd_factory_has(capp_etcd_factory *factory, const char *name);

/**
 * Lists the names, in the order of registration, also when the factory is closed.
 *
 * @param factory  Borrowed.
 * @param[out] names  Receives the first @p capacity names, borrowed until the factory is freed. May be NULL
 *     when
 *                    @p capacity is 0.
 * @param capacity  How many @p names has room for.
 * @return How many clients there are.
 * @par Threads
 * Any.
 * @since 0.1
 */
CAPP_API size_t capp_etcd_factory_list(capp_etcd_factory *factory, const char **names, size_t capacity);

/** One client of a factory; false ends the walk. May use the factory. */
typedef bool capp_etcd_each_fn(const char *name, etcd_client *client, void *user_data);

/**
 * Calls a function for each client, in the order of registration, under no lock. Clients that are
 * registered meanwhile are visited as well.
 * @par Threads
 * Any.
 * @since 0.1
 */
CAPP_API void capp_etcd_factory_each(capp_etcd_factory *factory, capp_etcd_each_fn *fn, void *user_data);

/**
 * Closes the factory: gives back the leases that its clients keep alive, and with them locks and
 * registrations, and then closes the clients in reverse order. A failure with one does not keep the others
 * from being closed. Idempotent; a second thread waits until the first has done it. The module does this
 * itself.
 *
 * @param factory  Borrowed.
 * @param timeout_ms   How long servers may take over the leases, in all. Milliseconds; 0: 3,000.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval CAPP_OK                  Closed, now or before.
 * @retval CAPP_E_UNAVAILABLE, other  Closed, but leases could not be given back; they end after their TTL.
 * The message has them all.
 * @retval CAPP_E_TIMEOUT           As the former; or another thread has not finished closing.
 * @retval CAPP_E_INVALID_ARGUMENT  @p factory is NULL, or @p timeout_ms is negative.
 * @par Threads
 * Any, not from a callback of a client.
 * @since 0.1
 */
CAPP_API capp_status capp_etcd_factory_close(capp_etcd_factory *factory, int64_t timeout_ms,
                                             capp_error *reterr);

/**
 * Closes the factory if need be, and frees it with its clients. Not for the module's factory.
 *
 * @param factory  NULL is accepted. Nobody else uses it or its clients any more.
 * @par Threads
 * Any, not from a callback of a client.
 * @since 0.1
 */
CAPP_API void capp_etcd_factory_free(capp_etcd_factory *factory);

/* ---- errors ------------------------------------------------------------------------------------------- */

/**
 * Makes a host's error of a client's: the whole message, the flags, errno, and the client's status as
 * `external_code`.
 *
 *     etcd_error err;
 *     if (etcd_put(self->etcd, key, value, NULL, NULL, &err) != ETCD_OK)
 *         return capp_error_from_etcd(&err, reterr);
 *
 * @param error        What the client filled; not NULL.
 * @param[out] reterr  NULL if not wanted.
 * @return The host's status for it: ETCD_E_DEADLINE is CAPP_E_TIMEOUT, ETCD_E_EXISTS is CAPP_E_DUPLICATE,
 *     ETCD_E_WOULD_DEADLOCK is
 * CAPP_E_STATE, ETCD_E_NO_LEADER is CAPP_E_UNAVAILABLE, those with a namesake are that one, and all others
 * CAPP_E_EXTERNAL.
 * @par Threads
 * Any. Allocates nothing.
 * @since 0.1
 */
CAPP_API capp_status capp_error_from_etcd(const etcd_error *error, capp_error *reterr);

CAPP_END_DECLS

#endif
