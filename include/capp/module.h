/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file module.h
 * Modules: how a library plugs into the host. Programs only pass them to capp_configure().
 *
 * A module's public function returns a capp_module by value. capp_build() calls its
 * `configure` with a capp_setup, through which the module offers objects for
 * injection, registers what is to be started and stopped, and reports mistakes. It
 * does not connect and does not block; that is what `start` of a capp_hook is for.
 *
 * Order of things: all modules are configured; the whole graph is checked; if there
 * is any mistake the build ends here. Then objects that are provided by a function are
 * made, then services. capp_run() starts the hooks in the order of
 * registration, then services, then workers, and stops in reverse. capp_free() ends
 * services, then destroys hooks in reverse order.
 *
 * The functions below return a status for a module that wants to branch on it, but a
 * module may ignore it: every failure is on the build's list of mistakes as well. A
 * capp_setup is valid, on the thread of capp_build(), until `configure` returns; a call
 * that comes after the build, before capp_free(), changes nothing and returns CAPP_E_STATE.
 */
#ifndef CAPP_MODULE_H
#define CAPP_MODULE_H

#include <capp/cancel.h>
#include <capp/error.h>
#include <capp/export.h>
#include <capp/log.h>
#include <capp/options.h>
#include <capp/service.h>
#include <capp/worker.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CAPP_BEGIN_DECLS

/** What a module configures the application through. */
typedef struct capp_setup capp_setup;

/** A module; its fields stand below. */
typedef struct capp_module capp_module;

/**
 * Configures the application. Mistakes that it can survive it reports with capp_setup_fail() and
 * goes on, so that the user sees all of them; a status other than CAPP_OK adds the error it
 * fills to the same list.
 */
typedef capp_status capp_configure_fn(capp_setup *setup, const capp_module *module, capp_error *reterr);

/** Any function pointer, to be converted back to its own type before it is called. */
typedef void capp_any_fn(void);

/**
 * A module, passed by value. Frozen; its maker zeroes what it does not use.
 * `callback`, `user_data` and `data` are the module's to use as it likes.
 */
struct capp_module {
    size_t size;                  /**< sizeof(capp_module). */
    const char *name;             /**< "etcd": 1–63 of `A-Z a-z 0-9 _ -`, for messages. Copied. */
    capp_configure_fn *configure; /**< Called once, by capp_build(). */
    capp_any_fn *callback;        /**< The user's function, where the module takes one. */
    void *user_data;              /**< What belongs to `callback`. */
    void *data;                   /**< The module's own. */
    void (*destroy)(void *data);  /**< Called exactly once with `data`, built or not; NULL: nothing to do. */
    void *reserved[5];            /**< NULL. */
};

/** A module that is a function of the program. @since 0.1 */
static inline capp_module capp_module_of(const char *name, capp_configure_fn *configure, void *user_data)
{
    capp_module module = {sizeof(capp_module), name, configure, NULL, user_data, NULL, NULL, {NULL}};

    return module;
}

/** Something that is started and stopped with the application. Grows at its end; zero means default. */
typedef struct capp_hook {
    size_t size;          /**< sizeof(capp_hook). */
    const char *name;     /**< For messages; NULL: the module's. Copied. */
    capp_start_fn *start; /**< May be NULL. */
    capp_stop_fn *stop;   /**< May be NULL. Called if the start succeeded or there is none. */
    /** Called exactly once: by capp_free(), by a build that fails, or when adding the hook fails. */
    void (*destroy)(void *self);
    void *self;               /**< Passed to all of them. */
    int64_t start_timeout_ms; /**< A start that takes longer has failed. 0: no limit of its own. */
    int64_t stop_timeout_ms;  /**< 0: what is left of the shutdown limit. */
    capp_reload_fn *reload;   /**< May be NULL; see capp_reload(). */
} capp_hook;

/**
 * Makes an object when the graph has been checked and is sound. Called at most once, by
 * capp_build(), in the order of registration and before any service exists. What
 * it makes stays the module's, who frees it in the `destroy` of a hook.
 */
typedef capp_status capp_provide_fn(void *user_data, void **ret_object, capp_error *reterr);

/** The name of the application. Borrowed, as long as the application. @since 0.1 */
CAPP_API const char *capp_setup_name(const capp_setup *setup);

/** The environment ("development", "production", …). Borrowed, as long as the application. @since 0.1 */
CAPP_API const char *capp_setup_environment(const capp_setup *setup);

/** Whether this is the environment, whatever the case of its letters. @since 0.1 */
CAPP_API bool capp_setup_is_environment(const capp_setup *setup, const char *environment);

/** The log. Borrowed, as long as the application. @since 0.1 */
CAPP_API const capp_logger *capp_setup_logger(const capp_setup *setup);

/** The stop signal, as capp_app_cancel(). Borrowed, as long as the application. @since 0.1 */
CAPP_API capp_cancel *capp_setup_cancel(capp_setup *setup);

