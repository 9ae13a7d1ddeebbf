/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file uv.h
 * An etcd_loop inside a libuv loop. Header only; the one header of the library that needs another's
 * (libuv 1.x, <uv.h>, which wants the names of POSIX: -std=gnu11 or _POSIX_C_SOURCE), and so not part of
 * <etcdc.h>.
 *
 * The etcd loop is a caller-drive one: every callback of its clients runs on the thread that runs the libuv
 * loop. Use the `_async` forms there; blocking forms would hold the libuv loop up.
 *
 *     etcd_uv glue;
 *     etcd_loop_new(ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER), &loop, &err);
 *     etcd_uv_start(&glue, uv_default_loop(), loop, NULL, NULL);
 *     ...
 *     etcd_uv_stop(&glue, NULL);
 *     uv_run(uv_default_loop(), UV_RUN_DEFAULT);
 *     etcd_loop_free(loop);
 */
#ifndef ETCDC_UV_H
#define ETCDC_UV_H

#include <etcdc/loop.h>

#include <uv.h>

ETCD_BEGIN_DECLS

/** The glue of one etcd_loop and one libuv loop. The program's memory; must stay until it is closed. */
typedef struct etcd_uv etcd_uv;

/** The etcd loop cannot go on (ETCD_E_IO); libuv does not call it any more. `err` is borrowed. */
typedef void etcd_uv_error_fn(etcd_uv *glue, const etcd_error *err, void *user_data);
/** The glue's memory is the program's again. */
typedef void etcd_uv_closed_fn(etcd_uv *glue);

/** All fields belong to the glue. */
struct etcd_uv {
    uv_poll_t poll;
    etcd_loop *loop;
    etcd_uv_error_fn *on_error;
    void *user_data;
    etcd_uv_closed_fn *on_closed;
};

/** libuv's callback; not for programs. @since 0.1 */
static inline void etcd_uv_ready_(uv_poll_t *poll, int status, int events)
{
    etcd_uv *glue = (etcd_uv *)poll->data;
    etcd_error err;

    (void)status; /* process() finds out by itself what is wrong with the descriptor */
    (void)events;
    if (etcd_loop_process(glue->loop, &err) == ETCD_OK)
        return;
    (void)uv_poll_stop(&glue->poll);
    if (glue->on_error != NULL)
        glue->on_error(glue, &err, glue->user_data);
}

/** libuv's callback; not for programs. @since 0.1 */
static inline void etcd_uv_closed_(uv_handle_t *handle)
{
    etcd_uv *glue = (etcd_uv *)handle->data;

    if (glue->on_closed != NULL)
        glue->on_closed(glue);
}

/**
 * Lets a libuv loop drive an etcd loop. It keeps uv_run() running until it is stopped; see uv_unref() on
 * `glue->poll` for programs that want otherwise.
 *
 * @param glue      Filled; must stay until it is closed.
 * @param uv        The loop that is run.
 * @param loop      Made with ETCD_DRIVE_CALLER (or ETCD_DISPATCH_PROCESS) and the epoll poller. Must stay
 *                  until the glue is closed.
 * @param on_error  NULL if not wanted.
 * @param user_data Passed to @p on_error.
 * @return 0, or libuv's error: UV_EINVAL when the etcd loop has no descriptor to watch. Nothing is to be
 *         stopped then.
 * @par Threads The one that runs the libuv loop.
 * @since 0.1
 */
static inline int etcd_uv_start(etcd_uv *glue, uv_loop_t *uv, etcd_loop *loop, etcd_uv_error_fn *on_error,
                                void *user_data)
{
    int fd = etcd_loop_fd(loop), error;

    if (fd < 0)
        return UV_EINVAL;
    error = uv_poll_init(uv, &glue->poll, fd);
    if (error != 0)
        return error;
    glue->poll.data = glue;
    glue->loop = loop;
    glue->on_error = on_error;
    glue->user_data = user_data;
    glue->on_closed = NULL;
    error = uv_poll_start(&glue->poll, UV_READABLE, etcd_uv_ready_);
    if (error != 0)
        uv_close((uv_handle_t *)&glue->poll, NULL);
    return error;
}

/**
 * Ends it. Free the etcd loop's clients before, or let them wait: what is under way makes no progress any
 * more. `on_closed` (NULL if not wanted) runs from the libuv loop, once the glue's memory is free.
 *
 * @par Threads The one that runs the libuv loop.
 * @since 0.1
 */
static inline void etcd_uv_stop(etcd_uv *glue, etcd_uv_closed_fn *on_closed)
{
    glue->on_closed = on_closed;
    uv_close((uv_handle_t *)&glue->poll, etcd_uv_closed_);
}

ETCD_END_DECLS

#endif
