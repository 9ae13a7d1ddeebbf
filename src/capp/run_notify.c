/* SPDX-License-Identifier: Apache-2.0 */
/* What a running application tells the service manager, and when. */
#include "base/str.h"
#include "capp/health.h"
#include "run.h"
#include "thread.h"

#include <time.h>

void capp__run_open_notify(struct capp__run *run)
{
    capp_error error;

    run->notify.fd = -1;
    if (run->app->notify != CAPP_NOTIFY_ALWAYS)
        return;
    if (capp__notify_open(&run->notify, &error) != CAPP_OK)
        capp_log(&run->app->logger, CAPP_LOG_WARN, "app", "%s: nobody is told how the application is",
                 error.message);
    if (run->notify.watchdog_ms == 0)
        return;
    run->watcher = capp__runner_new("capp-watch", &run->mask, run->app->wake.write_fd);
    if (run->watcher == NULL)
        capp_log(&run->app->logger, CAPP_LOG_WARN, "app",
                 "cannot start a thread: the watchdog hears nothing");
}

void capp__run_tell_ready(struct capp__run *run)
{
    capp__notify_send(&run->notify, "READY=1");
    if (run->ping_ms == 0)
        run->ping_ms = capp__after_ms(run->notify.watchdog_ms);
}

void capp__run_tell_reloading(struct capp__run *run)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_MONOTONIC, &now);
    capp__notify_send(&run->notify, "RELOADING=1\nMONOTONIC_USEC=%lld",
                      (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

/* The manager has a limit of its own, which may be shorter than ours. */
void capp__run_tell_stopping(struct capp__run *run)
{
    enum { ROOM_MS = 5000 }; /* for what comes after the limit: the end of the process */
    int64_t limit_ms = run->app->shutdown_timeout_ms;

    if (limit_ms > INT64_MAX / 1000 - ROOM_MS)
        capp__notify_send(&run->notify, "STOPPING=1");
    else
        capp__notify_send(&run->notify, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld",
                          (long long)(limit_ms + ROOM_MS) * 1000);
}

static void tell_status(struct capp__run *run)
{
    char text[CAPP__STATUS_SIZE];

    if (!atomic_exchange(&run->app->status_changed, false))
        return;
    pthread_mutex_lock(&run->app->shared.mutex);
    etcd__format(text, sizeof(text), "%s", run->app->shared.status);
    pthread_mutex_unlock(&run->app->shared.mutex);
    capp__notify_send(&run->notify, "STATUS=%s", text);
}

static void ask_liveness(void *arg)
{
    capp_app *app = arg;

    atomic_store(&app->live, capp_app_is_live(app));
}

static void tell_alive(struct capp__run *run)
{
    bool live = atomic_load(&run->app->live);

    if (live)
        capp__notify_send(&run->notify, "WATCHDOG=1");
    else if (!run->dead)
        capp_log(&run->app->logger, CAPP_LOG_ERROR, "app",
                 "not alive: the watchdog hears nothing until it is");
    run->dead = !live;
}

/* Health is asked for on a thread of its own: if a check hangs, the watchdog hears nothing, and that is
 * right. */
static void feed_watchdog(struct capp__run *run)
{
    if (run->watcher == NULL || run->stopping || run->ping_ms == 0)
        return;
    if (!capp__runner_idle(run->watcher))
        return;
    if (run->asked) {
        run->asked = false;
        tell_alive(run);
    }
    if (capp__now_ms() >= run->ping_ms) {
        run->ping_ms = capp__after_ms(run->notify.watchdog_ms);
        run->asked = true;
        capp__runner_post(run->watcher, ask_liveness, run->app);
    }
    if (run->ping_ms < run->next_ms)
        run->next_ms = run->ping_ms;
}

void capp__run_tend_notify(struct capp__run *run)
{
    tell_status(run);
    feed_watchdog(run);
}

void capp_set_status(capp_app *app, const char *format, ...)
{
    char text[CAPP__STATUS_SIZE];
    va_list args;

    if (app == NULL || format == NULL)
        return;
    va_start(args, format);
    size_t len = etcd__vformat(text, sizeof(text), format, args);
    va_end(args);
    pthread_mutex_lock(&app->shared.mutex);
    /* A newline would begin another assignment of the protocol. */
    etcd__escape_controls(app->shared.status, sizeof(app->shared.status), text, len);
    pthread_mutex_unlock(&app->shared.mutex);
    if (!atomic_exchange(&app->status_changed, true))
        capp__wake_up(app->wake.write_fd);
}