/**
 * The object that was published under (@p type, @p name) by now, or NULL. This is how the
 * second use of a module finds what the first one made. Sees only objects given to
 * capp_publish(): nothing else exists yet.
 * @since 0.1
 */
CAPP_API void *capp_setup_find(const capp_setup *setup, const capp_type *type, const char *name);

/**
 * Offers an object that exists for injection.
 *
 * @param setup  Borrowed.
 * @param type  Of the object.
 * @param name    1–63 characters of `A-Z a-z 0-9 _ -`, or NULL for unnamed. Copied.
 * @param object  Borrowed until the hook that owns it is destroyed; not NULL.
 *
 * @retval CAPP_OK
 * @retval CAPP_E_DUPLICATE         (type, name) is taken.
 * @retval CAPP_E_INVALID_ARGUMENT  A NULL type or object, or a bad name.
 * @retval CAPP_E_NO_MEMORY
 * @retval CAPP_E_STATE             After the build.
 * @since 0.1
 */
CAPP_API capp_status capp_publish(capp_setup *setup, const capp_type *type, const char *name, void *object);

/**
 * As capp_publish() for an object that is made later, once the whole graph is known to be
 * sound. A module that has found a mistake in what it would provide should provide it all the
 * same, so that those who inject it are not reported as well; the function is not called then.
 *
 * @param setup  Borrowed.
 * @param type  Of the object.
 * @param name  NULL for the unnamed one. Copied.
 * @param fn         Makes the object; not NULL.
 * @param user_data  Passed to @p fn.
 * @return As capp_publish().
 * @since 0.1
 */
CAPP_API capp_status capp_provide(capp_setup *setup, const capp_type *type, const char *name,
                                  capp_provide_fn *fn, void *user_data);

/**
 * Registers another name for an object: whoever asks for (@p type, @p name) gets
 * (@p target_type, @p target_name), which may be registered later. With different types
 * the object must be valid as both, as a struct is whose first member is the other.
 *
 * @return As capp_publish(); a target that is still missing at the end is a mistake of the build.
 * @since 0.1
 */
CAPP_API capp_status capp_alias(capp_setup *setup, const capp_type *type, const char *name,
                                const capp_type *target_type, const char *target_name);

/**
 * Says that the module needs an object of another one. The order of starting does not
 * change: configure a module after those that it needs.
 *
 * @param setup  Borrowed.
 * @param type  What the module needs.
 * @param name  NULL for the unnamed one.
 * @param slot  Filled by capp_build() when the object exists, before any hook is started; must live
 *              until then. NULL only checks that it is registered.
 *
 * @retval CAPP_OK                  Noted; whether it exists is checked by the build.
 * @retval CAPP_E_INVALID_ARGUMENT  A NULL type or a bad name.
 * @retval CAPP_E_NO_MEMORY
 * @retval CAPP_E_STATE             After the build.
 * @since 0.1
 */
CAPP_API capp_status capp_require(capp_setup *setup, const capp_type *type, const char *name, void **slot);

/**
 * Registers something to be started, stopped and destroyed.
 *
 * @param setup  Borrowed.
 * @param hook  Copied. Its `self` is transferred: `destroy` is called also when this fails.
 *
 * @retval CAPP_OK
 * @retval CAPP_E_INVALID_ARGUMENT  NULL, a bad name, a negative limit, or an unknown field that is set.
 * @retval CAPP_E_NO_MEMORY
 * @retval CAPP_E_STATE             After the build.
 * @since 0.1
 */
CAPP_API capp_status capp_add_hook(capp_setup *setup, const capp_hook *hook);

/**
 * Registers a function that ends waits. All of them run as the first act of a
 * stop, in the order of registration, before workers are joined; see capp_cancel_fn.
 *
 * @param setup  Borrowed.
 * @param fn  Called at most once.
 * @param user_data  Passed to @p fn; valid until capp_free() has destroyed the module's hooks.
 *
 * @retval CAPP_OK
 * @retval CAPP_E_INVALID_ARGUMENT  @p fn is NULL.
 * @retval CAPP_E_NO_MEMORY
 * @retval CAPP_E_STATE             After the build.
 * @since 0.1
 */
CAPP_API capp_status capp_on_stopping(capp_setup *setup, capp_cancel_fn *fn, void *user_data);

/** As capp_add_service(), for a module; returns what that remembers. @since 0.1 */
CAPP_API capp_status capp_setup_add_service(capp_setup *setup, const capp_service *service);

/** As capp_add_worker(), for a module; returns what that remembers. @since 0.1 */
CAPP_API capp_status capp_setup_add_worker(capp_setup *setup, const char *name, capp_worker_fn *fn,
                                           void *user_data);

