/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file health.h
 * How well the application is, for load balancers, orchestrators and people.
 *
 *     static void queue_health(void *self, capp_health *health)
 *     {
 *         const queue_service *queue = self;
 *         if (queue_length(queue) > 900)
 *             capp_health_set(health, CAPP_HEALTH_DEGRADED, "%zu of 1000 places are taken",
 * queue_length(queue));
 *     }
 *     const capp_service queue_def = CAPP_SERVICE(queue_service, .health = queue_health);
 *
 * An application is *live* unless a check that was added with CAPP_HEALTH_LIVENESS is down: then it should be
 * restarted. It is *ready* from when everything has started until the first act of a stop, while no check is
 * down: then it should get work.
 *
 * The host serves nothing over the network: a program hands capp_health_report() to its own server.
 */
#ifndef CAPP_HEALTH_H
#define CAPP_HEALTH_H

#include <capp/app.h>
#include <capp/error.h>
#include <capp/export.h>
#include <capp/module.h>
#include <capp/service.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CAPP_BEGIN_DECLS

/** How well a component is. */
typedef enum capp_health_state {
    CAPP_HEALTH_UP = 0,       /**< All is well. */
    CAPP_HEALTH_DEGRADED = 1, /**< It works, but somebody should look. The application stays ready. */
    CAPP_HEALTH_DOWN = 2,     /**< It does not work. The application is not ready. */
    CAPP_HEALTH_FORCE_INT32 = 0x7fffffff
} capp_health_state;

/** Bytes of capp_health.message, NUL included. */
#define CAPP_HEALTH_MESSAGE_SIZE 256

/** What a capp_health_fn fills. It gets one that says CAPP_HEALTH_UP without a message. Grows at its end. */
struct capp_health {
    size_t size; /**< Bytes of this struct that the library knows. */
    capp_health_state state;
    uint32_t reserved;                      /**< Zero. */
    char message[CAPP_HEALTH_MESSAGE_SIZE]; /**< Why, for people. NUL-terminated; never a secret. */
};

/** A check that is down means "restart me", see capp_app_is_live(). */
#define CAPP_HEALTH_LIVENESS (UINT32_C(1) << 0)

/** The forms of a capp_health_report(). */
typedef enum capp_health_format {
    CAPP_HEALTH_TEXT = 0, /**< A line for the application, then one for each check. */
    CAPP_HEALTH_JSON = 1, /**< One JSON object. */
    CAPP_HEALTH_FORMAT_FORCE_INT32 = 0x7fffffff
} capp_health_format;

/**
 * Fills state and message.
 *
 * @param health  Borrowed.
 * @param state  How well it is.
 * @param format  printf format; a text that does not fit is cut between two characters. Never pass a secret.
 *
 * @par Threads
 * Inside a capp_health_fn.
 * @since 0.1
 */
CAPP_API void capp_health_set(capp_health *health, capp_health_state state, const char *format, ...)
    CAPP_PRINTF(3, 4);

/**
 * Adds a check of a module's; a service has one in its table (capp_service.health).
 *
 * The function is called by whoever asks for the health: on any thread, by several at the same time, under no
 * lock of the host, and only from when everything has started until the stop begins; one that is running then
 * may go on beside the stop functions. It must not block: who asks waits for it, and a watchdog that waits
 * too long restarts the process. Let it look at what other threads have found out.
 *
 * @param setup  Borrowed.
 * @param name   1–127 characters of `A-Z a-z 0-9 _ - .`, unique. Copied.
 * @param fn     Not NULL.
 * @param self   Passed to @p fn; must stay valid until the module's hooks are destroyed.
 * @param flags  CAPP_HEALTH_LIVENESS or 0.
 *
 * @retval CAPP_OK
 * @retval CAPP_E_INVALID_ARGUMENT  A NULL function, a bad name or an unknown flag.
 * @retval CAPP_E_DUPLICATE         The name is taken.
 * @retval CAPP_E_NO_MEMORY
 * @retval CAPP_E_STATE             After the build.
 * @since 0.1
 */
CAPP_API capp_status capp_setup_add_health(capp_setup *setup, const char *name, capp_health_fn *fn,
                                           void *self, uint32_t flags);

/**
 * Whether the application does not have to be restarted: false when a check of CAPP_HEALTH_LIVENESS is down,
 * after capp_run() has returned, and for NULL.
 *
 * @par Threads
 * Any thread; calls those checks.
 * @since 0.1
 */
CAPP_API bool capp_app_is_live(const capp_app *app);

/**
 * Whether the application should get work: everything has started, no stop was asked for, and no check is
 * down.
 *
 * @param app  NULL: false.
 *
 * @par Threads
 * Any thread; calls the checks, up to the first that is down.
 * @since 0.1
 */
CAPP_API bool capp_app_is_ready(const capp_app *app);

/**
 * Writes what the application does, whether it is live and ready, and the state of each check. Control
 * characters are escaped as in the log. A check that was not asked, because the application does not run, is
 * "unknown".
 *
 *     shop (production): running, live, ready
 *     etcd.config: up
 *     queue_service: degraded: 912 of 1000 places are taken
 *
 *     {"application":"shop","environment":"production","phase":"running","live":true,"ready":true,
 *      "checks":[{"name":"etcd.config","state":"up","message":"","liveness":false}, …]}
 *
 * Phases: built, starting, running, reloading, stopping, ended.
 *
 * @param app       NULL writes an empty text.
 * @param format  For people or for programs.
 * @param[out] dst  `size` bytes; a text with a NUL, cut if need be. May be NULL when @p size is 0.
 * @param size  Bytes of @p dst.
 * @return The length of the whole text without the NUL; 0 when out of memory.
 *
 * @par Threads
 * Any thread; calls the checks.
 * @since 0.1
 */
CAPP_API size_t capp_health_report(const capp_app *app, capp_health_format format, char *dst, size_t size);

CAPP_END_DECLS

#endif
