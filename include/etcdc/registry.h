/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file registry.h
 * Service registration and discovery.
 *
 * An instance is a key `/services/<service>/<instance>` whose value is its address, attached to a lease
 * that is kept alive. Discovery reads that prefix, and the plain key `/services/<service>` too, so that
 * entries written without an instance id are found; `web` never finds `web2`.
 */
#ifndef ETCDC_REGISTRY_H
#define ETCDC_REGISTRY_H

#include <etcdc/client.h>

ETCD_BEGIN_DECLS

/** An instance that is registered and kept so. */
typedef struct etcd_registration etcd_registration;

/** What happened to a registration. */
typedef enum etcd_registration_event {
    /** Its lease ended, or a renewed registration failed; it is being tried again. */
    ETCD_REGISTRATION_LOST = 1,
    ETCD_REGISTRATION_RESTORED = 2, /**< Registered again, under a new lease. */
    /** The client was closed, or the lease ended and no_restore is set; the last event. */
    ETCD_REGISTRATION_ENDED = 3,
    ETCD_REGISTRATION_EVENT_FORCE_INT32 = 0x7fffffff
} etcd_registration_event;

/**
 * Tells of a change; `err` is NULL for RESTORED and borrowed otherwise. On the loop's thread, or inside
 * etcd_loop_process(). May close the registration, although the server cannot be waited for in here.
 */
typedef void etcd_registration_fn(etcd_registration *registration, etcd_registration_event event,
                                  const etcd_error *err, void *user_data);

/** Options of etcd_register(). Zero means default. */
typedef struct etcd_register_opts {
    size_t size;                    /**< sizeof this struct; set by ETCD_REGISTER_OPTS. */
    int64_t ttl_s;                  /**< How long the entry outlives a dead instance. Seconds; 0: 10. */
    int64_t timeout_ms;             /**< Of the first registration. 0: the client's default. */
    const char *prefix;             /**< NULL: "/services/". Must end in '/'. */
    etcd_registration_fn *on_event; /**< NULL: not wanted. */
    void *user_data;
    /** Do not register again when the lease was lost: that is the end of the registration then. */
    bool no_restore;
    uint8_t pad_[7]; /**< Zero. */
} etcd_register_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_REGISTER_OPTS_INIT {sizeof(etcd_register_opts), 0, 0, NULL, NULL, NULL, false, {0}}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_REGISTER_OPTS(.ttl_s = 10)`. */
#define ETCD_REGISTER_OPTS(...) (&(const etcd_register_opts){.size = sizeof(etcd_register_opts), __VA_ARGS__})
#endif

/**
 * Registers an instance of a service, keeps it registered, and registers it again, with its newest address,
 * when its lease was lost.
 * The client must not be freed before the registration; closing it is fine.
 *
 * @param client  Borrowed.
 * @param service   Not empty, no '/'. Copied.
 * @param instance  Not empty, no '/'; unique among the instances of the service. Copied.
 * @param address   The value that discovery returns. Copied.
 * @param opts  NULL for the defaults.
 * @param[out] ret_registration  etcd_registration_close().
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK   The entry is visible.
 * @retval common    See the head of kv.h. Nothing is left behind, at the latest after the TTL.
 * @par Threads Any, not from a callback.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_register(etcd_client *client, const char *service,
                                                  const char *instance, const char *address,
                                                  const etcd_register_opts *opts,
                                                  etcd_registration **ret_registration, etcd_error *reterr);

/** Whether the entry is certainly at the server: its lease has time left. Any thread. @since 0.1 */
ETCD_API bool etcd_registration_alive(const etcd_registration *registration);
/** The key of the entry. Lives as long as the registration. @since 0.1 */
ETCD_API etcd_bytes etcd_registration_key(const etcd_registration *registration);
/** The lease of the entry now; 0 while there is none. Any thread. @since 0.1 */
ETCD_API int64_t etcd_registration_lease_id(const etcd_registration *registration);

/**
 * Changes the address of the entry, under the same lease.
 *
 * @param registration  Borrowed.
 * @param address     Copied.
 * @param timeout_ms  0: the client's default.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK            Discovery returns the new address.
 * @retval ETCD_E_LEASE_LOST  There is no entry now: it comes back with the new address, if at all.
 * @retval ETCD_E_BUSY        Another thread is changing it.
 * @retval common             See the head of kv.h. The new address may be there or not; make the call again.
 *     Where the entry is lost and comes back it has the new address.
 * @par Threads Any, not from a callback.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_registration_update(etcd_registration *registration,
                                                             const char *address, int64_t timeout_ms,
                                                             etcd_error *reterr);

/**
 * Takes the entry away (revokes its lease), stops renewing and frees the handle, whatever is returned. NULL
 * is fine: ETCD_OK.
 * `on_event` does not run any more after this returned.
 *
 * @param registration  Borrowed.
 * @param timeout_ms  0: the client's default.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK  Nothing is left at the server.
 * @retval ETCD_E_DEADLINE, ETCD_E_UNAVAILABLE, ETCD_E_CLOSED, ...  The server could not be told; the entry
 *     goes after the TTL.
 * @par Threads Any, not from a callback.
 * @since 0.1
 */
ETCD_API etcd_status etcd_registration_close(etcd_registration *registration, int64_t timeout_ms,
                                             etcd_error *reterr);

/** One instance that was found. Lives as long as the result. Frozen. */
typedef struct etcd_service {
    etcd_bytes instance; /**< Its id; empty for an entry `/services/<service>`. */
    etcd_bytes address;
    int64_t lease_id; /**< 0: the entry stays until it is deleted. */
    int64_t mod_revision;
} etcd_service;

/** What discovery found. Owned by whoever called. */
typedef struct etcd_services etcd_services;

/** Options of etcd_discover(). Zero means default. */
typedef struct etcd_discover_opts {
    size_t size;        /**< sizeof this struct; set by ETCD_DISCOVER_OPTS. */
    int64_t timeout_ms; /**< 0: the client's default. */
    const char *prefix; /**< NULL: "/services/". Must end in '/'. */
} etcd_discover_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_DISCOVER_OPTS_INIT {sizeof(etcd_discover_opts), 0, NULL}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_DISCOVER_OPTS(.timeout_ms = 1000)`. */
#define ETCD_DISCOVER_OPTS(...) (&(const etcd_discover_opts){.size = sizeof(etcd_discover_opts), __VA_ARGS__})
#endif

/**
 * Finds the instances of a service, as of one revision, sorted by instance. None is no error: the count is 0.
 *
 * @param client  Borrowed.
 * @param service            Not empty, no '/'. Borrowed.
 * @param opts  NULL for the defaults.
 * @param[out] ret_services  etcd_services_free().
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK
 * @retval common  See the head of kv.h.
 * @par Threads Any, not from a callback.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_discover(etcd_client *client, const char *service,
                                                  const etcd_discover_opts *opts,
                                                  etcd_services **ret_services, etcd_error *reterr);
/** Instances in the result. @since 0.1 */
ETCD_API size_t etcd_services_count(const etcd_services *services);
/** Instance `index`, from 0; NULL beyond the end. @since 0.1 */
ETCD_API const etcd_service *etcd_services_at(const etcd_services *services, size_t index);
/** The revision that was read. @since 0.1 */
ETCD_API int64_t etcd_services_revision(const etcd_services *services);
/** NULL is fine. @since 0.1 */
ETCD_API void etcd_services_free(etcd_services *services);

ETCD_END_DECLS

#endif
