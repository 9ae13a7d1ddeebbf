/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of an application and of its builder. */
#ifndef CAPP__HOST_H
#define CAPP__HOST_H

#include "capp/app.h"
#include "config.h"
#include "container.h"
#include "logger.h"
#include "make.h"
#include "mistakes.h"
#include "signals.h"
#include "token.h"
#include "wake.h"
#include "workers.h"

#include <pthread.h>

enum {
    CAPP__SHUTDOWN_TIMEOUT_MS = 30000,
    CAPP__STATUS_SIZE = 256, /* of capp_set_status(), with its NUL */
};

/* Something that is started and stopped: a module's hook or a service. */
struct capp__component {
    char label[128]; /* for messages */
    bool is_service; /* not a hook */
    void *self;
    capp_start_fn *start;
    capp_stop_fn *stop;
    void (*destroy)(void *self);
    capp_reload_fn *reload;
    capp_run_fn *run;
    const capp_worker_opts *run_opts; /* NULL: defaults */
    capp_health_fn *health;
    int64_t start_timeout_ms, stop_timeout_ms; /* 0: none of its own */
    char place[CAPP__PLACE_SIZE];              /* where it was registered */

    /* The call that runs or has run last; written by the runner's thread until it is idle. */
    struct {
        bool stopping;
        int64_t limit_ms;
        capp_status status;
        capp_error error;
    } call;
};

/* What the application does. Everybody may read it; the controller in capp_run() alone writes it. */
enum capp__phase {
    CAPP__BUILT,
    CAPP__STARTING,
    CAPP__RUNNING,   /* everything has started */
    CAPP__RELOADING, /* and goes on meanwhile */
    CAPP__STOPPING,  /* from the first act of the stop on */
    CAPP__ENDED
};

/* Whether capp_run() has been entered and has not returned. */
static inline bool capp__phase_is_alive(int phase)
{
    return phase != CAPP__BUILT && phase != CAPP__ENDED;
}

struct capp_app {
    char name[CAPP__NAME_SIZE];
    char environment[CAPP__NAME_SIZE];
    struct capp_logger logger;
    int64_t shutdown_timeout_ms;
    capp_signals signals;
    capp_notify notify;
    struct capp__signals *taken; /* by capp_main(), before the build; NULL: capp_run() takes them */

    struct capp__config config;
    struct capp__container container;
    struct capp__ptrs setups;       /* struct capp_setup; the first is the program's own */
    struct capp__ptrs components;   /* struct capp__component in order of start; hooks first */
    struct capp__ptrs requirements; /* struct capp__requirement */
    struct capp__ptrs on_stopping;  /* capp_cancel_entry of capp_on_stopping() */
    struct capp__ptrs workers;      /* struct capp_worker */
    struct capp__ptrs checks;       /* struct capp__check */
    struct capp__ptrs metrics;      /* of modules; see metrics.c */
    struct capp__ptrs order;        /* struct capp__entry: the services, each after what it injects */
    struct capp__keeper keeper;     /* the objects of singletons */
    atomic_bool has_scopes;         /* scopes may be opened: all is made, and nothing is ended yet */
    atomic_size_t open_scopes;

    struct capp_cancel cancel;
    struct capp__wake wake;
    atomic_int phase;              /* enum capp__phase */
    atomic_llong running_since_ms; /* when everything had started, on the clock of thread.h; 0: not yet */
    atomic_bool stop_requested;
    bool left_behind; /* a thread of ours was given up and may still use all of this */
    struct {
        atomic_bool requested;
        atomic_ullong succeeded, failed;
        bool succeeded_now; /* written by the thread that reloads until its runner is idle */
    } reload;
    atomic_bool status_changed;
    atomic_bool live; /* what the watchdog was told last */
    struct {
        pthread_mutex_t mutex;
        struct etcd__list ended;        /* capp_worker.ended_node: not joined yet */
        char reloading[128];            /* who is reloaded now, for messages */
        char status[CAPP__STATUS_SIZE]; /* of capp_set_status() */
    } shared;
};

/* Through what the program (no module) or one module registers. Lives as long as the application. */
struct capp_setup {
    capp_app *app;
    capp_builder *builder;           /* NULL once registration is over */
    char module[CAPP__NAME_SIZE];    /* "": the program */
    char origin[CAPP__ORIGIN_SIZE];  /* "module etcd", for messages; "" for the program */
    char added_at[CAPP__PLACE_SIZE]; /* where the module was added; "": not known */
    char place[CAPP__PLACE_SIZE];    /* of the next registration; "": not known */
};

/* What a builder keeps for later: a module, or a table of capp_add_options(). */
struct capp__added {
    capp_module module;
    const capp_options *options;
    char place[CAPP__PLACE_SIZE];
};

struct capp_builder {
    capp_app *app;
    struct capp_setup *program;
    struct capp__ptrs modules; /* struct capp__added */
    struct capp__ptrs options; /* struct capp__added */
    struct capp__mistakes mistakes;
    bool sealed; /* registration is over */
};

/* A new application with its defaults and what can always be injected; NULL when out of memory. */
capp_app *capp__app_new(void);
/* Ends what was made and frees everything; the application does not run. */
void capp__app_destroy(capp_app *app);
/* A setup that is owned by the application; NULL when out of memory. */
struct capp_setup *capp__setup_new(capp_builder *builder);
/* Notes a mistake in the name of the setup's owner; after the build it only logs and returns CAPP_E_STATE. */
capp_status capp__setup_mistake(struct capp_setup *setup, capp_status status, const char *text);
/* Whether things may be registered; if not, that is logged. */
bool capp__builder_is_open(capp_builder *builder, const char *function);
/*
 * Reads the options `app.log.*` and opens what the log is to go to; if that fails it is noted, and the log
 * goes to standard error.
 */
void capp__log_host(capp_builder *builder);
/* Opens the file of the log again, if it goes to one. Runs on one thread at a time; any may log meanwhile. */
void capp__logger_reopen(capp_app *app);
/* The first half of a build: reads the configuration and configures everything; mistakes are noted. */
void capp__configure_all(capp_builder *builder);
/* Takes the signals as capp_use_signals() says; logged, when another application has them. See stop.c. */
void capp__take_signals(capp_app *app, struct capp__signals *signals);
/* Whether a signal that capp_main() has taken ends the build: the error says so then, and the log. */
bool capp__build_interrupted(const capp_app *app, capp_error *reterr);
/* Checks the graph of what was registered; what is wrong is noted. */
void capp__check_graph(capp_builder *builder);
/* Makes what the graph describes: provided objects, services, requirements. See build.c. */
capp_status capp__make(capp_app *app, capp_error *reterr);

static inline struct capp__component *capp__component_at(const capp_app *app, size_t i)
{
    return app->components.items[i];
}

static inline struct capp_worker *capp__worker_at(const capp_app *app, size_t i)
{
    return app->workers.items[i];
}

#endif