/** As capp_add_worker_with(), for a module; returns what that remembers. @since 0.1 */
CAPP_API capp_status capp_setup_add_worker_with(capp_setup *setup, const char *name, capp_worker_fn *fn,
                                                void *user_data, const capp_worker_opts *opts);

/**
 * As capp_add_options(), for a module: reads the struct, and publishes it for injection.
 *
 * @retval CAPP_OK
 * @retval CAPP_E_INVALID_ARGUMENT  The table is wrong, or something in the configuration; all of it is on the
 *                                  build's list.
 * @retval CAPP_E_DUPLICATE         The type is published already.
 * @retval CAPP_E_NO_MEMORY, CAPP_E_STATE
 * @since 0.1
 */
CAPP_API capp_status capp_setup_add_options(capp_setup *setup, const capp_options *options);

/**
 * Makes the keys of a table known, for the help and for the search for unknown keys, without reading
 * anything.
 * @return As capp_setup_add_options().
 * @since 0.1
 */
CAPP_API capp_status capp_setup_declare(capp_setup *setup, const capp_options *options);

/**
 * Fills a struct of the module's: what the configuration has a value for is replaced, all else stays as it
 * is. `fallback` is not used, but shown by a dump as what zero stands for.
 *
 * @param setup  Borrowed.
 * @param options  The table.
 * @param name    What stands for the star in the table's section; NULL when there is none. As
 *                capp_setup_section_name() gives it, or as a program wrote it.
 * @param object  Filled even when something is wrong. Texts that it points to afterwards live as long as the
 *                application.
 * @return As capp_setup_add_options().
 * @since 0.1
 */
CAPP_API capp_status capp_setup_bind(capp_setup *setup, const capp_options *options, const char *name,
                                     void *object);

/**
 * The names that the configuration has below a section: name `index`, from 0, as it was written first, in
 * the order in which they came up; NULL beyond the end. Borrowed, as long as the application.
 * @since 0.1
 */
CAPP_API const char *capp_setup_section_name(const capp_setup *setup, const char *section, size_t index);

/**
 * Where the value of a key came from, for messages: "app.yaml:3:5", "environment variable MYAPP_X".
 *
 * @param setup  Borrowed.
 * @param key       "etcd.clients.default.endpoints".
 * @param[out] dst  `size` bytes; a text with a NUL, cut if need be.
 * @param size  Bytes of @p dst.
 * @return False when no source has a value for it; dst is untouched then.
 * @since 0.1
 */
CAPP_API bool capp_setup_place(const capp_setup *setup, const char *key, char *dst, size_t size);

/**
 * Adds a mistake to the build's list, with the module's name in front. Call it as often as needed.
 *
 * @param setup  Borrowed.
 * @param status  Not CAPP_OK. The status of the first mistake is what capp_build() returns.
 * @param format  printf format; at most 1 KiB. Never pass a secret.
 * @return @p status.
 * @since 0.1
 */
CAPP_API capp_status capp_setup_fail(capp_setup *setup, capp_status status, const char *format, ...)
    CAPP_PRINTF(3, 4);

/**
 * Says where the next thing is registered; as capp_builder_at(), for a module. Where a module does not say
 * it, the place of its capp_configure() is shown.
 *
 * @return @p setup.
 * @since 0.1
 */
CAPP_API capp_setup *capp_setup_at(capp_setup *setup, const char *file, int line);

#ifndef CAPP_NO_PLACES
/* clang-format off */
/** The function of the same name, told its place; see capp_setup_at(). */
#define capp_publish(setup, ...) capp_publish(capp_setup_at((setup), __FILE__, __LINE__), __VA_ARGS__)
#define capp_provide(setup, ...) capp_provide(capp_setup_at((setup), __FILE__, __LINE__), __VA_ARGS__)
#define capp_alias(setup, ...) capp_alias(capp_setup_at((setup), __FILE__, __LINE__), __VA_ARGS__)
#define capp_require(setup, ...) capp_require(capp_setup_at((setup), __FILE__, __LINE__), __VA_ARGS__)
#define capp_add_hook(setup, ...) capp_add_hook(capp_setup_at((setup), __FILE__, __LINE__), __VA_ARGS__)
#define capp_setup_add_service(setup, ...) \
    capp_setup_add_service(capp_setup_at((setup), __FILE__, __LINE__), __VA_ARGS__)
#define capp_setup_add_worker(setup, ...) \
    capp_setup_add_worker(capp_setup_at((setup), __FILE__, __LINE__), __VA_ARGS__)
#define capp_setup_add_worker_with(setup, ...) \
    capp_setup_add_worker_with(capp_setup_at((setup), __FILE__, __LINE__), __VA_ARGS__)
#define capp_setup_add_options(setup, ...) \
    capp_setup_add_options(capp_setup_at((setup), __FILE__, __LINE__), __VA_ARGS__)
/* clang-format on */
#endif

CAPP_END_DECLS

#endif
