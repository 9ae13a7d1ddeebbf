/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file loop.h
 * Who drives the client's input and output.
 *
 * A client opened without a loop gets one of its own with a thread in it, and this header can be
 * ignored. Make a loop to share one thread between several clients, to run callbacks on a
 * thread of your own, or to do without any thread: docs/threading.md.
 */
#ifndef ETCDC_LOOP_H
#define ETCDC_LOOP_H

#include <etcdc/error.h>
#include <etcdc/types.h>

ETCD_BEGIN_DECLS

/** One set of descriptors and timers, with the clients that use it. */
typedef struct etcd_loop etcd_loop;

/** Which thread does the work. */
typedef enum etcd_drive {
    ETCD_DRIVE_THREAD = 0, /**< A thread of the library: leases are renewed whatever the program does. */
    /** No thread: the program calls etcd_loop_process(); blocking calls do it themselves. */
    ETCD_DRIVE_CALLER = 1,
    ETCD_DRIVE_FORCE_INT32 = 0x7fffffff
} etcd_drive;

/** Where callbacks run under thread drive. (Under caller drive they always run inside etcd_loop_process().)
 */
typedef enum etcd_dispatch {
    ETCD_DISPATCH_LOOP = 0,    /**< On the loop's thread. */
    ETCD_DISPATCH_PROCESS = 1, /**< They wait until the program calls etcd_loop_process(). */
    ETCD_DISPATCH_FORCE_INT32 = 0x7fffffff
} etcd_dispatch;

/** How readiness is found out. */
typedef enum etcd_poller {
    ETCD_POLLER_DEFAULT = 0, /**< epoll where there is one. */
    ETCD_POLLER_EPOLL = 1,
    ETCD_POLLER_POLL = 2, /**< poll(2): works everywhere, has no etcd_loop_fd() under caller drive. */
    ETCD_POLLER_FORCE_INT32 = 0x7fffffff
} etcd_poller;

/** Options of etcd_loop_new(). Zero means default. */
typedef struct etcd_loop_opts {
    size_t size; /**< sizeof this struct; set by ETCD_LOOP_OPTS. */
    etcd_drive drive;
    etcd_dispatch dispatch;
    etcd_poller poller;
    int32_t reserved; /**< Zero. */
} etcd_loop_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_LOOP_OPTS_INIT {sizeof(etcd_loop_opts), ETCD_DRIVE_THREAD, ETCD_DISPATCH_LOOP, ETCD_POLLER_DEFAULT, 0}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER)`. */
#define ETCD_LOOP_OPTS(...) (&(const etcd_loop_opts){.size = sizeof(etcd_loop_opts), __VA_ARGS__})
#endif

/**
 * Makes a loop; under thread drive, starts its thread (all signals blocked in it).
 *
 * @param opts          NULL for the defaults. Borrowed.
 * @param[out] ret_loop Give it back with etcd_loop_free().
 * @param[out] reterr   NULL if not wanted.
 * @retval ETCD_OK
 * @retval ETCD_E_INVALID_ARGUMENT  An option has an unknown value.
 * @retval ETCD_E_UNSUPPORTED       The poller asked for does not exist here.
 * @retval ETCD_E_IO                No descriptor or thread to be had (sys_errno).
 * @retval ETCD_E_NO_MEMORY
 * @par Threads Any.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_loop_new(const etcd_loop_opts *opts, etcd_loop **ret_loop,
                                                  etcd_error *reterr);

/**
 * Gives the loop back. It lives on until its last client is freed; then its thread ends. With
 * ETCD_DISPATCH_PROCESS, callbacks that wait run before it returns and later ones on the loop's thread,
 * since nobody can process them any more. NULL is fine. From any thread, also from a callback.
 * @since 0.1
 */
ETCD_API void etcd_loop_free(etcd_loop *loop);

/**
 * A descriptor to watch for readability: when it is readable, call etcd_loop_process(). Sockets, timers and
 * wake-ups are all behind it. It belongs to the loop; do not read, write or close it. -1 when there is
 * none: thread drive with ETCD_DISPATCH_LOOP (nothing to call), or the poll(2) back end under caller drive
 * (use etcd_loop_wait()).
 * @since 0.1
 */
ETCD_API int etcd_loop_fd(const etcd_loop *loop);

/**
 * Does what is due and runs the callbacks that wait; never blocks.
 *
 * @retval ETCD_OK
 * @retval ETCD_E_WOULD_DEADLOCK  Called from a callback of this loop.
 * @retval ETCD_E_INVALID_ARGUMENT  Thread drive with ETCD_DISPATCH_LOOP: the loop's thread does it.
 * @retval ETCD_E_CLOSED  This is a forked child.
 * @retval ETCD_E_IO  The poller failed (sys_errno).
 * @par Threads One thread at a time; under caller drive the one that makes the calls.
 * @since 0.1
 */
ETCD_API etcd_status etcd_loop_process(etcd_loop *loop, etcd_error *reterr);

/**
 * Like etcd_loop_process(), but waits up to `timeout_ms` milliseconds (ETCD_TIMEOUT_NONE: no limit; 0: not
 * at all) for something to do. Returns ETCD_OK also when nothing came.
 * @since 0.1
 */
ETCD_API etcd_status etcd_loop_wait(etcd_loop *loop, int64_t timeout_ms, etcd_error *reterr);

ETCD_END_DECLS

#endif
