/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a running application, as the thread in capp_run() directs it.
 *
 * That thread never calls code of the user. Starts and stops run as jobs of one runner, cancel functions on
 * a second one (a start that waits must not keep them from running), reloads and questions after the health
 * on others, workers on threads of their own. So it can always watch the limits and the signals.
 *
 *   starting (run_start.c):  components in order, hosted services, workers      -> running, or stopping
 *   running  (run.c):        wait for a signal, capp_stop() or a worker that fails; reload when asked
 *   stopping (run_stop.c):   cancel waits; join workers; stop components in reverse order
 *
 * Wherever it waits it calls capp__run_notice() first, which deals with whatever has happened: the beginning
 * of a stop, workers that ended or are to be started again, a reload, systemd.
 *
 * `deadline_ms` is set on the way into stopping and bounds all of it. A component or worker that exceeds a
 * limit of its own is given up with its thread, and the others go on; when the deadline passes, everything
 * that is left is given up.
 */
#ifndef CAPP__RUN_H
#define CAPP__RUN_H

#include "host.h"
#include "notify.h"
#include "runner.h"

struct capp__run {
    capp_app *app;
    sigset_t mask; /* of the caller; all our threads get it */
    struct capp__signals own_signals;
    struct capp__signals *signals; /* these, or those that capp_main() has taken */
    struct capp__notify notify;
    struct capp__runner *runner;    /* starts and stops; NULL when it could not be replaced */
    struct capp__runner *canceller; /* cancel functions */
    struct capp__runner *reloader;  /* reloads; NULL until the first */
    struct capp__runner *watcher;   /* asks whether all are alive; NULL when nobody wants to know */
    bool reloading;                 /* its end has not been noticed yet */
    bool asked;                     /* the watcher: what it found has not been told yet */
    bool dead;                      /* it found that not all are alive */
    int64_t ping_ms;                /* when to ask it again; 0 before the application is ready */
    size_t started;                 /* components[0, started) are to be stopped */
    bool stopping;
    int64_t stop_began_ms, deadline_ms; /* INT64_MAX until the stop begins */
    int64_t next_ms;                    /* when there is something to do, though nothing happens */
    capp_status status;                 /* of the first failure */
    capp_error error;
};

/* ---- run.c ---- */

/* Keeps the first failure for the caller and logs the others. */
void capp__run_fail(struct capp__run *run, const capp_error *error);
/* Begins the stop; later reasons are dropped. */
void capp__run_stop(struct capp__run *run, const char *reason);
/* Deals with whatever has happened since the last time. */
void capp__run_notice(struct capp__run *run);
/* Waits until something happens, at most until `until_ms`; may also return for no reason. */
void capp__run_wait(struct capp__run *run, int64_t until_ms);

/* ---- run_call.c ---- */

/* Waits until the runner's job is over; false when a limit, or the deadline of the stop, passed first. */
bool capp__run_await(struct capp__run *run, struct capp__runner *runner, int64_t limit_ms);
/* Calls `start` or `stop` of a component and waits for it; *ret_error is set unless the result is CAPP_OK. */
capp_status capp__run_call(struct capp__run *run, struct capp__component *component, bool stopping,
                           capp_error *ret_error);

/* ---- run_start.c, run_stop.c ---- */

void capp__run_start_all(struct capp__run *run);
void capp__run_stop_all(struct capp__run *run);

/* ---- run_workers.c ---- */

/* Starts it and, where it is to be waited for, waits until it is ready. A failure begins the stop. */
void capp__run_start_worker(struct capp__run *run, struct capp_worker *worker);
/* Joins those that have ended, and starts those again whose time has come. */
void capp__run_tend_workers(struct capp__run *run);
/* Waits until all have ended. False when the deadline passed; who is late is given up then. */
bool capp__run_join_workers(struct capp__run *run);

/* ---- run_reload.c ---- */

/* Begins a reload that was asked for, or notices the end of the one that runs. */
void capp__run_tend_reload(struct capp__run *run);
/* Waits for the end of a reload. False when the deadline passed first. */
bool capp__run_await_reload(struct capp__run *run);

/* ---- run_notify.c: nothing happens where nobody listens ---- */

void capp__run_open_notify(struct capp__run *run);
void capp__run_tell_ready(struct capp__run *run);
void capp__run_tell_reloading(struct capp__run *run);
void capp__run_tell_stopping(struct capp__run *run);
/* Passes a new status on, and feeds the watchdog. */
void capp__run_tend_notify(struct capp__run *run);

#endif
